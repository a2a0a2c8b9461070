//! Which cluster each output is in.

use super::super::labels::labels;
use super::super::{AnalysisError, material::Strand};
use super::{Details, StrandKey};
use crate::experiment::{EmbeddingId, ModelName};
use crate::store::ClusteringSummary;

/// The newest clustering of one embedder, or the one that was asked for.
#[derive(Clone, Debug)]
pub struct ClusterDetail {
    /// The embedder.
    pub embedder: ModelName,
    /// Which clustering.
    pub clustering: ClusteringSummary,
    /// What people know each cluster by: most outputs of this experiment first.
    pub names: Vec<String>,
    /// The embedding in the middle of each, in the same order.
    pub medoids: Vec<EmbeddingId>,
    /// Outputs of each in this experiment, as stored.
    pub sizes: Vec<usize>,
    /// The clusters of each strand, turn by turn.
    pub sequences: Vec<LabelSequence>,
    /// Outputs that the clustering does not cover; they count as outliers.
    pub uncovered: usize,
}

/// The clusters of one strand.
#[derive(Clone, Debug)]
pub struct LabelSequence {
    /// Whose.
    pub key: StrandKey,
    /// One a turn; `None` is an outlier. A cycle is continued.
    pub labels: Vec<Option<usize>>,
    /// How many of them are stored; the rest continue a cycle.
    pub stored: usize,
}

impl Details<'_> {
    /// Returns the clusters of each embedder that has a clustering.
    ///
    /// # Errors
    ///
    /// [`AnalysisError::UnknownClustering`] when one was asked for that is none of this experiment's.
    pub fn clusters(&self) -> Result<Vec<ClusterDetail>, AnalysisError> {
        let mut found = Vec::new();
        for seen in &self.seen {
            let Some(labels) = labels(&self.material, &seen.embedder, &self.options)? else { continue };
            let strands = &seen.strands(&self.material)?.strands;
            let sequence = |strand: &Strand| LabelSequence {
                key: Self::key(&seen.embedder, strand),
                labels: labels.sequence(&self.material, strand),
                stored: strand.len(),
            };
            found.push(ClusterDetail {
                uncovered: labels.uncovered(&self.material, strands),
                sequences: strands.iter().map(sequence).collect(),
                clustering: labels.clustering.clone(),
                names: labels.names.clone(),
                medoids: labels.medoids.clone(),
                sizes: labels.sizes.clone(),
                embedder: seen.embedder.clone(),
            });
        }
        Ok(found)
    }
}
