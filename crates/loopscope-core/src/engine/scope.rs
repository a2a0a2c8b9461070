//! What of an experiment can be computed here.
//!
//! A native experiment is checked whole: it was made from a config that this program accepted, so that a model that is
//! not here means another build, and nothing is begun. An imported one asks for models that this program may never
//! have: what the others can give is computed, and each model that something waits for is named. A diagram needs vectors
//! and no model: where all of them were carried it is computed, whoever made them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Map;

use super::{Engine, EngineError};
use crate::backend::{Lane, ModelInfo, RegistryError};
use crate::config::check_config;
use crate::experiment::{Determinism, Experiment, ModelKind, ModelName, ModelVersionId, NonEmpty, Origin, OutputType};
use crate::store::{RunProgress, Store};

/// An experiment as far as it is worked on.
pub(super) struct Scope {
    /// Each of its embedding models stands once; those without an entry in `infos` are passed over.
    pub experiment: Experiment,
    /// The models that are here, and those of which the store has vectors.
    pub infos: BTreeMap<ModelName, ModelInfo>,
    /// Those of them that are not here, with the version that the store has: no call of them is possible.
    pub stored_only: BTreeMap<ModelName, ModelVersionId>,
    /// The models that are not here and without which something stays missing, with why.
    pub unavailable: BTreeMap<ModelName, String>,
}

/// Returns what of an experiment is worked on; adds the runs that an imported one asks for and that were not carried.
pub(super) fn scope(engine: &Engine<'_>, store: &mut Store, experiment: Experiment) -> Result<Scope, EngineError> {
    if experiment.origin != Origin::Legacy {
        let infos = check_config(&experiment.config, engine.registry)?;
        return Ok(Scope { experiment, infos, stored_only: BTreeMap::new(), unavailable: BTreeMap::new() });
    }
    store.add_missing_runs(experiment.id, engine.clock, engine.entropy)?;
    let (mut infos, mut unavailable) = models_of(engine, store, &experiment)?;
    let mut stored_only = BTreeMap::new();
    for model in experiment.config.embedding_models.iter().filter(|model| unavailable.contains_key(model)) {
        if let Some((kind, version)) = embedder_in(store, model)? {
            infos.insert(model.clone(), stored_info(model, kind));
            stored_only.insert(model.clone(), version);
        }
    }
    let lacking = models_waited_for(store, &experiment, &infos)?;
    unavailable.retain(|model, _| lacking.contains(model));
    let mut experiment = experiment;
    let mut seen = BTreeSet::new();
    let each_once = experiment.config.embedding_models.iter().filter(|model| seen.insert((*model).clone())).cloned();
    // Of a list that is not empty the first item stays.
    if let Some(models) = NonEmpty::new(each_once.collect()) {
        experiment.config.embedding_models = models;
    }
    Ok(Scope { experiment, infos, stored_only, unavailable })
}

type Models = (BTreeMap<ModelName, ModelInfo>, BTreeMap<ModelName, String>);

/// Sorts the models of an experiment into those that can do here what they are asked, and those that cannot.
///
/// An embedding model whose vectors there have another dimension is another model, whatever its name: vectors of both
/// would make no trajectory.
fn models_of(engine: &Engine<'_>, store: &Store, experiment: &Experiment) -> Result<Models, EngineError> {
    let config = &experiment.config;
    let (mut infos, mut unavailable) = Models::default();
    let steps = config.network_models().into_iter().map(|model| (model, true));
    let embedders = config.embedding_models.iter().map(|model| (model.clone(), false));
    for (model, is_step) in steps.chain(embedders) {
        match engine.registry.info(&model, &config.parameters_of(&model)) {
            Ok(info) if info.kind.output().is_some() == is_step => {
                let stored = if is_step { None } else { store.dimension(experiment.id, &model)? };
                match (stored, info.dimension) {
                    (Some(stored), Some(own)) if stored != own => {
                        let reason =
                            format!("its vectors in the store have {stored} numbers, this program's have {own}");
                        unavailable.insert(model, reason);
                    }
                    _ => {
                        infos.insert(model, info);
                    }
                }
            }
            Ok(info) => {
                let expected = if is_step { "a step of a network" } else { "an embedding model" };
                unavailable.insert(model, format!("it is asked for as {expected}, and is of kind {}", info.kind));
            }
            Err(RegistryError::UnknownModel { .. }) => {
                unavailable.insert(model, "this program has no model of that name".to_owned());
            }
            Err(error) => {
                unavailable.insert(model, crate::causes::with_causes(&error));
            }
        }
    }
    // A name that is asked for as both can do one of them.
    unavailable.retain(|model, _| !infos.contains_key(model));
    Ok((infos, unavailable))
}

/// Returns the models without which something of an experiment stays missing, if they are not here.
fn models_waited_for(
    store: &Store,
    experiment: &Experiment,
    infos: &BTreeMap<ModelName, ModelInfo>,
) -> Result<BTreeSet<ModelName>, EngineError> {
    let mut waited_for = BTreeSet::new();
    let mut embedders: BTreeMap<ModelName, OutputType> = BTreeMap::new();
    for model in &experiment.config.embedding_models {
        match infos.get(model) {
            Some(info) => {
                embedders.insert(model.clone(), info.kind.input());
            }
            // Nothing says what it takes, so that nothing says that all of it is there.
            None => {
                waited_for.insert(model.clone());
            }
        }
    }
    for run in store.progress(experiment.id, &embedders)? {
        if !run.is_complete() {
            waited_for.extend(run.run.key.network.models().iter().cloned());
        }
        waited_for.extend(embedders.keys().filter(|&model| lacks(&run, model)).cloned());
    }
    Ok(waited_for)
}

/// Returns what an embedding model takes by the versions that the store has of it, where they agree, and one of them.
fn embedder_in(store: &Store, model: &ModelName) -> Result<Option<(ModelKind, ModelVersionId)>, EngineError> {
    let versions = store.model_versions()?.into_iter();
    let of_model = versions.filter(|version| version.name == *model && version.kind.output().is_none());
    let mut found = of_model.map(|version| (version.kind, version.id));
    let Some(first) = found.next() else { return Ok(None) };
    Ok(found.all(|other| other.0 == first.0).then_some(first))
}

/// Describes a model of which there are vectors and nothing else.
fn stored_info(model: &ModelName, kind: ModelKind) -> ModelInfo {
    ModelInfo {
        name: model.clone(),
        kind,
        backend: "legacy".to_owned(),
        revision: "unknown".to_owned(),
        weights_hash: "unknown".to_owned(),
        parameters: Map::new(),
        determinism: Determinism::Unknown,
        dimension: None,
        batch_max: 1,
        memory_bytes: 0,
        lane: Lane::Cpu,
        about: String::new(),
    }
}

/// Returns whether a run has, or will have, outputs that an embedding model has not embedded.
fn lacks(run: &RunProgress, model: &ModelName) -> bool {
    !run.is_complete() || run.missing_embeddings.contains_key(model)
}
