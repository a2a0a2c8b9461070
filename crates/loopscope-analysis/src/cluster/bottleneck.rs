//! The longest edge between any two vertices of a spanning tree, in constant time.
//!
//! The vertices stand in a row in which the two parts that an edge joins, when edges are taken shortest first, are
//! neighbours. Between neighbours stands the rank of that edge; the longest edge on the path between two vertices is the
//! largest rank between their places. An edge that is longer than that is in no minimum spanning tree.

use super::edge::{Components, Edge};

/// A spanning tree with its vertices in a row.
pub(super) struct Bottleneck {
    /// Shortest first.
    edges: Vec<Edge>,
    /// Which vertex stands where.
    order: Vec<u32>,
    place_of_vertex: Vec<u32>,
    /// `levels[k][p]` is the largest rank in `2^k` gaps from gap `p` on; gap p is between places p and p + 1.
    levels: Vec<Vec<u32>>,
}

impl Bottleneck {
    /// Lays out a tree of sorted edges that spans all vertices. O(n log n) time and memory.
    pub(super) fn new(vertex_count: usize, edges: Vec<Edge>) -> Self {
        debug_assert!(edges.is_sorted() && edges.len() + 1 == vertex_count.max(1));
        let mut components = Components::new(vertex_count);
        // Each part is a list of vertices, kept at the vertex that stands for it: its first and its last.
        let mut ends: Vec<(u32, u32)> = (0..vertex_count as u32).map(|vertex| (vertex, vertex)).collect();
        let mut next = vec![u32::MAX; vertex_count];
        let mut gap_after = vec![0; vertex_count];
        for (rank, edge) in edges.iter().enumerate() {
            let (left, right) = (components.find(edge.a as usize), components.find(edge.b as usize));
            let (first, middle) = ends[left];
            next[middle as usize] = ends[right].0;
            gap_after[middle as usize] = rank as u32;
            let joined = (first, ends[right].1);
            components.join([left, right]);
            ends[components.find(left)] = joined;
        }
        let mut order = Vec::with_capacity(vertex_count);
        let mut place_of_vertex = vec![0; vertex_count];
        let mut gaps = Vec::with_capacity(vertex_count);
        let mut vertex = if vertex_count == 0 { u32::MAX } else { ends[components.find(0)].0 };
        while vertex != u32::MAX {
            place_of_vertex[vertex as usize] = order.len() as u32;
            order.push(vertex);
            gaps.push(gap_after[vertex as usize]);
            vertex = next[vertex as usize];
        }
        gaps.truncate(vertex_count.saturating_sub(1));
        Self { edges, order, place_of_vertex, levels: levels(gaps) }
    }

    pub(super) fn into_edges(self) -> Vec<Edge> {
        self.edges
    }

    /// Which vertex stands where in the row.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// For each gap of the row the edge that it stands for.
    pub(super) fn gap_edge(&self, gap: usize) -> &Edge {
        &self.edges[self.levels[0][gap] as usize]
    }

    /// The longest edge on the path between two vertices that are not the same.
    pub(super) fn between(&self, a: usize, b: usize) -> &Edge {
        let (a, b) = (self.place_of_vertex[a] as usize, self.place_of_vertex[b] as usize);
        let (from, to) = (a.min(b), a.max(b));
        let level = (to - from).ilog2() as usize;
        let ranks = &self.levels[level];
        &self.edges[ranks[from].max(ranks[to - (1 << level)]) as usize]
    }

    /// Writes for each vertex the longest edge between it and `vertex`, as what `weight` says of the edge's rank.
    ///
    /// Weights must not fall with the rank. For the vertex itself 0 is written.
    pub(super) fn weights_from(&self, vertex: usize, weights_by_rank: &[f32], weights: &mut [f32]) {
        let place = self.place_of_vertex[vertex] as usize;
        weights[vertex] = 0.0;
        let Some(gaps) = self.levels.first() else { return };
        let mut longest = 0;
        for (gap, &other) in gaps[place..].iter().zip(&self.order[place + 1..]) {
            longest = longest.max(*gap);
            weights[other as usize] = weights_by_rank[longest as usize];
        }
        longest = 0;
        for (gap, &other) in gaps[..place].iter().zip(&self.order[..place]).rev() {
            longest = longest.max(*gap);
            weights[other as usize] = weights_by_rank[longest as usize];
        }
    }

    pub(super) fn edges(&self) -> &[Edge] {
        &self.edges
    }
}

fn levels(gaps: Vec<u32>) -> Vec<Vec<u32>> {
    let mut levels = vec![];
    let mut reach = 1;
    let mut level = gaps;
    while !level.is_empty() {
        let above: Vec<u32> = if level.len() > reach {
            (0..level.len() - reach).map(|p| level[p].max(level[p + reach])).collect()
        } else {
            vec![]
        };
        levels.push(level);
        level = above;
        reach *= 2;
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::super::edge::minimum_spanning_forest;
    use super::*;
    use proptest::prelude::*;

    /// Walks the path from `from`, and notes the longest edge to each vertex.
    fn longest_from(count: usize, edges: &[Edge], from: usize) -> Vec<Option<Edge>> {
        let mut longest = vec![None; count];
        let mut pending = vec![(from, None)];
        let mut seen = vec![false; count];
        while let Some((vertex, so_far)) = pending.pop() {
            if std::mem::replace(&mut seen[vertex], true) {
                continue;
            }
            longest[vertex] = so_far;
            for edge in edges {
                let [a, b] = edge.ends();
                let other = if a == vertex {
                    b
                } else if b == vertex {
                    a
                } else {
                    continue;
                };
                pending.push((other, so_far.max(Some(*edge))));
            }
        }
        longest
    }

    proptest! {
        #[test]
        fn the_longest_edge_is_that_of_a_walk(
            count in 1usize..40, weights in prop::collection::vec(0u8..20, 780), from in 0usize..40,
        ) {
            let pairs = (0..count).flat_map(|a| (0..a).map(move |b| (a, b)));
            let mut edges: Vec<Edge> =
                pairs.zip(&weights).map(|((a, b), &w)| Edge::at(&[0.0; 40], a, b, f64::from(w))).collect();
            minimum_spanning_forest(count, &mut edges);
            let tree = Bottleneck::new(count, edges.clone());
            let from = from % count;
            let expected = longest_from(count, &edges, from);
            let by_rank: Vec<f32> = edges.iter().map(|edge| edge.weight_squared as f32).collect();
            let mut weights = vec![9e9; count];
            tree.weights_from(from, &by_rank, &mut weights);
            for (vertex, expected) in expected.iter().enumerate().filter(|&(vertex, _)| vertex != from) {
                prop_assert_eq!(Some(*tree.between(from, vertex)), *expected);
                prop_assert_eq!(weights[vertex], expected.unwrap().weight_squared as f32);
            }
        }
    }
}
