//! Distances of all pairs, each stored once.

use crate::distance::metric::{Measure, Metric};
use crate::distance::points::PointCloud;
use crate::distance::products::{Products, ROWS};
use crate::error::Error;
use crate::memory::with_room;
use crate::parallel::{Progress, Stage};

/// Below so many coordinates there is nothing to gain by products.
const PRODUCTS_FROM: usize = 16;

/// Holds the distance of every pair of points once, as `f32`.
///
/// The order is that of `scipy.spatial.distance.pdist`: (0,1), (0,2), …, (0,n-1), (1,2), …, `n (n - 1) / 2` numbers in
/// all. They are finite and not negative. The triangle inequality is not asked for, and zero between different points
/// is allowed.
///
/// ```
/// use ripsaw::CondensedDistances;
///
/// let triangle = CondensedDistances::from_condensed(vec![4.0, 3.0, 5.0], 3)?;
/// assert_eq!(triangle.distance(2, 0), 3.0);
/// assert_eq!(triangle.distance(1, 1), 0.0);
/// # Ok::<(), ripsaw::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CondensedDistances {
    values: Vec<f32>,
    point_count: usize,
}

impl CondensedDistances {
    /// Takes over distances in the order of `pdist`, for `point_count` points.
    ///
    /// # Errors
    ///
    /// [`Error::DistanceCount`] for a wrong length; [`Error::DistanceNotFinite`] or [`Error::NegativeDistance`], naming
    /// the first bad pair.
    pub fn from_condensed(mut values: Vec<f32>, point_count: usize) -> Result<Self, Error> {
        let expected = condensed_length(point_count)?;
        if values.len() != expected {
            return Err(Error::DistanceCount { point_count, expected, got: values.len() });
        }
        let pairs = (0..point_count).flat_map(|i| (i + 1..point_count).map(move |j| (i, j)));
        for ((i, j), value) in pairs.zip(&mut values) {
            *value = checked(i, j, *value)?;
        }
        Ok(Self { values, point_count })
    }

    /// Copies the upper half of a square matrix of `point_count` rows, row after row.
    ///
    /// # Errors
    ///
    /// [`Error::DistanceCount`] for a wrong length; [`Error::NonZeroDiagonal`], [`Error::DistanceNotFinite`],
    /// [`Error::NegativeDistance`] or [`Error::Asymmetric`], naming the first bad place by rows; [`Error::OutOfMemory`].
    pub fn from_square(matrix: &[f32], point_count: usize) -> Result<Self, Error> {
        let expected = point_count.saturating_mul(point_count);
        if matrix.len() != expected {
            return Err(Error::DistanceCount { point_count, expected, got: matrix.len() });
        }
        let mut values = with_room(condensed_length(point_count)?)?;
        for i in 0..point_count {
            let diagonal = matrix[i * point_count + i];
            if diagonal != 0.0 {
                return Err(Error::NonZeroDiagonal { i, got: diagonal });
            }
            for j in i + 1..point_count {
                let above = checked(i, j, matrix[i * point_count + j])?;
                let below = checked(i, j, matrix[j * point_count + i])?;
                if above != below {
                    return Err(Error::Asymmetric { i, j, above, below });
                }
                values.push(above);
            }
        }
        Ok(Self { values, point_count })
    }

    /// Measures every pair of points, in `f64`, and rounds to `f32`.
    ///
    /// Takes O(n² d) time. Exchanging or reordering points gives the same numbers to the last bit.
    ///
    /// ```
    /// use ripsaw::{CondensedDistances, Metric, PointCloud};
    ///
    /// let triangle = PointCloud::new(&[0.0, 0.0, 4.0, 0.0, 0.0, 3.0], 3, 2)?;
    /// let distances = CondensedDistances::from_points(&triangle, Metric::Euclidean)?;
    /// assert_eq!(distances.as_slice(), [4.0, 3.0, 5.0]);
    /// # Ok::<(), ripsaw::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::DistanceOverflow`] for two points farther apart than the largest `f32`; [`Error::NoDirection`] for a
    /// point at the origin and [`Metric::Cosine`] or [`Metric::Angular`]; [`Error::OutOfMemory`].
    pub fn from_points(points: &PointCloud<'_>, metric: Metric) -> Result<Self, Error> {
        let all: Vec<usize> = (0..points.count()).collect();
        Self::from_chosen_points(points, metric, &all, &mut Progress::new(1, None))
    }

    /// Measures the `chosen` points only; they get the numbers 0, 1, … in that order.
    pub(crate) fn from_chosen_points(
        points: &PointCloud<'_>,
        metric: Metric,
        chosen: &[usize],
        progress: &mut Progress<'_>,
    ) -> Result<Self, Error> {
        let measure = Measure::new(points, metric, chosen)?;
        let length = condensed_length(chosen.len())?;
        let mut values = with_room(length)?;
        values.resize(length, 0.0);
        let mut bands = Vec::new();
        let mut rest = &mut values[..];
        for first in (0..chosen.len()).step_by(ROWS) {
            let after = (first + ROWS).min(chosen.len());
            let pair_count = (first..after).map(|row| chosen.len() - 1 - row).sum();
            let (band, later) = rest.split_at_mut(pair_count);
            rest = later;
            bands.push((first, band));
        }
        let start = || Products::new(points);
        progress.map(Stage::Distances, bands.into_iter(), start, |products, (first, band)| {
            if points.dimension() < PRODUCTS_FROM {
                measure_band(&measure, chosen, first, band);
            } else {
                multiply_band(&measure, products, chosen, first, band);
            }
            match band.iter().position(|value| !value.is_finite()) {
                Some(bad) => Err(overflow(&measure, chosen, first, bad)),
                None => Ok(()),
            }
        })?;
        Ok(Self { values, point_count: chosen.len() })
    }

    /// Takes the distances of some pairs `i < j`, each once and checked; all others are infinite.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn with_absent(
        point_count: usize,
        entries: impl Iterator<Item = (usize, usize, f32)>,
    ) -> Result<Self, Error> {
        let length = condensed_length(point_count)?;
        let mut values = with_room(length)?;
        values.resize(length, f32::INFINITY);
        entries.for_each(|(i, j, distance)| values[position(i, j, point_count)] = distance);
        Ok(Self { values, point_count })
    }

    /// Returns the number of points.
    #[must_use]
    pub fn point_count(&self) -> usize {
        self.point_count
    }

    /// Returns the distances in the order of `pdist`.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        &self.values
    }

    /// Returns the distances from a point to those after it.
    pub(crate) fn row(&self, i: usize) -> &[f32] {
        let length = self.point_count - i - 1;
        &self.values[position(i, i + 1, self.point_count)..][..length]
    }

    /// Returns the distance of two points, counted from 0; zero for a point and itself.
    ///
    /// # Panics
    ///
    /// When `i` or `j` is not below [`Self::point_count`].
    #[must_use]
    pub fn distance(&self, i: usize, j: usize) -> f32 {
        assert!(i.max(j) < self.point_count, "pair {i}, {j} of {} points", self.point_count);
        match i == j {
            true => 0.0,
            false => self.values[position(i.min(j), i.max(j), self.point_count)],
        }
    }
}

/// Returns how many pairs so many points have.
///
/// # Errors
///
/// [`Error::IndexOverflow`] when the number does not fit.
pub(crate) fn condensed_length(point_count: usize) -> Result<usize, Error> {
    let product = point_count as u128 * (point_count as u128).saturating_sub(1) / 2;
    usize::try_from(product).map_err(|_| Error::IndexOverflow { point_count, dimension: 1 })
}

/// Measures the pairs of some rows one by one. `band` begins with the row `first` and ends with a row.
fn measure_band(measure: &Measure<'_>, chosen: &[usize], first: usize, mut band: &mut [f32]) {
    for (row, &i) in chosen.iter().enumerate().skip(first) {
        let later = &chosen[row + 1..];
        if band.len() < later.len() || band.is_empty() {
            return;
        }
        let (values, rest) = band.split_at_mut(later.len());
        band = rest;
        for (value, &j) in values.iter_mut().zip(later) {
            *value = measure.distance(i, j) as f32;
        }
    }
}

/// As [`measure_band`], by scalar products where these give all digits.
fn multiply_band(measure: &Measure<'_>, products: &mut Products<'_>, chosen: &[usize], first: usize, band: &mut [f32]) {
    let rows = &chosen[first..(first + ROWS).min(chosen.len())];
    let columns = &chosen[first..];
    products.for_each(rows, columns, |row, start, products| {
        // The rows before this one are shorter by one each.
        let row_start = row * (2 * columns.len() - row - 1) / 2;
        for (lane, (&j, &product)) in columns[start..].iter().zip(products).enumerate() {
            let column = start + lane;
            if column > row {
                let i = rows[row];
                let distance = measure.distance_from_product(i, j, product).unwrap_or_else(|| measure.distance(i, j));
                band[row_start + column - row - 1] = distance as f32;
            }
        }
    });
}

/// Names the pair that stands at a place of a band.
fn overflow(measure: &Measure<'_>, chosen: &[usize], first: usize, mut place: usize) -> Error {
    let mut row = first;
    while place >= chosen.len() - 1 - row {
        place -= chosen.len() - 1 - row;
        row += 1;
    }
    let (i, j) = (chosen[row], chosen[row + 1 + place]);
    Error::DistanceOverflow { i, j, got: measure.distance(i, j) }
}

/// Where the pair `i < j` stands: `i` rows of falling length come before its own.
fn position(i: usize, j: usize, point_count: usize) -> usize {
    i * (2 * point_count - i - 1) / 2 + j - i - 1
}

/// Returns the distance with a negative zero made positive.
pub(super) fn checked(i: usize, j: usize, value: f32) -> Result<f32, Error> {
    if !value.is_finite() {
        return Err(Error::DistanceNotFinite { i, j, got: value });
    }
    if value < 0.0 {
        return Err(Error::NegativeDistance { i, j, got: value });
    }
    Ok(value + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_stand_where_pdist_puts_them() {
        for point_count in 0..9 {
            let pairs = (0..point_count).flat_map(|i| (i + 1..point_count).map(move |j| (i, j)));
            for (expected, (i, j)) in pairs.enumerate() {
                assert_eq!(position(i, j, point_count), expected);
            }
        }
    }

    #[test]
    fn square_and_condensed_hold_the_same() {
        let square = [0., 1., 2., 1., 0., 3., 2., 3., -0.];
        let distances = CondensedDistances::from_square(&square, 3).unwrap();
        assert_eq!(distances, CondensedDistances::from_condensed(vec![1., 2., 3.], 3).unwrap());
        assert_eq!(distances.distance(2, 1), 3.0);
    }

    #[test]
    fn products_give_the_distances_of_differences() {
        let (count, dimension) = (150, 40);
        let number = |k: usize| ((k * k + 3 * k) as f32 * 0.37).sin();
        let mut coordinates: Vec<f32> = (0..count * dimension).map(number).collect();
        // Point 70 is point 3, point 71 is next to it, point 72 lies opposite.
        for axis in 0..dimension {
            let x = coordinates[3 * dimension + axis];
            coordinates[70 * dimension + axis] = x;
            coordinates[71 * dimension + axis] = x + 1e-5 * number(axis);
            coordinates[72 * dimension + axis] = -x;
        }
        let points = PointCloud::new(&coordinates, count, dimension).unwrap();
        let all: Vec<usize> = (0..count).collect();
        for metric in [Metric::Euclidean, Metric::Cosine, Metric::Angular] {
            let measure = Measure::new(&points, metric, &all).unwrap();
            let distances = CondensedDistances::from_points(&points, metric).unwrap();
            assert_eq!(distances.distance(3, 70), 0.0);
            for (i, j) in (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j))) {
                let (fast, slow) = (distances.distance(i, j), measure.distance(i, j) as f32);
                assert!(fast.to_bits().abs_diff(slow.to_bits()) <= 1, "{metric:?} {i} {j}: {fast} {slow}");
            }
        }
    }

    #[test]
    fn a_negative_zero_becomes_positive() {
        let distances = CondensedDistances::from_condensed(vec![-0.0], 2).unwrap();
        assert_eq!(distances.as_slice()[0].to_bits(), 0);
    }
}
