//! The whole of HDBSCAN\*, step by step.

use super::condense::{CondensedCluster, CondensedTree};
use super::label::label;
use super::medoid::medoid;
use super::select_clusters::select_clusters;
use super::tree::DensityTree;
use super::workers::{Cancelled, Watcher, Workers};
use super::{ClusterError, Duplicates, HdbscanParameters, Resources, Vectors};

/// Which row belongs where.
///
/// Clusters are numbered from 0 in the order of their first rows: the number says nothing about size or density.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Clustering {
    /// Shape (n): the cluster of each row, or `None` for an outlier.
    pub labels: Vec<Option<usize>>,
    /// Shape (n): how deep in its cluster each row lies, in `[0, 1]`; 0 for an outlier.
    pub probabilities: Vec<f64>,
    /// Shape (clusters): the row of each cluster with the least Σ p d over its rows, p the probability and d the
    /// distance; of equally good rows the lowest, as always in a cluster of two.
    pub medoids: Vec<usize>,
    /// Shape (clusters): how much of the densities up to its densest row each cluster lasts for, averaged over the rows
    /// that it begins with, in `[0, 1]`.
    ///
    /// With λ = 1 / distance: the mean of (λ at which a row leaves - λ at which the cluster begins), over the largest λ
    /// at which one leaves. 1 where rows are at distance 0. Scaling the vectors does not change it.
    pub persistence: Vec<f64>,
    /// The summed weights of the mutual-reachability spanning tree over the vertices, in units of the vectors.
    ///
    /// 0 for fewer than two vertices, otherwise infinite when there are fewer rows than `min_samples`. Copies merged
    /// and copies kept give two numbers.
    pub tree_weight: f64,
}

/// Clusters vectors by density: exact HDBSCAN\* on Euclidean distances, with the semantics of scikit-learn.
///
/// `vectors` has shape (n, d). No rows give an empty clustering; fewer rows than `min_cluster_size` or `min_samples`
/// are all outliers. Rows that are all equal are one cluster of probability 1 where a single cluster is allowed and
/// there are enough of them, otherwise outliers.
///
/// Takes O(n² d) time; for the memory see [`Resources::memory_bytes`]. Deterministic: the result depends on nothing but
/// the vectors and the parameters, so not on the threads. Where copies are merged and no two distances between distinct
/// rows are equal, the order of the rows changes only the numbers of the clusters, and which of two equally central
/// rows is the medoid. One thread works here; [`DensityTree`] takes more, and serves several clusterings.
///
/// # Errors
///
/// [`ClusterError::TooManyPoints`]; vectors and parameters are checked when they are made.
///
/// References: `campello2013` and `campello2015` (the hierarchy and excess of mass), `mcinnes2017` (the condensed
/// tree), `malzer2020` (epsilon).
pub fn hdbscan(vectors: &Vectors<'_>, parameters: &HdbscanParameters) -> Result<Clustering, ClusterError> {
    hdbscan_with(vectors, parameters, &Resources::default(), None)
}

/// As [`hdbscan()`], with threads, a limit to memory, and a watcher that is told how far the work has come.
///
/// # Errors
///
/// [`ClusterError::TooManyPoints`] or [`ClusterError::TooMuchMemory`] before anything is computed,
/// [`ClusterError::Cancelled`] when the watcher says so.
pub fn hdbscan_with(
    vectors: &Vectors<'_>,
    parameters: &HdbscanParameters,
    resources: &Resources,
    mut watcher: Option<&mut Watcher<'_>>,
) -> Result<Clustering, ClusterError> {
    let tree = DensityTree::new(vectors, parameters.min_samples(), resources, watcher.as_deref_mut())?;
    tree.cut(parameters, resources, watcher)
}

/// Cuts a clustering from a tree whose `min_samples` is that of the parameters.
pub(super) fn clustering_of(
    tree: &DensityTree<'_>,
    parameters: &HdbscanParameters,
    workers: &mut Workers<'_>,
) -> Result<Clustering, Cancelled> {
    let Cut { labels, probabilities, numbered, tree_weight, persistence, .. } = Cut::new(tree, parameters);
    let row_count = labels.len();
    let mut lists: Vec<Vec<(usize, f64)>> = vec![vec![]; numbered.len()];
    // With copies merged the first row stands for all, with their mass.
    let merged = parameters.duplicates() == Duplicates::Merge;
    let vertices = tree.vertices();
    for row in 0..row_count {
        let Some(cluster) = labels[row] else { continue };
        let vertex = vertices.vertex_of_row()[row];
        if !merged {
            lists[cluster].push((row, probabilities[row]));
        } else if vertices.first_rows()[vertex] == row {
            lists[cluster].push((row, probabilities[row] * vertices.multiplicity()[vertex] as f64));
        }
    }
    let medoid = |list: &Vec<(usize, f64)>| medoid(vertices.vectors(), list, workers);
    let medoids: Vec<Option<usize>> = lists.iter().map(medoid).collect::<Result<_, _>>()?;
    // No cluster is without members, so none is without a medoid.
    let medoids = medoids.into_iter().flatten().collect();
    Ok(Clustering { labels, probabilities, medoids, persistence, tree_weight })
}

/// A cut through the tree: a clustering without its medoids, and what new points are assigned by.
pub(super) struct Cut {
    pub(super) labels: Vec<Option<usize>>,
    pub(super) probabilities: Vec<f64>,
    pub(super) persistence: Vec<f64>,
    pub(super) tree_weight: f64,
    /// For each cluster its place in the condensed tree.
    pub(super) numbered: Vec<usize>,
    /// `None` where there is nothing to condense: too few rows, or all of them equal.
    pub(super) condensed: Option<CondensedTree>,
    /// Which vertex of the condensed tree each row stands on.
    pub(super) vertex_of_row: Vec<usize>,
}

impl Cut {
    pub(super) fn new(tree: &DensityTree<'_>, parameters: &HdbscanParameters) -> Self {
        let (vertices, edges) = tree.over(parameters.duplicates());
        let tree_weight = edges.iter().map(|edge| edge.weight).sum::<f64>() + 0.0; // An empty sum is -0.0.
        let row_count = vertices.vectors().row_count();
        let enough = row_count >= parameters.min_cluster_size().max(parameters.min_samples());
        let condensed =
            (enough && vertices.len() > 1).then(|| tree.condensed(&vertices, &edges, parameters.min_cluster_size()));
        let members = match &condensed {
            Some(condensed) => label(condensed, &select_clusters(condensed, parameters), parameters),
            // One vertex only, of enough rows: all rows are equal, and there is no tree to cut.
            None if enough && parameters.allow_single_cluster() => vec![Some((0, 1.0)); vertices.len()],
            None => vec![None; vertices.len()],
        };
        let (labels, numbered) = number_by_first_row(&members);
        let persistence =
            |&cluster: &usize| condensed.as_ref().map_or(1.0, |tree| persistence(&tree.clusters[cluster]));
        Self {
            labels: vertices.vertex_of_row().iter().map(|&vertex| labels[vertex]).collect(),
            probabilities: vertices
                .vertex_of_row()
                .iter()
                .map(|&vertex| members[vertex].map_or(0.0, |m| m.1))
                .collect(),
            persistence: numbered.iter().map(persistence).collect(),
            tree_weight,
            numbered,
            vertex_of_row: vertices.vertex_of_row().to_vec(),
            condensed,
        }
    }
}

/// Numbers clusters by their first vertex, which is the order of their first rows; an outlier stays `None`.
///
/// Returns the number of each vertex, and for each number the cluster.
pub(super) fn number_by_first_row(members: &[Option<(usize, f64)>]) -> (Vec<Option<usize>>, Vec<usize>) {
    let cluster_count = members.iter().flatten().map(|&(cluster, _)| cluster + 1).max().unwrap_or(0);
    let mut number_of_cluster = vec![None; cluster_count];
    let mut numbered = vec![];
    let number = |member: &Option<(usize, f64)>| {
        member.map(|(cluster, _)| {
            *number_of_cluster[cluster].get_or_insert_with(|| {
                numbered.push(cluster);
                numbered.len() - 1
            })
        })
    };
    let labels = members.iter().map(number).collect();
    (labels, numbered)
}

/// See [`Clustering::persistence`].
fn persistence(cluster: &CondensedCluster) -> f64 {
    if cluster.death.is_infinite() {
        return 1.0;
    }
    let most = cluster.row_count as f64 * cluster.death;
    if most > 0.0 { (cluster.stability / most).clamp(0.0, 1.0) } else { 0.0 }
}
