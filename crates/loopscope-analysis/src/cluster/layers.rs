//! Several resolutions of one tree.

use super::tree::DensityTree;
use super::workers::Watcher;
use super::{ClusterError, Clustering, HdbscanParameters, Resources};

/// A clustering at one resolution.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Layer {
    /// The smallest cluster of this resolution, in rows.
    pub min_cluster_size: usize,
    /// The clusters.
    pub clustering: Clustering,
}

/// Cuts layers from a tree, finest first.
///
/// Layer 0 is cut with `parameters`. Each following layer asks for clusters twice as large as the one before
/// (`min_cluster_size` × 2, × 4, …; `min_samples`, and so the tree, stays), as long as the size is at most half the
/// rows. A cut that labels every row like the layer before it is left out. The last layer is the first with fewer than
/// two clusters, unless that has none: then it is left out too. There is always layer 0.
///
/// The layers come from one exact tree, so a cluster of a coarser layer that is selected lower down than one of a finer
/// layer never cuts across it: any two clusters are nested or disjoint, but for rows at their rims.
///
/// # Errors
///
/// As [`DensityTree::cut`].
pub fn layers(
    tree: &DensityTree<'_>,
    parameters: &HdbscanParameters,
    resources: &Resources,
    mut watcher: Option<&mut Watcher<'_>>,
) -> Result<Vec<Layer>, ClusterError> {
    let mut layers: Vec<Layer> = vec![];
    let mut size = parameters.min_cluster_size();
    loop {
        let clustering = tree.cut(&parameters.with_min_cluster_size(size)?, resources, watcher.as_deref_mut())?;
        let (cluster_count, row_count) = (clustering.medoids.len(), clustering.labels.len());
        let is_new = layers.last().is_none_or(|last| last.clustering.labels != clustering.labels);
        if layers.is_empty() || (is_new && cluster_count > 0) {
            layers.push(Layer { min_cluster_size: size, clustering });
        }
        match size.checked_mul(2) {
            Some(next) if cluster_count >= 2 && next <= row_count / 2 => size = next,
            _ => return Ok(layers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Vectors;
    use super::*;

    /// Two pairs of clumps of 12 rows: at a size of 5 four clusters, at a size of 20 two.
    fn clumps() -> Vec<f32> {
        let clump = |x: f32| (0..12u8).map(move |i| x + 0.01 * f32::from(i) + 0.0007 * f32::from(i * i));
        [1.0, 1.5, 9.0, 9.5].into_iter().flat_map(clump).collect()
    }

    #[test]
    fn layers_go_from_fine_to_coarse() {
        let values = clumps();
        let vectors = Vectors::new(&values, values.len(), 1).unwrap();
        let tree = DensityTree::new(&vectors, 3, &Resources::default(), None).unwrap();
        let parameters = HdbscanParameters::new(5, 3).unwrap();
        let layers = layers(&tree, &parameters, &Resources::default(), None).unwrap();
        let counts: Vec<_> = layers.iter().map(|l| (l.min_cluster_size, l.clustering.medoids.len())).collect();
        assert_eq!(counts, [(5, 4), (20, 2)]);
        for (fine, coarse) in layers[0].clustering.labels.iter().zip(&layers[1].clustering.labels) {
            assert_eq!(fine.map(|cluster| cluster / 2), *coarse);
        }
    }

    #[test]
    fn few_rows_have_one_layer() {
        let vectors = Vectors::new(&[1.0, 2.0], 2, 1).unwrap();
        let tree = DensityTree::new(&vectors, 3, &Resources::default(), None).unwrap();
        let layers = layers(&tree, &HdbscanParameters::new(5, 3).unwrap(), &Resources::default(), None).unwrap();
        assert_eq!(layers.len(), 1);
        assert!(layers[0].clustering.medoids.is_empty());
    }
}
