//! Diagrams of runs, and the distances between them.

use super::super::AnalysisError;
use super::super::topology::{diagrams, entropy_of, matrix_of, sampled_runs};
use super::Details;
use crate::experiment::{ModelName, RunKey};

/// One run's diagram in the space of one embedder.
#[derive(Clone, Debug)]
pub struct DiagramDetail {
    /// The embedder.
    pub embedder: ModelName,
    /// The run, as an index.
    pub run: usize,
    /// `(birth, death)` by dimension; a death may be infinite.
    pub bars: Vec<Vec<(f64, f64)>>,
    /// Persistent entropy in nats, by dimension.
    pub entropy: Vec<f64>,
}

/// What two diagrams have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DistanceKind {
    /// Network and prompt.
    SamePrompt,
    /// The network only.
    OtherPrompt,
    /// Neither need be.
    OtherNetwork,
}

impl DistanceKind {
    /// All of them, in the order of tables.
    pub const ALL: [Self; 3] = [Self::SamePrompt, Self::OtherPrompt, Self::OtherNetwork];

    pub(in crate::analysis) fn of(a: &RunKey, b: &RunKey) -> Self {
        match (a.network == b.network, a.initial_prompt == b.initial_prompt) {
            (true, true) => Self::SamePrompt,
            (true, false) => Self::OtherPrompt,
            (false, _) => Self::OtherNetwork,
        }
    }

    /// Returns the words of `analyse topology`.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::SamePrompt => "same network and prompt",
            Self::OtherPrompt => "same network, other prompt",
            Self::OtherNetwork => "other network",
        }
    }
}

/// The distance between two diagrams of one embedder.
#[derive(Clone, Debug)]
pub struct DistanceDetail {
    /// The embedder.
    pub embedder: ModelName,
    /// Of the homology.
    pub dimension: usize,
    /// What the two runs have in common.
    pub kind: DistanceKind,
    /// Wasserstein, order 1, L∞; bars that never die left out.
    pub distance: f64,
}

impl Details<'_> {
    /// Returns all diagrams, by embedder and run.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn diagrams(&self) -> Result<Vec<DiagramDetail>, AnalysisError> {
        let every: Vec<usize> = (0..self.material.runs.len()).collect();
        let names = self.embedders();
        diagrams(&self.material, &every)?
            .into_iter()
            .map(|held| {
                let entropy = (0..held.bars.len())
                    .filter_map(|dimension| entropy_of(&held, dimension).transpose())
                    .collect::<Result<Vec<f64>, AnalysisError>>()?;
                Ok(DiagramDetail {
                    embedder: names[held.embedder].clone(),
                    run: held.run,
                    entropy,
                    bars: held
                        .bars
                        .iter()
                        .map(|bars| bars.iter().map(|bar| (bar.birth, bar.death)).collect())
                        .collect(),
                })
            })
            .collect()
    }

    /// Returns the distances between all pairs of diagrams of one embedder in dimensions 0 and 1, and how many runs
    /// were left out by chance because there are too many pairs; as `analyse topology` has them.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn distances(&self) -> Result<(Vec<DistanceDetail>, usize), AnalysisError> {
        let (runs, left_out) = sampled_runs(&self.material, &self.options);
        let held = diagrams(&self.material, &runs)?;
        let mut found = Vec::new();
        for (place, name) in self.embedders().iter().enumerate() {
            let members: Vec<_> = held.iter().filter(|one| one.embedder == place).collect();
            for dimension in 0..2 {
                let matrix = matrix_of(&members, dimension, self.options.threads)?;
                for b in 0..members.len() {
                    for a in 0..b {
                        let key = |member: usize| &self.material.runs[members[member].run].run.key;
                        let kind = DistanceKind::of(key(a), key(b));
                        let distance = matrix[a * members.len() + b];
                        found.push(DistanceDetail { embedder: name.clone(), dimension, kind, distance });
                    }
                }
            }
        }
        Ok((found, left_out))
    }
}
