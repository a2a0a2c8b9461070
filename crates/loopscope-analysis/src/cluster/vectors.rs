//! The vectors to cluster, checked once.

use super::ClusterError;

/// Borrowed vectors of shape `(n, d)`, f32, row-major, checked.
///
/// Invariant: every value is finite and no row is zero throughout. Rows need not have unit length, but the presets of
/// [`HdbscanParameters`](super::HdbscanParameters) give distances that mean something on unit vectors only.
#[derive(Debug, Clone, Copy)]
pub struct Vectors<'a> {
    values: &'a [f32],
    row_count: usize,
    dimension: usize,
}

impl<'a> Vectors<'a> {
    /// Checks and wraps `values`, row after row. No rows is allowed, whatever the dimension. O(n d) time.
    ///
    /// # Errors
    ///
    /// [`ClusterError::WrongShape`] unless there are `row_count * dimension` values; otherwise
    /// [`ClusterError::NotFinite`] or [`ClusterError::ZeroVector`], naming the first bad row.
    pub fn new(values: &'a [f32], row_count: usize, dimension: usize) -> Result<Self, ClusterError> {
        if row_count.checked_mul(dimension) != Some(values.len()) {
            return Err(ClusterError::WrongShape { row_count, dimension, got: values.len() });
        }
        let vectors = Self { values, row_count, dimension };
        (0..row_count).try_for_each(|row| check_row(row, vectors.row(row)))?;
        Ok(vectors)
    }

    /// Returns n, the number of rows.
    pub fn row_count(&self) -> usize {
        self.row_count
    }

    /// Returns d, the length of each row.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns row `row`, counted from 0, of length d. Panics past the last row, as a slice does.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }
}

fn check_row(row: usize, values: &[f32]) -> Result<(), ClusterError> {
    if let Some(column) = values.iter().position(|value| !value.is_finite()) {
        return Err(ClusterError::NotFinite { row, column, got: values[column] });
    }
    if values.iter().all(|&value| value == 0.0) {
        return Err(ClusterError::ZeroVector { row });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_row_is_named() {
        let error = |values: &[f32], n, d| Vectors::new(values, n, d).unwrap_err();
        assert_eq!(error(&[1., 2., 3.], 2, 2), ClusterError::WrongShape { row_count: 2, dimension: 2, got: 3 });
        assert_eq!(error(&[1., 2., 0., -0.], 2, 2), ClusterError::ZeroVector { row: 1 });
        assert_eq!(
            error(&[1., f32::INFINITY, 0., 0.], 2, 2),
            ClusterError::NotFinite { row: 0, column: 1, got: f32::INFINITY }
        );
        assert!(matches!(error(&[1., 1., f32::NAN, 0.], 2, 2), ClusterError::NotFinite { row: 1, column: 0, .. }));
        assert_eq!(error(&[], 1, 0), ClusterError::ZeroVector { row: 0 });
        assert!(matches!(error(&[], usize::MAX, 2), ClusterError::WrongShape { .. }));
    }

    #[test]
    fn no_rows_is_no_error() {
        assert_eq!(Vectors::new(&[], 0, 7).unwrap().row_count(), 0);
    }
}
