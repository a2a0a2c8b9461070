//! `model list|show|pull|test|bench`.

mod bench;
mod inputs;
mod list;
mod pull;
mod search;
mod trial;

use loopscope_core::backend::{ModelInfo, Registry, RegistryError};
use loopscope_core::experiment::ModelName;
use loopscope_models::ModelRegistry;

use crate::args::{Global, ModelCommand};
use crate::failure::{Exit, UsageError};
use crate::report::Talk;

pub(super) fn execute(command: &ModelCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let registry = global.registry()?;
    match command {
        ModelCommand::List { kind, installed, fits } => {
            list::list(&registry, &list::Filter { kind: *kind, installed: *installed, fits: *fits }, global)
        }
        ModelCommand::Show { name } => list::show(&registry, &ModelName::new(name), global),
        ModelCommand::Pull { name } => pull::pull(&registry, &ModelName::new(name), global, talk),
        ModelCommand::Test { name } => trial::test(&registry, name, global),
        ModelCommand::Bench { name, seconds } => bench::bench(&registry, &ModelName::new(name), *seconds, global, talk),
    }
}

/// Describes a model that is here; otherwise says what to do to have it.
fn info_of(registry: &ModelRegistry, name: &ModelName) -> Result<ModelInfo, UsageError> {
    registry.info(name, &serde_json::Map::new()).map_err(|error| {
        let hint = match &error {
            RegistryError::NotHere { remedy, .. } => remedy.clone(),
            _ => "`loopscope model list` shows all names".to_owned(),
        };
        UsageError { message: error.to_string(), hint: Some(hint) }
    })
}

fn info_json(info: &ModelInfo) -> serde_json::Value {
    serde_json::json!({
        "name": info.name, "kind": info.kind, "backend": info.backend, "revision": info.revision,
        "weights_hash": info.weights_hash, "parameters": info.parameters, "determinism": info.determinism,
        "dimension": info.dimension, "batch_max": info.batch_max, "memory_bytes": info.memory_bytes, "about": info.about,
    })
}
