//! New points beside a clustering that stays as it is.
//!
//! A clustering is frozen on the rows that it was made from: no row of it is ever labelled anew. A new point gets the
//! cluster that it would have come to lie in, had it been there, as far as its nearest neighbours tell.

use super::condense::CondensedTree;
use super::distance::squared_distance;
use super::hdbscan::Cut;
use super::tree::DensityTree;
use super::workers::{Stage, Watcher, Workers};
use super::{ClusterError, HdbscanParameters, Resources, Vectors};

/// Where new points belong.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Assignment {
    /// Shape (m): the cluster of each new row, numbered as in the clustering, or `None` for an outlier.
    pub labels: Vec<Option<usize>>,
    /// Shape (m): how deep in its cluster each new row lies, in `[0, 1]`; 0 for an outlier.
    pub probabilities: Vec<f64>,
}

/// Assigns new rows to the clusters that `parameters` cut from `tree`; the clusters themselves do not change.
///
/// A new row joins the row that is nearest by mutual reachability (its own core distance is measured among the old
/// rows, itself counted), at λ = 1 / that distance. Of the condensed clusters that hold its neighbour it belongs to the
/// smallest that exists at that λ, and if that, or one above it, is a selected cluster, it gets its label and the
/// probability min(λ, λ_max) / λ_max. The root keeps only rows that are as dense as those that it kept before. A new row
/// that equals an old one has the old one's label and probability.
///
/// O(n d) time for each new row.
///
/// # Errors
///
/// [`ClusterError::OtherDimension`]; otherwise as [`DensityTree::cut`].
///
/// Reference: `mcinnes2017`, whose software calls it approximate prediction.
pub fn assign(
    tree: &DensityTree<'_>,
    parameters: &HdbscanParameters,
    new: &Vectors<'_>,
    resources: &Resources,
    watcher: Option<&mut Watcher<'_>>,
) -> Result<Assignment, ClusterError> {
    let old = tree.vertices().vectors();
    if new.row_count() > 0 && old.row_count() > 0 && new.dimension() != old.dimension() {
        return Err(ClusterError::OtherDimension { expected: old.dimension(), got: new.dimension() });
    }
    if parameters.min_samples() != tree.min_samples() {
        let (tree, got) = (tree.min_samples(), parameters.min_samples());
        return Err(ClusterError::OtherMinSamples { tree, got });
    }
    let cut = Cut::new(tree, parameters);
    let workers = &mut Workers::new(resources.thread_count(), watcher);
    let found = workers.run(Stage::Neighbours, 0..new.row_count(), Vec::new, |found: &mut Vec<_>, row| {
        found.push((row, place(tree, &cut, parameters, new.row(row))));
    })?;
    let mut placed = vec![None; new.row_count()];
    found.into_iter().flatten().for_each(|(row, place)| placed[row] = place);
    Ok(Assignment {
        labels: placed.iter().map(|place| place.map(|(label, _)| label)).collect(),
        probabilities: placed.iter().map(|place| place.map_or(0.0, |(_, probability)| probability)).collect(),
    })
}

/// The cluster of a new point with its probability.
fn place(tree: &DensityTree<'_>, cut: &Cut, parameters: &HdbscanParameters, point: &[f32]) -> Option<(usize, f64)> {
    let vertices = tree.vertices();
    let distances: Vec<f64> =
        (0..vertices.len()).map(|vertex| squared_distance(point, vertices.point(vertex))).collect();
    let equal = distances.iter().position(|&distance| distance == 0.0);
    if let Some(vertex) = equal {
        let row = vertices.first_rows()[vertex];
        return cut.labels[row].map(|label| (label, cut.probabilities[row]));
    }
    let condensed = cut.condensed.as_ref()?;
    let core = core_squared(&distances, vertices.multiplicity(), tree.min_samples());
    let reach = |vertex: usize| (distances[vertex].max(tree.core_squared()[vertex]).max(core), distances[vertex]);
    let nearest = (0..vertices.len()).min_by(|&a, &b| {
        let ((weight_a, a), (weight_b, b)) = (reach(a), reach(b));
        weight_a.total_cmp(&weight_b).then(a.total_cmp(&b))
    })?;
    let lambda = 1.0 / reach(nearest).0.sqrt();
    let neighbour = cut.vertex_of_row[vertices.first_rows()[nearest]];
    let (label, cluster) = selected_at(condensed, &cut.numbered, neighbour, lambda)?;
    if cluster == 0 && lambda < root_lambda_min(condensed, parameters) {
        return None;
    }
    let death = condensed.clusters[cluster].death;
    let probability = if death == 0.0 || lambda.is_infinite() { 1.0 } else { lambda.min(death) / death };
    Some((label, probability))
}

/// The squared core distance of a point that is not among the others, itself counted.
fn core_squared(distances: &[f64], multiplicity: &[usize], min_samples: usize) -> f64 {
    if min_samples <= 1 {
        return 0.0;
    }
    let mut nearest: Vec<(f64, usize)> = distances.iter().copied().zip(multiplicity.iter().copied()).collect();
    let enough = min_samples.min(nearest.len());
    nearest.select_nth_unstable_by(enough - 1, |a, b| a.0.total_cmp(&b.0));
    nearest.truncate(enough);
    nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    let mut rows = 1;
    for (distance, count) in nearest {
        rows += count;
        if rows >= min_samples {
            return distance;
        }
    }
    f64::INFINITY
}

/// The selected cluster that a point at `lambda` beside `vertex` lies in: its number and its place in the tree.
fn selected_at(tree: &CondensedTree, numbered: &[usize], vertex: usize, lambda: f64) -> Option<(usize, usize)> {
    let mut cluster = tree.cluster_of_vertex[vertex];
    while tree.clusters[cluster].birth >= lambda {
        cluster = tree.clusters[cluster].parent?;
    }
    loop {
        if let Some(label) = numbered.iter().position(|&selected| selected == cluster) {
            return Some((label, cluster));
        }
        cluster = tree.clusters[cluster].parent?;
    }
}

/// The λ below which a row of the root is an outlier, as in [`super::label`].
fn root_lambda_min(tree: &CondensedTree, parameters: &HdbscanParameters) -> f64 {
    if parameters.epsilon() == 0.0 { tree.clusters[0].death } else { 1.0 / parameters.epsilon() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clumps() -> Vec<f32> {
        let clump = |x: f32| (0..12u8).flat_map(move |i| [x + 0.01 * f32::from(i), 1.0 + 0.003 * f32::from(i % 5)]);
        [1.0, 3.0].into_iter().flat_map(clump).collect()
    }

    fn assigned(new: &[f32], parameters: &HdbscanParameters) -> Assignment {
        let values = clumps();
        let vectors = Vectors::new(&values, 24, 2).unwrap();
        let tree = DensityTree::new(&vectors, parameters.min_samples(), &Resources::default(), None).unwrap();
        let new = Vectors::new(new, new.len() / 2, 2).unwrap();
        assign(&tree, parameters, &new, &Resources::default(), None).unwrap()
    }

    #[test]
    fn a_point_in_a_clump_joins_it_and_one_far_off_is_an_outlier() {
        let parameters = HdbscanParameters::new(5, 3).unwrap();
        let got = assigned(&[1.055, 1.004, 3.02, 1.001, 2.0, 4.0, 50.0, 1.0], &parameters);
        assert_eq!(got.labels, [Some(0), Some(1), None, None]);
        assert!(got.probabilities[0] > 0.5 && got.probabilities[2] == 0.0);
        // Nearer to one clump than the clumps are to each other: it belongs there, barely.
        let between = assigned(&[1.8, 1.0], &parameters);
        assert_eq!(between.labels, [Some(0)]);
        assert!(between.probabilities[0] < 0.05, "{between:?}");
    }

    #[test]
    fn an_old_row_is_labelled_as_before() {
        let parameters = HdbscanParameters::new(5, 3).unwrap().with_epsilon(0.1).unwrap();
        let values = clumps();
        let vectors = Vectors::new(&values, 24, 2).unwrap();
        let before = super::super::hdbscan(&vectors, &parameters).unwrap();
        let got = assigned(&values, &parameters);
        assert_eq!(got.labels, before.labels);
        assert_eq!(got.probabilities, before.probabilities);
    }

    #[test]
    fn another_dimension_is_refused() {
        let vectors = Vectors::new(&[1.0, 2.0], 2, 1).unwrap();
        let tree = DensityTree::new(&vectors, 2, &Resources::default(), None).unwrap();
        let new = Vectors::new(&[1.0, 2.0], 1, 2).unwrap();
        let error = assign(&tree, &HdbscanParameters::new(2, 2).unwrap(), &new, &Resources::default(), None);
        assert_eq!(error.unwrap_err(), ClusterError::OtherDimension { expected: 1, got: 2 });
    }
}
