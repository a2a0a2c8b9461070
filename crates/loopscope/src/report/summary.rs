//! What an experiment came to: counts, stop reasons, the states that it visits most.

use std::collections::BTreeMap;

use loopscope_core::experiment::{Experiment, ModelName, OutputType, StopReason};
use loopscope_core::store::{
    ClusteringSummary, ExperimentCounts, ExperimentLock, RunProgress, Store, StoreError, VisitedText,
};
use serde::Serialize;

use super::unresolved::Unresolved;
use super::{Table, count, one_line, print, print_unresolved, unresolved_failures};
use crate::args::Global;

/// States to show.
const STATES_MAX: u32 = 8;

/// Why runs stopped.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct StopCounts {
    /// At their full length.
    pub(crate) length: u64,
    /// In a cycle, by period.
    pub(crate) cycle: BTreeMap<u64, u64>,
    /// On a failure.
    pub(crate) failed: u64,
    /// Not yet.
    pub(crate) unfinished: u64,
}

/// What an experiment came to.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) origin: loopscope_core::experiment::Origin,
    pub(crate) networks: Vec<Vec<String>>,
    pub(crate) prompts: Vec<String>,
    pub(crate) seeds: Vec<i64>,
    pub(crate) embedding_models: Vec<String>,
    pub(crate) max_length: u64,
    pub(crate) created_at: String,
    pub(crate) started_at: Option<String>,
    pub(crate) completed_at: Option<String>,
    /// The process that works on it now.
    pub(crate) worked_on_by: Option<String>,
    pub(crate) counts: ExperimentCounts,
    pub(crate) stop_reasons: StopCounts,
    pub(crate) most_visited: Vec<VisitedText>,
    pub(crate) clusterings: Vec<ClusteringSummary>,
    /// What failed, in any stage, and is still not there.
    pub(crate) unresolved: Unresolved,
}

/// Reads what an experiment came to.
///
/// # Errors
///
/// [`StoreError`] when the store does not read.
pub(crate) fn summarise(store: &Store, experiment: &Experiment) -> Result<Summary, StoreError> {
    let progress = store.progress(experiment.id, &BTreeMap::<ModelName, OutputType>::new())?;
    let config = &experiment.config;
    let clusterings = store.clusterings(experiment.id)?;
    let unresolved = unresolved_failures(store, store.failures(experiment.id)?, &progress, &clusterings)?;
    Ok(Summary {
        id: experiment.id.to_string(),
        name: experiment.name.clone(),
        origin: experiment.origin,
        networks: config
            .networks
            .iter()
            .map(|network| network.models().iter().map(ToString::to_string).collect())
            .collect(),
        prompts: config.prompts.to_vec(),
        seeds: config.seeds.iter().map(|seed| seed.value()).collect(),
        embedding_models: config.embedding_models.iter().map(ToString::to_string).collect(),
        max_length: config.max_length.get(),
        created_at: experiment.created_at.to_string(),
        started_at: experiment.started_at.map(|time| time.to_string()),
        completed_at: experiment.completed_at.map(|time| time.to_string()),
        worked_on_by: ExperimentLock::holder(store.path(), experiment.id),
        counts: store.counts(experiment.id)?,
        stop_reasons: stop_counts(&progress),
        most_visited: store.most_visited(experiment.id, STATES_MAX)?,
        clusterings,
        unresolved,
    })
}

fn stop_counts(progress: &[RunProgress]) -> StopCounts {
    let mut counts = StopCounts::default();
    for run in progress {
        match run.stop_reason() {
            StopReason::Length => counts.length += 1,
            StopReason::Cycle { period } => *counts.cycle.entry(period).or_default() += 1,
            StopReason::Failed => counts.failed += 1,
            StopReason::Unfinished => counts.unfinished += 1,
        }
    }
    counts
}

/// Prints a summary for people.
///
/// # Errors
///
/// When stdout is closed.
pub(crate) fn print_summary(summary: &Summary, global: &Global) -> std::io::Result<()> {
    let short = &summary.id[summary.id.len() - 8..];
    print(&format!("experiment \"{}\" ({short}), {}", summary.name, state_of(summary)))?;
    let networks: Vec<String> = summary.networks.iter().map(|models| models.join(" → ")).collect();
    print(&format!("  networks    {}", networks.join("\n              ")))?;
    print(&format!(
        "  asks for    {} networks × {} prompts × {} seeds, up to {} invocations each",
        summary.networks.len(),
        summary.prompts.len(),
        summary.seeds.len(),
        count(summary.max_length)
    ))?;
    print(&format!("  embedders   {}", summary.embedding_models.join(", ")))?;
    print("")?;
    let counts = &summary.counts;
    let mut table = Table::new(&["  there is", ">"]);
    for (name, number) in [
        ("  runs", counts.runs),
        ("  outputs", counts.invocations),
        ("  embeddings", counts.embeddings),
        ("  diagrams", counts.persistence_diagrams),
        ("  failed attempts", counts.failures),
    ] {
        table.row(vec![name.to_owned(), count(number)]);
    }
    table.print()?;
    print_stop_reasons(&summary.stop_reasons)?;
    print_states(&summary.most_visited)?;
    print_clusterings(&summary.clusterings)?;
    print_unresolved(&summary.unresolved, &global.command(&format!("experiment show {short} --json")))
}

/// Prints a summary in five lines at most.
///
/// # Errors
///
/// When stdout is closed.
pub(crate) fn print_compact(summary: &Summary) -> std::io::Result<()> {
    let short = &summary.id[summary.id.len() - 8..];
    let counts = &summary.counts;
    print(&format!("{} ({short}), {}", one_line(&summary.name, 60), state_of(summary)))?;
    print(&format!(
        "  {} networks × {} prompts × {} seeds, up to {}; {} runs, {} outputs, {} embeddings, {} diagrams",
        summary.networks.len(),
        summary.prompts.len(),
        summary.seeds.len(),
        count(summary.max_length),
        count(counts.runs),
        count(counts.invocations),
        count(counts.embeddings),
        count(counts.persistence_diagrams)
    ))?;
    let stops = &summary.stop_reasons;
    let cycles = stops.cycle.iter().map(|(period, runs)| format!("{runs} in a cycle of {period}"));
    let mut ends = vec![format!("{} at full length", stops.length)];
    ends.extend(cycles.take(6));
    ends.extend((stops.failed > 0).then(|| format!("{} failed", stops.failed)));
    ends.extend((stops.unfinished > 0).then(|| format!("{} not yet", stops.unfinished)));
    print(&format!("  ended: {}", ends.join(", ")))?;
    if let Some(text) = summary.most_visited.first() {
        print(&format!("  most visited: {} × {}", text.visits, one_line(&text.text, 70)))?;
    }
    if !summary.clusterings.is_empty() {
        let clusterings = summary.clusterings.iter().take(4);
        let told: Vec<String> = clusterings.map(|one| format!("{} {}", one.embedding_model, one.clusters)).collect();
        print(&format!("  clusters: {}", told.join(", ")))?;
    }
    Ok(())
}

fn state_of(summary: &Summary) -> String {
    match (&summary.completed_at, &summary.worked_on_by) {
        (_, Some(pid)) => format!("process {pid} works on it"),
        (Some(_), None) => "complete".to_owned(),
        (None, None) if summary.started_at.is_none() => "not begun".to_owned(),
        (None, None) => "not complete".to_owned(),
    }
}

fn print_stop_reasons(stops: &StopCounts) -> std::io::Result<()> {
    let mut table = Table::new(&["  runs that ended", ">"]);
    table.row(vec!["  at full length".to_owned(), count(stops.length)]);
    for (period, runs) in &stops.cycle {
        table.row(vec![format!("  in a cycle of {period}"), count(*runs)]);
    }
    if stops.failed > 0 {
        table.row(vec!["  on a failure".to_owned(), count(stops.failed)]);
    }
    if stops.unfinished > 0 {
        table.row(vec!["  not yet".to_owned(), count(stops.unfinished)]);
    }
    print("")?;
    table.print()
}

fn print_states(states: &[VisitedText]) -> std::io::Result<()> {
    if states.is_empty() {
        return Ok(());
    }
    print("")?;
    let mut table = Table::new(&[">  visits", ">runs", "most visited text"]);
    for state in states {
        table.row(vec![count(state.visits), count(state.runs), one_line(&state.text, 84)]);
    }
    table.print()
}

fn print_clusterings(clusterings: &[ClusteringSummary]) -> std::io::Result<()> {
    if clusterings.is_empty() {
        return Ok(());
    }
    print("")?;
    let mut table = Table::new(&["  clusters of", ">clusters", ">outliers", ">embeddings"]);
    for clustering in clusterings {
        table.row(vec![
            format!("  {}", clustering.embedding_model),
            count(clustering.clusters),
            count(clustering.outliers),
            count(clustering.members),
        ]);
    }
    table.print()
}
