//! Distributions that show at a glance whether an experiment is sound, and how long calls took.

use std::collections::BTreeMap;

use loopscope_core::experiment::StopReason;
use loopscope_core::store::{InvocationRow, OutputRow, StoreError};

use super::density::{bin_count, bins};
use super::facet::{counted, finish, subtitle};
use super::violin::{EXPLAINED, violin};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{CATEGORIES, category};
use crate::figure::{Axis, Figure, Mark, Panel};

/// Calls `visit` for every step of every run.
fn visit_all(source: &Source<'_>, mut visit: impl FnMut(InvocationRow)) -> Result<(), StoreError> {
    for run in source.details().runs() {
        source.store().visit_invocations(run.run.id, |row| -> Result<(), StoreError> {
            visit(row);
            Ok(())
        })?;
    }
    Ok(())
}

pub(super) fn histograms(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let (mut letters, mut sides, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    visit_all(source, |row| {
        if let Some(end) = row.completed_at {
            seconds.push((end.micros() - row.started_at.micros()).max(1) as f64 / 1e6);
        }
        match row.output {
            OutputRow::Text { text } => letters.push(text.chars().count() as f64),
            OutputRow::Image { width, height, .. } => sides.push(f64::from(width.max(height))),
        }
    })?;
    if letters.is_empty() && sides.is_empty() {
        return Ok(Err(Skip::new("no run has an output yet; `loopscope experiment resume` computes them")));
    }
    let lengths: Vec<f64> = source.details().runs().map(|run| run.invocations as f64).collect();
    let steps: Vec<f64> = source.details().steps()?.into_iter().flat_map(|step| step.distances).collect();
    let norms = norms(source)?;
    let mut figure = Figure::new("Sense check");
    figure.subtitle = subtitle(source, "");
    figure.columns = 3;
    figure.is_shared = false;
    figure.panel_height = Some(170.0);
    figure.y_label = "how many".to_owned();
    figure.panels.push(stops(source)?);
    let mut add = |title: &str, values: &[f64], is_log: bool, place: usize| {
        if !values.is_empty() {
            figure.panels.push(histogram(&format!("{title} ({})", values.len()), values, is_log, category(place)));
        }
    };
    add("Outputs of a run", &lengths, false, 0);
    add("Letters of a text", &letters, false, 1);
    add("Longer side of a picture (pixels)", &sides, false, 2);
    add("Seconds of a call (logarithmic)", &seconds, true, 3);
    add("Step from turn to turn, 1 − cos", &steps, false, 4);
    add("Length of a vector", &norms, false, 5);
    figure.caption.push(format!(
        "What to look at first: runs that are too short, texts that are empty or cut at one length, calls that hang, steps that are all 0, vectors that are not of length 1. n = {} \
         with {}.",
        counted(lengths.len(), "run"),
        counted(letters.len() + sides.len(), "output")
    ));
    finish(source, &mut figure, 0);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

fn norms(source: &Source<'_>) -> Result<Vec<f64>, StoreError> {
    let mut norms = Vec::new();
    for embedder in source.details().embedders() {
        for run in source.details().runs() {
            for stored in source.store().trajectory(run.run.id, &embedder)? {
                let squares: f64 = stored.vector.numbers().iter().map(|&number| f64::from(number).powi(2)).sum();
                norms.push(squares.sqrt());
            }
        }
    }
    Ok(norms)
}

fn histogram(title: &str, values: &[f64], is_log: bool, fill: crate::figure::Color) -> Panel {
    let x = if is_log { Axis::log_of(values.iter().copied()) } else { Axis::of(values.iter().copied()) };
    let scaled = |value: f64| if is_log { value.log10() } else { value };
    let back = |value: f64| if is_log { 10_f64.powf(value) } else { value };
    let (low, high) = x.ends();
    let mapped: Vec<f64> = values.iter().map(|&value| scaled(value)).collect();
    let found = bins(&mapped, scaled(low), scaled(high), bin_count(values.len()));
    let cells = found
        .counts
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(|(bin, &count)| (back(found.edges[bin]).max(low), back(found.edges[bin + 1]).min(high), 0.0, count as f64))
        .collect();
    let tallest = found.counts.iter().copied().max().unwrap_or(1) as f64;
    let marks = vec![Mark::Cells { cells, fill, opacity: 0.85, gap: 0.6 }];
    Panel { title: title.to_owned(), x, y: Axis::from_zero([tallest * 1.04]), marks }
}

/// Why runs ended, as bars.
fn stops(source: &Source<'_>) -> Result<Panel, StoreError> {
    let mut counts: BTreeMap<(usize, u64), usize> = BTreeMap::new();
    for progress in source.store().progress(source.details().experiment().id, &BTreeMap::new())? {
        let key = match progress.stop_reason() {
            StopReason::Length => (0, 0),
            StopReason::Cycle { period } => (1, period),
            StopReason::Failed => (2, 0),
            StopReason::Unfinished => (3, 0),
        };
        *counts.entry(key).or_default() += 1;
    }
    let names = counts.keys().map(|key| match key {
        (0, _) => "length".to_owned(),
        (1, period) => format!("cycle of {period}"),
        (2, _) => "failed".to_owned(),
        _ => "not yet".to_owned(),
    });
    let cells = (0..).map(f64::from).zip(counts.values()).map(|(i, &count)| (i + 0.15, i + 0.85, 0.0, count as f64));
    let marks = vec![Mark::Cells { cells: cells.collect(), fill: CATEGORIES[0], opacity: 0.85, gap: 0.0 }];
    let tallest = counts.values().copied().max().unwrap_or(1) as f64;
    let total: usize = counts.values().sum();
    Ok(Panel {
        title: format!("Why runs ended ({total})"),
        x: Axis::Band(names.collect()),
        y: Axis::from_zero([tallest * 1.04]),
        marks,
    })
}

pub(super) fn durations(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let mut by_model: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let mut unknown = 0;
    visit_all(source, |row| match row.completed_at {
        // A clock has ticks: a call takes one at least.
        Some(end) => {
            let micros = (end.micros() - row.started_at.micros()).max(1);
            by_model.entry(row.model.to_string()).or_default().push(micros as f64 / 1e6);
        }
        None => unknown += 1,
    })?;
    if by_model.is_empty() {
        let why = match unknown {
            0 => "no run has an output yet; `loopscope experiment resume` computes them",
            _ => "the record does not say when calls ended, as records of the earlier tool do not",
        };
        return Ok(Err(Skip::new(why)));
    }
    let x = Axis::log_of(by_model.values().flatten().copied());
    let mut figure = Figure::new("Duration of calls");
    figure.subtitle = subtitle(source, "");
    figure.x_label = "seconds, logarithmic".to_owned();
    figure.panel_height = Some((by_model.len() as f64 * 74.0).max(110.0));
    let names = by_model.iter().map(|(model, values)| format!("{model} ({})", values.len())).collect();
    let marks =
        by_model.values().enumerate().flat_map(|(row, values)| violin(values, row, &x, category(row))).collect();
    figure.panels.push(Panel { title: String::new(), x, y: Axis::Band(names), marks });
    figure.caption.push(format!(
        "From the beginning of a call, or of the batch that it was in, to its end. n = {}{}. {EXPLAINED}",
        counted(by_model.values().map(Vec::len).sum(), "call"),
        if unknown > 0 { format!("; {unknown} without an end are left out") } else { String::new() }
    ));
    finish(source, &mut figure, 0);
    Ok(Ok(vec![Chart::of("", &figure)]))
}
