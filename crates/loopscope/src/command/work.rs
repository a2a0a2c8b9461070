//! Running the engine from a command: signals, progress, and what to say at the end.

use std::time::Instant;

use anyhow::Context;
use loopscope_core::engine::{Engine, EngineError, EngineOptions, Outcome, RetryPolicy};
use loopscope_core::experiment::{ExperimentId, OsEntropy, SystemClock};
use loopscope_core::store::{Store, StoreError};
use loopscope_models::ModelRegistry;

use crate::args::{EngineArgs, Global};
use crate::failure::{Exit, unless_unread};
use crate::report::{Reporter, Talk, duration, print_summary, summarise};
use crate::signals::stop_on_signal;

/// The engine's options as the command line sets them.
pub(crate) fn engine_options(arguments: &EngineArgs) -> EngineOptions {
    let mut options =
        EngineOptions { program_version: env!("CARGO_PKG_VERSION").to_owned(), ..EngineOptions::default() };
    if let Some(threads) = arguments.threads {
        options.threads = usize::from(threads);
    }
    options.retry = RetryPolicy { attempts_max: arguments.attempts, ..options.retry };
    options.diagram_memory_bytes_max = arguments.diagram_memory;
    options
}

/// Works on an experiment until nothing is left to do or a signal comes, and says how it ended.
///
/// # Errors
///
/// Whatever stopped the engine, with the experiment named.
pub(crate) fn work(
    store: Store,
    id: ExperimentId,
    registry: &ModelRegistry,
    arguments: &EngineArgs,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Outcome> {
    let stop = stop_on_signal().context("listening for signals")?;
    let options = engine_options(arguments);
    let engine = Engine { registry, clock: &SystemClock, entropy: &OsEntropy, options: &options };
    let mut reporter = Reporter::new(talk, global.json);
    let outcome = engine.work(store, id, &stop, &mut |event| reporter.show(event, talk));
    outcome.map_err(|error| match error {
        // It never began, so there is nothing to say of what is kept.
        EngineError::Store(StoreError::Locked { .. }) | EngineError::Config(_) => anyhow::Error::from(error),
        error => anyhow::Error::from(error)
            .context(format!("experiment {} stopped; everything committed is kept", id.short())),
    })
}

/// Prints what an experiment came to after the engine worked on it, and what to type next.
///
/// # Errors
///
/// When the store does not read. That nobody reads the summary changes nothing of how the work ended.
pub(crate) fn conclude(
    id: ExperimentId,
    outcome: Outcome,
    began: Instant,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let resume = global.command(&format!("experiment resume {}", id.short()));
    if !global.json && outcome != Outcome::Interrupted {
        let store = Store::open_read(&global.db, &global.open_options())?;
        let summary = summarise(&store, &store.experiment(id)?)?;
        unless_unread(print_summary(&summary, global))?;
    }
    Ok(match outcome {
        Outcome::Completed => {
            talk.say(&format!("done in {}", duration(began.elapsed())));
            Exit::Ok
        }
        Outcome::SomeFailed => {
            talk.say(&format!("some runs failed; `{resume}` tries them again"));
            Exit::SomeFailed
        }
        Outcome::SomeUnavailable => {
            talk.say(&format!(
                "done as far as the models that are here can take it; `{resume}` goes on where the others are"
            ));
            Exit::SomeFailed
        }
        Outcome::Interrupted => {
            talk.say("interrupted; everything computed is saved");
            // Whoever wants no talk still needs to know how to go on.
            talk.say_anyway(&format!("resume: {resume}"));
            Exit::Interrupted
        }
    })
}
