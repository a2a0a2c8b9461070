//! What must be remembered of the rows while they stream by: a SQLite database without a name.
//!
//! The file is removed from its folder as soon as it is open, so that the system frees it when the process ends,
//! however it ends. It lies beside the target, where there is room for what is imported, or among the temporary files
//! when nothing is to be written.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{CachedStatement, Connection, Params};

use super::error::ImportError;

const SCHEMA: &str = "
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA locking_mode = EXCLUSIVE;
PRAGMA cache_size = -98304;
-- Names of models, and whatever stands where one should.
CREATE TABLE name (n INTEGER PRIMARY KEY, key BLOB NOT NULL UNIQUE);
-- Ids that were met, for tables that do not keep them from coming twice.
CREATE TABLE met (tbl INTEGER, id BLOB, PRIMARY KEY (tbl, id)) WITHOUT ROWID;
-- What was not carried, by the name that the report gives it.
CREATE TABLE dropped (tbl INTEGER, reason TEXT, name TEXT, PRIMARY KEY (tbl, reason, name)) WITHOUT ROWID;
CREATE TABLE repaired (tbl INTEGER, kind TEXT, id BLOB, PRIMARY KEY (tbl, kind, id)) WITHOUT ROWID;
-- What was carried.
CREATE TABLE experiment (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE run (n INTEGER PRIMARY KEY, id BLOB NOT NULL UNIQUE, alike BLOB NOT NULL, source INTEGER NOT NULL,
  max_length INTEGER NOT NULL, truncated INTEGER);
CREATE TABLE embedding (id BLOB PRIMARY KEY, model INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE diagram (id BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE clustering (id BLOB PRIMARY KEY, model INTEGER NOT NULL, source INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE member (id BLOB PRIMARY KEY) WITHOUT ROWID;
-- Every invocation of the source whose run was carried; state 0 dropped, 1 a carried text, 2 a carried picture.
CREATE TABLE invocation (key BLOB PRIMARY KEY, run INTEGER NOT NULL, state INTEGER NOT NULL) WITHOUT ROWID;
-- Those with an id, in the order in which they are decided; number -1 is no number.
CREATE TABLE step (run INTEGER, number INTEGER, id BLOB, source INTEGER, PRIMARY KEY (run, number, id)) WITHOUT ROWID;
-- The largest number of a run among rows that are no steps.
CREATE TABLE other_number (run INTEGER PRIMARY KEY, top REAL NOT NULL);
-- Embeddings of one invocation and model of which there is more than one.
CREATE TABLE twin (place BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE waiting (place BLOB, id BLOB, source INTEGER, PRIMARY KEY (place, id)) WITHOUT ROWID;
-- Runs and models of which an embedding was dropped, or carried.
CREATE TABLE spoiled (run INTEGER, model INTEGER, PRIMARY KEY (run, model)) WITHOUT ROWID;
CREATE TABLE embedded (run INTEGER, model INTEGER, PRIMARY KEY (run, model)) WITHOUT ROWID;
CREATE TABLE shape (run INTEGER, model INTEGER, id BLOB, source INTEGER, PRIMARY KEY (run, model, id)) WITHOUT ROWID;
-- Rows of the old table of clusters; the medoid is NULL for noise, and no id where none is named.
CREATE TABLE cluster (key BLOB PRIMARY KEY, kind INTEGER NOT NULL, medoid BLOB) WITHOUT ROWID;
CREATE TABLE membership (clustering BLOB, embedding BLOB, id BLOB, medoid BLOB, PRIMARY KEY (clustering, embedding, id)) WITHOUT ROWID;
BEGIN;
";

/// Tells the scratch databases of one process apart while they have a name.
static SERIAL: AtomicU64 = AtomicU64::new(0);

/// Names of models that are kept at hand.
const NAMES_MAX: usize = 4096;

/// The scratch database.
pub(super) struct Scratch {
    connection: Connection,
    folder: PathBuf,
    names: HashMap<Vec<u8>, i64>,
}

impl Scratch {
    /// Makes the scratch database: beside the target, or among the temporary files.
    pub(super) fn beside(target: Option<&Path>) -> Result<Self, ImportError> {
        let folder = match target {
            Some(target) => match target.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                _ => PathBuf::from("."),
            },
            None => temporary_folder(),
        };
        let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
        let path = folder.join(format!(".loopscope-import-{}-{serial}.scratch", std::process::id()));
        let made = (|| {
            let connection = Connection::open(&path)?;
            connection.execute_batch("PRAGMA schema_version")?;
            Ok(connection)
        })();
        // It is ours alone: the system keeps it for as long as it is open. A file that stays is only untidy.
        std::fs::remove_file(&path).ok();
        let connection = made.map_err(|source| ImportError::Scratch { folder: folder.clone(), source })?;
        connection.set_prepared_statement_cache_capacity(64);
        let scratch = Self { connection, folder, names: HashMap::new() };
        scratch.connection.execute_batch(SCHEMA).map_err(|source| scratch.failed(source))?;
        Ok(scratch)
    }

    pub(super) fn failed(&self, source: rusqlite::Error) -> ImportError {
        ImportError::Scratch { folder: self.folder.clone(), source }
    }

    pub(super) fn query(&self, sql: &str) -> Result<CachedStatement<'_>, ImportError> {
        self.connection.prepare_cached(sql).map_err(|source| self.failed(source))
    }

    /// Changes something, and returns how many rows it changed.
    pub(super) fn put(&self, sql: &str, values: impl Params) -> Result<usize, ImportError> {
        self.query(sql)?.execute(values).map_err(|source| self.failed(source))
    }

    /// Returns the one row that a query finds, if it finds one.
    pub(super) fn find<T>(
        &self,
        sql: &str,
        values: impl Params,
        read: impl FnOnce(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>, ImportError> {
        match self.query(sql)?.query_row(values, read) {
            Ok(value) => Ok(Some(value)),
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Returns the number of a model's name by the key of its cell.
    pub(super) fn name(&mut self, key: &[u8]) -> Result<i64, ImportError> {
        if let Some(&number) = self.names.get(key) {
            return Ok(number);
        }
        self.put("INSERT OR IGNORE INTO name (key) VALUES (?1)", [key])?;
        let found = self.find("SELECT n FROM name WHERE key = ?1", [key], |row| row.get(0))?;
        let number = found.ok_or_else(|| self.failed(rusqlite::Error::QueryReturnedNoRows))?;
        if self.names.len() >= NAMES_MAX {
            self.names.clear();
        }
        self.names.insert(key.to_vec(), number);
        Ok(number)
    }
}

/// Returns where temporary files lie that may become large: where the user says, or else on a disk rather than in memory.
fn temporary_folder() -> PathBuf {
    let disk = Path::new("/var/tmp");
    if std::env::var_os("TMPDIR").is_none() && disk.is_dir() { disk.to_owned() } else { std::env::temp_dir() }
}
