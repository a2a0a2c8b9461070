//! What holds for every clustering, whatever the vectors.

use loopscope_analysis::cluster::{Clustering, Duplicates, HdbscanParameters, SelectionMethod, Vectors, hdbscan};
use proptest::prelude::*;

const DIMENSION: usize = 3;

type Row = [f32; DIMENSION];

fn cluster(rows: &[Row], parameters: &HdbscanParameters) -> Clustering {
    hdbscan(&Vectors::new(rows.as_flattened(), rows.len(), DIMENSION).unwrap(), parameters).unwrap()
}

fn parameters() -> impl Strategy<Value = HdbscanParameters> {
    let method = prop_oneof![Just(SelectionMethod::ExcessOfMass), Just(SelectionMethod::Leaf)];
    let epsilon = prop_oneof![Just(0.0), 0.0..2.0];
    let duplicates = prop_oneof![Just(Duplicates::Merge), Just(Duplicates::Keep)];
    (2usize..8, 1usize..8, epsilon, any::<bool>(), method, duplicates).prop_map(
        |(min_cluster_size, min_samples, epsilon, single, method, duplicates)| {
            HdbscanParameters::new(min_cluster_size, min_samples)
                .and_then(|parameters| parameters.with_epsilon(epsilon))
                .unwrap()
                .with_single_cluster(single)
                .with_method(method)
                .with_duplicates(duplicates)
        },
    )
}

/// Rows of a continuous law: no two distances are equal but by a miracle.
fn tie_free_rows() -> impl Strategy<Value = Vec<Row>> {
    let clump = (prop::array::uniform3(1.0f32..9.0), prop::collection::vec(prop::array::uniform3(-0.5f32..0.5), 0..15));
    prop::collection::vec(clump, 1..5).prop_map(|clumps| {
        let shift = |centre: Row, offset: Row| std::array::from_fn(|column| centre[column] + offset[column]);
        clumps.into_iter().flat_map(|(centre, offsets)| offsets.into_iter().map(move |o| shift(centre, o))).collect()
    })
}

/// Rows on a coarse grid: ties and copies in plenty.
fn grid_rows() -> impl Strategy<Value = Vec<Row>> {
    prop::collection::vec(prop::array::uniform3(1u8..4).prop_map(|row| row.map(f32::from)), 0..50)
}

fn squared_distances(rows: &[Row]) -> Vec<f64> {
    let squared = |a: &Row, b: &Row| a.iter().zip(b).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2)).sum();
    rows.iter().enumerate().flat_map(|(place, a)| rows[..place].iter().map(move |b| squared(a, b))).collect()
}

fn has_ties(rows: &[Row]) -> bool {
    let mut distances = squared_distances(rows);
    distances.sort_by(f64::total_cmp);
    distances.windows(2).any(|pair| pair[1] - pair[0] <= 1e-12 * pair[1])
}

/// Renames labels in the order in which they first appear.
fn renamed(labels: impl IntoIterator<Item = Option<usize>>) -> Vec<Option<usize>> {
    let mut seen = vec![];
    let mut rename = |label: usize| {
        seen.iter().position(|&other| other == label).unwrap_or_else(|| {
            seen.push(label);
            seen.len() - 1
        })
    };
    labels.into_iter().map(|label| label.map(&mut rename)).collect()
}

proptest! {
    #[test]
    fn the_order_of_rows_changes_only_the_names_of_clusters(
        (rows, order) in tie_free_rows().prop_flat_map(|rows| {
            let order: Vec<usize> = (0..rows.len()).collect();
            (Just(rows), Just(order).prop_shuffle())
        }),
        parameters in parameters(),
    ) {
        prop_assume!(!has_ties(&rows));
        let straight = cluster(&rows, &parameters);
        let shuffled_rows: Vec<Row> = order.iter().map(|&row| rows[row]).collect();
        let shuffled = cluster(&shuffled_rows, &parameters);
        prop_assert_eq!(renamed(order.iter().map(|&row| straight.labels[row])), shuffled.labels);
        for (place, &row) in order.iter().enumerate() {
            prop_assert!((straight.probabilities[row] - shuffled.probabilities[place]).abs() <= 1e-9);
        }
        let difference = (straight.tree_weight - shuffled.tree_weight).abs();
        prop_assert!(straight.tree_weight == shuffled.tree_weight || difference <= 1e-9 * straight.tree_weight);
    }

    #[test]
    fn the_order_of_rows_does_not_matter_to_merged_copies(
        (rows, order) in tie_free_rows().prop_flat_map(|rows| {
            let places: Vec<usize> = (0..rows.len()).flat_map(|row| std::iter::repeat_n(row, 1 + row % 4)).collect();
            (Just(rows), Just(places).prop_shuffle())
        }),
        parameters in parameters(),
    ) {
        prop_assume!(!has_ties(&rows));
        let parameters = parameters.with_duplicates(Duplicates::Merge);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        let in_order = |order: &[usize]| cluster(&order.iter().map(|&row| rows[row]).collect::<Vec<_>>(), &parameters);
        let (straight, shuffled) = (in_order(&sorted), in_order(&order));
        let place = |row: usize| sorted.partition_point(|&other| other < row);
        prop_assert_eq!(renamed(order.iter().map(|&row| straight.labels[place(row)])), shuffled.labels);
    }

    #[test]
    fn merged_copies_have_one_label_and_one_probability(rows in grid_rows(), parameters in parameters()) {
        let clustering = cluster(&rows, &parameters.with_duplicates(Duplicates::Merge));
        for (a, row) in rows.iter().enumerate() {
            if let Some(b) = rows[..a].iter().position(|other| other == row) {
                prop_assert_eq!(clustering.labels[a], clustering.labels[b]);
                prop_assert_eq!(clustering.probabilities[a], clustering.probabilities[b]);
            }
        }
    }

    #[test]
    fn without_copies_merging_changes_nothing(rows in tie_free_rows(), parameters in parameters()) {
        prop_assume!(!has_ties(&rows));
        let merged = cluster(&rows, &parameters.with_duplicates(Duplicates::Merge));
        prop_assert_eq!(merged, cluster(&rows, &parameters.with_duplicates(Duplicates::Keep)));
    }

    #[test]
    fn labels_probabilities_and_medoids_are_consistent(rows in grid_rows(), parameters in parameters()) {
        let clustering = cluster(&rows, &parameters);
        prop_assert_eq!(clustering.labels.len(), rows.len());
        prop_assert_eq!(clustering.probabilities.len(), rows.len());
        let labelled = clustering.labels.iter().copied().filter(Option::is_some);
        prop_assert_eq!(renamed(labelled.clone()), labelled.collect::<Vec<_>>(), "numbered by first row");
        for (label, probability) in clustering.labels.iter().zip(&clustering.probabilities) {
            prop_assert!((0.0..=1.0).contains(probability));
            prop_assert!(label.is_some() || *probability == 0.0);
        }
        for (number, &medoid) in clustering.medoids.iter().enumerate() {
            prop_assert_eq!(clustering.labels[medoid], Some(number));
            }
        let cluster_count = clustering.labels.iter().flatten().max().map_or(0, |number| number + 1);
        prop_assert_eq!(clustering.medoids.len(), cluster_count);
        prop_assert!(clustering.tree_weight >= 0.0);
    }
}

fn check_all_outliers(rows: &[Row], parameters: &HdbscanParameters, tree_weight: f64) {
    let clustering = cluster(rows, parameters);
    assert_eq!(clustering.labels, vec![None; rows.len()]);
    assert_eq!(clustering.probabilities, vec![0.0; rows.len()]);
    assert!(clustering.medoids.is_empty());
    assert_eq!(clustering.tree_weight, tree_weight);
    assert!(clustering.tree_weight.is_sign_positive());
}

#[test]
fn too_few_rows_are_outliers_in_every_way() {
    for duplicates in [Duplicates::Merge, Duplicates::Keep] {
        for method in [SelectionMethod::ExcessOfMass, SelectionMethod::Leaf] {
            for epsilon in [0.0, 0.4] {
                for single in [false, true] {
                    let parameters = HdbscanParameters::new(3, 2).unwrap().with_epsilon(epsilon).unwrap();
                    let parameters =
                        parameters.with_method(method).with_single_cluster(single).with_duplicates(duplicates);
                    check_all_outliers(&[], &parameters, 0.0);
                    check_all_outliers(&[[1., 0., 0.]], &parameters, 0.0);
                    check_all_outliers(&[[1., 0., 0.], [3., 0., 0.]], &parameters, 2.0);
                    check_all_outliers(&[[1., 0., 0.]; 2], &parameters, 0.0);
                }
            }
        }
    }
    let many_samples = HdbscanParameters::new(2, 4).unwrap().with_single_cluster(true);
    check_all_outliers(&[[1., 0., 0.], [2., 0., 0.], [3., 0., 0.]], &many_samples, f64::INFINITY);
}

#[test]
fn rows_that_are_all_equal_are_one_cluster_only_where_that_is_allowed() {
    let rows = [[1., 2., 2.]; 9];
    for duplicates in [Duplicates::Merge, Duplicates::Keep] {
        for epsilon in [0.0, 0.4] {
            let parameters = HdbscanParameters::new(2, 3).unwrap().with_duplicates(duplicates);
            let parameters = parameters.with_epsilon(epsilon).unwrap();
            check_all_outliers(&rows, &parameters, 0.0);
            let single = cluster(&rows, &parameters.with_single_cluster(true));
            assert_eq!(single.labels, [Some(0); 9]);
            assert_eq!(single.probabilities, [1.0; 9]);
            assert_eq!(single.medoids, [0]);
        }
    }
}

#[test]
fn repeated_rows_do_not_turn_their_neighbours_into_outliers_when_merged() {
    // Two clumps; in the first one two rows are repeated ten times each.
    let clump = |x: f32| (0..10u8).map(move |i| [x + 0.01 * f32::from(i), 1.0 + 0.003 * f32::from(i % 3), 0.0]);
    let copies = [[1.043, 1.0, 0.0], [1.047, 1.0, 0.0]].into_iter().flat_map(|row| [row; 10]);
    let rows: Vec<Row> = clump(1.0).chain(clump(3.0)).chain(copies).collect();
    let parameters = HdbscanParameters::new(5, 5).unwrap();
    let outlier_count = |duplicates| {
        let clustering = cluster(&rows, &parameters.with_duplicates(duplicates));
        clustering.labels[..10].iter().filter(|label| label.is_none()).count()
    };
    assert_eq!(outlier_count(Duplicates::Merge), 0);
    assert_eq!(outlier_count(Duplicates::Keep), 10);
}
