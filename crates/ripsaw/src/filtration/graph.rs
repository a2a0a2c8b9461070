//! The graph of the edges within the threshold.

use crate::distance::CondensedDistances;
use crate::error::Error;
use crate::memory::with_room;

/// The length of a pair that is no edge.
pub(crate) const ABSENT: u32 = u32::MAX;

/// The most points that can be numbered in the sixteen bits an [`Edge`] has for each end.
pub(crate) const POINT_COUNT_MAX: usize = u16::MAX as usize;

/// Packs the length and the ends of an edge so that one comparison gives a total order of the filtration.
///
/// The shorter edge comes first; edges of equal length are ordered by their ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Edge(u64);

impl Edge {
    #[inline]
    pub(crate) fn new(length_bits: u32, large: usize, small: usize) -> Self {
        debug_assert!(small < large && large < POINT_COUNT_MAX);
        Self(u64::from(length_bits) << 32 | (large as u64) << 16 | small as u64)
    }

    /// Returns the length as the bits of an `f32`: for lengths that are not negative these are in the same order.
    #[inline]
    pub(crate) fn length_bits(self) -> u32 {
        (self.0 >> 32) as u32
    }

    #[inline]
    pub(crate) fn length(self) -> f32 {
        f32::from_bits(self.length_bits())
    }

    /// Returns both ends, the larger first.
    #[inline]
    pub(crate) fn ends(self) -> [usize; 2] {
        [(self.0 >> 16 & 0xFFFF) as usize, (self.0 & 0xFFFF) as usize]
    }
}

/// Holds the edges within the threshold, as lengths and as bits. Vertices are the chosen points, numbered from 0.
pub(crate) struct Graph {
    pub(crate) point_count: usize,
    /// The lengths of all pairs as bits of `f32`, row after row, both halves; [`ABSENT`] for a pair that is no edge.
    pub(crate) lengths: Vec<u32>,
    /// One bit for each edge, row after row, both halves.
    pub(crate) adjacency: Vec<u64>,
    pub(crate) words_per_row: usize,
    threshold: f64,
}

impl Graph {
    /// Takes the edges between the `chosen` points.
    ///
    /// The threshold is lowered to the enclosing radius, at which the complex is a cone (`bauer2021`).
    ///
    /// # Errors
    ///
    /// [`Error::TooManyPoints`] or [`Error::OutOfMemory`].
    pub(crate) fn new(distances: &CondensedDistances, chosen: &[usize], threshold: Option<f64>) -> Result<Self, Error> {
        let point_count = chosen.len();
        if point_count > POINT_COUNT_MAX {
            return Err(Error::TooManyPoints { got: point_count, limit: POINT_COUNT_MAX });
        }
        let mut lengths = square(distances, chosen)?;
        let radius = enclosing_radius(&lengths, point_count);
        let threshold = threshold.map_or(radius.into(), |threshold| threshold.min(radius.into()));
        let length_max = round_down(threshold).to_bits();
        let words_per_row = point_count.div_ceil(64);
        let mut adjacency: Vec<u64> = with_room(point_count * words_per_row)?;
        for (i, row) in lengths.chunks_exact_mut(point_count.max(1)).enumerate() {
            row[i] = ABSENT;
            for block in row.chunks_mut(64) {
                let mut word = 0;
                for (bit, length) in block.iter_mut().enumerate() {
                    let is_edge = *length <= length_max;
                    *length = if is_edge { *length } else { ABSENT };
                    word |= u64::from(is_edge) << bit;
                }
                adjacency.push(word);
            }
        }
        Ok(Self { point_count, lengths, adjacency, words_per_row, threshold })
    }

    /// Returns the most bytes that a graph on so many points holds.
    pub(crate) fn bytes(point_count: usize) -> u64 {
        let row = (point_count as u64).saturating_mul(4).saturating_add(8 * (point_count as u64).div_ceil(64));
        row.saturating_mul(point_count as u64)
    }

    /// Returns the threshold in force, in units of the metric.
    pub(crate) fn threshold(&self) -> f64 {
        self.threshold
    }

    pub(crate) fn has_edge(&self, [u, v]: [usize; 2]) -> bool {
        self.adjacency[u * self.words_per_row + v / 64] >> (v % 64) & 1 == 1
    }

    /// Takes an edge out.
    pub(crate) fn remove(&mut self, ends: [usize; 2]) {
        let [u, v] = ends;
        self.lengths[u * self.point_count + v] = ABSENT;
        self.lengths[v * self.point_count + u] = ABSENT;
        flip(&mut self.adjacency, self.words_per_row, ends);
    }

    /// Returns all edges in the order of the filtration.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn edges(&self) -> Result<Vec<Edge>, Error> {
        let ones: usize = self.adjacency.iter().map(|word| word.count_ones() as usize).sum();
        let mut edges = with_room(ones / 2)?;
        for j in 0..self.point_count {
            let row = &self.lengths[j * self.point_count..][..j];
            let within = row.iter().enumerate().filter(|&(_, &length)| length != ABSENT);
            edges.extend(within.map(|(i, &length)| Edge::new(length, j, i)));
        }
        edges.sort_unstable();
        Ok(edges)
    }
}

/// Adds an edge to rows of bits, or takes it out.
#[inline]
pub(crate) fn flip(rows: &mut [u64], words_per_row: usize, [large, small]: [usize; 2]) {
    rows[large * words_per_row + small / 64] ^= 1 << (small % 64);
    rows[small * words_per_row + large / 64] ^= 1 << (large % 64);
}

/// Fills both halves of the matrix of the chosen points.
fn square(distances: &CondensedDistances, chosen: &[usize]) -> Result<Vec<u32>, Error> {
    let count = chosen.len();
    let mut square: Vec<u32> = with_room(count.saturating_mul(count))?;
    square.resize(count * count, 0);
    for (i, &point) in chosen.iter().enumerate() {
        let row = distances.row(point);
        for (j, &other) in chosen.iter().enumerate().skip(i + 1) {
            let length = row[other - point - 1].to_bits();
            square[i * count + j] = length;
            square[j * count + i] = length;
        }
    }
    Ok(square)
}

/// Returns the smallest distance within which some point has all others; zero for fewer than two points.
fn enclosing_radius(square: &[u32], point_count: usize) -> f32 {
    let farthest = |row: &[u32]| row.iter().copied().fold(0, u32::max);
    f32::from_bits(square.chunks_exact(point_count.max(1)).map(farthest).min().unwrap_or(0))
}

/// Returns the largest finite `f32` that is not above a threshold of at least zero.
fn round_down(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) > threshold { nearest.next_down() } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(values: Vec<f32>, count: usize, threshold: Option<f64>) -> Graph {
        let distances = CondensedDistances::from_condensed(values, count).unwrap();
        let chosen: Vec<usize> = (0..count).collect();
        Graph::new(&distances, &chosen, threshold).unwrap()
    }

    #[test]
    fn the_enclosing_radius_bounds_the_threshold() {
        // A path 0 - 1 - 2: the middle has all within 1.
        for threshold in [None, Some(1.0), Some(7.0), Some(f64::INFINITY)] {
            let path = graph(vec![1., 2., 1.], 3, threshold);
            assert_eq!(path.threshold(), 1.0);
            assert_eq!(path.edges().unwrap().len(), 2);
        }
        assert_eq!(graph(vec![1., 2., 1.], 3, Some(0.25)).edges().unwrap().len(), 0);
    }

    #[test]
    fn a_threshold_between_two_floats_is_not_rounded_up() {
        let third = 1.0f32 / 3.0; // Above one third.
        assert_eq!(round_down(1.0 / 3.0), third.next_down());
        assert_eq!(round_down(third.into()), third);
        assert_eq!(round_down(0.0), 0.0);
        assert_eq!(round_down(1e-60), 0.0);
    }

    #[test]
    fn edges_come_by_length_and_then_by_ends() {
        let edges = graph(vec![2., 1., 2.], 3, None).edges().unwrap();
        let expected = [(1.0, [2, 0]), (2.0, [1, 0]), (2.0, [2, 1])];
        assert_eq!(edges.iter().map(|edge| (edge.length(), edge.ends())).collect::<Vec<_>>(), expected);
    }
}
