//! kill −9 at any moment, resume, and the store equals an undisturbed one.
//!
//! `LOOPSCOPE_KILLS` says how often (20 by itself, 200 in CI, 10,000 in the soak), `LOOPSCOPE_KILL_SEED` where the random
//! moments begin.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use crate::chance::{Chance, setting};
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

/// How many rows of the three stages there are: what an earlier reading saw, or the program told, is never lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Rows {
    invocations: u64,
    embeddings: u64,
    diagrams: u64,
}

impl Rows {
    fn in_store(database: &Path) -> Self {
        let Ok(sql) = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY)
        else {
            return Self::default();
        };
        // One statement, so one state of the store.
        let counts = "SELECT (SELECT count(*) FROM invocation), (SELECT count(*) FROM embedding), \
                      (SELECT count(*) FROM persistence_diagram)";
        let read = |row: &rusqlite::Row<'_>| {
            Ok(Self { invocations: row.get(0)?, embeddings: row.get(1)?, diagrams: row.get(2)? })
        };
        sql.query_row(counts, [], read).unwrap_or_default()
    }

    fn sum(self) -> u64 {
        self.invocations + self.embeddings + self.diagrams
    }

    fn holds(self, earlier: Self) -> bool {
        self.invocations >= earlier.invocations
            && self.embeddings >= earlier.embeddings
            && self.diagrams >= earlier.diagrams
    }
}

/// What the program told on stdout before it died: acknowledged, whatever happens next.
#[derive(Default)]
struct Told {
    rows: Rows,
    /// Runs that were told to have ended, with their lengths.
    ended: Vec<(String, u64)>,
}

impl Told {
    /// Reads JSON lines; the last may be torn by the kill, and then was not told.
    fn of(stdout: &[u8]) -> Self {
        let mut told = Self::default();
        for line in stdout.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let event: serde_json::Value = serde_json::from_slice(line).unwrap();
            let done = |stage: &str| event["progress"][stage]["done"].as_u64().unwrap();
            match event["event"].as_str().unwrap() {
                "started" | "progress" | "finished" => {
                    told.rows = Rows {
                        invocations: done("invocations"),
                        embeddings: done("embeddings"),
                        diagrams: done("diagrams"),
                    };
                }
                "run_stopped" => {
                    told.ended.push((event["run"].as_str().unwrap().to_owned(), event["length"].as_u64().unwrap()))
                }
                _ => {}
            }
        }
        told
    }

    /// Checks that everything told is in the store; returns how much that was.
    fn check(&self, database: &Path) -> u64 {
        if self.rows == Rows::default() && self.ended.is_empty() {
            return 0;
        }
        let there = Rows::in_store(database);
        assert!(there.holds(self.rows), "acknowledged {:?}, and there are {there:?}", self.rows);
        let sql = rusqlite::Connection::open(database).unwrap();
        let mut steps =
            sql.prepare("SELECT count(*) FROM invocation WHERE run_id = unhex(replace(?1, '-', ''))").unwrap();
        for (run, length) in &self.ended {
            let found: u64 = steps.query_row([run], |row| row.get(0)).unwrap();
            assert_eq!(found, *length, "run {run} was told to have ended");
        }
        self.rows.sum()
    }
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
    let (mut kills, mut stores, mut in_store, mut acknowledged, mut runs_told) = (0, 0, 0, 0, 0);
    while kills < wanted {
        let place = Place::new();
        let database = place.path("loopscope.sqlite");
        stores += 1;
        let mut kills_here = 0;
        loop {
            let has_experiment = database.exists() && rows_of_experiment(&database) > 0;
            let arguments: &[&str] = if has_experiment {
                &["experiment", "resume", "latest", "--json"]
            } else {
                &["experiment", "run", config, "--json"]
            };
            let mut child = place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            // Mostly short, so that a store is killed many times before it is done.
            std::thread::sleep(Duration::from_millis(chance.below(undisturbed_ms / 4 + 12)));
            let seen = Rows::in_store(&database);
            let is_over = child.try_wait().unwrap();
            if is_over.is_none() && kills_here < 60 {
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            assert!(Rows::in_store(&database).holds(seen), "a committed row is gone");
            let told = Told::of(&output.stdout);
            let told_rows = told.check(&database);
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
            in_store += u64::from(seen.sum() > 0);
            acknowledged += told_rows;
            runs_told += told.ended.len();
        }
        assert_eq!(content(&database), expected, "after {kills_here} kills (store {stores})");
        place.ok(&["doctor", "--strict"]);
    }
    println!(
        "kills: {kills}, of them {in_store} with rows already committed, in {stores} stores; {acknowledged} rows and the end \
         of {runs_told} runs were acknowledged before a kill; lost 0, double 0, half 0"
    );
    assert!(in_store > 0, "every kill came before the first row: the test tests nothing");
    assert!(acknowledged > 0 && runs_told > 0, "nothing was acknowledged before a kill: the test tests nothing");
}

fn rows_of_experiment(database: &Path) -> i64 {
    let sql = rusqlite::Connection::open(database).unwrap();
    sql.query_row("SELECT count(*) FROM experiment", [], |row| row.get(0)).unwrap_or(0)
}
