//! Ctrl-C: once saves and says how to go on, with exit code 130.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Place, ended};

#[test]
fn an_interrupt_saves_everything_and_prints_the_resume_command() {
    let place = Place::new();
    place.write(
        "long.toml",
        "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a\"]\nseed_count = 40\nembedding_models = [\"DummyText\"]\nmax_length = 2000\n",
    );
    let child = place
        .command(&["experiment", "run", "long.toml"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let database = place.path("loopscope.sqlite");
    let began = Instant::now();
    while rows(&database) == 0 {
        assert!(began.elapsed() < Duration::from_secs(60), "nothing was ever committed");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let ended = ended(child.wait_with_output().unwrap());
    assert_eq!(ended.code, 130, "{}", ended.stderr);
    assert!(ended.stderr.contains("resume: loopscope experiment resume "), "{}", ended.stderr);
    assert!(
        !place.path("loopscope.sqlite-wal").exists(),
        "the log was carried over, so that the file can be copied alone"
    );
    let saved = rows(&database);
    assert!(saved > 0);
    let doctor = place.run(&["doctor"]);
    assert_eq!(doctor.code, 0, "incomplete is no violation: {}", doctor.stdout);
    assert_eq!(place.run(&["doctor", "--strict"]).code, 1, "but strict minds");
    let summary = place.json(&["experiment", "show", "--json"]);
    assert_eq!(summary["counts"]["invocations"].as_u64().unwrap(), saved);
    assert!(summary["completed_at"].is_null());
}

fn rows(database: &std::path::Path) -> u64 {
    let Ok(sql) = rusqlite::Connection::open_with_flags(database, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY) else {
        return 0;
    };
    sql.query_row("SELECT count(*) FROM invocation", [], |row| row.get::<_, i64>(0)).unwrap_or(0).unsigned_abs()
}
