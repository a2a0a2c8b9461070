//! OPTICS: the rows in an order in which dense regions are valleys, and clusters cut from it.
//!
//! Semantics of scikit-learn, with no largest distance: `min_samples` counts the point itself, and of the points that
//! are equally reachable the lowest row comes next. Every row is a point of its own, copies too.

use super::distance::squared_distance;
use super::medoid::medoid;
use super::tree::DensityTree;
use super::workers::{Stage, Watcher, Workers};
use super::xi::{Plot, steep_clusters};
use super::{ClusterError, Resources, Vectors};

/// The order of the rows, and how far each lies from those before it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Optics {
    /// Shape (n): rows in the order in which they are reached.
    pub ordering: Vec<usize>,
    /// Shape (n): the distance at which each *row* is reached, in units of the vectors; infinite for the first one.
    pub reachability: Vec<f64>,
    /// Shape (n): for each row the row that it is reached from, `None` for the first one.
    pub predecessors: Vec<Option<usize>>,
    /// Shape (n): the core distance of each row.
    pub core_distances: Vec<f64>,
    min_samples: usize,
}

/// Which row belongs where, as [`Optics`] says; numbered in the order of their first rows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct OpticsClusters {
    /// Shape (n): the cluster of each row, or `None` for an outlier.
    pub labels: Vec<Option<usize>>,
    /// Shape (clusters): the row with the least sum of distances to the others of its cluster; ties go to the lowest.
    pub medoids: Vec<usize>,
}

/// Computes the order from a tree, which has the core distances.
///
/// O(n² d) time on one thread, though most distances are not needed; O(n) memory. Fewer rows than the tree's
/// `min_samples` are in the order in which they came, each at infinity.
///
/// # Errors
///
/// [`ClusterError::Cancelled`] when the watcher says so.
///
/// Reference: `ankerst1999`.
pub fn optics(tree: &DensityTree<'_>, mut watcher: Option<&mut Watcher<'_>>) -> Result<Optics, ClusterError> {
    let vectors = tree.vertices().vectors();
    let count = vectors.row_count();
    let core_distances = tree.core_distances();
    let mut reachability = vec![f64::INFINITY; count];
    let mut predecessors = vec![None; count];
    let mut outside: Vec<usize> = (0..count).collect();
    let mut ordering = Vec::with_capacity(count);
    while let Some(place) = next_place(&outside, &reachability) {
        let row = outside.remove(place); // In order, so that the lowest row stays first.
        ordering.push(row);
        let core = core_distances[row];
        for &other in outside.iter().filter(|_| core.is_finite()) {
            if reachability[other] <= core {
                continue; // However near: it is not reached sooner than at the core distance.
            }
            let distance = squared_distance(vectors.row(row), vectors.row(other)).sqrt().max(core);
            if distance < reachability[other] {
                reachability[other] = distance;
                predecessors[other] = Some(row);
            }
        }
        if let Some(watcher) = &mut watcher
            && ordering.len() % 256 == 0
        {
            // What is left to do falls with the square of what is left.
            let left = outside.len() as f64 / count as f64;
            if watcher(Stage::Ordering, 1.0 - left * left).is_break() {
                return Err(ClusterError::Cancelled);
            }
        }
    }
    Ok(Optics { ordering, reachability, predecessors, core_distances, min_samples: tree.min_samples() })
}

fn next_place(outside: &[usize], reachability: &[f64]) -> Option<usize> {
    (0..outside.len()).reduce(
        |best, place| {
            if reachability[outside[place]] < reachability[outside[best]] { place } else { best }
        },
    )
}

impl Optics {
    /// Cuts the clusters that DBSCAN finds at distance `epsilon`, but for rows at their rims.
    ///
    /// # Errors
    ///
    /// [`ClusterError::EpsilonOutOfRange`] unless it is finite and 0 or more; [`ClusterError::Cancelled`].
    ///
    /// Reference: `ankerst1999`, section 3.2.
    pub fn at_distance(
        &self,
        vectors: &Vectors<'_>,
        epsilon: f64,
        resources: &Resources,
        watcher: Option<&mut Watcher<'_>>,
    ) -> Result<OpticsClusters, ClusterError> {
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(ClusterError::EpsilonOutOfRange { got: epsilon });
        }
        let mut labels = vec![None; self.ordering.len()];
        let mut cluster = None;
        for &row in &self.ordering {
            if self.reachability[row] > epsilon {
                if self.core_distances[row] > epsilon {
                    continue;
                }
                cluster = Some(cluster.map_or(0, |cluster: usize| cluster + 1));
            }
            labels[row] = cluster;
        }
        clusters(vectors, labels, resources, watcher)
    }

    /// Cuts clusters where reachability falls and rises by the share `xi` or more from one row to the next.
    ///
    /// Of nested clusters the smallest are kept. `min_cluster_size` is in rows.
    ///
    /// # Errors
    ///
    /// [`ClusterError::XiOutOfRange`] unless `xi` is above 0 and below 1, [`ClusterError::MinClusterSizeTooSmall`];
    /// [`ClusterError::Cancelled`].
    ///
    /// Reference: `ankerst1999`, section 4.3; `schubert2018` for the correction of predecessors.
    pub fn at_steepness(
        &self,
        vectors: &Vectors<'_>,
        xi: f64,
        min_cluster_size: usize,
        resources: &Resources,
        watcher: Option<&mut Watcher<'_>>,
    ) -> Result<OpticsClusters, ClusterError> {
        if !(xi > 0.0 && xi < 1.0) {
            return Err(ClusterError::XiOutOfRange { got: xi });
        }
        if min_cluster_size < 2 {
            return Err(ClusterError::MinClusterSizeTooSmall { got: min_cluster_size });
        }
        let mut heights: Vec<f64> = self.ordering.iter().map(|&row| self.reachability[row]).collect();
        heights.push(f64::INFINITY);
        let predecessors: Vec<Option<usize>> = self.ordering.iter().map(|&row| self.predecessors[row]).collect();
        let plot = Plot { heights: &heights, predecessors: &predecessors, ordering: &self.ordering };
        let mut labels = vec![None; self.ordering.len()];
        let mut count = 0;
        for (start, end) in steep_clusters(&plot, xi, self.min_samples, min_cluster_size) {
            let rows = &self.ordering[start..=end];
            if rows.iter().all(|&row| labels[row].is_none()) {
                rows.iter().for_each(|&row| labels[row] = Some(count));
                count += 1;
            }
        }
        clusters(vectors, labels, resources, watcher)
    }
}

/// Numbers clusters by their first row and finds their medoids.
fn clusters(
    vectors: &Vectors<'_>,
    labels: Vec<Option<usize>>,
    resources: &Resources,
    watcher: Option<&mut Watcher<'_>>,
) -> Result<OpticsClusters, ClusterError> {
    let members: Vec<Option<(usize, f64)>> = labels.iter().map(|label| label.map(|label| (label, 1.0))).collect();
    let (labels, numbered) = super::hdbscan::number_by_first_row(&members);
    let mut lists: Vec<Vec<(usize, f64)>> = vec![vec![]; numbered.len()];
    for (row, label) in labels.iter().enumerate() {
        if let Some(label) = label {
            lists[*label].push((row, 1.0));
        }
    }
    let workers = &mut Workers::new(resources.thread_count(), watcher);
    let found = lists.iter().map(|list| medoid(vectors, list, workers)).collect::<Result<Vec<_>, _>>()?;
    Ok(OpticsClusters { labels, medoids: found.into_iter().flatten().collect() })
}
