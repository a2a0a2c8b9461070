//! What is missing, derived from what is asked for and what is there.
//!
//! A fresh start, a resume and a repair are one path: [`remaining`] of what is there. Pure: no store, no clock.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::backend::ModelInfo;
use crate::experiment::{Experiment, ExperimentConfig, InvocationId, ModelName, Network, OutputType, SequenceNumber};
use crate::store::RunProgress;

/// The smallest trajectory with a shape: fewer points have no diagram, which is a reason and not a failure.
pub const DIAGRAM_POINTS_MIN: u64 = 2;

/// One thing that can be computed now. `run` is the index in what [`remaining`] was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Work {
    /// The next invocation of a run.
    Invoke {
        /// Which run.
        run: usize,
        /// Its next number.
        number: SequenceNumber,
    },
    /// The embedding of an output that is there.
    Embed {
        /// Which run.
        run: usize,
        /// The output's number.
        number: SequenceNumber,
        /// The output.
        invocation: InvocationId,
        /// The embedding model.
        model: ModelName,
    },
    /// The diagram of a run that has all its vectors.
    Diagram {
        /// Which run.
        run: usize,
        /// The embedding model.
        model: ModelName,
    },
}

/// Returns what can be computed now, given what is there of each run: run by run, embeddings before the next step.
///
/// An empty list means that the experiment is complete: whatever is missing later (the second next step, a diagram of
/// a run that still grows) waits for something in the list.
#[must_use]
pub fn remaining(experiment: &Experiment, done: &[RunProgress]) -> Vec<Work> {
    done.iter().enumerate().flat_map(|(run, progress)| remaining_of_run(experiment, run, progress)).collect()
}

/// Returns whether [`remaining`] would return anything, without making the list.
#[must_use]
pub fn is_anything_remaining(experiment: &Experiment, done: &[RunProgress]) -> bool {
    let needs = |progress: &RunProgress| {
        let models = &experiment.config.embedding_models;
        !progress.is_complete()
            || !progress.missing_embeddings.is_empty()
            || models.iter().any(|model| needs_diagram(progress, model))
    };
    done.iter().any(needs)
}

/// Returns what can be computed now of one run.
#[must_use]
pub fn remaining_of_run(experiment: &Experiment, run: usize, progress: &RunProgress) -> Vec<Work> {
    let mut work = Vec::new();
    for (model, missing) in &progress.missing_embeddings {
        let embed = |&(number, invocation)| Work::Embed { run, number, invocation, model: model.clone() };
        work.extend(missing.iter().map(embed));
    }
    if !progress.is_complete() {
        work.push(Work::Invoke { run, number: SequenceNumber(progress.steps) });
        return work;
    }
    for model in &experiment.config.embedding_models {
        if needs_diagram(progress, model) && !progress.missing_embeddings.contains_key(model) {
            work.push(Work::Diagram { run, model: model.clone() });
        }
    }
    work
}

/// Returns whether a complete run should have a diagram of this model and has none.
#[must_use]
pub fn needs_diagram(progress: &RunProgress, model: &ModelName) -> bool {
    let points = progress.embeddable.get(model).copied().unwrap_or(0);
    points >= DIAGRAM_POINTS_MIN && !progress.diagrams.contains(model)
}

/// Returns how many of the first `length` outputs of a network are of type `wanted`.
#[must_use]
pub fn outputs_of_type(
    network: &Network,
    length: u64,
    wanted: OutputType,
    models: &BTreeMap<ModelName, ModelInfo>,
) -> u64 {
    let gives = |model: &ModelName| models.get(model).and_then(|info| info.kind.output()) == Some(wanted);
    let cycle = network.len() as u64;
    let per_cycle = network.models().iter().filter(|model| gives(model)).count() as u64;
    let rest = network.models()[..(length % cycle) as usize].iter().filter(|model| gives(model)).count() as u64;
    length / cycle * per_cycle + rest
}

/// How much an experiment asks for at most; runs that end in a cycle need less.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PlanSummary {
    /// Networks × prompts × seeds.
    pub runs: u64,
    /// Invocations, if every run reaches its full length.
    pub invocations_max: u64,
    /// Embeddings of those.
    pub embeddings_max: u64,
    /// Diagrams.
    pub persistence_diagrams_max: u64,
    /// Calls of each model, by name.
    pub calls_max: BTreeMap<String, u64>,
    /// Estimated size of all that in the store.
    pub disk_bytes_estimate: u64,
    /// Estimated memory of the largest model while it is loaded.
    pub model_memory_bytes_max: u64,
}

/// Bytes of an invocation row with its indexes, without its output: measured on stores of the dummy models.
const ROW_BYTES: u64 = 420;
/// Bytes of an embedding row with its indexes, without its vector.
const EMBEDDING_ROW_BYTES: u64 = 220;
/// A caption.
const TEXT_BYTES: u64 = 200;
/// A diagram of a run of a few hundred steps.
const DIAGRAM_BYTES: u64 = 6_000;

/// Returns how much a config asks for, given its models as `check_config` described them.
#[must_use]
pub fn plan_summary(config: &ExperimentConfig, models: &BTreeMap<ModelName, ModelInfo>) -> PlanSummary {
    let per_network = (config.prompts.len() as u64).saturating_mul(config.seeds.len() as u64);
    let length = config.max_length.get();
    let mut calls_max: BTreeMap<String, u64> = BTreeMap::new();
    let mut disk = 0_u64;
    let mut diagrams = 0;
    let mut embeddings = 0;
    for network in &config.networks {
        for (position, model) in network.models().iter().enumerate() {
            let position = position as u64;
            let cycle = network.len() as u64;
            let calls = (length / cycle + u64::from(position < length % cycle)).saturating_mul(per_network);
            add(calls_max.entry(model.to_string()).or_default(), calls);
            let output = models.get(model).map_or(TEXT_BYTES, output_bytes_estimate);
            disk = disk.saturating_add(calls.saturating_mul(ROW_BYTES + output));
        }
        for model in &config.embedding_models {
            let Some(info) = models.get(model) else { continue };
            let points = outputs_of_type(network, length, info.kind.input(), models);
            let calls = points.saturating_mul(per_network);
            add(calls_max.entry(model.to_string()).or_default(), calls);
            add(&mut embeddings, calls);
            let vector = info.dimension.unwrap_or(768) as u64 * 4;
            disk = disk.saturating_add(calls.saturating_mul(EMBEDDING_ROW_BYTES + vector));
            if points >= DIAGRAM_POINTS_MIN {
                add(&mut diagrams, per_network);
            }
        }
    }
    let runs = (config.networks.len() as u64).saturating_mul(per_network);
    PlanSummary {
        runs,
        invocations_max: runs.saturating_mul(length),
        embeddings_max: embeddings,
        persistence_diagrams_max: diagrams,
        calls_max,
        disk_bytes_estimate: disk.saturating_add(diagrams.saturating_mul(DIAGRAM_BYTES)),
        model_memory_bytes_max: models.values().map(|info| info.memory_bytes).max().unwrap_or(0),
    }
}

/// Adds to a sum that stays at its largest rather than start again from 0.
fn add(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}

/// A dummy's flat picture takes about 1 KiB at 256 × 256 (measured); a photograph as lossless WebP about 1.4 bytes a pixel.
fn output_bytes_estimate(info: &ModelInfo) -> u64 {
    if info.kind.output() != Some(OutputType::Image) {
        return TEXT_BYTES;
    }
    let side = |key: &str| info.parameters.get(key).and_then(serde_json::Value::as_u64).unwrap_or(256);
    let pixels = side("width").saturating_mul(side("height"));
    if info.backend == "dummy" { pixels / 64 } else { pixels.saturating_mul(7) / 5 }
}
