//! What charts are drawn from: read once, used by many.

use std::cell::OnceCell;

use loopscope_core::analysis::detail::{ClusterDetail, Details, DiagramDetail, DistanceDetail, DivergenceDetail};
use loopscope_core::analysis::{AnalysisError, Options};
use loopscope_core::backend::Registry;
use loopscope_core::experiment::{ExperimentId, ModelName, RunId};
use loopscope_core::store::Store;

use super::Skip;
use super::facet::Names;
use crate::{ExportError, Progress};

/// An experiment as charts see it.
pub struct Source<'a> {
    store: &'a Store,
    registry: &'a dyn Registry,
    details: Details<'a>,
    run: Option<usize>,
    networks: Networks,
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
        let networks = Networks::of(&details);
        Ok(Self {
            store,
            registry,
            details,
            run,
            networks,
            clusters: OnceCell::new(),
            diagrams: OnceCell::new(),
            distances: OnceCell::new(),
            divergence: OnceCell::new(),
        })
    }

    /// Tells what of the experiment no chart shows.
    ///
    /// # Errors
    ///
    /// [`ExportError::Analysis`].
    pub fn tell_left_out(&self, progress: &mut dyn Progress) -> Result<(), ExportError> {
        self.details.left_out()?.iter().for_each(|note| progress.note(note));
        Ok(())
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

    /// Returns the name of a run's network, short enough to stand beside an axis.
    pub(crate) fn network(&self, run: usize) -> &str {
        self.networks.of_run.get(run).map_or("", |&place| &self.networks.names.short[place])
    }

    /// Returns which of the experiment's networks a run has, in the order in which runs have them.
    pub(crate) fn network_place(&self, run: usize) -> usize {
        self.networks.of_run.get(run).copied().unwrap_or(0)
    }

    /// Returns the same for a network as people write it.
    pub(crate) fn short_network<'s>(&'s self, whole: &'s str) -> &'s str {
        let place = self.networks.whole.iter().position(|known| known == whole);
        place.map_or(whole, |place| &self.networks.names.short[place])
    }

    /// Returns what the caption says of networks, where their names were cut.
    pub(crate) fn network_key(&self) -> Option<&str> {
        self.networks.names.key.as_deref().filter(|_| self.networks.whole.len() > 1)
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

/// The networks of an experiment, with names that are short enough to stand beside an axis.
struct Networks {
    whole: Vec<String>,
    names: Names,
    /// Which network each run has.
    of_run: Vec<usize>,
}

impl Networks {
    fn of(details: &Details<'_>) -> Self {
        let (mut whole, mut of_run) = (Vec::new(), Vec::new());
        for run in details.runs() {
            let name = run.run.key.network.to_string();
            of_run.push(whole.iter().position(|known| *known == name).unwrap_or_else(|| {
                whole.push(name);
                whole.len() - 1
            }));
        }
        Self { names: Names::of("Networks", &whole), whole, of_run }
    }
}

fn read_once<T>(cell: &OnceCell<T>, read: impl FnOnce() -> Result<T, AnalysisError>) -> Result<&T, AnalysisError> {
    if let Some(found) = cell.get() {
        return Ok(found);
    }
    let found = read()?;
    Ok(cell.get_or_init(|| found))
}
