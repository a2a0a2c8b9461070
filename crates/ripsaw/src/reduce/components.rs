//! Dimension 0: the connected components, by Kruskal's algorithm.

use crate::diagram::{Bar, Diagram};
use crate::filtration::Simplex;
use crate::reduce::pivots::Pivots;

/// Returns the bars of dimension 0, and the edges that join components: the pivots of dimension 0.
///
/// `edges` are in the order of the filtration. Every component is born at 0. Takes close to linear time.
pub(crate) fn merge_components(point_count: usize, edges: &[Simplex]) -> (Vec<Bar>, Pivots) {
    let mut forest = Forest::new(point_count);
    let mut diagram = Diagram::default();
    let mut pivots = Pivots::default();
    let mut component_count = point_count;
    for &edge in edges {
        if component_count < 2 {
            break;
        }
        let (i, j) = ends(edge.index());
        if forest.join(i, j) {
            component_count -= 1;
            pivots.insert_unbounded(edge, component_count);
            diagram.push_finite(0.0, edge.diameter());
        }
    }
    (0..component_count).for_each(|_| diagram.push_infinite(0.0));
    (diagram.into_sorted(), pivots)
}

/// Returns the ends `i < j` of the edge with index `j (j - 1) / 2 + i`.
fn ends(index: u64) -> (usize, usize) {
    let mut j = (8 * u128::from(index) + 1).isqrt().div_ceil(2) as u64;
    j -= u64::from(j * (j - 1) / 2 > index);
    ((index - j * (j - 1) / 2) as usize, j as usize)
}

/// A union-find forest with path halving and union by size.
struct Forest {
    parents: Vec<usize>,
    sizes: Vec<usize>,
}

impl Forest {
    fn new(count: usize) -> Self {
        Self { parents: (0..count).collect(), sizes: vec![1; count] }
    }

    fn root(&mut self, mut node: usize) -> usize {
        while self.parents[node] != node {
            self.parents[node] = self.parents[self.parents[node]];
            node = self.parents[node];
        }
        node
    }

    /// Joins two trees; false if they are one already.
    fn join(&mut self, i: usize, j: usize) -> bool {
        let (mut small, mut large) = (self.root(i), self.root(j));
        if self.sizes[small] > self.sizes[large] {
            (small, large) = (large, small);
        }
        if small != large {
            self.parents[small] = large;
            self.sizes[large] += self.sizes[small];
        }
        small != large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_are_unpacked() {
        let mut index = 0;
        for j in 1..200 {
            for i in 0..j {
                assert_eq!(ends(index), (i, j));
                index += 1;
            }
        }
    }

    #[test]
    fn components_die_at_the_edges_that_join_them() {
        // Points 0, 1, 2 in a triangle, point 3 alone.
        let edges = [(1.0, 0), (2.0, 2), (2.0, 1)].map(|(diameter, index)| Simplex::new(diameter, index));
        let (bars, pivots) = merge_components(4, &edges);
        let expected = [(0.0, 1.0), (0.0, 2.0), (0.0, f64::INFINITY), (0.0, f64::INFINITY)];
        assert_eq!(bars, expected.map(Bar::from));
        assert!(pivots.contains(edges[0]) && pivots.contains(edges[1]) && !pivots.contains(edges[2]));
    }
}
