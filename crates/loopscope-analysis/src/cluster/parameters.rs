//! The parameters of a clustering, checked when they are made.

use super::ClusterError;

/// How clusters are chosen from the condensed tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SelectionMethod {
    /// Excess of mass: the antichain of largest total stability (`campello2013`). Few, large, of unequal density.
    #[default]
    ExcessOfMass,
    /// The leaves of the tree: many, small, homogeneous.
    Leaf,
}

/// What to do with equal rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplicates {
    /// Equal rows are one vertex with a multiplicity. Equal rows always get equal labels.
    ///
    /// Core distances and sizes count rows as [`Keep`](Self::Keep) does, but copies do not join each other at distance
    /// 0, so no cluster has infinite density: a row leaves its cluster when its vertex does. Without this, a text
    /// repeated `min_cluster_size` times outweighs every neighbour it has and turns them into noise.
    #[default]
    Merge,
    /// Every row is a vertex, exactly as in scikit-learn.
    ///
    /// Copies beyond `min_samples` join at distance 0, where λ is infinite and ties are many: equal rows can get
    /// different labels. Of use to reproduce an earlier clustering.
    Keep,
}

/// Parameters of [`hdbscan`](super::hdbscan()), valid by construction.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HdbscanParameters {
    min_cluster_size: usize,
    min_samples: usize,
    epsilon: f64,
    allow_single_cluster: bool,
    method: SelectionMethod,
    duplicates: Duplicates,
}

/// The share of the rows that the presets take for the smallest cluster: one in a thousand.
const ROWS_PER_MEMBER: usize = 1000;
/// The distance below which the presets split no cluster; on unit vectors a cosine distance of 0.08.
const PRESET_EPSILON: f64 = 0.4;

impl HdbscanParameters {
    /// Returns parameters with epsilon 0, at least two clusters, excess of mass, and duplicates merged.
    ///
    /// `min_cluster_size` is in rows. `min_samples` is in rows and counts the point itself: the core distance of a
    /// point is the distance to its `(min_samples - 1)`-th nearest other row, and 0 when `min_samples` is 1.
    ///
    /// # Errors
    ///
    /// [`ClusterError::MinClusterSizeTooSmall`] below 2, [`ClusterError::MinSamplesTooSmall`] below 1.
    pub fn new(min_cluster_size: usize, min_samples: usize) -> Result<Self, ClusterError> {
        if min_cluster_size < 2 {
            return Err(ClusterError::MinClusterSizeTooSmall { got: min_cluster_size });
        }
        if min_samples < 1 {
            return Err(ClusterError::MinSamplesTooSmall { got: min_samples });
        }
        Ok(Self {
            min_cluster_size,
            min_samples,
            epsilon: 0.0,
            allow_single_cluster: false,
            method: SelectionMethod::default(),
            duplicates: Duplicates::default(),
        })
    }

    /// Returns the preset for `row_count` unit vectors: both sizes `max(5, n / 1000)`, rounded down, epsilon 0.4, a
    /// single cluster allowed, excess of mass, duplicates merged.
    pub fn default(row_count: usize) -> Self {
        Self::preset((row_count / ROWS_PER_MEMBER).max(5), Duplicates::Merge)
    }

    /// Returns the preset that reproduces earlier work: as [`default`](Self::default), but both sizes
    /// `max(2, n / 1000)` and duplicates kept.
    ///
    /// On small sets sizes of 2 give many more clusters than there are: 244 for 11 planted ones among 2,000 rows.
    pub fn reference(row_count: usize) -> Self {
        Self::preset((row_count / ROWS_PER_MEMBER).max(2), Duplicates::Keep)
    }

    fn preset(size: usize, duplicates: Duplicates) -> Self {
        Self {
            min_cluster_size: size,
            min_samples: size,
            epsilon: PRESET_EPSILON,
            allow_single_cluster: true,
            method: SelectionMethod::ExcessOfMass,
            duplicates,
        }
    }

    /// Sets the distance below which a cluster is not split; 0 switches this off (`malzer2020`).
    ///
    /// A chord: on unit vectors epsilon e is the cosine distance e² / 2.
    ///
    /// # Errors
    ///
    /// [`ClusterError::EpsilonOutOfRange`] unless it is finite and 0 or more.
    pub fn with_epsilon(self, epsilon: f64) -> Result<Self, ClusterError> {
        if !(epsilon.is_finite() && epsilon >= 0.0) {
            return Err(ClusterError::EpsilonOutOfRange { got: epsilon });
        }
        Ok(Self { epsilon, ..self })
    }

    /// Sets the size of the smallest cluster, in rows.
    ///
    /// # Errors
    ///
    /// [`ClusterError::MinClusterSizeTooSmall`] below 2.
    pub fn with_min_cluster_size(self, min_cluster_size: usize) -> Result<Self, ClusterError> {
        if min_cluster_size < 2 {
            return Err(ClusterError::MinClusterSizeTooSmall { got: min_cluster_size });
        }
        Ok(Self { min_cluster_size, ..self })
    }

    /// Sets how many rows, the point itself included, make a core point.
    ///
    /// # Errors
    ///
    /// [`ClusterError::MinSamplesTooSmall`] below 1.
    pub fn with_min_samples(self, min_samples: usize) -> Result<Self, ClusterError> {
        if min_samples < 1 {
            return Err(ClusterError::MinSamplesTooSmall { got: min_samples });
        }
        Ok(Self { min_samples, ..self })
    }

    /// Sets whether the root of the tree may be the one cluster.
    #[must_use]
    pub fn with_single_cluster(self, allow_single_cluster: bool) -> Self {
        Self { allow_single_cluster, ..self }
    }

    /// Sets how clusters are chosen from the tree.
    #[must_use]
    pub fn with_method(self, method: SelectionMethod) -> Self {
        Self { method, ..self }
    }

    /// Sets what is done with equal rows.
    #[must_use]
    pub fn with_duplicates(self, duplicates: Duplicates) -> Self {
        Self { duplicates, ..self }
    }

    /// Returns the size of the smallest cluster, in rows; at least 2.
    pub fn min_cluster_size(&self) -> usize {
        self.min_cluster_size
    }

    /// Returns how many rows, the point itself included, make a point a core point; at least 1.
    pub fn min_samples(&self) -> usize {
        self.min_samples
    }

    /// Returns the distance below which a cluster is not split; finite, 0 or more.
    pub fn epsilon(&self) -> f64 {
        self.epsilon
    }

    /// Says whether the root of the tree may be the one cluster.
    pub fn allow_single_cluster(&self) -> bool {
        self.allow_single_cluster
    }

    /// Returns how clusters are chosen from the tree.
    pub fn method(&self) -> SelectionMethod {
        self.method
    }

    /// Returns what is done with equal rows.
    pub fn duplicates(&self) -> Duplicates {
        self.duplicates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_parameters_are_refused() {
        assert_eq!(HdbscanParameters::new(1, 1), Err(ClusterError::MinClusterSizeTooSmall { got: 1 }));
        assert_eq!(HdbscanParameters::new(2, 0), Err(ClusterError::MinSamplesTooSmall { got: 0 }));
        let parameters = HdbscanParameters::new(2, 1).unwrap();
        for epsilon in [-0.1, f64::NAN, f64::INFINITY] {
            assert!(matches!(parameters.with_epsilon(epsilon), Err(ClusterError::EpsilonOutOfRange { .. })));
        }
    }

    #[test]
    fn presets_differ_in_the_floor_and_in_duplicates() {
        assert_eq!(HdbscanParameters::default(0).min_cluster_size(), 5);
        assert_eq!(HdbscanParameters::reference(2_999).min_samples(), 2);
        let n = 10_500;
        let reference = HdbscanParameters::reference(n);
        assert_eq!(reference.min_cluster_size(), 10);
        assert_eq!(HdbscanParameters::default(n), reference.with_duplicates(Duplicates::Merge));
    }
}
