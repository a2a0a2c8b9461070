//! Solving linear equations.

use super::SquareMatrix;

/// Returns `X` with `matrix · X = right`, where `right` and `X` are lists of columns; `None` where the matrix has no inverse to
/// working precision.
///
/// Gaussian elimination with row pivots. O(n³ + k n²) time for k columns.
pub(crate) fn solve(matrix: &SquareMatrix, right: &[Vec<f64>]) -> Option<Vec<Vec<f64>>> {
    let size = matrix.size();
    let mut matrix = matrix.clone();
    let mut columns = right.to_vec();
    let scale = matrix.rows().flatten().fold(0.0, |largest: f64, value| largest.max(value.abs()));
    for step in 0..size {
        let pivot = (step..size).max_by(|&a, &b| matrix.get(a, step).abs().total_cmp(&matrix.get(b, step).abs()))?;
        if matrix.get(pivot, step).abs() <= scale * f64::EPSILON {
            return None;
        }
        swap_rows(&mut matrix, step, pivot);
        columns.iter_mut().for_each(|column| column.swap(step, pivot));
        for row in step + 1..size {
            let factor = matrix.get(row, step) / matrix.get(step, step);
            if factor != 0.0 {
                for index in step..size {
                    let value = matrix.get(row, index) - factor * matrix.get(step, index);
                    matrix.set(row, index, value);
                }
                columns.iter_mut().for_each(|column| column[row] -= factor * column[step]);
            }
        }
    }
    for column in &mut columns {
        for row in (0..size).rev() {
            let known: f64 = (row + 1..size).map(|index| matrix.get(row, index) * column[index]).sum();
            column[row] = (column[row] - known) / matrix.get(row, row);
        }
    }
    Some(columns)
}

fn swap_rows(matrix: &mut SquareMatrix, a: usize, b: usize) {
    if a != b {
        let row = matrix.row(a).to_vec();
        let other = matrix.row(b).to_vec();
        matrix.row_mut(a).copy_from_slice(&other);
        matrix.row_mut(b).copy_from_slice(&row);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equations_that_need_a_pivot_are_solved() {
        let matrix = SquareMatrix::from_rows(&[[0.0, 2.0, 1.0], [1.0, 0.0, 0.0], [3.0, 0.0, 1.0]]).unwrap();
        let solved = solve(&matrix, &[vec![7.0, 1.0, 6.0], vec![1.0, 0.0, 1.0]]).unwrap();
        assert_eq!(solved, [vec![1.0, 2.0, 3.0], vec![0.0, 0.0, 1.0]]);
    }

    #[test]
    fn a_matrix_without_an_inverse_is_none() {
        let matrix = SquareMatrix::from_rows(&[[1.0, 2.0], [2.0, 4.0]]).unwrap();
        assert!(solve(&matrix, &[vec![1.0, 1.0]]).is_none());
        assert!(solve(&SquareMatrix::zeros(2), &[vec![0.0, 0.0]]).is_none());
        assert_eq!(solve(&SquareMatrix::zeros(0), &[vec![]]), Some(vec![vec![]]));
    }
}
