//! Databases of the earlier Python tool: every complete row is carried, every other one is named with the reason.
//!
//! The earlier tool made rows first and filled them in later, so that its files hold rows that our schema forbids. The
//! rules are in `docs/design/import.md`; the report says what became of every row. The source is opened for reading and
//! never changed. Rows stream: what must be remembered of them (which were carried, how they follow each other) lies in
//! a scratch database without a name, which the system removes with the process. What is decided depends on the source
//! alone, and an object that is in the store already must say the same; so an import that was stopped is begun again
//! and ends as if it had not been.
//!
//! Order: experiments, runs, invocations (run by run, in their order), embeddings, diagrams, clusterings. Pictures are
//! decoded by threads of their own; one more writes to the store.

mod clusterings;
mod decode;
mod diagrams;
mod embeddings;
mod error;
mod experiments;
mod invocations;
pub mod parse;
mod report;
mod scratch;
mod session;
mod sink;
mod source;

use std::path::Path;
use std::sync::atomic::AtomicBool;

use jiff::tz::TimeZone;

pub use error::{ImportError, SourceError};
pub use report::{ImportReport, Note, Table, TableCounts};

use crate::backend::nearest_name;
use crate::experiment::{Clock, Entropy};
use crate::store::OpenOptions;
use scratch::Scratch;
use session::Session;
use sink::Sink;
use source::Source;

/// A time zone by its name: what the times of a source, which name none, are read with.
#[derive(Clone, Debug)]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// No time zone has the name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "unknown time zone \"{name}\"; expected an IANA name such as Europe/Berlin or UTC{}",
    .nearest.as_ref().map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
)]
pub struct UnknownZone {
    /// What was given.
    pub name: String,
    /// The known name that is spelt most alike.
    pub nearest: Option<String>,
}

impl Zone {
    /// Returns the zone of an IANA name. The rules are part of this program, so that every machine reads alike.
    ///
    /// # Errors
    ///
    /// [`UnknownZone`].
    pub fn named(name: &str) -> Result<Self, UnknownZone> {
        match jiff::tz::db().get(name) {
            Ok(rules) => Ok(Self { name: rules.iana_name().unwrap_or(name).to_owned(), rules }),
            Err(_) => {
                let names: Vec<String> = jiff::tz::db().available().map(|name| name.to_string()).collect();
                let nearest = nearest_name(name, names.iter().map(String::as_str)).map(str::to_owned);
                Err(UnknownZone { name: name.to_owned(), nearest })
            }
        }
    }

    /// Returns its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// How to import.
#[derive(Clone)]
pub struct ImportOptions<'a> {
    /// The zone of the times in the source.
    pub zone: Zone,
    /// How to open the target.
    pub open: OpenOptions,
    /// Threads that decode pictures, at least 1.
    pub threads: usize,
    /// What tells when the rows came into the store.
    pub clock: &'a dyn Clock,
    /// Where the ids of model versions come from.
    pub entropy: &'a dyn Entropy,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImportProgress {
    /// The table whose rows are being looked at.
    pub table: Table,
    /// Rows of it that were decided.
    pub done: u64,
    /// Rows of it.
    pub total: u64,
}

/// Imports a legacy database into the store at `target`, or looks what would become of it when there is no target.
///
/// `progress` is called now and then. When `stop` is set the import ends at the next row; everything committed is kept,
/// and the same call goes on from there.
///
/// # Errors
///
/// [`ImportError::Source`] when `source` cannot be read as a legacy database, [`ImportError::Stopped`], or whatever
/// stops the target; groups that were committed before stay.
pub fn import_legacy(
    source: &Path,
    target: Option<&Path>,
    options: &ImportOptions<'_>,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(ImportProgress),
) -> Result<ImportReport, ImportError> {
    let source = Source::open(source, target)?;
    let scratch = Scratch::beside(target)?;
    let sink = Sink::open(target, options)?;
    let mut session = Session::new(source, scratch, sink, options, stop, progress)?;
    let outcome = session.run();
    session.conclude(outcome)
}
