//! What the scheduler knows of a run that is under way.

use loopscope_analysis::symbolic::RecurrenceDetector;

use super::job::{Input, ModelEntry};
use super::tally::Expected;
use crate::experiment::{Hash, InvocationId, Link, ModelName, Run, SequenceNumber, StopReason};
use crate::plan::DIAGRAM_POINTS_MIN;
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
    /// For each model of the table: outputs that it would embed and that nobody here can, for it is not here.
    pub out_of_reach: Vec<u64>,
    /// For each model of the table: whether one of its embeddings was given up.
    pub embedding_failed: Vec<bool>,
    /// For each model of the table: whether its diagram is there or was tried.
    pub diagram_tried: Vec<bool>,
    /// For each model of the table: whether its diagram was there before.
    has_diagram: Vec<bool>,
    /// What the sums expect of it.
    pub expected: Expected,
}

impl RunState {
    /// Returns the state of a run as the store has it. `states` are those of its invocations, when a cycle may end it.
    pub(super) fn new(
        progress: &RunProgress,
        states: Option<Vec<Hash>>,
        models: &[ModelEntry],
        expected: Expected,
    ) -> Self {
        let network_length = progress.run.key.network.len();
        let per_model = |read: &dyn Fn(&ModelName) -> u64| models.iter().map(|model| read(&model.info.name)).collect();
        let missing =
            |name: &ModelName| progress.missing_embeddings.get(name).map_or(0, |missing| missing.len() as u64);
        let has_diagram: Vec<bool> = models.iter().map(|model| progress.diagrams.contains(&model.info.name)).collect();
        Self {
            steps: progress.steps,
            last: progress.last,
            // A network is never empty, which is all that the detector asks.
            detector: states.and_then(|states| RecurrenceDetector::from_history(network_length, states).ok()),
            outstanding: 0,
            held: None,
            is_complete: progress.is_complete(),
            embeddable: per_model(&|name| progress.embeddable.get(name).copied().unwrap_or(0)),
            out_of_reach: models
                .iter()
                .map(|model| if model.is_here { 0 } else { missing(&model.info.name) })
                .collect(),
            embedding_failed: vec![false; models.len()],
            diagram_tried: has_diagram.clone(),
            has_diagram,
            expected,
            run: progress.run.clone(),
        }
    }

    /// Returns the models of which a diagram can be made and was not tried, and takes note that it is tried now.
    ///
    /// For a run that has all its invocations and nothing outstanding.
    pub(super) fn take_ready_diagrams(&mut self) -> Vec<usize> {
        let is_ready = |&model: &usize| {
            !self.diagram_tried[model]
                && self.embeddable[model] >= DIAGRAM_POINTS_MIN
                && self.out_of_reach[model] == 0
                && !self.embedding_failed[model]
        };
        let ready: Vec<usize> = (0..self.diagram_tried.len()).filter(is_ready).collect();
        for &model in &ready {
            self.diagram_tried[model] = true;
        }
        ready
    }

    /// Returns what the run comes to when it goes no further than it is.
    pub(super) fn expected_at_end(&self, models: &[ModelEntry]) -> Expected {
        let mut expected = Expected { invocations: self.steps, ..Expected::default() };
        for (index, _) in models.iter().enumerate().filter(|(_, model)| model.info.kind.output().is_none()) {
            let outputs = self.embeddable[index];
            expected.add_model(outputs, self.out_of_reach[index], self.has_diagram[index], self.is_complete);
        }
        expected
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
