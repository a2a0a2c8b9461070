//! `merge`, `export db` and `verify` as people meet them: what they print, what they refuse, and what kill −9 does.

use std::collections::BTreeMap;
use std::process::Stdio;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::support::Place;

const CONFIG: &str = "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a red circle\", \"\"]\nseeds = [1]\n\
                      embedding_models = [\"DummyText\", \"DummyVision\"]\nmax_length = 8\n";

fn run(place: &Place, database: &str, name: &str) {
    place.write("some.toml", CONFIG);
    place.ok(&["experiment", "run", "some.toml", "--name", name, "--quiet", "--db", database]);
}

fn sql(place: &Place, database: &str, text: &str) {
    let raw = Connection::open(place.path(database)).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute_batch(text).unwrap();
}

/// Every row of every table.
fn dump(place: &Place, database: &str) -> BTreeMap<String, Vec<String>> {
    let raw = Connection::open(place.path(database)).unwrap();
    let mut names = raw.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let names: Vec<String> = names.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let rows = |table: &String| {
        let mut statement = raw.prepare(&format!("SELECT * FROM \"{table}\" ORDER BY 1")).unwrap();
        let columns = statement.column_count();
        let read =
            |row: &rusqlite::Row<'_>| (0..columns).map(|index| row.get(index)).collect::<Result<Vec<Value>, _>>();
        statement.query_map([], |row| Ok(format!("{:?}", read(row)?))).unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    names.iter().map(|table| (table.clone(), rows(table))).collect()
}

/// Ids are random: each becomes a letter, by order of appearance.
fn without_ids(text: &str) -> String {
    let mut seen: Vec<String> = Vec::new();
    let is_id = |word: &str| {
        let is_hex = word.len() >= 8 && word.chars().all(|letter| letter.is_ascii_hexdigit() || letter == '-');
        is_hex && (word.len() == 8 || word.len() == 36)
    };
    let mut shown = String::new();
    for word in text.split_inclusive(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-')) {
        let bare = word.trim_end_matches(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '-'));
        if is_id(bare) {
            let known = seen.iter().position(|id| id == bare).unwrap_or_else(|| {
                seen.push(bare.to_owned());
                seen.len() - 1
            });
            shown += &format!("[id {known}]{}", &word[bare.len()..]);
        } else {
            shown += word;
        }
    }
    shown
}

#[test]
fn stores_merge_and_come_apart_again() {
    let place = Place::new();
    run(&place, "a.sqlite", "circles");
    run(&place, "b.sqlite", "circles");
    run(&place, "b.sqlite", "rings");
    let dry = place.ok(&["merge", "a.sqlite", "b.sqlite", "--db", "all.sqlite", "--dry-run"]);
    assert!(!place.path("all.sqlite").exists());
    let merged = place.ok(&["merge", "a.sqlite", "b.sqlite", "--db", "all.sqlite"]);
    let again = place.ok(&["merge", "a.sqlite", "b.sqlite", "--db", "all.sqlite"]);
    insta::assert_snapshot!("merged", without_ids(&format!("{dry}---\n{merged}---\n{again}")));
    place.ok(&["doctor", "--strict", "--decode-images", "--db", "all.sqlite"]);

    let exported = place.ok(&["export", "db", "circles-2", "rings", "sub.sqlite", "--db", "all.sqlite"]);
    let size = exported.rfind('(').unwrap();
    insta::assert_snapshot!("exported", without_ids(&exported[..size]));
    place.ok(&["doctor", "--strict", "--decode-images", "--db", "sub.sqlite"]);
    let before = dump(&place, "all.sqlite");
    let back = place.json(&["merge", "sub.sqlite", "--db", "all.sqlite", "--json"]);
    assert_eq!(back["sources"][0]["experiments"][0]["merged"], "present");
    assert_eq!(dump(&place, "all.sqlite"), before);
    // The other way round, names aside, is the store that it came from.
    place.ok(&["export", "db", "circles-2", "rings", "circles", "all2.sqlite", "--db", "all.sqlite"]);
    assert_eq!(dump(&place, "all2.sqlite"), before);
    let files = std::fs::read_dir(place.folder.path()).unwrap();
    let left: Vec<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| !(name.ends_with(".sqlite") || name.ends_with(".toml")))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn what_cannot_be_merged_or_exported_is_told() {
    let place = Place::new();
    run(&place, "a.sqlite", "circles");
    std::fs::copy(place.path("a.sqlite"), place.path("b.sqlite")).unwrap();
    let own = place.complaint(&["merge", "a.sqlite", "--db", "a.sqlite"]);
    insta::assert_snapshot!("merge_into_itself", own);
    insta::assert_snapshot!("merge_nothing_there", place.complaint(&["merge", "c.sqlite", "--db", "a.sqlite"]));
    insta::assert_snapshot!("merge_no_source", place.complaint(&["merge", "--db", "a.sqlite"]));
    place.ok(&["backup", "old.sqlite", "--db", "a.sqlite"]);
    sql(&place, "old.sqlite", "PRAGMA user_version = 0");
    insta::assert_snapshot!("merge_older", place.complaint(&["merge", "old.sqlite", "--db", "a.sqlite"]));
    sql(&place, "b.sqlite", "UPDATE invocation SET output_text = 'another' WHERE sequence_number = 1");
    let differs = place.complaint(&["merge", "b.sqlite", "--db", "a.sqlite"]);
    insta::assert_snapshot!("merge_differs", without_ids(&differs));
    let json = place.run(&["merge", "b.sqlite", "--db", "a.sqlite", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((&json["error"], &json["conflicts"][0]["column"]), (&"differs".into(), &"output_text".into()));
    assert!(json["conflicts"][0]["in_source"] == "\"another\"", "{json}");
    insta::assert_snapshot!(
        "export_exists",
        place.complaint(&["export", "db", "latest", "b.sqlite", "--db", "a.sqlite"])
    );
    insta::assert_snapshot!("export_no_target", place.complaint(&["export", "db", "latest", "--db", "a.sqlite"]));
    insta::assert_snapshot!(
        "export_unknown",
        place.complaint(&["export", "db", "circle", "x.sqlite", "--db", "a.sqlite"])
    );
    insta::assert_snapshot!(
        "export_no_folder",
        place.complaint(&["export", "db", "latest", "nowhere/x.sqlite", "--db", "a.sqlite"])
    );
}

#[test]
fn a_merge_that_is_killed_is_finished_by_the_same_command() {
    let place = Place::new();
    for name in ["one", "two", "three", "four", "five", "six"] {
        run(&place, "source.sqlite", name);
    }
    let merge = ["merge", "source.sqlite", "--db", "all.sqlite"];
    let mut seen = std::collections::BTreeSet::new();
    for delay_ms in 0..30 {
        let mut child = place.command(&merge).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_millis(delay_ms));
        child.kill().unwrap();
        child.wait().unwrap();
        let Ok(raw) = Connection::open(place.path("all.sqlite")) else { continue };
        // A file that was just made has no tables yet.
        let count = |sql: &str| raw.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap_or(0);
        let experiments = count("SELECT count(*) FROM experiment");
        let complete = "SELECT count(*) FROM (SELECT r.experiment_id FROM run r JOIN persistence_diagram p ON p.run_id = r.id \
                        GROUP BY r.experiment_id HAVING count(*) = 4)";
        assert_eq!(count(complete), experiments, "an experiment is there whole or not at all");
        seen.insert(experiments);
    }
    assert!(!seen.is_empty());
    place.ok(&merge);
    assert_eq!(dump(&place, "all.sqlite"), dump(&place, "source.sqlite"));
}

fn verified(place: &Place, arguments: &[&str], code: i32) -> serde_json::Value {
    let ended = place.run(&[&["verify", "--json"], arguments].concat());
    assert_eq!(ended.code, code, "{}{}", ended.stdout, ended.stderr);
    serde_json::from_str(&ended.stdout).unwrap()
}

#[test]
fn every_step_comes_out_again_and_a_sample_is_a_part_of_them() {
    let place = Place::new();
    place.write("fresh.toml", &CONFIG.replace("seeds = [1]", "seeds = [1, -1]"));
    place.ok(&["experiment", "run", "fresh.toml", "--quiet"]);
    let before = std::fs::read(place.path("loopscope.sqlite")).unwrap();
    let all = verified(&place, &["--all"], 0);
    for (subject, count) in [("invocation", 32), ("embedding", 32), ("persistence_diagram", 8)] {
        let figures = &all["outcome"]["subjects"][subject];
        assert_eq!((&figures["total"], &figures["mismatched"]), (&count.into(), &0.into()), "{subject}: {all}");
        assert_eq!(figures["matched"], count, "a fresh seed is stored, so that it repeats, too");
    }
    let some = verified(&place, &["--sample", "3", "--seed", "5"], 0);
    assert_eq!(some["outcome"]["subjects"]["invocation"]["matched"], 3);
    assert_eq!(std::fs::read(place.path("loopscope.sqlite")).unwrap(), before);
    insta::assert_snapshot!("verified", place.ok(&["verify", "--sample", "5"]));
}

#[test]
fn a_damaged_output_is_found() {
    let damage = [
        ("UPDATE invocation SET output_text = output_text || '!' WHERE sequence_number = 7", "invocation", 7),
        ("UPDATE image SET pixel_hash = zeroblob(32) WHERE rowid = 2", "invocation", -1),
        // The bytes of another picture: only who decodes them sees it.
        (
            "UPDATE image SET bytes = (SELECT bytes FROM image WHERE rowid = 1) WHERE hash = \
             (SELECT output_image FROM invocation WHERE sequence_number = 6 LIMIT 1)",
            "invocation",
            6,
        ),
        (
            "UPDATE embedding SET vector = CAST(substr(vector, 1, length(vector) - 4) || x'0000003f' AS BLOB) WHERE rowid = 3",
            "embedding",
            -1,
        ),
        (
            "UPDATE persistence_diagram SET diagram_data = (SELECT d.diagram_data FROM persistence_diagram d \
             WHERE d.run_id <> persistence_diagram.run_id AND d.embedding_model = persistence_diagram.embedding_model) \
             WHERE rowid = 1",
            "persistence_diagram",
            -1,
        ),
        ("UPDATE persistence_diagram SET diagram_data = x'00' WHERE rowid = 1", "persistence_diagram", -1),
    ];
    for (text, subject, number) in damage {
        let place = Place::new();
        run(&place, "loopscope.sqlite", "circles");
        sql(&place, "loopscope.sqlite", text);
        let found = verified(&place, &["--all"], 1);
        let mismatches = found["mismatches"].as_array().unwrap();
        let is_named = |mismatch: &serde_json::Value| {
            mismatch["subject"] == subject && (number < 0 || mismatch["sequence_number"] == number)
        };
        assert!(mismatches.iter().any(is_named), "{text}: {found}");
    }
    let place = Place::new();
    run(&place, "loopscope.sqlite", "circles");
    sql(&place, "loopscope.sqlite", damage[0].0);
    let told = place.run(&["verify", "--all"]);
    assert_eq!(told.code, 1);
    insta::assert_snapshot!("verify_mismatch", without_ids(&told.stdout));
}

#[test]
fn what_cannot_be_verified_is_counted_by_reason() {
    let place = Place::new();
    run(&place, "loopscope.sqlite", "circles");
    sql(
        &place,
        "loopscope.sqlite",
        "UPDATE model_version SET revision = '0' WHERE name = 'DummyT2I'; \
         UPDATE model_version SET determinism = 'best_effort' WHERE name = 'DummyText'; \
         UPDATE model_version SET name = 'Flux', backend = 'legacy' WHERE name = 'DummyVision'; \
         UPDATE invocation SET seed = -1 WHERE sequence_number = 1",
    );
    insta::assert_snapshot!("verify_cannot", without_ids(&place.ok(&["verify", "--all"])));
    sql(
        &place,
        "loopscope.sqlite",
        "UPDATE model_version SET parameters = '{\"width\":3}', revision = '1' WHERE name = 'DummyT2I'",
    );
    let found = verified(&place, &[], 0);
    let reasons: Vec<_> = found["outcome"]["cannot"].as_array().unwrap().iter().map(|one| &one["reason"]).collect();
    assert!(reasons.contains(&&"other_parameters".into()), "{found}");
}
