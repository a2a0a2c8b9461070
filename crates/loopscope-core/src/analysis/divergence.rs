//! How fast runs of one prompt part.

use loopscope_analysis::dynamics::{FiniteTimeLyapunov, finite_time_lyapunov};
use loopscope_analysis::series::euclidean_distance;

use super::estimate::{bootstrap_cell, counted, remark};
use super::group::{columns, of_strands};
use super::material::{Material, Strand};
use super::report::{Analysis, Cell, Estimate, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};

/// Above this share of saturated points a rate says how large the space is.
const SATURATED_MAX: f64 = 0.5;

/// Two runs of a group, by place in it, with what became of their distance.
pub(super) struct Pair {
    pub(super) runs: (usize, usize),
    pub(super) exponent: Option<FiniteTimeLyapunov>,
    /// At the same turn, from the first; at least one.
    pub(super) distances: Vec<f64>,
    last_distance: f64,
}

pub(super) fn divergence(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let mut table = ResultTable::new(
        "divergence",
        "Finite-time Lyapunov exponents between runs of one network and prompt",
        &columns(
            options.by,
            &[
                ("runs", "runs"),
                ("pairs", "pairs"),
                ("rate", "λ (nats a turn)"),
                ("r_squared", "R²"),
                ("saturated", "saturated (share)"),
                ("last_distance", "last distance"),
                ("remark", "remark"),
            ],
        ),
    );
    let mut survey = Survey::default();
    for embedder in material.embedders() {
        let strands = survey.strands(material, &embedder)?;
        for (group, members) in of_strands(material, &strands, embedder.as_str(), options.by) {
            let pairs = pairs(material, &members)?;
            let mut row = group.cells();
            row.extend(cells(&members, &pairs, options));
            table.row(row);
        }
    }
    let mut analysis = material.analysis(
        "divergence",
        vec![("metric", Cell::text("Euclidean, vectors as stored")), bootstrap_cell(&options.bootstrap)],
    );
    analysis.tables.push(table);
    analysis.notes.push(
        "λ is the slope of ln d(t) over all turns that both runs have, d being their distance at the same turn; intervals resample runs, and with them \
         the pairs they are in. In a bounded space d stops growing: where most points are saturated λ is no exponent."
            .to_owned(),
    );
    survey.note(&mut analysis);
    Ok(analysis)
}

pub(super) fn pairs(material: &Material<'_>, members: &[&Strand]) -> Result<Vec<Pair>, AnalysisError> {
    let mut pairs = Vec::new();
    for b in 0..members.len() {
        for a in 0..b {
            let key = |index: usize| &material.runs[members[index].run].run.key;
            if (&key(a).network, &key(a).initial_prompt) != (&key(b).network, &key(b).initial_prompt) {
                continue;
            }
            let turns = members[a].continued_len().min(members[b].continued_len());
            let distances: Vec<f64> = (0..turns)
                .filter_map(|turn| Some(euclidean_distance(members[a].vector(turn)?, members[b].vector(turn)?)))
                .collect();
            let Some(&last_distance) = distances.last() else { continue };
            let exponent = finite_time_lyapunov(&distances)?;
            pairs.push(Pair { runs: (a, b), exponent, distances, last_distance });
        }
    }
    Ok(pairs)
}

fn cells(members: &[&Strand], pairs: &[Pair], options: &Options) -> Vec<Cell> {
    let estimate = |of: &dyn Fn(&Pair) -> Option<f64>| {
        let values: Vec<((usize, usize), f64)> = pairs.iter().filter_map(|pair| Some((pair.runs, of(pair)?))).collect();
        Cell::Estimate(mean_over_pairs(members.len(), &values, options))
    };
    let together = pairs.iter().filter(|pair| pair.exponent.is_none()).count();
    let saturated = pairs.iter().filter(|p| p.exponent.is_some_and(|e| e.saturated > SATURATED_MAX)).count();
    let zeros: usize = pairs.iter().filter_map(|pair| pair.exponent.map(|exponent| exponent.zeros)).sum();
    vec![
        Cell::count(members.len()),
        Cell::count(pairs.len()),
        estimate(&|pair| pair.exponent.map(|exponent| exponent.rate)),
        estimate(&|pair| pair.exponent.map(|exponent| exponent.r_squared)),
        estimate(&|pair| pair.exponent.map(|exponent| exponent.saturated)),
        estimate(&|pair| Some(pair.last_distance)),
        remark([
            pairs.is_empty().then(|| "no two runs of one network and prompt".to_owned()),
            (together > 0).then(|| format!("{} without two distances above 0: no λ", counted(together, "pair"))),
            (zeros > 0).then(|| format!("{} of 0 left out", counted(zeros, "distance"))),
            (2 * saturated > pairs.len()).then(|| "saturated: λ is no exponent here".to_owned()),
        ]),
    ]
}

/// Returns the mean over pairs; a resample of runs weighs a pair by how often both its runs were drawn.
pub(super) fn mean_over_pairs(run_count: usize, values: &[((usize, usize), f64)], options: &Options) -> Estimate {
    let mean = |weight: &dyn Fn((usize, usize)) -> f64| {
        let (mut sum, mut total) = (0.0, 0.0);
        for &(pair, value) in values {
            let weight = weight(pair);
            sum += weight * value;
            total += weight;
        }
        (total > 0.0).then(|| sum / total)
    };
    let interval = options.bootstrap.interval(run_count, |runs| {
        let mut times = vec![0.0; run_count];
        runs.iter().for_each(|&run| times[run] += 1.0);
        mean(&|(a, b)| times[a] * times[b])
    });
    Estimate { value: mean(&|_| 1.0), interval: interval.filter(|_| !values.is_empty()) }
}
