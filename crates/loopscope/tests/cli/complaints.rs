//! Bad input, each with its message. A changed snapshot is a changed promise.

use crate::support::Place;

/// A config with one line changed.
fn config(change: &str) -> String {
    let mut lines = vec![
        r#"networks = [["DummyT2I", "DummyI2T"]]"#,
        r#"prompts = ["a red circle"]"#,
        "seeds = [1]",
        r#"embedding_models = ["DummyText"]"#,
        "max_length = 4",
    ];
    let key = change.split('=').next().unwrap().trim();
    lines.retain(|line| line.split('=').next().unwrap().trim() != key);
    lines.push(change);
    lines.join("\n")
}

fn complaint_about(change: &str) -> String {
    let place = Place::new();
    place.write("bad.toml", &config(change));
    let complaint = place.complaint(&["experiment", "run", "bad.toml"]);
    assert!(!place.path("loopscope.sqlite").exists(), "a bad config makes no database");
    complaint
}

#[test]
fn configs_that_are_no_configs() {
    let place = Place::new();
    insta::assert_snapshot!("missing_config", place.complaint(&["experiment", "run", "nowhere.toml"]));
    place.write("broken.json", "{\"networks\": [[\"DummyT2I\"");
    insta::assert_snapshot!("not_json", place.complaint(&["experiment", "run", "broken.json"]));
    place.write("broken.toml", "networks = [[\n= 3");
    insta::assert_snapshot!("not_toml", place.complaint(&["experiment", "run", "broken.toml"]));
    insta::assert_snapshot!("config_is_a_directory", place.complaint(&["experiment", "run", "."]));
}

#[test]
fn configs_that_ask_for_the_impossible() {
    insta::assert_snapshot!("unknown_key", complaint_about("promts = [\"a\"]"));
    insta::assert_snapshot!("empty_list", complaint_about("prompts = []"));
    insta::assert_snapshot!("wrong_type", complaint_about("max_length = \"ten\""));
    insta::assert_snapshot!("max_length_zero", complaint_about("max_length = 0"));
    insta::assert_snapshot!("seed_below_minus_one", complaint_about("seeds = [1, -2]"));
    insta::assert_snapshot!("unknown_model", complaint_about(r#"networks = [["DumyT2I", "DummyI2T"]]"#));
    insta::assert_snapshot!("starts_with_a_picture", complaint_about(r#"networks = [["DummyI2T", "DummyT2I"]]"#));
    insta::assert_snapshot!("does_not_close", complaint_about(r#"networks = [["DummyT2I"]]"#));
    insta::assert_snapshot!("does_not_fit", complaint_about(r#"networks = [["DummyT2I", "DummyT2I2", "DummyI2T"]]"#));
    insta::assert_snapshot!("embedder_in_a_network", complaint_about(r#"networks = [["DummyT2I", "DummyText"]]"#));
    insta::assert_snapshot!("no_embedder", complaint_about(r#"embedding_models = ["DummyT2I"]"#));
}

#[test]
fn databases_that_are_none() {
    let place = Place::new();
    let good = place.write("good.toml", &config("max_length = 2"));
    let good = good.to_str().unwrap();
    std::fs::create_dir(place.path("folder")).unwrap();
    place.write("text.sqlite", "this is no database, whatever it is called; it is long enough to be looked at");
    insta::assert_snapshot!("no_database", place.complaint(&["experiment", "list"]));
    insta::assert_snapshot!("directory_as_database", place.complaint(&["experiment", "run", good, "--db", "folder"]));
    insta::assert_snapshot!("directory_as_database_read", place.complaint(&["experiment", "list", "--db", "folder"]));
    insta::assert_snapshot!("not_a_database", place.complaint(&["experiment", "run", good, "--db", "text.sqlite"]));
    insta::assert_snapshot!("not_a_database_read", place.complaint(&["doctor", "--db", "text.sqlite"]));
    insta::assert_snapshot!("no_folder", place.complaint(&["experiment", "run", good, "--db", "nowhere/x.sqlite"]));
    let other = place.path("other.sqlite");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
    insta::assert_snapshot!("another_program", place.complaint(&["experiment", "run", good, "--db", "other.sqlite"]));
    let newer = place.path("newer.sqlite");
    place.ok(&["experiment", "run", good, "--db", "newer.sqlite", "--quiet"]);
    rusqlite::Connection::open(&newer).unwrap().pragma_update(None, "user_version", 9).unwrap();
    insta::assert_snapshot!("newer_database", place.complaint(&["experiment", "list", "--db", "newer.sqlite"]));
}

#[test]
fn what_is_not_there_or_not_clear() {
    let place = Place::new();
    place.write("good.toml", &config("max_length = 2"));
    place.ok(&["experiment", "run", "good.toml", "--name", "circles", "--quiet"]);
    insta::assert_snapshot!("unknown_experiment", place.complaint(&["experiment", "show", "circels"]));
    insta::assert_snapshot!("unknown_run", place.complaint(&["run", "show", "zz"]));
    insta::assert_snapshot!("unknown_model_test", place.complaint(&["model", "test", "DummyTextt"]));
    insta::assert_snapshot!("unknown_command", place.complaint(&["experimant", "list"]));
    insta::assert_snapshot!("delete_without_a_yes", place.complaint(&["experiment", "delete", "circles"]));
    insta::assert_snapshot!("extend_by_nothing", place.complaint(&["experiment", "extend", "circles"]));
    insta::assert_snapshot!(
        "extend_shrinks",
        place.complaint(&["experiment", "extend", "circles", "--max-length", "1"])
    );
    insta::assert_snapshot!(
        "extend_twice",
        place.complaint(&["experiment", "extend", "circles", "--embedding-model", "DummyText"])
    );
    insta::assert_snapshot!(
        "extend_too_long",
        place.complaint(&["experiment", "extend", "circles", "--max-length", "9007199254740993"])
    );
    insta::assert_snapshot!(
        "extend_unknown_model",
        place.complaint(&["experiment", "extend", "circles", "--embedding-model", "DummyTxet", "--prompt", "b"])
    );
    insta::assert_snapshot!("name_latest", place.complaint(&["experiment", "run", "good.toml", "--name", "latest"]));
    insta::assert_snapshot!("name_blank", place.complaint(&["experiment", "run", "good.toml", "--name", " "]));
    place.ok(&["backup", "copy.sqlite"]);
    insta::assert_snapshot!("backup_exists", place.complaint(&["backup", "copy.sqlite"]));
}

#[test]
fn another_process_holds_the_write_lock() {
    let place = Place::new();
    place.write("good.toml", &config("max_length = 2"));
    place.ok(&["experiment", "run", "good.toml", "--quiet"]);
    let other = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let complaint = place.complaint(&["experiment", "run", "good.toml", "--busy-timeout", "1"]);
    insta::assert_snapshot!("write_lock_held", complaint);
    // Reading is always possible.
    place.ok(&["experiment", "list"]);
}

#[test]
fn a_nearly_full_disk_is_refused_before_anything_is_written() {
    let place = Place::new();
    place.write("good.toml", &config("max_length = 2"));
    let complaint = place.complaint(&["experiment", "run", "good.toml", "--min-free", "1000000000"]);
    // How much is free differs from machine to machine.
    let start = complaint.find(" has ").unwrap() + 5;
    let end = complaint.find(" MiB free").unwrap();
    insta::assert_snapshot!("disk_nearly_full", format!("{}N{}", &complaint[..start], &complaint[end..]));
    assert!(!place.path("loopscope.sqlite").exists());
}
