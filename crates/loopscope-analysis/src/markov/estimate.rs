//! Matrices of probabilities, and the likeliest one for counts.

use super::MarkovError;
use crate::linear::SquareMatrix;

/// How far a row may be from adding up to 1.
const ROW_SUM_TOLERANCE: f64 = 1e-9;

/// The probabilities of going from the state of a row to that of a column in one lag, shape (K, K).
///
/// Invariant: every number is at least 0 and every row adds up to 1 within 10⁻⁹.
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionMatrix(SquareMatrix);

impl TransitionMatrix {
    /// Checks probabilities.
    ///
    /// # Errors
    ///
    /// [`MarkovError::NotACount`] or [`MarkovError::RowSum`], naming the first row at fault.
    pub fn new(matrix: SquareMatrix) -> Result<Self, MarkovError> {
        check_counts(&matrix)?;
        for (row, values) in matrix.rows().enumerate() {
            let sum: f64 = values.iter().sum();
            if (sum - 1.0).abs() > ROW_SUM_TOLERANCE {
                return Err(MarkovError::RowSum { row, got: sum });
            }
        }
        Ok(Self(matrix))
    }

    /// Checks probabilities given in rows.
    ///
    /// # Errors
    ///
    /// [`MarkovError::NotSquare`], or as [`new`](Self::new).
    pub fn from_rows<R: AsRef<[f64]>>(rows: &[R]) -> Result<Self, MarkovError> {
        Self::new(SquareMatrix::from_rows(rows).ok_or(MarkovError::NotSquare)?)
    }

    /// Returns the probabilities.
    pub fn matrix(&self) -> &SquareMatrix {
        &self.0
    }

    /// Returns how many states there are.
    pub fn state_count(&self) -> usize {
        self.0.size()
    }
}

/// Checks that every number is finite and at least 0.
pub(super) fn check_counts(matrix: &SquareMatrix) -> Result<(), MarkovError> {
    for (row, values) in matrix.rows().enumerate() {
        if let Some(column) = values.iter().position(|&value| !(value.is_finite() && value >= 0.0)) {
            return Err(MarkovError::NotACount { row, column, got: values[column] });
        }
    }
    Ok(())
}

/// Returns the likeliest transition matrix for counts: each row divided by its sum.
///
/// Nothing is made reversible and no state is dropped. A state that nothing was seen to follow (the end of a run) has no
/// likeliest row; it is made to stay where it is, an absorbing state, and named in the second value. O(K²) time.
///
/// # Errors
///
/// [`MarkovError::NotACount`] for a count that is negative or not finite.
///
/// Reference: `prinz2011`.
pub fn maximum_likelihood(counts: &SquareMatrix) -> Result<(TransitionMatrix, Vec<usize>), MarkovError> {
    check_counts(counts)?;
    let mut matrix = counts.clone();
    let mut without_end = Vec::new();
    for state in 0..matrix.size() {
        let row = matrix.row_mut(state);
        let sum: f64 = row.iter().sum();
        if sum > 0.0 {
            row.iter_mut().for_each(|value| *value /= sum);
        } else {
            row[state] = 1.0;
            without_end.push(state);
        }
    }
    Ok((TransitionMatrix(matrix), without_end))
}

impl TransitionMatrix {
    /// Wraps a matrix whose rows were divided by their sums.
    pub(super) fn of_normalised(matrix: SquareMatrix) -> Self {
        Self(matrix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_are_no_probabilities_are_named() {
        let error = |rows: &[[f64; 2]]| TransitionMatrix::from_rows(rows).unwrap_err();
        assert_eq!(error(&[[0.5, 0.5], [0.5, 0.6]]), MarkovError::RowSum { row: 1, got: 1.1 });
        assert_eq!(error(&[[1.5, -0.5], [0.5, 0.5]]), MarkovError::NotACount { row: 0, column: 1, got: -0.5 });
        assert!(matches!(error(&[[f64::NAN, 0.5], [0.5, 0.5]]), MarkovError::NotACount { row: 0, column: 0, .. }));
        assert_eq!(error(&[[1.0, 0.0]]), MarkovError::NotSquare);
    }

    #[test]
    fn a_state_that_nothing_follows_stays_and_is_named() {
        let counts = SquareMatrix::from_rows(&[[1.0, 3.0], [0.0, 0.0]]).unwrap();
        let (matrix, without_end) = maximum_likelihood(&counts).unwrap();
        assert_eq!(matrix.matrix().row(0), [0.25, 0.75]);
        assert_eq!(matrix.matrix().row(1), [0.0, 1.0]);
        assert_eq!(without_end, [1]);
    }
}
