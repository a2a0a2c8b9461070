//! What failed and is still not there.
//!
//! Failures are only ever added; whether one still matters is derived from what is there. The latest attempt at an
//! object speaks for all attempts at it.

use std::collections::{BTreeMap, BTreeSet};

use loopscope_core::experiment::{Failure, FailureStage, ModelName, RunId, SequenceNumber};
use loopscope_core::store::{ClusteringSummary, RunProgress, Store, StoreError};
use serde::Serialize;

use super::{count, one_line, print};

/// The most that JSON shows.
const KEPT_MAX: usize = 1000;
/// The most that people are shown.
const SHOWN_MAX: usize = 10;

/// The latest attempt at an object that is not there.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct UnresolvedFailure {
    pub(crate) run_id: Option<RunId>,
    pub(crate) stage: FailureStage,
    pub(crate) subject: String,
    pub(crate) attempt: u64,
    pub(crate) error: String,
    pub(crate) occurred_at: String,
}

/// What failed and is still not there, newest first.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Unresolved {
    pub(crate) count: u64,
    /// At most the newest 1000.
    pub(crate) failures: Vec<UnresolvedFailure>,
}

/// Finds which of `failures`, oldest first, speak of something that is not there; `runs` holds every run they name.
///
/// Costs one reading of the embeddings of each run and model that has a failed embedding;
/// one such set is in memory at a time.
///
/// # Errors
///
/// [`StoreError`] when the store does not read.
pub(crate) fn unresolved_failures(
    store: &Store,
    failures: Vec<Failure>,
    runs: &[RunProgress],
    clusterings: &[ClusteringSummary],
) -> Result<Unresolved, StoreError> {
    let runs: BTreeMap<RunId, &RunProgress> = runs.iter().map(|run| (run.run.id, run)).collect();
    // Later attempts replace earlier ones; the order brings what one trajectory answers together.
    let mut latest: BTreeMap<(Option<RunId>, FailureStage, String), (usize, Failure)> = BTreeMap::new();
    for (age, failure) in failures.into_iter().enumerate() {
        latest.insert((failure.run_id, failure.stage, failure.subject.clone()), (age, failure));
    }
    let mut embedded = Embedded::default();
    let mut left = Vec::new();
    for (age, failure) in latest.into_values() {
        let run = failure.run_id.and_then(|run| runs.get(&run).copied());
        if !is_there(store, &failure, run, clusterings, &mut embedded)? {
            left.push((age, failure));
        }
    }
    left.sort_by_key(|(age, _)| std::cmp::Reverse(*age));
    let told = |(_, failure): (usize, Failure)| UnresolvedFailure {
        run_id: failure.run_id,
        stage: failure.stage,
        subject: failure.subject,
        attempt: failure.attempt,
        error: failure.error,
        occurred_at: failure.occurred_at.to_string(),
    };
    let count = left.len() as u64;
    Ok(Unresolved { count, failures: left.into_iter().take(KEPT_MAX).map(told).collect() })
}

/// Returns whether the object that a failure speaks of is there; a subject that names none is not.
fn is_there(
    store: &Store,
    failure: &Failure,
    run: Option<&RunProgress>,
    clusterings: &[ClusteringSummary],
    embedded: &mut Embedded,
) -> Result<bool, StoreError> {
    let number = Failure::sequence_number_of(&failure.subject);
    Ok(match (failure.stage, run, number) {
        (FailureStage::Run, Some(run), Some(number)) => number.0 < run.steps,
        (FailureStage::Embedding, Some(run), Some(number)) => {
            let model = failure.subject.rsplit_once(" #").map_or(&*failure.subject, |(model, _)| model);
            embedded.numbers(store, run.run.id, &ModelName::new(model))?.contains(&number)
        }
        (FailureStage::Diagram, Some(run), _) => run.diagrams.contains(&ModelName::new(&failure.subject)),
        // A clustering that was there before is not the one that failed.
        (FailureStage::Clustering, _, _) => clusterings
            .iter()
            .any(|one| one.embedding_model == failure.subject && one.created_at >= failure.occurred_at),
        _ => false,
    })
}

/// The numbers that one model embedded of one run: the latest that was asked for.
#[derive(Default)]
struct Embedded {
    of: Option<(RunId, ModelName)>,
    numbers: BTreeSet<SequenceNumber>,
}

impl Embedded {
    fn numbers(
        &mut self,
        store: &Store,
        run: RunId,
        model: &ModelName,
    ) -> Result<&BTreeSet<SequenceNumber>, StoreError> {
        let wanted = (run, model.clone());
        if self.of.as_ref() != Some(&wanted) {
            self.numbers = store.trajectory(run, model)?.into_iter().map(|stored| stored.sequence_number).collect();
            self.of = Some(wanted);
        }
        Ok(&self.numbers)
    }
}

/// Prints what failed and is still not there; `all` is the command that shows more.
///
/// # Errors
///
/// When stdout is closed.
pub(crate) fn print_unresolved(unresolved: &Unresolved, all: &str) -> std::io::Result<()> {
    if unresolved.count == 0 {
        return Ok(());
    }
    print(&format!("\n  failed and still missing: {}", count(unresolved.count)))?;
    for failure in unresolved.failures.iter().take(SHOWN_MAX) {
        let run = failure.run_id.map_or_else(String::new, |run| format!("run {}, ", run.short()));
        let error = one_line(&failure.error, 200);
        let (stage, subject) = (failure.stage.as_str(), &failure.subject);
        print(&format!("    {stage} stage: {run}{subject}, attempt {}: {error}", failure.attempt))?;
    }
    let more = unresolved.count.saturating_sub(SHOWN_MAX as u64);
    if more > 0 {
        print(&format!("    … and {} more; `{all}` shows them", count(more)))?;
    }
    Ok(())
}
