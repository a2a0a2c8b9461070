//! The one place that tells people what went wrong, and the table of exit codes.

use std::process::ExitCode;

use loopscope_core::config::ConfigError;
use loopscope_core::engine::EngineError;
use loopscope_core::store::StoreError;

use crate::report::Talk;

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Failed, or doctor found a violation.
    Failed,
    /// The command line or a config is wrong.
    Usage,
    /// Finished, but some runs failed; a resume tries again.
    SomeFailed,
    /// Interrupted; everything computed is saved.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Ok => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::SomeFailed => 3,
            Exit::Interrupted => 130,
        })
    }
}

/// What people got wrong in what they typed, with the next move.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct UsageError {
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

/// Tells an error with its causes and the next move, and returns the exit code.
pub(crate) fn tell(error: &anyhow::Error, talk: &Talk) -> Exit {
    if is_broken_pipe(error) {
        return Exit::Ok; // Whoever read our output has seen enough.
    }
    let mut told: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // A wrapper that says the same again, perhaps with a number before it, adds nothing.
        if !told.last().is_some_and(|last| text.ends_with(last.as_str())) {
            told.push(text);
        }
    }
    for (index, text) in told.iter().enumerate() {
        talk.error(if index == 0 { "error" } else { "cause" }, text);
    }
    if let Some(hint) = hint_of(error) {
        talk.error("hint", &hint);
    }
    exit_of(error)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.is::<ConfigError>() || cause.is::<UsageError>()) {
        return Exit::Usage;
    }
    match store_error(error) {
        Some(StoreError::NotFound { .. } | StoreError::Ambiguous { .. } | StoreError::Refused { .. }) => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    error.chain().find_map(|cause| {
        cause.downcast_ref::<StoreError>().or_else(|| match cause.downcast_ref::<EngineError>() {
            Some(EngineError::Store(error)) => Some(error),
            _ => None,
        })
    })
}

/// Returns the next move for the errors that people meet.
fn hint_of(error: &anyhow::Error) -> Option<String> {
    if let Some(usage) = error.chain().find_map(|cause| cause.downcast_ref::<UsageError>()) {
        return usage.hint.clone();
    }
    let next = match store_error(error)? {
        StoreError::Missing { .. } => "`loopscope demo` makes one, or name another with --db FILE",
        StoreError::Directory { .. } => "name the file itself, for example --db DIRECTORY/loopscope.sqlite",
        StoreError::NotADatabase { .. } => "name another file with --db; this one was not touched",
        StoreError::ReadOnly { .. } => "make it writable, or name a database elsewhere with --db FILE",
        StoreError::NetworkDisk { .. } => "put the database on a local disk, and copy it over with `loopscope backup`",
        StoreError::DiskNearlyFull { .. } | StoreError::DiskFull { .. } => {
            "free some space, then `loopscope experiment resume latest`; everything committed is kept"
        }
        StoreError::Busy { .. } => "wait for the other process, or stop it; nothing was half written",
        StoreError::Locked { .. } => "wait for it, or stop it: an engine saves its work on Ctrl-C",
        StoreError::NotFound { noun: "run", .. } => "`loopscope run list` shows the runs of an experiment",
        StoreError::NotFound { .. } => "`loopscope experiment list` shows what there is",
        StoreError::Ambiguous { .. } => "type more of the id",
        StoreError::Invalid { .. }
        | StoreError::Vector { .. }
        | StoreError::Image { .. }
        | StoreError::Diagram { .. } => "`loopscope doctor` looks for everything wrong",
        _ => return None,
    };
    Some(next.to_owned())
}
