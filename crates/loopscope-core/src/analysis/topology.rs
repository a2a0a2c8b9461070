//! Diagrams across runs: how alike they are, and whether they tell anything that simpler numbers do not.

use std::collections::BTreeMap;

use loopscope_analysis::chance::Chance;
use loopscope_analysis::dynamics::{partial_rank_correlation, rank_correlation, sliding_window};
use loopscope_analysis::series::cosine_distance;
use loopscope_analysis::symbolic::run_lengths;
use ripsaw::{Bar, DiagramMetric, DistanceOptions, GroundNorm, InfiniteBars, Metric, PointCloud, WassersteinOrder};

use super::cycles::repeated_share;
use super::detail::DistanceKind;
use super::divergence::mean_over_pairs;
use super::estimate::{bootstrap_cell, counted, few_runs, mean_cell, remark};
use super::group::{columns, group_of_run, of_strands};
use super::material::{Material, Strand};
use super::report::{Analysis, Cell, Estimate, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};
use crate::experiment::ModelName;

/// More runs than this are sampled before diagrams are compared pair by pair.
const RUNS_MAX: usize = 200;
/// Fewer runs than this say nothing about three covariates.
const CORRELATED_RUNS_MIN: usize = 10;

/// One run's diagram in the space of one embedder.
pub(super) struct Held {
    pub(super) run: usize,
    pub(super) embedder: usize,
    /// Bars by dimension.
    pub(super) bars: Vec<Vec<Bar>>,
}

pub(super) fn topology(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let parameters = vec![
        ("distance", Cell::text("Wasserstein, order 1, L∞ ground norm, exact; bars that never die left out")),
        ("window", Cell::count(options.window)),
        bootstrap_cell(&options.bootstrap),
    ];
    let mut analysis = material.analysis("topology", parameters);
    let (runs, left_out) = sampled_runs(material, options);
    if left_out > 0 {
        analysis.notes.push(format!(
            "diagrams of {} runs are compared; {left_out} were left out by chance, seed {}",
            runs.len(),
            options.bootstrap.seed
        ));
    }
    let held = diagrams(material, &runs)?;
    let missing = runs.len() * material.embedders().len() - held.len();
    if missing > 0 {
        analysis.notes.push(format!("{missing} diagrams are not there: fewer than two points, or not computed yet"));
    }
    analysis.tables.push(entropy_table(material, &held, options)?);
    analysis.tables.push(distance_table(material, &held, options)?);
    let mut survey = Survey::default();
    let periodicity = periodicity_table(material, options, &mut survey)?;
    analysis.tables.push(periodicity);
    analysis.tables.push(verdict_table(material, &held, options)?);
    analysis.notes.push(
        "Does topology tell anything? Each number of a diagram is correlated (Spearman) with what a run does late, then again with the share of repeated outputs, the mean dwell and the \
         number of points taken out of both, over the runs of all networks and prompts. \"keep\" where the interval of the partial correlation leaves 0 out; many pairs are tried, so that one of twenty does by chance."
            .to_owned(),
    );
    survey.note(&mut analysis);
    for embedder in material.embedders() {
        if material.spaces(&embedder)?.len() > 1 {
            let note = "diagrams are as stored, over the vectors of all versions; read nothing into them";
            analysis.notes.push(format!("{embedder}: {note}"));
        }
    }
    Ok(analysis)
}

/// Returns the runs to compare, in order, and how many were left out.
pub(super) fn sampled_runs(material: &Material<'_>, options: &Options) -> (Vec<usize>, usize) {
    let mut runs: Vec<usize> = (0..material.runs.len()).collect();
    let mut chance = Chance::new(options.bootstrap.seed);
    while runs.len() > RUNS_MAX {
        runs.swap_remove(chance.below(runs.len()));
    }
    runs.sort_unstable();
    let left_out = material.runs.len() - runs.len();
    (runs, left_out)
}

pub(super) fn diagrams(material: &Material<'_>, runs: &[usize]) -> Result<Vec<Held>, AnalysisError> {
    let mut held = Vec::new();
    for (embedder, name) in material.embedders().iter().enumerate() {
        for &run in runs {
            if let Some(diagram) = material.store.diagram(material.runs[run].run.id, name)? {
                let bar = |bar: &crate::codec::Bar| Bar { birth: bar.birth, death: bar.death };
                let bars = diagram.dgms.iter().map(|bars| bars.iter().map(bar).collect()).collect();
                held.push(Held { run, embedder, bars });
            }
        }
    }
    Ok(held)
}

fn topological(error: impl std::error::Error + Send + Sync + 'static) -> AnalysisError {
    AnalysisError::Topology(Box::new(error))
}

pub(super) fn entropy_of(held: &Held, dimension: usize) -> Result<Option<f64>, AnalysisError> {
    held.bars.get(dimension).map(|bars| ripsaw::persistent_entropy(bars).map_err(topological)).transpose()
}

fn total_persistence(held: &Held, dimension: usize) -> Option<f64> {
    let bars = held.bars.get(dimension)?;
    Some(bars.iter().map(Bar::length).filter(|length| length.is_finite()).sum())
}

fn entropy_table(material: &Material<'_>, held: &[Held], options: &Options) -> Result<ResultTable, AnalysisError> {
    let mut table = ResultTable::new(
        "entropy",
        "Persistent entropy (nats) and total persistence",
        &columns_without_place(
            options,
            &[
                ("runs", "runs"),
                ("entropy_0", "entropy H0"),
                ("entropy_1", "entropy H1"),
                ("persistence_1", "total persistence H1"),
                ("loops", "bars in H1"),
                ("remark", "remark"),
            ],
        ),
    );
    for (embedder, name) in material.embedders().iter().enumerate() {
        let mut groups: Vec<(Vec<Cell>, Vec<&Held>)> = Vec::new();
        for one in held.iter().filter(|one| one.embedder == embedder) {
            let mut key = vec![Cell::text(name.as_str())];
            key.extend(group_of_run(material, one.run, options.by).cells());
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, members)) => members.push(one),
                None => groups.push((key, vec![one])),
            }
        }
        for (mut row, members) in groups {
            let entropy = |dimension: usize| -> Result<Cell, AnalysisError> {
                let values = members.iter().map(|one| entropy_of(one, dimension)).collect::<Result<Vec<_>, _>>()?;
                Ok(mean_cell(&values, &options.bootstrap))
            };
            let total: Vec<Option<f64>> = members.iter().map(|one| total_persistence(one, 1)).collect();
            let loops: Vec<Option<f64>> =
                members.iter().map(|one| one.bars.get(1).map(|bars| bars.len() as f64)).collect();
            row.extend([
                Cell::count(members.len()),
                entropy(0)?,
                entropy(1)?,
                mean_cell(&total, &options.bootstrap),
                mean_cell(&loops, &options.bootstrap),
                remark([few_runs(members.len())]),
            ]);
            table.row(row);
        }
    }
    Ok(table)
}

fn columns_without_place(
    options: &Options,
    rest: &[(&'static str, &'static str)],
) -> Vec<(&'static str, &'static str)> {
    let mut columns = vec![("embedder", "embedder")];
    columns.extend(super::group::run_columns(options.by, rest));
    columns
}

/// Returns the distances among diagrams in one dimension, as a square matrix in rows.
pub(super) fn matrix_of(members: &[&Held], dimension: usize, threads: usize) -> Result<Vec<f64>, AnalysisError> {
    let metric = DiagramMetric::Wasserstein(WassersteinOrder::One, GroundNorm::LInfinity);
    let distance_options = DistanceOptions::default().with_infinite_bars(InfiniteBars::Drop);
    let empty = Vec::new();
    let bars: Vec<&Vec<Bar>> = members.iter().map(|one| one.bars.get(dimension).unwrap_or(&empty)).collect();
    ripsaw::diagram_distance_matrix(&bars, metric, &distance_options, threads).map_err(topological)
}

/// Compares diagrams within and between prompts and networks, and between embedders.
fn distance_table(material: &Material<'_>, held: &[Held], options: &Options) -> Result<ResultTable, AnalysisError> {
    let mut table = ResultTable::new(
        "wasserstein",
        "Mean Wasserstein distances between diagrams",
        &[
            ("embedder", "embedder"),
            ("pairs_of", "pairs of"),
            ("runs", "runs"),
            ("pairs", "pairs"),
            ("h0", "H0"),
            ("h1", "H1"),
            ("remark", "remark"),
        ],
    );
    let matrix_of = |members: &[&Held], dimension: usize| matrix_of(members, dimension, options.threads);
    for (embedder, name) in material.embedders().iter().enumerate() {
        let members: Vec<&Held> = held.iter().filter(|one| one.embedder == embedder).collect();
        let matrices = [matrix_of(&members, 0)?, matrix_of(&members, 1)?];
        for kind in DistanceKind::ALL {
            let is_kind = |a: usize, b: usize| {
                let key = |place: usize| &material.runs[members[place].run].run.key;
                DistanceKind::of(key(a), key(b)) == kind
            };
            let pairs: Vec<(usize, usize)> =
                (0..members.len()).flat_map(|b| (0..b).map(move |a| (a, b))).filter(|&(a, b)| is_kind(a, b)).collect();
            let estimate = |matrix: &Vec<f64>| {
                let values: Vec<((usize, usize), f64)> =
                    pairs.iter().map(|&(a, b)| ((a, b), matrix[a * members.len() + b])).collect();
                Cell::Estimate(mean_over_pairs(members.len(), &values, options))
            };
            table.row(vec![
                Cell::text(name.as_str()),
                Cell::text(kind.title()),
                Cell::count(members.len()),
                Cell::count(pairs.len()),
                estimate(&matrices[0]),
                estimate(&matrices[1]),
                remark([pairs.is_empty().then(|| "no such pair".to_owned())]),
            ]);
        }
    }
    embedder_rows(material, held, options, &mut table, &matrix_of)?;
    Ok(table)
}

/// Returns the distances among diagrams in one dimension, as a square matrix in rows.
type MatrixOf<'a> = dyn Fn(&[&Held], usize) -> Result<Vec<f64>, AnalysisError> + 'a;

/// Adds a row for each pair of embedders: the same run seen by both.
fn embedder_rows(
    material: &Material<'_>,
    held: &[Held],
    options: &Options,
    table: &mut ResultTable,
    matrix_of: &MatrixOf<'_>,
) -> Result<(), AnalysisError> {
    let embedders: Vec<ModelName> = material.embedders();
    let by_run = |embedder: usize| -> BTreeMap<usize, &Held> {
        held.iter().filter(|one| one.embedder == embedder).map(|one| (one.run, one)).collect()
    };
    for b in 0..embedders.len() {
        for a in 0..b {
            let (of_a, of_b) = (by_run(a), by_run(b));
            let pairs: Vec<[&Held; 2]> = of_a.iter().filter_map(|(run, one)| Some([*one, *of_b.get(run)?])).collect();
            let estimate = |dimension: usize| -> Result<Cell, AnalysisError> {
                let values = pairs
                    .iter()
                    .map(|pair| Ok(matrix_of(pair, dimension)?.get(1).copied()))
                    .collect::<Result<Vec<Option<f64>>, AnalysisError>>()?;
                Ok(mean_cell(&values, &options.bootstrap))
            };
            table.row(vec![
                Cell::Text(format!("{}, {}", embedders[a], embedders[b])),
                Cell::text("same run, other embedder"),
                Cell::count(pairs.len()),
                Cell::count(pairs.len()),
                estimate(0)?,
                estimate(1)?,
                remark([pairs.is_empty().then(|| "no run has both".to_owned())]),
            ]);
        }
    }
    Ok(())
}

fn periodicity_table(
    material: &Material<'_>,
    options: &Options,
    survey: &mut Survey,
) -> Result<ResultTable, AnalysisError> {
    let mut table = ResultTable::new(
        "periodicity",
        "Sliding-window persistence: largest bar of H1 over √3, 1 for a pure turn",
        &columns(options.by, &[("runs", "runs"), ("periodicity", "periodicity"), ("remark", "remark")]),
    );
    for embedder in material.embedders() {
        let strands = survey.stored_strands(material, &embedder)?;
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let scores = members
                .iter()
                .map(|strand| periodicity(strand, options.window))
                .collect::<Result<Vec<Option<f64>>, AnalysisError>>()?;
            let too_short = scores.iter().filter(|score| score.is_none()).count();
            let mut row = group.cells();
            row.extend([
                Cell::count(members.len()),
                mean_cell(&scores, &options.bootstrap),
                remark([
                    few_runs(members.len()),
                    (too_short > 0).then(|| format!("{} with fewer than 4 windows", counted(too_short, "run"))),
                ]),
            ]);
            table.row(row);
        }
    }
    Ok(table)
}

fn periodicity(strand: &Strand, window: usize) -> Result<Option<f64>, AnalysisError> {
    let windows = sliding_window(&strand.series()?, window, 1);
    if windows.count < 4 {
        return Ok(None);
    }
    let cloud = PointCloud::new(&windows.values, windows.count, windows.dimension).map_err(topological)?;
    let options = ripsaw::Options::default().with_max_dimension(1);
    let persistence = ripsaw::persistence_of_points(&cloud, Metric::Euclidean, &options).map_err(topological)?;
    let longest =
        persistence.diagrams.get(1).into_iter().flatten().map(Bar::length).filter(|length| length.is_finite());
    Ok(Some(longest.fold(0.0, f64::max) / 3.0_f64.sqrt()))
}

/// What a run does late, and what explains it without topology.
struct Late {
    drift: f64,
    step: f64,
    repeated: f64,
    dwell: f64,
    points: f64,
}

fn late(material: &Material<'_>, strands: &[Strand], run: usize, epsilon: f64) -> Option<Late> {
    let strand = strands.iter().find(|strand| strand.run == run && strand.len() >= 4)?;
    let n = strand.len();
    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
    let first = strand.vector(0)?;
    let distance = |a: usize, b: usize| Some(cosine_distance(strand.vector(a)?, strand.vector(b)?));
    let drifts: Vec<f64> =
        (n / 2..n).map(|turn| Some(cosine_distance(first, strand.vector(turn)?))).collect::<Option<_>>()?;
    let steps: Vec<f64> = (n / 2..n).map(|turn| distance(turn - 1, turn)).collect::<Option<_>>()?;
    let stays: Vec<bool> =
        (1..n).map(|turn| distance(turn - 1, turn).map(|step| step <= epsilon)).collect::<Option<_>>()?;
    // A dwell of k turns is k − 1 steps that stay; a step that leaves ends one.
    let dwells = run_lengths(&stays).iter().filter(|(stays, _)| !stays).map(|(_, length)| length).sum::<usize>() + 1;
    Some(Late {
        drift: mean(drifts),
        step: mean(steps),
        repeated: repeated_share(&material.runs[run])?,
        dwell: n as f64 / dwells as f64,
        points: material.runs[run].states.len() as f64,
    })
}

fn verdict_table(material: &Material<'_>, held: &[Held], options: &Options) -> Result<ResultTable, AnalysisError> {
    let mut table = ResultTable::new(
        "verdict",
        "Does topology tell more than repeats and dwell times?",
        &[
            ("embedder", "embedder"),
            ("topology", "topology"),
            ("outcome", "late"),
            ("runs", "runs"),
            ("correlation", "ρ"),
            ("partial", "partial ρ"),
            ("verdict", "verdict"),
        ],
    );
    for (embedder, name) in material.embedders().iter().enumerate() {
        let strands = material.strands(name)?.strands;
        let mut rows: Vec<(&Held, Late)> = Vec::new();
        for one in held.iter().filter(|one| one.embedder == embedder) {
            if let Some(late) = late(material, &strands, one.run, options.epsilon) {
                rows.push((one, late));
            }
        }
        let entropies = rows.iter().map(|(one, _)| entropy_of(one, 1)).collect::<Result<Vec<_>, _>>()?;
        let totals: Vec<Option<f64>> = rows.iter().map(|(one, _)| total_persistence(one, 1)).collect();
        let zeros = |values: Vec<Option<f64>>| values.into_iter().map(Option::unwrap_or_default).collect::<Vec<f64>>();
        let numbers = [("entropy H1", zeros(entropies)), ("total persistence H1", zeros(totals))];
        let of = |of: fn(&Late) -> f64| rows.iter().map(|(_, late)| of(late)).collect::<Vec<f64>>();
        let outcomes = [("drift from the first output", of(|late| late.drift)), ("mean step", of(|late| late.step))];
        let given = [of(|late| late.repeated), of(|late| late.dwell), of(|late| late.points)];
        for (number_name, number) in &numbers {
            for (outcome_name, outcome) in &outcomes {
                let (correlation, partial, verdict) = correlate(number, outcome, &given, options);
                table.row(vec![
                    Cell::text(name.as_str()),
                    Cell::text(*number_name),
                    Cell::text(*outcome_name),
                    Cell::count(rows.len()),
                    correlation,
                    partial,
                    Cell::text(verdict),
                ]);
            }
        }
    }
    Ok(table)
}

fn correlate(number: &[f64], outcome: &[f64], given: &[Vec<f64>], options: &Options) -> (Cell, Cell, &'static str) {
    if number.len() < CORRELATED_RUNS_MIN {
        return (Cell::Number(None), Cell::Number(None), "too few runs: 10 at least");
    }
    let pick = |list: &[f64], runs: &[usize]| runs.iter().map(|&run| list[run]).collect::<Vec<f64>>();
    let statistics = |runs: &[usize]| {
        let (a, b) = (pick(number, runs), pick(outcome, runs));
        let given: Vec<Vec<f64>> = given.iter().map(|list| pick(list, runs)).collect();
        let given: Vec<&[f64]> = given.iter().map(Vec::as_slice).collect();
        vec![rank_correlation(&a, &b), partial_rank_correlation(&a, &b, &given)]
    };
    let every: Vec<usize> = (0..number.len()).collect();
    let values = statistics(&every);
    let intervals = options.bootstrap.intervals(number.len(), 2, statistics);
    let verdict = match (values[1], intervals[1]) {
        (Some(_), Some(ends)) if ends.low > 0.0 || ends.high < 0.0 => "keep",
        (Some(_), Some(_)) => "no evidence",
        _ => "does not apply: nothing left to correlate",
    };
    let cell = |index: usize| Cell::Estimate(Estimate { value: values[index], interval: intervals[index] });
    (cell(0), cell(1), verdict)
}
