//! The distances within the threshold, laid out for enumeration.

use crate::distance::CondensedDistances;
use crate::error::Error;
use crate::filtration::{Binomials, Simplex};
use crate::memory::with_room;

/// Holds the graph of the edges within the threshold, of which every simplex is a clique.
///
/// Vertices are the chosen points, numbered anew from 0.
pub(crate) struct Complex {
    point_count: usize,
    /// All distances, row after row, both halves.
    square: Vec<f32>,
    /// One bit for each pair within the threshold, row after row, no point next to itself.
    adjacency: Vec<u64>,
    words_per_row: usize,
    /// The largest `f32` that is not above the threshold.
    diameter_max: f32,
    threshold: f64,
    binomials: Binomials,
}

impl Complex {
    /// Lays out the distances between the `chosen` points.
    ///
    /// The threshold is lowered to the enclosing radius, at which the complex is a cone (`bauer2021`). `binomials` must
    /// reach to the number of chosen points.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(
        distances: &CondensedDistances,
        chosen: &[usize],
        threshold: Option<f64>,
        binomials: Binomials,
    ) -> Result<Self, Error> {
        let point_count = chosen.len();
        let square = square(distances, chosen)?;
        let radius = enclosing_radius(&square, point_count);
        let threshold = threshold.map_or(radius.into(), |threshold| threshold.min(radius.into()));
        let diameter_max = round_down(threshold);
        let words_per_row = point_count.div_ceil(64);
        let mut adjacency: Vec<u64> = with_room(point_count * words_per_row)?;
        adjacency.resize(point_count * words_per_row, 0);
        for i in 0..point_count {
            for j in (0..point_count).filter(|&j| i != j && square[i * point_count + j] <= diameter_max) {
                adjacency[i * words_per_row + j / 64] |= 1 << (j % 64);
            }
        }
        Ok(Self { point_count, square, adjacency, words_per_row, diameter_max, threshold, binomials })
    }

    /// Returns the most bytes that a complex on so many points holds, without its binomials.
    pub(crate) fn bytes(point_count: usize) -> u64 {
        let row = (point_count as u64).saturating_mul(4).saturating_add(8 * (point_count as u64).div_ceil(64));
        row.saturating_mul(point_count as u64)
    }

    pub(crate) fn point_count(&self) -> usize {
        self.point_count
    }

    /// Returns the threshold in force, in units of the metric.
    pub(crate) fn threshold(&self) -> f64 {
        self.threshold
    }

    pub(crate) fn binomials(&self) -> &Binomials {
        &self.binomials
    }

    /// Returns the distances from one vertex to all.
    #[inline]
    pub(crate) fn distances_from(&self, vertex: usize) -> &[f32] {
        &self.square[vertex * self.point_count..][..self.point_count]
    }

    /// Returns the neighbours of one vertex as bits.
    #[inline]
    pub(crate) fn neighbours(&self, vertex: usize) -> &[u64] {
        &self.adjacency[vertex * self.words_per_row..][..self.words_per_row]
    }

    /// Returns all edges in the order of the filtration.
    pub(crate) fn edges(&self) -> Result<Vec<Simplex>, Error> {
        let ones: usize = self.adjacency.iter().map(|word| word.count_ones() as usize).sum();
        let mut edges = with_room(ones / 2)?;
        for j in 0..self.point_count {
            let row = self.distances_from(j);
            let within = (0..j).filter(|&i| row[i] <= self.diameter_max);
            edges.extend(within.map(|i| Simplex::new(row[i], self.binomials.index(&[j, i]))));
        }
        edges.sort_unstable();
        Ok(edges)
    }

    /// Returns the facet of equal diameter with the smallest index, which is the youngest facet, if there is one.
    ///
    /// `vertices` are those of the simplex, in falling order; those of the facet are written to `facet`.
    pub(crate) fn youngest_facet_of_equal_diameter(
        &self,
        diameter: f32,
        vertices: &[usize],
        facet: &mut Vec<usize>,
    ) -> Option<Simplex> {
        // Leaving out a larger vertex leaves a smaller index.
        for left_out in 0..vertices.len() {
            facet.clear();
            facet.extend(vertices.iter().enumerate().filter(|&(place, _)| place != left_out).map(|(_, &v)| v));
            if self.has_edge_of_length(diameter, facet) {
                return Some(Simplex::new(diameter, self.binomials.index(facet)));
            }
        }
        None
    }

    fn has_edge_of_length(&self, length: f32, vertices: &[usize]) -> bool {
        vertices.iter().enumerate().any(|(place, &v)| {
            let row = self.distances_from(v);
            vertices[place + 1..].iter().any(|&w| row[w] == length)
        })
    }
}

/// Fills both halves of the matrix of the chosen points.
fn square(distances: &CondensedDistances, chosen: &[usize]) -> Result<Vec<f32>, Error> {
    let count = chosen.len();
    let mut square: Vec<f32> = with_room(count.saturating_mul(count))?;
    square.resize(count * count, 0.0);
    for (i, &point) in chosen.iter().enumerate() {
        for (j, &other) in chosen.iter().enumerate().skip(i + 1) {
            let distance = distances.distance(point, other);
            square[i * count + j] = distance;
            square[j * count + i] = distance;
        }
    }
    Ok(square)
}

/// Returns the smallest distance within which some point has all others; zero for fewer than two points.
fn enclosing_radius(square: &[f32], point_count: usize) -> f32 {
    let farthest = |row: &[f32]| row.iter().copied().fold(0.0, f32::max);
    square.chunks_exact(point_count.max(1)).map(farthest).min_by(f32::total_cmp).unwrap_or(0.0)
}

/// Returns the largest finite `f32` that is not above a threshold of at least zero.
fn round_down(threshold: f64) -> f32 {
    let nearest = threshold as f32;
    if f64::from(nearest) > threshold { nearest.next_down() } else { nearest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complex(values: Vec<f32>, count: usize, threshold: Option<f64>) -> Complex {
        let distances = CondensedDistances::from_condensed(values, count).unwrap();
        let chosen: Vec<usize> = (0..count).collect();
        Complex::new(&distances, &chosen, threshold, Binomials::new(count, 4).unwrap()).unwrap()
    }

    #[test]
    fn the_enclosing_radius_bounds_the_threshold() {
        // A path 0 - 1 - 2: the middle has all within 1.
        for threshold in [None, Some(1.0), Some(7.0), Some(f64::INFINITY)] {
            let path = complex(vec![1., 2., 1.], 3, threshold);
            assert_eq!(path.threshold(), 1.0);
            assert_eq!(path.edges().unwrap().len(), 2);
        }
        assert_eq!(complex(vec![1., 2., 1.], 3, Some(0.25)).edges().unwrap().len(), 0);
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
    fn edges_come_in_filtration_order() {
        let edges = complex(vec![1., 2., 1.], 3, Some(1.0)).edges().unwrap();
        assert_eq!(edges.iter().map(|edge| edge.index()).collect::<Vec<_>>(), [2, 0]);
    }

    #[test]
    fn the_youngest_facet_has_the_smallest_index() {
        let even = complex(vec![1.; 6], 4, None);
        let mut facet = Vec::new();
        let youngest = even.youngest_facet_of_equal_diameter(1.0, &[3, 2, 1], &mut facet);
        assert_eq!((youngest, &facet[..]), (Some(Simplex::new(1.0, 2)), &[2, 1][..]));
        assert_eq!(even.youngest_facet_of_equal_diameter(2.0, &[3, 2, 1], &mut facet), None);
    }
}
