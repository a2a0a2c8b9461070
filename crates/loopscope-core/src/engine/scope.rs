//! What of an experiment can be computed here.
//!
//! A native experiment is checked whole: it was made from a config that this program accepted, so that a model that is
//! not here means another build, and nothing is begun. An imported one asks for models that this program may never
//! have: what the others can give is computed, and each model that something waits for is named. A diagram needs vectors
//! and no model: where all of them were carried it is computed, whoever made them.
//!
//! Whether a model is here is decided in one place, [`models_of`], by what the registry says of it.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde_json::Map;

use super::{Engine, EngineError};
use crate::backend::{Lane, ModelInfo, Registry, RegistryError};
use crate::config::check_config;
use crate::experiment::{
    Determinism, Experiment, ModelKind, ModelName, ModelVersionId, Network, NonEmpty, Origin, OutputType, Run,
    SequenceNumber,
};
use crate::plan::{Work, outputs_of_type, remaining_of_run};
use crate::store::{RunProgress, Store, StoreError};

/// An experiment as far as it is worked on.
pub(super) struct Scope {
    /// Each of its embedding models stands once; those that nothing is known of are passed over.
    pub experiment: Experiment,
    /// The models that are here, and those of which the store has vectors.
    pub infos: BTreeMap<ModelName, ModelInfo>,
    /// Those of them that are not here, with the version that the store has: no call of them is possible.
    pub stored_only: BTreeMap<ModelName, ModelVersionId>,
    /// The models that are not here, with why; after `keep_waited_for`, those without which something stays missing.
    pub unavailable: BTreeMap<ModelName, String>,
}

/// Returns what of an experiment is worked on; adds the runs that an imported one asks for and that were not carried.
pub(super) fn scope(engine: &Engine<'_>, store: &mut Store, experiment: Experiment) -> Result<Scope, EngineError> {
    if experiment.origin != Origin::Legacy {
        let infos = check_config(&experiment.config, engine.registry)?;
        return Ok(Scope { experiment, infos, stored_only: BTreeMap::new(), unavailable: BTreeMap::new() });
    }
    store.add_missing_runs(experiment.id, engine.clock, engine.entropy)?;
    let (mut infos, unavailable) = models_of(engine.registry, store, &experiment)?;
    let mut stored_only = BTreeMap::new();
    for model in &experiment.config.embedding_models {
        if infos.contains_key(model) {
            continue;
        }
        if let Some((kind, version)) = embedder_in(store, model)? {
            infos.insert(model.clone(), stored_info(model, kind));
            stored_only.insert(model.clone(), version);
        }
    }
    let mut experiment = experiment;
    let mut seen = BTreeSet::new();
    let each_once = experiment.config.embedding_models.iter().filter(|model| seen.insert((*model).clone())).cloned();
    // Of a list that is not empty the first item stays.
    if let Some(models) = NonEmpty::new(each_once.collect()) {
        experiment.config.embedding_models = models;
    }
    Ok(Scope { experiment, infos, stored_only, unavailable })
}

impl Scope {
    /// Returns whether a model can be called.
    pub(super) fn is_here(&self, model: &ModelName) -> bool {
        self.infos.contains_key(model) && !self.stored_only.contains_key(model)
    }

    /// Returns the embedding models of the experiment of which it is known what they take.
    pub(super) fn embedders(&self) -> impl Iterator<Item = (&ModelName, OutputType)> {
        let models = self.experiment.config.embedding_models.iter();
        models.filter_map(|model| Some((model, embedder_input(self.infos.get(model)?)?)))
    }

    /// Returns the same, as the store asks for it.
    pub(super) fn embedder_inputs(&self) -> BTreeMap<ModelName, OutputType> {
        self.embedders().map(|(model, input)| (model.clone(), input)).collect()
    }

    /// Returns how many invocations a run can have here: its length, or up to the first model that is not here.
    pub(super) fn reach(&self, run: &RunProgress) -> u64 {
        if run.is_complete() {
            return run.steps;
        }
        next_cycle(&run.run, run.steps)
            .find(|&number| !self.can_step(run.run.key.network.model(SequenceNumber(number))))
            .unwrap_or_else(|| run.run.max_length.get())
    }

    /// Returns how many outputs of a type the steps of a run in `numbers` give, all of models that are here.
    pub(super) fn outputs(&self, network: &Network, numbers: Range<u64>, wanted: OutputType) -> u64 {
        let up_to = |length| outputs_of_type(network, length, wanted, &self.infos);
        up_to(numbers.end).saturating_sub(up_to(numbers.start))
    }

    /// Returns the work on a run that can be begun here.
    pub(super) fn work_on(&self, index: usize, run: &RunProgress) -> Vec<Work> {
        let mut work = remaining_of_run(&self.experiment, index, run);
        work.retain(|item| match item {
            Work::Invoke { number, .. } => self.can_step(run.run.key.network.model(*number)),
            Work::Embed { model, .. } => self.is_here(model),
            Work::Diagram { .. } => true,
        });
        work
    }

    /// Takes the diagrams out of `run` that say less than the run will have, for vectors of their models are computed
    /// here, and returns those models.
    ///
    /// Only an imported run has such a diagram: the earlier program made diagrams of what was there.
    pub(super) fn take_outgrown(&self, run: &mut RunProgress) -> Vec<ModelName> {
        if run.diagrams.is_empty() {
            return Vec::new();
        }
        let reach = self.reach(run);
        let is_outgrown = |model: &ModelName, input| {
            run.diagrams.contains(model)
                && self.is_here(model)
                && (run.missing_embeddings.contains_key(model)
                    || self.outputs(&run.run.key.network, run.steps..reach, input) > 0)
        };
        let outgrown: Vec<ModelName> = self
            .embedders()
            .filter(|&(model, input)| is_outgrown(model, input))
            .map(|(model, _)| model.clone())
            .collect();
        run.diagrams.retain(|model| !outgrown.contains(model));
        outgrown
    }

    /// Returns whether a model is here and can be a step of a run.
    pub(super) fn can_step(&self, model: &ModelName) -> bool {
        self.is_here(model) && self.infos.get(model).is_some_and(|info| info.kind.output().is_some())
    }

    /// Passes over the models that are not here and that nothing waits for, given what is there.
    pub(super) fn keep_waited_for(&mut self, done: &[RunProgress]) {
        let waited_for = self.models_waited_for(done);
        self.unavailable.retain(|model, _| waited_for.contains(model));
    }

    /// Returns whether a run has, or may come to have, outputs that an embedding model has not embedded.
    fn may_lack(&self, run: &RunProgress, model: &ModelName, input: OutputType) -> bool {
        let reach = self.reach(run);
        // What a model gives that is not here is not known.
        let is_open = !run.is_complete() && reach < run.run.max_length.get();
        is_open
            || run.missing_embeddings.contains_key(model)
            || self.outputs(&run.run.key.network, run.steps..reach, input) > 0
    }

    /// Returns the models that something of the experiment waits for, whether or not they are here.
    fn models_waited_for(&self, done: &[RunProgress]) -> BTreeSet<ModelName> {
        let embedders = self.embedder_inputs();
        // Where nothing says what a model takes, nothing says that all of it is there.
        let unknown = self.experiment.config.embedding_models.iter().filter(|&model| !embedders.contains_key(model));
        let mut waited_for: BTreeSet<ModelName> = unknown.cloned().collect();
        for run in done {
            if !run.is_complete() {
                let next =
                    next_cycle(&run.run, run.steps).map(|number| run.run.key.network.model(SequenceNumber(number)));
                waited_for.extend(next.cloned());
            }
            waited_for.extend(
                embedders
                    .iter()
                    .filter(|&(model, &input)| self.may_lack(run, model, input))
                    .map(|(model, _)| model.clone()),
            );
        }
        waited_for
    }
}

/// Returns what an embedding model takes; nothing for a model that is none.
fn embedder_input(info: &ModelInfo) -> Option<OutputType> {
    info.kind.output().is_none().then(|| info.kind.input())
}

/// Returns the numbers that a run goes through next: as many as its network has models, if its length allows.
fn next_cycle(run: &Run, steps: u64) -> impl Iterator<Item = u64> {
    (steps..run.max_length.get()).take(run.key.network.len())
}

/// What the models of an experiment are, and why those that cannot do here what they are asked cannot.
type Models = (BTreeMap<ModelName, ModelInfo>, BTreeMap<ModelName, String>);

/// Returns the models of an experiment that are not here, or cannot do what they are asked for, with why.
///
/// # Errors
///
/// [`StoreError`], when the store cannot be asked for the vectors that it has.
pub fn models_not_here(
    registry: &dyn Registry,
    store: &Store,
    experiment: &Experiment,
) -> Result<BTreeMap<ModelName, String>, StoreError> {
    models_of(registry, store, experiment).map(|(_, unavailable)| unavailable)
}

/// Sorts the models of an experiment into those that can do here what they are asked, and those that cannot.
///
/// An embedding model whose imported vectors have another dimension is another model, whatever its name: vectors of both
/// would make no trajectory. A name that is asked for as both a step and an embedding model can be one of them.
fn models_of(registry: &dyn Registry, store: &Store, experiment: &Experiment) -> Result<Models, StoreError> {
    let config = &experiment.config;
    let (mut infos, mut unavailable) = Models::default();
    let steps = config.network_models().into_iter().map(|model| (model, true));
    let embedders = config.embedding_models.iter().map(|model| (model.clone(), false));
    for (model, is_step) in steps.chain(embedders) {
        let info = match registry.info(&model, &config.parameters_of(&model)) {
            Ok(info) => info,
            Err(error) => {
                unavailable.insert(model, reason_of(&error));
                continue;
            }
        };
        if info.kind.output().is_some() != is_step {
            let expected = if is_step { "a step of a network" } else { "an embedding model" };
            unavailable.insert(model, format!("it is asked for as {expected}, and is of kind {}", info.kind));
            continue;
        }
        // A native experiment's vectors are this program's own; a call that gives others is a failure on record.
        let is_foreign = !is_step && experiment.origin == Origin::Legacy;
        let stored = if is_foreign { store.dimension(experiment.id, &model)? } else { None };
        match (stored, info.dimension) {
            (Some(stored), Some(own)) if stored != own => {
                let reason = format!("its vectors in the store have {stored} numbers, this program's have {own}");
                unavailable.insert(model, reason);
            }
            _ => {
                infos.insert(model, info);
            }
        }
    }
    Ok((infos, unavailable))
}

fn reason_of(error: &RegistryError) -> String {
    match error {
        RegistryError::UnknownModel { .. } => "this program has no model of that name".to_owned(),
        RegistryError::NotHere { reason, .. } => reason.clone(),
        error => crate::causes::with_causes(error),
    }
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
