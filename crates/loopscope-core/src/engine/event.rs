//! What the engine tells whoever watches: a terminal, JSON lines, a viewer.

use serde::Serialize;

use super::Outcome;
use crate::experiment::{ExperimentId, FailureStage, ModelName, RunId, StopReason};

/// How far a stage is. `expected` is an upper bound that shrinks when a run ends early.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct StageProgress {
    /// Objects that are committed.
    pub done: u64,
    /// Objects that there will be at most.
    pub expected: u64,
}

/// How far an experiment is; counts committed objects only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Invocations.
    pub invocations: StageProgress,
    /// Embeddings.
    pub embeddings: StageProgress,
    /// Persistence diagrams.
    pub diagrams: StageProgress,
    /// Runs that have all their invocations.
    pub runs: StageProgress,
    /// Work given up in this process.
    pub failed: u64,
    /// Attempts made again in this process.
    pub retries: u64,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// Work begins.
    Started {
        /// On this experiment.
        experiment: ExperimentId,
        /// Its name.
        name: String,
        /// What is there already.
        progress: Progress,
    },
    /// A model was loaded by a thread.
    ModelLoaded {
        /// Which.
        model: ModelName,
    },
    /// An imported experiment lacks something that only this model could give, and it is not here; told once.
    ModelUnavailable {
        /// Which.
        model: ModelName,
        /// Why not.
        reason: String,
    },
    /// A diagram that says less than its run is about to have was taken out; it is computed anew when all is there.
    DiagramOutgrown {
        /// Which run.
        run: RunId,
        /// The embedding model.
        model: ModelName,
    },
    /// A group of objects was committed.
    Progress {
        /// What is there now.
        progress: Progress,
    },
    /// A run has all its invocations.
    RunStopped {
        /// Which run.
        run: RunId,
        /// How many it has.
        length: u64,
        /// Why it has no more.
        stop: StopReason,
    },
    /// An attempt failed; it is on record.
    Failure {
        /// Where in the work.
        stage: FailureStage,
        /// Which run.
        run: RunId,
        /// The model, and the number of the output.
        subject: String,
        /// Which attempt.
        attempt: u64,
        /// The error.
        error: String,
        /// When it is tried again, in milliseconds; `None` when it is given up.
        retry_in_ms: Option<u64>,
    },
    /// The store waits for another process.
    Waiting {
        /// What for.
        reason: String,
    },
    /// A stop was asked for; what is under way is finished and saved.
    Stopping,
    /// Work ended.
    Finished {
        /// How.
        outcome: Outcome,
        /// What is there now.
        progress: Progress,
    },
}
