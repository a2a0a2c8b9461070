//! Means over runs, with their intervals.

use loopscope_analysis::bootstrap::Bootstrap;

use super::report::{Cell, Estimate};

/// Returns the mean of what runs have, leaving out those that have nothing, with its interval over runs.
pub(super) fn mean(values: &[Option<f64>], bootstrap: &Bootstrap) -> Estimate {
    let present: Vec<f64> = values.iter().copied().flatten().collect();
    let mean_of = |runs: &[usize]| {
        (!runs.is_empty()).then(|| runs.iter().map(|&run| present[run]).sum::<f64>() / runs.len() as f64)
    };
    let all: Vec<usize> = (0..present.len()).collect();
    Estimate { value: mean_of(&all), interval: bootstrap.interval(present.len(), mean_of) }
}

/// Returns the mean as a cell.
pub(super) fn mean_cell(values: &[Option<f64>], bootstrap: &Bootstrap) -> Cell {
    Cell::Estimate(mean(values, bootstrap))
}

/// Returns the share of runs that a predicate holds for, as a cell; runs that it does not apply to are `None`.
pub(super) fn share_cell(holds: impl IntoIterator<Item = Option<bool>>, bootstrap: &Bootstrap) -> Cell {
    let values: Vec<Option<f64>> =
        holds.into_iter().map(|holds| holds.map(|holds| f64::from(u8::from(holds)))).collect();
    mean_cell(&values, bootstrap)
}

/// Returns how intervals are made, for the parameters of an analysis.
pub(super) fn bootstrap_cell(bootstrap: &Bootstrap) -> (&'static str, Cell) {
    let text = format!(
        "{} % percentile bootstrap over runs, {} resamples, seed {}",
        (bootstrap.level * 1e3).round() / 10.0,
        bootstrap.resamples,
        bootstrap.seed
    );
    ("intervals", Cell::Text(text))
}

/// Says why there is no interval.
pub(super) fn few_runs(count: usize) -> Option<String> {
    (count < 2).then(|| format!("{}: no interval", counted(count, "run")))
}

/// Writes how many of something there are: `1 run`, `2 runs`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Joins what there is to remark.
pub(super) fn remark(parts: impl IntoIterator<Item = Option<String>>) -> Cell {
    Cell::Text(parts.into_iter().flatten().collect::<Vec<String>>().join("; "))
}
