//! The chain of clusters: how it forgets, where it stays, where it ends.

use loopscope_analysis::linear::SquareMatrix;
use loopscope_analysis::markov::{
    ActiveSet, MarkovError, MetastableSets, TransitionCounts, TransitionMatrix, absorption, active_set,
    chapman_kolmogorov, communicating_classes, eigenvalues, entropy_production, implied_timescales, last_core,
    maximum_likelihood, mean_first_passage_times, pcca, reversible_maximum_likelihood, stationary_distribution,
};

use super::estimate::{bootstrap_cell, counted, few_runs, remark};
use super::group::{Group, columns};
use super::labels::{Labels, each_labelled_group};
use super::material::Material;
use super::report::{Analysis, Cell, Estimate, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};

/// Multiples of the lag at which the chain is tested.
const MULTIPLES: [usize; 3] = [2, 3, 5];
/// Predictions within so many standard errors agree.
const STANDARD_ERRORS: f64 = 2.0;
/// Most sets that a chain is divided into without being asked.
const SETS_MAX: usize = 5;

pub(super) fn markov(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let mut tables = tables(options);
    let parameters = vec![
        ("lag", Cell::count(options.lag)),
        ("milestoning", Cell::text(if options.milestoning { "last core visited" } else { "no" })),
        ("matrix", Cell::text("maximum likelihood, not made reversible, on the active set")),
        bootstrap_cell(&options.bootstrap),
    ];
    let mut analysis = material.analysis("markov", parameters);
    let mut survey = Survey::default();
    each_labelled_group(material, options, (&mut analysis, &mut survey), |group, mut sequences, labels| {
        if options.milestoning {
            sequences.iter_mut().for_each(|sequence| *sequence = last_core(sequence));
        }
        add_chain(group, &sequences, labels, options, &mut tables)
    })?;
    analysis.tables.extend(tables);
    analysis.notes.push(format!(
        "The active set is the largest set of clusters that all reach each other; kept is its share of counts. t₂ and t₃ are implied timescales. Entropy production counts \
         pairs seen both ways, a lower bound. CK: states whose share of returns after {MULTIPLES:?} lags is within {STANDARD_ERRORS} standard errors of the chain's. Sets: PCCA+ on the \
         reversible estimate, as many as the largest gap of its timescales says; crispness is 1 where every state belongs to one alone. Return is 1/π lags; passage is the mean time to a state from the others by π."
    ));
    survey.note(&mut analysis);
    Ok(analysis)
}

fn tables(options: &Options) -> [ResultTable; 4] {
    let chains = ResultTable::new(
        "markov",
        "Chains of clusters",
        &columns(
            options.by,
            &[
                ("runs", "runs"),
                ("transitions", "transitions"),
                ("visited", "visited"),
                ("active", "active"),
                ("share_kept", "kept (share)"),
                ("t2", "t₂ (turns)"),
                ("t3", "t₃ (turns)"),
                ("entropy_production", "entropy prod. (nats a lag)"),
                ("chapman_kolmogorov", "CK agreeing"),
                ("sets", "sets"),
                ("crispness", "crispness"),
                ("closed_classes", "closed"),
                ("remark", "remark"),
            ],
        ),
    );
    let states = ResultTable::new(
        "states",
        "States of the active set",
        &columns(
            options.by,
            &[
                ("cluster", "cluster"),
                ("stationary", "π"),
                ("return_time", "return (lags)"),
                ("passage", "passage (lags)"),
                ("set", "set"),
            ],
        ),
    );
    let memberships = ResultTable::new(
        "memberships",
        "Memberships of states in metastable sets (PCCA+)",
        &columns(options.by, &[("cluster", "cluster"), ("set", "set"), ("membership", "membership")]),
    );
    let ends = ResultTable::new(
        "absorption",
        "Clusters that are left for good, and where they end",
        &columns(
            options.by,
            &[
                ("cluster", "from"),
                ("end", "ends in"),
                ("probability", "probability"),
                ("expected_steps", "expected (lags)"),
            ],
        ),
    );
    [chains, states, memberships, ends]
}

fn add_chain(
    group: &Group,
    sequences: &[Vec<Option<usize>>],
    labels: &Labels,
    options: &Options,
    [chains, states, memberships, ends]: &mut [ResultTable; 4],
) -> Result<(), AnalysisError> {
    let state_count = labels.names.len();
    let Chain { by_run, counts, visited, estimate } = chain(sequences, state_count, options.lag)?;
    let mut row = group.cells();
    row.extend([Cell::count(sequences.len()), Cell::count(counts.total() as usize), Cell::count(visited.len())]);
    let Some(ChainEstimate { active, kept, matrix, law, times }) = estimate else {
        row.extend(std::iter::repeat_n(Cell::Number(None), 9));
        row.push(Cell::text("no two neighbouring turns are in clusters"));
        chains.row(row);
        return Ok(());
    };
    let mut in_pieces = 0;
    let intervals = options.bootstrap.intervals(sequences.len(), 2 + active.states.len(), |runs| {
        let answers = resampled(&by_run, runs, &active.states, options.lag);
        in_pieces += usize::from(answers[0].is_some_and(f64::is_infinite));
        answers
    });
    let time = |index: usize| {
        Cell::Estimate(Estimate { value: times.get(index).copied(), interval: times.get(index).and(intervals[index]) })
    };
    let sets = metastable(&kept);
    let slices: Vec<&[Option<usize>]> = sequences.iter().map(Vec::as_slice).collect();
    let tests = chapman_kolmogorov(&slices, state_count, options.lag, &MULTIPLES)?;
    let (agreeing, tested) = tests.iter().fold((0, 0), |(agreeing, tested), test| {
        (agreeing + test.agreeing(STANDARD_ERRORS), tested + test.states.len())
    });
    // On everything visited, with what was seen last made to stay: where does it end?
    let (whole, without_end) = maximum_likelihood(&counts.matrix().restricted(&visited))?;
    let closed = communicating_classes(whole.matrix()).iter().filter(|class| class.is_closed).count();
    let sets_cell = sets.as_ref().map_or(Cell::Number(None), |sets| Cell::count(set_count(sets)));
    let production = entropy_production(&matrix, &law);
    row.extend([
        Cell::count(active.states.len()),
        Cell::Number(Some(active.share_kept)),
        time(0),
        time(1),
        Cell::Number((active.states.len() > 1).then_some(production.two_way_rate)),
        Cell::Text(format!("{agreeing}/{tested}")),
        sets_cell,
        Cell::Number(sets.as_ref().map(|sets| sets.crispness)),
        Cell::count(closed),
        remark([
            few_runs(sequences.len()),
            (active.states.len() == 1).then(|| "one state only: no timescales".to_owned()),
            (in_pieces > 0).then(|| {
                let resamples = options.bootstrap.resamples;
                format!("{in_pieces} of {resamples} resamples fall into pieces: t₂ is infinite there")
            }),
            (active.states.len() < visited.len())
                .then(|| format!("{} outside the active set", counted(visited.len() - active.states.len(), "cluster"))),
            (production.one_way_pairs > 0)
                .then(|| format!("{} seen one way only", counted(production.one_way_pairs, "pair"))),
            (!without_end.is_empty())
                .then(|| format!("{} never left nor stayed in", counted(without_end.len(), "cluster"))),
        ]),
    ]);
    chains.row(row);
    states.rows_left_out += active.states.len().saturating_sub(options.top);
    let mut order: Vec<usize> = (0..active.states.len()).collect();
    order.sort_by(|&a, &b| law[b].total_cmp(&law[a]).then(a.cmp(&b)));
    for &place in order.iter().take(options.top) {
        let passage = mean_first_passage_times(&matrix, &[place])?;
        let rest = 1.0 - law[place];
        let mean_passage: f64 = passage.iter().zip(&law).map(|(time, weight)| time * weight).sum::<f64>() / rest;
        let mut row = group.cells();
        row.extend([
            Cell::text(&labels.names[active.states[place]]),
            Cell::Estimate(Estimate { value: Some(law[place]), interval: intervals[2 + place] }),
            Cell::Number(Some(1.0 / law[place])),
            Cell::Number((active.states.len() > 1).then_some(mean_passage)),
            sets.as_ref().map_or(Cell::Number(None), |sets| Cell::count(sets.set_of[place] + 1)),
        ]);
        states.row(row);
    }
    if let Some(sets) = &sets {
        memberships.rows_left_out += active.states.len().saturating_sub(options.top) * set_count(sets);
        for &place in order.iter().take(options.top) {
            for (set, &membership) in sets.memberships[place].iter().enumerate() {
                let mut row = group.cells();
                let name = Cell::text(&labels.names[active.states[place]]);
                row.extend([name, Cell::count(set + 1), Cell::Number(Some(membership))]);
                memberships.row(row);
            }
        }
    }
    absorption_rows(group, &whole, &visited, labels, options, ends)
}

/// The transitions of some sequences, and the chain that is likeliest to make them.
pub(super) struct Chain {
    pub(super) by_run: Vec<TransitionCounts>,
    pub(super) counts: TransitionCounts,
    /// Ascending.
    pub(super) visited: Vec<usize>,
    /// `None` without transitions.
    pub(super) estimate: Option<ChainEstimate>,
}

/// A chain on its active set.
pub(super) struct ChainEstimate {
    pub(super) active: ActiveSet,
    /// The counts within the active set.
    kept: SquareMatrix,
    pub(super) matrix: TransitionMatrix,
    pub(super) law: Vec<f64>,
    /// Implied timescales in turns, the slowest first.
    pub(super) times: Vec<f64>,
}

/// Counts transitions at a lag and estimates the chain on the active set.
pub(super) fn chain(sequences: &[Vec<Option<usize>>], state_count: usize, lag: usize) -> Result<Chain, AnalysisError> {
    let by_run = sequences
        .iter()
        .map(|sequence| TransitionCounts::of([sequence.as_slice()], state_count, lag))
        .collect::<Result<Vec<_>, MarkovError>>()?;
    let mut counts = TransitionCounts::new(state_count, lag)?;
    by_run.iter().for_each(|run| counts.add(run));
    let mut visited: Vec<usize> = sequences.iter().flatten().copied().flatten().collect();
    visited.sort_unstable();
    visited.dedup();
    if counts.total() == 0.0 {
        return Ok(Chain { by_run, counts, visited, estimate: None });
    }
    let active = active_set(&counts);
    let kept = counts.matrix().restricted(&active.states);
    let (matrix, _) = maximum_likelihood(&kept)?;
    let law = stationary_distribution(&matrix)?;
    let times = implied_timescales(&eigenvalues(&matrix)?, lag);
    Ok(Chain { by_run, counts, visited, estimate: Some(ChainEstimate { active, kept, matrix, law, times }) })
}

/// Returns the first two timescales and the stationary law of resampled runs, on the active set of all of them.
///
/// What a resample never visits is no state of its chain. What it visits it may not connect: its slowest process is then
/// infinite, and it has no stationary law.
pub(super) fn resampled(by_run: &[TransitionCounts], runs: &[usize], active: &[usize], lag: usize) -> Vec<Option<f64>> {
    let missing = || vec![None; 2 + active.len()];
    let mut sum = SquareMatrix::zeros(active.len());
    runs.iter().for_each(|&run| sum.add(&by_run[run].matrix().restricted(active)));
    let is_visited =
        |state: &usize| (0..active.len()).any(|other| sum.get(*state, other) + sum.get(other, *state) > 0.0);
    let visited: Vec<usize> = (0..active.len()).filter(is_visited).collect();
    let Ok((matrix, _)) = maximum_likelihood(&sum.restricted(&visited)) else { return missing() };
    let Ok(values) = eigenvalues(&matrix) else { return missing() };
    let times = implied_timescales(&values, lag);
    let mut answers: Vec<Option<f64>> = (0..2).map(|index| times.get(index).copied()).collect();
    match stationary_distribution(&matrix) {
        Ok(law) => {
            let mut all = vec![Some(0.0); active.len()];
            visited.iter().zip(law).for_each(|(&state, weight)| all[state] = Some(weight));
            answers.extend(all);
        }
        Err(_) => answers.extend(vec![None; active.len()]),
    }
    answers
}

/// Divides the reversible estimate at its largest gap of timescales; `None` for fewer than 3 states or where it does not settle.
fn metastable(kept: &SquareMatrix) -> Option<MetastableSets> {
    if kept.size() < 3 {
        return None;
    }
    let (matrix, law) = reversible_maximum_likelihood(kept).ok()?;
    let times = implied_timescales(&eigenvalues(&matrix).ok()?, 1);
    // With m sets, m − 1 processes are slow: the gap is between the last slow one and the first fast one.
    let ratio = |sets: usize| times[sets - 2] / times[sets - 1].max(f64::MIN_POSITIVE);
    let count = (2..=SETS_MAX.min(kept.size() - 1)).max_by(|&a, &b| ratio(a).total_cmp(&ratio(b)).then(b.cmp(&a)))?;
    pcca(&matrix, &law, count).ok()
}

fn set_count(sets: &MetastableSets) -> usize {
    sets.memberships.first().map_or(0, Vec::len)
}

fn absorption_rows(
    group: &Group,
    whole: &TransitionMatrix,
    visited: &[usize],
    labels: &Labels,
    options: &Options,
    table: &mut ResultTable,
) -> Result<(), AnalysisError> {
    let answer = absorption(whole)?;
    let mut rows = Vec::new();
    for (place, &from) in answer.transient.iter().enumerate() {
        for (class, &probability) in answer.closed_classes.iter().zip(&answer.probabilities[place]) {
            if probability > 0.0 {
                let first = &labels.names[visited[class[0]]];
                let end = match class.len() {
                    1 => first.clone(),
                    more => format!("{first} and {} more", more - 1),
                };
                let mut row = group.cells();
                row.extend([
                    Cell::text(&labels.names[visited[from]]),
                    Cell::Text(end),
                    Cell::Number(Some(probability)),
                    Cell::Number(Some(answer.expected_steps[place])),
                ]);
                rows.push(row);
            }
        }
    }
    table.rows_left_out += rows.len().saturating_sub(options.top);
    rows.into_iter().take(options.top).for_each(|row| table.row(row));
    Ok(())
}
