//! Contractive, oscillatory or exploratory.

use loopscope_analysis::dynamics::{Regime, RegimeOptions, RegimeReport, regime};

use super::estimate::{bootstrap_cell, counted, few_runs, mean_cell, remark, share_cell};
use super::group::{columns, of_strands};
use super::material::Material;
use super::report::{Analysis, Cell, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};

pub(super) fn regimes(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let bootstrap = &options.bootstrap;
    let rule = RegimeOptions { epsilon: options.epsilon, ..RegimeOptions::default() };
    let mut table = ResultTable::new(
        "regimes",
        "What the second half of trajectories does",
        &columns(
            options.by,
            &[
                ("runs", "runs"),
                ("contractive", "contractive (share)"),
                ("oscillatory", "oscillatory (share)"),
                ("exploratory", "exploratory (share)"),
                ("local_step", "median step (1 − cos)"),
                ("dispersion", "dispersion (1 − cos)"),
                ("remark", "remark"),
            ],
        ),
    );
    let mut survey = Survey::default();
    for embedder in material.embedders() {
        let strands = survey.strands(material, &embedder)?;
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let reports = members
                .iter()
                .map(|strand| {
                    let values: Vec<f32> =
                        (0..strand.continued_len()).filter_map(|turn| strand.vector(turn)).flatten().copied().collect();
                    let dimension = strand.series()?.dimension();
                    let whole = loopscope_analysis::series::Series::new(&values, values.len() / dimension, dimension)?;
                    regime(&whole, &rule)
                })
                .collect::<Result<Vec<Option<RegimeReport>>, _>>()?;
            let share = |wanted: Regime| {
                share_cell(reports.iter().map(|report| report.map(|report| report.regime == wanted)), bootstrap)
            };
            let too_short = reports.iter().filter(|report| report.is_none()).count();
            let mut row = group.cells();
            row.extend([
                Cell::count(members.len()),
                share(Regime::Contractive),
                share(Regime::Oscillatory),
                share(Regime::Exploratory),
                mean_cell(&reports.iter().map(|r| r.map(|r| r.local_step)).collect::<Vec<_>>(), bootstrap),
                mean_cell(&reports.iter().map(|r| r.map(|r| r.dispersion)).collect::<Vec<_>>(), bootstrap),
                remark([
                    few_runs(members.len()),
                    (too_short > 0).then(|| format!("{} too short: a regime wants 7 turns", counted(too_short, "run"))),
                ]),
            ]);
            table.row(row);
        }
    }
    let mut analysis = material.analysis(
        "regimes",
        vec![
            ("epsilon", Cell::Number(Some(rule.epsilon))),
            ("tail", Cell::Number(Some(rule.tail))),
            ("share", Cell::Number(Some(rule.share))),
            bootstrap_cell(bootstrap),
        ],
    );
    analysis.tables.push(table);
    analysis.notes.push(format!(
        "Contractive: {} of neighbours and of all pairs in the tail within ε. Oscillatory: not so, but within ε again after a fixed number of turns. \
         Exploratory: neither.",
        rule.share
    ));
    survey.note(&mut analysis);
    Ok(analysis)
}
