//! No shortcut changes a bar.

use proptest::prelude::*;
use ripsaw::{
    Collapse, CondensedDistances, Metric, Options, PointCloud, Shortcuts, persistence_of_distances_with,
    persistence_of_points_with,
};

use crate::npy;
use crate::oracle::{small_cloud, small_dissimilarity};

/// All shortcuts, with and without the collapse of edges.
fn every_choice() -> impl Iterator<Item = (Shortcuts, Collapse)> {
    let shortcuts = (0u8..64).map(|bits| Shortcuts {
        clearing: bits & 1 != 0,
        emergent: bits & 2 != 0,
        apparent: bits & 4 != 0,
        merge_duplicates: bits & 8 != 0,
        narrow_keys: bits & 16 != 0,
        cochains: bits & 32 != 0,
    });
    shortcuts.flat_map(|shortcuts| [Collapse::On, Collapse::Off].map(|collapse| (shortcuts, collapse)))
}

#[test]
fn every_choice_gives_the_same_bars_on_a_trajectory_and_a_polygon() {
    for (name, count, max_dimension) in [("traj768_100", 100, 1), ("duplicates_21", 21, 3), ("polygon_24", 24, 3)] {
        let condensed = npy::read(&format!("{name}.dist.npy"));
        let distances = CondensedDistances::from_condensed(condensed, count).unwrap();
        let options = Options::default().with_max_dimension(max_dimension);
        let diagrams = |shortcuts, collapse| {
            let options = options.clone().with_collapse(collapse);
            persistence_of_distances_with(&distances, &options, shortcuts).unwrap().diagrams
        };
        let expected = diagrams(Shortcuts::default(), Collapse::Auto);
        for (shortcuts, collapse) in every_choice() {
            assert_eq!(diagrams(shortcuts, collapse), expected, "{name} {shortcuts:?} {collapse:?}");
        }
    }
}

proptest! {
    #[test]
    fn every_choice_gives_the_same_bars_on_points((coordinates, count, dimension) in small_cloud()) {
        let points = PointCloud::new(&coordinates, count, dimension).unwrap();
        let diagrams = |shortcuts, collapse| {
            let options = Options::default().with_collapse(collapse);
            persistence_of_points_with(&points, Metric::Euclidean, &options, shortcuts).unwrap().diagrams
        };
        let expected = diagrams(Shortcuts::default(), Collapse::Auto);
        for (shortcuts, collapse) in every_choice() {
            prop_assert_eq!(&diagrams(shortcuts, collapse), &expected, "{:?} {:?}", shortcuts, collapse);
        }
    }

    #[test]
    fn every_choice_gives_the_same_bars_below_a_threshold(distances in small_dissimilarity(), threshold in 0u8..6) {
        let options = Options::default().with_max_dimension(3).with_threshold(threshold.into());
        let diagrams = |shortcuts, collapse| {
            let options = options.clone().with_collapse(collapse);
            persistence_of_distances_with(&distances, &options, shortcuts).unwrap().diagrams
        };
        let expected = diagrams(Shortcuts::default(), Collapse::Auto);
        for (shortcuts, collapse) in every_choice() {
            prop_assert_eq!(&diagrams(shortcuts, collapse), &expected, "{:?} {:?}", shortcuts, collapse);
        }
    }
}
