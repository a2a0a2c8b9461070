//! Sparse distances against the matrix that they stand for.

use proptest::prelude::*;
use ripsaw::{
    Collapse, CondensedDistances, Error, GeneratorOptions, Options, Persistence, SparseDistances,
    generators_of_distances, generators_of_sparse_distances, persistence_of_distances, persistence_of_sparse_distances,
};

use crate::npy;

/// Farther than any threshold used here; a matrix may not hold infinity.
const FAR: f32 = 1000.0;
/// At least every distance that is near.
const NEAR: f64 = 100.0;

/// A matrix whose far pairs have no entry; the distances tie.
fn some_matrix() -> impl Strategy<Value = (usize, Vec<f32>)> {
    (0usize..14).prop_flat_map(|count| {
        let distance = prop_oneof![(0u8..6).prop_map(f32::from), 0.0..6.0f32, Just(FAR)];
        let length = count * count.saturating_sub(1) / 2;
        (Just(count), prop::collection::vec(distance, length))
    })
}

fn sparse(count: usize, values: &[f32], below: f32) -> SparseDistances {
    let pairs = (0..count).flat_map(|i| (i + 1..count).map(move |j| (i, j)));
    let entries =
        pairs.zip(values).map(|((i, j), &distance)| if i % 2 == 0 { (i, j, distance) } else { (j, i, distance) });
    SparseDistances::from_entries(count, entries.filter(|entry| entry.2 < below)).unwrap()
}

fn of_sparse(distances: &SparseDistances, options: &Options) -> Persistence {
    persistence_of_sparse_distances(distances, options).unwrap()
}

/// The persistence of a matrix in which all pairs beyond the threshold are equally far.
fn within_threshold(count: usize, values: &[f32], threshold: f64) -> Persistence {
    let level = |&value: &f32| if f64::from(value) > threshold { FAR } else { value };
    let dense = CondensedDistances::from_condensed(values.iter().map(level).collect(), count).unwrap();
    persistence_of_distances(&dense, &Options::default()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn absent_pairs_are_far_ones((count, values) in some_matrix(), threshold in 0.0..8.0f64) {
        let dense = CondensedDistances::from_condensed(values.clone(), count).unwrap();
        let distances = sparse(count, &values, FAR);
        for collapse in [Collapse::Auto, Collapse::On, Collapse::Off] {
            let options = Options::default().with_collapse(collapse);
            let all = persistence_of_distances(&dense, &options.clone().with_threshold(NEAR)).unwrap();
            prop_assert_eq!(of_sparse(&distances, &options).diagrams, all.diagrams);
            let options = options.with_threshold(threshold).with_threads(2);
            let cut = persistence_of_distances(&dense, &options).unwrap();
            prop_assert_eq!(of_sparse(&distances, &options).diagrams, cut.diagrams);
        }
    }

    #[test]
    fn a_matrix_without_absent_pairs_gives_the_same_in_all((count, values) in some_matrix()) {
        let dense = CondensedDistances::from_condensed(values.clone(), count).unwrap();
        let all = persistence_of_distances(&dense, &Options::default()).unwrap();
        let found = of_sparse(&sparse(count, &values, f32::INFINITY), &Options::default());
        prop_assert_eq!((&found.diagrams, found.threshold, found.point_count), (&all.diagrams, all.threshold, count));
        prop_assert_eq!(&found, &within_threshold(count, &values, all.threshold));
        // Only points at distance zero can be told apart by what lies beyond the threshold.
        if !values.contains(&0.0) {
            prop_assert_eq!(found, all);
        }
    }

    #[test]
    fn generators_have_the_bars_of_far_pairs((count, values) in some_matrix(), count_max in 1usize..9) {
        let dense = CondensedDistances::from_condensed(values.clone(), count).unwrap();
        let wanted = GeneratorOptions::default().with_count_max(count_max);
        let far = generators_of_distances(&dense, &Options::default().with_threshold(NEAR), &wanted).unwrap();
        let found = generators_of_sparse_distances(&sparse(count, &values, FAR), &Options::default(), &wanted).unwrap();
        // Of equally long bars either may be taken.
        let lengths = |found: &[ripsaw::Generator]| -> Vec<(usize, f64)> {
            found.iter().map(|generator| (generator.dimension, generator.bar.length())).collect()
        };
        prop_assert_eq!(lengths(&found), lengths(&far));
        for generator in &found {
            let length = |edge: [usize; 2]| f64::from(dense.distance(edge[0], edge[1]));
            prop_assert_eq!(length(generator.death_edge), generator.bar.death);
            prop_assert_eq!(generator.birth_edge.map_or(0.0, length), generator.bar.birth);
        }
    }
}

#[test]
fn points_that_only_a_distance_beyond_the_threshold_tells_apart_count_as_one() {
    // The first point is at distance zero of all, so that the threshold is zero; 1.4 tells the second from the third.
    let values = [0.0, 0.0, 0.0, 1.0, 1.405_586_2, 0.0];
    let dense = CondensedDistances::from_condensed(values.to_vec(), 4).unwrap();
    let all = persistence_of_distances(&dense, &Options::default()).unwrap();
    let found = of_sparse(&sparse(4, &values, f32::INFINITY), &Options::default());
    assert_eq!((found.diagrams, found.threshold), (all.diagrams, all.threshold));
    assert_eq!((found.distinct_point_count, all.distinct_point_count), (3, 4));
}

#[test]
fn a_cloud_of_the_reference_cut_at_a_threshold_is_the_cloud_without_the_longer_pairs() {
    let values = npy::read("torus_120.dist.npy");
    let dense = CondensedDistances::from_condensed(values.clone(), 120).unwrap();
    for threshold in [0.3f32, 0.8, 1.4] {
        let cut = persistence_of_distances(&dense, &Options::default().with_threshold(threshold.into())).unwrap();
        let distances = sparse(120, &values, threshold.next_up());
        assert!(distances.entry_count() < values.len());
        let found = of_sparse(&distances, &Options::default());
        assert_eq!(found.diagrams, cut.diagrams);
        assert_eq!(found.threshold, f64::INFINITY);
    }
}

#[test]
fn memory_is_that_of_the_entries_not_of_all_pairs() {
    // 100,000 points in hexagons; a matrix of all of them would take 40 GB.
    let count = 100_002;
    let entries = (0..count).map(|k| (k, if k % 6 == 5 { k - 5 } else { k + 1 }, 1.0));
    let distances = SparseDistances::from_entries(count, entries).unwrap();
    let options = Options::default().with_memory_bytes_max(8 << 20);
    let persistence = of_sparse(&distances, &options);
    assert_eq!(persistence.diagrams[0].iter().filter(|bar| bar.is_infinite()).count(), count / 6);
    assert_eq!(persistence.diagrams[1], vec![(1.0, f64::INFINITY).into(); count / 6]);
    assert_eq!((persistence.edge_count, persistence.distinct_point_count), (count as u64, count));
    let starved = persistence_of_sparse_distances(&distances, &options.with_memory_bytes_max(1 << 20));
    assert!(matches!(starved, Err(Error::MemoryLimit { .. })));
}

#[test]
fn no_points_and_points_without_entries() {
    let none = of_sparse(&SparseDistances::from_entries(0, []).unwrap(), &Options::default());
    assert!(none.diagrams.iter().all(Vec::is_empty));
    let alone = of_sparse(&SparseDistances::from_entries(3, []).unwrap(), &Options::default());
    assert_eq!(alone.diagrams[0], vec![(0.0, f64::INFINITY).into(); 3]);
    let one = of_sparse(&SparseDistances::from_entries(1, [(0, 0, 0.0)]).unwrap(), &Options::default());
    assert_eq!((one.threshold, one.diagrams[0].len()), (0.0, 1));
}

#[test]
fn bad_entries_are_named() {
    let message = |count, entries: &[(usize, usize, f32)]| {
        SparseDistances::from_entries(count, entries.iter().copied()).unwrap_err().to_string()
    };
    assert_eq!(message(3, &[(0, 1, 1.0), (2, 3, 1.0)]), "entry 1 must name points below 3, got point 3");
    assert_eq!(message(0, &[(0, 0, 0.0)]), "entry 0 must name points below 0, got point 0");
    assert_eq!(message(3, &[(2, 1, f32::NAN)]), "the distance between points 1 and 2 must be finite, got NaN");
    assert_eq!(message(3, &[(2, 1, f32::INFINITY)]), "the distance between points 1 and 2 must be finite, got inf");
    assert_eq!(message(3, &[(2, 1, -0.5)]), "the distance between points 1 and 2 must not be negative, got -0.5");
    assert_eq!(message(3, &[(2, 2, 0.5)]), "the distance of point 2 to itself must be 0, got 0.5");
    let twice = [(0, 1, 1.0), (1, 2, 1.0), (1, 0, 1.5)];
    assert_eq!(message(3, &twice), "points 0 and 1 must have one distance, got 1 and 1.5");
    let again = SparseDistances::from_entries(3, [(0, 1, 1.0), (1, 0, 1.0), (2, 2, -0.0)]).unwrap();
    assert_eq!(again.entries().collect::<Vec<_>>(), [(0, 1, 1.0)]);
    let mut too_many = vec![(0, 1, 0.0); 70_000];
    too_many.iter_mut().enumerate().for_each(|(k, entry)| *entry = (k, k + 1, 1.0));
    let chain = SparseDistances::from_entries(70_001, too_many).unwrap();
    let refused = persistence_of_sparse_distances(&chain, &Options::default()).unwrap_err();
    assert_eq!(refused.to_string(), "distinct points must be at most 65535, got 70001");
}
