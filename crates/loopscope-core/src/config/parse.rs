//! From a document to an [`ExperimentConfig`]: the keys, their types and ranges. Models are checked elsewhere.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use serde_json::{Map, Value};

use super::ConfigError;
use super::document::read_document;
use super::error::{Defect, Problems, member, short_json};
use crate::backend::nearest_name;
use crate::codec::canonical_json;
use crate::experiment::{DiagramConfig, ExperimentConfig, ModelName, Network, NonEmpty, Seed, size_of_value};

/// How a config is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syntax {
    /// RFC 8259.
    Json,
    /// TOML 1.1.
    Toml,
}

/// A config with the document that it was read from.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenConfig {
    /// What it asks for.
    pub config: ExperimentConfig,
    /// The document as given, as canonical JSON.
    pub as_given: String,
}

/// Every key that a config may have, and what is expected there; messages and lists show them in this order.
pub(super) const KEYS: [(&str, &str); 12] = [
    ("name", "a string that is not empty, and not \"latest\", which means the newest experiment"),
    ("networks", "a list of networks, each a list of model names"),
    ("network", "a list of model names"),
    ("prompts", "a list of strings"),
    ("embedding_models", "a list of model names"),
    ("max_length", "an integer from 1 to 9007199254740992"),
    ("seeds", "a list of integers, each at least -1"),
    ("seed_count", "an integer from 1 to 1000000"),
    ("num_runs", "an integer from 1 to 1000000"),
    ("parameters", "an object that maps model names to objects"),
    ("generators", "an integer from 1 to 256"),
    ("diagram_memory_limit", "a size of at least one byte, such as \"4GiB\", or a number of bytes"),
];

/// Exactly one of these says which networks there are.
const NETWORK_KEYS: &[&str] = &["networks", "network"];
/// Exactly one of these says which seeds there are.
const SEED_KEYS: &[&str] = &["seeds", "seed_count", "num_runs"];
/// 2^53: every integer up to here is the same number in every JSON reader.
const MAX_LENGTH_MAX: u64 = 1 << 53;
/// More runs than anyone can wait for; a larger number is a slip that would fill the memory.
const SEED_COUNT_MAX: u64 = 1_000_000;
/// The same of networks × prompts × seeds.
const RUNS_MAX: u64 = 1_000_000;
/// Each takes a cycle's worth of bytes in every diagram.
const GENERATORS_MAX: u64 = 256;

/// Reads a config from its text.
///
/// # Errors
///
/// [`ConfigError::Syntax`] for a text that is not of its syntax, else [`ConfigError::Invalid`] with every problem.
pub fn parse_config(text: &str, syntax: Syntax) -> Result<GivenConfig, ConfigError> {
    let value = read_document(text, syntax)?;
    let mut problems = Problems::default();
    let config = match &value {
        Value::Object(document) => Parser { document, problems: &mut problems }.config(),
        other => {
            problems.unexpected("document", "an object with the keys of a config", other);
            None
        }
    };
    let as_given = canonical_json(&value);
    match (config, as_given) {
        (Some(config), Ok(as_given)) if problems.is_empty() => Ok(GivenConfig { config, as_given }),
        _ => Err(problems.into_error()),
    }
}

struct Parser<'a> {
    document: &'a Map<String, Value>,
    problems: &'a mut Problems,
}

impl<'a> Parser<'a> {
    /// Returns the config, or `None` after noting why there is none.
    fn config(mut self) -> Option<ExperimentConfig> {
        let misspelt = self.unknown_keys();
        let name = self.name();
        let networks = self.networks(&misspelt);
        let prompts = self.list("prompts", &misspelt, Self::string);
        let embedding_models = self.list("embedding_models", &misspelt, Self::model);
        self.repeated_embedding_models(embedding_models.as_ref());
        let max_length = self.required("max_length", &misspelt);
        let max_length = max_length.and_then(|value| self.integer("max_length", value, MAX_LENGTH_MAX));
        let seeds = self.seeds(&misspelt);
        let parameters = self.parameters();
        let diagrams = self.diagrams();
        let (networks, prompts, seeds) = (networks?, prompts?, seeds?);
        self.bounded(networks.len(), prompts.len(), seeds.len(), max_length);
        Some(ExperimentConfig {
            name,
            networks,
            prompts,
            seeds,
            embedding_models: embedding_models?,
            max_length: max_length?,
            parameters,
            diagrams,
        })
    }

    /// Notes a product of networks, prompts and seeds that would fill the memory with runs.
    fn bounded(&mut self, networks: usize, prompts: usize, seeds: usize, max_length: Option<NonZeroU64>) {
        let runs = (networks as u64).saturating_mul(prompts as u64).saturating_mul(seeds as u64);
        let invocations = runs.saturating_mul(max_length.map_or(1, NonZeroU64::get));
        if invocations > MAX_LENGTH_MAX && runs <= RUNS_MAX {
            let expected = format!("at most {MAX_LENGTH_MAX} invocations (runs × max_length)");
            self.problems.unexpected("max_length", &expected, &Value::from(invocations));
        }
        if runs > RUNS_MAX {
            let expected = format!("at most {RUNS_MAX} runs (networks × prompts × seeds)");
            self.problems.unexpected("seeds", &expected, &Value::from(runs));
        }
    }

    /// Notes the keys that no config has, and returns those that they were probably meant to be.
    fn unknown_keys(&mut self) -> Vec<&'static str> {
        let mut misspelt = Vec::new();
        for key in self.document.keys().filter(|key| KEYS.iter().all(|(known, _)| known != key)) {
            let nearest = nearest_name(key, KEYS.map(|(known, _)| known));
            misspelt.extend(nearest);
            self.problems.push(member("", key), Defect::UnknownKey { nearest });
        }
        misspelt
    }

    /// Returns the value of a key; notes its absence, unless a misspelt key already told of it.
    fn required(&mut self, key: &'static str, misspelt: &[&str]) -> Option<&'a Value> {
        let value = self.document.get(key);
        if value.is_none() && !misspelt.contains(&key) {
            self.problems.push(key, Defect::Missing { expected: expected(key).to_owned() });
        }
        value
    }

    /// Returns the one key of `keys` that is there, with its value.
    fn one_of(&mut self, keys: &'static [&'static str], misspelt: &[&str]) -> Option<(&'static str, &'a Value)> {
        let given: Vec<_> = keys.iter().filter_map(|&key| Some((key, self.document.get(key)?))).collect();
        if let [one] = given[..] {
            return Some(one);
        }
        let given: Vec<_> = given.into_iter().map(|(key, _)| key).collect();
        if !given.is_empty() || keys.iter().all(|key| !misspelt.contains(key)) {
            let key = given.last().copied().unwrap_or(keys[0]);
            self.problems.push(key, Defect::NotOne { keys, given });
        }
        None
    }

    fn name(&mut self) -> Option<String> {
        let value = self.document.get("name")?;
        match value.as_str() {
            Some(name) if !name.is_empty() && name != "latest" => Some(name.to_owned()),
            _ => {
                self.problems.unexpected("name", expected("name"), value);
                None
            }
        }
    }

    fn networks(&mut self, misspelt: &[&str]) -> Option<NonEmpty<Network>> {
        match self.one_of(NETWORK_KEYS, misspelt)? {
            ("network", value) => self.network("network", value).and_then(|network| NonEmpty::new(vec![network])),
            (key, value) => self.items(key, expected(key), value, Self::network).and_then(NonEmpty::new),
        }
    }

    fn network(&mut self, key: &str, value: &Value) -> Option<Network> {
        Network::new(self.items(key, expected("network"), value, Self::model)?).ok()
    }

    fn list<T>(
        &mut self,
        key: &'static str,
        misspelt: &[&str],
        item: fn(&mut Self, &str, &Value) -> Option<T>,
    ) -> Option<NonEmpty<T>> {
        let value = self.required(key, misspelt)?;
        self.items(key, expected(key), value, item).and_then(NonEmpty::new)
    }

    /// Returns the items of a list that is not empty, when all of them are good.
    fn items<T>(
        &mut self,
        key: &str,
        expected: &str,
        value: &Value,
        item: fn(&mut Self, &str, &Value) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(values) = value.as_array() else {
            self.problems.unexpected(key, expected, value);
            return None;
        };
        if values.is_empty() {
            self.problems.unexpected(key, format!("{expected}, at least one"), value);
            return None;
        }
        let items: Vec<_> =
            values.iter().enumerate().map(|(i, value)| item(self, &format!("{key}[{i}]"), value)).collect();
        items.into_iter().collect()
    }

    fn string(&mut self, key: &str, value: &Value) -> Option<String> {
        let text = value.as_str().map(str::to_owned);
        if text.is_none() {
            self.problems.unexpected(key, "a string", value);
        }
        text
    }

    fn model(&mut self, key: &str, value: &Value) -> Option<ModelName> {
        let name = value.as_str().filter(|name| !name.is_empty());
        if name.is_none() {
            self.problems.unexpected(key, "a model name (a string that is not empty)", value);
        }
        name.map(ModelName::new)
    }

    fn repeated_embedding_models(&mut self, models: Option<&NonEmpty<ModelName>>) {
        let mut first: BTreeMap<&ModelName, usize> = BTreeMap::new();
        for (index, model) in models.into_iter().flatten().enumerate() {
            let earlier = *first.entry(model).or_insert(index);
            if earlier < index {
                let got = short_json(&Value::from(model.as_str()));
                let first = format!("embedding_models[{earlier}]");
                self.problems.push(format!("embedding_models[{index}]"), Defect::Repeated { got, first });
            }
        }
    }

    fn seeds(&mut self, misspelt: &[&str]) -> Option<NonEmpty<Seed>> {
        let (key, value) = self.one_of(SEED_KEYS, misspelt)?;
        if key == "seeds" {
            return self.items(key, expected(key), value, Self::seed).and_then(NonEmpty::new);
        }
        let count = usize::try_from(self.integer(key, value, SEED_COUNT_MAX)?.get()).ok()?;
        NonEmpty::new(vec![Seed::FRESH; count])
    }

    fn seed(&mut self, key: &str, value: &Value) -> Option<Seed> {
        let seed = value.as_i64().and_then(|number| Seed::new(number).ok());
        if seed.is_none() {
            self.problems.unexpected(key, "an integer from -1 to 9223372036854775807", value);
        }
        seed
    }

    /// Returns an integer of 1 to `max`. A number with a fraction part, even `10.0`, is none, nor is a truth value.
    fn integer(&mut self, key: &'static str, value: &Value, max: u64) -> Option<NonZeroU64> {
        let number = value.as_u64().filter(|&number| number <= max).and_then(NonZeroU64::new);
        if number.is_none() {
            self.problems.unexpected(key, expected(key), value);
        }
        number
    }

    fn diagrams(&mut self) -> DiagramConfig {
        let document = self.document;
        let generators = document.get("generators").and_then(|value| self.integer("generators", value, GENERATORS_MAX));
        let memory_bytes_max = document.get("diagram_memory_limit").and_then(|value| {
            let size = size_of_value(value);
            if size.is_none() {
                self.problems.unexpected("diagram_memory_limit", expected("diagram_memory_limit"), value);
            }
            size
        });
        DiagramConfig { generator_count_max: generators.map_or(0, |count| count.get() as usize), memory_bytes_max }
    }

    fn parameters(&mut self) -> BTreeMap<ModelName, Map<String, Value>> {
        let mut parameters = BTreeMap::new();
        match self.document.get("parameters") {
            None => {}
            Some(Value::Object(models)) => {
                for (name, value) in models {
                    let key = member("parameters", name);
                    match value {
                        _ if name.is_empty() => self.problems.unexpected(key, "a model name", &Value::from("")),
                        Value::Object(map) => {
                            parameters.insert(ModelName::new(name), map.clone());
                        }
                        other => self.problems.unexpected(key, "an object of parameters", other),
                    }
                }
            }
            Some(other) => self.problems.unexpected("parameters", expected("parameters"), other),
        }
        parameters
    }
}

/// Returns what is expected at a key.
fn expected(key: &str) -> &'static str {
    KEYS.iter().find(|(known, _)| *known == key).map_or("nothing", |(_, expected)| expected)
}
