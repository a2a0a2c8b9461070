//! Commands that read: their JSON, the forms of an id, and that they write nothing.

use crate::support::{Place, content};

const CONFIG: &str = r#"{"network": ["DummyT2I", "DummyI2T"], "prompts": ["one red circle", ""], "num_runs": 2,
  "embedding_models": ["DummyText", "DummyVision"], "max_length": 6}"#;

fn place() -> Place {
    let place = Place::new();
    place.write("old.json", CONFIG);
    place.ok(&["experiment", "perform", "old.json", "--quiet"]);
    place
}

#[test]
fn the_old_dialect_and_the_old_spellings_work() {
    let place = place();
    let list = place.json(&["experiments", "list", "--json"]);
    assert_eq!(list[0]["name"], "old");
    assert_eq!(list[0]["state"], "complete");
    assert_eq!(list[0]["counts"]["invocations"], 24);
    let runs = place.json(&["runs", "list", "--json"]);
    assert_eq!(runs.as_array().unwrap().len(), 4);
    let numbers: Vec<_> = runs.as_array().unwrap().iter().map(|run| run["run_number"].as_u64().unwrap()).collect();
    assert_eq!(numbers, [0, 1, 0, 1]);
    assert_eq!(runs[0]["stop"]["reason"], "length");
}

#[test]
fn runs_show_every_step_and_their_pictures() {
    let place = place();
    let runs = place.json(&["run", "list", "--json"]);
    let id = runs[0]["id"].as_str().unwrap().to_owned();
    for form in [&id[..], &id[28..], &id.replace('-', "").to_uppercase()] {
        let run = place.json(&["run", "show", form, "--json"]);
        assert_eq!(run["id"].as_str().unwrap(), id);
        assert_eq!(run["invocations"].as_array().unwrap().len(), 6);
        assert_eq!(run["invocations"][0]["output"]["type"], "image");
        assert_eq!(run["invocations"][1]["output"]["type"], "text");
    }
    let text = place.ok(&["run", "show", &id, "--images", "pictures"]);
    assert!(text.contains("one red circle"), "{text}");
    let pictures = std::fs::read_dir(place.path("pictures")).unwrap().count();
    assert_eq!(pictures, 3);
}

#[test]
fn reading_leaves_the_folder_as_it_was() {
    let place = place();
    let listing = || {
        let mut files: Vec<_> = std::fs::read_dir(place.folder.path())
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                (entry.file_name(), std::fs::read(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    };
    let before = listing();
    for command in [
        &["experiment", "list"][..],
        &["experiment", "show"],
        &["run", "list"],
        &["run", "show"],
        &["doctor"],
        &["doctor", "--json"],
        &["config", "check", "old.json"],
        &["model", "list"],
        &["analyse", "drift"],
        &["analyse", "topology", "--json"],
        &["analyse", "markov"],
    ] {
        place.ok(command);
    }
    let after = listing();
    let names =
        |files: &[(std::ffi::OsString, Vec<u8>)]| files.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before));
    assert!(after == before, "a reading command changed a file");
}

#[test]
fn events_are_json_lines() {
    let place = Place::new();
    place.write("old.json", CONFIG);
    let lines = place.ok(&["experiment", "run", "old.json", "--json"]);
    let events: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.first().unwrap()["event"], "started");
    let last = events.last().unwrap();
    assert_eq!((last["event"].as_str(), last["outcome"].as_str()), (Some("finished"), Some("completed")));
    assert_eq!(last["progress"]["invocations"]["done"], 24);
}

#[test]
fn the_same_seeds_give_the_same_content_with_any_number_of_threads() {
    let config =
        CONFIG.replace("\"num_runs\": 2", "\"seeds\": [0, 5, 5]").replace("\"max_length\": 6", "\"max_length\": 60");
    let contents = ["1", "2", "5"].map(|threads| {
        let place = Place::new();
        place.write("seeds.json", &config);
        place.ok(&["experiment", "run", "seeds.json", "--quiet", "--threads", threads]);
        content(&place.path("loopscope.sqlite"))
    });
    assert_eq!(contents[0], contents[1]);
    assert_eq!(contents[0], contents[2]);
    let twins: Vec<_> =
        contents[0].iter().filter(|(key, _)| key.2 == 5 && key.1.is_empty()).map(|(_, run)| run).collect();
    assert_eq!(twins.len(), 2);
    assert_eq!(twins[0], twins[1], "a seed given twice is two equal runs");
}

#[test]
fn extend_delete_and_backup_work_together() {
    let place = place();
    place.ok(&["experiment", "extend", "old", "--prompts", "two", "--embedding-models", "DummyText2", "--quiet"]);
    let summary = place.json(&["experiment", "show", "old", "--json"]);
    assert_eq!((&summary["counts"]["runs"], &summary["counts"]["embeddings"]), (&6.into(), &(6 * 9).into()));
    place.ok(&["backup", "copy.sqlite"]);
    assert_eq!(content(&place.path("copy.sqlite")), content(&place.path("loopscope.sqlite")));
    place.ok(&["doctor", "--strict", "--db", "copy.sqlite"]);
    let gone = place.json(&["experiment", "delete", "latest", "--yes", "--json"]);
    assert_eq!(gone["runs"], 6);
    assert_eq!(place.json(&["experiment", "list", "--json"]).as_array().unwrap().len(), 0);
    place.ok(&["doctor", "--strict"]);
}

#[test]
fn demos_migrations_and_errors_tell_programs_what_they_came_to() {
    let place = place();
    assert_eq!(place.json(&["migrate", "--json"])["is_up_to_date"], true);
    let demo = place.ok(&["demo", "--json"]);
    let last: serde_json::Value = serde_json::from_str(demo.lines().last().unwrap()).unwrap();
    assert_eq!(last["event"], "demo");
    assert_eq!(last["filmstrips"].as_array().unwrap().len(), 4);
    assert!(!last["clusterings"].as_array().unwrap().is_empty());
    let failed = place.run(&["experiment", "resume", "nowhere", "--json"]);
    let last: serde_json::Value = serde_json::from_str(failed.stdout.lines().last().unwrap()).unwrap();
    assert_eq!((failed.code, &last["event"]), (2, &"error".into()));
    assert!(last["error"].as_str().unwrap().contains("nowhere"), "{last}");
    assert!(last["causes"].is_array());
    let watched = place.ok(&["experiment", "show", "old", "--watch", "--json"]);
    assert_eq!(watched.lines().count(), 1, "it is complete, and a look is a line: {watched}");
}

#[test]
fn runs_are_listed_by_position_or_by_option() {
    let place = place();
    let listed = place.ok(&["run", "list", "--json"]);
    for form in [&["run", "list", "old", "--json"][..], &["run", "list", "--experiment", "old", "--json"]] {
        assert_eq!(place.ok(form), listed);
    }
    assert_eq!(place.run(&["run", "list", "old", "--experiment", "old"]).code, 2);
}

#[test]
fn a_reader_that_leaves_does_not_hide_how_it_ended() {
    let place = place();
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    sql.execute_batch("UPDATE run SET max_length = 2").unwrap();
    assert_eq!(place.run(&["doctor"]).code, 1, "there is something to find");
    for (arguments, code) in
        [(&["experiment", "run", "old.json", "--name", "again"][..], 0), (&["doctor"], 1), (&["doctor", "--json"], 1)]
    {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let status = place.command(arguments).stdout(writer).stderr(std::process::Stdio::null()).status().unwrap();
        assert_eq!(status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn what_failed_and_is_still_missing_is_shown_for_all_stages() {
    let place = place();
    let runs = place.json(&["run", "list", "--json"]);
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let fail = |number: i64, stage: &str, subject: &str| {
        sql.execute(
            "INSERT INTO failure (id, experiment_id, run_id, stage, subject, attempt, error, occurred_at) \
             SELECT randomblob(16), experiment_id, id, ?2, ?3, 1, 'no answer', ?4 FROM run WHERE lower(hex(id)) = ?1",
            (run.replace('-', ""), stage, subject, 1_700_000_000_000_000 + number),
        )
        .unwrap();
    };
    // All of these are there.
    fail(1, "run", "DummyI2T #1");
    fail(2, "embedding", "DummyText #1");
    fail(3, "diagram", "DummyText");
    let calm = place.json(&["experiment", "show", "--json"]);
    assert_eq!(calm["unresolved"]["count"], 0, "{}", calm["unresolved"]);
    // None of these is, and two attempts at one object are one failure.
    fail(4, "embedding", "DummyText #0");
    fail(5, "embedding", "DummyText #0");
    fail(6, "diagram", "Another");
    (0..12).for_each(|number| fail(10 + number, "run", &format!("DummyT2I #{}", 6 + 2 * number)));
    for command in [&["experiment", "show"][..], &["run", "show", &run]] {
        let shown = place.json(&[command, &["--json"]].concat());
        assert_eq!(shown["unresolved"]["count"], 14);
        assert_eq!(shown["unresolved"]["failures"].as_array().unwrap().len(), 14);
        assert_eq!(shown["unresolved"]["failures"][0]["subject"], "DummyT2I #28", "the newest comes first");
        let text = place.ok(command);
        assert!(text.contains("failed and still missing: 14") && text.contains("no answer"), "{text}");
        assert!(text.contains("… and 4 more"), "{text}");
    }
    let other = place.json(&["run", "show", runs[1]["id"].as_str().unwrap(), "--json"]);
    assert_eq!(other["unresolved"]["count"], 0);
}

#[test]
fn a_file_whose_name_no_experiment_can_have_still_runs() {
    let place = Place::new();
    for file in ["latest.json", " .json"] {
        place.write(file, CONFIG);
        place.ok(&["experiment", "run", file, "--quiet"]);
    }
    let experiments = place.json(&["experiment", "list", "--json"]);
    let names: Vec<_> = experiments.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["experiment", "experiment-2"]);
}

#[test]
fn every_model_passes_its_own_test() {
    let place = Place::new();
    let models = place.json(&["model", "list", "--installed", "--json"]);
    assert_eq!(models.as_array().unwrap().len(), 8);
    for model in models.as_array().unwrap() {
        assert!(model["about"].as_str().unwrap().contains("dummy"));
        let name = model["name"].as_str().unwrap();
        assert_eq!(place.json(&["model", "test", name, "--json"])["repeats"], true, "{name}");
    }
}

#[test]
fn the_schema_of_a_config_is_json() {
    let schema = place().json(&["config", "schema"]);
    assert!(schema["properties"]["networks"].is_object());
}

#[test]
fn a_diagram_that_needs_more_memory_is_tried_again_with_more_and_names_its_loop() {
    let place = Place::new();
    place.write(
        "loops.toml",
        "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a red circle\"]\nseeds = [-1]\n\
         embedding_models = [\"DummyText\"]\nmax_length = 120\ngenerators = 2\ndiagram_memory_limit = \"1KiB\"\n",
    );
    let failed = place.complaint(&["experiment", "run", "loops.toml"]);
    assert!(failed.starts_with("exit 3"), "{failed}");
    assert!(failed.contains("memory must stay within 1024 bytes, got a need of"), "{failed}");
    place.ok(&["experiment", "resume", "latest", "--diagram-memory", "1GiB"]);
    let run = place.json(&["run", "show", "latest", "--json"]);
    let around = &run["loops"][0];
    assert_eq!(around["embedding_model"], "DummyText");
    let steps: Vec<u64> = serde_json::from_value(around["steps"].clone()).unwrap();
    // The describer has every second step; the painter's pictures have no vector of this model.
    assert!(steps.len() >= 4 && steps.iter().all(|step| step % 2 == 1 && *step < 120), "{steps:?}");
    assert!(place.ok(&["run", "show", "latest"]).contains("The most persistent loop:"));
    place.ok(&["doctor"]);
}
