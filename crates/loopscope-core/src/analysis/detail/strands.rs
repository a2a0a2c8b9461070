//! Values along a strand: drift, steps, recurrence, and the distance between two.

use loopscope_analysis::dynamics::{FiniteTimeLyapunov, RecurrenceMatrix, RecurrenceMeasures, recurrence_measures};
use loopscope_analysis::series::cosine_distance;

use super::super::AnalysisError;
use super::super::divergence::pairs;
use super::super::drift::References;
use super::{Details, StrandKey};
use crate::backend::Registry;

/// How far one strand is from where it began, turn by turn.
#[derive(Clone, Debug)]
pub struct DriftDetail {
    /// Whose.
    pub key: StrandKey,
    /// What it is measured from: `prompt` or `first output`.
    pub from: &'static str,
    /// 1 − cos, one number a turn, in `[0, 2]`; a cycle is continued.
    pub values: Vec<f64>,
    /// How many of them are stored; the rest continue a cycle.
    pub stored: usize,
}

/// How far each output of a strand is from the one a turn before.
#[derive(Clone, Debug)]
pub struct StepDetail {
    /// Whose.
    pub key: StrandKey,
    /// 1 − cos, in `[0, 2]`; one fewer than there are turns.
    pub distances: Vec<f64>,
}

/// When a strand comes back to where it was.
#[derive(Clone, Debug)]
pub struct RecurrenceDetail {
    /// Whose.
    pub key: StrandKey,
    /// Turns, the side of the matrix.
    pub size: usize,
    /// The pairs of turns `i < j` within ε.
    pub pairs: Vec<(usize, usize)>,
    /// What the table has of it.
    pub measures: Option<RecurrenceMeasures>,
}

/// The distance between two runs of one network and prompt.
#[derive(Clone, Debug)]
pub struct DivergenceDetail {
    /// One of them.
    pub key: StrandKey,
    /// The other run, as an index.
    pub other: usize,
    /// Euclidean, at the same turn.
    pub distances: Vec<f64>,
    /// The slope of its logarithm, where there is one.
    pub exponent: Option<FiniteTimeLyapunov>,
}

impl Details<'_> {
    /// Returns the drift of every strand, as `analyse drift` means it.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn drift(&self, registry: &dyn Registry) -> Result<Vec<DriftDetail>, AnalysisError> {
        let mut found = Vec::new();
        for seen in &self.seen {
            let references = References::of(&self.material, &seen.embedder, registry);
            for strand in &seen.strands(&self.material)?.strands {
                if let Some(values) = references.drift(&self.material, strand)? {
                    let key = Self::key(&seen.embedder, strand);
                    found.push(DriftDetail { key, from: references.name(), values, stored: strand.len() });
                }
            }
        }
        Ok(found)
    }

    /// Returns how far every strand steps from turn to turn.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn steps(&self) -> Result<Vec<StepDetail>, AnalysisError> {
        let mut found = Vec::new();
        for seen in &self.seen {
            for strand in &seen.strands(&self.material)?.strands {
                let series = strand.series()?;
                let distances =
                    (1..series.len()).map(|turn| cosine_distance(series.row(turn - 1), series.row(turn))).collect();
                found.push(StepDetail { key: Self::key(&seen.embedder, strand), distances });
            }
        }
        Ok(found)
    }

    /// Returns the recurrences of strands, as `analyse recurrence` means them.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn recurrence(
        &self,
        mut is_wanted: impl FnMut(&StrandKey) -> bool,
    ) -> Result<Vec<RecurrenceDetail>, AnalysisError> {
        let mut found = Vec::new();
        for seen in &self.seen {
            for strand in &seen.strands(&self.material)?.strands {
                let key = Self::key(&seen.embedder, strand);
                if !is_wanted(&key) {
                    continue;
                }
                let matrix = RecurrenceMatrix::within(&strand.series()?, self.options.epsilon)?;
                let size = strand.len();
                let pairs = (0..size)
                    .flat_map(|i| (i + 1..size).map(move |j| (i, j)))
                    .filter(|&(i, j)| matrix.recurs(i, j))
                    .collect();
                found.push(RecurrenceDetail { key, size, pairs, measures: recurrence_measures(&matrix) });
            }
        }
        Ok(found)
    }

    /// Returns the distances between runs of one network and prompt, as `analyse divergence` means them.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn divergence(&self) -> Result<Vec<DivergenceDetail>, AnalysisError> {
        let mut found = Vec::new();
        for seen in &self.seen {
            let strands = &seen.strands(&self.material)?.strands;
            let mut places: Vec<(usize, &str)> =
                strands.iter().map(|strand| (strand.position, strand.place.as_str())).collect();
            places.sort_unstable();
            places.dedup();
            for place in places {
                let members: Vec<_> =
                    strands.iter().filter(|strand| (strand.position, strand.place.as_str()) == place).collect();
                for pair in pairs(&self.material, &members)? {
                    found.push(DivergenceDetail {
                        key: Self::key(&seen.embedder, members[pair.runs.0]),
                        other: members[pair.runs.1].run,
                        distances: pair.distances,
                        exponent: pair.exponent,
                    });
                }
            }
        }
        Ok(found)
    }
}
