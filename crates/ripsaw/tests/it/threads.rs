//! Threads change no bar, and whoever watches can end the computation.

use std::ops::ControlFlow;

use proptest::prelude::*;
use ripsaw::{
    Collapse, CondensedDistances, Error, Metric, Options, PointCloud, Stage, persistence_of_distances,
    persistence_of_distances_watched, persistence_of_points, persistence_of_points_watched,
};

use crate::npy;

#[test]
fn any_number_of_threads_gives_the_same_bars() {
    for (name, count, dimension) in [("traj768_100", 100, 768), ("sphere_s2_100", 100, 3), ("torus_120", 120, 3)] {
        let coordinates = npy::read(&format!("{name}.npy"));
        let points = PointCloud::new(&coordinates, count, dimension).unwrap();
        for collapse in [Collapse::Auto, Collapse::On, Collapse::Off] {
            let with = |thread_count| {
                let options = Options::default().with_collapse(collapse).with_threads(thread_count);
                persistence_of_points(&points, Metric::Euclidean, &options).unwrap()
            };
            let expected = with(1);
            for thread_count in [0, 2, 3, 4, 8] {
                assert_eq!(with(thread_count), expected, "{name} {collapse:?} {thread_count}");
            }
        }
    }
}

#[test]
fn stages_come_in_order_and_change_nothing() {
    let coordinates = npy::read("traj768_100.npy");
    let points = PointCloud::new(&coordinates, 100, 768).unwrap();
    let mut reports: Vec<(Stage, f64)> = Vec::new();
    let mut watcher = |stage, fraction| {
        reports.push((stage, fraction));
        ControlFlow::Continue(())
    };
    let watched = persistence_of_points_watched(&points, Metric::Euclidean, &Options::default(), &mut watcher).unwrap();
    assert_eq!(watched, persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap());
    let mut stages: Vec<Stage> = reports.iter().map(|&(stage, _)| stage).collect();
    stages.dedup();
    let of = |dimension| [Stage::Columns { dimension }, Stage::Reduction { dimension }];
    assert_eq!(stages, [&[Stage::Distances, Stage::Collapse], &of(1)[..], &of(2)[..]].concat());
    for pair in reports.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        assert!(pair[0].1 <= pair[1].1 && (0.0..=1.0).contains(&pair[1].1), "{pair:?}");
    }
}

#[test]
fn a_watcher_ends_every_stage() {
    let condensed = npy::read("sphere_s2_100.dist.npy");
    let distances = CondensedDistances::from_condensed(condensed, 100).unwrap();
    let expected = persistence_of_distances(&distances, &Options::default());
    for dimension in 1..=2 {
        for last in [Stage::Collapse, Stage::Columns { dimension }, Stage::Reduction { dimension }] {
            let mut watcher = |stage, _| if stage == last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            let ended = persistence_of_distances_watched(&distances, &Options::default(), &mut watcher);
            assert_eq!(ended, Err(Error::Cancelled), "{last:?}");
        }
    }
    let mut patient = |_, _| ControlFlow::Continue(());
    assert_eq!(persistence_of_distances_watched(&distances, &Options::default(), &mut patient), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn threads_change_nothing_where_many_distances_are_equal(values in prop::collection::vec(1u8..5, 48 * 47 / 2)) {
        let values = values.into_iter().map(f32::from).collect();
        let distances = CondensedDistances::from_condensed(values, 48).unwrap();
        for collapse in [Collapse::On, Collapse::Off] {
            let with = |thread_count| {
                let options = Options::default().with_collapse(collapse).with_threads(thread_count);
                persistence_of_distances(&distances, &options).unwrap()
            };
            let expected = with(1);
            for thread_count in [3, 8] {
                prop_assert_eq!(&with(thread_count), &expected);
            }
        }
    }
}
