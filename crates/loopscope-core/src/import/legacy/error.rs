//! Why an import did not go through.

use std::path::PathBuf;

use crate::store::StoreError;

/// Why a file cannot be read as a legacy database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// Nothing there.
    #[error("there is no file")]
    Missing,
    /// A directory.
    #[error("it is a directory")]
    Directory,
    /// Another kind of file.
    #[error("it is no SQLite database")]
    NotSqlite,
    /// One of ours.
    #[error("it is a loopscope database already")]
    Ours,
    /// Tables that every legacy file has.
    #[error("it has no table {}", .tables.join(", "))]
    Tables {
        /// What is missing.
        tables: Vec<String>,
    },
    /// A table without columns that it has in every layout.
    #[error("its table {table} has no column {}", .columns.join(", "))]
    Columns {
        /// Which table.
        table: &'static str,
        /// What is missing.
        columns: Vec<String>,
    },
    /// A log or journal that holds changes which are not in the file itself.
    #[error("{} holds changes that are not in the file yet, and reading them would write to it", .log.display())]
    Unfinished {
        /// The log or journal beside it.
        log: PathBuf,
    },
    /// The target is the source.
    #[error("it is the target too")]
    IsTarget,
    /// The file system said no.
    #[error("it cannot be read")]
    Io(#[source] std::io::Error),
    /// SQLite said no.
    #[error("{doing} failed")]
    Sqlite {
        /// What was being read.
        doing: String,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
}

/// Why an import did not go through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The source cannot be read as a legacy database.
    #[error("{} cannot be read as a database of the earlier tool", .path.display())]
    Source {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: SourceError,
    },
    /// The target.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What must be remembered during the import could not be.
    #[error("the scratch database in {} failed", .folder.display())]
    Scratch {
        /// Where it lies.
        folder: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The system gave something up.
    #[error("the system gave no {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The source changed under the import, or a bug: rows that are neither carried nor dropped.
    #[error(
        "table {table} of the source has {source_rows} rows, of which {decided} were decided; the source may be damaged: \
         look with `PRAGMA integrity_check`, and report this if it says ok"
    )]
    Unreconciled {
        /// Which table.
        table: &'static str,
        /// Rows counted.
        source_rows: u64,
        /// Rows carried and dropped.
        decided: u64,
    },
    /// A thread ended before its time.
    #[error("a thread of the import ended before its time; everything committed is kept; please report this")]
    ThreadLost,
    /// A stop was asked for.
    #[error("the import was stopped; everything committed is kept")]
    Stopped,
}
