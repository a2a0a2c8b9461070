//! The limit on memory holds at the start and on the way.

use ripsaw::{
    CondensedDistances, Error, Metric, Options, PointCloud, memory_bytes_estimate, persistence_of_distances,
    persistence_of_points,
};

use crate::npy;

fn sphere() -> Vec<f32> {
    npy::read("sphere_s2_100.npy")
}

#[test]
fn the_estimate_is_refused_before_anything_is_measured() {
    let coordinates = sphere();
    let points = PointCloud::new(&coordinates, 100, 3).unwrap();
    let needed = memory_bytes_estimate(100, &Options::default());
    let options = Options::default().with_memory_bytes_max(needed - 1);
    let refused = persistence_of_points(&points, Metric::Euclidean, &options);
    assert_eq!(refused, Err(Error::MemoryLimit { needed, limit: needed - 1 }));
}

#[test]
fn columns_stop_at_the_limit() {
    // To dimension 3 a sphere has more columns than the layout, and the limit leaves them almost no room.
    let distances = CondensedDistances::from_condensed(npy::read("sphere_s2_100.dist.npy"), 100).unwrap();
    let base = Options::default().with_max_dimension(3);
    let limit = memory_bytes_estimate(100, &base);
    let Err(Error::MemoryLimit { needed, limit: named }) =
        persistence_of_distances(&distances, &base.clone().with_memory_bytes_max(limit))
    else {
        panic!("the limit was not noticed")
    };
    assert!(needed > limit && named == limit);
}

#[test]
fn a_limit_that_is_wide_enough_changes_nothing() {
    let coordinates = sphere();
    let points = PointCloud::new(&coordinates, 100, 3).unwrap();
    let free = persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap();
    let options = Options::default().with_memory_bytes_max(64 << 20);
    assert_eq!(persistence_of_points(&points, Metric::Euclidean, &options), Ok(free));
}

#[test]
fn the_estimate_grows_with_points_and_dimension() {
    let options = Options::default();
    let estimates: Vec<u64> = (0..2000).map(|count| memory_bytes_estimate(count, &options)).collect();
    assert!(estimates.is_sorted_by(|a, b| a < b));
    assert!(memory_bytes_estimate(100, &options) < memory_bytes_estimate(100, &options.with_max_dimension(3)));
}
