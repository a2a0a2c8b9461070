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
pub fn check_config(_c: &ExperimentConfig, _r: &dyn Registry) -> Result<BTreeMap<ModelName, ModelInfo>, ConfigError> {
    Ok(BTreeMap::new())
}
