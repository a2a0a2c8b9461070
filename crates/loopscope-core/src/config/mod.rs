//! placeholder
use crate::backend::{ModelInfo, Registry};
use crate::experiment::{ExperimentConfig, ModelName};
use std::collections::BTreeMap;
/// A config.
#[derive(Clone, Debug, PartialEq)]
pub struct GivenConfig {
    /// config
    pub config: ExperimentConfig,
    /// text
    pub as_given: String,
}
/// err
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {}
/// check
pub fn check_config(c: &ExperimentConfig, r: &dyn Registry) -> Result<BTreeMap<ModelName, ModelInfo>, ConfigError> {
    Ok(c.network_models()
        .iter()
        .chain(&*c.embedding_models)
        .filter_map(|n| Some((n.clone(), r.info(n, &c.parameters_of(n)).ok()?)))
        .collect())
}
