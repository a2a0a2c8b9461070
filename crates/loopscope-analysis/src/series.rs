//! Vectors in the order of time, checked once.

use std::fmt;

/// Vectors of shape (n, d) in rows, in order of time; every number is finite.
#[derive(Debug, Clone, Copy)]
pub struct Series<'a> {
    values: &'a [f32],
    length: usize,
    dimension: usize,
}

/// Says why vectors or numbers were refused, or too few. Rows and columns count from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SeriesError {
    /// The number of values is not rows times dimension.
    WrongShape { row_count: usize, dimension: usize, got: usize },
    /// A value is NaN or infinite.
    NotFinite { row: usize, column: usize, got: f32 },
    /// A number of a curve is NaN or infinite.
    NumberNotFinite { index: usize, got: f64 },
    /// Every value of a row is zero: there is no angle to it.
    ZeroVector { row: usize },
    /// A vector has another dimension than the series.
    Dimension { expected: usize, got: usize },
    /// Lists that belong together have different lengths.
    Length { expected: usize, got: usize },
}

impl fmt::Display for SeriesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongShape { row_count, dimension, got } => {
                write!(f, "vectors of shape ({row_count}, {dimension}) came with {got} values")
            }
            Self::NotFinite { row, column, got } => {
                write!(f, "row {row} of the vectors holds {got} in column {column}, expected a finite number")
            }
            Self::NumberNotFinite { index, got } => {
                write!(f, "number {index} is {got}, expected a finite number")
            }
            Self::ZeroVector { row } => {
                write!(f, "row {row} of the vectors is zero in every column, expected a vector with a direction")
            }
            Self::Dimension { expected, got } => {
                write!(f, "a vector has {got} numbers, expected {expected} as in the series")
            }
            Self::Length { expected, got } => write!(f, "a list has {got} items, expected {expected}"),
        }
    }
}

impl std::error::Error for SeriesError {}

impl<'a> Series<'a> {
    /// Checks `length` vectors of `dimension` numbers, in rows.
    ///
    /// # Errors
    ///
    /// [`SeriesError::WrongShape`] or [`SeriesError::NotFinite`].
    pub fn new(values: &'a [f32], length: usize, dimension: usize) -> Result<Self, SeriesError> {
        if length.checked_mul(dimension) != Some(values.len()) {
            return Err(SeriesError::WrongShape { row_count: length, dimension, got: values.len() });
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            let (row, column) = (index / dimension, index % dimension);
            return Err(SeriesError::NotFinite { row, column, got: values[index] });
        }
        Ok(Self { values, length, dimension })
    }

    /// Returns how many vectors there are, n.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Says whether there are none.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Returns how many numbers each vector has, d.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns a vector, from 0. Panics past the last one, as a slice does.
    pub fn row(&self, row: usize) -> &'a [f32] {
        &self.values[row * self.dimension..(row + 1) * self.dimension]
    }

    /// Returns all vectors in order.
    pub fn rows(&self) -> impl Iterator<Item = &'a [f32]> {
        let this = *self;
        (0..this.length).map(move |row| this.row(row))
    }

    /// Checks that every vector has a direction.
    ///
    /// # Errors
    ///
    /// [`SeriesError::ZeroVector`], naming the first without.
    pub fn check_directions(&self) -> Result<(), SeriesError> {
        match self.rows().position(|row| row.iter().all(|&value| value == 0.0)) {
            Some(row) => Err(SeriesError::ZeroVector { row }),
            None => Ok(()),
        }
    }
}

/// Checks the numbers of a curve.
pub(crate) fn check_numbers(numbers: &[f64]) -> Result<(), SeriesError> {
    match numbers.iter().position(|number| !number.is_finite()) {
        Some(index) => Err(SeriesError::NumberNotFinite { index, got: numbers[index] }),
        None => Ok(()),
    }
}

/// Returns √Σ (a − b)², exactly 0 for equal vectors and no others. Vectors of one length.
pub fn euclidean_distance(a: &[f32], b: &[f32]) -> f64 {
    let squared: f64 = a.iter().zip(b).map(|(&a, &b)| (f64::from(a) - f64::from(b)).powi(2)).sum();
    squared.sqrt()
}

/// Returns 1 − cos of the angle between two vectors, in `[0, 2]`; NaN where one is zero.
///
/// Computed as ½ |a/|a| − b/|b||², which keeps its digits between vectors that point nearly the same way, where 1 − a·b has
/// none left.
pub fn cosine_distance(a: &[f32], b: &[f32]) -> f64 {
    let length = |vector: &[f32]| vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
    let (a_length, b_length) = (length(a), length(b));
    let squared: f64 =
        a.iter().zip(b).map(|(&a, &b)| (f64::from(a) / a_length - f64::from(b) / b_length).powi(2)).sum();
    squared / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_vectors_are_named() {
        let error = |values: &[f32], n, d| Series::new(values, n, d).unwrap_err();
        assert_eq!(error(&[1.0; 3], 2, 2), SeriesError::WrongShape { row_count: 2, dimension: 2, got: 3 });
        assert!(matches!(error(&[1., 1., 1., f32::NAN], 2, 2), SeriesError::NotFinite { row: 1, column: 1, .. }));
        assert!(Series::new(&[], 0, 5).unwrap().is_empty());
        let zero = Series::new(&[1.0, 0.0, 0.0, 0.0], 2, 2).unwrap();
        assert_eq!(zero.check_directions(), Err(SeriesError::ZeroVector { row: 1 }));
    }

    #[test]
    fn cosine_distance_is_no_chord_and_keeps_its_digits() {
        assert!((cosine_distance(&[1.0, 0.0], &[1.0, 1.0]) - (1.0 - 0.5_f64.sqrt())).abs() < 1e-15);
        assert!((cosine_distance(&[2.0, 0.0], &[0.0, 3.0]) - 1.0).abs() < 1e-15);
        assert!((cosine_distance(&[1.0], &[-5.0]) - 2.0).abs() < 1e-15);
        let near = cosine_distance(&[1.0, 0.0], &[1.0, 1e-6]);
        assert!((near / 5e-13 - 1.0).abs() < 1e-6, "{near}");
        assert_eq!(cosine_distance(&[0.3, 0.4], &[0.3, 0.4]), 0.0);
    }
}
