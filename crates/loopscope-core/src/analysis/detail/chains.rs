//! Chains of clusters, and how their timescales depend on the lag.

use loopscope_analysis::bootstrap::Interval;
use loopscope_analysis::linear::SquareMatrix;
use loopscope_analysis::markov::last_core;

use super::super::AnalysisError;
use super::super::markov::{Chain, chain, resampled};
use super::{ClusterDetail, Details, LabelSequence};
use crate::experiment::ModelName;

/// The chain of clusters of one embedder, network and place.
#[derive(Clone, Debug)]
pub struct ChainDetail {
    /// The embedder.
    pub embedder: ModelName,
    /// The network, as people write it.
    pub network: String,
    /// The model whose outputs these are.
    pub place: String,
    /// Runs in it.
    pub runs: usize,
    /// Clusters that are visited at all, as indices into the clustering's names, ascending.
    pub visited: Vec<usize>,
    /// Transitions counted between all clusters, at the lag of the options: a row for each cluster, in the clustering's order.
    pub counts: SquareMatrix,
    /// The clusters that all reach each other, ascending; empty without transitions.
    pub active: Vec<usize>,
    /// The share of counts within them, in `[0, 1]`.
    pub share_kept: f64,
    /// Probabilities between the active clusters, in their order.
    pub probabilities: Vec<Vec<f64>>,
    /// The stationary law, in the same order.
    pub stationary: Vec<f64>,
}

/// The slowest timescales of a chain at one lag.
#[derive(Clone, Debug)]
pub struct TimescaleDetail {
    /// The embedder.
    pub embedder: ModelName,
    /// The network, as people write it.
    pub network: String,
    /// The model whose outputs these are.
    pub place: String,
    /// Runs in it.
    pub runs: usize,
    /// In turns.
    pub lag: usize,
    /// In turns, the slowest first; may be infinite.
    pub times: Vec<f64>,
    /// Intervals over runs of the first two.
    pub intervals: Vec<Option<Interval>>,
}

/// The strands of one network and place.
struct Group<'a> {
    network: String,
    place: String,
    members: Vec<&'a LabelSequence>,
}

impl Details<'_> {
    /// Returns the chain of each embedder, network and place, as `analyse markov` means it.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn chains(&self, clusters: &ClusterDetail) -> Result<Vec<ChainDetail>, AnalysisError> {
        let mut found = Vec::new();
        for group in self.groups(clusters) {
            let Chain { counts, visited, estimate, .. } =
                chain(&self.sequences(&group), clusters.names.len(), self.options.lag)?;
            let mut detail = ChainDetail {
                embedder: clusters.embedder.clone(),
                network: group.network,
                place: group.place,
                runs: group.members.len(),
                visited,
                counts: counts.matrix().clone(),
                active: Vec::new(),
                share_kept: 0.0,
                probabilities: Vec::new(),
                stationary: Vec::new(),
            };
            if let Some(estimate) = estimate {
                detail.share_kept = estimate.active.share_kept;
                detail.probabilities = estimate.matrix.matrix().rows().map(<[f64]>::to_vec).collect();
                detail.stationary = estimate.law;
                detail.active = estimate.active.states;
            }
            found.push(detail);
        }
        Ok(found)
    }

    /// Returns the timescales of the same chains at several lags; a lag at which there are no two states is left out.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn timescales(&self, clusters: &ClusterDetail, lags: &[usize]) -> Result<Vec<TimescaleDetail>, AnalysisError> {
        let mut found = Vec::new();
        for group in self.groups(clusters) {
            let sequences = self.sequences(&group);
            for &lag in lags {
                let Chain { by_run, estimate, .. } = chain(&sequences, clusters.names.len(), lag)?;
                let Some(estimate) = estimate.filter(|estimate| !estimate.times.is_empty()) else { continue };
                let states = &estimate.active.states;
                let mut intervals = self.options.bootstrap.intervals(sequences.len(), 2, |runs| {
                    resampled(&by_run, runs, states, lag).into_iter().take(2).collect()
                });
                intervals.truncate(estimate.times.len());
                found.push(TimescaleDetail {
                    embedder: clusters.embedder.clone(),
                    network: group.network.clone(),
                    place: group.place.clone(),
                    runs: sequences.len(),
                    lag,
                    times: estimate.times,
                    intervals,
                });
            }
        }
        Ok(found)
    }

    fn groups<'c>(&self, clusters: &'c ClusterDetail) -> Vec<Group<'c>> {
        let mut groups: Vec<Group<'c>> = Vec::new();
        for sequence in &clusters.sequences {
            let network = self.material.runs[sequence.key.run].run.key.network.to_string();
            let place = &sequence.key.place;
            match groups.iter_mut().find(|group| group.network == network && group.place == *place) {
                Some(group) => group.members.push(sequence),
                None => groups.push(Group { network, place: place.clone(), members: vec![sequence] }),
            }
        }
        groups
    }

    fn sequences(&self, group: &Group<'_>) -> Vec<Vec<Option<usize>>> {
        let milestoning = self.options.milestoning;
        let labels = |sequence: &&LabelSequence| {
            if milestoning { last_core(&sequence.labels) } else { sequence.labels.clone() }
        };
        group.members.iter().map(labels).collect()
    }
}
