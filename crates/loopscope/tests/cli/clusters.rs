//! `cluster run|list|show|delete|reset` and `array cluster`: what they print, what their JSON holds, what they refuse.

use std::path::PathBuf;

use serde_json::Value;

use crate::support::Place;

fn fixture(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../loopscope-analysis/tests/fixtures/cluster");
    folder.join(name).to_str().unwrap().to_owned()
}

/// An experiment whose content depends on nothing but its config.
fn place() -> Place {
    let place = Place::new();
    let config = r#"{"networks": [["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T2"]], "prompts": ["a red circle", "fire"],
        "seeds": [1, 2, 3], "embedding_models": ["DummyText", "DummyVision"], "max_length": 40}"#;
    place.write("small.json", config);
    place.ok(&["experiment", "run", "small.json", "--quiet"]);
    place
}

/// Takes out what is new each time: ids and times.
fn without_news(text: &str) -> String {
    let is_hex = |word: &str| word.len() >= 4 && word.chars().all(|letter| letter.is_ascii_hexdigit());
    let is_id = |word: &str| word.contains('-') && word.split('-').all(is_hex) || word.len() == 8 && is_hex(word);
    let is_time = |word: &str| word.len() == 5 && word.as_bytes()[2] == b':';
    let is_date = |word: &str| word.len() == 10 && word.as_bytes()[4] == b'-' && word.as_bytes()[7] == b'-';
    let word = |word: &str| {
        let bare = word.trim_matches(['(', ')']);
        if is_id(bare) || is_time(bare) || is_date(bare) {
            word.replace(bare, &"_".repeat(bare.len()))
        } else {
            word.to_owned()
        }
    };
    text.split(' ')
        .map(|piece| piece.split('\n').map(word).collect::<Vec<_>>().join("\n"))
        .collect::<Vec<_>>()
        .join(" ")
}

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn listed(place: &Place) -> Vec<Value> {
    place.json(&["cluster", "list", "--json"]).as_array().unwrap().clone()
}

#[test]
fn clusterings_are_made_shown_and_deleted() {
    let place = place();
    insta::assert_snapshot!(place.ok(&["cluster", "list"]));
    let run = ["cluster", "run", "DummyText", "--min-cluster-size", "5", "--threads", "1", "--quiet"];
    insta::assert_snapshot!("cluster_run", without_news(&place.ok(&run)));
    insta::assert_snapshot!("cluster_show", without_news(&place.ok(&["cluster", "show"])));
    insta::assert_snapshot!("cluster_delete_unasked", place.complaint(&["cluster", "delete", "latest"]));
    assert_eq!(listed(&place).len(), 1);
    insta::assert_snapshot!("cluster_delete", place.ok(&["cluster", "delete", "latest", "--yes"]));
    assert!(listed(&place).is_empty());
    insta::assert_snapshot!("cluster_show_nothing", place.complaint(&["cluster", "show"]));
    place.ok(&["doctor", "--quiet"]);
}

#[test]
fn json_says_what_was_asked_and_what_came() {
    let place = place();
    let made = place.json(&["cluster", "run", "--preset", "reference", "--json", "--quiet"]);
    assert_eq!(made.as_array().unwrap().len(), 2, "one for each embedder");
    for row in made.as_array().unwrap() {
        let expected = [
            "algorithm",
            "clusters",
            "completed_at",
            "created_at",
            "embedding_model",
            "id",
            "layer",
            "members",
            "noise",
            "outliers",
            "parameters",
            "started_at",
        ];
        assert_eq!(keys(row), expected);
        let parameters = &row["parameters"];
        assert_eq!((&parameters["preset"], &parameters["epsilon"]), (&"reference".into(), &0.4.into()));
        assert_eq!((&parameters["min_samples"], &parameters["duplicates"]), (&2.into(), &"keep".into()));
        let measured = ["distinct", "noise_by_distance", "noise_by_distance_above", "persistence"];
        assert_eq!(keys(&parameters["measured"]), measured);
        let shown = place.json(&["cluster", "show", row["id"].as_str().unwrap(), "--json"]);
        let clusters = shown["clusters_by_size"].as_array().unwrap();
        assert_eq!(clusters.len() as u64, row["clusters"].as_u64().unwrap());
        let held: u64 = clusters.iter().map(|cluster| cluster["members"].as_u64().unwrap()).sum();
        assert_eq!(held + row["outliers"].as_u64().unwrap(), row["members"].as_u64().unwrap());
        assert_eq!(shown["experiments"][0]["name"], "small");
    }
}

#[test]
fn layers_and_optics_are_stored_too() {
    let place = place();
    place.ok(&["cluster", "run", "DummyVision", "--algorithm", "layers", "--min-cluster-size", "3", "--quiet"]);
    let layers: Vec<u64> = listed(&place).iter().map(|row| row["layer"].as_u64().unwrap()).collect();
    assert_eq!(layers, (0..layers.len() as u64).collect::<Vec<_>>(), "finest first");
    place.ok(&["cluster", "run", "DummyText", "--algorithm", "optics", "--downsample", "2", "--quiet"]);
    let rows = listed(&place);
    let optics = rows.iter().find(|row| row["algorithm"] == "optics").unwrap();
    assert_eq!((&optics["parameters"]["xi"], &optics["parameters"]["downsample"]), (&0.05.into(), &2.into()));
}

#[test]
fn reset_knows_the_models() {
    let place = place();
    place.ok(&["cluster", "run", "--quiet"]);
    insta::assert_snapshot!("cluster_reset_unknown", place.complaint(&["cluster", "reset", "DummyTex", "--yes"]));
    assert_eq!(listed(&place).len(), 2);
    place.ok(&["cluster", "reset", "DummyText", "--yes"]);
    assert_eq!(listed(&place).len(), 1);
    place.ok(&["cluster", "reset", "DummyText", "--yes"]);
    place.ok(&["cluster", "reset", "--yes"]);
    assert!(listed(&place).is_empty());
}

#[test]
fn an_experiment_that_goes_takes_its_clusterings_along() {
    let place = place();
    place.ok(&["cluster", "run", "--quiet"]);
    place.ok(&["experiment", "delete", "small", "--yes"]);
    assert!(listed(&place).is_empty());
    insta::assert_snapshot!("cluster_run_on_nothing", place.complaint(&["cluster", "run"]));
}

#[test]
fn bad_input_is_named() {
    let place = place();
    let cloud = fixture("single_blob.npy");
    let mut said = String::new();
    let mut ask = |arguments: &[&str]| {
        let shown = arguments.join(" ").replace(&cloud, "CLOUD");
        said += &format!("$ {shown}\n{}\n", place.complaint(arguments).replace(&cloud, "CLOUD"));
    };
    ask(&["cluster", "run", "DumyText"]);
    ask(&["cluster", "run", "--experiment", "smal"]);
    ask(&["cluster", "run", "--downsample", "0"]);
    ask(&["cluster", "run", "--min-cluster-size", "1"]);
    ask(&["cluster", "show", "zz"]);
    ask(&["array", "cluster", "missing.npy"]);
    ask(&["array", "cluster", &cloud, "--epsilon", "-1"]);
    ask(&["array", "cluster", &cloud, "--epsilon", "nan"]);
    ask(&["array", "cluster", &cloud, "--xi", "0.1"]);
    ask(&["array", "cluster", &cloud, "--algorithm", "optics", "--xi", "2"]);
    ask(&["array", "cluster", &cloud, "--algorithm", "optics", "--xi", "0.1", "--epsilon", "0.1"]);
    ask(&["array", "cluster", &cloud, "--algorithm", "optics", "--method", "leaf"]);
    ask(&["array", "cluster", &cloud, "--algorithm", "optics", "--assign", &cloud]);
    ask(&["array", "cluster", &cloud, "--memory-limit", "1KiB"]);
    insta::assert_snapshot!(said);
}

#[test]
fn files_are_clustered_as_asked() {
    let place = Place::new();
    let cloud = fixture("cores_sea.npy");
    let run = |more: &[&str]| place.json(&[&["array", "cluster", &cloud, "--json"], more].concat());
    let found = run(&[]);
    for key in ["labels", "probabilities", "medoids", "tree_weight", "n", "distinct", "noise_by_distance"] {
        assert!(!found[key].is_null(), "{key}");
    }
    assert_eq!(found["labels"].as_array().unwrap().len(), 1500);
    // Two threads find what one finds, and what is assigned to a clustering that it was made from stays where it was.
    let one = run(&["--threads", "1", "--preset", "default"]);
    assert_eq!((&one["labels"], &one["probabilities"]), (&found["labels"], &found["probabilities"]));
    let layers = run(&["--algorithm", "layers", "--min-cluster-size", "5"]);
    assert!(layers["layers"].as_array().unwrap().len() > 1);
    let optics = run(&["--algorithm", "optics", "--min-cluster-size", "5"]);
    assert_eq!(optics["ordering"].as_array().unwrap().len(), 1500);
    let assigned = run(&["--min-cluster-size", "5", "--assign", &cloud]);
    assert_eq!(assigned["assigned"]["labels"].as_array().unwrap().len(), 1500);
}

/// Runs SQL on the database, as a faulty program would.
fn meddle(place: &Place, sql: &str) {
    rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_model_that_does_not_cluster_is_recorded_and_stops_no_other() {
    let place = place();
    // One vector of another length than the rest.
    meddle(
        &place,
        "CREATE TABLE kept AS SELECT e.id, e.vector FROM embedding e JOIN invocation i ON i.id = e.invocation_id
           WHERE e.embedding_model = 'DummyText' ORDER BY e.rowid DESC LIMIT 1;
         UPDATE embedding SET vector = substr(vector, 1, 8) WHERE id = (SELECT id FROM kept);",
    );
    let ended = place.run(&["cluster", "run", "--threads", "1", "--quiet"]);
    assert_eq!(ended.code, 3, "{}", ended.stderr);
    assert!(ended.stdout.contains("DummyVision") && !ended.stdout.contains("DummyText"), "{}", ended.stdout);
    assert!(ended.stderr.contains("has 2 numbers, those before it"), "{}", ended.stderr);
    assert_eq!(listed(&place).len(), 1);
    let failed = || place.json(&["experiment", "show", "small", "--json"])["unresolved"].clone();
    let shown = failed();
    assert_eq!(shown["count"], 1, "{shown}");
    let failure = &shown["failures"][0];
    assert_eq!((&failure["stage"], &failure["subject"]), (&"clustering".into(), &"DummyText".into()));
    assert!(failure["error"].as_str().unwrap().contains("has 2 numbers"), "{failure}");
    // Alone it is the answer; and each attempt is a row.
    assert_eq!(place.run(&["cluster", "run", "DummyText", "--quiet"]).code, 1);
    // A number that means nothing is a slip, and no failure of the work.
    assert_eq!(place.run(&["cluster", "run", "--min-cluster-size", "1"]).code, 2);
    assert_eq!(place.run(&["cluster", "run", "--algorithm", "optics", "--xi", "2"]).code, 2);
    let count = "SELECT count(*) FROM failure WHERE stage = 'clustering' AND run_id IS NULL";
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    assert_eq!(sql.query_row(count, [], |row| row.get::<_, u64>(0)).unwrap(), 2);
    // NaN is refused with its address.
    meddle(&place, "UPDATE embedding SET vector = unhex('0000c07f') WHERE id = (SELECT id FROM kept);");
    let ended = place.run(&["cluster", "run", "DummyText", "--quiet"]);
    assert!(ended.code == 1 && ended.stderr.contains("error: embedding "), "{}", ended.stderr);
    assert!(failed()["failures"][0]["error"].as_str().unwrap().contains("NaN"), "{}", failed());
    // What is there by now has not failed any more.
    meddle(
        &place,
        "UPDATE embedding SET vector = (SELECT vector FROM kept) WHERE id = (SELECT id FROM kept); DROP TABLE kept;",
    );
    place.ok(&["cluster", "run", "DummyText", "--quiet"]);
    assert_eq!(failed()["count"], 0);
}

#[test]
fn too_little_memory_is_recorded_with_the_next_move() {
    let place = place();
    insta::assert_snapshot!(place.complaint(&["cluster", "run", "DummyText", "--memory-limit", "64KiB"]));
    let shown = place.json(&["experiment", "show", "small", "--json"]);
    assert_eq!(shown["unresolved"]["count"], 1, "{shown}");
}

#[test]
fn embeddings_of_several_versions_are_told() {
    let place = place();
    meddle(
        &place,
        "INSERT INTO model_version SELECT randomblob(16), name, kind, backend, 'earlier', weights_hash, parameters,
           determinism, program_version FROM model_version WHERE name = 'DummyText';
         UPDATE embedding SET model_version_id = (SELECT id FROM model_version WHERE revision = 'earlier')
           WHERE embedding_model = 'DummyText' AND rowid % 4 = 0;",
    );
    let ended = place.run(&["cluster", "run", "DummyText", "--quiet"]);
    assert_eq!(ended.code, 0);
    assert!(
        ended.stderr.contains("are of several versions (") && ended.stderr.contains("revision earlier"),
        "{}",
        ended.stderr
    );
    assert!(!place.run(&["cluster", "run", "DummyVision", "--quiet"]).stderr.contains("versions"));
}

#[test]
fn degenerate_points_are_clustered_or_refused_by_name() {
    let place = Place::new();
    let npy = |name: &str, shape: &str, values: &[f32]| {
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        crate::support::npy(&place, name, "<f4", shape, &bytes)
    };
    let copies = npy("copies.npy", "(8, 2)", &[0.6, 0.8].repeat(8));
    let labels =
        |arguments: &[&str]| place.json(&[&["array", "cluster"], arguments, &["--json"]].concat())["labels"].clone();
    assert_eq!(labels(&[&copies]), serde_json::json!([0, 0, 0, 0, 0, 0, 0, 0]), "one cluster is allowed");
    let none = serde_json::json!([-1, -1, -1, -1, -1, -1, -1, -1]);
    for duplicates in ["merge", "keep"] {
        let more = ["--min-cluster-size", "3", "--allow-single-cluster=false", "--duplicates", duplicates];
        assert_eq!(labels(&[&[copies.as_str()], &more[..]].concat()), none, "{duplicates}");
    }
    for algorithm in ["hdbscan", "layers", "optics"] {
        for (name, shape, values) in [
            ("none.npy", "(0, 2)", &[][..]),
            ("one.npy", "(1, 2)", &[1.0, 0.0]),
            ("two.npy", "(2, 2)", &[1.0, 0.0, 0.0, 1.0]),
        ] {
            let file = npy(name, shape, values);
            place.ok(&["array", "cluster", &file, "--algorithm", algorithm]);
            place.json(&["array", "cluster", &file, "--algorithm", algorithm, "--json"]);
        }
        place.ok(&["array", "cluster", &copies, "--algorithm", algorithm]);
    }
    let nan = npy("nan.npy", "(2, 2)", &[1.0, 0.0, f32::NAN, 1.0]);
    let zero = npy("zero.npy", "(2, 2)", &[1.0, 0.0, 0.0, 0.0]);
    let flat = npy("flat.npy", "(4,)", &[1.0, 0.0, 0.0, 0.0]);
    let said: String = [nan, zero, flat].map(|file| place.complaint(&["array", "cluster", &file])).join("\n");
    insta::assert_snapshot!(said);
}
