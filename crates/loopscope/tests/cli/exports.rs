//! `export parquet|hf|images` and `inspect` as people meet them: what they print, what they refuse.

use crate::support::Place;

const CONFIG: &str = "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a red circle\", \"a house: by the lake?\"]\nseeds = [1]\n\
                      embedding_models = [\"DummyText\", \"DummyVision2\"]\nmax_length = 6\n";

fn place() -> Place {
    let place = Place::new();
    place.write("circles.toml", CONFIG);
    place.ok(&["experiment", "run", "circles.toml", "--quiet"]);
    place
}

fn exists(place: &Place, name: &str) -> bool {
    place.path(name).exists()
}

#[test]
fn tables_are_written_and_told_of() {
    let place = place();
    let told = place.ok(&["export", "parquet", "circles", "--out", "tables", "--embed-prompts"]);
    assert!(told.contains("embeddings/DummyText.parquet") && told.contains("wrote 12 files, "), "{told}");
    let json = place.json(&["export", "parquet", "latest", "--out", "more/tables", "--images", "--json"]);
    let rows = |name: &str| {
        let tables = json["written"]["tables"].as_array().unwrap();
        tables.iter().find(|table| table["file"] == name).unwrap()["rows"].as_u64().unwrap()
    };
    let counts = |table: &str| {
        let raw = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
        raw.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, u64>(0)).unwrap()
    };
    assert_eq!((rows("runs.parquet"), rows("wide.parquet")), (2, counts("invocation")));
    assert_eq!(rows("images.parquet"), counts("image"));
    assert_eq!(rows("embeddings/DummyText.parquet") + rows("embeddings/DummyVision2.parquet"), counts("embedding"));
}

#[test]
fn exports_refuse_what_they_should_and_leave_nothing() {
    let place = place();
    place.ok(&["export", "parquet", "circles", "--out", "tables"]);
    insta::assert_snapshot!("out_is_not_empty", place.complaint(&["export", "parquet", "circles", "--out", "tables"]));
    place.ok(&["export", "parquet", "circles", "--out", "tables", "--force"]);
    place.write("file", "");
    insta::assert_snapshot!("out_is_a_file", place.complaint(&["export", "images", "circles", "--out", "file"]));
    insta::assert_snapshot!("out_is_below_a_file", place.complaint(&["export", "hf", "file/set", "circles"]));
    let unknown = ["export", "parquet", "circles", "--out", "new", "--embedding-model", "DumyText"];
    insta::assert_snapshot!("unknown_embedding_model", place.complaint(&unknown));
    insta::assert_snapshot!("unknown_experiment", place.complaint(&["export", "images", "circle", "--out", "new"]));
    place.write(
        "words.toml",
        "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"x\"]\nseeds = [1]\nembedding_models = [\"DummyText\"]\nmax_length = 2\n",
    );
    place.ok(&["experiment", "run", "words.toml", "--quiet"]);
    let raw = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute_batch(
        "DELETE FROM embedding; DELETE FROM embedding_cluster; DELETE FROM invocation; DELETE FROM persistence_diagram; \
         UPDATE experiment SET completed_at = NULL",
    )
    .unwrap();
    insta::assert_snapshot!("nothing_to_export", place.complaint(&["export", "parquet", "words", "--out", "new"]));
    insta::assert_snapshot!("no_pictures", place.complaint(&["export", "images", "words", "--out", "new"]));
    assert!(!exists(&place, "new"));
}

#[test]
fn what_a_killed_export_left_is_named_and_taken_away() {
    let place = place();
    std::fs::create_dir_all(place.path("tables/embeddings")).unwrap();
    place.write("tables/embeddings/.DummyText.parquet.77.loopscope.part", "half");
    place.write("tables/gone.parquet", "whole");
    place.write("tables/.loopscope-export.under-way", "gone.parquet\n");
    let told = place.complaint(&["export", "parquet", "circles", "--out", "tables"]);
    assert!(told.contains("(an export into it was killed, or is under way)") && told.contains("--force"), "{told}");
    let ended = place.run(&["export", "parquet", "circles", "--out", "tables", "--force"]);
    assert_eq!(ended.code, 0, "{}", ended.stderr);
    let named =
        "took away tables/embeddings/.DummyText.parquet.77.loopscope.part, half written by an export that was killed";
    assert!(ended.stderr.contains(named), "{}", ended.stderr);
    assert!(!exists(&place, "tables/embeddings/.DummyText.parquet.77.loopscope.part"));
    assert!(!exists(&place, "tables/gone.parquet") && exists(&place, "tables/embeddings/DummyText.parquet"));
}

#[test]
fn an_unfinished_experiment_is_exported_as_far_as_it_is() {
    let place = place();
    let raw = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    raw.execute_batch("DELETE FROM persistence_diagram; UPDATE experiment SET completed_at = NULL").unwrap();
    drop(raw);
    for arguments in [["export", "parquet", "circles", "--out", "a"], ["export", "images", "circles", "--out", "b"]] {
        let ended = place.run(&arguments);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
        assert!(
            ended.stderr.contains("experiment \"circles\" is not complete; exported is what is there"),
            "{}",
            ended.stderr
        );
    }
    assert!(exists(&place, "a/pairs.parquet"));
}

#[test]
fn pictures_say_where_they_come_from() {
    let place = place();
    let raw = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let pictures: u64 = raw.query_row("SELECT count(output_image) FROM invocation", [], |row| row.get(0)).unwrap();
    drop(raw);
    for format in ["webp", "png"] {
        let out = format!("pictures-{format}");
        let told = place.ok(&["export", "images", "circles", "--out", &out, "--format", format]);
        assert!(told.starts_with(&format!("wrote {pictures} pictures, ")), "{told}");
        let converted = format!("; {pictures} of them converted to png, without loss\n");
        assert_eq!(told.ends_with(&converted), format == "png", "{told}");
        let file = format!("{out}/DummyT2I-DummyI2T/a-house-by-the-lake/run_0/seq_002.{format}");
        let said = place.json(&["inspect", &file, "--json"]);
        let said = &said[0];
        assert_eq!(
            (said["initial_prompt"].as_str(), said["sequence_number"].as_u64(), said["model"].as_str()),
            (Some("a house: by the lake?"), Some(2), Some("DummyT2I"))
        );
        // The command that it names works, and shows that run.
        let command = said["command"].as_str().unwrap();
        let arguments: Vec<&str> = command.split(' ').skip(1).collect();
        assert!(place.ok(&arguments).contains(said["run_id"].as_str().unwrap()), "{command}");
        let told = place.ok(&["inspect", &file]);
        for part in ["experiment  circles (", "step        2 (", "seed        ", "`loopscope run show "] {
            assert!(told.contains(part), "{told}");
        }
    }
    place.ok(&["export", "images", "circles", "--out", "silent", "--no-metadata"]);
    place.write("text.png", "no picture");
    let silent = "silent/DummyT2I-DummyI2T/a-red-circle/run_0/seq_000.webp";
    insta::assert_snapshot!("silent_picture", place.complaint(&["inspect", silent]));
    insta::assert_snapshot!("no_picture", place.complaint(&["inspect", "text.png"]));
    insta::assert_snapshot!("no_picture_file", place.complaint(&["inspect", "nowhere.png"]));
}

#[test]
fn a_data_set_is_written_where_it_should_be() {
    let place = place();
    let told = place.ok(&["export", "hf", "set"]);
    assert!(told.contains("In Python: datasets.load_dataset(\"set\")"), "{told}");
    assert!(exists(&place, "set/README.md") && exists(&place, "set/data/steps-00000.parquet"));
    assert!(exists(&place, "set/embeddings/DummyVision2.parquet"));
}
