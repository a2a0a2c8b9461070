//! The engine: one path for a start, a resume and a repair.
//!
//! It derives what is missing from the store, computes it, and commits each object whole. Each run is strictly
//! sequential; runs go on side by side, and work is grouped by model and called in batches. An invocation is committed
//! no later than its successor, though it may be computed from before the commit has reached the disk.
//!
//! Threads: one scheduler (the caller's), one writer that owns the store, and for each [`Lane`](crate::backend::Lane)
//! the threads that own its models. They talk in messages; the only shared state is the queue of jobs.

mod again;
mod delayed;
mod event;
mod job;
mod queue;
mod residency;
mod retry;
mod run_state;
mod scheduler;
mod scope;
mod setup;
mod tally;
mod work;
mod worker;
mod writer;

use std::sync::atomic::AtomicBool;

use serde::Serialize;

pub(crate) use again::{Again, Gave, Step, diagram_again};
pub use event::{Event, Progress, StageProgress};
pub use retry::RetryPolicy;
pub use scope::models_not_here;
pub use setup::create_experiment;

use crate::backend::Registry;
use crate::config::ConfigError;
use crate::experiment::{Clock, Entropy, ExperimentId};
use crate::store::{ExperimentLock, Store, StoreError};

/// Memory that one diagram may take where nobody says otherwise.
pub const DIAGRAM_MEMORY_BYTES_MAX: u64 = 4 << 30;

/// How the engine works; none of it changes what a run with a seed of its own gives.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Threads for work on the CPU; at least 1.
    pub threads: usize,
    /// Runs that are under way at once; bounds the pictures in memory.
    pub active_runs_max: usize,
    /// What to do when a model fails in passing.
    pub retry: RetryPolicy,
    /// Memory for loaded models, per thread that owns models; the least recently used go first.
    pub model_memory_bytes_max: u64,
    /// Highest dimension of the diagrams.
    pub diagram_dimension_max: usize,
    /// Memory that one diagram may take, whatever the experiment asks for; without it, what the experiment asks for,
    /// else [`DIAGRAM_MEMORY_BYTES_MAX`].
    pub diagram_memory_bytes_max: Option<u64>,
    /// The program's version, for provenance.
    pub program_version: String,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            active_runs_max: 256,
            retry: RetryPolicy::default(),
            model_memory_bytes_max: u64::MAX,
            diagram_dimension_max: 2,
            diagram_memory_bytes_max: None,
            program_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// How an engine's work on an experiment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Nothing is missing.
    Completed,
    /// Everything was tried, and some of it failed; the failures are on record and a resume tries again.
    SomeFailed,
    /// What the models that are here can give is there; the rest of an imported experiment waits for others, each of
    /// which was told of.
    SomeUnavailable,
    /// Stopped on request; everything computed is saved.
    Interrupted,
}

/// Why an engine could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The store failed: whatever was committed before is kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The experiment asks for models that are not here or do not fit.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The system gave no randomness or no thread.
    #[error("the system gave no {what}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A bug: a thread of the engine ended before its time.
    #[error("a thread of the engine ended before its time; everything committed is kept; please report this")]
    ThreadLost,
    /// The store contradicts itself, as a damaged one does; in a whole one this is a bug.
    #[error(
        "{count} objects are still missing after all work was done without a failure; the file may be damaged: run \
         `loopscope doctor`, and report this if it finds nothing"
    )]
    StillMissing {
        /// How many.
        count: usize,
    },
}

/// The engine: what it calls, and what it is told about time and chance.
#[derive(Clone, Copy)]
pub struct Engine<'a> {
    /// The models.
    pub registry: &'a dyn Registry,
    /// The time.
    pub clock: &'a dyn Clock,
    /// Ids and fresh seeds.
    pub entropy: &'a dyn Entropy,
    /// How to work.
    pub options: &'a EngineOptions,
}

impl Engine<'_> {
    /// Computes what is missing of an experiment, until nothing is, everything left has failed, or `stop` is set.
    ///
    /// `report` is called on this thread for every event. The experiment's lock is held throughout.
    ///
    /// # Errors
    ///
    /// [`EngineError`]; whatever was committed before stays.
    pub fn work(
        &self,
        store: Store,
        experiment: ExperimentId,
        stop: &AtomicBool,
        report: &mut dyn FnMut(&Event),
    ) -> Result<Outcome, EngineError> {
        let lock = ExperimentLock::take(store.path(), experiment)?;
        let outcome = work::work(self, store, experiment, stop, report);
        drop(lock);
        outcome
    }
}
