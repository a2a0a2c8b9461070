//! What stands before the work: the experiment's row and runs, the table of models, the lanes.

use std::sync::OnceLock;

use super::job::ModelEntry;
use super::queue::CPU_LANE;
use super::scope::Scope;
use super::{Engine, EngineError};
use crate::backend::{Lane, ModelInfo};
use crate::codec::canonical_json;
use crate::config::GivenConfig;
use crate::experiment::{
    Clock, Entropy, Experiment, ExperimentId, ModelName, ModelVersion, ModelVersionId, Origin, Run, RunId,
};
use crate::store::{Store, StoreError};

/// Stores a new experiment with all its runs, in one transaction, and returns it.
///
/// Its name is the config's, or else `fallback_name`, with a suffix when that is taken.
///
/// # Errors
///
/// [`EngineError`]; then nothing of it is there.
pub fn create_experiment(
    store: &mut Store,
    given: GivenConfig,
    fallback_name: &str,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<Experiment, EngineError> {
    let no_randomness = |source| EngineError::System { what: "randomness", source };
    let now = clock.now();
    let wanted = given.config.name.clone().unwrap_or_else(|| fallback_name.to_owned());
    let experiment = Experiment {
        id: ExperimentId::new(now, entropy).map_err(no_randomness)?,
        name: wanted,
        config: given.config,
        config_as_given: given.as_given,
        origin: Origin::Native,
        created_at: now,
        started_at: None,
        completed_at: None,
    };
    let max_length = experiment.config.max_length;
    let run = |key| {
        let id = RunId::new(now, entropy).map_err(no_randomness)?;
        Ok(Run { id, experiment_id: experiment.id, key, max_length })
    };
    let runs = experiment.config.run_keys().into_iter().map(run).collect::<Result<Vec<_>, EngineError>>()?;
    Ok(store.create_experiment_with_free_name(experiment, &runs)?)
}

/// The models of an experiment and the threads that serve them.
pub(super) struct ModelTable {
    /// In the order of their names.
    pub models: Vec<ModelEntry>,
    /// For each lane, its threads; the first is the CPU's.
    pub threads: Vec<usize>,
}

impl ModelTable {
    /// Returns the index of a model in the table.
    pub(super) fn index(&self, name: &ModelName) -> Option<usize> {
        self.models.iter().position(|entry| entry.info.name == *name)
    }
}

/// Makes the table of the models that an experiment uses, with a version in the store for each.
pub(super) fn model_table(engine: &Engine<'_>, store: &mut Store, scope: &Scope) -> Result<ModelTable, EngineError> {
    let Scope { experiment, infos, stored_only, .. } = scope;
    let here: Vec<&ModelInfo> = infos.values().filter(|info| !stored_only.contains_key(&info.name)).collect();
    let versions = here.iter().map(|info| version_of(engine, info)).collect::<Result<Vec<_>, EngineError>>()?;
    let mut version_ids = stored_only.clone();
    version_ids.extend(here.iter().map(|info| info.name.clone()).zip(store.ensure_model_versions(&versions)?));
    let mut lanes: Vec<Lane> = vec![Lane::Cpu];
    let mut models = Vec::new();
    for info in infos.values() {
        let Some(&version) = version_ids.get(&info.name) else { continue };
        let lane = lanes.iter().position(|lane| *lane == info.lane).unwrap_or_else(|| {
            lanes.push(info.lane.clone());
            lanes.len() - 1
        });
        let dimension = OnceLock::new();
        if let Some(known) = store.dimension(experiment.id, &info.name)?.or(info.dimension) {
            dimension.get_or_init(|| known);
        }
        let determinism = store.determinism(version)?;
        let is_here = !stored_only.contains_key(&info.name);
        models.push(ModelEntry { info: info.clone(), version, is_here, determinism, lane, dimension });
    }
    debug_assert_eq!(lanes[CPU_LANE], Lane::Cpu);
    let threads_of = |lane: &Lane| match lane {
        Lane::Cpu => engine.options.threads.max(1),
        Lane::Named { threads, .. } => (*threads).max(1),
    };
    Ok(ModelTable { models, threads: lanes.iter().map(threads_of).collect() })
}

fn version_of(engine: &Engine<'_>, info: &ModelInfo) -> Result<ModelVersion, EngineError> {
    let id = ModelVersionId::new(engine.clock.now(), engine.entropy)
        .map_err(|source| EngineError::System { what: "randomness", source })?;
    let parameters = canonical_json(&info.parameters).map_err(|error| StoreError::Invalid {
        object: info.name.to_string(),
        defect: format!("parameters: {error}"),
    })?;
    Ok(ModelVersion {
        id,
        name: info.name.clone(),
        kind: info.kind,
        backend: info.backend.clone(),
        revision: info.revision.clone(),
        weights_hash: info.weights_hash.clone(),
        parameters,
        determinism: info.determinism,
        program_version: engine.options.program_version.clone(),
    })
}
