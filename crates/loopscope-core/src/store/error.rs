//! What can go wrong between the program and its file.

use std::path::PathBuf;

use super::MigrationError;
use crate::codec::{DiagramCodecError, ImageCodecError, VectorCodecError};

/// Why the store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No file where one is needed.
    #[error("there is no database at {}", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A directory, where a file is needed.
    #[error("{} is a directory; expected a database file", .path.display())]
    Directory {
        /// What was given.
        path: PathBuf,
    },
    /// A file of another kind.
    #[error("{} is not a loopscope database: {found}", .path.display())]
    NotADatabase {
        /// What was given.
        path: PathBuf,
        /// What it is instead.
        found: String,
    },
    /// A file, folder or disk that may not be written.
    #[error("{} cannot be written: {reason}", .path.display())]
    ReadOnly {
        /// What was given.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A network file system, on which write-ahead logging loses data.
    #[error("{} is on a network file system ({filesystem}); a database needs a local disk", .path.display())]
    NetworkDisk {
        /// What was given.
        path: PathBuf,
        /// The file system's name.
        filesystem: String,
    },
    /// Too little room to go on safely.
    #[error(
        "the disk of {} has {} MiB free; at least {} MiB are kept free so that everything committed stays whole",
        .path.display(), .free_bytes / 1_048_576, .needed_bytes / 1_048_576
    )]
    DiskNearlyFull {
        /// The database.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        needed_bytes: u64,
    },
    /// No room for what was to be written.
    #[error("the disk of {} is full; what was being written is not there, and everything committed before is", .path.display())]
    DiskFull {
        /// The database.
        path: PathBuf,
    },
    /// Another process holds SQLite's write lock for longer than we wait.
    #[error("another process has held the write lock of {} for {waited_s} s", .path.display())]
    Busy {
        /// The database.
        path: PathBuf,
        /// How long was waited.
        waited_s: u64,
    },
    /// Another engine works on the experiment.
    #[error("experiment {experiment} is being worked on by process {holder}")]
    Locked {
        /// Its short id.
        experiment: String,
        /// The holder's process id, or `unknown`.
        holder: String,
    },
    /// Another process imports into the database.
    #[error("process {holder} is importing into the database")]
    Importing {
        /// The holder's process id, or `unknown`.
        holder: String,
    },
    /// The file has a schema of a later program.
    #[error(
        "{} has schema version {found}, but this program knows versions up to {known}; use a newer loopscope",
        .path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The newest that we know.
        known: u32,
    },
    /// The file has a schema of an earlier program, and a read command does not change it.
    #[error(
        "{} has schema version {found}, and this program reads version {known}; `loopscope migrate` brings it up to date, \
         after a backup",
        .path.display()
    )]
    Older {
        /// The database.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The version that we read.
        known: u32,
    },
    /// The bundled SQLite is older than the one that is safe.
    #[error(
        "this program was built with SQLite {found}; at least 3.51.3 is needed (earlier ones can lose a write-ahead log)"
    )]
    SqliteTooOld {
        /// The version.
        found: String,
    },
    /// A migration did not go through.
    #[error("{} could not be migrated", .path.display())]
    Migration {
        /// The database.
        path: PathBuf,
        /// Why.
        #[source]
        source: MigrationError,
    },
    /// No object has the name or id that was typed.
    #[error("no {noun} matches \"{typed}\"{}", hint(.nearest))]
    NotFound {
        /// `experiment`, `run`, ….
        noun: &'static str,
        /// What was typed.
        typed: String,
        /// A name that is spelt alike, or nothing.
        nearest: Option<String>,
    },
    /// Several objects have ids that fit what was typed.
    #[error("\"{typed}\" fits {count} {noun}s: {}{}", .matches.join(", "), more(.matches, .count))]
    Ambiguous {
        /// `experiment`, `run`, ….
        noun: &'static str,
        /// What was typed.
        typed: String,
        /// How many.
        count: usize,
        /// The short ids of the first of them.
        matches: Vec<String>,
    },
    /// A stored value that this program's own checks refuse.
    #[error("{object}: {defect}")]
    Invalid {
        /// Which object.
        object: String,
        /// What is wrong with it.
        defect: String,
    },
    /// An object that comes with its id meets another one that has it, or has its place.
    #[error("{object} {defect}; nothing of it was changed")]
    Conflict {
        /// Which object.
        object: String,
        /// What stands in its way.
        defect: String,
    },
    /// A vector that does not read.
    #[error("{object} holds no vector")]
    Vector {
        /// Which object.
        object: String,
        /// Why.
        #[source]
        source: VectorCodecError,
    },
    /// A picture that does not read.
    #[error("{object} holds no picture")]
    Image {
        /// Which object.
        object: String,
        /// Why.
        #[source]
        source: ImageCodecError,
    },
    /// A diagram that does not read or write.
    #[error("{object} holds no diagram")]
    Diagram {
        /// Which object.
        object: String,
        /// Why.
        #[source]
        source: DiagramCodecError,
    },
    /// What was asked would break something that rests on it.
    #[error("{message}")]
    Refused {
        /// What, and what to do instead.
        message: String,
    },
    /// The file system said no.
    #[error("{doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// SQLite said no.
    #[error("{} {}", .doing, .path.display())]
    Sqlite {
        /// What was being done.
        doing: &'static str,
        /// To which database.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: rusqlite::Error,
    },
}

fn hint(nearest: &Option<String>) -> String {
    nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

fn more(matches: &[String], count: &usize) -> &'static str {
    if matches.len() < *count { ", …" } else { "" }
}
