//! What an experiment asks for: networks × prompts × seeds, so many invocations each, embedded by these models.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::ops::Deref;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{ModelName, Network, RunKey, Seed};

/// A list that holds at least one item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct NonEmpty<T>(Vec<T>);

impl<T> NonEmpty<T> {
    /// Returns the list, or `None` when it is empty.
    #[must_use]
    pub fn new(items: Vec<T>) -> Option<Self> {
        if items.is_empty() { None } else { Some(Self(items)) }
    }

    /// Adds an item at the end.
    pub fn push(&mut self, item: T) {
        self.0.push(item);
    }
}

impl<T> Deref for NonEmpty<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a NonEmpty<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

/// What the config says of diagrams beyond the bars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiagramConfig {
    /// Of how many bars of each dimension, the longest, it is stored which steps make them; none by default.
    pub generator_count_max: usize,
    /// Memory that one diagram may take, in bytes; the engine's own limit when absent.
    pub memory_bytes_max: Option<u64>,
}

/// What an experiment asks for. Complete by construction; that its models exist and fit is checked in `config`.
#[derive(Clone, Debug, PartialEq)]
pub struct ExperimentConfig {
    /// A name for the experiment; derived when absent.
    pub name: Option<String>,
    /// The cycles of models.
    pub networks: NonEmpty<Network>,
    /// The initial prompts; the empty string is one.
    pub prompts: NonEmpty<String>,
    /// The seeds; −1 asks for fresh randomness, and a seed given twice asks for two runs.
    pub seeds: NonEmpty<Seed>,
    /// The models that embed outputs of their own kind; each once.
    pub embedding_models: NonEmpty<ModelName>,
    /// How many invocations a run has at most.
    pub max_length: NonZeroU64,
    /// What the config sets for single models, by model name: a JSON object each.
    pub parameters: BTreeMap<ModelName, Map<String, Value>>,
    /// What is computed and stored of diagrams.
    pub diagrams: DiagramConfig,
}

impl ExperimentConfig {
    /// Returns the key of every run: networks × prompts × seeds, in that nesting.
    ///
    /// `run_number` counts from 0 among runs equal in network, prompt and seed, so that no two keys are equal.
    #[must_use]
    pub fn run_keys(&self) -> Vec<RunKey> {
        let mut counts: BTreeMap<(&Network, &str, Seed), u64> = BTreeMap::new();
        let mut keys = Vec::with_capacity(self.networks.len() * self.prompts.len() * self.seeds.len());
        for network in &self.networks {
            for prompt in &self.prompts {
                for &seed in &self.seeds {
                    let count = counts.entry((network, prompt, seed)).or_insert(0);
                    keys.push(RunKey {
                        network: network.clone(),
                        initial_prompt: prompt.clone(),
                        seed,
                        run_number: *count,
                    });
                    *count += 1;
                }
            }
        }
        keys
    }

    /// Returns what the config sets for a model: an empty object when it says nothing.
    #[must_use]
    pub fn parameters_of(&self, model: &ModelName) -> Map<String, Value> {
        self.parameters.get(model).cloned().unwrap_or_default()
    }

    /// Returns every model that the networks use, each once, in order of first use.
    #[must_use]
    pub fn network_models(&self) -> Vec<ModelName> {
        let mut models: Vec<ModelName> = Vec::new();
        for model in self.networks.iter().flat_map(Network::models) {
            if !models.contains(model) {
                models.push(model.clone());
            }
        }
        models
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_given_twice_is_two_run_numbers() {
        let network = |name: &str| Network::new(vec![ModelName::new(name)]).unwrap();
        let seeds = [5, -1, 5, -1, -1].map(|value| Seed::new(value).unwrap()).to_vec();
        let config = ExperimentConfig {
            name: None,
            networks: NonEmpty::new(vec![network("A"), network("B")]).unwrap(),
            prompts: NonEmpty::new(vec!["p".into(), String::new()]).unwrap(),
            seeds: NonEmpty::new(seeds).unwrap(),
            embedding_models: NonEmpty::new(vec![ModelName::new("E")]).unwrap(),
            max_length: NonZeroU64::MIN,
            parameters: BTreeMap::new(),
            diagrams: DiagramConfig::default(),
        };
        let keys = config.run_keys();
        assert_eq!(keys.len(), 2 * 2 * 5);
        let numbers: Vec<_> = keys[..5].iter().map(|key| (key.seed.value(), key.run_number)).collect();
        assert_eq!(numbers, [(5, 0), (-1, 0), (5, 1), (-1, 1), (-1, 2)]);
        assert!(keys.iter().enumerate().all(|(index, key)| !keys[..index].contains(key)));
    }
}
