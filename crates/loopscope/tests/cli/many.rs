//! Many processes on one file: each with its own experiment, all with the same one, and readers meanwhile.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Ended, Place, content, ended};

const CONFIG: &str = r#"{
  "networks": [["DummyT2I", "DummyI2T"]],
  "prompts": ["a small red circle on a blue background"],
  "seeds": [1, 2],
  "embedding_models": ["DummyText", "DummyVision"],
  "max_length": 25
}"#;

const LONG: &str = "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a\"]\nseed_count = 40\n\
                    embedding_models = [\"DummyText\"]\nmax_length = 2000\n";

fn spawn(place: &Place, arguments: &[&str]) -> Child {
    place.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(child: Child) -> Ended {
    ended(child.wait_with_output().unwrap())
}

#[test]
fn sixteen_experiments_in_one_file_at_once_are_as_many_whole_ones() {
    let calm = Place::new();
    let config = calm.write("one.json", CONFIG);
    calm.ok(&["experiment", "run", config.to_str().unwrap(), "--quiet"]);
    let expected = content(&calm.path("loopscope.sqlite"));

    let place = Place::new();
    let config = place.write("one.json", CONFIG);
    let writers: Vec<Child> = (0..16)
        .map(|_| spawn(&place, &["experiment", "run", config.to_str().unwrap(), "--threads", "1", "--quiet"]))
        .collect();
    while !place.path("loopscope.sqlite").exists() {
        std::thread::sleep(Duration::from_millis(2));
    }
    for arguments in [&["experiment", "list"][..], &["doctor"], &["run", "list"]] {
        // While the tables are being made there may be nothing to read yet; a violation there never is.
        let ended = place.run(arguments);
        assert!(!ended.stderr.contains("write lock") && !ended.stderr.contains("locked"), "{}", ended.stderr);
    }
    for ended in writers.into_iter().map(finish) {
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(!ended.stderr.contains("waiting"), "somebody waited for half a minute: {}", ended.stderr);
    }
    place.ok(&["doctor", "--strict"]);
    // Every run has its equals in the other experiments, so that a plain look by key would overwrite them.
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let shapes = "SELECT count(*), count(DISTINCT name) FROM experiment WHERE completed_at IS NOT NULL";
    let (experiments, names): (u64, u64) = sql.query_row(shapes, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert_eq!((experiments, names), (16, 16));
    let steps = "SELECT count(*), count(DISTINCT coalesce(output_text, hex(output_image))) FROM invocation";
    let (steps, outputs): (u64, u64) = sql.query_row(steps, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    let one: u64 = expected.values().map(|run| run.outputs.len() as u64).sum();
    let mut distinct: Vec<_> = expected.values().flat_map(|run| &run.outputs).map(|(_, _, output)| output).collect();
    distinct.sort();
    distinct.dedup();
    assert_eq!((steps, outputs), (16 * one, distinct.len() as u64));
}

#[test]
fn of_many_engines_on_one_experiment_one_works_and_the_others_name_it() {
    let place = Place::new();
    place.write("long.toml", LONG);
    let holder = spawn(&place, &["experiment", "run", "long.toml", "--quiet"]);
    let began = Instant::now();
    // Once something is committed the lock is held.
    while !has_rows(&place) {
        assert!(began.elapsed() < Duration::from_secs(120), "nothing was ever committed");
        std::thread::sleep(Duration::from_millis(10));
    }
    let others: Vec<Child> = (0..7).map(|_| spawn(&place, &["experiment", "resume", "latest", "--quiet"])).collect();
    let pid = holder.id().to_string();
    for ended in others.into_iter().map(finish) {
        assert_eq!(ended.code, 1, "{}", ended.stderr);
        let says_who = ended.stderr.contains(&format!("is being worked on by process {pid}"));
        assert!(says_who, "expected the holder, {pid}: {}", ended.stderr);
    }
    place.ok(&["experiment", "show", "latest"]);
    place.ok(&["doctor"]);
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(finish(holder).code, 130, "the holder was not disturbed");
}

fn has_rows(place: &Place) -> bool {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let Ok(sql) = rusqlite::Connection::open_with_flags(place.path("loopscope.sqlite"), flags) else { return false };
    sql.query_row("SELECT count(*) FROM invocation", [], |row| row.get::<_, i64>(0)).unwrap_or(0) > 0
}
