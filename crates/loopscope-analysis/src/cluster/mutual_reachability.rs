//! The mutual-reachability graph: complete, never stored, its edges computed when they are asked for.
//!
//! The weight of an edge is the largest of the distance and the two core distances (`campello2013`). The core distance
//! of a point is the radius of the smallest closed ball around it that holds `min_samples` rows, its own included.

use super::distance::squared_distance;
use super::duplicates::Vertices;

/// Rows per block: two blocks of 768-dimensional rows fit a usual second-level cache.
const BLOCK: usize = 64;

/// The graph on all vertices, with weights and distances squared.
pub(super) struct MutualReachability<'a> {
    vertices: &'a Vertices<'a>,
    core_squared: Vec<f64>,
}

/// An edge as the tree compares it: by weight, then by distance.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) struct EdgeLength {
    /// The mutual-reachability distance, squared.
    pub(super) weight_squared: f64,
    /// The distance itself, squared; it breaks the ties that shared core distances make.
    pub(super) distance_squared: f64,
}

/// Computes every core distance.
///
/// Infinite when there are fewer than `min_samples` rows. O(n² d) time; memory O(n k) for k = `min_samples`, freed on
/// return, and O(n) after it.
pub(super) fn mutual_reachability<'a>(vertices: &'a Vertices<'a>, min_samples: usize) -> MutualReachability<'a> {
    let core_squared = core_distances_squared(vertices, min_samples);
    MutualReachability { vertices, core_squared }
}

impl MutualReachability<'_> {
    pub(super) fn vertex_count(&self) -> usize {
        self.core_squared.len()
    }

    /// Returns what no edge between the two can be shorter than; costs no distance.
    pub(super) fn weight_squared_min(&self, a: usize, b: usize) -> f64 {
        self.core_squared[a].max(self.core_squared[b])
    }

    /// Returns the length of the edge, the same for `(b, a)`.
    pub(super) fn edge(&self, a: usize, b: usize) -> EdgeLength {
        let distance_squared = squared_distance(self.vertices.point(a), self.vertices.point(b));
        EdgeLength { weight_squared: distance_squared.max(self.weight_squared_min(a, b)), distance_squared }
    }
}

fn core_distances_squared(vertices: &Vertices<'_>, min_samples: usize) -> Vec<f64> {
    let others_needed = vertices.multiplicity().iter().map(|&own| min_samples.saturating_sub(own));
    let mut nearest: Vec<Nearest> = others_needed.map(Nearest::new).collect();
    if nearest.iter().any(|nearest| nearest.rows_needed > 0) {
        for_each_pair_in_blocks(vertices.len(), |a, b| {
            let distance = squared_distance(vertices.point(a), vertices.point(b));
            nearest[a].offer(distance, vertices.multiplicity()[b]);
            nearest[b].offer(distance, vertices.multiplicity()[a]);
        });
    }
    nearest.iter().map(Nearest::radius).collect()
}

/// Visits every pair `a < b` once, block against block, so that rows are reused while they are near.
fn for_each_pair_in_blocks(count: usize, mut visit: impl FnMut(usize, usize)) {
    for a_start in (0..count).step_by(BLOCK) {
        let a_end = (a_start + BLOCK).min(count);
        for b_start in (a_start..count).step_by(BLOCK) {
            let b_end = (b_start + BLOCK).min(count);
            for a in a_start..a_end {
                for b in b_start.max(a + 1)..b_end {
                    visit(a, b);
                }
            }
        }
    }
}

/// The nearest neighbours of one vertex: at most as many as can matter, nearest first.
struct Nearest {
    rows_needed: usize,
    neighbours: Vec<(f64, usize)>,
}

impl Nearest {
    fn new(rows_needed: usize) -> Self {
        Self { rows_needed, neighbours: vec![] }
    }

    /// Takes a neighbour at `distance` on which `row_count` rows stand, if it is among the nearest `rows_needed`.
    ///
    /// Each neighbour brings at least one row, so the ones beyond that number are never reached.
    fn offer(&mut self, distance: f64, row_count: usize) {
        if self.neighbours.len() == self.rows_needed {
            match self.neighbours.last() {
                Some(&(farthest, _)) if distance < farthest => self.neighbours.pop(),
                _ => return,
            };
        }
        let place = self.neighbours.partition_point(|&(nearer, _)| nearer <= distance);
        self.neighbours.insert(place, (distance, row_count));
    }

    /// The distance at which enough rows are gathered.
    fn radius(&self) -> f64 {
        if self.rows_needed == 0 {
            return 0.0;
        }
        let mut rows = 0;
        for &(distance, row_count) in &self.neighbours {
            rows += row_count;
            if rows >= self.rows_needed {
                return distance;
            }
        }
        f64::INFINITY
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Duplicates, Vectors};
    use super::*;

    fn core_distances(line: &[f32], min_samples: usize, duplicates: Duplicates) -> Vec<f64> {
        let vertices = Vertices::new(Vectors::new(line, line.len(), 1).unwrap(), duplicates);
        mutual_reachability(&vertices, min_samples).core_squared.iter().map(|squared| squared.sqrt()).collect()
    }

    #[test]
    fn min_samples_counts_the_point_itself() {
        let line = [1., 2., 4., 8.];
        assert_eq!(core_distances(&line, 1, Duplicates::Keep), [0., 0., 0., 0.]);
        assert_eq!(core_distances(&line, 2, Duplicates::Keep), [1., 1., 2., 4.]);
        assert_eq!(core_distances(&line, 3, Duplicates::Keep), [3., 2., 3., 6.]);
    }

    #[test]
    fn too_few_rows_have_no_core_distance() {
        assert_eq!(core_distances(&[1., 2.], 3, Duplicates::Keep), [f64::INFINITY; 2]);
        assert_eq!(core_distances(&[1., 1.], 3, Duplicates::Merge), [f64::INFINITY; 1]);
    }

    #[test]
    fn copies_count_whether_merged_or_kept() {
        let line = [1., 1., 1., 2., 4.];
        assert_eq!(core_distances(&line, 3, Duplicates::Keep), [0., 0., 0., 1., 3.]);
        assert_eq!(core_distances(&line, 3, Duplicates::Merge), [0., 1., 3.]);
        assert_eq!(core_distances(&line, 4, Duplicates::Merge), [1., 1., 3.]);
    }

    #[test]
    fn blocks_cover_every_pair_once() {
        for count in [0, 1, 2, BLOCK, BLOCK + 1, 2 * BLOCK + 3] {
            let mut pairs = vec![];
            for_each_pair_in_blocks(count, |a, b| pairs.push((a, b)));
            pairs.sort_unstable();
            let expected: Vec<_> = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).collect();
            assert_eq!(pairs, expected);
        }
    }
}
