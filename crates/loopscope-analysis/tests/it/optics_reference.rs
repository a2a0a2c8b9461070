//! Stored answers of scikit-learn 1.9.1's OPTICS; what they are is in `tests/fixtures/cluster/README.md`.

use loopscope_analysis::cluster::{DensityTree, Resources, optics};

use crate::fixture::{read_json, read_matrix};
use crate::hdbscan_reference::adjusted_rand_index;

/// Rows whose reachability may differ, of 600 to 1,500. Equally reachable rows come in an order that rounding chose there,
/// and here by row; what is reached from them differs with it.
const ROWS_IN_OTHER_ORDER: usize = 20;

#[test]
fn reachability_differs_from_scikit_learns_in_ties_alone() {
    let reference = read_json("cluster/optics.json");
    for (name, settings) in reference.as_object().unwrap() {
        let matrix = read_matrix(name);
        let vectors = matrix.vectors();
        for setting in settings.as_array().unwrap() {
            let number = |key: &str| usize::try_from(setting[key].as_u64().unwrap()).unwrap();
            let (samples, size, xi) =
                (number("min_samples"), number("min_cluster_size"), setting["xi"].as_f64().unwrap());
            let what = format!("{name}, min_samples {samples}, xi {xi}");
            let resources = Resources::default();
            let tree = DensityTree::new(&vectors, samples, &resources, None).unwrap();
            let order = optics(&tree, None).unwrap();
            let expected: Vec<f64> = setting["reachability"]
                .as_array()
                .unwrap()
                .iter()
                .map(|x| x.as_f64().unwrap_or(f64::INFINITY))
                .collect();

            let is_infinite = |list: &[f64]| -> Vec<bool> { list.iter().map(|x| x.is_infinite()).collect() };
            assert_eq!(is_infinite(&order.reachability), is_infinite(&expected), "{what}");
            let finite = || order.reachability.iter().zip(&expected).filter(|(got, _)| got.is_finite());
            let differing = finite().filter(|(got, expected)| (*got - *expected).abs() > 1e-5).count();
            assert!(differing <= ROWS_IN_OTHER_ORDER, "{what}: {differing} rows");
            let (got, wanted) = finite().fold((0.0, 0.0), |sum, (got, expected)| (sum.0 + got, sum.1 + expected));
            assert!((got / wanted - 1.0).abs() <= 1e-4, "{what}: {got} {wanted} in all");

            let labels: Vec<Option<usize>> = setting["labels"]
                .as_array()
                .unwrap()
                .iter()
                .map(|label| usize::try_from(label.as_i64().unwrap()).ok())
                .collect();
            let clusters = order.at_steepness(&vectors, xi, size, &resources, None).unwrap();
            let index = adjusted_rand_index(&clusters.labels, &labels);
            assert!(index >= if samples == 5 { 0.996 } else { 1.0 }, "{what}: {index}");
        }
    }
}

/// The definition, word for word, on a full matrix: the order is the one that ties by row make.
#[test]
fn the_order_is_that_of_the_definition() {
    let matrix = read_matrix("nested_eps");
    let vectors = matrix.vectors();
    let count = vectors.row_count();
    let distance = |a: usize, b: usize| -> f64 {
        let squares = vectors.row(a).iter().zip(vectors.row(b)).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2));
        squares.sum::<f64>().sqrt()
    };
    let distances: Vec<Vec<f64>> = (0..count).map(|a| (0..count).map(|b| distance(a, b)).collect()).collect();
    let core = |row: usize| {
        let mut sorted = distances[row].clone();
        sorted.sort_by(f64::total_cmp);
        sorted[4]
    };
    let mut reachability = vec![f64::INFINITY; count];
    let mut outside: Vec<usize> = (0..count).collect();
    while !outside.is_empty() {
        let place =
            (0..outside.len()).min_by(|&a, &b| reachability[outside[a]].total_cmp(&reachability[outside[b]])).unwrap();
        let row = outside.remove(place);
        let core = core(row);
        outside
            .iter()
            .for_each(|&other| reachability[other] = reachability[other].min(distances[row][other].max(core)));
    }
    let order = optics(&DensityTree::new(&vectors, 5, &Resources::default(), None).unwrap(), None).unwrap();
    let differing =
        reachability.iter().zip(&order.reachability).filter(|(a, b)| a != b && (*a - *b).abs() > 1e-9).count();
    assert_eq!(differing, 0);
}
