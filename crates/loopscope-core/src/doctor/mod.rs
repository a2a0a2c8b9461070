//! Finds what is wrong with a database, and what is missing: reads everything, writes nothing.
//!
//! The schema forbids most of what could be wrong; this looks again, because another program may have had foreign
//! keys or checks off, and it finds what a schema cannot say: vectors that are not finite, a hash that is not that of
//! its bytes, a diagram of vectors that are no longer the ones that are there.
//!
//! It streams. Every table is read once row by row, and once more run by run; what is kept in memory is one
//! experiment's lists and one run's states, never a table. Rows are read as they lie, so that a value of the wrong
//! type is a finding and not the end; where SQLite cannot read on, that is a finding too, and the next table is next.
//!
//! Everything is read in one transaction, so that an engine at work cannot make half of something appear. While it
//! lasts SQLite cannot reset the write-ahead log, which then grows.
//!
//! What is an error in a native experiment can be history in an imported one: such findings are notes there. Which
//! ones is said where they are made.

mod cell;
mod clustering;
mod diagram;
mod experiment;
mod failure;
mod file;
mod finding;
mod list;
mod rows;
mod run;
mod table;

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

pub use finding::{Diagnosis, Finding, FindingKind, Severity};

use crate::experiment::ExperimentId;
use crate::store::{OpenOptions, Store, StoreError};
use finding::Ledger;

/// What to look at.
#[derive(Clone, Copy, Debug, Default)]
pub struct DoctorOptions {
    /// One experiment with all that hangs on it; `None` is everything. The file as a whole is always checked.
    pub experiment: Option<ExperimentId>,
    /// Whether to decode every picture, which takes far longer than the rest; without it headers are read.
    pub decode_images: bool,
}

/// Examines a database and calls `found` for each finding, in a fixed order.
///
/// Nothing is written. A damaged file is examined as far as it can be read.
///
/// # Errors
///
/// As [`Store::open_read`]: when the file is missing, no database of ours, or of another schema version; and
/// [`StoreError::NotFound`] when there is no such experiment.
pub fn examine(
    path: &Path,
    open_options: &OpenOptions,
    options: &DoctorOptions,
    found: &mut dyn FnMut(&Finding),
) -> Result<Diagnosis, StoreError> {
    let store = match Store::open_read(path, open_options) {
        Ok(store) => store,
        Err(StoreError::Sqlite { source, .. }) if is_damage(&source) => return Ok(too_damaged(source, found)),
        Err(error) => return Err(error),
    };
    let connection = store.connection();
    let failed = |source| StoreError::Sqlite { doing: "reading", path: path.to_owned(), source };
    prepare(connection).map_err(failed)?;
    let version = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(failed)?;
    if let Some(id) = options.experiment
        && is_unknown(connection, id)
    {
        return Err(StoreError::NotFound { noun: "experiment", typed: id.to_string(), nearest: None });
    }
    let mut ledger = Ledger::new(version, found);
    file::check_integrity(connection, &mut ledger);
    let differing = file::check_schema(connection, &mut ledger);
    file::check_foreign_keys(connection, &mut ledger, options.experiment);
    file::check_duplicates(connection, &mut ledger, &differing);
    rows::check_rows(connection, &mut ledger, options);
    experiment::check_experiments(connection, &mut ledger, options.experiment);
    clustering::check_clusterings(connection, &mut ledger, options.experiment);
    Ok(ledger.diagnosis)
}

/// Tells the connection to read only, to trust nothing in the file, and to see one state of it.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.execute_batch("BEGIN")
}

/// Returns whether there is no such experiment; a table that does not read is a finding of the checks below.
fn is_unknown(connection: &Connection, id: ExperimentId) -> bool {
    let exists = connection
        .prepare("SELECT 1 FROM experiment WHERE id = ?1")
        .and_then(|mut statement| statement.exists([id.as_bytes()]));
    matches!(exists, Ok(false))
}

fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::SystemIoFailure))
}

/// Reports a file of which not even the first page reads.
fn too_damaged(error: rusqlite::Error, found: &mut dyn FnMut(&Finding)) -> Diagnosis {
    let mut ledger = Ledger::new(0, found);
    ledger.unreadable("database", Err(error));
    ledger.diagnosis
}
