//! Schema versions to come, tried on a filled database: what they keep, what stops them, and what is then left.

use std::path::PathBuf;
use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

use loopscope_core::store::{MIGRATIONS, Migration, MigrationError, OpenOptions, Store, migrate_with, schema_of};
use rusqlite::{Connection, params};

use super::rows::{fill, valid};
use super::support::{Bench, TABLES, broken_references, count, dump};

const ADD_A_COLUMN: Migration = Migration {
    version: 2,
    name: "a note on runs",
    sql: "ALTER TABLE run ADD COLUMN note TEXT; CREATE INDEX run_by_note ON run (note) WHERE note IS NOT NULL;",
    may_drop_from: &[],
};

/// Rebuilds a table that four others refer to.
const REBUILD: Migration = Migration {
    version: 3,
    name: "runs know their device",
    sql: "DROP VIEW v_run;
          CREATE TABLE run_new (
            id BLOB PRIMARY KEY CHECK (length(id) = 16),
            experiment_id BLOB NOT NULL REFERENCES experiment (id) ON DELETE CASCADE,
            network TEXT NOT NULL, initial_prompt TEXT NOT NULL,
            seed INTEGER NOT NULL CHECK (seed >= -1),
            run_number INTEGER NOT NULL CHECK (run_number >= 0),
            max_length INTEGER NOT NULL CHECK (max_length > 0),
            note TEXT, device TEXT NOT NULL,
            UNIQUE (experiment_id, network, initial_prompt, seed, run_number)
          ) STRICT;
          INSERT INTO run_new SELECT id, experiment_id, network, initial_prompt, seed, run_number, max_length, note, 'unknown'
            FROM run ORDER BY rowid;
          DROP TABLE run;
          ALTER TABLE run_new RENAME TO run;
          CREATE VIEW v_run AS SELECT hex(id) AS id, network, device FROM run;",
    may_drop_from: &[],
};

/// Moves some rows of a table into another.
const SPLIT: Migration = Migration {
    version: 4,
    name: "failures of runs apart",
    sql: "CREATE TABLE run_failure (id BLOB PRIMARY KEY, run_id BLOB NOT NULL REFERENCES run (id) ON DELETE CASCADE,
            error TEXT NOT NULL) STRICT;
          INSERT INTO run_failure SELECT id, run_id, error FROM failure WHERE run_id IS NOT NULL;
          DELETE FROM failure WHERE run_id IS NOT NULL;",
    may_drop_from: &["failure"],
};

const ALL: [Migration; 4] = [MIGRATIONS[0], ADD_A_COLUMN, REBUILD, SPLIT];

fn no_backup(_: &Connection, _: u32) -> std::io::Result<PathBuf> {
    panic!("a backup of a database that holds nothing")
}

/// A database of version 1 with one of everything.
fn filled() -> (Bench, Connection) {
    let bench = Bench::new();
    drop(bench.store());
    let connection = bench.raw();
    fill(&connection);
    (bench, connection)
}

fn version(connection: &Connection) -> u32 {
    connection.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap()
}

fn keys_are_on(connection: &Connection) -> bool {
    connection.pragma_query_value(None, "foreign_keys", |row| row.get(0)).unwrap()
}

fn migrate(bench: &Bench, connection: &mut Connection, migrations: &[Migration]) -> Result<(), MigrationError> {
    let target = bench.folder.path().join("backup.sqlite");
    migrate_with(connection, migrations, |source, version| {
        assert_eq!(version, 1);
        source.backup("main", &target, None).map_err(std::io::Error::other)?;
        Ok(target.clone())
    })
}

#[test]
fn the_steps_of_this_program_count_up_from_1_and_each_has_a_name() {
    let versions: Vec<u32> = MIGRATIONS.iter().map(|migration| migration.version).collect();
    assert_eq!(versions, (1..=u32::try_from(MIGRATIONS.len()).unwrap()).collect::<Vec<_>>());
    assert!(MIGRATIONS.iter().all(|migration| !migration.name.is_empty()));
    let mut connection = Connection::open_in_memory().unwrap();
    migrate_with(&mut connection, MIGRATIONS, no_backup).unwrap();
    let kept: Vec<&str> = TABLES.into_iter().filter(|table| connection.table_exists(None, *table).unwrap()).collect();
    assert_eq!(kept, TABLES);
}

#[test]
fn a_migrated_database_has_the_schema_of_a_fresh_one() {
    let (bench, mut migrated) = filled();
    migrate(&bench, &mut migrated, &ALL).unwrap();
    let mut fresh = Connection::open_in_memory().unwrap();
    migrate_with(&mut fresh, &ALL, no_backup).unwrap();
    assert_eq!(schema_of(&migrated).unwrap(), schema_of(&fresh).unwrap());
    assert_eq!(version(&migrated), version(&fresh));

    let opened = Bench::new();
    drop(opened.store());
    let mut stepped = Connection::open_in_memory().unwrap();
    migrate_with(&mut stepped, MIGRATIONS, no_backup).unwrap();
    assert_eq!(schema_of(&opened.raw()).unwrap(), schema_of(&stepped).unwrap());
}

#[test]
fn later_versions_keep_every_row_and_every_reference() {
    let (bench, mut connection) = filled();
    let before: Vec<u64> = TABLES.iter().map(|table| count(&connection, table)).collect();
    let steps = dump(&connection);
    migrate(&bench, &mut connection, &ALL[..3]).unwrap();
    let after: Vec<u64> = TABLES.iter().map(|table| count(&connection, table)).collect();
    assert_eq!(after, before);
    assert_eq!(version(&connection), 3);
    assert_eq!(broken_references(&connection), 0);
    assert!(keys_are_on(&connection), "the keys are on again");
    // The rebuilt table is the one that the others refer to, and its rules hold.
    connection.execute("DELETE FROM clustering_result", []).unwrap();
    connection.execute("DELETE FROM run", []).unwrap();
    assert_eq!(count(&connection, "invocation"), 0, "deleting a run still takes its steps");

    let backup = Connection::open(bench.folder.path().join("backup.sqlite")).unwrap();
    assert_eq!(version(&backup), 1);
    assert_eq!(dump(&backup), steps, "the backup is the database before the first step");
    Store::open_read(&bench.folder.path().join("backup.sqlite"), &OpenOptions::default()).unwrap();
}

#[test]
fn a_named_loss_goes_through_and_lands_where_the_step_says() {
    let (bench, mut connection) = filled();
    migrate(&bench, &mut connection, &ALL).unwrap();
    assert_eq!((count(&connection, "failure"), count(&connection, "run_failure")), (0, 1));
}

#[test]
fn the_backup_is_made_once_and_not_for_a_database_that_is_up_to_date() {
    let (bench, mut connection) = filled();
    let mut versions = Vec::new();
    migrate_with(&mut connection, &ALL, |_, version| {
        versions.push(version);
        Ok(bench.folder.path().join("elsewhere"))
    })
    .unwrap();
    assert_eq!(versions, [1]);
    migrate_with(&mut connection, &ALL, no_backup).unwrap();
}

/// Applies a third step that fails after a second that does not, and asserts that exactly the third left no trace.
fn check_failure(third: Migration) -> String {
    let (bench, mut connection) = filled();
    migrate(&bench, &mut connection, &ALL[..2]).unwrap();
    let schema = schema_of(&connection).unwrap();
    let rows = dump(&connection);
    let target = bench.folder.path().join("a.sqlite.v2-backup");
    let error = migrate_with(&mut connection, &[ALL[0], ALL[1], third], |_, version| {
        assert_eq!(version, 2);
        Ok(target.clone())
    })
    .unwrap_err();
    assert_eq!(version(&connection), 2);
    assert_eq!(schema_of(&connection).unwrap(), schema);
    assert_eq!(dump(&connection), rows);
    assert!(keys_are_on(&connection));
    // The connection is as good as before.
    super::rows::insert(&connection, "failure", &valid("failure")).unwrap();
    bench.chain(&error)
}

fn third(name: &'static str, sql: &'static str) -> Migration {
    Migration { version: 3, name, sql, may_drop_from: &[] }
}

#[test]
fn a_step_whose_sql_fails_leaves_no_trace() {
    let sql = "CREATE TABLE extra (a INTEGER) STRICT; DELETE FROM failure; CREATE TABLE run (a INTEGER);";
    insta::assert_snapshot!(check_failure(third("extra", sql)), @r"
    step 3 (extra) failed and was rolled back; a backup lies at [folder]/a.sqlite.v2-backup
    table run already exists in  CREATE TABLE run (a INTEGER); at offset 14
    Error code 1: SQL logic error
    ");
}

#[test]
fn a_step_that_ends_the_transaction_itself_is_an_error() {
    let (bench, mut connection) = filled();
    let hasty = Migration { version: 2, name: "hasty", sql: "COMMIT; DELETE FROM failure;", may_drop_from: &[] };
    migrate(&bench, &mut connection, &[ALL[0], hasty]).unwrap_err();
    assert_eq!(broken_references(&connection), 0);
}

#[test]
fn a_step_that_breaks_a_reference_leaves_no_trace() {
    let sql = "UPDATE invocation SET run_id = zeroblob(16) WHERE sequence_number = 1;";
    insta::assert_snapshot!(check_failure(third("moved", sql)), @"step 3 (moved) leaves 2 broken references, the first in table invocation; it was rolled back; a backup lies at [folder]/a.sqlite.v2-backup");
}

#[test]
fn a_step_that_loses_rows_without_naming_them_leaves_no_trace() {
    insta::assert_snapshot!(check_failure(third("tidy", "DELETE FROM failure;")), @"step 3 (tidy) leaves 0 of 1 rows in table failure; it was rolled back; a backup lies at [folder]/a.sqlite.v2-backup");
    insta::assert_snapshot!(check_failure(third("drop", "DROP TABLE embedding_cluster;")), @"step 3 (drop) leaves 0 of 1 rows in table embedding_cluster; it was rolled back; a backup lies at [folder]/a.sqlite.v2-backup");
}

#[test]
fn naming_one_table_does_not_excuse_another() {
    let sql = "DELETE FROM failure; DELETE FROM embedding_cluster;";
    let step = Migration { may_drop_from: &["failure"], ..third("more than said", sql) };
    insta::assert_snapshot!(check_failure(step), @"step 3 (more than said) leaves 0 of 1 rows in table embedding_cluster; it was rolled back; a backup lies at [folder]/a.sqlite.v2-backup");
}

#[test]
fn steps_that_went_through_stay_when_a_later_one_fails() {
    let (bench, mut connection) = filled();
    migrate(&bench, &mut connection, &[ALL[0], ALL[1], third("bad", "nonsense")]).unwrap_err();
    assert_eq!(version(&connection), 2);
    migrate(&bench, &mut Connection::open(&bench.path).unwrap(), &ALL[..2]).unwrap();
}

#[test]
fn steps_out_of_order_are_refused_before_anything() {
    let (_bench, mut connection) = filled();
    let before = schema_of(&connection).unwrap();
    for list in [vec![ALL[1]], vec![ALL[0], ALL[2]], vec![ALL[0], ALL[0]], vec![ALL[1], ALL[0]]] {
        let error = migrate_with(&mut connection, &list, no_backup).unwrap_err();
        assert!(matches!(error, MigrationError::Order { .. }), "{error}");
    }
    assert_eq!(schema_of(&connection).unwrap(), before);
    let error = migrate_with(&mut connection, &[ALL[0], ALL[2]], no_backup).unwrap_err();
    insta::assert_snapshot!(error, @"migration 3 stands where 2 should: versions count up by one");
}

#[test]
fn without_a_backup_nothing_is_changed() {
    let (bench, mut connection) = filled();
    let (schema, rows) = (schema_of(&connection).unwrap(), dump(&connection));
    let error = migrate_with(&mut connection, &ALL, |_, _| {
        std::fs::copy(&bench.path, bench.folder.path().join("nowhere/backup.sqlite"))?;
        Ok(PathBuf::new())
    })
    .unwrap_err();
    insta::assert_snapshot!(bench.chain(&error), @r"
    the backup before the migration failed; nothing was changed
    No such file or directory (os error 2)
    ");
    assert_eq!((version(&connection), schema_of(&connection).unwrap(), dump(&connection)), (1, schema, rows));
}

#[test]
fn connections_that_migrate_at_once_both_succeed_and_each_step_is_applied_once() {
    for round in 0..10 {
        let (bench, connection) = filled();
        let rows = dump(&connection);
        drop(connection);
        let barrier = Barrier::new(3);
        let backups = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let mut connection = bench.raw();
                    connection.busy_timeout(std::time::Duration::from_secs(30)).unwrap();
                    barrier.wait();
                    migrate_with(&mut connection, &ALL[..2], |_, _| {
                        backups.fetch_add(1, Ordering::Relaxed);
                        Ok(PathBuf::from("backup"))
                    })
                    .unwrap();
                });
            }
        });
        let connection = bench.raw();
        assert_eq!(version(&connection), 2, "round {round}");
        assert!(backups.load(Ordering::Relaxed) >= 1);
        let noted = "SELECT count(*) FROM pragma_table_info('run') WHERE name = 'note'";
        let columns: u32 = connection.query_row(noted, params![], |row| row.get(0)).unwrap();
        assert_eq!(columns, 1);
        connection.execute_batch("DROP INDEX run_by_note; ALTER TABLE run DROP COLUMN note").unwrap();
        assert_eq!(dump(&connection), rows);
    }
}

#[test]
fn a_schema_reads_the_same_whatever_its_spaces_and_comments() {
    let schema = |sql: &str| {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        schema_of(&connection).unwrap()
    };
    let plain = schema("CREATE TABLE a (b TEXT NOT NULL, c INTEGER) STRICT");
    assert_eq!(schema("CREATE TABLE a (b TEXT NOT NULL, -- why\n  c   INTEGER) STRICT"), plain);
    assert_ne!(schema("CREATE TABLE a (b TEXT, c INTEGER) STRICT"), plain);
    let defaults = |text: &str| schema(&format!("CREATE TABLE a (b TEXT CHECK (b <> '--{text}'))"));
    assert_ne!(defaults("x"), defaults("y"), "two hyphens in a text are no comment");
}
