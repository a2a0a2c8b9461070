//! The minimum spanning tree of the mutual-reachability graph, by Prim.
//!
//! Exact, on a graph that is never stored: n - 1 passes over the vertices outside the tree. A tree for larger sets
//! (Borůvka on nearest neighbours) would stand beside this one and return the same edges.

use super::mutual_reachability::{EdgeLength, MutualReachability};

/// An edge of the tree, with `a < b`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TreeEdge {
    pub(super) a: usize,
    pub(super) b: usize,
    /// The mutual-reachability distance, no longer squared; it can be 0 between copies and infinite without core
    /// points.
    pub(super) weight: f64,
}

/// Returns the n - 1 edges of the tree, shortest first; none for fewer than two vertices.
///
/// Edges compare by weight, then distance, then vertices, so the tree is unique, and does not depend on the order of
/// the rows where no two distances are equal. O(n²) comparisons, at most O(n² d) for distances, O(n) memory.
pub(super) fn minimum_spanning_tree(graph: &MutualReachability<'_>) -> Vec<TreeEdge> {
    let mut edges = prim(graph);
    // No length is NaN: distances of finite rows are finite, core distances at most infinite.
    edges.sort_by(|(x, a), (y, b)| x.partial_cmp(y).unwrap_or(std::cmp::Ordering::Equal).then(a.cmp(b)));
    edges.into_iter().map(|(length, (a, b))| TreeEdge { a, b, weight: length.weight_squared.sqrt() }).collect()
}

/// A vertex outside the tree, and its shortest edge into it.
struct Outside {
    vertex: usize,
    source: usize,
    length: EdgeLength,
}

impl Outside {
    fn ends(&self) -> (usize, usize) {
        (self.vertex.min(self.source), self.vertex.max(self.source))
    }

    fn is_shorter_than(&self, other: &Self) -> bool {
        self.length < other.length || (self.length == other.length && self.ends() < other.ends())
    }
}

fn prim(graph: &MutualReachability<'_>) -> Vec<(EdgeLength, (usize, usize))> {
    let mut edges = Vec::with_capacity(graph.vertex_count().saturating_sub(1));
    let mut outside: Vec<Outside> =
        (1..graph.vertex_count()).map(|vertex| Outside { vertex, source: 0, length: graph.edge(0, vertex) }).collect();
    while let Some(nearest) = nearest_place(&outside) {
        let joined = outside.swap_remove(nearest);
        edges.push((joined.length, joined.ends()));
        relax(graph, joined.vertex, &mut outside);
    }
    edges
}

fn nearest_place(outside: &[Outside]) -> Option<usize> {
    (0..outside.len()).reduce(|best, place| if outside[place].is_shorter_than(&outside[best]) { place } else { best })
}

/// Lets every vertex outside the tree use an edge to `joined` where that is shorter.
fn relax(graph: &MutualReachability<'_>, joined: usize, outside: &mut [Outside]) {
    for entry in outside {
        if graph.weight_squared_min(joined, entry.vertex) > entry.length.weight_squared {
            continue; // The core distances alone are too long, so no distance is needed.
        }
        let candidate = Outside { vertex: entry.vertex, source: joined, length: graph.edge(joined, entry.vertex) };
        if candidate.is_shorter_than(entry) {
            *entry = candidate;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::duplicates::Vertices;
    use super::super::mutual_reachability::mutual_reachability;
    use super::super::{Duplicates, Vectors};
    use super::*;
    use proptest::prelude::*;

    /// Kruskal over all pairs, with core distances by sorting: slow, obvious, and sharing nothing with the above.
    fn tree_weight_by_kruskal(points: &[Vec<f64>], min_samples: usize) -> f64 {
        let n = points.len();
        let distance = |a: usize, b: usize| -> f64 {
            points[a].iter().zip(&points[b]).map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt()
        };
        let core = |a: usize| {
            let mut distances: Vec<f64> = (0..n).map(|b| distance(a, b)).collect();
            distances.sort_by(f64::total_cmp);
            distances.get(min_samples - 1).copied().unwrap_or(f64::INFINITY)
        };
        let mut pairs: Vec<(f64, usize, usize)> = (0..n)
            .flat_map(|a| (0..a).map(move |b| (a, b)))
            .map(|(a, b)| (distance(a, b).max(core(a)).max(core(b)), a, b))
            .collect();
        pairs.sort_by(|x, y| x.0.total_cmp(&y.0));
        let mut component: Vec<usize> = (0..n).collect();
        let mut weight = 0.0;
        for (length, a, b) in pairs {
            let (from, to) = (component[a], component[b]);
            if from != to {
                weight += length;
                component.iter_mut().filter(|c| **c == from).for_each(|c| *c = to);
            }
        }
        weight
    }

    proptest! {
        #[test]
        fn the_tree_is_as_light_as_kruskals(
            // A coarse grid: ties and duplicates in plenty.
            rows in prop::collection::vec(prop::collection::vec(1i8..6, 3), 2..40),
            min_samples in 1usize..6,
        ) {
            let values: Vec<f32> = rows.iter().flatten().map(|&x| f32::from(x)).collect();
            let vectors = Vectors::new(&values, rows.len(), 3).unwrap();
            let vertices = Vertices::new(vectors, Duplicates::Keep);
            let edges = minimum_spanning_tree(&mutual_reachability(&vertices, min_samples));
            prop_assert_eq!(edges.len(), rows.len() - 1);
            prop_assert!(edges.is_sorted_by(|x, y| x.weight <= y.weight));
            let weight: f64 = edges.iter().map(|edge| edge.weight).sum();
            let points: Vec<Vec<f64>> =
                rows.iter().map(|row| row.iter().map(|&x| f64::from(x)).collect()).collect();
            let expected = tree_weight_by_kruskal(&points, min_samples);
            prop_assert!(weight == expected || (weight - expected).abs() <= 1e-12 * expected, "{weight} {expected}");
        }
    }
}
