//! The density tree: everything that HDBSCAN\* and its relatives are cut from, computed once.

use super::condense::condense;
use super::duplicates::Vertices;
use super::edge::Edge;
use super::hdbscan::{Clustering, clustering_of};
use super::linkage::{TreeEdge, linkage};
use super::minimum_spanning_tree::{Graph, minimum_spanning_tree};
use super::neighbours::{Neighbour, nearest_neighbours};
use super::packed::{Frame, Packed};
use super::workers::{Cancelled, Watcher, Workers};
use super::{ClusterError, Duplicates, HdbscanParameters, Resources, Vectors};

/// Neighbours that each point keeps at least: with fewer, the forest of their edges is a poor start for the tree.
const NEIGHBOURS_MIN: usize = 8;

/// How many neighbours of each point are found.
pub(super) fn list_length(min_samples: usize) -> usize {
    min_samples.saturating_sub(1).max(NEIGHBOURS_MIN)
}

/// How the tree is come by; nothing of it changes the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plan {
    /// Whether the bounds of all pairs stay in memory.
    pub(super) keep_bounds: bool,
}

/// Core distances and the minimum spanning tree of the mutual-reachability graph of some vectors.
///
/// It depends on the vectors and on `min_samples` alone, so one tree serves any number of clusterings.
pub struct DensityTree<'a> {
    vertices: Vertices<'a>,
    min_samples: usize,
    core_squared: Vec<f64>,
    edges: Vec<Edge>,
}

impl<'a> DensityTree<'a> {
    /// Computes the tree. `min_samples` is in rows and counts the point itself.
    ///
    /// O(n² d) time; for the memory see [`Resources::memory_bytes`]. The result depends neither on the threads nor on
    /// the memory there is, nor on the processor. `watcher`, if there is one, is told how far the work has come.
    ///
    /// # Errors
    ///
    /// [`ClusterError::MinSamplesTooSmall`]; [`ClusterError::TooMuchMemory`] or [`ClusterError::TooManyPoints`] before
    /// anything is computed; [`ClusterError::Cancelled`] when the watcher says so.
    pub fn new(
        vectors: &Vectors<'a>,
        min_samples: usize,
        resources: &Resources,
        watcher: Option<&mut Watcher<'_>>,
    ) -> Result<Self, ClusterError> {
        if min_samples < 1 {
            return Err(ClusterError::MinSamplesTooSmall { got: min_samples });
        }
        let vertices = Vertices::new(*vectors, Duplicates::Merge);
        let (plan, _) = resources.plan(vertices.len(), vectors.dimension(), min_samples)?;
        let workers = &mut Workers::new(resources.thread_count(), watcher);
        let (core_squared, edges) = density_tree(&vertices, min_samples, &plan, workers)?;
        Ok(Self { vertices, min_samples, core_squared, edges })
    }

    /// Cuts clusters from the tree: HDBSCAN\* with these parameters.
    ///
    /// # Errors
    ///
    /// [`ClusterError::OtherMinSamples`] unless the parameters have the tree's `min_samples`;
    /// [`ClusterError::Cancelled`] when the watcher says so.
    pub fn cut(
        &self,
        parameters: &HdbscanParameters,
        resources: &Resources,
        watcher: Option<&mut Watcher<'_>>,
    ) -> Result<Clustering, ClusterError> {
        if parameters.min_samples() != self.min_samples {
            let (tree, got) = (self.min_samples, parameters.min_samples());
            return Err(ClusterError::OtherMinSamples { tree, got });
        }
        let workers = &mut Workers::new(resources.thread_count(), watcher);
        Ok(clustering_of(self, parameters, workers)?)
    }

    /// Returns how many rows a point needs around it, itself included, to be a core point; at least 1.
    pub fn min_samples(&self) -> usize {
        self.min_samples
    }

    /// Returns how many of the rows are distinct.
    pub fn distinct_row_count(&self) -> usize {
        self.vertices.len()
    }

    /// Returns how many times the row that is repeated most is there; 0 without rows.
    pub fn copies_max(&self) -> usize {
        self.vertices.multiplicity().iter().copied().max().unwrap_or(0)
    }

    /// Returns the core distance of each row: shape (n), infinite where there are fewer rows than `min_samples`.
    pub fn core_distances(&self) -> Vec<f64> {
        self.vertices.vertex_of_row().iter().map(|&vertex| self.core_squared[vertex].sqrt()).collect()
    }

    pub(super) fn vertices(&self) -> &Vertices<'a> {
        &self.vertices
    }

    pub(super) fn core_squared(&self) -> &[f64] {
        &self.core_squared
    }

    /// The vertices that a way to treat duplicates asks for, and the tree over them, shortest edge first.
    ///
    /// Copies kept apart hang from the first of them: to any other point the first is the nearest by the order of
    /// edges, and to each other none is nearer than the first.
    pub(super) fn over(&self, duplicates: Duplicates) -> (Vertices<'a>, Vec<TreeEdge>) {
        let vertices = Vertices::new(*self.vertices.vectors(), duplicates);
        let mut edges = self.edges.clone();
        if duplicates == Duplicates::Keep {
            let first_row = self.vertices.first_rows();
            let row = |vertex: u32| first_row[vertex as usize] as u32;
            edges.iter_mut().for_each(|edge| (edge.a, edge.b) = (row(edge.a), row(edge.b)));
            for (copy, &vertex) in self.vertices.vertex_of_row().iter().enumerate() {
                let first = first_row[vertex];
                if copy != first {
                    let weight_squared = self.core_squared[vertex];
                    edges.push(Edge { weight_squared, distance_squared: 0.0, a: first as u32, b: copy as u32 });
                }
            }
            edges.sort_unstable();
        }
        (vertices, edges.iter().map(TreeEdge::from).collect())
    }

    /// Returns the condensed tree with its parts as they are numbered by [`Self::over`].
    pub(super) fn condensed(
        &self,
        vertices: &Vertices<'_>,
        edges: &[TreeEdge],
        min_cluster_size: usize,
    ) -> super::condense::CondensedTree {
        condense(&linkage(edges, vertices.multiplicity()), min_cluster_size)
    }
}

/// Computes squared core distances, and the edges of the tree, shortest first.
pub(super) fn density_tree(
    vertices: &Vertices<'_>,
    min_samples: usize,
    plan: &Plan,
    workers: &mut Workers<'_>,
) -> Result<(Vec<f64>, Vec<Edge>), Cancelled> {
    let (vectors, rows) = (vertices.vectors(), vertices.first_rows());
    let frame = &Frame::of(vectors, rows);
    let packed = Packed::new(vectors, rows, frame, workers)?;
    let neighbours = nearest_neighbours(vertices, &packed, list_length(min_samples), plan.keep_bounds, workers)?;
    let radius = |(list, &own): (&Vec<Neighbour>, &usize)| core_distance_squared(list, own, vertices, min_samples);
    let core_squared: Vec<f64> = neighbours.lists.iter().zip(vertices.multiplicity()).map(radius).collect();
    let graph = Graph { vertices, core_squared: &core_squared, frame };
    let edges = minimum_spanning_tree(&graph, packed, neighbours, workers)?;
    Ok((core_squared, edges))
}

/// The squared distance at which `min_samples` rows are gathered around a vertex on which `own` rows stand.
fn core_distance_squared(list: &[Neighbour], own: usize, vertices: &Vertices<'_>, min_samples: usize) -> f64 {
    if own >= min_samples {
        return 0.0;
    }
    let mut rows = own;
    for &(distance, other) in list {
        rows += vertices.multiplicity()[other as usize];
        if rows >= min_samples {
            return distance;
        }
    }
    f64::INFINITY
}
