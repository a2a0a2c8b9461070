//! The whole of HDBSCAN\*, step by step.

use super::condense::condense;
use super::duplicates::Vertices;
use super::label::label;
use super::linkage::linkage;
use super::medoid::medoid;
use super::minimum_spanning_tree::{TreeEdge, minimum_spanning_tree};
use super::mutual_reachability::mutual_reachability;
use super::select_clusters::select_clusters;
use super::{ClusterError, HdbscanParameters, Vectors};

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
/// Takes O(n² d) time and O(n · `min_samples`) memory, never n². Deterministic: the result depends on nothing but the
/// arguments. Where copies are merged and no two distances between distinct rows are equal, the order of the rows
/// changes only the numbers of the clusters, and which of two equally central rows is the medoid.
///
/// # Errors
///
/// None today: vectors and parameters are checked when they are made. Larger sets may come to be refused.
///
/// References: `campello2013` and `campello2015` (the hierarchy and excess of mass), `mcinnes2017` (the condensed
/// tree), `malzer2020` (epsilon).
pub fn hdbscan(vectors: &Vectors<'_>, parameters: &HdbscanParameters) -> Result<Clustering, ClusterError> {
    let vertices = Vertices::new(*vectors, parameters.duplicates());
    let edges = minimum_spanning_tree(&mutual_reachability(&vertices, parameters.min_samples()));
    let tree_weight = edges.iter().map(|edge| edge.weight).sum::<f64>() + 0.0; // An empty sum is -0.0.
    let members = if vectors.row_count() < parameters.min_cluster_size().max(parameters.min_samples()) {
        vec![None; vertices.len()]
    } else {
        members(&vertices, &edges, parameters)
    };
    let (labels, member_lists) = number_by_first_row(&members);
    Ok(Clustering {
        labels: vertices.vertex_of_row().iter().map(|&vertex| labels[vertex]).collect(),
        probabilities: vertices.vertex_of_row().iter().map(|&vertex| members[vertex].map_or(0.0, |m| m.1)).collect(),
        medoids: member_lists.iter().filter_map(|list| medoid(&vertices, list)).collect(),
        tree_weight,
    })
}

/// Returns for each vertex its cluster in the condensed tree and its probability; `None` for an outlier.
fn members(vertices: &Vertices<'_>, edges: &[TreeEdge], parameters: &HdbscanParameters) -> Vec<Option<(usize, f64)>> {
    if let [_] = vertices.multiplicity() {
        return vec![parameters.allow_single_cluster().then_some((0, 1.0))]; // All rows equal; there is no tree to cut.
    }
    let tree = condense(&linkage(edges, vertices.multiplicity()), parameters.min_cluster_size());
    let selected = select_clusters(&tree, parameters);
    label(&tree, &selected, parameters)
}

/// The vertices of one cluster with their probabilities, ascending.
type MemberList = Vec<(usize, f64)>;

/// Numbers clusters by their first vertex, which is the order of their first rows; an outlier stays `None`.
fn number_by_first_row(members: &[Option<(usize, f64)>]) -> (Vec<Option<usize>>, Vec<MemberList>) {
    let cluster_count = members.iter().flatten().map(|&(cluster, _)| cluster + 1).max().unwrap_or(0);
    let mut number_of_cluster = vec![None; cluster_count];
    let mut lists: Vec<MemberList> = vec![];
    let mut labels = vec![None; members.len()];
    for (vertex, member) in members.iter().enumerate() {
        let &Some((cluster, probability)) = member else { continue };
        let number = *number_of_cluster[cluster].get_or_insert_with(|| {
            lists.push(vec![]);
            lists.len() - 1
        });
        lists[number].push((vertex, probability));
        labels[vertex] = Some(number);
    }
    (labels, lists)
}
