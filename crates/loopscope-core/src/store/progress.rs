//! What is there of each run, from which what is missing is derived.

use std::collections::{BTreeMap, BTreeSet};

use loopscope_analysis::symbolic::RecurrenceDetector;
use rusqlite::params;

use super::read::output_type_of;
use super::{Store, StoreError};
use crate::experiment::{
    Determinism, ExperimentId, Failure, FailureStage, Hash, InvocationId, ModelName, OutputType, Run, RunId,
    SequenceNumber, StopReason,
};

/// What makes two outputs of a run the same state: the hash of the text, or of the picture's pixels.
///
/// The position in the network is the other half of a state; the detector adds it.
pub type TrajectoryState = Hash;

/// What the store has of one run.
#[derive(Clone, Debug)]
pub struct RunProgress {
    /// The run.
    pub run: Run,
    /// How many invocations it has: numbers 0 to `steps - 1`, without a gap.
    pub steps: u64,
    /// The last one.
    pub last: Option<InvocationId>,
    /// The period, when the state came back and the models repeat themselves.
    pub cycle: Option<u64>,
    /// Whether every stored step is of a model version that repeats itself, so that a cycle could end the run.
    pub repeats: bool,
    /// The error of the next invocation, when it failed and is still not there.
    pub failed: Option<String>,
    /// Outputs of an embedding model's own kind that it has not embedded yet.
    pub missing_embeddings: BTreeMap<ModelName, Vec<(SequenceNumber, InvocationId)>>,
    /// How many outputs each embedding model can embed so far.
    pub embeddable: BTreeMap<ModelName, u64>,
    /// Embedding models that have a diagram of this run.
    pub diagrams: BTreeSet<ModelName>,
}

impl RunProgress {
    /// Returns a run of which nothing is there yet.
    #[must_use]
    pub const fn fresh(run: Run) -> Self {
        Self {
            run,
            steps: 0,
            last: None,
            cycle: None,
            repeats: true,
            failed: None,
            missing_embeddings: BTreeMap::new(),
            embeddable: BTreeMap::new(),
            diagrams: BTreeSet::new(),
        }
    }

    /// Returns why the run has no further invocation; at the last step `cycle` beats `length`.
    #[must_use]
    pub fn stop_reason(&self) -> StopReason {
        match self.cycle {
            Some(period) => StopReason::Cycle { period },
            None if self.steps >= self.run.max_length.get() => StopReason::Length,
            None if self.failed.is_some() => StopReason::Failed,
            None => StopReason::Unfinished,
        }
    }

    /// Returns whether the run has all the invocations that it will ever have.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.cycle.is_some() || self.steps >= self.run.max_length.get()
    }
}

/// One stored step, as far as progress needs it.
struct Step {
    id: InvocationId,
    number: u64,
    output_type: Option<OutputType>,
    state: TrajectoryState,
    repeats: bool,
}

impl Store {
    /// Returns what is there of every run of an experiment, in the order of the runs: one state of the store, whatever
    /// others commit meanwhile.
    ///
    /// `embedders` says what each embedding model takes; without it nothing is said about embeddings.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] when a run has a gap, which only another program can have made.
    pub fn progress(
        &self,
        experiment: ExperimentId,
        embedders: &BTreeMap<ModelName, OutputType>,
    ) -> Result<Vec<RunProgress>, StoreError> {
        let _state = self.hold_state()?;
        let runs = self.runs(experiment)?;
        runs.into_iter().map(|run| self.progress_of(run, embedders)).collect()
    }

    /// Returns the states of a run, in order: what the cycle detector is fed.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn states(&self, run: RunId) -> Result<Vec<TrajectoryState>, StoreError> {
        Ok(self.steps(run)?.into_iter().map(|step| step.state).collect())
    }

    /// Returns what is there of one run.
    ///
    /// # Errors
    ///
    /// As [`progress`](Self::progress).
    pub fn progress_of(
        &self,
        run: Run,
        embedders: &BTreeMap<ModelName, OutputType>,
    ) -> Result<RunProgress, StoreError> {
        let _state = self.hold_state()?;
        let steps = self.steps(run.id)?;
        for (step, expected) in steps.iter().zip(0..) {
            if step.number != expected {
                let defect = format!(
                    "invocation {expected} is missing, though {} is there; run `loopscope doctor`",
                    step.number
                );
                return Err(StoreError::Invalid { object: format!("run {}", run.id.short()), defect });
            }
        }
        let count = steps.len() as u64;
        let of_type = |kind: OutputType| steps.iter().filter(|step| step.output_type == Some(kind)).count() as u64;
        let embeddable: BTreeMap<ModelName, u64> =
            embedders.iter().map(|(model, &kind)| (model.clone(), of_type(kind))).collect();
        let mut missing_embeddings = BTreeMap::new();
        for (model, &kind) in embedders {
            let missing = self.missing_embeddings(run.id, model, kind)?;
            if !missing.is_empty() {
                missing_embeddings.insert(model.clone(), missing);
            }
        }
        Ok(RunProgress {
            steps: count,
            last: steps.last().map(|step| step.id),
            cycle: cycle_of(&run, &steps),
            repeats: steps.iter().all(|step| step.repeats),
            failed: self.failure_of_next(run.id, count)?,
            missing_embeddings,
            embeddable,
            diagrams: self.diagram_models(run.id)?,
            run,
        })
    }

    fn steps(&self, run: RunId) -> Result<Vec<Step>, StoreError> {
        let sql = "SELECT i.id, i.sequence_number, i.type, i.output_text, m.pixel_hash, v.determinism FROM invocation i \
                   LEFT JOIN image m ON m.hash = i.output_image LEFT JOIN model_version v ON v.id = i.model_version_id \
                   WHERE i.run_id = ?1 ORDER BY i.sequence_number";
        self.collect(sql, params![run.as_bytes()], |row| {
            let determinism: Option<String> = row.get(5)?;
            let state = match row.get_ref(3)?.as_str_or_null()? {
                Some(text) => Hash::of(text.as_bytes()),
                None => Hash::from_bytes(row.get::<_, Option<[u8; 32]>>(4)?.unwrap_or_default()),
            };
            Ok(Step {
                id: InvocationId::from_bytes(row.get(0)?),
                number: row.get(1)?,
                output_type: output_type_of(row.get_ref(2)?.as_str()?),
                state,
                repeats: determinism.and_then(|word| Determinism::from_word(&word)).is_some_and(Determinism::repeats),
            })
        })
    }

    fn missing_embeddings(
        &self,
        run: RunId,
        model: &ModelName,
        kind: OutputType,
    ) -> Result<Vec<(SequenceNumber, InvocationId)>, StoreError> {
        let sql = "SELECT i.sequence_number, i.id FROM invocation i WHERE i.run_id = ?1 AND i.type = ?2 AND NOT EXISTS \
                   (SELECT 1 FROM embedding e WHERE e.invocation_id = i.id AND e.embedding_model = ?3) ORDER BY i.sequence_number";
        self.collect(sql, params![run.as_bytes(), kind.as_str(), model.as_str()], |row| {
            Ok((SequenceNumber(row.get(0)?), InvocationId::from_bytes(row.get(1)?)))
        })
    }

    /// Returns the error of a run's next invocation, when the latest word on it is a failure.
    fn failure_of_next(&self, run: RunId, steps: u64) -> Result<Option<String>, StoreError> {
        let sql =
            "SELECT subject, error FROM failure WHERE run_id = ?1 AND stage = ?2 ORDER BY occurred_at DESC, rowid DESC";
        let parameters = params![run.as_bytes(), FailureStage::Run.as_str()];
        let failures: Vec<(String, String)> = self.collect(sql, parameters, |row| Ok((row.get(0)?, row.get(1)?)))?;
        let concerns_next = |subject: &str| Failure::sequence_number_of(subject) == Some(SequenceNumber(steps));
        Ok(failures.into_iter().find(|(subject, _)| concerns_next(subject)).map(|(_, error)| error))
    }

    fn diagram_models(&self, run: RunId) -> Result<BTreeSet<ModelName>, StoreError> {
        let sql = "SELECT embedding_model FROM persistence_diagram WHERE run_id = ?1";
        let models = self.collect(sql, params![run.as_bytes()], |row| Ok(ModelName::new(row.get_ref(0)?.as_str()?)))?;
        Ok(models.into_iter().collect())
    }
}

/// Returns the period of a run whose state came back, for a seed that is used again and models that repeat themselves.
fn cycle_of(run: &Run, steps: &[Step]) -> Option<u64> {
    if run.key.seed.is_fresh() || !steps.iter().all(|step| step.repeats) {
        return None;
    }
    // A network has a model, so the detector takes its length.
    let mut detector = RecurrenceDetector::new(run.key.network.len()).ok()?;
    let recurrence = steps.iter().find_map(|step| detector.push(step.state))?;
    Some(recurrence.period() as u64)
}
