//! `import legacy`: the three layouts to their manifests, twice, dry, stopped, and what is refused.

use std::path::{Path, PathBuf};

use crate::support::Place;

const LAYOUTS: [&str; 3] = ["cluster", "medoid", "required"];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/legacy").join(name)
}

fn read_json(path: &Path) -> serde_json::Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

/// A copy of a fixture, which the test may change.
pub(crate) fn copied(place: &Place, layout: &str) -> String {
    let copy = place.path(&format!("{layout}-legacy.sqlite"));
    std::fs::write(&copy, std::fs::read(fixture(&format!("{layout}.sqlite"))).unwrap()).unwrap();
    copy.display().to_string()
}

pub(crate) fn count(place: &Place, sql: &str) -> i64 {
    let connection = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    connection.query_row(sql, [], |row| row.get(0)).unwrap()
}

#[test]
fn each_layout_imports_to_its_manifest_twice_and_dry() {
    for layout in LAYOUTS {
        let place = Place::new();
        let (source, manifest) = (copied(&place, layout), read_json(&fixture(&format!("{layout}.json"))));
        let before = std::fs::read(&source).unwrap();
        let import = ["import", "legacy", &source, "--report", "report.json"];
        place.ok(&[&import[..], &["--dry-run"]].concat());
        assert!(!place.path("loopscope.sqlite").exists(), "a dry run writes no target");
        assert_eq!(read_json(&place.path("report.json")), manifest, "{layout}, dry");
        place.ok(&import);
        assert_eq!(read_json(&place.path("report.json")), manifest, "{layout}");
        let rows = "SELECT (SELECT count(*) FROM invocation) + (SELECT count(*) FROM embedding) \
                    + (SELECT count(*) FROM persistence_diagram) + (SELECT count(*) FROM embedding_cluster)";
        let there = count(&place, rows);
        let again = place.run(&import);
        assert!(again.stderr.contains("everything was imported before; nothing was added"), "{}", again.stderr);
        assert_eq!(read_json(&place.path("report.json")), manifest, "{layout}, again");
        assert_eq!(count(&place, rows), there);
        assert_eq!(std::fs::read(&source).unwrap(), before, "the source is only read");
        // The source, the target and the report, and nothing beside them.
        assert_eq!(std::fs::read_dir(place.folder.path()).unwrap().count(), 3);
    }
}

#[test]
fn counts_agree_with_the_lists() {
    let place = Place::new();
    let source = copied(&place, "medoid");
    place.ok(&["import", "legacy", &source, "--dry-run", "--report", "counts.json", "--report-counts"]);
    let (counts, lists) = (read_json(&place.path("counts.json")), read_json(&fixture("medoid.json")));
    for (table, parts) in lists.as_object().unwrap() {
        assert_eq!(counts[table]["source"], parts["source"]);
        assert_eq!(counts[table]["carried"], parts["carried"].as_array().unwrap().len());
        for (reason, ids) in parts["dropped"].as_object().unwrap() {
            assert_eq!(counts[table]["dropped"][reason], ids.as_array().unwrap().len(), "{table} {reason}");
        }
    }
    let summary = place.json(&["import", "legacy", &source, "--dry-run", "--json"]);
    assert_eq!(summary["tables"]["invocation"]["source"], lists["invocation"]["source"]);
}

#[test]
fn two_files_go_into_a_store_with_experiments_of_its_own() {
    let place = Place::new();
    place.ok(&["demo", "--quiet"]);
    let native = count(&place, "SELECT count(*) FROM invocation");
    place.ok(&["import", "legacy", &copied(&place, "required")]);
    let carried = read_json(&fixture("required.json"))["invocation"]["carried"].as_array().unwrap().len() as i64;
    assert_eq!(count(&place, "SELECT count(*) FROM invocation"), native + carried);
    assert_eq!(
        count(&place, "SELECT count(*) FROM experiment WHERE origin = 'legacy' AND name LIKE 'legacy-________'"),
        2
    );
    assert_eq!(count(&place, "SELECT count(*) FROM pragma_foreign_key_check"), 0);
}

#[test]
fn times_are_read_in_the_zone_that_is_named() {
    let place = Place::new();
    let source = copied(&place, "medoid");
    place.ok(&["import", "legacy", &source, "--timezone", "Europe/Berlin"]);
    // 2025-08-02 11:37:03.303423 in Berlin, in summer.
    assert_eq!(count(&place, "SELECT min(started_at) FROM experiment"), 1_754_127_423_303_423);
    assert_eq!(count(&place, "SELECT count(*) FROM experiment WHERE config ->> 'timezone' = 'Europe/Berlin'"), 2);
    let refused = place.complaint(&["import", "legacy", &source]);
    assert!(
        refused.starts_with("exit 1\n") && refused.contains("is there already and says something else"),
        "{refused}"
    );
    let unknown = place.complaint(&["import", "legacy", &source, "--timezone", "Europe/Berlim"]);
    assert!(unknown.starts_with("exit 2\n") && unknown.contains("did you mean \"Europe/Berlin\"?"), "{unknown}");
}

#[test]
fn what_is_no_legacy_file_is_refused_and_leaves_nothing() {
    let place = Place::new();
    place.write(
        "text.sqlite",
        "no database, but long enough to be looked at as one, for a header has a hundred bytes and more than that",
    );
    place.write("empty.sqlite", "");
    rusqlite::Connection::open(place.path("other.sqlite")).unwrap().execute_batch("CREATE TABLE run (id)").unwrap();
    let cut = std::fs::read(fixture("medoid.sqlite")).unwrap();
    std::fs::write(place.path("cut.sqlite"), &cut[..cut.len() / 3]).unwrap();
    let hot = copied(&place, "required");
    std::fs::write(format!("{hot}-wal"), "not empty").unwrap();
    for (name, expected) in [
        ("missing.sqlite", "there is no file"),
        (".", "it is a directory"),
        ("text.sqlite", "it is no SQLite database"),
        ("empty.sqlite", "it is no SQLite database"),
        ("other.sqlite", "it has no table experimentconfig, invocation, embedding, persistencediagram"),
        ("cut.sqlite", "cannot be read as a database of the earlier tool"),
        (&hot, "holds changes that are not in the file yet"),
    ] {
        let told = place.complaint(&["import", "legacy", name, "--db", "target.sqlite", "--report", "report.json"]);
        assert!(told.starts_with("exit 1\n") && told.contains(expected), "{name}: {told}");
        assert!(!place.path("report.json").exists());
    }
    place.ok(&["demo", "--quiet"]);
    let ours = place.complaint(&["import", "legacy", "loopscope.sqlite", "--db", "target.sqlite"]);
    assert!(ours.contains("it is a loopscope database already"), "{ours}");
}
