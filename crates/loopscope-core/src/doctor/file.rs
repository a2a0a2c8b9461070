//! The file as a whole: SQLite's own check, the schema against a new one, references to rows that are not there.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

use super::cell::{self, Subject};
use super::finding::{FindingKind, Ledger, Severity};
use super::known::Walk;
use super::table::{TABLES, Table};
use crate::experiment::ExperimentId;
use crate::store::{MIGRATIONS, migrate_with, schema_of};

/// SQLite stops its check after so many defects.
const INTEGRITY_MESSAGES_MAX: usize = 1000;

/// Runs SQLite's own check, the thorough one: it also compares every index with its table. Returns what it says.
pub(super) fn integrity_messages(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare(&format!("PRAGMA integrity_check({INTEGRITY_MESSAGES_MAX})"))?;
    let mut rows = statement.query([])?;
    let mut messages = Vec::new();
    while let Some(row) = rows.next()? {
        let message = row.get_ref(0)?.as_bytes().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        if message != "ok" {
            messages.push(message);
        }
    }
    if let Some(last) = messages.get_mut(INTEGRITY_MESSAGES_MAX - 1) {
        last.push_str(" (the last that SQLite tells; there may be more)");
    }
    Ok(messages)
}

/// Reports what SQLite's own check said.
pub(super) fn report_integrity(ledger: &mut Ledger<'_>, outcome: rusqlite::Result<Vec<String>>) {
    let outcome = outcome.map(|messages| {
        for defect in messages {
            ledger.add_of_file(Severity::Violation, FindingKind::Integrity, "database".to_owned(), defect);
        }
    });
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
            let (name, key) = (table.name, table.key());
            let sql = format!(
                "SELECT rowid AS rowid, {key}, {columns} FROM {name} WHERE ({columns}) IN \
                 (SELECT {columns} FROM {name} GROUP BY {columns} HAVING count(*) > 1) ORDER BY {columns}, {key}, rowid"
            );
            let count = columns.split(", ").count();
            let mut check = || -> rusqlite::Result<()> {
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query([])?;
                let mut first: Option<(Vec<Value>, String)> = None;
                while let Some(row) = rows.next()? {
                    let values =
                        (2..2 + count).map(|place| row.get(place)).collect::<rusqlite::Result<Vec<Value>>>()?;
                    let subject = Subject::of_row(table.noun, row, key);
                    match &first {
                        Some((shared, first)) if *shared == values => {
                            let defect = format!("it shares ({columns}) with {first}, expected nothing alike");
                            let is_key = *columns == key;
                            let kind = if is_key { FindingKind::IdDuplicate } else { FindingKind::Duplicate };
                            ledger.add_of(Severity::Violation, kind, &subject, None, defect);
                        }
                        _ => first = Some((values, subject.object)),
                    }
                }
                Ok(())
            };
            let outcome = check();
            ledger.unreadable(&format!("table {name}"), outcome);
        }
    }
}

/// Reports rows that refer to rows that are not there: all, or those of one experiment and of none.
///
/// SQLite looks up every reference of every row. For the two large tables the walk over the runs has done so already:
/// where it met every row that the table has, in its place and with everything that it refers to, SQLite is not asked.
pub(super) fn check_foreign_keys(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
    walked: &Walk,
) {
    let checked = |name: &str| ledger.diagnosis.checked.get(name).copied().unwrap_or(0);
    let all_met = only.is_none()
        && walked.broken == 0
        && walked.runs == checked("run")
        && walked.invocations == checked("invocation")
        && walked.embeddings == checked("embedding");
    for table in &TABLES {
        if !(all_met && ["invocation", "embedding"].contains(&table.name)) {
            check_foreign_keys_of(connection, ledger, only, table);
        }
    }
}

fn check_foreign_keys_of(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
    table: &'static Table,
) {
    let mut check = || -> rusqlite::Result<()> {
        let mut statement = connection.prepare(&format!("PRAGMA foreign_key_check({})", table.name))?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            report_broken_reference(connection, ledger, only, table, (row.get(1)?, row.get(2)?));
        }
        Ok(())
    };
    let outcome = check();
    ledger.unreadable(&format!("foreign keys of table {}", table.name), outcome);
}

fn report_broken_reference(
    connection: &Connection,
    ledger: &mut Ledger<'_>,
    only: Option<ExperimentId>,
    table: &'static Table,
    (rowid, parent): (Option<i64>, String),
) {
    // A row whose chain of references is broken belongs to no experiment that can be told.
    let experiment: Option<[u8; 16]> = table
        .experiment
        .zip(rowid)
        .and_then(|(sql, rowid)| connection.query_row(sql, [rowid], |row| row.get(0)).optional().ok().flatten());
    if let (Some(only), Some(experiment)) = (only, experiment)
        && *only.as_bytes() != experiment
    {
        return;
    }
    let subject = match rowid {
        Some(rowid) => Subject::at(connection, table, rowid),
        None => Subject { object: format!("a row of table {}", table.name), id: None, place: None },
    };
    let defect = format!("it refers to a row of table {parent} that is not there");
    let experiment = experiment.map(cell::hyphenated);
    ledger.add_of(Severity::Violation, FindingKind::ForeignKey, &subject, experiment, defect);
}

type Schema = BTreeMap<(String, String), String>;

fn by_name(schema: Vec<(String, String, String)>) -> Schema {
    schema.into_iter().map(|(kind, name, sql)| ((kind, name), sql)).collect()
}

/// Returns the schema that the migrations of this program give.
fn schema_of_new() -> rusqlite::Result<Schema> {
    schema_of(&new_database()?).map(by_name)
}

/// Returns an empty database as this program makes it, in memory.
pub(super) fn new_database() -> rusqlite::Result<Connection> {
    let mut connection = Connection::open_in_memory()?;
    let no_backup = |_: &Connection, _: u32| Err(std::io::Error::other("an empty database needs no backup"));
    match migrate_with(&mut connection, MIGRATIONS, no_backup) {
        Ok(()) => Ok(connection),
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
