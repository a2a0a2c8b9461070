//! How much there is of an experiment, and how much there can be.
//!
//! What is expected of a run is what it has and what the models that are here can still give it, so that a stage of an
//! imported experiment whose models are elsewhere ends at what was possible. What a run has is counted by the outputs
//! that are stored, whatever models made them.

use super::event::{Progress, StageProgress};
use super::scope::Scope;
use crate::plan::DIAGRAM_POINTS_MIN;
use crate::store::RunProgress;

/// What a run has in the end, at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Expected {
    pub invocations: u64,
    pub embeddings: u64,
    pub diagrams: u64,
}

impl Expected {
    /// Returns what a run can come to here.
    pub(super) fn of(scope: &Scope, run: &RunProgress) -> Self {
        let reach = scope.reach(run);
        let is_whole = run.is_complete() || reach >= run.run.max_length.get();
        let mut expected = Self { invocations: reach, ..Self::default() };
        for (model, input) in scope.embedders() {
            let present = run.embeddable.get(model).copied().unwrap_or(0);
            let to_come = scope.outputs(&run.run.key.network, run.steps..reach, input);
            let out_of_reach = if scope.is_here(model) { 0 } else { missing(run, model) + to_come };
            expected.add_model(present + to_come, out_of_reach, run.diagrams.contains(model), is_whole);
        }
        expected
    }

    /// Adds what an embedding model has of a run with so many `outputs` for it, of which so many are `out_of_reach`.
    pub(super) fn add_model(&mut self, outputs: u64, out_of_reach: u64, has_diagram: bool, is_whole: bool) {
        self.embeddings += outputs.saturating_sub(out_of_reach);
        let comes = is_whole && out_of_reach == 0 && outputs >= DIAGRAM_POINTS_MIN;
        self.diagrams += u64::from(has_diagram || comes);
    }
}

impl Progress {
    /// Expects of a run what is `new`, and no longer what was `old`.
    pub(super) fn expect_instead(&mut self, old: Expected, new: Expected) {
        let exchange = |stage: &mut StageProgress, old: u64, new: u64| {
            stage.expected = (stage.expected + new).saturating_sub(old);
        };
        exchange(&mut self.invocations, old.invocations, new.invocations);
        exchange(&mut self.embeddings, old.embeddings, new.embeddings);
        exchange(&mut self.diagrams, old.diagrams, new.diagrams);
    }
}

fn missing(run: &RunProgress, model: &crate::experiment::ModelName) -> u64 {
    run.missing_embeddings.get(model).map_or(0, |missing| missing.len() as u64)
}

/// Returns how far an experiment is, from what is there.
pub(super) fn progress_of(scope: &Scope, done: &[RunProgress]) -> Progress {
    let mut progress = Progress::default();
    for run in done {
        progress.expect_instead(Expected::default(), Expected::of(scope, run));
        progress.runs.expected += 1;
        progress.runs.done += u64::from(run.is_complete());
        progress.invocations.done += run.steps;
        for (model, _) in scope.embedders() {
            let present = run.embeddable.get(model).copied().unwrap_or(0);
            progress.embeddings.done += present.saturating_sub(missing(run, model));
            progress.diagrams.done += u64::from(run.diagrams.contains(model));
        }
    }
    progress
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_gives_what_is_in_reach_and_a_diagram_when_that_is_all() {
        let of = |outputs, out_of_reach, has_diagram, is_whole| {
            let mut expected = Expected::default();
            expected.add_model(outputs, out_of_reach, has_diagram, is_whole);
            (expected.embeddings, expected.diagrams)
        };
        assert_eq!(of(9, 0, false, true), (9, 1));
        assert_eq!(of(9, 0, false, false), (9, 0), "the run stops before its end");
        assert_eq!(of(9, 4, false, true), (5, 0), "vectors are missing that nobody here can make");
        assert_eq!(of(9, 4, true, true), (5, 1), "a diagram that is there stays");
        assert_eq!(of(1, 0, false, true), (1, 0), "a point has no shape");
    }

    #[test]
    fn expecting_something_else_changes_no_other_run() {
        let mut progress = Progress::default();
        let (first, second) = (
            Expected { invocations: 10, embeddings: 8, diagrams: 2 },
            Expected { invocations: 10, embeddings: 10, diagrams: 1 },
        );
        progress.expect_instead(Expected::default(), first);
        progress.expect_instead(Expected::default(), second);
        progress.expect_instead(first, Expected { invocations: 3, embeddings: 3, diagrams: 0 });
        let expected = [progress.invocations, progress.embeddings, progress.diagrams].map(|stage| stage.expected);
        assert_eq!(expected, [13, 13, 1]);
        // More than was expected before, as when an output of another type came than its model is listed with.
        progress.expect_instead(Expected::default(), Expected { embeddings: 1, ..Expected::default() });
        assert_eq!(progress.embeddings.expected, 14);
    }
}
