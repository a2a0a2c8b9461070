//! The one place that tells people what went wrong, and the table of exit codes.

use std::process::ExitCode;

use loopscope_core::backend::RegistryError;
use loopscope_core::cluster::ClusterError;
use loopscope_core::clustering::ClusteringError;
use loopscope_core::config::{ConfigError, Defect};
use loopscope_core::engine::EngineError;
use loopscope_core::import::legacy::ImportError;
use loopscope_core::store::{MergeError, StoreError};
use loopscope_export::ExportError;
use loopscope_models::{ModelsFileError, PullError};

use crate::args::Global;
use crate::command::export::hint as hint_of_export;
use crate::command::import::hint_of as hint_of_import;
use crate::report::{Talk, print_json_line};

/// How a process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Ok,
    /// Failed, or doctor found a violation.
    Failed,
    /// The command line or a config is wrong.
    Usage,
    /// Finished, but some runs or clusterings failed, or wait for models that are not here; asking again tries again.
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
pub(crate) fn tell(error: &anyhow::Error, global: &Global, talk: &Talk) -> Exit {
    if is_unread(error) {
        return Exit::Ok; // Whoever read our output has seen enough.
    }
    for (index, text) in texts_of(error).iter().enumerate() {
        talk.error(if index == 0 { "error" } else { "cause" }, text);
    }
    if let Some(hint) = hint_of(error, global) {
        // Further lines stand under the first; an empty one stays empty.
        let lines = hint.lines().map(|line| if line.is_empty() { String::new() } else { format!("       {line}") });
        talk.error("hint", lines.collect::<Vec<_>>().join("\n").trim_start());
    }
    exit_of(error)
}

/// Tells an error as the last event of a stream of them, so that a program that reads only those misses nothing.
pub(crate) fn tell_as_event(error: &anyhow::Error) {
    let texts = texts_of(error);
    let event = serde_json::json!({ "event": "error", "error": texts.first(), "causes": texts.get(1..) });
    // A reader that is gone learns nothing more.
    print_json_line(&event).ok();
}

/// Returns the text of an error and of each cause that says more.
fn texts_of(error: &anyhow::Error) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        // A wrapper that says the same again, perhaps with a number before it, adds nothing.
        if !told.last().is_some_and(|last| text.ends_with(last.as_str())) {
            told.push(text);
        }
    }
    told
}

/// Takes the outcome of printing for good when nobody reads stdout any more.
///
/// # Errors
///
/// Every other failure to print.
pub(crate) fn unless_unread(printed: std::io::Result<()>) -> std::io::Result<()> {
    printed.or_else(|error| if error.kind() == std::io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })
}

/// Returns whether printing failed because nobody reads; a pipe that broke deeper down is a failure like others.
fn is_unread(error: &anyhow::Error) -> bool {
    let outermost = error.chain().next().and_then(|cause| cause.downcast_ref::<std::io::Error>());
    outermost.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn exit_of(error: &anyhow::Error) -> Exit {
    // A transparent error hides what it holds from the chain.
    let is_config = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<ConfigError>() || matches!(cause.downcast_ref(), Some(EngineError::Config(_)))
    };
    if error.chain().any(|cause| is_config(cause) || cause.is::<UsageError>() || cause.is::<ModelsFileError>()) {
        return Exit::Usage;
    }
    if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(ExportError::UnknownModel { .. }))) {
        return Exit::Usage;
    }
    match store_error(error) {
        Some(StoreError::NotFound { .. } | StoreError::Ambiguous { .. } | StoreError::Refused { .. }) => Exit::Usage,
        _ => Exit::Failed,
    }
}

fn store_error(error: &anyhow::Error) -> Option<&StoreError> {
    error.chain().find_map(|cause| {
        if let Some(EngineError::Store(error)) = cause.downcast_ref() {
            return Some(error);
        }
        if let Some(ClusteringError::Store(error)) = cause.downcast_ref() {
            return Some(error);
        }
        if let Some(MergeError::Store(error)) = cause.downcast_ref() {
            return Some(error);
        }
        if let Some(ImportError::Store(error)) = cause.downcast_ref() {
            return Some(error);
        }
        if let Some(ExportError::Store(error)) = cause.downcast_ref() {
            return Some(error);
        }
        cause.downcast_ref::<StoreError>()
    })
}

/// Returns the next move where there is too much to cluster: embeddings can be drawn from, the rows of a file cannot.
fn hint_of_clustering(cause: &(dyn std::error::Error + 'static)) -> Option<&'static str> {
    let (error, is_stored) = match cause.downcast_ref() {
        Some(ClusteringError::Cluster { source, .. }) => (source, true),
        _ => (cause.downcast_ref::<ClusterError>()?, false),
    };
    match (error, is_stored) {
        (ClusterError::TooManyPoints { .. }, true) => Some("take fewer with --downsample N"),
        (ClusterError::TooMuchMemory { .. }, true) => Some("raise --memory-limit, or take fewer with --downsample N"),
        (ClusterError::TooManyPoints { .. }, false) => Some("give it a part of the rows; --assign places the others"),
        (ClusterError::TooMuchMemory { .. }, false) => Some("raise --memory-limit, or give it fewer rows"),
        _ => None,
    }
}

/// Returns what to do about a model that is known and not here; of several, about the first.
fn remedy_of(error: &anyhow::Error) -> Option<String> {
    let config = error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(EngineError::Config(config)) => Some(config),
        _ => cause.downcast_ref::<ConfigError>(),
    })?;
    let ConfigError::Invalid { problems, .. } = config else { return None };
    let absent: Vec<(&str, &str)> = problems
        .iter()
        .filter_map(|problem| match &problem.defect {
            Defect::Registry { error: RegistryError::NotHere { name, remedy, .. }, .. } => {
                Some((name.as_str(), remedy.as_str()))
            }
            _ => None,
        })
        .collect();
    match absent.as_slice() {
        [] => None,
        [(_, remedy)] => Some((*remedy).to_owned()),
        [(name, remedy), rest @ ..] => {
            let others: Vec<&str> = rest.iter().map(|(name, _)| *name).collect();
            Some(format!("for {name}: {remedy}\n`loopscope model show NAME` says the same of {}", others.join(", ")))
        }
    }
}

/// Returns the next move for the errors that people meet.
fn hint_of(error: &anyhow::Error, global: &Global) -> Option<String> {
    if let Some(usage) = error.chain().find_map(|cause| cause.downcast_ref::<UsageError>()) {
        return usage.hint.clone();
    }
    if let Some(remedy) = remedy_of(error) {
        return Some(remedy);
    }
    if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(PullError::Failed { .. }))) {
        return Some("try again: what is downloaded is kept, and a file goes on where it was".to_owned());
    }
    let merge = error.chain().find_map(|cause| cause.downcast_ref::<MergeError>());
    if let Some(hint) = merge.and_then(|error| crate::command::merge::hint(error, global)) {
        return Some(hint);
    }
    let import = error.chain().find_map(|cause| cause.downcast_ref::<ImportError>());
    if let Some(hint) = import.and_then(|error| hint_of_import(error, global)) {
        return Some(hint);
    }
    if let Some(hint) = error.chain().find_map(hint_of_clustering) {
        return Some(hint.to_owned());
    }
    let export = error.chain().find_map(|cause| cause.downcast_ref::<ExportError>());
    if let Some(hint) = export.and_then(|error| hint_of_export(error, global)) {
        return Some(hint);
    }
    #[cfg(feature = "images")]
    if let Some(error) = error.chain().find_map(|cause| cause.downcast_ref()) {
        return crate::command::inspect::hint(error);
    }
    let resume = global.command("experiment resume latest");
    let runs = global.command("run list");
    let experiments = global.command("experiment list");
    let demo = global.command("demo");
    let doctor = global.command("doctor");
    Some(match store_error(error)? {
        StoreError::Missing { .. } => format!("`{demo}` makes one, or name another with --db FILE"),
        StoreError::Directory { .. } => "name the file itself, for example --db DIRECTORY/loopscope.sqlite".to_owned(),
        StoreError::NotADatabase { .. } => "name another file with --db; this one was not touched".to_owned(),
        StoreError::ReadOnly { .. } => "make it writable, or name a database elsewhere with --db FILE".to_owned(),
        StoreError::NetworkDisk { .. } => {
            "put the database on a local disk, and copy it over with `loopscope backup`".to_owned()
        }
        StoreError::DiskNearlyFull { .. } | StoreError::DiskFull { .. } => {
            format!("free some space, then `{resume}`; everything committed is kept")
        }
        StoreError::Busy { .. } => "wait for the other process, or stop it; nothing was half written".to_owned(),
        StoreError::Locked { .. } => "wait for it, or stop it: an engine saves its work on Ctrl-C".to_owned(),
        StoreError::NotFound { noun: "run", .. } => format!("`{runs}` shows the runs of an experiment"),
        StoreError::NotFound { noun: "clustering", .. } => {
            let [list, run] = ["cluster list", "cluster run"].map(|command| global.command(command));
            format!("`{list}` shows what there is, `{run}` makes one")
        }
        StoreError::NotFound { .. } => format!("`{experiments}` shows what there is"),
        StoreError::Ambiguous { .. } => "type more of the id".to_owned(),
        StoreError::Invalid { .. }
        | StoreError::Vector { .. }
        | StoreError::Image { .. }
        | StoreError::Diagram { .. } => format!("`{doctor}` looks for everything wrong"),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_error() -> ConfigError {
        ConfigError::Missing { path: "x.toml".into() }
    }

    #[test]
    fn a_config_error_is_one_wherever_it_hides() {
        for error in [
            anyhow::Error::from(config_error()),
            anyhow::Error::from(EngineError::Config(config_error())),
            anyhow::Error::from(EngineError::Config(config_error())).context("experiment 7f3a stopped"),
        ] {
            assert_eq!(exit_of(&error), Exit::Usage, "{error:?}");
        }
        assert_eq!(exit_of(&anyhow::Error::from(EngineError::ThreadLost)), Exit::Failed);
    }

    #[test]
    fn only_our_own_pipe_ends_a_command_quietly() {
        let broken = || std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_unread(&anyhow::Error::from(broken())));
        assert!(!is_unread(&anyhow::Error::from(broken()).context("calling a model")));
    }
}
