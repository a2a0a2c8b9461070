//! What lies under the tables of an analysis: one value for each run, pair or turn, for charts.
//!
//! Charts draw what analyses found and compute nothing again: what is here comes out of the same functions that the
//! tables are made of. Nothing is drawn, rounded or grouped here.

mod chains;
mod clusters;
mod diagrams;
mod projections;
mod strands;

pub use chains::{ChainDetail, TimescaleDetail};
pub use clusters::{ClusterDetail, LabelSequence};
pub use diagrams::{DiagramDetail, DistanceDetail, DistanceKind};
pub use projections::ProjectionDetail;
pub use strands::{DivergenceDetail, DriftDetail, RecurrenceDetail, StepDetail};

use std::cell::OnceCell;

use super::material::{Material, Strand, Strands};
use super::survey::Survey;
use super::{AnalysisError, Options};
use crate::experiment::{Experiment, ExperimentId, ModelName, Run};
use crate::store::Store;

/// An experiment's runs, opened for reading what lies under its analyses.
pub struct Details<'a> {
    material: Material<'a>,
    options: Options,
    /// In the config's order.
    seen: Vec<Seen>,
}

/// What one embedder saw, read when first asked for and kept for all who ask later.
struct Seen {
    embedder: ModelName,
    strands: OnceCell<Strands>,
}

impl Seen {
    fn strands(&self, material: &Material<'_>) -> Result<&Strands, AnalysisError> {
        if let Some(strands) = self.strands.get() {
            return Ok(strands);
        }
        let strands = material.strands(&self.embedder)?;
        Ok(self.strands.get_or_init(|| strands))
    }
}

/// Which strand something belongs to: one embedder, one run, one place of its network.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StrandKey {
    /// The embedder.
    pub embedder: ModelName,
    /// The run, as an index into [`Details::runs`].
    pub run: usize,
    /// The model whose outputs these are, with its place where the network has it more than once.
    pub place: String,
    /// That place in the network, from 0.
    pub position: usize,
}

/// One run and what became of it.
#[derive(Clone, Debug)]
pub struct RunDetail<'a> {
    /// The run.
    pub run: &'a Run,
    /// Invocations that are stored.
    pub invocations: usize,
    /// The period in invocations, where it stopped because its state came back.
    pub cycle: Option<usize>,
}

impl<'a> Details<'a> {
    /// Opens an experiment.
    ///
    /// # Errors
    ///
    /// [`AnalysisError::Store`].
    pub fn load(store: &'a Store, experiment: ExperimentId, options: &Options) -> Result<Self, AnalysisError> {
        let material = Material::load(store, experiment)?;
        let seen = |embedder| Seen { embedder, strands: OnceCell::new() };
        let seen = material.embedders().into_iter().map(seen).collect();
        Ok(Self { material, options: options.clone(), seen })
    }

    /// Returns the experiment.
    #[must_use]
    pub const fn experiment(&self) -> &Experiment {
        &self.material.experiment
    }

    /// Returns what values were made with.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// Returns the runs, in the order in which the experiment has them.
    pub fn runs(&self) -> impl ExactSizeIterator<Item = RunDetail<'_>> {
        self.material.runs.iter().map(|run| RunDetail {
            run: &run.run,
            invocations: run.states.len(),
            cycle: run.cycle,
        })
    }

    /// Returns the embedders, in the config's order.
    #[must_use]
    pub fn embedders(&self) -> Vec<ModelName> {
        self.material.embedders()
    }

    /// Returns what of the experiment is left out of all this, a sentence each: what the notes of analyses say of it.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn left_out(&self) -> Result<Vec<String>, AnalysisError> {
        let mut survey = Survey::default();
        for seen in &self.seen {
            survey.count_left_out(seen.strands(&self.material)?);
        }
        Ok(survey.told())
    }

    fn key(embedder: &ModelName, strand: &Strand) -> StrandKey {
        StrandKey {
            embedder: embedder.clone(),
            run: strand.run,
            place: strand.place.clone(),
            position: strand.position,
        }
    }
}
