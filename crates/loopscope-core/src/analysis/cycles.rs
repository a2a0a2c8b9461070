//! Exact repetition: no embedding, no clustering, nothing to choose.

use std::collections::{BTreeMap, BTreeSet};

use loopscope_analysis::symbolic::{Repetition, repetition};

use super::estimate::{bootstrap_cell, few_runs, mean_cell, remark, share_cell};
use super::group::{of_runs, run_columns};
use super::material::{Material, RunMaterial};
use super::report::{Analysis, Cell, ResultTable};
use super::{AnalysisError, Options};

pub(super) fn cycles(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let bootstrap = &options.bootstrap;
    let mut table = ResultTable::new(
        "cycles",
        "Exact repetition at the end of runs",
        &run_columns(
            options.by,
            &[
                ("runs", "runs"),
                ("settled", "settled (share)"),
                ("fixed_points", "fixed points"),
                ("cycles", "longer cycles"),
                ("periods", "periods (turns × runs)"),
                ("transient", "transient (invocations)"),
                ("repeated", "repeated outputs (share)"),
                ("remark", "remark"),
            ],
        ),
    );
    for (group, runs) in of_runs(material, options.by) {
        let runs: Vec<&RunMaterial> = runs.iter().map(|&run| &material.runs[run]).collect();
        let endings: Vec<Option<Repetition>> = runs.iter().map(|run| ending(run)).collect();
        let mut periods: BTreeMap<usize, usize> = BTreeMap::new();
        for (run, ending) in runs.iter().zip(&endings) {
            if let Some(ending) = ending {
                *periods.entry(ending.period / run.run.key.network.len()).or_default() += 1;
            }
        }
        let fixed = periods.get(&1).copied().unwrap_or(0);
        let listed: Vec<String> = periods.iter().map(|(period, count)| format!("{period} × {count}")).collect();
        let transients: Vec<Option<f64>> =
            endings.iter().map(|ending| ending.map(|ending| ending.transient as f64)).collect();
        let repeated: Vec<Option<f64>> = runs.iter().map(|run| repeated_share(run)).collect();
        let unsettled = endings.iter().filter(|ending| ending.is_none()).count();
        let mut row = group.cells();
        row.extend([
            Cell::count(runs.len()),
            share_cell(endings.iter().map(|ending| Some(ending.is_some())), bootstrap),
            Cell::count(fixed),
            Cell::count(periods.values().sum::<usize>() - fixed),
            Cell::Text(listed.join(", ")),
            mean_cell(&transients, bootstrap),
            mean_cell(&repeated, bootstrap),
            remark([few_runs(runs.len()), (unsettled == runs.len()).then(|| "no run settled".to_owned())]),
        ]);
        table.row(row);
    }
    let mut analysis = material.analysis("cycles", vec![bootstrap_cell(bootstrap)]);
    analysis.tables.push(table);
    analysis.notes.push(
        "A state is a place in the network and the output there (text, or pixels). A run has settled when it stopped because its state came back, \
         or when its last full period repeats the one before; a fixed point repeats after one turn of the network."
            .to_owned(),
    );
    Ok(analysis)
}

/// Returns how a run ends: a stop by cycle is proof, otherwise a whole period must have been seen twice.
pub(super) fn ending(run: &RunMaterial) -> Option<Repetition> {
    if let Some(period) = run.cycle {
        let transient = run.states.len().checked_sub(period + 1)?;
        return Some(Repetition { transient, period, witnesses: 1 });
    }
    repetition(run.run.key.network.len(), &run.states).filter(|found| found.witnesses >= found.period)
}

/// Returns the share of outputs that stood at the same place of the run before.
pub(super) fn repeated_share(run: &RunMaterial) -> Option<f64> {
    let length = run.run.key.network.len();
    let different: BTreeSet<_> = run.states.iter().enumerate().map(|(index, state)| (index % length, *state)).collect();
    (!run.states.is_empty()).then(|| 1.0 - different.len() as f64 / run.states.len() as f64)
}
