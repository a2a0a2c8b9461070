//! What the scheduler knows of a run that is under way.

use loopscope_analysis::symbolic::RecurrenceDetector;

use super::job::{Input, ModelEntry};
use crate::experiment::{Hash, InvocationId, Link, ModelName, Run, SequenceNumber, StopReason};
use crate::store::RunProgress;

/// A run that is under way. It leaves when nothing of it is outstanding.
pub(super) struct RunState {
    pub run: Run,
    /// How many invocations it has, committed or on their way.
    pub steps: u64,
    last: Option<InvocationId>,
    /// Watches for a state that comes back; absent when that would not end the run.
    detector: Option<RecurrenceDetector<Hash>>,
    /// Jobs that are queued, under way or waiting for another attempt, and objects that are not committed yet.
    pub outstanding: u64,
    /// The input of the next invocation, while that waits for what is outstanding.
    pub held: Option<Input>,
    /// Whether it has all the invocations that it will ever have.
    pub is_complete: bool,
    /// For each model of the table: outputs that it can embed.
    pub embeddable: Vec<u64>,
    /// For each model of the table: whether one of its embeddings was given up, or cannot be made here.
    pub embedding_failed: Vec<bool>,
    /// For each model of the table: whether its diagram is there or was tried.
    pub diagram_tried: Vec<bool>,
}

impl RunState {
    /// Returns the state of a run as the store has it. `states` are those of its invocations, when a cycle may end it.
    pub(super) fn new(progress: &RunProgress, states: Option<Vec<Hash>>, models: &[ModelEntry]) -> Self {
        let network_length = progress.run.key.network.len();
        let per_model = |read: &dyn Fn(&ModelName) -> u64| models.iter().map(|model| read(&model.info.name)).collect();
        Self {
            steps: progress.steps,
            last: progress.last,
            // A network is never empty, which is all that the detector asks.
            detector: states.and_then(|states| RecurrenceDetector::from_history(network_length, states).ok()),
            outstanding: 0,
            held: None,
            is_complete: progress.is_complete(),
            embeddable: per_model(&|name| progress.embeddable.get(name).copied().unwrap_or(0)),
            embedding_failed: models
                .iter()
                .map(|model| !model.is_here && progress.missing_embeddings.contains_key(&model.info.name))
                .collect(),
            diagram_tried: models.iter().map(|model| progress.diagrams.contains(&model.info.name)).collect(),
            run: progress.run.clone(),
        }
    }

    /// Returns the place of the next invocation.
    pub(super) fn next_link(&self) -> Link {
        match self.last {
            Some(last) if self.steps > 0 => Link::after(SequenceNumber(self.steps - 1), last),
            _ => Link::First,
        }
    }

    /// Takes note of the next invocation; returns why it is the last, if it is.
    ///
    /// At the last step a state that came back beats the length.
    pub(super) fn advance(&mut self, id: InvocationId, state: Hash) -> Option<StopReason> {
        self.steps += 1;
        self.last = Some(id);
        let recurrence = self.detector.as_mut().and_then(|detector| detector.push(state));
        let stop = match recurrence {
            Some(recurrence) => Some(StopReason::Cycle { period: recurrence.period() as u64 }),
            None if self.steps >= self.run.max_length.get() => Some(StopReason::Length),
            None => None,
        };
        self.is_complete = stop.is_some();
        stop
    }
}
