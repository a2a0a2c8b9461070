//! Asking more of an experiment than before: longer runs, more prompts, seeds or embedding models.
//!
//! This widens what an experiment *asks for*; no object of the record is touched but diagrams of runs that go on,
//! which would describe a trajectory that is no longer the whole one: they are deleted, counted, and computed anew.
//! `docs/design/extend.md` says why this is an exception to "nothing is updated".

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU64;

use rusqlite::params;

use super::write::{insert_run, json_column};
use super::{RunProgress, Store, StoreError};
use crate::experiment::{
    Clock, Entropy, Experiment, ExperimentConfig, ExperimentId, ModelName, OutputType, Run, RunId, RunKey, Seed,
};

/// What to add.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extension {
    /// More prompts.
    pub prompts: Vec<String>,
    /// More seeds.
    pub seeds: Vec<Seed>,
    /// More embedding models; those that are there already are refused.
    pub embedding_models: Vec<ModelName>,
    /// A new length, at least the present one.
    pub max_length: Option<NonZeroU64>,
}

/// What an extension changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extended {
    /// Runs that are new.
    pub runs_added: u64,
    /// Runs that may now grow longer.
    pub runs_lengthened: u64,
    /// Diagrams that were deleted because their run goes on.
    pub diagrams_dropped: u64,
}

impl Store {
    /// Widens what an experiment asks for, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] when nothing changes, an embedding model is there already, or the length shrinks;
    /// [`StoreError`] when the store fails. Then everything is as it was.
    pub fn extend(
        &mut self,
        id: ExperimentId,
        extension: &Extension,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Extended, StoreError> {
        // All in one transaction, reading too: an extension of another process between the two would be undone.
        self.transact("extending an experiment in", |transaction| {
            let experiment = self.experiment(id)?;
            let config = widened(&experiment, extension).map_err(|message| StoreError::Refused { message })?;
            let longer = self.runs_that_go_on(id, config.max_length)?;
            let new_runs = self.new_runs(id, &config, clock, entropy)?;
            transaction.execute(
                "UPDATE experiment SET prompts = ?2, seeds = ?3, embedding_models = ?4, max_length = ?5, completed_at = NULL \
                 WHERE id = ?1",
                params![
                    id.as_bytes(),
                    json_column(&experiment.name, &config.prompts)?,
                    json_column(&experiment.name, &config.seeds)?,
                    json_column(&experiment.name, &config.embedding_models)?,
                    config.max_length.get(),
                ],
            )?;
            transaction.execute(
                "UPDATE run SET max_length = ?2 WHERE experiment_id = ?1 AND max_length < ?2",
                params![id.as_bytes(), config.max_length.get()],
            )?;
            let mut diagrams_dropped = 0;
            for run in &longer {
                let sql = "DELETE FROM persistence_diagram WHERE run_id = ?1";
                diagrams_dropped += transaction.execute(sql, [run.as_bytes()])? as u64;
            }
            new_runs.iter().try_for_each(|run| insert_run(transaction, run))?;
            let (runs_added, runs_lengthened) = (new_runs.len() as u64, longer.len() as u64);
            Ok(Extended { runs_added, runs_lengthened, diagrams_dropped })
        })
    }

    /// Stores the runs that an experiment asks for and that are not there, in one transaction; returns how many.
    ///
    /// Only a repair needs this: an experiment is stored with all its runs.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then no run was added.
    pub fn add_missing_runs(
        &mut self,
        id: ExperimentId,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<u64, StoreError> {
        self.transact("adding runs to", |transaction| {
            let runs = self.new_runs(id, &self.experiment(id)?.config, clock, entropy)?;
            runs.iter().try_for_each(|run| insert_run(transaction, run))?;
            Ok(runs.len() as u64)
        })
    }

    /// Returns the runs that can grow to `max_length`: shorter so far, and not in a cycle.
    fn runs_that_go_on(&self, id: ExperimentId, max_length: NonZeroU64) -> Result<Vec<RunId>, StoreError> {
        let progress = self.progress(id, &BTreeMap::<ModelName, OutputType>::new())?.into_iter();
        let goes_on = |progress: &RunProgress| progress.run.max_length < max_length && progress.cycle.is_none();
        Ok(progress.filter(goes_on).map(|progress| progress.run.id).collect())
    }

    /// Returns the runs that a widened config asks for and the store does not have.
    fn new_runs(
        &self,
        id: ExperimentId,
        config: &ExperimentConfig,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Vec<Run>, StoreError> {
        let present: BTreeSet<RunKey> = self.runs(id)?.into_iter().map(|run| run.key).collect();
        let missing = config.run_keys().into_iter().filter(|key| !present.contains(key));
        let path = self.path.clone();
        missing
            .map(|key| {
                let run_id = RunId::new(clock.now(), entropy).map_err(|source| StoreError::Io {
                    doing: "drawing an id for",
                    path: path.clone(),
                    source,
                })?;
                Ok(Run { id: run_id, experiment_id: id, key, max_length: config.max_length })
            })
            .collect()
    }
}

/// Returns what the experiment asks for with the extension, or why not.
fn widened(experiment: &Experiment, extension: &Extension) -> Result<ExperimentConfig, String> {
    let mut config = experiment.config.clone();
    for model in &extension.embedding_models {
        if config.embedding_models.contains(model) {
            return Err(format!("experiment \"{}\" has embedding model {model} already", experiment.name));
        }
        config.embedding_models.push(model.clone());
    }
    extension.prompts.iter().for_each(|prompt| config.prompts.push(prompt.clone()));
    extension.seeds.iter().for_each(|&seed| config.seeds.push(seed));
    if let Some(length) = extension.max_length {
        if length < config.max_length {
            return Err(format!("--max-length {length} is below the present {}; runs only grow", config.max_length));
        }
        config.max_length = length;
    }
    if config == experiment.config {
        let hint = "give --prompt, --seed, --embedding-model or a greater --max-length";
        return Err(format!("nothing to extend by; {hint}"));
    }
    Ok(config)
}
