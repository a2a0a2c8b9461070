//! The step before the first: every run's prompt, embedded as its outputs are.
//!
//! The vectors are computed for the export and stored nowhere. A prompt is embedded once for each model and choice of parameters.
//! The row of a prompt has the number −1; as an invocation it has the id of its run, and its embedding has an id that is a
//! function of run and model, so that two exports agree.

use std::collections::BTreeMap;

use loopscope_core::backend::{LoadedModel, ModelInfo, Registry};
use loopscope_core::embedding_space::space_mismatch;
use loopscope_core::experiment::{EmbeddingId, Experiment, Hash, ModelKind, ModelName, RunId, Vector};
use loopscope_core::store::Store;
use serde_json::Value;

use crate::{ExportError, Part, Progress, Selection};

/// The vectors of prompts: by model, its parameters, and the prompt.
#[derive(Debug, Default)]
pub(super) struct PromptVectors {
    vectors: BTreeMap<(ModelName, String), BTreeMap<String, Vector>>,
}

impl PromptVectors {
    /// Embeds the prompts of all experiments by those of these models that take text.
    pub(super) fn compute(
        store: &Store,
        selection: &Selection,
        models: &[ModelName],
        registry: &dyn Registry,
        progress: &mut dyn Progress,
    ) -> Result<Self, ExportError> {
        let mut all = Self::default();
        for experiment in &selection.experiments {
            for model in models.iter().filter(|model| experiment.config.embedding_models.contains(model)) {
                let info = info_of(experiment, model, registry)?;
                if info.kind == ModelKind::TextEmbedder {
                    if let Some(why) = space_mismatch(store, experiment.id, model, &info)? {
                        return Err(not_embedded(experiment, model, &why));
                    }
                    all.embed(experiment, model, &info, registry, progress)?;
                } else {
                    progress.note(&format!("{model} embeds pictures: it has no rows of prompts"));
                }
            }
        }
        Ok(all)
    }

    /// Returns the vector of a prompt, where its model takes text and gave one.
    pub(super) fn vector(&self, experiment: &Experiment, model: &ModelName, prompt: &str) -> Option<&Vector> {
        self.vectors.get(&(model.clone(), parameters_of(experiment, model)))?.get(prompt)
    }

    fn embed(
        &mut self,
        experiment: &Experiment,
        model: &ModelName,
        info: &ModelInfo,
        registry: &dyn Registry,
        progress: &mut dyn Progress,
    ) -> Result<(), ExportError> {
        let known = self.vectors.entry((model.clone(), parameters_of(experiment, model))).or_default();
        let mut prompts: Vec<&str> = experiment.config.prompts.iter().map(String::as_str).collect();
        prompts.retain(|prompt| !known.contains_key(*prompt));
        if prompts.is_empty() {
            return Ok(());
        }
        prompts.sort_unstable();
        prompts.dedup();
        progress.begin(Part { name: "prompts", total: prompts.len() as u64, unit: "prompts" });
        let failed = |defect: String| ExportError::Unfit { object: format!("the model {model}"), defect };
        let mut loaded = match registry.load(info).map_err(|error| failed(format!("does not load: {error}")))? {
            LoadedModel::TextEmbedder(embedder) => embedder,
            other => return Err(failed(format!("is a {}, expected a text embedder", other.kind().as_str()))),
        };
        let mut done = 0;
        for batch in prompts.chunks(info.batch_max.max(1)) {
            progress.check()?;
            for (prompt, outcome) in batch.iter().zip(loaded.embed(batch)) {
                let vector = outcome.map_err(|error| error.to_string());
                match vector.and_then(|numbers| Vector::new(numbers).map_err(|error| error.to_string())) {
                    Ok(vector) => drop(known.insert((*prompt).to_owned(), vector)),
                    Err(error) => {
                        progress.note(&format!("no row for the prompt {prompt:?}: {model} did not embed it: {error}"));
                    }
                }
            }
            done += batch.len() as u64;
            progress.advance(done);
        }
        Ok(())
    }
}

fn info_of(experiment: &Experiment, model: &ModelName, registry: &dyn Registry) -> Result<ModelInfo, ExportError> {
    let info = registry.info(model, &experiment.config.parameters_of(model));
    info.map_err(|error| not_embedded(experiment, model, &error))
}

fn not_embedded(experiment: &Experiment, model: &ModelName, why: &dyn std::fmt::Display) -> ExportError {
    ExportError::Unfit {
        object: format!("the prompts of experiment \"{}\"", experiment.name),
        defect: format!("cannot be embedded by {model}: {why}"),
    }
}

fn parameters_of(experiment: &Experiment, model: &ModelName) -> String {
    // Keys are sorted.
    Value::Object(experiment.config.parameters_of(model)).to_string()
}

/// Returns the id of the embedding of a run's prompt: a UUID of version 8 that run and model decide.
pub(super) fn prompt_embedding_id(run: RunId, model: &ModelName) -> EmbeddingId {
    let mut named = b"loopscope prompt embedding".to_vec();
    named.extend_from_slice(run.as_bytes());
    named.extend_from_slice(model.as_str().as_bytes());
    let hash = Hash::of(&named);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.as_bytes()[..16]);
    bytes[6] = bytes[6] & 0x0F | 0x80;
    bytes[8] = bytes[8] & 0x3F | 0x80;
    EmbeddingId::from_bytes(bytes)
}
