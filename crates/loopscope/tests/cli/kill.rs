//! kill −9 at any moment, resume, and the store equals an undisturbed one.
//!
//! `LOOPSCOPE_KILLS` says how often (20 by itself, 200 in CI, 10,000 in the soak), `LOOPSCOPE_KILL_SEED` where the random
//! moments begin.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::support::{Place, content};

/// Runs of unequal speed and length: two networks, texts and pictures, seeds that cycle.
const CONFIG: &str = r#"{
  "name": "kill",
  "networks": [["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T2", "DummyT2I", "DummyI2T"]],
  "prompts": ["a small red circle on a blue background", "nothing at all", ""],
  "seeds": [1, 2, 2],
  "embedding_models": ["DummyText", "DummyText2", "DummyVision", "DummyVision2"],
  "max_length": 60
}"#;

/// A small generator of our own (SplitMix64), so that a seed names its moments.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % limit
    }
}

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Rows that an earlier reading saw must be there for ever: what is committed is never lost.
fn rows(database: &Path) -> u64 {
    let Ok(sql) = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return 0;
    };
    let sum = "SELECT (SELECT count(*) FROM invocation) + (SELECT count(*) FROM embedding) + (SELECT count(*) FROM persistence_diagram)";
    sql.query_row(sum, [], |row| row.get::<_, i64>(0)).unwrap_or(0).unsigned_abs()
}

#[test]
fn killing_at_random_moments_and_resuming_gives_an_undisturbed_store() {
    let calm = Place::new();
    let config = calm.write("kill.json", CONFIG);
    let config = config.to_str().unwrap();
    let began = std::time::Instant::now();
    calm.ok(&["experiment", "run", config, "--quiet"]);
    let undisturbed_ms = u64::try_from(began.elapsed().as_millis()).unwrap().max(20);
    let expected = content(&calm.path("loopscope.sqlite"));
    assert_eq!(expected.len(), 18);

    let wanted = setting("LOOPSCOPE_KILLS", 20);
    let mut chance = Chance(setting("LOOPSCOPE_KILL_SEED", 1));
    let (mut kills, mut stores, mut in_store) = (0, 0, 0);
    while kills < wanted {
        let place = Place::new();
        let database = place.path("loopscope.sqlite");
        stores += 1;
        let mut kills_here = 0;
        loop {
            let has_experiment = database.exists() && rows_of_experiment(&database) > 0;
            let arguments: &[&str] = if has_experiment {
                &["experiment", "resume", "latest", "--quiet"]
            } else {
                &["experiment", "run", config, "--quiet"]
            };
            let mut child = place.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            // Mostly short, so that a store is killed many times before it is done.
            std::thread::sleep(Duration::from_millis(chance.below(undisturbed_ms / 4 + 12)));
            let seen = rows(&database);
            let is_over = child.try_wait().unwrap();
            if is_over.is_none() && kills_here < 60 {
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            assert!(rows(&database) >= seen, "a committed row is gone");
            if output.status.success() {
                break;
            }
            assert_eq!(
                output.status.code(),
                None,
                "not killed, and failed: {}",
                String::from_utf8_lossy(&output.stderr)
            );
            kills += 1;
            kills_here += 1;
            in_store += u64::from(seen > 0);
        }
        assert_eq!(content(&database), expected, "after {kills_here} kills (store {stores})");
        place.ok(&["doctor", "--strict"]);
    }
    println!(
        "kills: {kills}, of them {in_store} with rows already committed, in {stores} stores; lost 0, double 0, half 0"
    );
    assert!(in_store > 0, "every kill came before the first row: the test tests nothing");
}

fn rows_of_experiment(database: &Path) -> i64 {
    let sql = rusqlite::Connection::open(database).unwrap();
    sql.query_row("SELECT count(*) FROM experiment", [], |row| row.get(0)).unwrap_or(0)
}
