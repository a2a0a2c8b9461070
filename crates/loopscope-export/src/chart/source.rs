//! What charts are drawn from: read once, used by many.

use std::cell::OnceCell;

use loopscope_core::analysis::detail::{ClusterDetail, Details, DiagramDetail, DistanceDetail, DivergenceDetail};
use loopscope_core::analysis::{AnalysisError, Options};
use loopscope_core::backend::Registry;
use loopscope_core::experiment::{ExperimentId, ModelName, RunId};
use loopscope_core::store::Store;

use super::Skip;
use crate::ExportError;

/// An experiment as charts see it.
pub struct Source<'a> {
    store: &'a Store,
    registry: &'a dyn Registry,
    details: Details<'a>,
    run: Option<usize>,
    clusters: OnceCell<Vec<ClusterDetail>>,
    diagrams: OnceCell<Vec<DiagramDetail>>,
    distances: OnceCell<(Vec<DistanceDetail>, usize)>,
    divergence: OnceCell<Vec<DivergenceDetail>>,
}

impl<'a> Source<'a> {
    /// Opens an experiment; `run` is the one that charts of single runs show, otherwise the first of each prompt.
    ///
    /// # Errors
    ///
    /// [`ExportError`]; [`ExportError::Unfit`] for a run of another experiment.
    pub fn load(
        store: &'a Store,
        experiment: ExperimentId,
        options: &Options,
        run: Option<RunId>,
        registry: &'a dyn Registry,
    ) -> Result<Self, ExportError> {
        let details = Details::load(store, experiment, options)?;
        let run = match run {
            None => None,
            Some(id) => match details.runs().position(|run| run.run.id == id) {
                Some(place) => Some(place),
                None => {
                    return Err(ExportError::Unfit {
                        object: format!("run {}", id.short()),
                        defect: format!("is none of experiment \"{}\"", details.experiment().name),
                    });
                }
            },
        };
        Ok(Self {
            store,
            registry,
            details,
            run,
            clusters: OnceCell::new(),
            diagrams: OnceCell::new(),
            distances: OnceCell::new(),
            divergence: OnceCell::new(),
        })
    }

    /// Returns the store.
    #[must_use]
    pub const fn store(&self) -> &'a Store {
        self.store
    }

    /// Returns the models that can be called.
    pub(crate) const fn registry(&self) -> &dyn Registry {
        self.registry
    }

    /// Returns what lies under the analyses.
    #[must_use]
    pub const fn details(&self) -> &Details<'a> {
        &self.details
    }

    /// Returns the run that was asked for, as an index.
    pub(crate) const fn chosen_run(&self) -> Option<usize> {
        self.run
    }

    pub(crate) fn clusters(&self) -> Result<Result<&[ClusterDetail], Skip>, AnalysisError> {
        let found = read_once(&self.clusters, || self.details.clusters())?;
        if found.is_empty() {
            let embedders: Vec<ModelName> = self.details.embedders();
            let name = embedders.first().map_or("EMBEDDER", |name| name.as_str());
            return Ok(Err(Skip::new(format!("no clustering is stored; `loopscope cluster run {name}` makes one"))));
        }
        Ok(Ok(found))
    }

    pub(crate) fn diagrams(&self) -> Result<Result<&[DiagramDetail], Skip>, AnalysisError> {
        let found = read_once(&self.diagrams, || self.details.diagrams())?;
        if found.is_empty() {
            let why = "no persistence diagram is stored; `loopscope experiment resume` computes those of runs with two outputs or more";
            return Ok(Err(Skip::new(why)));
        }
        Ok(Ok(found))
    }

    pub(crate) fn distances(&self) -> Result<&(Vec<DistanceDetail>, usize), AnalysisError> {
        read_once(&self.distances, || self.details.distances())
    }

    pub(crate) fn divergence(&self) -> Result<Result<&[DivergenceDetail], Skip>, AnalysisError> {
        let found = read_once(&self.divergence, || self.details.divergence())?;
        if found.is_empty() {
            let why = "no two runs share a network and a prompt; `loopscope experiment extend --seed N` makes more";
            return Ok(Err(Skip::new(why)));
        }
        Ok(Ok(found))
    }
}

fn read_once<T>(cell: &OnceCell<T>, read: impl FnOnce() -> Result<T, AnalysisError>) -> Result<&T, AnalysisError> {
    if let Some(found) = cell.get() {
        return Ok(found);
    }
    let found = read()?;
    Ok(cell.get_or_init(|| found))
}
