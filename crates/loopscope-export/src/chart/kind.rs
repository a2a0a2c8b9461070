//! The kinds of charts.

/// A kind of chart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Birth and death of all runs' bars.
    PersistenceDiagram,
    /// The same for each network and embedder.
    PersistenceDiagramFaceted,
    /// The same for each prompt.
    PersistenceDiagramByPrompt,
    /// Persistent entropy of runs, by network.
    EntropyViolin,
    /// Persistent entropy of runs, by prompt.
    EntropyByPrompt,
    /// How long runs stay in a cluster.
    ClusterRunLengths,
    /// The same for each cluster.
    ClusterRunLengthViolin,
    /// How drift is distributed, early to late.
    DriftRidgeline,
    /// Which cluster each run is in, turn by turn.
    ClusterTimelines,
    /// Clusters by prompts, as bubbles of outputs.
    ClusterBubbleGrid,
    /// Clusters by prompts, as bubbles of mean run lengths.
    RunLengthBubbleGrid,
    /// Distributions that show at a glance whether an experiment is sound.
    SenseCheck,
    /// Outputs of each cluster.
    ClusterHistogram,
    /// The same for the largest clusters.
    ClusterHistogramTop,
    /// Which cluster follows which.
    ClusterTransitions,
    /// Pictures of each cluster.
    ClusterExamples,
    /// How long calls of models took.
    InvocationDuration,
    /// Distances between diagrams.
    WassersteinHistogram,
    /// The same as violins.
    WassersteinViolin,
    /// Distances between runs of one prompt, turn by turn.
    DivergenceCurves,
    /// Finite-time Lyapunov exponents by prompt and network.
    FtleHeatmap,
    /// Bars of single runs.
    Barcode,
    /// Embeddings in a plane, with trajectories.
    EmbeddingMap,
    /// The chain of clusters as a graph.
    MarkovGraph,
    /// When runs come back to where they were.
    RecurrencePlot,
    /// Timescales of the chain against its lag.
    ImpliedTimescales,
}

impl Kind {
    /// All of them, in the order in which they are drawn.
    pub const ALL: [Self; 26] = [
        Self::PersistenceDiagram,
        Self::PersistenceDiagramFaceted,
        Self::PersistenceDiagramByPrompt,
        Self::Barcode,
        Self::EntropyViolin,
        Self::EntropyByPrompt,
        Self::WassersteinHistogram,
        Self::WassersteinViolin,
        Self::EmbeddingMap,
        Self::DriftRidgeline,
        Self::DivergenceCurves,
        Self::FtleHeatmap,
        Self::RecurrencePlot,
        Self::ClusterTimelines,
        Self::ClusterHistogram,
        Self::ClusterHistogramTop,
        Self::ClusterBubbleGrid,
        Self::ClusterRunLengths,
        Self::ClusterRunLengthViolin,
        Self::RunLengthBubbleGrid,
        Self::ClusterTransitions,
        Self::MarkovGraph,
        Self::ImpliedTimescales,
        Self::ClusterExamples,
        Self::InvocationDuration,
        Self::SenseCheck,
    ];

    /// Returns the name that people type and that files have.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PersistenceDiagram => "persistence-diagram",
            Self::PersistenceDiagramFaceted => "persistence-diagram-faceted",
            Self::PersistenceDiagramByPrompt => "persistence-diagram-by-prompt",
            Self::EntropyViolin => "entropy-violin",
            Self::EntropyByPrompt => "entropy-by-prompt",
            Self::ClusterRunLengths => "cluster-run-lengths",
            Self::ClusterRunLengthViolin => "cluster-run-length-violin",
            Self::DriftRidgeline => "drift-ridgeline",
            Self::ClusterTimelines => "cluster-timelines",
            Self::ClusterBubbleGrid => "cluster-bubble-grid",
            Self::RunLengthBubbleGrid => "run-length-bubble-grid",
            Self::SenseCheck => "sense-check",
            Self::ClusterHistogram => "cluster-histogram",
            Self::ClusterHistogramTop => "cluster-histogram-top",
            Self::ClusterTransitions => "cluster-transitions",
            Self::ClusterExamples => "cluster-examples",
            Self::InvocationDuration => "invocation-duration",
            Self::WassersteinHistogram => "wasserstein-histogram",
            Self::WassersteinViolin => "wasserstein-violin",
            Self::DivergenceCurves => "divergence-curves",
            Self::FtleHeatmap => "ftle-heatmap",
            Self::Barcode => "barcode",
            Self::EmbeddingMap => "embedding-map",
            Self::MarkovGraph => "markov-graph",
            Self::RecurrencePlot => "recurrence-plot",
            Self::ImpliedTimescales => "implied-timescales",
        }
    }

    /// Returns the kind of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed_once_and_found_by_its_name() {
        let mut sorted = Kind::ALL.to_vec();
        sorted.sort();
        sorted.dedup();
        assert_eq!(sorted.len(), Kind::ALL.len());
        assert!(Kind::ALL.into_iter().all(|kind| Kind::from_name(kind.name()) == Some(kind)));
    }
}
