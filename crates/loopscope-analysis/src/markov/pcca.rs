//! Sets in which a chain stays for long: PCCA+.

use super::{MarkovError, TransitionMatrix, communicating_classes};
use crate::linear::{SquareMatrix, solve, symmetric_spectrum};

/// Detailed balance may be off by this much, as probability a step.
const BALANCE_TOLERANCE: f64 = 1e-8;
/// Steps of the simplex search, for each free number.
const SEARCH_STEPS: usize = 400;

/// Which states belong together, and how firmly.
#[derive(Debug, Clone, PartialEq)]
pub struct MetastableSets {
    /// For each state the membership in each set, in `[0, 1]`, adding up to 1; shape (K, m).
    pub memberships: Vec<Vec<f64>>,
    /// For each state the set it belongs to most, the first of equals.
    pub set_of: Vec<usize>,
    /// Σ_j Σ_i A_ij² / A_0j over m, in `(0, 1]`: 1 when every state belongs to one set alone.
    pub crispness: f64,
}

/// Groups the states of a reversible connected chain into `set_count` sets that it leaves as seldom as possible.
///
/// The first m eigenvectors are turned so that they become memberships: a first turn from the states at the corners of
/// the simplex that they span, then a search for the crispest one. Sets are numbered by their first state. O(K³) time.
///
/// # Errors
///
/// [`MarkovError::Empty`], [`MarkovError::SetCount`], [`MarkovError::NotConnected`], [`MarkovError::NotReversible`] (use
/// [`super::reversible_maximum_likelihood`]), [`MarkovError::NoConvergence`].
///
/// Reference: `roblitz2013`; the first turn is `weber2005`.
pub fn pcca(matrix: &TransitionMatrix, stationary: &[f64], set_count: usize) -> Result<MetastableSets, MarkovError> {
    let state_count = matrix.state_count();
    if state_count == 0 {
        return Err(MarkovError::Empty);
    }
    if set_count == 0 || set_count > state_count {
        return Err(MarkovError::SetCount { got: set_count, state_count });
    }
    let class_count = communicating_classes(matrix.matrix()).len();
    if class_count > 1 {
        return Err(MarkovError::NotConnected { class_count });
    }
    check_balance(matrix, stationary)?;
    if set_count == 1 {
        return Ok(named(vec![vec![1.0]; state_count], 1.0));
    }
    let vectors = slow_vectors(matrix, stationary, set_count)?;
    let corners = corners(&vectors, set_count);
    let first_turn = inverse(&vectors, &corners).ok_or(MarkovError::NoConvergence { what: "PCCA+", steps: 1 })?;
    let turn = crispest(&vectors, first_turn);
    let crispness = crispness(&turn) / set_count as f64;
    let membership = |row: &Vec<f64>| -> Vec<f64> {
        let raw = (0..set_count).map(|set| (0..set_count).map(|k| row[k] * turn[k][set]).sum::<f64>());
        let kept: Vec<f64> = raw.map(|share| share.clamp(0.0, 1.0)).collect();
        let sum: f64 = kept.iter().sum();
        kept.iter().map(|share| share / sum).collect()
    };
    Ok(named(vectors.iter().map(membership).collect(), crispness))
}

fn check_balance(matrix: &TransitionMatrix, stationary: &[f64]) -> Result<(), MarkovError> {
    let flow = |from: usize, to: usize| stationary[from] * matrix.matrix().get(from, to);
    let pairs = (0..matrix.state_count()).flat_map(|a| (0..a).map(move |b| (a, b)));
    let violation = pairs.map(|(a, b)| (flow(a, b) - flow(b, a)).abs()).fold(0.0, f64::max);
    if violation > BALANCE_TOLERANCE { Err(MarkovError::NotReversible { violation }) } else { Ok(()) }
}

/// Returns for each state its entries in the first eigenvectors, the first of which is 1 everywhere.
fn slow_vectors(matrix: &TransitionMatrix, stationary: &[f64], set_count: usize) -> Result<Vec<Vec<f64>>, MarkovError> {
    let size = matrix.state_count();
    let roots: Vec<f64> = stationary.iter().map(|probability| probability.sqrt()).collect();
    let mut symmetric = SquareMatrix::zeros(size);
    for row in 0..size {
        for column in 0..size {
            let turned = |from: usize, to: usize| roots[from] * matrix.matrix().get(from, to) / roots[to];
            symmetric.set(row, column, (turned(row, column) + turned(column, row)) / 2.0);
        }
    }
    let spectrum =
        symmetric_spectrum(&symmetric, true).ok_or(MarkovError::NoConvergence { what: "the spectrum", steps: 60 })?;
    let entry = |state: usize, k: usize| if k == 0 { 1.0 } else { spectrum.vectors[k][state] / roots[state] };
    Ok((0..size).map(|state| (0..set_count).map(|k| entry(state, k)).collect()).collect())
}

/// Returns the states at the corners: the farthest from the origin, then always the farthest from those before.
fn corners(vectors: &[Vec<f64>], set_count: usize) -> Vec<usize> {
    let squared = |row: &[f64]| row.iter().map(|value| value * value).sum::<f64>();
    let farthest = |rows: &[Vec<f64>]| {
        (0..rows.len()).reduce(|best, row| if squared(&rows[row]) > squared(&rows[best]) { row } else { best })
    };
    let mut rows: Vec<Vec<f64>> = vectors.to_vec();
    let mut corners: Vec<usize> = farthest(&rows).into_iter().collect();
    let origin = corners.first().map(|&first| rows[first].clone()).unwrap_or_default();
    rows.iter_mut().for_each(|row| row.iter_mut().zip(&origin).for_each(|(value, zero)| *value -= zero));
    while corners.len() < set_count {
        let Some(next) = farthest(&rows) else { break };
        corners.push(next);
        let length = squared(&rows[next]).sqrt();
        if length > 0.0 {
            let along: Vec<f64> = rows[next].iter().map(|value| value / length).collect();
            for row in &mut rows {
                let share: f64 = row.iter().zip(&along).map(|(value, part)| value * part).sum();
                row.iter_mut().zip(&along).for_each(|(value, part)| *value -= share * part);
            }
        }
    }
    corners
}

fn inverse(vectors: &[Vec<f64>], corners: &[usize]) -> Option<Vec<Vec<f64>>> {
    let rows: Vec<Vec<f64>> = corners.iter().map(|&state| vectors[state].clone()).collect();
    let size = rows.len();
    let unit = |one: usize| (0..size).map(|index| f64::from(u8::from(index == one))).collect::<Vec<f64>>();
    let columns = solve(&SquareMatrix::from_rows(&rows)?, &(0..size).map(unit).collect::<Vec<_>>())?;
    Some((0..size).map(|row| columns.iter().map(|column| column[row]).collect()).collect())
}

/// Makes a turn one whose memberships are at least 0 and add up to 1: all but its first row and column are free.
fn feasible(vectors: &[Vec<f64>], mut turn: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = turn.len();
    for row in turn.iter_mut().skip(1) {
        row[0] = -row[1..].iter().sum::<f64>();
    }
    let lowest = |set: usize| {
        let share = |vector: &Vec<f64>| (1..size).map(|k| vector[k] * turn[k][set]).sum::<f64>();
        vectors.iter().map(share).fold(f64::INFINITY, f64::min)
    };
    turn[0] = (0..size).map(|set| -lowest(set)).collect();
    let sum: f64 = turn[0].iter().sum();
    turn.iter_mut().flatten().for_each(|value| *value /= sum);
    turn
}

/// Returns Σ_j Σ_i A_ij² / A_0j, at most the number of sets; −∞ where a set has no weight.
fn crispness(turn: &[Vec<f64>]) -> f64 {
    let of_set = |set: usize| {
        let weight = turn[0][set];
        let squares: f64 = turn.iter().map(|row| row[set] * row[set]).sum();
        if weight > 0.0 { squares / weight } else { f64::NEG_INFINITY }
    };
    let sum: f64 = (0..turn.len()).map(of_set).sum();
    if sum.is_nan() { f64::NEG_INFINITY } else { sum }
}

/// Searches the free numbers of a turn for the crispest memberships, by Nelder and Mead's simplex.
fn crispest(vectors: &[Vec<f64>], first: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let size = first.len();
    let free: Vec<f64> = (1..size).flat_map(|row| first[row][1..].to_vec()).collect();
    let turn_of = |free: &[f64]| {
        let mut turn = vec![vec![0.0; size]; size];
        for (index, &value) in free.iter().enumerate() {
            turn[1 + index / (size - 1)][1 + index % (size - 1)] = value;
        }
        feasible(vectors, turn)
    };
    let best = minimise(&free, |free| -crispness(&turn_of(free)), SEARCH_STEPS * free.len());
    turn_of(&best)
}

/// Reference: `nelder1965`.
fn minimise(start: &[f64], cost: impl Fn(&[f64]) -> f64, steps: usize) -> Vec<f64> {
    let corner = |moved: Option<usize>| {
        let mut point = start.to_vec();
        if let Some(index) = moved {
            point[index] += if point[index] == 0.0 { 0.00025 } else { 0.05 * point[index] };
        }
        (cost(&point), point)
    };
    let mut simplex: Vec<(f64, Vec<f64>)> =
        std::iter::once(None).chain((0..start.len()).map(Some)).map(corner).collect();
    for _ in 0..steps {
        simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
        let worst = simplex.len() - 1;
        let spread = simplex[worst].0 - simplex[0].0;
        if spread.abs() <= 1e-15 * simplex[0].0.abs() {
            break;
        }
        let centre: Vec<f64> = (0..start.len())
            .map(|index| simplex[..worst].iter().map(|(_, point)| point[index]).sum::<f64>() / worst as f64)
            .collect();
        let toward = |factor: f64| {
            let point: Vec<f64> =
                centre.iter().zip(&simplex[worst].1).map(|(middle, far)| middle + factor * (middle - far)).collect();
            (cost(&point), point)
        };
        let reflected = toward(1.0);
        let replacement = if reflected.0 < simplex[0].0 {
            let expanded = toward(2.0);
            Some(if expanded.0 < reflected.0 { expanded } else { reflected })
        } else if reflected.0 < simplex[worst - 1].0 {
            Some(reflected)
        } else {
            let contracted = toward(if reflected.0 < simplex[worst].0 { 0.5 } else { -0.5 });
            (contracted.0 < simplex[worst].0.min(reflected.0)).then_some(contracted)
        };
        match replacement {
            Some(point) => simplex[worst] = point,
            None => {
                let best = simplex[0].1.clone();
                for (value, point) in simplex.iter_mut().skip(1) {
                    point.iter_mut().zip(&best).for_each(|(number, nearest)| *number = (*number + nearest) / 2.0);
                    *value = cost(point);
                }
            }
        }
    }
    simplex.sort_by(|a, b| a.0.total_cmp(&b.0));
    simplex.swap_remove(0).1
}

/// Numbers the sets by their first state.
fn named(memberships: Vec<Vec<f64>>, crispness: f64) -> MetastableSets {
    let most =
        |row: &Vec<f64>| (0..row.len()).reduce(|best, set| if row[set] > row[best] { set } else { best }).unwrap_or(0);
    let raw: Vec<usize> = memberships.iter().map(most).collect();
    let set_count = memberships.first().map_or(0, Vec::len);
    let mut order: Vec<usize> = Vec::new();
    for set in raw.iter().copied().chain(0..set_count) {
        if !order.contains(&set) {
            order.push(set);
        }
    }
    let memberships = memberships.iter().map(|row| order.iter().map(|&set| row[set]).collect()).collect();
    let place = |set: usize| order.iter().position(|&other| other == set).unwrap_or(0);
    MetastableSets { memberships, set_of: raw.into_iter().map(place).collect(), crispness }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::markov::stationary_distribution;

    #[test]
    fn chains_without_balance_or_connection_are_refused() {
        let turning = TransitionMatrix::from_rows(&[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]).unwrap();
        assert!(matches!(pcca(&turning, &[1.0 / 3.0; 3], 2), Err(MarkovError::NotReversible { .. })));
        let apart = TransitionMatrix::from_rows(&[[1.0, 0.0], [0.0, 1.0]]).unwrap();
        assert_eq!(pcca(&apart, &[0.5; 2], 2), Err(MarkovError::NotConnected { class_count: 2 }));
        let pair = TransitionMatrix::from_rows(&[[0.5, 0.5], [0.5, 0.5]]).unwrap();
        assert_eq!(pcca(&pair, &[0.5; 2], 3), Err(MarkovError::SetCount { got: 3, state_count: 2 }));
        assert_eq!(pcca(&pair, &[0.5; 2], 1).unwrap().set_of, [0, 0]);
    }

    #[test]
    fn three_blocks_are_found_whatever_their_order() {
        // States 0, 3, 6 and 1, 4, 7 and 2, 5, 8 hold together.
        let size = 9;
        let mut matrix = SquareMatrix::zeros(size);
        for a in 0..size {
            for b in 0..size {
                matrix.set(a, b, if a % 3 == b % 3 { 0.32 } else { 0.04 / 6.0 });
            }
        }
        let matrix = TransitionMatrix::new(matrix).unwrap();
        let law = stationary_distribution(&matrix).unwrap();
        let sets = pcca(&matrix, &law, 3).unwrap();
        assert_eq!(sets.set_of, [0, 1, 2, 0, 1, 2, 0, 1, 2]);
        assert!(sets.crispness > 0.99, "{}", sets.crispness);
        for row in &sets.memberships {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        }
    }
}
