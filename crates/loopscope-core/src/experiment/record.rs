//! The objects of the record, each whole or not there.
//!
//! What is optional here is what the store leaves nullable, and nothing else: `completed_at` (old records lack it,
//! loopscope itself always writes it), an experiment's own times, the medoid of an outlier, and a probability that an
//! algorithm does not give.

use std::num::NonZeroU64;
use std::sync::Arc;

use serde::Serialize;

use super::{
    ClusteringResultId, EmbeddingClusterId, EmbeddingId, ExperimentConfig, ExperimentId, FailureId, Hash, InvocationId,
    ModelKind, ModelName, ModelVersionId, Network, OutputType, PersistenceDiagramId, RunId, Seed, SequenceNumber,
    Timestamp, Vector,
};
use crate::codec::Diagram;

/// Where an experiment came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Made by this program.
    Native,
    /// Imported from the earlier tool.
    Legacy,
}

impl Origin {
    /// Returns the word in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Legacy => "legacy",
        }
    }
}

/// An experiment: a config with an identity.
#[derive(Clone, Debug, PartialEq)]
pub struct Experiment {
    /// Its id.
    pub id: ExperimentId,
    /// Its name, unique in the store.
    pub name: String,
    /// What it asks for.
    pub config: ExperimentConfig,
    /// The config as it was given, as a JSON text.
    pub config_as_given: String,
    /// Where it came from.
    pub origin: Origin,
    /// When it came into this store.
    pub created_at: Timestamp,
    /// When its first work began; `None` before.
    pub started_at: Option<Timestamp>,
    /// When its last work ended; `None` while something is missing.
    pub completed_at: Option<Timestamp>,
}

/// What makes a run of an experiment the one it is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct RunKey {
    /// Its cycle of models.
    pub network: Network,
    /// Its first input.
    pub initial_prompt: String,
    /// Its seed, or −1.
    pub seed: Seed,
    /// From 0 among runs equal in network, prompt and seed.
    pub run_number: u64,
}

/// A run: one walk round a network from a prompt. It always belongs to an experiment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its id.
    pub id: RunId,
    /// The experiment that it belongs to.
    pub experiment_id: ExperimentId,
    /// Network, prompt, seed and number.
    pub key: RunKey,
    /// How many invocations it has at most.
    pub max_length: NonZeroU64,
}

/// Why a run has no further invocation. Derived from the store, never written to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "reason", rename_all = "snake_case")]
pub enum StopReason {
    /// It reached its maximal length.
    Length,
    /// Its state came back: the last invocation repeats the one `period` invocations before it.
    Cycle {
        /// The distance in invocations.
        period: u64,
    },
    /// Its next invocation failed, and the failure is on record.
    Failed,
    /// It has more to do.
    Unfinished,
}

/// How far repeating a model's call repeats its result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Determinism {
    /// The same bits everywhere.
    Bitwise,
    /// The same bits on the same device.
    SameDevice,
    /// Close, not equal.
    BestEffort,
    /// Nobody knows.
    Unknown,
}

impl Determinism {
    /// All classes.
    pub const ALL: [Self; 4] = [Self::Bitwise, Self::SameDevice, Self::BestEffort, Self::Unknown];

    /// Returns the word in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bitwise => "bitwise",
            Self::SameDevice => "same_device",
            Self::BestEffort => "best_effort",
            Self::Unknown => "unknown",
        }
    }

    /// Returns the class of the word that [`as_str`](Self::as_str) gives.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|class| class.as_str() == word)
    }

    /// Returns whether a state that came back must go on as it did before, so that a cycle may end a run.
    #[must_use]
    pub const fn repeats(self) -> bool {
        matches!(self, Self::Bitwise | Self::SameDevice)
    }
}

/// What exactly produced a row: enough to do it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelVersion {
    /// Its id.
    pub id: ModelVersionId,
    /// The model's name in configs.
    pub name: ModelName,
    /// What it takes and gives.
    pub kind: ModelKind,
    /// `dummy`, `candle`, `http`, …, or `legacy`.
    pub backend: String,
    /// The revision of its code or weights; `unknown` where it cannot be known.
    pub revision: String,
    /// A hash of its weights; `unknown` where it cannot be known.
    pub weights_hash: String,
    /// Everything that was set, as a canonical JSON object.
    pub parameters: String,
    /// How far repeating repeats.
    pub determinism: Determinism,
    /// The program that called it.
    pub program_version: String,
}

/// A picture as stored: its bytes, and what names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageRecord {
    /// BLAKE3 of `bytes`.
    pub hash: Hash,
    /// [`Picture::pixel_hash`](super::Picture::pixel_hash): equality of pictures.
    pub pixel_hash: Hash,
    /// `webp` for what we write.
    pub format: String,
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// The encoded picture, never empty.
    pub bytes: Vec<u8>,
}

/// What an invocation gave: text or a picture, exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// UTF-8 text; the empty string is one.
    Text(String),
    /// A picture.
    Image(Arc<ImageRecord>),
}

impl Output {
    /// Returns which of the two it is.
    #[must_use]
    pub const fn output_type(&self) -> OutputType {
        match self {
            Self::Text(_) => OutputType::Text,
            Self::Image(_) => OutputType::Image,
        }
    }
}

/// Where an invocation stands in its run: the first one took the prompt, every other one the output before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// Number 0: its input is the run's initial prompt.
    First,
    /// A later one: its input is the output of the invocation before it.
    After {
        /// Its own number, at least 1.
        number: NonZeroU64,
        /// The invocation with the number before.
        input: InvocationId,
    },
}

impl Link {
    /// Returns the link of the invocation that follows `input`, which has number `number`.
    #[must_use]
    pub const fn after(number: SequenceNumber, input: InvocationId) -> Self {
        // One more than any number is at least 1; saturating keeps the type honest at u64::MAX, which no run reaches.
        Self::After { number: NonZeroU64::MIN.saturating_add(number.0), input }
    }

    /// Returns the number of the invocation, from 0.
    #[must_use]
    pub const fn sequence_number(&self) -> SequenceNumber {
        match self {
            Self::First => SequenceNumber(0),
            Self::After { number, .. } => SequenceNumber(number.get()),
        }
    }

    /// Returns the invocation whose output was the input; `None` for the first.
    #[must_use]
    pub const fn input_invocation_id(&self) -> Option<InvocationId> {
        match self {
            Self::First => None,
            Self::After { input, .. } => Some(*input),
        }
    }
}

/// One call of one model in a run, with its output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Its id.
    pub id: InvocationId,
    /// Its run.
    pub run_id: RunId,
    /// Its number, and what its input was.
    pub link: Link,
    /// The model, as the network names it.
    pub model: ModelName,
    /// What exactly produced the output.
    pub model_version_id: ModelVersionId,
    /// The seed that was used; at least 0 unless imported.
    pub seed: Seed,
    /// When the call began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
    /// What it gave.
    pub output: Output,
}

/// The vector that an embedding model gave for an output.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding {
    /// Its id.
    pub id: EmbeddingId,
    /// Whose output was embedded.
    pub invocation_id: InvocationId,
    /// The embedding model, as the config names it.
    pub embedding_model: ModelName,
    /// What exactly produced the vector.
    pub model_version_id: ModelVersionId,
    /// The vector.
    pub vector: Vector,
    /// When the call began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
}

/// The persistent homology of a run's trajectory in the space of one embedding model.
#[derive(Clone, Debug, PartialEq)]
pub struct PersistenceDiagram {
    /// Its id.
    pub id: PersistenceDiagramId,
    /// Whose trajectory.
    pub run_id: RunId,
    /// In which space.
    pub embedding_model: ModelName,
    /// The bars, their entropy, and what it took to compute them.
    pub diagram: Diagram,
    /// When the computation began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
}

/// A clustering of embeddings of one model; its members are stored with it in one transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct ClusteringResult {
    /// Its id.
    pub id: ClusteringResultId,
    /// Whose embeddings.
    pub embedding_model: ModelName,
    /// For example `hdbscan`.
    pub algorithm: String,
    /// The parameters as a canonical JSON object.
    pub parameters: String,
    /// 0 unless one of several resolutions.
    pub layer: u64,
    /// When it came into this store.
    pub created_at: Timestamp,
    /// When the computation began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
    /// What became of each embedding.
    pub members: Vec<EmbeddingCluster>,
}

/// What a clustering says of one embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct EmbeddingCluster {
    /// Its id.
    pub id: EmbeddingClusterId,
    /// The embedding.
    pub embedding_id: EmbeddingId,
    /// The medoid of its cluster; `None` is an outlier.
    pub medoid_embedding_id: Option<EmbeddingId>,
    /// How firmly it belongs, in `[0, 1]`; `None` where the algorithm says nothing.
    pub probability: Option<f64>,
}

/// Where in the work something failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureStage {
    /// An invocation of a run.
    Run,
    /// An embedding.
    Embedding,
    /// A persistence diagram.
    Diagram,
    /// A clustering.
    Clustering,
}

impl FailureStage {
    /// All stages.
    pub const ALL: [Self; 4] = [Self::Run, Self::Embedding, Self::Diagram, Self::Clustering];

    /// Returns the word in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Embedding => "embedding",
            Self::Diagram => "diagram",
            Self::Clustering => "clustering",
        }
    }

    /// Returns the stage of the word that [`as_str`](Self::as_str) gives.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|stage| stage.as_str() == word)
    }
}

/// One attempt that failed. Append-only: whether it is resolved is derived from what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its id.
    pub id: FailureId,
    /// The experiment that it belongs to.
    pub experiment_id: ExperimentId,
    /// The run, where it concerns one.
    pub run_id: Option<RunId>,
    /// Where in the work.
    pub stage: FailureStage,
    /// The model and, for an invocation or embedding, `#` and the sequence number.
    pub subject: String,
    /// Which attempt of this work in this process, from 1.
    pub attempt: u64,
    /// The error with its causes.
    pub error: String,
    /// When.
    pub occurred_at: Timestamp,
}

impl Failure {
    /// Returns the subject of a failed invocation or embedding.
    #[must_use]
    pub fn subject_of_output(model: &ModelName, number: SequenceNumber) -> String {
        format!("{model} #{number}")
    }

    /// Returns the sequence number that a subject names, when it names one.
    #[must_use]
    pub fn sequence_number_of(subject: &str) -> Option<SequenceNumber> {
        let (_, digits) = subject.rsplit_once(" #")?;
        digits.parse().ok().map(SequenceNumber)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_subjects_name_their_number() {
        let subject = Failure::subject_of_output(&ModelName::new("a #b"), SequenceNumber(12));
        assert_eq!(subject, "a #b #12");
        assert_eq!(Failure::sequence_number_of(&subject), Some(SequenceNumber(12)));
        assert_eq!(Failure::sequence_number_of("Nomic"), None);
    }

    #[test]
    fn a_link_after_a_number_has_the_next_one() {
        let id = InvocationId::from_bytes([1; 16]);
        let link = Link::after(SequenceNumber(0), id);
        assert_eq!(link.sequence_number(), SequenceNumber(1));
        assert_eq!(link.input_invocation_id(), Some(id));
        assert_eq!(Link::First.input_invocation_id(), None);
    }
}
