//! What a model is to the engine: a name, a description, and one small trait for each kind.
//!
//! Traits are object-safe and take batches: a batch of inputs in, one `Result` for each out. A result never depends
//! on what else is in its batch. A loaded model is owned by one thread; how many threads may own one at a time is the
//! model's [`Lane`]. The engine loads and drops models; a stage never does.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::experiment::{Determinism, ModelKind, ModelName, Picture};

/// Where a model runs, and how many threads may call it at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Lane {
    /// Small pure work on the CPU: as many threads as the engine has, each with its own instance.
    Cpu,
    /// A device or an endpoint that is called by at most `threads` threads, such as `cuda:0` by one.
    Named {
        /// The device or endpoint.
        name: String,
        /// How many threads own an instance; at least 1.
        threads: usize,
    },
}

/// What there is to know of a model before it is loaded, for one choice of parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelInfo {
    /// Its name in configs.
    pub name: ModelName,
    /// What it takes and gives.
    pub kind: ModelKind,
    /// `dummy`, `candle`, `http`, ….
    pub backend: String,
    /// Revision of its code or weights; `unknown` where it cannot be known.
    pub revision: String,
    /// Hash of its weights; `unknown` where it cannot be known.
    pub weights_hash: String,
    /// Everything that is set, defaults included, as a JSON object.
    pub parameters: Map<String, Value>,
    /// How far repeating a call repeats its result.
    pub determinism: Determinism,
    /// Numbers in a vector, for embedders.
    pub dimension: Option<usize>,
    /// Most items in a call; at least 1.
    pub batch_max: usize,
    /// Estimate of the memory it holds while loaded.
    pub memory_bytes: u64,
    /// Where it runs.
    pub lane: Lane,
    /// One line for people.
    pub about: String,
}

/// Why a model did not give a result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// It may work when tried again: a time-out, a busy server, a device that ran out of memory.
    #[error("{message}")]
    Transient {
        /// What happened.
        message: String,
        /// How long the other side asked us to wait, when it did.
        retry_after: Option<Duration>,
    },
    /// It will fail again for the same input.
    #[error("{message}")]
    Permanent {
        /// What happened.
        message: String,
    },
}

impl ModelError {
    /// Returns an error that another attempt may not meet.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient { message: message.into(), retry_after: None }
    }

    /// Returns an error that every attempt meets.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent { message: message.into() }
    }
}

/// An input with the seed to use for it; the seed is at least 0.
#[derive(Debug)]
pub struct Request<'a, T: ?Sized> {
    /// What the model is given.
    pub input: &'a T,
    /// The seed of this call, at least 0.
    pub seed: u64,
}

// Not derived: a reference is copied whatever it refers to.
impl<T: ?Sized> Clone for Request<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Request<'_, T> {}

/// Paints pictures from texts.
pub trait TextToImage: Send {
    /// Returns one result for each request, in order; each depends on its own request only.
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>>;
}

/// Describes pictures.
pub trait ImageToText: Send {
    /// Returns one result for each request, in order; each depends on its own request only.
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>>;
}

/// Places texts in a vector space.
pub trait TextEmbedder: Send {
    /// Returns one vector for each text, in order, all of the dimension that the info names.
    fn embed(&mut self, batch: &[&str]) -> Vec<Result<Vec<f32>, ModelError>>;
}

/// Places pictures in a vector space.
pub trait ImageEmbedder: Send {
    /// Returns one vector for each picture, in order, all of the dimension that the info names.
    fn embed(&mut self, batch: &[&Picture]) -> Vec<Result<Vec<f32>, ModelError>>;
}

/// A model that is ready to be called.
pub enum LoadedModel {
    /// Text in, picture out.
    TextToImage(Box<dyn TextToImage>),
    /// Picture in, text out.
    ImageToText(Box<dyn ImageToText>),
    /// Text in, vector out.
    TextEmbedder(Box<dyn TextEmbedder>),
    /// Picture in, vector out.
    ImageEmbedder(Box<dyn ImageEmbedder>),
}

impl LoadedModel {
    /// Returns which kind it is.
    #[must_use]
    pub const fn kind(&self) -> ModelKind {
        match self {
            Self::TextToImage(_) => ModelKind::TextToImage,
            Self::ImageToText(_) => ModelKind::ImageToText,
            Self::TextEmbedder(_) => ModelKind::TextEmbedder,
            Self::ImageEmbedder(_) => ModelKind::ImageEmbedder,
        }
    }
}

/// Why a registry does not give a model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum RegistryError {
    /// No model has this name.
    #[error("unknown model \"{name}\"{}", did_you_mean(.nearest.as_ref()))]
    UnknownModel {
        /// The name that was asked for.
        name: ModelName,
        /// The known name that is spelt most alike, when one is near.
        nearest: Option<ModelName>,
    },
    /// The name is known, and nothing on this machine can be called by it.
    #[error("model {name} is not here: {reason}")]
    NotHere {
        /// The name that was asked for.
        name: ModelName,
        /// What the model takes and gives.
        kind: ModelKind,
        /// Why it is not here, and which servers serve it, in one line.
        reason: String,
        /// What to do about it: a few lines to type or to write into a file.
        remedy: String,
    },
    /// A parameter that the model does not have.
    #[error("model {name} has no parameter \"{key}\"; it has {}", list_or_none(.known))]
    UnknownParameter {
        /// The model.
        name: ModelName,
        /// The key that was given.
        key: String,
        /// The keys that it knows.
        known: Vec<String>,
    },
    /// A parameter with a value that the model cannot use.
    #[error("parameter \"{key}\" of model {name}: expected {expected}, got {got}")]
    InvalidParameter {
        /// The model.
        name: ModelName,
        /// The key.
        key: String,
        /// What would fit.
        expected: String,
        /// What was given, as JSON.
        got: String,
    },
}

fn did_you_mean(nearest: Option<&ModelName>) -> String {
    nearest.map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"))
}

fn list_or_none(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}

/// What knows the models by name.
pub trait Registry: Send + Sync {
    /// Returns the names of all models, in the order in which lists show them.
    fn names(&self) -> Vec<ModelName>;

    /// Describes a model as these parameters make it.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] for an unknown name (with the nearest known one) or a parameter that does not fit.
    fn info(&self, name: &ModelName, parameters: &Map<String, Value>) -> Result<ModelInfo, RegistryError>;

    /// Returns what a model takes and gives, if it is here to be called; need not look at its weights.
    fn kind(&self, name: &ModelName) -> Option<ModelKind> {
        self.info(name, &Map::new()).ok().map(|info| info.kind)
    }

    /// Loads a model; called by the thread that will own it.
    ///
    /// # Errors
    ///
    /// [`ModelError`], for example when weights are missing or memory is short.
    fn load(&self, info: &ModelInfo) -> Result<LoadedModel, ModelError>;
}

/// Returns the candidate that is spelt most like `name`, when one is near enough to be a slip of the hand.
#[must_use]
pub fn nearest_name<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&folded, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness >= 0.8)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_name() {
        let names = ["DummyT2I", "DummyI2T", "DummyText"];
        assert_eq!(nearest_name("dummyt2i", names), Some("DummyT2I"));
        assert_eq!(nearest_name("DumyText", names), Some("DummyText"));
        assert_eq!(nearest_name("FluxSchnell", names), None);
    }

    #[test]
    fn unknown_models_are_named_with_their_neighbour() {
        let error =
            RegistryError::UnknownModel { name: ModelName::new("Dumy"), nearest: Some(ModelName::new("Dummy")) };
        assert_eq!(error.to_string(), "unknown model \"Dumy\"; did you mean \"Dummy\"?");
    }
}
