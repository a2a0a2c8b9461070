//! The file as a whole: SQLite's own check, the schema against a new one, references to rows that are not there.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, OptionalExtension};

use super::cell::{self, Subject};
use super::finding::{Finding, FindingKind, Ledger, Severity};
use super::table::TABLES;
use crate::experiment::ExperimentId;
use crate::store::{MIGRATIONS, migrate_with, schema_of};

/// SQLite stops its check after so many defects.
const INTEGRITY_MESSAGES_MAX: u64 = 1000;

/// Runs SQLite's own check, the thorough one: it also compares every index with its table.
pub(super) fn check_integrity(connection: &Connection, ledger: &mut Ledger<'_>) {
    let mut check = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({INTEGRITY_MESSAGES_MAX})"))?;
        let mut rows = statement.query([])?;
        let mut count = 0;
        while let Some(row) = rows.next()? {
            let message = row.get_ref(0)?.as_bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
            if message == "ok" {
                continue;
            }
            count += 1;
            let last =
                if count == INTEGRITY_MESSAGES_MAX { " (the last that SQLite tells; there may be more)" } else { "" };
            let defect = format!("{message}{last}");
            ledger.add_of_file(Severity::Violation, FindingKind::Integrity, "database".to_owned(), defect);
        }
        Ok(())
    };
    let outcome = check();
    ledger.unreadable("database", outcome);
}

/// Compares the schema with that of a new database; returns the tables that differ.
pub(super) fn check_schema(connection: &Connection, ledger: &mut Ledger<'_>) -> BTreeSet<String> {
    let mut differing = BTreeSet::new();
    let expected = match schema_of_new() {
        Ok(expected) => expected,
        Err(error) => {
            ledger.unreadable("schema of a new database", Err(error));
            return differing;
        }
    };
    let found = match schema_of(connection) {
        Ok(found) => by_name(found),
        Err(error) => {
            ledger.unreadable("schema", Err(error));
            return differing;
        }
    };
    for ((kind, name), sql) in &expected {
        let object = format!("{kind} {name}");
        match found.get(&(kind.clone(), name.clone())) {
            None => {
                let defect = "it is not there".to_owned();
                ledger.add_of_file(Severity::Violation, FindingKind::SchemaMissing, object, defect);
            }
            Some(other) if other != sql => {
                differing.insert(name.clone());
                let defect = difference(sql, other);
                ledger.add_of_file(Severity::Violation, FindingKind::SchemaDiffers, object, defect);
            }
            Some(_) => {}
        }
    }
    for (kind, name) in found.keys().filter(|key| !expected.contains_key(*key)) {
        let defect = format!("this program makes no {kind} of that name");
        ledger.add_of_file(Severity::Note, FindingKind::SchemaUnknown, format!("{kind} {name}"), defect);
    }
    differing
}

/// Looks for rows that share what is to be unique, in tables that may have lost the constraint.
pub(super) fn check_duplicates(connection: &Connection, ledger: &mut Ledger<'_>, differing: &BTreeSet<String>) {
    for table in TABLES.iter().filter(|table| differing.contains(table.name)) {
        for columns in table.unique {
            let name = table.name;
            let sql =
                format!("SELECT count(*), min(rowid) AS rowid FROM {name} GROUP BY {columns} HAVING count(*) > 1");
            let mut check = || -> rusqlite::Result<()> {
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    let count: i64 = row.get(0)?;
                    let object = Subject::of_row(table.noun, row, table.key()).object;
                    let defect = format!("{count} rows share ({columns}), expected 1");
                    ledger.add_of_file(Severity::Violation, FindingKind::Duplicate, object, defect);
                }
                Ok(())
            };
            let outcome = check();
            ledger.unreadable(&format!("table {name}"), outcome);
        }
    }
}

/// Reports rows that refer to rows that are not there: all, or those of one experiment and of none.
pub(super) fn check_foreign_keys(connection: &Connection, ledger: &mut Ledger<'_>, only: Option<ExperimentId>) {
    let mut check = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let broken = (row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?, row.get::<_, String>(2)?);
            report_broken_reference(connection, ledger, only, broken);
        }
        Ok(())
    };
    let outcome = check();
    ledger.unreadable("foreign keys", outcome);
}

fn report_broken_reference(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
    (name, rowid, parent): (String, Option<i64>, String),
) {
    let table = TABLES.iter().find(|table| table.name == name);
    let sql = table.and_then(|table| table.experiment);
    // A row whose chain of references is broken belongs to no experiment that can be told.
    let experiment: Option<[u8; 16]> = sql
        .zip(rowid)
        .and_then(|(sql, rowid)| connection.query_row(sql, [rowid], |row| row.get(0)).optional().ok().flatten());
    if let (Some(only), Some(experiment)) = (only, experiment)
        && *only.as_bytes() != experiment
    {
        return;
    }
    let place = rowid.map_or_else(|| "a row".to_owned(), |rowid| format!("rowid {rowid}"));
    let subject = table.zip(rowid).and_then(|(table, rowid)| {
        let sql = format!("SELECT rowid AS rowid, {key} AS {key} FROM {name} WHERE rowid = ?1", key = table.key());
        connection.query_row(&sql, [rowid], |row| Ok(Subject::of_row(table.noun, row, table.key()))).ok()
    });
    let subject = subject.unwrap_or_else(|| Subject { object: format!("{name} at {place}"), id: None });
    ledger.add(&Finding {
        severity: Severity::Violation,
        kind: FindingKind::ForeignKey,
        object: subject.object,
        id: subject.id,
        experiment: experiment.map(cell::hyphenated),
        defect: format!("table {name}, {place}: it refers to a row of table {parent} that is not there"),
    });
}

type Schema = BTreeMap<(String, String), String>;

fn by_name(schema: Vec<(String, String, String)>) -> Schema {
    schema.into_iter().map(|(kind, name, sql)| ((kind, name), sql)).collect()
}

/// Returns the schema that the migrations of this program give.
fn schema_of_new() -> rusqlite::Result<Schema> {
    let mut connection = Connection::open_in_memory()?;
    let no_backup = |_: &Connection, _: u32| Err(std::io::Error::other("an empty database needs no backup"));
    match migrate_with(&mut connection, MIGRATIONS, no_backup) {
        Ok(()) => schema_of(&connection).map(by_name),
        Err(crate::store::MigrationError::Sqlite(error)) => Err(error),
        // The migrations of a program that passes its tests go through on an empty database.
        Err(_) => Err(rusqlite::Error::InvalidQuery),
    }
}

/// Shows where two texts part.
fn difference(expected: &str, got: &str) -> String {
    let same = expected.chars().zip(got.chars()).take_while(|(left, right)| left == right).count();
    let shown = |text: &str| {
        let start = same.saturating_sub(20);
        text.chars().skip(start).take(60).collect::<String>()
    };
    format!("expected {:?} at character {same}, got {:?}", shown(expected), shown(got))
}
