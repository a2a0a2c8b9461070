//! The condensed tree: the single-linkage tree without the splits that only shed a few rows.
//!
//! Walked from the root down, a split into two parts of `min_cluster_size` rows or more makes two new clusters; at any
//! other split the small part leaves the cluster, which goes on (`campello2013`, `mcinnes2017`).

use super::linkage::Linkage;

/// A cluster of the condensed tree, from the λ at which it appears to the one at which its last row is gone.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct CondensedCluster {
    /// `None` for the root, which is cluster 0.
    pub(super) parent: Option<usize>,
    /// The two clusters it splits into, if it does.
    pub(super) children: Option<[usize; 2]>,
    /// λ at which it splits off its parent; 0 for the root.
    pub(super) birth: f64,
    /// The largest λ at which a row or a child leaves it; `birth` or more, infinite if rows leave at distance 0.
    pub(super) death: f64,
    /// Σ over its rows of (λ at which the row leaves it - birth): its excess of mass. NaN when it is born at λ = ∞.
    pub(super) stability: f64,
    /// The rows that it begins with.
    pub(super) row_count: usize,
}

/// The condensed tree over the vertices.
///
/// Invariant: clusters stand after their parents, and each vertex leaves exactly one cluster to no other.
pub(super) struct CondensedTree {
    pub(super) clusters: Vec<CondensedCluster>,
    /// For each vertex the smallest cluster that holds it.
    pub(super) cluster_of_vertex: Vec<usize>,
    /// For each vertex the λ at which it leaves that cluster.
    pub(super) lambda_of_vertex: Vec<f64>,
}

/// Condenses a single-linkage tree; no vertices give no clusters. O(n) time and memory.
///
/// A vertex with `min_cluster_size` rows or more that splits off alone is a cluster too: born and gone at the same λ,
/// of stability 0, it is selected only where nothing else can be.
pub(super) fn condense(tree: &Linkage<'_>, min_cluster_size: usize) -> CondensedTree {
    let mut condensed = CondensedTree {
        clusters: vec![],
        cluster_of_vertex: vec![0; tree.vertex_count()],
        lambda_of_vertex: vec![0.0; tree.vertex_count()],
    };
    let Some(root) = tree.root() else { return condensed };
    let root_cluster = condensed.add_cluster(None, 0.0);
    let mut pending = vec![(root, root_cluster)];
    while let Some((node, cluster)) = pending.pop() {
        let Some(merge) = tree.merge(node) else { continue };
        let lambda = 1.0 / merge.weight;
        let large = merge.children.map(|child| tree.row_count(child) >= min_cluster_size);
        let successors = match large {
            [true, true] => condensed.split(cluster, lambda, merge.children.map(|child| tree.row_count(child))),
            _ => [cluster; 2],
        };
        for ((child, is_large), successor) in merge.children.into_iter().zip(large).zip(successors) {
            if is_large && tree.merge(child).is_some() {
                pending.push((child, successor));
            } else {
                tree.for_each_vertex(child, |vertex| {
                    condensed.leave(successor, vertex, lambda, tree.multiplicity[vertex]);
                });
            }
        }
    }
    condensed
}

impl CondensedTree {
    fn add_cluster(&mut self, parent: Option<usize>, birth: f64) -> usize {
        let cluster = CondensedCluster { parent, children: None, birth, death: birth, stability: 0.0, row_count: 0 };
        self.clusters.push(cluster);
        self.clusters.len() - 1
    }

    fn split(&mut self, cluster: usize, lambda: f64, row_counts: [usize; 2]) -> [usize; 2] {
        row_counts.iter().for_each(|&row_count| self.lose(cluster, lambda, row_count));
        let children = [self.add_cluster(Some(cluster), lambda), self.add_cluster(Some(cluster), lambda)];
        self.clusters[cluster].children = Some(children);
        children
    }

    fn leave(&mut self, cluster: usize, vertex: usize, lambda: f64, row_count: usize) {
        self.cluster_of_vertex[vertex] = cluster;
        self.lambda_of_vertex[vertex] = lambda;
        self.lose(cluster, lambda, row_count);
    }

    #[expect(clippy::cast_precision_loss, reason = "row counts are far below 2^53")]
    fn lose(&mut self, cluster: usize, lambda: f64, row_count: usize) {
        let cluster = &mut self.clusters[cluster];
        cluster.death = cluster.death.max(lambda);
        cluster.stability += (lambda - cluster.birth) * row_count as f64;
        cluster.row_count += row_count;
    }
}

#[cfg(test)]
mod tests {
    use super::super::linkage::{TreeEdge, linkage};
    use super::*;

    fn edge(a: usize, b: usize, weight: f64) -> TreeEdge {
        TreeEdge { a, b, weight }
    }

    #[test]
    fn small_parts_leave_and_large_parts_become_clusters() {
        // Two pairs at distance 1, half apart from each other, and a straggler at 4.
        let edges = [edge(0, 1, 0.25), edge(2, 3, 0.5), edge(1, 2, 1.0), edge(3, 4, 4.0)];
        let condensed = condense(&linkage(&edges, &[1; 5]), 2);
        let cluster = |parent, children, birth, death, stability, row_count| CondensedCluster {
            parent,
            children,
            birth,
            death,
            stability,
            row_count,
        };
        assert_eq!(
            condensed.clusters,
            [
                cluster(None, Some([1, 2]), 0.0, 1.0, 4.0 + 0.25, 5),
                cluster(Some(0), None, 1.0, 4.0, 6.0, 2),
                cluster(Some(0), None, 1.0, 2.0, 2.0, 2),
            ]
        );
        assert_eq!(condensed.cluster_of_vertex, [1, 1, 2, 2, 0]);
        assert_eq!(condensed.lambda_of_vertex, [4.0, 4.0, 2.0, 2.0, 0.25]);
    }

    #[test]
    fn a_heavy_vertex_alone_is_a_cluster_without_stability() {
        let condensed = condense(&linkage(&[edge(0, 1, 0.5), edge(1, 2, 1.0)], &[1, 1, 3]), 2);
        assert_eq!(
            condensed.clusters[2],
            CondensedCluster { parent: Some(0), children: None, birth: 1.0, death: 1.0, stability: 0.0, row_count: 3 }
        );
        assert_eq!(condensed.cluster_of_vertex, [1, 1, 2]);
    }

    #[test]
    fn copies_kept_apart_have_infinite_density() {
        let condensed = condense(&linkage(&[edge(0, 1, 0.0), edge(1, 2, 1.0)], &[1; 3]), 2);
        assert_eq!(condensed.clusters.len(), 1);
        assert_eq!(condensed.lambda_of_vertex, [f64::INFINITY, f64::INFINITY, 1.0]);
        assert_eq!(condensed.clusters[0].stability, f64::INFINITY);
    }

    #[test]
    fn no_vertices_make_no_clusters() {
        assert!(condense(&linkage(&[], &[]), 2).clusters.is_empty());
        assert_eq!(condense(&linkage(&[], &[9]), 2).clusters.len(), 1);
    }
}
