//! A signal: once saves and says how to go on, with exit code 130; twice quits; ignored from the start it stays so.
//!
//! The tests end processes by SIGTERM: whoever starts the tests in the background of a script has SIGINT ignored, and
//! so do all processes below it.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ended, Place, ended};

const LONG: &str = "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a\"]\nseed_count = 40\n\
                    embedding_models = [\"DummyText\"]\nmax_length = 2000\n";

/// Starts a command and waits until it committed something.
fn started(place: &Place, arguments: &[&str]) -> Child {
    let mut child = place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_rows(place, &mut child);
    child
}

fn wait_for_rows(place: &Place, child: &mut Child) {
    let began = Instant::now();
    while rows(&place.path("loopscope.sqlite")) == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was ever committed");
        assert!(child.try_wait().unwrap().is_none(), "it ended before it committed anything");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

fn interrupted(child: Child) -> Ended {
    signal(&child, "-TERM");
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    ended
}

#[test]
fn an_interrupt_saves_everything_and_prints_the_resume_command() {
    let place = Place::new();
    place.write("long.toml", LONG);
    let ended = interrupted(started(&place, &["experiment", "run", "long.toml"]));
    assert!(ended.stderr.contains("resume: loopscope experiment resume "), "{}", ended.stderr);
    assert!(!ended.stderr.contains("--db"), "the database is where it is looked for: {}", ended.stderr);
    assert!(
        !place.path("loopscope.sqlite-wal").exists(),
        "the log was carried over, so that the file can be copied alone"
    );
    let saved = rows(&place.path("loopscope.sqlite"));
    assert!(saved > 0);
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "incomplete is no violation: {}", doctor.stdout);
    assert_eq!(place.run(&["doctor", "--strict"]).code, 1, "but strict minds");
    let summary = place.json(&["experiment", "show", "--json"]);
    assert_eq!(summary["counts"]["invocations"].as_u64().unwrap(), saved);
    assert!(summary["completed_at"].is_null());
    // Watching what nobody works on ends, and says so.
    let watched = place.run(&["experiment", "show", "latest", "--watch", "--json"]);
    assert_eq!((watched.code, watched.stdout.lines().count()), (0, 1), "{}", watched.stdout);
    assert!(watched.stderr.contains("nobody works on it"), "{}", watched.stderr);
}

#[test]
fn a_quiet_run_still_prints_a_resume_command_that_finds_the_database() {
    let place = Place::new();
    place.write("long.toml", LONG);
    let database = place.path("loopscope.sqlite");
    let arguments = ["experiment", "run", "long.toml", "-q", "--db", database.to_str().unwrap()];
    let ended = interrupted(started(&place, &arguments));
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
    let (_, command) = ended.stderr.trim().split_once("resume: loopscope ").unwrap();
    assert!(command.ends_with(&format!(" --db {}", database.display())), "{command}");
}

#[test]
fn an_interrupted_demo_says_what_it_did_not_make() {
    let place = Place::new();
    let ended = interrupted(started(&place, &["demo", "--threads", "1"]));
    assert!(ended.stderr.contains("clusters and filmstrips are made only when"), "{}", ended.stderr);
}

#[test]
fn a_hang_up_that_was_ignored_from_the_start_stays_ignored() {
    let place = Place::new();
    place.write("some.toml", &LONG.replace("2000", "200"));
    let program = env!("CARGO_BIN_EXE_loopscope");
    let mut child = Command::new("sh")
        .args(["-c", "trap '' HUP; exec \"$0\" experiment run some.toml --threads 1", program])
        .current_dir(place.folder.path())
        .env_remove("LOOPSCOPE_DB")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_rows(&place, &mut child);
    for _ in 0..2 {
        signal(&child, "-HUP");
    }
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    assert!(ended.stderr.contains("done in"), "{}", ended.stderr);
}

fn rows(database: &std::path::Path) -> u64 {
    let Ok(sql) = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return 0;
    };
    sql.query_row("SELECT count(*) FROM invocation", [], |row| row.get::<_, i64>(0)).unwrap_or(0).unsigned_abs()
}
