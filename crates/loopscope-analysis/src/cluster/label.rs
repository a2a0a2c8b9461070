//! From selected clusters to a label and a probability per vertex.

use super::HdbscanParameters;
use super::condense::CondensedTree;

/// The cluster that holds everything.
const ROOT: usize = 0;

/// Returns for each vertex its selected cluster, or `None` for an outlier, and its probability.
///
/// A vertex belongs to the selected cluster that holds its smallest one. Its probability is the λ at which it leaves
/// everything, cut at the cluster's largest, over that largest: 1 in the core, 0 for an outlier.
///
/// The root, where it is the one cluster, holds every vertex. As in scikit-learn it keeps those that leave at a
/// distance of at most epsilon or, at epsilon 0, those that leave no sooner than the last to leave the root itself.
pub(super) fn label(
    tree: &CondensedTree,
    selected: &[bool],
    parameters: &HdbscanParameters,
) -> Vec<Option<(usize, f64)>> {
    let home = selected_home(tree, selected);
    let lambda_min_of_root = match tree.clusters.first() {
        Some(root) if parameters.epsilon() == 0.0 => root.death,
        _ => 1.0 / parameters.epsilon(),
    };
    let of_vertex = |(&cluster, &lambda): (&usize, &f64)| {
        let cluster = home[cluster]?;
        if cluster == ROOT && lambda < lambda_min_of_root {
            return None;
        }
        Some((cluster, probability(lambda, tree.clusters[cluster].death)))
    };
    tree.cluster_of_vertex.iter().zip(&tree.lambda_of_vertex).map(of_vertex).collect()
}

/// For each condensed cluster the selected one that holds it.
fn selected_home(tree: &CondensedTree, selected: &[bool]) -> Vec<Option<usize>> {
    let mut home: Vec<Option<usize>> = vec![None; selected.len()];
    for (cluster, node) in tree.clusters.iter().enumerate() {
        home[cluster] = if selected[cluster] { Some(cluster) } else { node.parent.and_then(|parent| home[parent]) };
    }
    home
}

fn probability(lambda: f64, death: f64) -> f64 {
    // At λ = ∞ the quotient would be NaN; a cluster that dies at 0 has all its rows infinitely far apart.
    if death == 0.0 || lambda.is_infinite() { 1.0 } else { lambda.min(death) / death }
}
