//! A repair takes out what is invalid and nothing else, and puts back only what the store itself still says.
//!
//! Nothing is computed here: what is taken out stays out, and is incomplete afterwards.

use std::collections::BTreeMap;

use loopscope_core::doctor::{DoctorOptions, Fix, FixReport, Severity};
use loopscope_core::store::Store;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::fixture::{Database, LONG, SHORT, has_diagram_codec, options};
use crate::planted::{VIOLATIONS, violations};

const ALL: DoctorOptions = DoctorOptions { experiment: None, decode_images: true };

/// Repairs until nothing is left to take out, as the program does; returns what each round did.
fn repair(database: &Database, why: &str) -> Vec<FixReport> {
    let mut reports = Vec::new();
    loop {
        let plan = Fix::plan(&database.path, &options(), &ALL, &mut |_| {}).unwrap();
        assert!(plan.blockers().is_empty(), "{why}: {:?}", plan.blockers());
        if plan.is_empty() {
            assert_eq!(plan.diagnosis.count(Severity::Violation), 0, "{why}: {:?}", plan.diagnosis.counts);
            return reports;
        }
        let mut store = Store::open_existing(&database.path, &options()).unwrap();
        reports.push(plan.apply(&mut store).unwrap());
        assert!(reports.len() <= 2, "{why}: {reports:#?}, and now {:?}", plan.diagnosis.counts);
    }
}

/// Every row of every table by rowid.
fn rows(database: &Database) -> BTreeMap<(String, i64), Vec<Value>> {
    let sql = Connection::open(&database.path).unwrap();
    let mut statement = sql.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").unwrap();
    let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut rows = BTreeMap::new();
    for table in tables {
        let mut statement = sql.prepare(&format!("SELECT rowid, * FROM {table}")).unwrap();
        let columns = statement.column_count();
        let values = |row: &rusqlite::Row<'_>| (0..columns).map(|column| row.get(column)).collect();
        for row in statement.query_map([], values).unwrap() {
            let mut row: Vec<Value> = row.unwrap();
            let Value::Integer(rowid) = row.remove(0) else { panic!("a rowid is a number") };
            rows.insert((table.clone(), rowid), row);
        }
    }
    rows
}

/// Plants one defect, repairs, and checks that one pass was enough and that what stays is as it was.
fn mends(sql: &str) {
    let whole = rows(&Database::new(SHORT));
    let database = Database::new(SHORT);
    database.spoil(sql);
    let reports = repair(&database, sql);
    assert_eq!(reports.len(), 1, "{sql}: one pass");
    for (key, row) in rows(&database) {
        // The marks and the name of an experiment may be others; an experiment that was planted is new. A model
        // version of another name is whole in itself: what goes are the rows that say it made them.
        if key.0 == "experiment" || key.0 == "model_version" {
            continue;
        }
        assert_eq!(whole.get(&key), Some(&row), "{sql}: {key:?} is not what it was before");
    }
}

macro_rules! repaired {
    ($($name:ident: $sql:literal => $kind:ident;)*) => {
        /// Each violation is gone after one repair, one test for each.
        mod repaired {
            $(
                #[test]
                fn $name() {
                    super::mends($sql);
                }
            )*
        }
    };
}
violations!(repaired);

#[test]
fn a_defect_of_one_run_takes_nothing_of_another() {
    let count = |database: &Database, table: &str| {
        let of_run = match table {
            "embedding" => {
                "SELECT count(*) FROM embedding e JOIN invocation i ON i.id = e.invocation_id WHERE hex(i.run_id) LIKE '03______________________02%'"
            }
            _ => "SELECT count(*) FROM invocation WHERE hex(run_id) LIKE '03______________________02%'",
        };
        Connection::open(&database.path).unwrap().query_row(of_run, [], |row| row.get::<_, i64>(0)).unwrap()
    };
    for &(sql, _) in VIOLATIONS {
        let is_local = ["$VECTOR1", "$STEP", "$RUN1"].iter().any(|name| sql.contains(&format!("WHERE id = {name}")));
        if !is_local || sql.contains("model_version") {
            continue;
        }
        let database = Database::new(SHORT);
        database.spoil(sql);
        repair(&database, sql);
        assert_eq!((count(&database, "invocation"), count(&database, "embedding")), (3, 1), "{sql}");
    }
}

fn report_of(sql: &str) -> FixReport {
    let database = Database::new(SHORT);
    database.spoil(sql);
    repair(&database, sql).pop().unwrap()
}

#[test]
fn a_run_keeps_its_longest_valid_prefix() {
    let report = report_of("UPDATE invocation SET completed_at = NULL WHERE id = $STEP1");
    assert_eq!(report.dropped["invocation"], BTreeMap::from([("completed_at_missing", 1), ("after_what_goes", 1)]));
    assert_eq!(report.dropped["embedding"], BTreeMap::from([("output_dropped", 1)]));
    assert_eq!(report.dropped["clustering_result"], BTreeMap::from([("embedding_dropped", 1)]), "whole or gone");
    assert_eq!(report.dropped["embedding_cluster"], BTreeMap::from([("clustering_dropped", 2)]));
    assert_eq!(report.dropped["image"], BTreeMap::from([("no_longer_shown", 1)]));
}

#[test]
fn a_broken_link_between_whole_steps_is_mended_and_nothing_goes() {
    for sql in [
        "UPDATE invocation SET input_invocation_id = $STEP0 WHERE id = $STEP2",
        "UPDATE invocation SET input_invocation_id = NULL WHERE id = $STEP2",
        "UPDATE invocation SET input_invocation_id = $NOWHERE WHERE id = $STEP2",
        "UPDATE invocation SET input_invocation_id = $STEP1 WHERE id = $STEP0",
    ] {
        let report = report_of(sql);
        assert!(report.dropped.is_empty(), "{sql}: {report:?}");
        assert_eq!(report.mended["invocation"], BTreeMap::from([("input_link", 1)]), "{sql}");
    }
}

#[test]
fn what_the_store_still_says_is_put_back() {
    for (sql, table, reason) in [
        ("UPDATE run SET run_number = 1 WHERE id = $RUN1", "run", "run_number"),
        ("UPDATE run SET max_length = 4 WHERE id = $RUN1", "run", "max_length"),
        ("UPDATE experiment SET max_length = 5", "experiment", "max_length"),
        ("UPDATE experiment SET prompts = '{}'", "experiment", "prompts"),
        ("UPDATE experiment SET seeds = '[]'", "experiment", "seeds"),
        ("UPDATE experiment SET networks = 'x'", "experiment", "networks"),
        ("UPDATE experiment SET embedding_models = NULL", "experiment", "embedding_models"),
        ("UPDATE experiment SET started_at = NULL", "experiment", "started_at"),
        ("UPDATE image SET width = 99", "image", "image_row"),
        ("UPDATE image SET pixel_hash = zeroblob(32)", "image", "image_row"),
    ] {
        let report = report_of(sql);
        assert!(report.dropped.is_empty(), "{sql}: {report:?}");
        assert!(report.mended[table].contains_key(reason), "{sql}: {report:?}");
    }
}

#[test]
fn a_picture_with_a_wrong_hash_and_right_pixels_keeps_its_steps() {
    // Its invocation still names the hash of the bytes, or was changed along with it.
    for sql in [
        "UPDATE image SET hash = zeroblob(32) WHERE rowid = 1",
        "UPDATE invocation SET output_image = zeroblob(32) WHERE output_image = (SELECT hash FROM image WHERE rowid = 1); \
         UPDATE image SET hash = zeroblob(32) WHERE rowid = 1",
    ] {
        let report = report_of(sql);
        assert!(report.dropped.is_empty(), "{sql}: {report:?}");
    }
    let report = report_of("UPDATE image SET hash = zeroblob(32), pixel_hash = zeroblob(32) WHERE rowid = 1");
    assert_eq!(report.dropped["invocation"].values().sum::<u64>(), 3, "nobody knows what the picture was: {report:?}");
}

#[test]
fn most_vectors_say_what_the_dimension_is() {
    let database = Database::new(LONG);
    database.spoil("UPDATE embedding SET vector = x'0000803f' WHERE id = $VECTOR1");
    let report = repair(&database, "one of six").pop().unwrap();
    assert_eq!(report.dropped["embedding"], BTreeMap::from([("vector_dimension", 1)]));
    if has_diagram_codec() {
        assert_eq!(report.dropped["persistence_diagram"].values().sum::<u64>(), 1, "it described other vectors");
    }
}

#[test]
fn a_schema_that_lost_its_guards_is_made_anew_around_the_rows() {
    let whole = Database::new(SHORT);
    for sql in [
        "DROP INDEX invocation_by_image",
        "DROP TRIGGER embedding_modality",
        "DROP VIEW v_run",
        "ALTER TABLE image ADD COLUMN note TEXT",
        "CREATE TABLE copy AS SELECT * FROM run; PRAGMA legacy_alter_table = ON; DROP TABLE run; ALTER TABLE copy RENAME TO run",
        "DROP TRIGGER embedding_modality; CREATE TRIGGER embedding_modality AFTER DELETE ON run BEGIN SELECT 1; END",
    ] {
        let database = Database::new(SHORT);
        database.alter(sql);
        let reports = repair(&database, sql);
        assert!(reports.iter().any(|report| !report.rebuilt.is_empty()), "{sql}");
        assert!(reports.iter().all(|report| report.dropped.is_empty()), "{sql}: {reports:?}");
        assert_eq!(rows(&database), rows(&whole), "{sql}");
        assert!(database.examine().1.is_empty(), "{sql}: {:#?}", database.examine().1);
    }
}

#[test]
fn a_table_that_is_not_there_is_made_and_then_the_rows_are_judged() {
    let database = Database::new(SHORT);
    database.alter("DROP TABLE failure; DROP TABLE embedding_cluster");
    let reports = repair(&database, "two tables");
    assert_eq!(reports.len(), 2, "the schema, then the clustering that is without members: {reports:?}");
    assert_eq!(reports[1].dropped["clustering_result"], BTreeMap::from([("clustering_empty", 1)]));
}

#[test]
fn rows_that_stand_twice_are_there_once_afterwards() {
    let database = Database::new(SHORT);
    let whole = rows(&database);
    database.alter(
        "PRAGMA legacy_alter_table = ON; CREATE TABLE copy (id BLOB, run_id BLOB, sequence_number INTEGER, input_invocation_id BLOB, model TEXT, \
         model_version_id BLOB, type TEXT, seed INTEGER, started_at INTEGER, completed_at INTEGER, output_text TEXT, \
         output_image BLOB, previous_number INTEGER); \
         INSERT INTO copy SELECT * FROM invocation; INSERT INTO copy SELECT * FROM copy WHERE id = $STEP1; \
         INSERT INTO copy SELECT $NOWHERE, run_id, sequence_number, input_invocation_id, model, model_version_id, type, seed, \
         started_at, completed_at, 'another', output_image, previous_number FROM copy WHERE id = $STEP1 LIMIT 1; \
         DROP TABLE invocation; ALTER TABLE copy RENAME TO invocation",
    );
    let report = repair(&database, "a step three times").pop().unwrap();
    assert_eq!(report.dropped["invocation"].values().sum::<u64>(), 2, "{report:?}");
    // The experiment is told to be incomplete until a resume has looked at it.
    let but_experiments = |mut rows: BTreeMap<(String, i64), Vec<Value>>| {
        rows.retain(|key, _| key.0 != "experiment");
        rows
    };
    let is_same = but_experiments(rows(&database)) == but_experiments(whole);
    assert!(is_same, "the one that the next step names stays");
}

#[test]
fn an_index_that_disagrees_is_made_anew_before_any_row_is_judged() {
    let database = Database::new(SHORT);
    database.alter(
        "DROP INDEX failure_by_experiment; CREATE INDEX failure_by_experiment ON failure (experiment_id) WHERE attempt > 9; \
         INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, $RUN1, 'run', 'Writer #1', 1, 'busy', 1); \
         PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = 'CREATE INDEX failure_by_experiment ON failure (experiment_id)' \
         WHERE name = 'failure_by_experiment'",
    );
    let reports = repair(&database, "an index");
    assert_eq!(reports[0].rebuilt, ["all indexes"]);
    assert!(reports.iter().all(|report| report.dropped.is_empty()));
}

#[test]
fn a_file_that_is_damaged_below_its_rows_is_not_touched() {
    let database = Database::new(SHORT);
    let mut bytes = std::fs::read(&database.path).unwrap();
    let last = bytes.len() - 4096;
    bytes[last..last + 64].fill(0xff);
    std::fs::write(&database.path, &bytes).unwrap();
    let plan = Fix::plan(&database.path, &options(), &ALL, &mut |_| {}).unwrap();
    assert!(!plan.blockers().is_empty());
    assert!(plan.is_empty(), "nothing is planned");
    assert_eq!(std::fs::read(&database.path).unwrap(), bytes);
}
