//! What an experiment's trajectories do, as tables: read from the store, grouped, estimated with intervals over runs.
//!
//! The formulas are in `loopscope-analysis`; here is which runs, places and embedders they are applied to. Vectors of different
//! embedders are never pooled, and outputs of different places of a network never mixed: a *strand* is what one embedder
//! saw of one run at one place, one vector a turn of the network.
//!
//! Nothing here writes. What does not apply (too few runs, no clustering, a chain in pieces) is said in a remark beside the number that is
//! missing, and everything left out is counted in a note.

mod change_points;
mod cycles;
pub mod detail;
mod divergence;
mod drift;
mod estimate;
mod group;
mod labels;
mod markov;
mod material;
mod recurrence;
mod regimes;
mod relaxation;
mod report;
mod survey;
mod topology;
mod transitions;

pub use estimate::counted;
pub use group::By;
pub use report::{Analysis, Cell, Column, Estimate, ResultTable};

use loopscope_analysis::bootstrap::Bootstrap;
use loopscope_analysis::change_points::ChangePointError;
use loopscope_analysis::markov::MarkovError;
use loopscope_analysis::series::SeriesError;

use crate::backend::Registry;
use crate::experiment::ExperimentId;
use crate::store::{Store, StoreError};
use material::Material;

/// Why an analysis could not be made; what merely does not apply is a remark in its tables instead.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnalysisError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Vectors that cannot be measured.
    #[error("the vectors do not measure")]
    Series(#[from] SeriesError),
    /// A chain that cannot be.
    #[error("the states make no chain")]
    Markov(#[from] MarkovError),
    /// A search for breaks that cannot be made.
    #[error("the breaks cannot be searched")]
    ChangePoints(#[from] ChangePointError),
    /// Diagrams that cannot be compared or computed.
    #[error("the diagrams do not compare")]
    Topology(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A clustering that is none of this experiment's.
    #[error("no clustering of this experiment is \"{typed}\"; it has {known}")]
    UnknownClustering {
        /// What was asked for.
        typed: String,
        /// The short ids that there are.
        known: String,
    },
}

/// Which analysis.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// How far from the prompt, how diverse, and whether the prompt can be told.
    Drift,
    /// Which cluster follows which, and how long each lasts.
    Transitions,
    /// The chain of clusters.
    Markov,
    /// Recurrence quantification.
    Recurrence,
    /// How fast drift settles.
    Relaxation,
    /// Where trajectories change.
    ChangePoints,
    /// Exact repetition.
    Cycles,
    /// How fast runs part.
    Divergence,
    /// Contractive, oscillatory, exploratory.
    Regimes,
    /// Diagrams across runs.
    Topology,
}

/// A kernel for change points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CostName {
    /// Directions.
    Cosine,
    /// Sums of squares.
    L2,
    /// Gaussian, γ = 1.
    Rbf,
}

/// What may be chosen; each analysis reads its own part and says what it used.
#[derive(Clone, Debug)]
pub struct Options {
    /// What rows are.
    pub by: By,
    /// How intervals are made.
    pub bootstrap: Bootstrap,
    /// Cosine distance up to which two outputs are the same place.
    pub epsilon: f64,
    /// Lag of a chain, in turns; at least 1.
    pub lag: usize,
    /// Whether outliers count as the core visited last.
    pub milestoning: bool,
    /// The kernel for breaks.
    pub cost: CostName,
    /// The penalty for a break; otherwise chosen for each strand.
    pub penalty: Option<f64>,
    /// The shortest segment, in turns.
    pub segment_min: usize,
    /// Window of the sliding-window persistence, in turns.
    pub window: usize,
    /// The most rows of a list for each group.
    pub top: usize,
    /// A clustering by id or the beginning or end of one; otherwise the newest of each embedder.
    pub clustering: Option<String>,
    /// Threads for distances between diagrams; 0 for all. Changes no number.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            by: By::default(),
            bootstrap: Bootstrap { resamples: 500, ..Bootstrap::default() },
            epsilon: 0.08,
            lag: 1,
            milestoning: false,
            cost: CostName::Cosine,
            penalty: None,
            segment_min: loopscope_analysis::change_points::SEGMENT_MIN,
            window: 8,
            top: 10,
            clustering: None,
            threads: 0,
        }
    }
}

/// Makes an analysis of an experiment.
///
/// `registry` gives the embedders for prompts, where they are available; nothing else is computed by a model.
///
/// # Errors
///
/// [`AnalysisError`].
pub fn analyse(
    store: &Store,
    experiment: ExperimentId,
    kind: Kind,
    options: &Options,
    registry: &dyn Registry,
) -> Result<Analysis, AnalysisError> {
    let material = Material::load(store, experiment)?;
    let mut analysis = match kind {
        Kind::Drift => drift::drift(&material, options, registry),
        Kind::Transitions => transitions::transitions(&material, options),
        Kind::Markov => markov::markov(&material, options),
        Kind::Recurrence => recurrence::recurrence(&material, options),
        Kind::Relaxation => relaxation::relaxation(&material, options, registry),
        Kind::ChangePoints => change_points::change_points(&material, options),
        Kind::Cycles => cycles::cycles(&material, options),
        Kind::Divergence => divergence::divergence(&material, options),
        Kind::Regimes => regimes::regimes(&material, options),
        Kind::Topology => topology::topology(&material, options),
    }?;
    note_repeated_runs(&material, &mut analysis);
    note_intervals_of_one_point(&mut analysis);
    Ok(analysis)
}

/// Warns of runs that were asked for twice: as a rule they are copies of each other, and no second observation.
fn note_repeated_runs(material: &Material<'_>, analysis: &mut Analysis) {
    let is_repeat = |run: &&material::RunMaterial| run.run.key.run_number > 0 && !run.run.key.seed.is_fresh();
    let count = material.runs.iter().filter(is_repeat).count();
    if count > 0 {
        analysis.notes.push(format!(
            "{count} of {} runs have the network, the prompt and the seed of another: of models that repeat themselves they are copies, and intervals, which \
             take runs for independent, are then too narrow",
            material.runs.len()
        ));
    }
}

/// Says what an interval such as [0, 0] means, which looks surer than it is.
fn note_intervals_of_one_point(analysis: &mut Analysis) {
    let is_point = |cell: &Cell| match cell {
        Cell::Estimate(Estimate { value: Some(_), interval: Some(ends) }) => ends.low == ends.high,
        _ => false,
    };
    if analysis.tables.iter().flat_map(|table| table.rows.iter().flatten()).any(is_point) {
        analysis.notes.push(
            "An interval of one point, such as [0, 0], says that the runs agree, not that more runs would: of n runs that agree, a share of up to 3 / n \
             may differ."
                .to_owned(),
        );
    }
}
