//! How fast drift settles.

use loopscope_analysis::dynamics::{Relaxation, RelaxationOutcome, fit_relaxation};

use super::drift::{References, note_references};
use super::estimate::{bootstrap_cell, few_runs, remark};
use super::group::{columns, of_strands};
use super::material::Material;
use super::report::{Analysis, Cell, Estimate, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};
use crate::backend::Registry;

pub(super) fn relaxation(
    material: &Material<'_>,
    options: &Options,
    registry: &dyn Registry,
) -> Result<Analysis, AnalysisError> {
    let mut table = ResultTable::new(
        "relaxation",
        "Relaxation of the mean drift, d(t) = d∞ − (d∞ − d₀) e^(−t/τ)",
        &columns(
            options.by,
            &[
                ("runs", "runs"),
                ("turns", "turns"),
                ("from", "from"),
                ("d0", "d₀ (1 − cos)"),
                ("d_inf", "d∞ (1 − cos)"),
                ("tau", "τ (turns)"),
                ("r_squared", "R²"),
                ("remark", "remark"),
            ],
        ),
    );
    let (mut survey, mut all_references) = (Survey::default(), Vec::new());
    for embedder in material.embedders() {
        let strands = survey.strands(material, &embedder)?;
        let references = References::of(material, &embedder, registry);
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let drifts: Vec<Vec<f64>> = references.drifts(material, &members)?.into_iter().flatten().collect();
            // The first output is at distance 0 from itself by definition: no point of the curve.
            let first = usize::from(references.why_not.is_some());
            let mut row = group.cells();
            let turns = drifts.iter().map(Vec::len).max().unwrap_or(0);
            row.extend([Cell::count(drifts.len()), Cell::count(turns), Cell::text(references.name())]);
            row.extend(fit_cells(&drifts, first, options)?);
            table.row(row);
        }
        all_references.push((embedder, references));
    }
    let mut analysis = material.analysis(
        "relaxation",
        vec![
            ("method", Cell::text("least squares on the mean over runs at each turn")),
            ("metric", Cell::text("cosine distance 1 − cos")),
            bootstrap_cell(&options.bootstrap),
        ],
    );
    analysis.tables.push(table);
    note_references(&mut analysis, &all_references);
    survey.note(&mut analysis);
    Ok(analysis)
}

fn fit_cells(drifts: &[Vec<f64>], first: usize, options: &Options) -> Result<Vec<Cell>, AnalysisError> {
    let all: Vec<usize> = (0..drifts.len()).collect();
    let (times, values) = mean_curve(drifts, &all, first);
    let outcome = fit_relaxation(&times, &values)?;
    let (fitted, why_not) = match outcome {
        RelaxationOutcome::Settles(fitted) => (Some(fitted), None),
        RelaxationOutcome::Constant => (None, Some("the drift is constant")),
        RelaxationOutcome::TooFew => (None, Some("too few turns: a fit wants 4")),
        RelaxationOutcome::Faster => (None, Some("settled by the second turn: faster than a turn")),
        RelaxationOutcome::Slower => (None, Some("no end in sight within the run")),
    };
    let parts: [fn(&Relaxation) -> f64; 3] = [|fit| fit.d0, |fit| fit.d_inf, |fit| fit.tau];
    let mut intervals = vec![None; parts.len()];
    let mut misses = 0;
    if fitted.is_some() {
        intervals = options.bootstrap.intervals(drifts.len(), parts.len(), |runs| {
            let (times, values) = mean_curve(drifts, runs, first);
            match fit_relaxation(&times, &values) {
                Ok(RelaxationOutcome::Settles(fit)) => parts.iter().map(|part| Some(part(&fit))).collect(),
                _ => {
                    misses += 1;
                    vec![None; parts.len()]
                }
            }
        });
    }
    let mut cells: Vec<Cell> = parts
        .iter()
        .zip(intervals)
        .map(|(part, interval)| Cell::Estimate(Estimate { value: fitted.as_ref().map(part), interval }))
        .collect();
    cells.push(Cell::Number(fitted.map(|fit| fit.r_squared)));
    let resamples = options.bootstrap.resamples;
    cells.push(remark([
        why_not.map(str::to_owned),
        few_runs(drifts.len()),
        (misses > 0).then(|| format!("{misses} of {resamples} resamples do not settle")),
    ]));
    Ok(cells)
}

/// Returns the turns and the mean over some runs at each, from a first turn, as far as any of them goes.
fn mean_curve(drifts: &[Vec<f64>], runs: &[usize], first: usize) -> (Vec<f64>, Vec<f64>) {
    let turns = runs.iter().map(|&run| drifts[run].len()).max().unwrap_or(0);
    let (mut sums, mut counts) = (vec![0.0; turns], vec![0_u32; turns]);
    for &run in runs {
        for (turn, value) in drifts[run].iter().enumerate() {
            sums[turn] += value;
            counts[turn] += 1;
        }
    }
    let times = (first..turns).map(|turn| turn as f64).collect();
    (times, (first..turns).map(|turn| sums[turn] / f64::from(counts[turn])).collect())
}
