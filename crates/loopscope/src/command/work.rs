//! Running the engine from a command: signals, progress, and what to say at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use anyhow::Context;
use loopscope_core::engine::{Engine, EngineError, EngineOptions, Outcome, RetryPolicy};
use loopscope_core::experiment::{ExperimentId, OsEntropy, SystemClock};
use loopscope_core::store::{Store, StoreError};
use loopscope_models::BuiltinRegistry;

use crate::args::{EngineArgs, Global};
use crate::failure::Exit;
use crate::report::{Reporter, Talk, duration, print_summary, summarise};

/// The engine's options as the command line sets them.
pub(crate) fn engine_options(arguments: &EngineArgs) -> EngineOptions {
    let mut options =
        EngineOptions { program_version: env!("CARGO_PKG_VERSION").to_owned(), ..EngineOptions::default() };
    if let Some(threads) = arguments.threads {
        options.threads = usize::from(threads);
    }
    options.retry = RetryPolicy { attempts_max: arguments.attempts, ..options.retry };
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
    arguments: &EngineArgs,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Outcome> {
    let stop = stop_on_signal()?;
    let options = engine_options(arguments);
    let registry = BuiltinRegistry;
    let engine = Engine { registry: &registry, clock: &SystemClock, entropy: &OsEntropy, options: &options };
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
/// When the store does not read or stdout is closed.
pub(crate) fn conclude(
    id: ExperimentId,
    outcome: Outcome,
    began: Instant,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let short = id.short();
    if !global.json && outcome != Outcome::Interrupted {
        let store = Store::open_read(&global.db, &global.open_options())?;
        print_summary(&summarise(&store, &store.experiment(id)?)?)?;
    }
    Ok(match outcome {
        Outcome::Completed => {
            talk.say(&format!("done in {}", duration(began.elapsed())));
            Exit::Ok
        }
        Outcome::SomeFailed => {
            talk.say(&format!("some runs failed; `loopscope experiment resume {short}` tries them again"));
            Exit::SomeFailed
        }
        Outcome::Interrupted => {
            talk.say(&format!(
                "interrupted; everything computed is saved\nresume: loopscope experiment resume {short}"
            ));
            Exit::Interrupted
        }
    })
}

/// Sets a flag at the first interrupt or termination signal, and quits at the second.
fn stop_on_signal() -> anyhow::Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&stop);
    let handler = move || {
        if seen.swap(true, Ordering::Relaxed) {
            #[expect(clippy::exit, reason = "the second signal asks for just that; every commit so far is durable")]
            std::process::exit(130);
        }
    };
    ctrlc::set_handler(handler).context("listening for Ctrl-C")?;
    Ok(stop)
}
