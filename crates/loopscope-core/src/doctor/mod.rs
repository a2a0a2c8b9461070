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
mod fix;
mod gauge;
mod image;
mod imported;
mod known;
mod list;
mod rows;
mod run;
mod table;

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

pub use finding::{Decoding, Diagnosis, Finding, FindingKind, Place, Severity};
pub use fix::{Counts, Fix, FixReport, Reason};
pub use gauge::{Gauge, Reading, Stage};

use crate::experiment::ExperimentId;
use crate::store::{OpenOptions, Store, StoreError};
use finding::Ledger;

/// Memory for pages, for each of the two connections.
const CACHE_KIB: i64 = 65_536;

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
    examine_watched(path, open_options, options, &Gauge::default(), found)
}

/// As [`examine`], with a gauge that another thread may look at meanwhile.
///
/// # Errors
///
/// As [`examine`].
pub fn examine_watched(
    path: &Path,
    open_options: &OpenOptions,
    options: &DoctorOptions,
    gauge: &Gauge,
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
    let mut ledger = Ledger::new(version, gauge, found);
    std::thread::scope(|scope| {
        // SQLite's own check takes as long as ours, and needs nothing of it: it has a connection and a core of its own.
        let integrity = scope.spawn(|| {
            let store = Store::open_read(path, open_options)?;
            prepare(store.connection()).map_err(failed)?;
            Ok::<_, StoreError>(file::integrity_messages(store.connection()))
        });
        check_content(connection, &mut ledger, options);
        gauge.begin(Stage::File, 0);
        match integrity.join() {
            Ok(Ok(outcome)) => file::report_integrity(&mut ledger, outcome),
            Ok(Err(error)) => return Err(error),
            Err(panic) => std::panic::resume_unwind(panic),
        }
        Ok(ledger.diagnosis)
    })
}

/// Checks everything but what SQLite itself checks.
fn check_content(connection: &Connection, ledger: &mut Ledger<'_>, options: &DoctorOptions) {
    let differing = file::check_schema(connection, ledger);
    file::check_duplicates(connection, ledger, &differing);
    ledger.gauge.begin(Stage::Rows, row_count_estimate(connection, options));
    let mut known = rows::check_rows(connection, ledger, options);
    ledger.gauge.begin(Stage::Runs, ledger.diagnosis.checked.get("run").copied().unwrap_or(0));
    experiment::check_experiments(connection, ledger, options.experiment, &mut known);
    ledger.gauge.begin(Stage::References, 0);
    clustering::check_clusterings(connection, ledger, options.experiment);
    file::check_foreign_keys(connection, ledger, options.experiment, &known.walked);
}

/// Returns about how many rows there are, without counting them; 0 where only some of them are looked at.
fn row_count_estimate(connection: &Connection, options: &DoctorOptions) -> u64 {
    if options.experiment.is_some() {
        return 0;
    }
    let largest = |table: &table::Table| -> rusqlite::Result<Option<u64>> {
        connection.query_row(&format!("SELECT max(rowid) FROM {}", table.name), [], |row| row.get(0))
    };
    // A table that does not read is a finding; here it counts for nothing. What a damaged file says may be any number.
    table::TABLES.iter().filter_map(|table| largest(table).ok().flatten()).fold(0, u64::saturating_add)
}

/// Tells the connection to read only, to trust nothing in the file, and to see one state of it.
fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    // Room for the inner pages of the indexes of a large file; each connection has as much.
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.set_prepared_statement_cache_capacity(64);
    connection.execute_batch("BEGIN")
}

/// Notes the models that experiments ask for and that `is_known` does not know: what is missing of them cannot be
/// computed here.
///
/// # Errors
///
/// As [`Store::open_read`], and [`StoreError::Sqlite`].
pub fn note_unknown_models(
    path: &Path,
    open_options: &OpenOptions,
    only: Option<ExperimentId>,
    is_known: &dyn Fn(&str) -> bool,
    found: &mut dyn FnMut(&Finding),
) -> Result<u64, StoreError> {
    let store = Store::open_read(path, open_options)?;
    let failed = |source| StoreError::Sqlite { doing: "reading", path: path.to_owned(), source };
    prepare(store.connection()).map_err(failed)?;
    experiment::note_unknown_models(store.connection(), only, is_known, found).map_err(failed)
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
    let gauge = Gauge::default();
    let mut ledger = Ledger::new(0, &gauge, found);
    ledger.unreadable("database", Err(error));
    ledger.diagnosis
}
