//! Doing stored steps again, and comparing what comes out with what is stored, bit for bit.
//!
//! A sample of an experiment's invocations, embeddings and diagrams is computed anew: by the path of the engine's worker,
//! one input a call, with the inputs, seeds and parameters that the record holds. What the record says of a model must be
//! what the model says of itself here, or the step cannot be verified, and the reason is counted. Nothing is written,
//! and nothing is mended: a mismatch is told, with what was expected and what came.

mod available;
mod compare;
mod sample;
mod verifier;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::backend::Registry;
use crate::engine::EngineOptions;
use crate::experiment::{ExperimentId, ModelName, RunId, SequenceNumber};
use crate::store::{Store, StoreError};

use verifier::Verifier;

pub use available::Reason;

/// What can be done again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A call of a model of a network.
    Invocation,
    /// A call of an embedding model.
    Embedding,
    /// The computation of a diagram from the vectors that are stored.
    PersistenceDiagram,
}

impl Subject {
    /// All subjects, in the order in which they are verified.
    pub const ALL: [Self; 3] = [Self::Invocation, Self::Embedding, Self::PersistenceDiagram];
}

/// What to verify.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// How many of each subject, at most; `None` is all.
    pub sample: Option<usize>,
    /// Chooses the sample: the same seed chooses the same objects of the same record.
    pub seed: u64,
    /// Limits of memory, for models and diagrams.
    pub engine: EngineOptions,
}

/// One object that did not come out as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Mismatch {
    /// What it is.
    pub subject: Subject,
    /// Its id as hyphenated text.
    pub id: String,
    /// Its run.
    pub run: RunId,
    /// The number of its step; `None` for a diagram.
    pub sequence_number: Option<SequenceNumber>,
    /// The model.
    pub model: ModelName,
    /// What is stored, shortened to where it differs.
    pub expected: String,
    /// What came, shortened to where it differs.
    pub got: String,
}

/// How many objects cannot be verified, and why.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Cannot {
    /// What they are.
    pub subject: Subject,
    /// Why not, in a word.
    pub reason: Reason,
    /// Whose they are.
    pub model: String,
    /// What is known of it, in words.
    pub detail: String,
}

/// Figures of one subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verified {
    /// Objects of the experiment.
    pub total: u64,
    /// Computed anew, and equal.
    pub matched: u64,
    /// Computed anew, and different.
    pub mismatched: u64,
    /// Not to be verified; invocations and embeddings are counted whether or not they are in the sample, diagrams and
    /// calls that fail only when they are.
    pub cannot: u64,
}

/// What verifying an experiment came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verification {
    /// By subject.
    pub subjects: BTreeMap<Subject, Verified>,
    /// What cannot be verified.
    #[serde(serialize_with = "cannot_as_list")]
    pub cannot: BTreeMap<Cannot, u64>,
}

impl Verification {
    /// Returns how many objects did not come out as they are stored.
    #[must_use]
    pub fn mismatched(&self) -> u64 {
        self.subjects.values().map(|verified| verified.mismatched).sum()
    }

    fn cannot(&mut self, cannot: Cannot) {
        self.subjects.entry(cannot.subject).or_default().cannot += 1;
        *self.cannot.entry(cannot).or_default() += 1;
    }
}

fn cannot_as_list<S: serde::Serializer>(cannot: &BTreeMap<Cannot, u64>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Entry<'a> {
        #[serde(flatten)]
        cannot: &'a Cannot,
        count: u64,
    }
    serializer.collect_seq(cannot.iter().map(|(cannot, &count)| Entry { cannot, count }))
}

/// Does a sample of an experiment again, and compares. `found` hears of each mismatch.
///
/// Memory: the ids of the sample, and what one step needs.
///
/// # Errors
///
/// [`StoreError`] when the store does not read; a model that does not answer is no error, and is counted.
pub fn verify(
    store: &Store,
    experiment: ExperimentId,
    registry: &dyn Registry,
    options: &VerifyOptions,
    found: &mut dyn FnMut(&Mismatch),
) -> Result<Verification, StoreError> {
    let mut verifier = Verifier::new(store, registry, options, found)?;
    Subject::ALL.into_iter().try_for_each(|subject| verifier.verify(experiment, subject))?;
    Ok(verifier.outcome)
}
