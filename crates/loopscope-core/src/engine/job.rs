//! What threads hand each other: jobs out, products or faults back.

use std::sync::Arc;
use std::time::Duration;

use crate::backend::ModelInfo;
use crate::experiment::{
    Determinism, Embedding, FailureStage, Hash, Invocation, InvocationId, Link, ModelVersionId, PersistenceDiagram,
    Picture, RunId, Seed, SequenceNumber, StopReason,
};
use crate::store::StoreError;

/// A model of this experiment, in the engine's table; jobs name it by its index there.
#[derive(Debug)]
pub(super) struct ModelEntry {
    pub info: ModelInfo,
    pub version: ModelVersionId,
    /// Whether it can be called; otherwise there are vectors of it, of which diagrams can be made.
    pub is_here: bool,
    /// As the store has it for this version: what is derived from the store later must be what holds now.
    pub determinism: Determinism,
    pub lane: usize,
    /// Numbers in its vectors, once known: an embedding model has one dimension within an experiment.
    pub dimension: std::sync::OnceLock<usize>,
}

/// An input: in memory, or to be read from the store by the thread that needs it.
#[derive(Clone, Debug)]
pub(super) enum Input {
    Text(Arc<str>),
    Image(Arc<Picture>),
    Stored(InvocationId),
}

/// One thing to compute.
#[derive(Clone, Debug)]
pub(super) struct Job {
    /// Index of the run.
    pub run: usize,
    pub run_id: RunId,
    /// Index of the model; for a diagram, the embedding model whose vectors it is of.
    pub model: usize,
    /// From 1.
    pub attempt: u64,
    pub task: Task,
}

#[derive(Clone, Debug)]
pub(super) enum Task {
    Invoke { link: Link, input: Input, seed: Seed },
    Embed { number: SequenceNumber, invocation: InvocationId, input: Input },
    Diagram,
}

impl Task {
    pub(super) const fn stage(&self) -> FailureStage {
        match self {
            Self::Invoke { .. } => FailureStage::Run,
            Self::Embed { .. } => FailureStage::Embedding,
            Self::Diagram => FailureStage::Diagram,
        }
    }
}

/// What a job gave: an object with all its fields, ready to be committed.
pub(super) enum Product {
    Invocation { invocation: Box<Invocation>, output: Input, state: Hash },
    Embedding(Box<Embedding>),
    Diagram(Box<PersistenceDiagram>),
}

/// Why a job gave nothing.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    pub message: String,
    /// Whether another attempt may not meet it.
    pub is_transient: bool,
    pub retry_after: Option<Duration>,
}

impl Fault {
    pub(super) fn permanent(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_transient: false, retry_after: None }
    }
}

/// A job with what came of it.
pub(super) type Finished = (Job, Result<Product, Fault>);

/// What a committed object means to the scheduler.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ticket {
    /// An invocation of a run; with the reason if it is the last, and the length of the run with it.
    Invocation {
        run: usize,
        last: Option<(StopReason, u64)>,
    },
    Embedding {
        run: usize,
    },
    Diagram {
        run: usize,
    },
    /// A failure or an experiment's own time: nothing waits for it.
    Note,
}

/// What reaches the scheduler.
pub(super) enum Message {
    Finished(Vec<Finished>),
    /// A call broke for all these jobs alike; each of them is called again alone, and finished then.
    BatchBroken(Vec<Job>, Fault),
    Committed(Vec<Ticket>),
    WriteFailed(StoreError),
    /// The writer waits for another process.
    Waiting {
        reason: String,
    },
    Loaded(usize),
}
