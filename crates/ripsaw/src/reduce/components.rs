//! Dimension 0: the connected components, by Kruskal's algorithm.

use crate::diagram::{Bar, Diagram};
use crate::error::Error;
use crate::filtration::{Complex, Key, Packing};
use crate::memory::Ledger;
use crate::reduce::pivots::Pivots;

/// Returns the bars of dimension 0, and the edges that join components: the pivots of dimension 0.
///
/// Every component is born at 0. Takes close to linear time.
pub(crate) fn merge_components<K: Key>(complex: &Complex, ledger: &Ledger) -> Result<(Vec<Bar>, Pivots<K>), Error> {
    let mut forest = Forest::new(complex.point_count());
    let mut diagram = Diagram::default();
    let mut pivots = Pivots::new();
    let no_rest = Packing::new(complex).pack::<K>(&[]);
    let mut component_count = complex.point_count();
    for (rank, edge) in complex.edges().iter().enumerate() {
        if component_count < 2 {
            break;
        }
        let [i, j] = edge.ends();
        if forest.join(i, j) {
            component_count -= 1;
            pivots.insert(K::join(rank as u32, no_rest, 0), component_count as u32, ledger)?;
            diagram.push_finite(0.0, edge.length());
        }
    }
    (0..component_count).for_each(|_| diagram.push_infinite(0.0));
    Ok((diagram.into_sorted(), pivots))
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
    use crate::distance::CondensedDistances;
    use crate::filtration::{Binomials, Graph};

    #[test]
    fn components_die_at_the_edges_that_join_them() {
        // Points 0, 1, 2 in a triangle, point 3 alone.
        let distances = CondensedDistances::from_condensed(vec![1., 2., 9., 2., 9., 9.], 4).unwrap();
        let graph = Graph::new(&distances, &[0, 1, 2, 3], Some(2.0)).unwrap();
        let edges = graph.edges().unwrap();
        let complex = Complex::new(graph, edges, Binomials::new(4, 2).unwrap()).unwrap();
        let (bars, pivots) = merge_components::<u64>(&complex, &Ledger::new(None)).unwrap();
        let expected = [(0.0, 1.0), (0.0, 2.0), (0.0, f64::INFINITY), (0.0, f64::INFINITY)];
        assert_eq!(bars, expected.map(Bar::from));
        assert_eq!([0, 1, 2].map(|rank| pivots.contains(rank)), [true, true, false]);
    }
}
