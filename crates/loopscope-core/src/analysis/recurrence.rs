//! Recurrence quantification, exact and near.

use loopscope_analysis::dynamics::{RecurrenceMatrix, RecurrenceMeasures, recurrence_measures};

use super::estimate::{bootstrap_cell, counted, few_runs, mean_cell, remark};
use super::group::{columns, of_runs, of_strands, run_columns};
use super::material::Material;
use super::report::{Analysis, Cell, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};

const MEASURES: [(&str, &str); 8] = [
    ("runs", "runs"),
    ("recurrence_rate", "RR"),
    ("determinism", "DET"),
    ("mean_diagonal", "L (steps)"),
    ("longest_diagonal", "L max (steps)"),
    ("laminarity", "LAM"),
    ("trapping_time", "TT (steps)"),
    ("remark", "remark"),
];

pub(super) fn recurrence(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let mut near = ResultTable::new(
        "recurrence",
        "Recurrence within ε, a step being a turn of the network",
        &columns(options.by, &MEASURES),
    );
    let mut survey = Survey::default();
    for embedder in material.embedders() {
        let strands = survey.stored_strands(material, &embedder)?;
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let measures = members
                .iter()
                .map(|strand| {
                    let series = strand.series()?;
                    Ok(recurrence_measures(&RecurrenceMatrix::within(&series, options.epsilon)?))
                })
                .collect::<Result<Vec<_>, AnalysisError>>()?;
            let mut row = group.cells();
            row.extend(cells(&measures, options));
            near.row(row);
        }
    }
    let mut exact = ResultTable::new(
        "exact_recurrence",
        "Exact recurrence of states, a step being an invocation",
        &run_columns(options.by, &MEASURES),
    );
    for (group, runs) in of_runs(material, options.by) {
        let measures: Vec<Option<RecurrenceMeasures>> = runs
            .iter()
            .map(|&run| {
                let material = &material.runs[run];
                let length = material.run.key.network.len();
                let states = &material.states;
                let matrix =
                    RecurrenceMatrix::new(states.len(), |i, j| i % length == j % length && states[i] == states[j]);
                recurrence_measures(&matrix)
            })
            .collect();
        let mut row = group.cells();
        row.extend(cells(&measures, options));
        exact.row(row);
    }
    let mut analysis = material.analysis(
        "recurrence",
        vec![
            ("epsilon", Cell::Number(Some(options.epsilon))),
            ("metric", Cell::text("cosine distance 1 − cos")),
            ("shortest_line", Cell::Count(2)),
            bootstrap_cell(&options.bootstrap),
        ],
    );
    analysis.tables.extend([near, exact]);
    analysis.notes.push(
        "The main diagonal is left out of every measure. Runs that stopped in a cycle are measured as stored, not continued: their recurrences are few because \
         the run ended at the first."
            .to_owned(),
    );
    survey.note(&mut analysis);
    Ok(analysis)
}

fn cells(measures: &[Option<RecurrenceMeasures>], options: &Options) -> Vec<Cell> {
    let mean = |of: &dyn Fn(&RecurrenceMeasures) -> Option<f64>| {
        let values: Vec<Option<f64>> = measures.iter().map(|measures| measures.as_ref().and_then(of)).collect();
        mean_cell(&values, &options.bootstrap)
    };
    let measured = measures.iter().flatten();
    let too_short = measures.len() - measured.clone().count();
    let without = measured.filter(|measures| measures.recurrence_rate == 0.0).count();
    vec![
        Cell::count(measures.len()),
        mean(&|m| Some(m.recurrence_rate)),
        mean(&|m| m.determinism),
        mean(&|m| m.mean_diagonal),
        mean(&|m| Some(m.longest_diagonal as f64)),
        mean(&|m| m.laminarity),
        mean(&|m| m.trapping_time),
        remark([
            few_runs(measures.len()),
            (too_short > 0).then(|| format!("{} of fewer than 2 steps left out", counted(too_short, "run"))),
            (without > 0).then(|| format!("{} without recurrences: no DET, LAM", counted(without, "run"))),
        ]),
    ]
}
