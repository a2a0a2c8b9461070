//! Whether the models of a config exist, fit together, and take their parameters.

use std::collections::{BTreeMap, BTreeSet};

use super::ConfigError;
use super::error::{Defect, Problems, member};
use crate::backend::{ModelInfo, Registry, RegistryError};
use crate::experiment::{ExperimentConfig, ModelKind, ModelName, Network, OutputType};

/// Checks a config against the models there are, and returns what they are with the parameters of the config.
///
/// The result holds every model of the networks and every embedding model, by name.
///
/// # Errors
///
/// [`ConfigError::Invalid`] with every problem: a model that is not known, cannot stand where it does, or does not
/// take what `parameters` sets for it, and parameters of a model that the config does not use.
pub fn check_config(
    config: &ExperimentConfig,
    registry: &dyn Registry,
) -> Result<BTreeMap<ModelName, ModelInfo>, ConfigError> {
    let (infos, absent) = (BTreeMap::new(), BTreeSet::new());
    let mut checker = Checker { config, registry, infos, absent, problems: Problems::default() };
    for (index, network) in config.networks.iter().enumerate() {
        checker.network(&format!("networks[{index}]"), network);
    }
    for (index, model) in config.embedding_models.iter().enumerate() {
        checker.embedding_model(&format!("embedding_models[{index}]"), model);
    }
    checker.parameters();
    if !checker.problems.is_empty() {
        return Err(checker.problems.into_error());
    }
    Ok(checker.infos.into_iter().filter_map(|(name, info)| Some((name, info.ok()?))).collect())
}

struct Checker<'a> {
    config: &'a ExperimentConfig,
    registry: &'a dyn Registry,
    /// What the registry said of each model that the config uses.
    infos: BTreeMap<ModelName, Result<ModelInfo, RegistryError>>,
    /// Models that are known and not here, as far as they are told of.
    absent: BTreeSet<ModelName>,
    problems: Problems,
}

impl Checker<'_> {
    /// Notes each place of the cycle where a model cannot stand, as far as the models are known.
    fn network(&mut self, key: &str, network: &Network) {
        let models = network.models();
        let mut is_fitting = true;
        // A run starts from a text prompt; after a model that we do not know, anything may fit.
        let mut given = Some(OutputType::Text);
        let mut first = None;
        for (index, model) in models.iter().enumerate() {
            let kind = self.step(&format!("{key}[{index}]"), model, given);
            if let (Some(kind), Some(given)) = (kind, given)
                && kind.input() != given
            {
                is_fitting = false;
                match index.checked_sub(1) {
                    None => self.start(key, model, kind),
                    Some(before) => self.pair(&format!("{key}[{index}]"), &models[before], model, given),
                }
            }
            first = if index == 0 { kind } else { first };
            given = kind.and_then(ModelKind::output);
        }
        // While a model stands wrong, what the last one gives says nothing of what would mend the cycle.
        if let (true, Some(first), Some(given)) = (is_fitting, first, given)
            && first.input() != given
        {
            self.cycle(key, &models[0], &models[models.len() - 1], given);
        }
    }

    /// Returns the kind of a model that is known and can be a step of a loop; `given` is what it will be given.
    fn step(&mut self, key: &str, model: &ModelName, given: Option<OutputType>) -> Option<ModelKind> {
        let fits = |kind: ModelKind| is_step(kind) && given.is_none_or(|given| kind.input() == given);
        let kind = self.kind(key, model, fits)?;
        if is_step(kind) {
            return Some(kind);
        }
        let reason = format!("{model} is {}, which gives a vector that no next model takes", article(kind));
        let fitting = self.fitting(fits);
        self.problems.push(key, Defect::Misfit { reason, fitting });
        None
    }

    fn start(&mut self, key: &str, model: &ModelName, kind: ModelKind) {
        let takes = noun(kind.input());
        let reason = format!("starts with {model}, which takes {takes}; a run starts from a text prompt");
        let fitting = self.fitting(|kind| is_step(kind) && kind.input() == OutputType::Text);
        self.problems.push(key, Defect::Misfit { reason, fitting });
    }

    fn pair(&mut self, key: &str, before: &ModelName, model: &ModelName, given: OutputType) {
        let (takes, gives) = (noun(other(given)), noun(given));
        let reason = format!("{model} takes {takes}, but {before} before it gives {gives}");
        let fitting = self.fitting(|kind| is_step(kind) && kind.input() == given);
        self.problems.push(key, Defect::Misfit { reason, fitting });
    }

    fn cycle(&mut self, key: &str, first: &ModelName, last: &ModelName, given: OutputType) {
        let (gives, takes) = (noun(given), noun(other(given)));
        let reason = format!(
            "the last model, {last}, gives {gives}, but the first, {first}, takes {takes} and comes next in the \
             cycle; a further model is needed at the end"
        );
        let fitting = self.fitting(|kind| kind.input() == given && kind.output() == Some(other(given)));
        self.problems.push(key, Defect::Misfit { reason, fitting });
    }

    fn embedding_model(&mut self, key: &str, model: &ModelName) {
        let is_embedder = |kind| !is_step(kind);
        if let Some(kind) = self.kind(key, model, is_embedder)
            && is_step(kind)
        {
            let reason = format!("{model} is {}, expected an embedder", article(kind));
            let fitting = self.fitting(is_embedder);
            self.problems.push(key, Defect::Misfit { reason, fitting });
        }
    }

    /// Returns the kind of a model, or notes that there is no such model.
    fn kind(&mut self, key: &str, model: &ModelName, fits: impl Fn(ModelKind) -> bool) -> Option<ModelKind> {
        let (registry, config) = (self.registry, self.config);
        let described =
            self.infos.entry(model.clone()).or_insert_with(|| registry.info(model, &config.parameters_of(model)));
        match described {
            Ok(info) => Some(info.kind),
            Err(RegistryError::UnknownModel { name, nearest }) => {
                let error = RegistryError::UnknownModel { name: name.clone(), nearest: nearest.clone() };
                let fitting = self.fitting(fits);
                self.problems.push(key, Defect::Registry { error, fitting });
                None
            }
            Err(RegistryError::NotHere { name, kind, reason, remedy }) => {
                let kind = *kind;
                // Told of once, where it stands first; what the model is can be said of it all the same.
                if self.absent.insert(name.clone()) {
                    let (name, reason, remedy) = (name.clone(), reason.clone(), remedy.clone());
                    let error = RegistryError::NotHere { name, kind, reason, remedy };
                    self.problems.push(key, Defect::Registry { error, fitting: Vec::new() });
                }
                Some(kind)
            }
            // The parameters are told of once, at their own key; what kind the model is does not hang on them.
            Err(_) => registry.kind(model),
        }
    }

    fn parameters(&mut self) {
        let mut used = self.config.network_models();
        let embedders = self.config.embedding_models.iter().filter(|model| !used.contains(model)).cloned();
        used.extend(embedders.collect::<Vec<_>>());
        for model in self.config.parameters.keys().filter(|model| !used.contains(model)) {
            let defect = Defect::UnusedModel { used: used.clone() };
            self.problems.push(member("parameters", model.as_str()), defect);
        }
        for (model, described) in &mut self.infos {
            if let Err(error) = described
                && !matches!(error, RegistryError::UnknownModel { .. } | RegistryError::NotHere { .. })
            {
                let taken = RegistryError::UnknownModel { name: model.clone(), nearest: None };
                let error = std::mem::replace(error, taken);
                let key = member("parameters", model.as_str());
                self.problems.push(key, Defect::Registry { error, fitting: Vec::new() });
            }
        }
    }

    /// Returns the models of a kind that fits, in the order of the registry.
    fn fitting(&self, fits: impl Fn(ModelKind) -> bool) -> Vec<ModelName> {
        let names = self.registry.names().into_iter();
        names.filter(|name| self.registry.kind(name).is_some_and(&fits)).collect()
    }
}

fn is_step(kind: ModelKind) -> bool {
    kind.output().is_some()
}

fn other(output: OutputType) -> OutputType {
    match output {
        OutputType::Text => OutputType::Image,
        OutputType::Image => OutputType::Text,
    }
}

fn noun(output: OutputType) -> &'static str {
    match output {
        OutputType::Text => "text",
        OutputType::Image => "an image",
    }
}

fn article(kind: ModelKind) -> String {
    let article = if kind == ModelKind::ImageToText || kind == ModelKind::ImageEmbedder { "an" } else { "a" };
    format!("{article} {kind}{}", if is_step(kind) { " model" } else { "" })
}
