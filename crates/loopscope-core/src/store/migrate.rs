//! Schema versions: numbered SQL in the binary, each applied in one transaction.
//!
//! Before the first step on a database that holds anything a backup is made; after each step `foreign_key_check` runs
//! and rows are counted: a table that has fewer rows than before stops the migration, unless the step names the loss.
//! A database made new goes through the same steps, so that there is one truth; a test compares the two.
//!
//! rusqlite_migration was weighed: it has no backup, no accounting of rows and no check of keys, which are the point.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rusqlite::{Connection, TransactionBehavior};

/// Marks a file as ours: "LOOP" in ASCII.
pub(super) const APPLICATION_ID: i32 = 0x4C4F_4F50;

/// One step from a schema version to the next.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// The version that it leads to; steps count up by one from 1.
    pub version: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// The SQL.
    pub sql: &'static str,
    /// Tables that may lose rows in this step, because the step says so.
    pub may_drop_from: &'static [&'static str],
}

/// The steps of this program, in order.
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "the record",
    sql: include_str!("../../migrations/0001_record.sql"),
    may_drop_from: &[],
}];

/// Why a database could not be brought to the present version. It is then as it was before the step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MigrationError {
    /// The list of steps itself is wrong.
    #[error("migration {found} stands where {expected} should: versions count up by one")]
    Order {
        /// The version that should stand there.
        expected: u32,
        /// The version that does.
        found: u32,
    },
    /// The backup failed, so nothing was changed.
    #[error("the backup before the migration failed; nothing was changed")]
    Backup(#[source] std::io::Error),
    /// The SQL of a step failed.
    #[error("step {version} ({name}) failed and was rolled back{}", backup_note(.backup))]
    Step {
        /// The version that it leads to.
        version: u32,
        /// Its name.
        name: &'static str,
        /// Where the backup lies.
        backup: Option<PathBuf>,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// A step left references to rows that are not there.
    #[error(
        "step {version} ({name}) leaves {count} broken references, the first in table {table}; it was rolled back{}",
        backup_note(.backup)
    )]
    ForeignKeys {
        /// The version that it leads to.
        version: u32,
        /// Its name.
        name: &'static str,
        /// How many rows refer to nothing.
        count: u64,
        /// The first table with one.
        table: String,
        /// Where the backup lies.
        backup: Option<PathBuf>,
    },
    /// A step lost rows that it did not name.
    #[error(
        "step {version} ({name}) leaves {after} of {before} rows in table {table}; it was rolled back{}",
        backup_note(.backup)
    )]
    Rows {
        /// The version that it leads to.
        version: u32,
        /// Its name.
        name: &'static str,
        /// The table.
        table: String,
        /// Rows before.
        before: u64,
        /// Rows after.
        after: u64,
        /// Where the backup lies.
        backup: Option<PathBuf>,
    },
    /// SQLite failed outside a step.
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
}

fn backup_note(backup: &Option<PathBuf>) -> String {
    backup.as_ref().map_or_else(String::new, |path| format!("; a backup lies at {}", path.display()))
}

/// Returns the schema version of a database; 0 for an empty file.
pub(super) fn version_of(connection: &Connection) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

/// Brings a database from the version that it has to the last of `migrations`.
///
/// `backup` is called once, before the first step, when the database is not empty; it gets the version found and
/// returns where the copy lies. Two processes may do this at once: the second finds nothing left to do.
///
/// # Errors
///
/// [`MigrationError`]. The step that failed is rolled back; the steps before it stay.
pub fn migrate_with(
    connection: &mut Connection,
    migrations: &[Migration],
    backup: impl FnOnce(&Connection, u32) -> std::io::Result<PathBuf>,
) -> Result<(), MigrationError> {
    check_order(migrations)?;
    let found = version_of(connection)?;
    let pending = migrations.iter().filter(|migration| migration.version > found);
    if pending.clone().next().is_none() {
        return Ok(());
    }
    let kept = if found == 0 { None } else { Some(backup(connection, found).map_err(MigrationError::Backup)?) };
    // A step may rebuild a table that others refer to, which only works with the keys off; they are checked after.
    connection.pragma_update(None, "foreign_keys", false)?;
    let outcome = pending.into_iter().try_for_each(|migration| apply(connection, migration, kept.as_ref()));
    connection.pragma_update(None, "foreign_keys", true)?;
    outcome
}

fn check_order(migrations: &[Migration]) -> Result<(), MigrationError> {
    for (migration, expected) in migrations.iter().zip(1..) {
        if migration.version != expected {
            return Err(MigrationError::Order { expected, found: migration.version });
        }
    }
    Ok(())
}

fn apply(connection: &mut Connection, migration: &Migration, kept: Option<&PathBuf>) -> Result<(), MigrationError> {
    let &Migration { version, name, .. } = migration;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if version_of(&transaction)? >= version {
        return Ok(()); // Another process was faster.
    }
    let before = row_counts(&transaction)?;
    let run = || -> rusqlite::Result<()> {
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)
    };
    run().map_err(|source| MigrationError::Step { version, name, backup: kept.cloned(), source })?;
    if let Some((table, count)) = broken_references(&transaction)? {
        return Err(MigrationError::ForeignKeys { version, name, count, table, backup: kept.cloned() });
    }
    let after = row_counts(&transaction)?;
    for (table, before) in before {
        let after = after.get(&table).copied().unwrap_or(0);
        if after < before && !migration.may_drop_from.contains(&table.as_str()) {
            return Err(MigrationError::Rows { version, name, table, before, after, backup: kept.cloned() });
        }
    }
    transaction.commit()?;
    Ok(())
}

fn broken_references(connection: &Connection) -> rusqlite::Result<Option<(String, u64)>> {
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    let mut rows = statement.query([])?;
    let mut first: Option<(String, u64)> = None;
    while let Some(row) = rows.next()? {
        match &mut first {
            Some((_, count)) => *count += 1,
            None => first = Some((row.get(0)?, 1)),
        }
    }
    Ok(first)
}

fn row_counts(connection: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let count = |name: String| {
        let sql = format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\""));
        connection.query_row(&sql, [], |row| row.get(0)).map(|count: u64| (name, count))
    };
    names.into_iter().map(count).collect()
}

/// Returns what a schema says, with whitespace and comments evened out: (type, name, SQL), sorted.
///
/// # Errors
///
/// When SQLite cannot read the schema.
pub fn schema_of(connection: &Connection) -> rusqlite::Result<Vec<(String, String, String)>> {
    let mut statement = connection
        .prepare("SELECT type, name, coalesce(sql, '') FROM sqlite_schema WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type, name")?;
    let rows = statement.query_map([], |row| {
        let sql: String = row.get(2)?;
        Ok((row.get(0)?, row.get(1)?, evened_out(&sql)))
    })?;
    rows.collect()
}

fn evened_out(sql: &str) -> String {
    let without_comments: Vec<&str> = sql.lines().map(before_comment).collect();
    without_comments.join(" ").split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a line of SQL up to its comment; two hyphens between quotes begin none.
fn before_comment(line: &str) -> &str {
    let is_outside = |index: &usize| line[..*index].chars().filter(|&letter| letter == '\'').count().is_multiple_of(2);
    let comment = line.match_indices("--").map(|(index, _)| index).find(is_outside);
    comment.map_or(line, |index| &line[..index])
}
