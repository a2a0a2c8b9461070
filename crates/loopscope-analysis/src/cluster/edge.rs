//! An edge of the mutual-reachability graph, and the order of edges.
//!
//! The weight of an edge is the largest of the distance and the two core distances (`campello2013`). Edges compare by
//! weight, then distance, then ends: no two are equal, so there is one minimum spanning tree, whoever finds it.

use std::cmp::Ordering;

use super::distance::squared_distance;
use super::duplicates::Vertices;

/// An edge; everything squared.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    /// The mutual-reachability distance; infinite without core points.
    pub(super) weight_squared: f64,
    /// The distance itself; it breaks the ties that shared core distances make.
    pub(super) distance_squared: f64,
    /// The lower end.
    pub(super) a: u32,
    /// The higher end.
    pub(super) b: u32,
}

impl Edge {
    /// Measures the edge between two vertices.
    pub(super) fn between(vertices: &Vertices<'_>, core_squared: &[f64], a: usize, b: usize) -> Self {
        Self::at(core_squared, a, b, squared_distance(vertices.point(a), vertices.point(b)))
    }

    /// The edge between two vertices whose squared distance is known.
    pub(super) fn at(core_squared: &[f64], a: usize, b: usize, distance_squared: f64) -> Self {
        let weight_squared = distance_squared.max(core_squared[a]).max(core_squared[b]);
        Self { weight_squared, distance_squared, a: a.min(b) as u32, b: a.max(b) as u32 }
    }

    pub(super) fn ends(&self) -> [usize; 2] {
        [self.a as usize, self.b as usize]
    }
}

impl Ord for Edge {
    fn cmp(&self, other: &Self) -> Ordering {
        // No length is NaN or below zero, so the total order is the usual one.
        let by_length = self.weight_squared.total_cmp(&other.weight_squared);
        by_length
            .then(self.distance_squared.total_cmp(&other.distance_squared))
            .then((self.a, self.b).cmp(&(other.a, other.b)))
    }
}

impl PartialOrd for Edge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Edge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Edge {}

/// Disjoint sets of vertices.
pub(super) struct Components {
    parent: Vec<u32>,
    size: Vec<u32>,
}

impl Components {
    pub(super) fn new(count: usize) -> Self {
        Self { parent: (0..count as u32).collect(), size: vec![1; count] }
    }

    /// The vertex that stands for the set of `member`.
    pub(super) fn find(&mut self, member: usize) -> usize {
        let mut member = member as u32;
        while self.parent[member as usize] != member {
            let grandparent = self.parent[self.parent[member as usize] as usize];
            self.parent[member as usize] = grandparent;
            member = grandparent;
        }
        member as usize
    }

    /// Joins the sets of two vertices, and says whether they were two.
    pub(super) fn join(&mut self, [a, b]: [usize; 2]) -> bool {
        let (a, b) = (self.find(a), self.find(b));
        if a == b {
            return false;
        }
        let (child, parent) = if self.size[a] < self.size[b] { (a, b) } else { (b, a) };
        self.parent[child] = parent as u32;
        self.size[parent] += self.size[child];
        true
    }
}

/// Keeps of `edges` those of the minimum spanning forest, sorted (Kruskal).
pub(super) fn minimum_spanning_forest(vertex_count: usize, edges: &mut Vec<Edge>) {
    edges.sort_unstable();
    let mut components = Components::new(vertex_count);
    edges.retain(|edge| components.join(edge.ends()));
}
