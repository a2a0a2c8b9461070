//! Stored answers of scikit-learn 1.9.1's OPTICS; what they are is in `tests/fixtures/cluster/README.md`.

use loopscope_analysis::cluster::{DensityTree, Resources, Vectors, optics};
use serde_json::Value;

use crate::fixture::{read_json, read_matrix};
use crate::hdbscan_reference::adjusted_rand_index;

/// Rows whose reachability may differ, of 600 to 1,500. Equally reachable rows come in an order that rounding chose there,
/// and here by row; what is reached from them differs with it.
const ROWS_IN_OTHER_ORDER: usize = 20;

/// What the slow definition needs: every distance, in rows, and the core distances.
struct Definition {
    distances: Vec<Vec<f64>>,
    cores: Vec<f64>,
    reachability: Vec<f64>,
}

impl Definition {
    fn new(vectors: &Vectors<'_>, min_samples: usize) -> Self {
        let count = vectors.row_count();
        let distance = |a: usize, b: usize| -> f64 {
            let squares =
                vectors.row(a).iter().zip(vectors.row(b)).map(|(&x, &y)| (f64::from(x) - f64::from(y)).powi(2));
            squares.sum::<f64>().sqrt()
        };
        let distances: Vec<Vec<f64>> = (0..count).map(|a| (0..count).map(|b| distance(a, b)).collect()).collect();
        let core = |row: &Vec<f64>| {
            let mut sorted = row.clone();
            sorted.sort_by(f64::total_cmp);
            sorted[min_samples - 1]
        };
        let cores = distances.iter().map(core).collect();
        Self { distances, cores, reachability: vec![f64::INFINITY; count] }
    }

    /// Takes a row out, and reaches the others from it.
    fn process(&mut self, row: usize, outside: &[usize]) {
        for &other in outside {
            let reached = self.distances[row][other].max(self.cores[row]);
            self.reachability[other] = self.reachability[other].min(reached);
        }
    }
}

/// Returns stored numbers, infinity for null.
fn numbers(setting: &Value, key: &str) -> Vec<f64> {
    setting[key].as_array().unwrap().iter().map(|x| x.as_f64().unwrap_or(f64::INFINITY)).collect()
}

/// scikit-learn takes core distances from matrix products and distances from differences, so that of the rows at the
/// core distance the very one that defines it can come out an ulp farther, and later. Step by step its order is one of
/// those that the definition allows, and gives its reachability.
#[test]
fn scikit_learns_order_differs_in_the_choice_among_equals() {
    let reference = read_json("cluster/optics.json");
    let mut not_the_lowest = 0;
    for (name, settings) in reference.as_object().unwrap() {
        let matrix = read_matrix(name);
        let vectors = matrix.vectors();
        for setting in settings.as_array().unwrap() {
            let samples = usize::try_from(setting["min_samples"].as_u64().unwrap()).unwrap();
            let mut definition = Definition::new(&vectors, samples);
            let mut outside: Vec<usize> = (0..vectors.row_count()).collect();
            for (step, row) in setting["ordering"].as_array().unwrap().iter().enumerate() {
                let row = usize::try_from(row.as_u64().unwrap()).unwrap();
                let least = outside.iter().map(|&row| definition.reachability[row]).fold(f64::INFINITY, f64::min);
                assert_eq!(definition.reachability[row], least, "{name}, {samples}, step {step}: row {row}");
                let lowest = outside.iter().find(|&&row| definition.reachability[row] == least);
                not_the_lowest += usize::from(lowest != Some(&row));
                outside.retain(|&other| other != row);
                definition.process(row, &outside);
            }
            for (row, expected) in numbers(setting, "reachability").into_iter().enumerate() {
                let got = definition.reachability[row];
                assert!(got == expected || (got - expected).abs() <= 1e-6, "{name}, {samples}, row {row}: {got}");
            }
        }
    }
    // Were it none, this would prove nothing.
    assert!(not_the_lowest > 100, "{not_the_lowest}");
}

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
            let expected = numbers(setting, "reachability");

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
    let mut definition = Definition::new(&vectors, 5);
    let mut outside: Vec<usize> = (0..vectors.row_count()).collect();
    while let Some(place) = (0..outside.len())
        .min_by(|&a, &b| definition.reachability[outside[a]].total_cmp(&definition.reachability[outside[b]]))
    {
        let row = outside.remove(place);
        definition.process(row, &outside);
    }
    let reachability = definition.reachability;
    let order = optics(&DensityTree::new(&vectors, 5, &Resources::default(), None).unwrap(), None).unwrap();
    let differing =
        reachability.iter().zip(&order.reachability).filter(|(a, b)| a != b && (*a - *b).abs() > 1e-9).count();
    assert_eq!(differing, 0);
}
