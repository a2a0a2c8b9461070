//! Files that are damaged, or no database of ours: an error or findings, never a panic, never a write.

use loopscope_core::doctor::{DoctorOptions, FindingKind, Severity};
use rusqlite::Connection;

use crate::fixture::{Database, SHORT, examine_path, try_examine};

#[test]
fn what_is_no_database_of_ours_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = DoctorOptions::default();
    let path = folder.path().join("other.db");
    assert!(try_examine(&path, &doctor).unwrap_err().contains("no database"));
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE x (y)").unwrap();
    assert!(try_examine(&path, &doctor).unwrap_err().contains("another program"));
    let database = Database::new(SHORT);
    database.alter("PRAGMA user_version = 99");
    assert!(try_examine(&database.path, &doctor).unwrap_err().contains("schema version 99"));
}

#[test]
fn a_file_cut_in_half_is_examined_as_far_as_it_reads() {
    let database = Database::new(SHORT);
    let bytes = std::fs::read(&database.path).unwrap();
    std::fs::write(&database.path, &bytes[..bytes.len() / 2 / 4096 * 4096]).unwrap();
    let (diagnosis, findings) = examine_path(&database.path, &DoctorOptions::default());
    assert!(diagnosis.count(Severity::Violation) > 0);
    let is_told = |kind| findings.iter().any(|finding| finding.kind == kind);
    assert!(is_told(FindingKind::Integrity) || is_told(FindingKind::Unreadable), "{findings:#?}");
}

/// A small generator, so that a failure can be had again.
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

#[test]
fn no_mutation_makes_it_panic_or_write() {
    let database = Database::new(SHORT);
    let whole = std::fs::read(&database.path).unwrap();
    let mut state = 1;
    for round in 0..150 {
        let mut bytes = whole.clone();
        for _ in 0..=next(&mut state) % 8 {
            let place = next(&mut state) as usize % bytes.len();
            // Every other round spares the first page, which otherwise stops most of the others.
            let place = if round % 2 == 0 { place.max(4096) } else { place };
            bytes[place] = next(&mut state) as u8;
        }
        std::fs::write(&database.path, &bytes).unwrap();
        // What it says is another matter: a byte of a free page is no damage.
        let doctor = DoctorOptions { experiment: None, decode_images: true };
        drop(try_examine(&database.path, &doctor));
        assert_eq!(std::fs::read(&database.path).unwrap(), bytes, "round {round}: the doctor wrote to the file");
    }
}

#[test]
fn an_index_that_disagrees_with_its_table_is_found() {
    let database = Database::new(SHORT);
    // A table whose index was made while half its rows were out of sight.
    database.alter(
        "DROP INDEX failure_by_experiment; CREATE INDEX failure_by_experiment ON failure (experiment_id) WHERE attempt > 9; \
         INSERT INTO failure VALUES ($NOWHERE, $EXPERIMENT, $RUN1, 'run', 'Writer #1', 1, 'busy', 1); \
         PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = 'CREATE INDEX failure_by_experiment ON failure (experiment_id)' \
         WHERE name = 'failure_by_experiment'",
    );
    let (_, findings) = examine_path(&database.path, &DoctorOptions::default());
    let message = findings.iter().find(|finding| finding.kind == FindingKind::Integrity).unwrap();
    assert!(message.defect.contains("index failure_by_experiment"), "{message:?}");
}
