//! The slow, obvious way to core distances and the spanning tree: the oracle of the fast one.
//!
//! Core distances by sorting all distances; the tree by Prim, on a graph that is never stored.

use super::distance::squared_distance;
use super::duplicates::Vertices;
use super::edge::Edge;

/// For each vertex the squared radius of the smallest closed ball that holds `min_samples` rows.
pub(super) fn core_distances_squared(vertices: &Vertices<'_>, min_samples: usize) -> Vec<f64> {
    let radius = |point: usize| {
        let mut rows: Vec<f64> = vec![];
        for (other, &multiplicity) in vertices.multiplicity().iter().enumerate() {
            let distance = squared_distance(vertices.point(point), vertices.point(other));
            rows.extend(std::iter::repeat_n(distance, multiplicity));
        }
        rows.sort_by(f64::total_cmp);
        rows.get(min_samples - 1).copied().unwrap_or(f64::INFINITY)
    };
    (0..vertices.len()).map(radius).collect()
}

/// The tree's edges, shortest first.
pub(super) fn minimum_spanning_tree(vertices: &Vertices<'_>, core_squared: &[f64]) -> Vec<Edge> {
    let edge = |a: usize, b: usize| Edge::between(vertices, core_squared, a, b);
    let mut outside: Vec<(usize, Edge)> = (1..vertices.len()).map(|vertex| (vertex, edge(0, vertex))).collect();
    let mut tree = vec![];
    while let Some(nearest) = (0..outside.len()).min_by_key(|&place| outside[place].1) {
        let (joined, length) = outside.swap_remove(nearest);
        tree.push(length);
        for (vertex, length) in &mut outside {
            *length = (*length).min(edge(joined, *vertex));
        }
    }
    tree.sort_unstable();
    tree
}
