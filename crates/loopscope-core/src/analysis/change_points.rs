//! Where trajectories change.

use loopscope_analysis::change_points::{Cost, default_penalty, pelt};

use super::estimate::{bootstrap_cell, counted, few_runs, mean_cell, remark, share_cell};
use super::group::{columns, of_strands};
use super::material::{Material, Strand};
use super::report::{Analysis, Cell, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, CostName, Options};

/// What was found in one trajectory; the end is no break.
struct Found {
    breaks: Vec<usize>,
    penalty: f64,
}

pub(super) fn change_points(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let cost = match options.cost {
        CostName::Cosine => Cost::Cosine,
        CostName::L2 => Cost::L2,
        CostName::Rbf => Cost::Rbf { gamma: 1.0 },
    };
    let bootstrap = &options.bootstrap;
    let mut summary = ResultTable::new(
        "changepoints",
        "Change points of trajectories",
        &columns(
            options.by,
            &[
                ("runs", "runs"),
                ("with_breaks", "with a break (share)"),
                ("breaks", "breaks a run"),
                ("first_break", "first break (turn)"),
                ("penalty", "penalty"),
                ("remark", "remark"),
            ],
        ),
    );
    let mut list = ResultTable::new(
        "breaks",
        "Runs with breaks",
        &columns(options.by, &[("run", "run"), ("turns", "turns"), ("breaks", "first turns of new segments")]),
    );
    let mut survey = Survey::default();
    for embedder in material.embedders() {
        let strands = survey.stored_strands(material, &embedder)?;
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let found = members
                .iter()
                .map(|strand| search(strand, cost, options))
                .collect::<Result<Vec<Option<Found>>, AnalysisError>>()?;
            let of = |of: &dyn Fn(&Found) -> Option<f64>| {
                found.iter().map(|found| found.as_ref().and_then(of)).collect::<Vec<Option<f64>>>()
            };
            let too_short = found.iter().filter(|found| found.is_none()).count();
            let mut row = group.cells();
            row.extend([
                Cell::count(members.len()),
                share_cell(found.iter().map(|found| found.as_ref().map(|f| !f.breaks.is_empty())), bootstrap),
                mean_cell(&of(&|found| Some(found.breaks.len() as f64)), bootstrap),
                mean_cell(&of(&|found| found.breaks.first().map(|&turn| turn as f64)), bootstrap),
                mean_cell(&of(&|found| Some(found.penalty)), bootstrap),
                remark([
                    few_runs(members.len()),
                    (too_short > 0).then(|| {
                        format!(
                            "{} too short for a break: it wants {} turns",
                            counted(too_short, "run"),
                            2 * options.segment_min
                        )
                    }),
                ]),
            ]);
            summary.row(row);
            let with_breaks = members.iter().zip(&found).filter_map(|(strand, found)| {
                found.as_ref().filter(|found| !found.breaks.is_empty()).map(|found| (strand, &found.breaks))
            });
            for (place, (strand, breaks)) in with_breaks.enumerate() {
                if place >= options.top {
                    list.rows_left_out += 1;
                    continue;
                }
                let turns: Vec<String> = breaks.iter().map(usize::to_string).collect();
                let mut row = group.cells();
                row.extend([
                    Cell::Text(material.runs[strand.run].run.id.short()),
                    Cell::count(strand.len()),
                    Cell::Text(turns.join(", ")),
                ]);
                list.row(row);
            }
        }
    }
    let penalty = match options.penalty {
        Some(penalty) => Cell::Number(Some(penalty)),
        None => Cell::text("2 v ln n for each trajectory, v half the mean squared step"),
    };
    let parameters = vec![
        ("method", Cell::text("PELT, exact")),
        ("cost", Cell::text(cost.as_str())),
        ("penalty", penalty),
        ("shortest_segment", Cell::count(options.segment_min)),
        bootstrap_cell(bootstrap),
    ];
    let mut analysis = material.analysis("changepoints", parameters);
    analysis.tables.extend([summary, list]);
    analysis.notes.push(
        "A turn is one pass round the network, from 0; a break is the first turn of a new segment. The chosen penalty takes steps for independent: where a \
         trajectory moves slowly every bend is a break; give --penalty then."
            .to_owned(),
    );
    survey.note(&mut analysis);
    Ok(analysis)
}

fn search(strand: &Strand, cost: Cost, options: &Options) -> Result<Option<Found>, AnalysisError> {
    let series = strand.series()?;
    if series.len() < 2 * options.segment_min.max(1) {
        return Ok(None);
    }
    let penalty = match options.penalty {
        Some(penalty) => penalty,
        None => default_penalty(&series, cost)?,
    };
    let mut breaks = pelt(&series, cost, penalty, options.segment_min)?;
    breaks.pop();
    Ok(Some(Found { breaks, penalty }))
}
