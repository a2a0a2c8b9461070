//! The nouns of the record: what an experiment, a run, an invocation, an embedding and a diagram are.
//!
//! An incomplete object cannot be written down here: a required field is not an `Option`, an output is text or a
//! picture and never neither, a run names its experiment, an embedding holds a vector that was checked. This module
//! imports nothing else of the crate but the codecs of its own values, reads no clock and touches no store.

mod config;
mod id;
mod name;
mod picture;
mod record;
mod size;
mod time;
mod vector;

pub use config::{DiagramConfig, ExperimentConfig, NonEmpty};
pub use id::{
    ClusteringResultId, EmbeddingClusterId, EmbeddingId, Entropy, ExperimentId, FailureId, InvocationId,
    ModelVersionId, OsEntropy, PersistenceDiagramId, RunId, SeededEntropy,
};
pub use name::{ModelKind, ModelName, Network, NetworkError, OutputType, Seed, SeedError, SequenceNumber};
pub use picture::{Hash, Picture, PictureError};
pub use record::{
    ClusteringResult, Determinism, Embedding, EmbeddingCluster, Experiment, Failure, FailureStage, ImageRecord,
    Invocation, Link, ModelVersion, Origin, Output, PersistenceDiagram, Run, RunKey, StopReason,
};
pub use size::parse_size;
pub(crate) use size::size_of_value;
pub use time::{Clock, SystemClock, Timestamp};
pub use vector::{Vector, VectorError};
