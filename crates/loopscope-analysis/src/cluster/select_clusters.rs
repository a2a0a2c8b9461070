//! Which clusters of the condensed tree are the answer.

use super::condense::CondensedTree;
use super::{HdbscanParameters, SelectionMethod};

/// The cluster that holds everything.
const ROOT: usize = 0;

/// Says for each condensed cluster whether it is selected; O(clusters × depth) time.
///
/// As scikit-learn does it: the root only when a single cluster is allowed, and never as a leaf; where the stability of
/// a cluster equals that of the clusters below it, the cluster wins.
pub(super) fn select_clusters(tree: &CondensedTree, parameters: &HdbscanParameters) -> Vec<bool> {
    let selected = match parameters.method() {
        SelectionMethod::ExcessOfMass => excess_of_mass(tree, parameters.allow_single_cluster()),
        SelectionMethod::Leaf => leaves(tree),
    };
    let only_root = selected.first() == Some(&true);
    if parameters.epsilon() == 0.0 || only_root { selected } else { raise_to_epsilon(tree, &selected, parameters) }
}

/// Selects the antichain of largest total stability (`campello2013`, section 5), from the leaves up.
fn excess_of_mass(tree: &CondensedTree, allow_root: bool) -> Vec<bool> {
    let mut selected = vec![true; tree.clusters.len()];
    let mut best: Vec<f64> = tree.clusters.iter().map(|cluster| cluster.stability).collect();
    // Children stand after their parents, so backwards is upwards.
    for (cluster, node) in tree.clusters.iter().enumerate().rev() {
        let below = node.children.map_or(0.0, |[left, right]| best[left] + best[right]);
        // A cluster born at λ = ∞ has stability NaN, which is less than nothing, so it stays, as in scikit-learn.
        if (cluster == ROOT && !allow_root) || below > best[cluster] {
            selected[cluster] = false;
            best[cluster] = below;
        }
    }
    keep_highest(tree, &mut selected);
    selected
}

/// Unselects what lies below a selected cluster.
fn keep_highest(tree: &CondensedTree, selected: &mut [bool]) {
    let mut covered = vec![false; selected.len()];
    for (cluster, node) in tree.clusters.iter().enumerate() {
        covered[cluster] = node.parent.is_some_and(|parent| covered[parent] || selected[parent]);
        selected[cluster] &= !covered[cluster];
    }
}

/// Selects the clusters that do not split; the root is none of them, even when it does not split.
fn leaves(tree: &CondensedTree) -> Vec<bool> {
    tree.clusters.iter().map(|cluster| cluster.children.is_none() && cluster.parent.is_some()).collect()
}

/// Replaces what split off below distance epsilon by its lowest ancestor that did not (`malzer2020`).
///
/// At a split at exactly epsilon scikit-learn can select a cluster and one below it; here the higher one covers both.
fn raise_to_epsilon(tree: &CondensedTree, selected: &[bool], parameters: &HdbscanParameters) -> Vec<bool> {
    let mut raised = vec![false; selected.len()];
    for cluster in (0..selected.len()).filter(|&cluster| selected[cluster]) {
        let target = if 1.0 / tree.clusters[cluster].birth < parameters.epsilon() {
            lowest_above(tree, cluster, parameters)
        } else {
            cluster
        };
        raised[target] = true;
    }
    keep_highest(tree, &mut raised);
    raised
}

fn lowest_above(tree: &CondensedTree, mut cluster: usize, parameters: &HdbscanParameters) -> usize {
    while let Some(parent) = tree.clusters[cluster].parent {
        if parent == ROOT {
            return if parameters.allow_single_cluster() { ROOT } else { cluster };
        }
        if 1.0 / tree.clusters[parent].birth > parameters.epsilon() {
            return parent;
        }
        cluster = parent;
    }
    cluster
}

#[cfg(test)]
mod tests {
    use super::super::condense::CondensedCluster;
    use super::*;

    /// Each entry: parent, birth, stability.
    fn tree(clusters: &[(Option<usize>, f64, f64)]) -> CondensedTree {
        let children = |parent| {
            let children: Vec<usize> = (0..clusters.len()).filter(|&c| clusters[c].0 == Some(parent)).collect();
            <[usize; 2]>::try_from(children).ok()
        };
        let clusters = (0..clusters.len())
            .map(|c| {
                let (parent, birth, stability) = clusters[c];
                CondensedCluster { parent, children: children(c), birth, death: f64::MAX, stability, row_count: 0 }
            })
            .collect();
        CondensedTree { clusters, cluster_of_vertex: vec![], lambda_of_vertex: vec![] }
    }

    /// A root split at distance 1, and one side split again at distance 0.25.
    fn nested(inner: f64) -> CondensedTree {
        let clusters =
            [(None, 0., 1.), (Some(0), 1., 3.), (Some(0), 1., 3.), (Some(2), 4., inner), (Some(2), 4., inner)];
        tree(&clusters)
    }

    fn check(tree: &CondensedTree, parameters: HdbscanParameters, expected: &[usize]) {
        let selected = select_clusters(tree, &parameters);
        assert_eq!((0..selected.len()).filter(|&c| selected[c]).collect::<Vec<_>>(), expected);
    }

    fn parameters() -> HdbscanParameters {
        HdbscanParameters::new(2, 2).unwrap()
    }

    #[test]
    fn the_more_stable_level_wins_and_a_tie_goes_up() {
        check(&nested(2.0), parameters(), &[1, 3, 4]);
        check(&nested(1.5), parameters(), &[1, 2]);
    }

    #[test]
    fn the_root_is_selected_only_when_allowed() {
        let split = tree(&[(None, 0., 9.), (Some(0), 1., 1.), (Some(0), 1., 1.)]);
        check(&split, parameters(), &[1, 2]);
        check(&split, parameters().with_single_cluster(true), &[0]);
        let whole = tree(&[(None, 0., 9.)]);
        check(&whole, parameters(), &[]);
        check(&whole, parameters().with_single_cluster(true), &[0]);
        check(&whole, parameters().with_single_cluster(true).with_method(SelectionMethod::Leaf), &[]);
    }

    #[test]
    fn leaves_are_selected_however_unstable() {
        check(&nested(0.0), parameters().with_method(SelectionMethod::Leaf), &[1, 3, 4]);
    }

    #[test]
    fn epsilon_undoes_splits_below_it_and_no_others() {
        check(&nested(2.0), parameters().with_epsilon(0.2).unwrap(), &[1, 3, 4]);
        check(&nested(2.0), parameters().with_epsilon(0.5).unwrap(), &[1, 2]);
        check(&nested(2.0), parameters().with_epsilon(2.0).unwrap(), &[1, 2]);
        check(&nested(2.0), parameters().with_epsilon(2.0).unwrap().with_single_cluster(true), &[0]);
    }

    #[test]
    fn an_empty_tree_has_nothing_to_select() {
        check(&tree(&[]), parameters().with_epsilon(0.4).unwrap(), &[]);
    }
}
