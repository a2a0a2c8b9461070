//! Distances of some pairs only.

use crate::distance::CondensedDistances;
use crate::error::Error;
use crate::filtration::POINT_COUNT_MAX;
use crate::memory::with_room;

/// Holds the distances of some pairs of points; all other pairs are farther apart than any threshold.
///
/// Takes memory for the entries, whatever the number of points. Distances are finite and not negative; the triangle
/// inequality is not asked for, and zero between different points is allowed. A pair may be given in either order, and
/// again with the same distance.
///
/// ```
/// use ripsaw::SparseDistances;
///
/// // A cycle of four points: no entry, no edge.
/// let cycle = SparseDistances::from_entries(4, [(0, 1, 1.0), (1, 2, 1.0), (3, 2, 1.0), (0, 3, 2.0)])?;
/// assert_eq!(cycle.entry_count(), 4);
/// assert_eq!(cycle.entries().last(), Some((2, 3, 1.0)));
/// # Ok::<(), ripsaw::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SparseDistances {
    point_count: usize,
    /// Each pair once, the smaller point first, sorted.
    entries: Vec<(u32, u32, f32)>,
}

/// The most points that entries are numbered for.
const SPARSE_POINT_COUNT_MAX: usize = u32::MAX as usize;

impl SparseDistances {
    /// Checks and sorts entries `(i, j, distance)` among `point_count` points, counted from 0.
    ///
    /// An entry of a point with itself must be 0, and says nothing. Takes O(e log e) time for `e` entries.
    ///
    /// # Errors
    ///
    /// Of the first bad entry: [`Error::PointOutOfRange`], [`Error::DistanceNotFinite`], [`Error::NegativeDistance`] or
    /// [`Error::NonZeroDiagonal`]. [`Error::ConflictingDistances`] for the first pair with two distances;
    /// [`Error::TooManyPoints`] for more than `u32::MAX`; [`Error::OutOfMemory`].
    pub fn from_entries(
        point_count: usize,
        entries: impl IntoIterator<Item = (usize, usize, f32)>,
    ) -> Result<Self, Error> {
        if point_count > SPARSE_POINT_COUNT_MAX {
            return Err(Error::TooManyPoints { got: point_count, limit: SPARSE_POINT_COUNT_MAX });
        }
        let entries = entries.into_iter();
        let mut kept: Vec<(u32, u32, f32)> = with_room(entries.size_hint().0)?;
        for (entry, (i, j, distance)) in entries.enumerate() {
            if let Some(point) = [i, j].into_iter().find(|&point| point >= point_count) {
                return Err(Error::PointOutOfRange { entry, point, point_count });
            }
            let (i, j) = (i.min(j), i.max(j));
            let distance = super::condensed::checked(i, j, distance)?;
            if i < j {
                kept.push((i as u32, j as u32, distance));
            } else if distance != 0.0 {
                return Err(Error::NonZeroDiagonal { i, got: distance });
            }
        }
        kept.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(a.2.total_cmp(&b.2)));
        kept.dedup();
        if let Some([a, b]) = kept.array_windows().find(|[a, b]| (a.0, a.1) == (b.0, b.1)) {
            return Err(Error::ConflictingDistances { i: a.0 as usize, j: a.1 as usize, first: a.2, second: b.2 });
        }
        Ok(Self { point_count, entries: kept })
    }

    /// Returns the number of points, those without an entry among them.
    #[must_use]
    pub fn point_count(&self) -> usize {
        self.point_count
    }

    /// Returns how many pairs have a distance.
    #[must_use]
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Returns each pair once with its distance, the smaller point first, in rising order.
    pub fn entries(&self) -> impl Iterator<Item = (usize, usize, f32)> + '_ {
        self.entries.iter().map(|&(i, j, distance)| (i as usize, j as usize, distance))
    }

    /// Returns the smallest distance within which some point has all others; infinite where none has, zero for no points.
    pub(crate) fn enclosing_radius(&self) -> Result<f32, Error> {
        let mut farthest: Vec<(u32, f32)> = with_room(self.point_count)?;
        farthest.resize(self.point_count, (0, 0.0));
        for &(i, j, distance) in &self.entries {
            for point in [i, j] {
                let (count, far) = &mut farthest[point as usize];
                (*count, *far) = (*count + 1, far.max(distance));
            }
        }
        let all_others = (self.point_count as u32).saturating_sub(1);
        if farthest.is_empty() {
            return Ok(0.0); // As for a matrix of no points.
        }
        let enclosing = farthest.iter().filter(|(count, _)| *count == all_others).map(|&(_, far)| far);
        Ok(enclosing.fold(f32::INFINITY, f32::min))
    }

    /// Splits the points into those that entries within the threshold join.
    ///
    /// # Errors
    ///
    /// [`Error::TooManyPoints`] for a part of more points than a matrix is made for; [`Error::OutOfMemory`].
    pub(crate) fn parts(&self, threshold: f64) -> Result<Vec<Part>, Error> {
        let within = || self.entries.iter().filter(move |entry| f64::from(entry.2) <= threshold);
        let mut forest: Vec<u32> = with_room(self.point_count)?;
        forest.extend(0..self.point_count as u32);
        for &(i, j, _) in within() {
            let (a, b) = (root(&mut forest, i), root(&mut forest, j));
            // The smaller number stays, so that a part is where its first point is.
            forest[a.max(b) as usize] = a.min(b);
        }
        let mut parts: Vec<Part> = Vec::new();
        // For each point, which part it is in and where there.
        let mut places: Vec<(u32, u32)> = with_room(self.point_count)?;
        for point in 0..self.point_count as u32 {
            let first = root(&mut forest, point);
            let part = if first == point { parts.len() as u32 } else { places[first as usize].0 };
            if first == point {
                parts.push(Part::default());
            }
            let points = &mut parts[part as usize].points;
            places.push((part, points.len() as u32));
            points.push(point as usize);
        }
        for &(i, j, distance) in within() {
            let ((part, i), (_, j)) = (places[i as usize], places[j as usize]);
            parts[part as usize].entries.push((i, j, distance));
        }
        match parts.iter().map(|part| part.points.len()).max() {
            Some(got) if got > POINT_COUNT_MAX => Err(Error::TooManyPoints { got, limit: POINT_COUNT_MAX }),
            _ => Ok(parts),
        }
    }
}

/// Points that are joined with each other and with no others.
#[derive(Default)]
pub(crate) struct Part {
    /// As the caller numbers them, in rising order.
    pub(crate) points: Vec<usize>,
    /// By the place of each point in the part.
    entries: Vec<(u32, u32, f32)>,
}

impl Part {
    /// Returns the distances of all pairs of the part, infinite where there is no entry.
    pub(crate) fn distances(&self) -> Result<CondensedDistances, Error> {
        let entries = self.entries.iter().map(|&(i, j, distance)| (i as usize, j as usize, distance));
        CondensedDistances::with_absent(self.points.len(), entries)
    }
}

fn root(forest: &mut [u32], mut node: u32) -> u32 {
    while forest[node as usize] != node {
        forest[node as usize] = forest[forest[node as usize] as usize];
        node = forest[node as usize];
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_joined_by_entries_within_the_threshold() {
        let entries = [(4, 0, 1.0), (1, 3, 2.0), (3, 0, 5.0)];
        let distances = SparseDistances::from_entries(5, entries).unwrap();
        let points =
            |threshold| distances.parts(threshold).unwrap().into_iter().map(|part| part.points).collect::<Vec<_>>();
        assert_eq!(points(4.0), [vec![0, 4], vec![1, 3], vec![2]]);
        assert_eq!(points(f64::INFINITY), [vec![0, 1, 3, 4], vec![2]]);
        assert_eq!(points(0.5).len(), 5);
        let part = &distances.parts(4.0).unwrap()[1];
        assert_eq!(part.distances().unwrap().as_slice(), [2.0]);
    }

    #[test]
    fn a_point_with_all_others_near_bounds_the_threshold() {
        let star = [(0, 1, 1.0), (0, 2, 3.0), (1, 2, 2.0), (0, 3, 1.0)];
        assert_eq!(SparseDistances::from_entries(4, star).unwrap().enclosing_radius(), Ok(3.0));
        assert_eq!(SparseDistances::from_entries(5, star).unwrap().enclosing_radius(), Ok(f32::INFINITY));
        assert_eq!(SparseDistances::from_entries(1, []).unwrap().enclosing_radius(), Ok(0.0));
    }
}
