//! How long until a chain is somewhere, and where it ends.

use super::{MarkovError, TransitionMatrix, communicating_classes};
use crate::linear::{SquareMatrix, solve};

/// Where a chain ends, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Absorption {
    /// The states that the chain leaves for good, ascending.
    pub transient: Vec<usize>,
    /// The closed classes that it ends in, by first state, each ascending; a single state is an absorbing one.
    pub closed_classes: Vec<Vec<usize>>,
    /// Expected lags from each transient state until a closed class is reached.
    pub expected_steps: Vec<f64>,
    /// From each transient state, the probability of ending in each closed class; each row adds up to 1.
    pub probabilities: Vec<Vec<f64>>,
}

/// Returns where a chain ends: its closed classes, the probability of each, and the expected time until then, in lags.
///
/// A connected chain is one closed class, with no transient state. O(K³) time.
///
/// # Errors
///
/// [`MarkovError::NoConvergence`] where the equations are singular to working precision: leaving is less likely than 10⁻¹⁶.
///
/// Reference: `kemeny1976`, chapter 3: N = (I − Q)⁻¹, t = N 1, B = N R.
pub fn absorption(matrix: &TransitionMatrix) -> Result<Absorption, MarkovError> {
    let (closed, open): (Vec<_>, Vec<_>) =
        communicating_classes(matrix.matrix()).into_iter().partition(|class| class.is_closed);
    let closed_classes: Vec<Vec<usize>> = closed.into_iter().map(|class| class.states).collect();
    let mut transient: Vec<usize> = open.into_iter().flat_map(|class| class.states).collect();
    transient.sort_unstable();
    let into = |state: usize, class: &Vec<usize>| class.iter().map(|&to| matrix.matrix().get(state, to)).sum::<f64>();
    let mut columns = vec![vec![1.0; transient.len()]];
    columns.extend(closed_classes.iter().map(|class| transient.iter().map(|&state| into(state, class)).collect()));
    let mut solved = solve(&without_staying(matrix, &transient), &columns)
        .ok_or(MarkovError::NoConvergence { what: "the time until absorption", steps: 1 })?
        .into_iter();
    let expected_steps = solved.next().unwrap_or_default();
    let by_class: Vec<Vec<f64>> = solved.collect();
    let probabilities = (0..transient.len()).map(|row| by_class.iter().map(|column| column[row]).collect()).collect();
    Ok(Absorption { transient, closed_classes, expected_steps, probabilities })
}

/// Returns the mean first passage time from each state to a set of states, in lags, length K.
///
/// It is 0 within the set, and infinite from every state that may never arrive. O(K³) time.
///
/// # Errors
///
/// [`MarkovError::NoTarget`] when no target is a state; [`MarkovError::NoConvergence`] as for [`absorption`].
///
/// Reference: `kemeny1976`, chapter 4.
pub fn mean_first_passage_times(matrix: &TransitionMatrix, targets: &[usize]) -> Result<Vec<f64>, MarkovError> {
    let size = matrix.state_count();
    let is_target: Vec<bool> = (0..size).map(|state| targets.contains(&state)).collect();
    if !is_target.contains(&true) {
        return Err(MarkovError::NoTarget);
    }
    // Who may get lost: who reaches, before any target, a state from which there is no way to one.
    let arrives = reaching(matrix, &is_target, |_| true);
    let lost: Vec<bool> = arrives.iter().map(|arrives| !arrives).collect();
    let may_be_lost = reaching(matrix, &lost, |state| !is_target[state]);
    let sure: Vec<usize> = (0..size).filter(|&state| !is_target[state] && !may_be_lost[state]).collect();
    let solved = solve(&without_staying(matrix, &sure), &[vec![1.0; sure.len()]])
        .ok_or(MarkovError::NoConvergence { what: "the passage time", steps: 1 })?;
    let mut times: Vec<f64> = is_target.iter().map(|&here| if here { 0.0 } else { f64::INFINITY }).collect();
    for (&state, &time) in sure.iter().zip(solved.iter().flatten()) {
        times[state] = time;
    }
    Ok(times)
}

/// Returns I − Q for the rows and columns of these states.
fn without_staying(matrix: &TransitionMatrix, states: &[usize]) -> SquareMatrix {
    let mut equations = matrix.matrix().restricted(states);
    for (row, &state) in states.iter().enumerate() {
        equations.row_mut(row).iter_mut().for_each(|value| *value = -*value);
        // 1 − p as the sum of the others keeps its digits where a state is nearly absorbing.
        let others = matrix.matrix().row(state).iter().enumerate().filter(|&(to, _)| to != state);
        equations.set(row, row, others.map(|(_, probability)| probability).sum());
    }
    equations
}

/// Says which states are in the set or reach it, passing only through states where `may_pass`.
fn reaching(matrix: &TransitionMatrix, set: &[bool], may_pass: impl Fn(usize) -> bool) -> Vec<bool> {
    let mut reaches = set.to_vec();
    let mut grown: Vec<usize> = (0..set.len()).filter(|&state| set[state]).collect();
    while let Some(to) = grown.pop() {
        for (from, reaches) in reaches.iter_mut().enumerate() {
            if !*reaches && may_pass(from) && matrix.matrix().get(from, to) > 0.0 {
                *reaches = true;
                grown.push(from);
            }
        }
    }
    reaches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fair or unfair gambler on 0..=n, absorbed at both ends.
    fn gambler(n: usize, up: f64) -> TransitionMatrix {
        let mut matrix = SquareMatrix::zeros(n + 1);
        matrix.set(0, 0, 1.0);
        matrix.set(n, n, 1.0);
        for state in 1..n {
            matrix.set(state, state + 1, up);
            matrix.set(state, state - 1, 1.0 - up);
        }
        TransitionMatrix::new(matrix).unwrap()
    }

    #[test]
    fn the_gambler_is_ruined_as_often_as_theory_says() {
        let n = 12;
        let fair = absorption(&gambler(n, 0.5)).unwrap();
        assert_eq!(fair.closed_classes, [vec![0], vec![n]]);
        for (row, &state) in fair.transient.iter().enumerate() {
            assert!((fair.probabilities[row][1] - state as f64 / n as f64).abs() < 1e-12);
            assert!((fair.expected_steps[row] - (state * (n - state)) as f64).abs() < 1e-10);
        }
        let up = 0.4_f64;
        let odds = (1.0 - up) / up;
        let unfair = absorption(&gambler(n, up)).unwrap();
        for (row, &state) in unfair.transient.iter().enumerate() {
            let wins = (1.0 - odds.powi(state as i32)) / (1.0 - odds.powi(n as i32));
            assert!((unfair.probabilities[row][1] - wins).abs() < 1e-12);
            let steps = (state as f64 - n as f64 * wins) / (1.0 - 2.0 * up);
            assert!((unfair.expected_steps[row] - steps).abs() < 1e-10);
        }
    }

    #[test]
    fn who_may_never_arrive_waits_for_ever() {
        let times = mean_first_passage_times(&gambler(4, 0.5), &[4]).unwrap();
        assert_eq!(times, [f64::INFINITY, f64::INFINITY, f64::INFINITY, f64::INFINITY, 0.0]);
        // Both ends are targets: everyone arrives.
        let times = mean_first_passage_times(&gambler(4, 0.5), &[0, 4]).unwrap();
        assert!(times.iter().zip([0.0, 3.0, 4.0, 3.0, 0.0]).all(|(time, expected)| (time - expected).abs() < 1e-12));
        assert_eq!(mean_first_passage_times(&gambler(4, 0.5), &[9]), Err(MarkovError::NoTarget));
        // A place beyond the target from which nothing comes back does not matter.
        let beyond = TransitionMatrix::from_rows(&[[0.5, 0.5, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 1.0]]).unwrap();
        assert_eq!(mean_first_passage_times(&beyond, &[1]).unwrap(), [2.0, 0.0, f64::INFINITY]);
    }

    #[test]
    fn a_connected_chain_is_never_absorbed() {
        let matrix = TransitionMatrix::from_rows(&[[0.5, 0.5], [1.0, 0.0]]).unwrap();
        let answer = absorption(&matrix).unwrap();
        assert_eq!(answer.closed_classes, [vec![0, 1]]);
        assert!(answer.transient.is_empty() && answer.expected_steps.is_empty() && answer.probabilities.is_empty());
    }
}
