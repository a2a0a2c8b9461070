//! The single-linkage tree: the order in which the edges of a spanning tree join its components.

use super::edge::{Components as Sets, Edge};

/// An edge of a spanning tree, with `a < b`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct TreeEdge {
    pub(super) a: usize,
    pub(super) b: usize,
    /// The mutual-reachability distance, no longer squared; it can be 0 between copies and infinite without core
    /// points.
    pub(super) weight: f64,
}

impl From<&Edge> for TreeEdge {
    fn from(edge: &Edge) -> Self {
        let [a, b] = edge.ends();
        Self { a, b, weight: edge.weight_squared.sqrt() }
    }
}

/// One joining of two components.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Merge {
    /// The nodes joined: below the number of vertices a vertex, from there on merge `node - vertex_count`.
    pub(super) children: [usize; 2],
    pub(super) weight: f64,
    /// Rows, not vertices, in both together.
    pub(super) row_count: usize,
}

/// A binary tree over the vertices; the last merge is the root.
///
/// Invariant: one merge fewer than vertices (none for none), children before parents, weights ascending.
pub(super) struct Linkage<'a> {
    pub(super) multiplicity: &'a [usize],
    pub(super) merges: Vec<Merge>,
}

/// Joins components along `edges`, which are sorted, shortest first, and span all vertices. O(n α(n)) time.
pub(super) fn linkage<'a>(edges: &[TreeEdge], multiplicity: &'a [usize]) -> Linkage<'a> {
    let mut tree = Linkage { multiplicity, merges: Vec::with_capacity(edges.len()) };
    let mut components = Components::new(multiplicity.len());
    for edge in edges {
        let roots = [components.find(edge.a), components.find(edge.b)];
        let children = roots.map(|root| components.node[root]);
        let row_count = children.map(|child| tree.row_count(child)).iter().sum();
        components.join(roots, multiplicity.len() + tree.merges.len());
        tree.merges.push(Merge { children, weight: edge.weight, row_count });
    }
    tree
}

impl Linkage<'_> {
    pub(super) fn vertex_count(&self) -> usize {
        self.multiplicity.len()
    }

    /// The node that holds everything; `None` without vertices.
    pub(super) fn root(&self) -> Option<usize> {
        (self.vertex_count() + self.merges.len()).checked_sub(1)
    }

    /// The merge that made `node`; `None` for a vertex.
    pub(super) fn merge(&self, node: usize) -> Option<&Merge> {
        node.checked_sub(self.vertex_count()).map(|merge| &self.merges[merge])
    }

    pub(super) fn row_count(&self, node: usize) -> usize {
        self.merge(node).map_or_else(|| self.multiplicity[node], |merge| merge.row_count)
    }

    /// Calls `visit` on every vertex under `node`, from left to right.
    pub(super) fn for_each_vertex(&self, node: usize, mut visit: impl FnMut(usize)) {
        let mut pending = vec![node];
        while let Some(node) = pending.pop() {
            match self.merge(node) {
                Some(merge) => pending.extend(merge.children.iter().rev()),
                None => visit(node),
            }
        }
    }
}

/// Disjoint sets, each knowing the tree node that stands for it.
struct Components {
    sets: Sets,
    node: Vec<usize>,
}

impl Components {
    fn new(count: usize) -> Self {
        Self { sets: Sets::new(count), node: (0..count).collect() }
    }

    fn find(&mut self, member: usize) -> usize {
        self.sets.find(member)
    }

    fn join(&mut self, roots: [usize; 2], node: usize) {
        self.sets.join(roots);
        let root = self.sets.find(roots[0]);
        self.node[root] = node;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_join_components_and_rows_are_counted() {
        let edge = |a, b, weight| TreeEdge { a, b, weight };
        let tree = linkage(&[edge(2, 3, 1.), edge(0, 1, 2.), edge(1, 2, 3.)], &[1, 1, 5, 1]);
        let merge = |children, weight, row_count| Merge { children, weight, row_count };
        assert_eq!(tree.merges, [merge([2, 3], 1., 6), merge([0, 1], 2., 2), merge([5, 4], 3., 8)]);
        assert_eq!(tree.root(), Some(6));
        let mut vertices = vec![];
        tree.for_each_vertex(6, |vertex| vertices.push(vertex));
        assert_eq!(vertices, [0, 1, 2, 3]);
        assert_eq!(linkage(&[], &[]).root(), None);
    }
}
