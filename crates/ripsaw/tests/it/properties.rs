//! What moving, scaling and renumbering points do to their bars.

use proptest::prelude::*;
use ripsaw::{
    Bar, Metric, Options, PointCloud, normalised_persistent_entropy, persistence_of_points, persistent_entropy,
};

use crate::oracle::small_cloud;

fn diagrams(coordinates: &[f32], count: usize, dimension: usize, metric: Metric) -> Vec<Vec<Bar>> {
    let points = PointCloud::new(coordinates, count, dimension).unwrap();
    persistence_of_points(&points, metric, &Options::default()).unwrap().diagrams
}

/// Thirty points in space, and an order for them.
fn cloud_and_order() -> impl Strategy<Value = (Vec<[f32; 3]>, Vec<usize>)> {
    let cloud = prop::collection::vec(prop::array::uniform3(-1f32..1.0), 30);
    (cloud, Just((0..30).collect::<Vec<usize>>()).prop_shuffle())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn renumbering_the_points_changes_nothing((cloud, order) in cloud_and_order()) {
        let renumbered: Vec<[f32; 3]> = order.iter().map(|&i| cloud[i]).collect();
        for metric in [Metric::Euclidean, Metric::Cosine, Metric::Angular] {
            let before = diagrams(cloud.as_flattened(), 30, 3, metric);
            prop_assert_eq!(diagrams(renumbered.as_flattened(), 30, 3, metric), before);
        }
    }

    #[test]
    fn mirroring_and_exchanging_axes_changes_only_rounding((cloud, _) in cloud_and_order()) {
        // Squares of f32 differences are summed in another order: one step of the f32 at most, here below 2^-22.
        let turned: Vec<[f32; 3]> = cloud.iter().map(|&[x, y, z]| [-z, x, -y]).collect();
        let (before, after) =
            (diagrams(cloud.as_flattened(), 30, 3, Metric::Euclidean), diagrams(turned.as_flattened(), 30, 3, Metric::Euclidean));
        // Births of dimension 0 are all 0, so its bars are sorted by death and can be compared one by one.
        for (a, b) in before[0].iter().zip(&after[0]) {
            prop_assert!(a.death == b.death || (a.death - b.death).abs() <= 0.5f64.powi(22));
        }
        for (a, b) in before.iter().zip(&after) {
            let total = |bars: &[Bar]| bars.iter().map(Bar::length).filter(|length| length.is_finite()).sum::<f64>();
            prop_assert!((total(a) - total(b)).abs() <= 200.0 * 0.5f64.powi(22));
        }
    }

    #[test]
    fn doubling_every_coordinate_doubles_every_bar((coordinates, count, dimension) in small_cloud(), power in -8i32..8) {
        let factor = 2f32.powi(power);
        let scaled: Vec<f32> = coordinates.iter().map(|x| x * factor).collect();
        let mut expected = diagrams(&coordinates, count, dimension, Metric::Euclidean);
        for bar in expected.iter_mut().flatten() {
            *bar = Bar { birth: bar.birth * f64::from(factor), death: bar.death * f64::from(factor) };
        }
        prop_assert_eq!(diagrams(&scaled, count, dimension, Metric::Euclidean), expected);
    }

    #[test]
    fn moving_points_a_little_moves_components_a_little((cloud, _) in cloud_and_order(), seed in 0u32..1000) {
        // Stability: no point moves by more than sqrt(3) / 100, so no distance by more than twice that.
        let nudge = |k: usize| ((seed as usize * 31 + k * 17) % 201) as f32 / 10_000.0 - 0.01;
        let moved: Vec<f32> = cloud.as_flattened().iter().enumerate().map(|(k, x)| x + nudge(k)).collect();
        let before = diagrams(cloud.as_flattened(), 30, 3, Metric::Euclidean);
        let after = diagrams(&moved, 30, 3, Metric::Euclidean);
        for (a, b) in before[0].iter().zip(&after[0]) {
            prop_assert!(a.death == b.death || (a.death - b.death).abs() <= 2.0 * 3f64.sqrt() / 100.0 + 1e-6);
        }
    }

    #[test]
    fn bars_keep_their_promises((coordinates, count, dimension) in small_cloud()) {
        let found = diagrams(&coordinates, count, dimension, Metric::Euclidean);
        prop_assert_eq!(found[0].iter().filter(|bar| bar.is_infinite()).count(), usize::from(count > 0));
        for bars in &found {
            prop_assert!(bars.iter().all(|bar| 0.0 <= bar.birth && bar.birth < bar.death));
            prop_assert!(bars.is_sorted_by(|a, b| (a.birth, a.death) <= (b.birth, b.death)));
            prop_assert!((0.0..=1.0).contains(&normalised_persistent_entropy(bars).unwrap()));
            prop_assert!(persistent_entropy(bars).unwrap() <= (bars.len().max(1) as f64).ln());
        }
        prop_assert!(found[1..].iter().flatten().all(|bar| !bar.is_infinite()));
    }
}
