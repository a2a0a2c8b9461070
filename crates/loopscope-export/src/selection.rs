//! Which experiments an export is of.

use std::collections::BTreeSet;

use loopscope_core::backend::nearest_name;
use loopscope_core::experiment::{Experiment, ModelName};
use loopscope_core::store::{ExperimentCounts, Store, StoreError};
use serde::Serialize;

use crate::{ExportError, Progress};

/// The experiments of an export, each once, in the order in which they were asked for.
#[derive(Clone, Debug)]
pub struct Selection {
    /// At least one.
    pub experiments: Vec<Experiment>,
}

/// An experiment that is not complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unfinished {
    /// Its name.
    pub name: String,
    /// What is there of it.
    pub there: ExperimentCounts,
}

impl Selection {
    /// Finds the experiments that people typed: names, ids, beginnings or ends of ids, `latest`.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] and [`StoreError::Ambiguous`]; [`ExportError::Nothing`] when nothing was typed.
    pub fn find(store: &Store, typed: &[String]) -> Result<Self, ExportError> {
        let mut experiments: Vec<Experiment> = Vec::new();
        for text in typed {
            let id = store.find_experiment(text)?;
            if !experiments.iter().any(|experiment| experiment.id == id) {
                experiments.push(store.experiment(id)?);
            }
        }
        if experiments.is_empty() {
            return Err(ExportError::Nothing { what: "no experiment was named".to_owned() });
        }
        Ok(Self { experiments })
    }

    /// Returns the embedding models of the experiments, by name.
    #[must_use]
    pub fn embedding_models(&self) -> Vec<ModelName> {
        let names = self.experiments.iter().flat_map(|experiment| experiment.config.embedding_models.iter());
        names.cloned().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Returns those embedding models that were asked for, or all of them when none was.
    ///
    /// # Errors
    ///
    /// [`ExportError::UnknownModel`] with the nearest name.
    pub fn chosen_models(&self, typed: &[String]) -> Result<Vec<ModelName>, ExportError> {
        let known = self.embedding_models();
        if typed.is_empty() {
            return Ok(known);
        }
        let mut chosen = Vec::new();
        for name in typed {
            let Some(model) = known.iter().find(|model| model.as_str() == name) else {
                let names = || known.iter().map(ModelName::as_str);
                return Err(ExportError::UnknownModel {
                    typed: name.clone(),
                    nearest: nearest_name(name, names()).map(str::to_owned),
                    known: names().map(str::to_owned).collect(),
                });
            };
            if !chosen.contains(model) {
                chosen.push(model.clone());
            }
        }
        Ok(chosen)
    }

    /// Returns the experiments that are not complete, and says so to whoever listens: they are exported as far as they are.
    ///
    /// # Errors
    ///
    /// [`StoreError`].
    pub fn tell_unfinished(&self, store: &Store, progress: &mut dyn Progress) -> Result<Vec<Unfinished>, StoreError> {
        let mut unfinished = Vec::new();
        for experiment in self.experiments.iter().filter(|experiment| experiment.completed_at.is_none()) {
            let counts = store.counts(experiment.id)?;
            progress.note(&format!(
                "experiment \"{}\" is not complete; exported is what is there: {} invocations, {} embeddings, {} diagrams",
                experiment.name, counts.invocations, counts.embeddings, counts.persistence_diagrams
            ));
            unfinished.push(Unfinished { name: experiment.name.clone(), there: counts });
        }
        Ok(unfinished)
    }
}
