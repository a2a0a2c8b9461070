//! Names and small numbers with a meaning of their own: models, networks, seeds, sequence numbers.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The name of a model, as people write it in a config. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModelName(Arc<str>);

impl ModelName {
    /// Returns the name `name`, whether or not a model has it.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for ModelName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// What a model takes and gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Takes text, gives a picture.
    TextToImage,
    /// Takes a picture, gives text.
    ImageToText,
    /// Takes text, gives a vector.
    TextEmbedder,
    /// Takes a picture, gives a vector.
    ImageEmbedder,
}

impl ModelKind {
    /// All kinds, in the order in which lists show them.
    pub const ALL: [Self; 4] = [Self::TextToImage, Self::ImageToText, Self::TextEmbedder, Self::ImageEmbedder];

    /// Returns the word for the kind in the store and in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TextToImage => "text_to_image",
            Self::ImageToText => "image_to_text",
            Self::TextEmbedder => "text_embedder",
            Self::ImageEmbedder => "image_embedder",
        }
    }

    /// Returns the kind of the word that [`as_str`](Self::as_str) gives.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// Returns what a model of this kind takes.
    #[must_use]
    pub const fn input(self) -> OutputType {
        match self {
            Self::TextToImage | Self::TextEmbedder => OutputType::Text,
            Self::ImageToText | Self::ImageEmbedder => OutputType::Image,
        }
    }

    /// Returns what a model of this kind gives as a step of a loop; `None` for an embedder, which gives a vector.
    #[must_use]
    pub const fn output(self) -> Option<OutputType> {
        match self {
            Self::TextToImage => Some(OutputType::Image),
            Self::ImageToText => Some(OutputType::Text),
            Self::TextEmbedder | Self::ImageEmbedder => None,
        }
    }
}

impl fmt::Display for ModelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TextToImage => "text→image",
            Self::ImageToText => "image→text",
            Self::TextEmbedder => "text embedder",
            Self::ImageEmbedder => "image embedder",
        })
    }
}

/// What an output is: text, or an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputType {
    /// UTF-8 text; the empty string is one.
    Text,
    /// A picture.
    Image,
}

impl OutputType {
    /// Returns the word in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Image => "image",
        }
    }
}

impl fmt::Display for OutputType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A network without models: refused, because a loop needs at least one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a network needs at least one model")]
pub struct NetworkError;

/// A cycle of models: each takes what the one before it gives, and the first takes what the last one gives.
///
/// Whether the models fit is checked where their kinds are known (`config`); this type keeps only that there is one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(Arc<[ModelName]>);

impl Network {
    /// Returns the cycle of `models`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] when there is none.
    pub fn new(models: Vec<ModelName>) -> Result<Self, NetworkError> {
        if models.is_empty() { Err(NetworkError) } else { Ok(Self(models.into())) }
    }

    /// Returns the models in order.
    #[must_use]
    pub fn models(&self) -> &[ModelName] {
        &self.0
    }

    /// Returns how many models the cycle has; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a network is never empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the position in the cycle of the invocation with this number.
    #[must_use]
    pub fn position(&self, number: SequenceNumber) -> usize {
        // A network is far shorter than u32::MAX, so the remainder fits a usize.
        (number.0 % self.0.len() as u64) as usize
    }

    /// Returns the model that makes the invocation with this number.
    #[must_use]
    pub fn model(&self, number: SequenceNumber) -> &ModelName {
        &self.0[self.position(number)]
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, model) in self.0.iter().enumerate() {
            write!(f, "{}{model}", if index == 0 { "" } else { " → " })?;
        }
        Ok(())
    }
}

impl Serialize for Network {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

/// A seed below −1.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a seed is -1 (fresh randomness) or at least 0, got {0}")]
pub struct SeedError(pub i64);

/// A seed: at least 0, or −1, which asks for fresh randomness at every invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Seed(i64);

impl Seed {
    /// Asks for fresh randomness.
    pub const FRESH: Self = Self(-1);

    /// Returns the seed of this value.
    ///
    /// # Errors
    ///
    /// [`SeedError`] below −1.
    pub const fn new(value: i64) -> Result<Self, SeedError> {
        if value >= -1 { Ok(Self(value)) } else { Err(SeedError(value)) }
    }

    /// Returns the value, at least −1.
    #[must_use]
    pub const fn value(self) -> i64 {
        self.0
    }

    /// Returns whether a seed is to be drawn for every invocation.
    #[must_use]
    pub const fn is_fresh(self) -> bool {
        self.0 < 0
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The index of an invocation in its run, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct SequenceNumber(pub u64);

impl SequenceNumber {
    /// Returns the number of the invocation after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_below_minus_one_are_refused() {
        assert_eq!(Seed::new(-2), Err(SeedError(-2)));
        assert!(Seed::new(-1).unwrap().is_fresh());
        assert!(!Seed::new(0).unwrap().is_fresh());
    }

    #[test]
    fn networks_go_round() {
        let network = Network::new(vec![ModelName::new("A"), ModelName::new("B")]).unwrap();
        assert_eq!(network.model(SequenceNumber(0)).as_str(), "A");
        assert_eq!(network.model(SequenceNumber(3)).as_str(), "B");
        assert_eq!(network.to_string(), "A → B");
        assert_eq!(Network::new(vec![]), Err(NetworkError));
    }

    #[test]
    fn kinds_round_trip_through_their_words() {
        for kind in ModelKind::ALL {
            assert_eq!(ModelKind::from_word(kind.as_str()), Some(kind));
        }
    }
}
