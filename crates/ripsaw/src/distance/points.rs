//! A checked view of coordinates, and which of its points differ.

use std::cmp::Ordering;

use crate::error::Error;

/// Borrows a cloud of points: `count` rows of `dimension` finite coordinates each, row after row.
///
/// No points, and points without coordinates, are allowed; the latter are all equal.
///
/// ```
/// use ripsaw::PointCloud;
///
/// let triangle = PointCloud::new(&[0.0, 0.0, 4.0, 0.0, 0.0, 3.0], 3, 2)?;
/// assert_eq!(triangle.point(2), &[0.0, 3.0]);
/// # Ok::<(), ripsaw::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PointCloud<'a> {
    coordinates: &'a [f32],
    count: usize,
    dimension: usize,
}

impl<'a> PointCloud<'a> {
    /// Checks the shape and the numbers, in time linear in both.
    ///
    /// # Errors
    ///
    /// [`Error::CoordinateCount`] unless there are `count * dimension` coordinates; [`Error::CoordinateNotFinite`],
    /// naming the first coordinate that is NaN or infinite.
    pub fn new(coordinates: &'a [f32], count: usize, dimension: usize) -> Result<Self, Error> {
        if count.checked_mul(dimension) != Some(coordinates.len()) {
            return Err(Error::CoordinateCount { count, dimension, got: coordinates.len() });
        }
        if let Some(bad) = coordinates.iter().position(|x| !x.is_finite()) {
            let (point, axis) = (bad / dimension, bad % dimension);
            return Err(Error::CoordinateNotFinite { point, axis, got: coordinates[bad] });
        }
        Ok(Self { coordinates, count, dimension })
    }

    /// Returns the number of points.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Returns the number of coordinates of each point.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// Returns the coordinates of one point, counted from 0.
    ///
    /// # Panics
    ///
    /// When `index` is not below [`Self::count`].
    #[must_use]
    pub fn point(&self, index: usize) -> &'a [f32] {
        assert!(index < self.count, "point {index} of {}", self.count);
        &self.coordinates[index * self.dimension..][..self.dimension]
    }

    /// Returns the first of each set of points with equal coordinates, in rising order; zeros of either sign are equal.
    ///
    /// Takes O(n log n) comparisons, most of which end at the first coordinate.
    pub(crate) fn distinct(&self) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.count).collect();
        order.sort_unstable_by(|&i, &j| compare(self.point(i), self.point(j)).then(i.cmp(&j)));
        order.dedup_by(|next, kept| compare(self.point(*next), self.point(*kept)).is_eq());
        order.sort_unstable();
        order
    }
}

/// Orders finite coordinates from the left; adding zero turns a negative zero into a positive one.
fn compare(a: &[f32], b: &[f32]) -> Ordering {
    let differing = a.iter().zip(b).map(|(x, y)| (x + 0.0).total_cmp(&(y + 0.0))).find(|order| order.is_ne());
    differing.unwrap_or(Ordering::Equal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_points_are_kept_once_in_order() {
        let coordinates = [5., 1., 0., 0., 5., 1., -0., 0., 5., 2.];
        let points = PointCloud::new(&coordinates, 5, 2).unwrap();
        assert_eq!(points.distinct(), [0, 1, 4]);
    }

    #[test]
    fn points_without_coordinates_are_all_equal() {
        assert_eq!(PointCloud::new(&[], 3, 0).unwrap().distinct(), [0]);
        assert_eq!(PointCloud::new(&[], 0, 3).unwrap().distinct(), [0; 0]);
    }
}
