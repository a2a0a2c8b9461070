//! The likeliest matrix among those with detailed balance.

use super::estimate::check_counts;
use super::{MarkovError, TransitionMatrix, communicating_classes};
use crate::linear::SquareMatrix;

/// Relative change of a row's weight below which the iteration has settled.
const TOLERANCE: f64 = 1e-13;
/// Each step is O(K²); well-joined counts need tens, barely joined ones thousands.
const STEPS_MAX: usize = 200_000;

/// Returns the likeliest transition matrix in detailed balance with some law, and that law, for counts.
///
/// Solves x_ij = (c_ij + c_ji) / (c_i/x_i + c_j/x_j) by iteration, where `c_i` and `x_i` are row sums; the matrix is x_ij / x_i and its law
/// x_i / Σ x. O(K²) a step.
///
/// # Errors
///
/// [`MarkovError::NotACount`]; [`MarkovError::Empty`]; [`MarkovError::NotConnected`], because detailed balance means nothing where
/// a way leads there and none back: restrict the counts to the active set first. [`MarkovError::NoConvergence`].
///
/// Reference: `bowman2009` and `prinz2011`.
pub fn reversible_maximum_likelihood(counts: &SquareMatrix) -> Result<(TransitionMatrix, Vec<f64>), MarkovError> {
    check_counts(counts)?;
    let size = counts.size();
    if size == 0 {
        return Err(MarkovError::Empty);
    }
    let class_count = communicating_classes(counts).len();
    if class_count > 1 {
        return Err(MarkovError::NotConnected { class_count });
    }
    if size == 1 {
        return Ok((TransitionMatrix::of_normalised(SquareMatrix::identity(1)), vec![1.0]));
    }
    let row_sums: Vec<f64> = counts.rows().map(|row| row.iter().sum()).collect();
    let mut pairs = SquareMatrix::zeros(size);
    for row in 0..size {
        for column in 0..size {
            pairs.set(row, column, counts.get(row, column) + counts.get(column, row));
        }
    }
    let total = pairs.total();
    let mut weights: Vec<f64> = pairs.rows().map(|row| row.iter().sum::<f64>() / total).collect();
    for _ in 0..STEPS_MAX {
        let next = next_weights(&pairs, &row_sums, &weights);
        let change = next.iter().zip(&weights).map(|(new, old)| (new - old).abs() / new).fold(0.0, f64::max);
        weights = next;
        if change < TOLERANCE {
            return Ok(balanced(&pairs, &row_sums, &weights));
        }
    }
    Err(MarkovError::NoConvergence { what: "the reversible estimate", steps: STEPS_MAX })
}

fn joint(pairs: &SquareMatrix, row_sums: &[f64], weights: &[f64], row: usize, column: usize) -> f64 {
    match pairs.get(row, column) {
        0.0 => 0.0,
        pair => pair / (row_sums[row] / weights[row] + row_sums[column] / weights[column]),
    }
}

fn next_weights(pairs: &SquareMatrix, row_sums: &[f64], weights: &[f64]) -> Vec<f64> {
    let size = weights.len();
    let sum = |row: usize| (0..size).map(|column| joint(pairs, row_sums, weights, row, column)).sum::<f64>();
    let next: Vec<f64> = (0..size).map(sum).collect();
    let total: f64 = next.iter().sum();
    next.into_iter().map(|weight| weight / total).collect()
}

fn balanced(pairs: &SquareMatrix, row_sums: &[f64], weights: &[f64]) -> (TransitionMatrix, Vec<f64>) {
    let size = weights.len();
    let mut matrix = SquareMatrix::zeros(size);
    for row in 0..size {
        for column in 0..size {
            matrix.set(row, column, joint(pairs, row_sums, weights, row, column));
        }
    }
    let sums: Vec<f64> = matrix.rows().map(|row| row.iter().sum()).collect();
    let total: f64 = sums.iter().sum();
    for (row, sum) in sums.iter().enumerate() {
        matrix.row_mut(row).iter_mut().for_each(|value| *value /= sum);
    }
    (TransitionMatrix::of_normalised(matrix), sums.iter().map(|sum| sum / total).collect())
}
