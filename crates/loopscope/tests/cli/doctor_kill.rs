//! kill −9 at any moment of `doctor --fix`, again until it ends: what was whole stays, and the end is that of a calm repair.
//!
//! `LOOPSCOPE_REPAIR_KILLS` says how often (20 by itself), `LOOPSCOPE_KILL_SEED` where the random moments begin.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rusqlite::Connection;

use crate::chance::{Chance, setting};
use crate::doctor::{DEFECTS, spoil, whole};
use crate::losses::{Losses, rows};
use crate::support::{Place, content};

const FIX: &[&str] = &["doctor", "--fix", "--yes", "--decode-images", "--json"];

/// How far a repair is: what the schema forbids and is there all the same, and how many rows there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    /// What SQLite says of types, NULLs, checks, uniqueness, indexes, pages.
    forbidden: usize,
    /// References to rows that are not there.
    broken: usize,
    rows: u64,
}

impl State {
    fn of(database: &Path) -> Self {
        let sql = Connection::open(database).unwrap();
        let count = |pragma: &str| {
            let mut statement = sql.prepare(pragma).unwrap();
            let first = |row: &rusqlite::Row<'_>| Ok(row.get_ref(0)?.as_str() != Ok("ok"));
            statement.query_map([], first).unwrap().filter(|row| *row.as_ref().unwrap()).count()
        };
        let rows = "SELECT (SELECT count(*) FROM run) + (SELECT count(*) FROM invocation) + (SELECT count(*) FROM embedding) \
                    + (SELECT count(*) FROM persistence_diagram) + (SELECT count(*) FROM image)";
        Self {
            forbidden: count("PRAGMA integrity_check"),
            broken: count("PRAGMA foreign_key_check"),
            rows: sql.query_row(rows, [], |row| row.get(0)).unwrap(),
        }
    }
}

#[test]
fn killing_a_repair_at_random_moments_and_repairing_again_gives_what_a_calm_one_gives() {
    let place = whole();
    let path = place.path("loopscope.sqlite");
    let (before, expected) = (rows(&path), content(&path));
    let spoiled = place.path("spoiled.sqlite");
    std::fs::copy(&path, &spoiled).unwrap();
    spoil(&spoiled, &DEFECTS.join(";\n"));
    let losses = Losses::between(&path, &spoiled);
    let planted = State::of(&spoiled);
    assert!(planted.forbidden > 0 && planted.broken > 0, "{planted:?}");
    let copy = || {
        let place = Place::new();
        std::fs::copy(&spoiled, place.path("loopscope.sqlite")).unwrap();
        place
    };

    let calm = copy();
    let began = Instant::now();
    calm.ok(FIX);
    let calm_ms = u64::try_from(began.elapsed().as_millis()).unwrap().max(20);
    assert_eq!(content(&calm.path("loopscope.sqlite")), expected);

    let wanted = setting("LOOPSCOPE_REPAIR_KILLS", 20);
    let mut chance = Chance(setting("LOOPSCOPE_KILL_SEED", 1));
    let (mut kills, mut stores, mut untouched, mut half) = (0, 0, 0, 0);
    while kills < wanted {
        let place = copy();
        let database = place.path("loopscope.sqlite");
        stores += 1;
        let (mut kills_here, mut last) = (0, planted);
        loop {
            let mut child = place.command(FIX).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
            std::thread::sleep(Duration::from_millis(chance.below(calm_ms + 10)));
            // A repair that is killed forever never ends.
            if child.try_wait().unwrap().is_none() && kills_here < 12 {
                child.kill().unwrap();
            }
            let output = child.wait_with_output().unwrap();
            let now = State::of(&database);
            assert!(now.forbidden <= last.forbidden && now.broken <= last.broken, "from {last:?} to {now:?}");
            if output.status.success() {
                assert_eq!((now.forbidden, now.broken), (0, 0));
                break;
            }
            let told = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), None, "not killed, and failed: {told}");
            let code = place.run(&["doctor", "--json"]).code;
            assert!(code == 0 || code == 1, "the store does not open after a kill: exit {code}");
            (kills, kills_here) = (kills + 1, kills_here + 1);
            untouched += u64::from(now == planted);
            half += u64::from(now != planted && (now.forbidden, now.broken) == (0, 0));
            last = now;
        }
        assert_eq!(content(&database), expected, "after {kills_here} kills (store {stores})");
        losses.check(&before, &rows(&database));
        place.ok(&["doctor", "--strict", "--decode-images"]);
    }
    println!(
        "kills of a repair: {kills} in {stores} stores, {untouched} before anything was changed, {half} after the rows were \
         out and before all was computed"
    );
    assert!(half > 0, "every kill came before the first change: the test tests nothing");
}
