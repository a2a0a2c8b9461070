//! What a picture says of itself.

use loopscope_core::experiment::{Experiment, ModelName, Run};
use loopscope_core::store::StoredInvocation;
use serde::{Deserialize, Serialize};

/// Where a picture comes from. Ids are hyphenated text, as the program prints them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureMetadata {
    /// The experiment.
    pub experiment_id: String,
    /// Its name when the picture was exported.
    pub experiment_name: String,
    /// The run.
    pub run_id: String,
    /// The step.
    pub invocation_id: String,
    /// What exactly painted it: a row of `model_version`.
    pub model_version_id: String,
    /// The models of the run's network, in order.
    pub network: Vec<String>,
    /// The run's first input.
    pub initial_prompt: String,
    /// The model that painted it.
    pub model: String,
    /// The step's number in its run, from 0.
    pub sequence_number: u64,
    /// The seed of the call; −1 where it was not recorded.
    pub seed: i64,
    /// The seed of the run; −1 is fresh randomness at every step.
    pub run_seed: i64,
    /// From 0 among runs equal in network, prompt and seed.
    pub run_number: u64,
    /// When the call began, ISO 8601 in UTC.
    pub started_at: String,
    /// The program that wrote the file.
    pub program: String,
}

impl PictureMetadata {
    pub(super) fn of(experiment: &Experiment, run: &Run, row: &StoredInvocation) -> Self {
        let models = run.key.network.models();
        Self {
            experiment_id: experiment.id.to_string(),
            experiment_name: experiment.name.clone(),
            run_id: run.id.to_string(),
            invocation_id: row.id.to_string(),
            model_version_id: row.model_version_id.to_string(),
            network: models.iter().map(|model| ModelName::as_str(model).to_owned()).collect(),
            initial_prompt: run.key.initial_prompt.clone(),
            model: row.model.to_string(),
            sequence_number: row.sequence_number.0,
            seed: row.seed,
            run_seed: run.key.seed.value(),
            run_number: run.key.run_number,
            started_at: row.started_at.to_string(),
            program: format!("loopscope {}", env!("CARGO_PKG_VERSION")),
        }
    }
}
