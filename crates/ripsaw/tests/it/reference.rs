//! Fifteen clouds with diagrams from ripser.py; `tests/fixtures/tda/README.md` says how they were made.

use std::fs;

use ripsaw::{
    Bar, CondensedDistances, Metric, Options, Persistence, PointCloud, persistence_of_distances, persistence_of_points,
    persistent_entropy,
};
use serde_json::Value;

use crate::npy;

const CLOUDS: [&str; 15] = [
    "single",
    "two_points",
    "triangle_345",
    "square",
    "collinear_20",
    "polygon_24",
    "octahedron",
    "duplicates_21",
    "two_far_clusters",
    "gauss_50_d16",
    "torus_120",
    "sphere_s2_100",
    "circle_noisy_150",
    "traj768_100",
    "traj768_200_ld",
];

struct Reference {
    name: &'static str,
    json: Value,
    count: usize,
    dimension: usize,
}

impl Reference {
    fn read(name: &'static str) -> Self {
        let text = fs::read_to_string(npy::fixture(&format!("{name}.json"))).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        let number = |key: &str| json[key].as_u64().unwrap() as usize;
        Self { name, count: number("n"), dimension: number("d"), json }
    }

    fn bars(&self, key: &str, dimension: usize) -> Vec<Bar> {
        let rows = self.json[key][format!("H{dimension}")].as_array().unwrap();
        // Every value is an f32; the parser may miss the last bit of the f64 it is written as.
        let exact = |value: f64| f64::from(value as f32);
        let bar = |row: &Value| Bar {
            birth: exact(row[0].as_f64().unwrap()),
            death: exact(row[1].as_f64().unwrap_or(f64::INFINITY)),
        };
        rows.iter().map(bar).collect()
    }

    /// No finite bar is null there and 0 here.
    fn entropy(&self, key: &str, dimension: usize) -> f64 {
        self.json[key][format!("H{dimension}")].as_f64().unwrap_or(0.0)
    }

    fn number(&self, key: &str) -> f64 {
        self.json[key].as_f64().unwrap()
    }

    /// Compares bars longer than `robust_eps` within 1e-5, or 1e-5 of the largest distance, and entropies within 1e-6.
    fn check(&self, persistence: &Persistence, distance_max: f64) {
        let (name, eps) = (self.name, self.number("robust_eps"));
        let tolerance = 1e-5 * distance_max.max(1.0);
        assert!((persistence.threshold - self.number("enclosing_radius")).abs() <= tolerance, "{name}");
        assert_eq!(persistence.distinct_point_count, self.bars("dgms", 0).len(), "{name}");
        assert_eq!(persistence.point_count, self.count, "{name}");
        for (dimension, bars) in persistence.diagrams.iter().enumerate() {
            let robust: Vec<Bar> = bars.iter().copied().filter(|bar| bar.length() > eps).collect();
            assert_matched(&robust, &self.bars("dgms", dimension), tolerance, &format!("{name} H{dimension}"));
            let entropy = persistent_entropy(&robust).unwrap();
            let expected = self.entropy("persistent_entropy", dimension);
            assert!((entropy - expected).abs() <= 1e-6, "{name} H{dimension}: {entropy} {expected}");
            assert!(!entropy.is_sign_negative(), "{name} H{dimension}");
        }
    }
}

/// Pairs every expected bar with one found bar; sorting alone would not, where births differ by rounding.
fn assert_matched(found: &[Bar], expected: &[Bar], tolerance: f64, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let mut left = found.to_vec();
    for bar in expected {
        let is_near = |other: &Bar| {
            (other.birth - bar.birth).abs() <= tolerance
                && (other.death == bar.death || (other.death - bar.death).abs() <= tolerance)
        };
        let place = left.iter().position(is_near).unwrap_or_else(|| panic!("{what}: {bar:?} is missing"));
        left.swap_remove(place);
    }
}

#[test]
fn fifteen_clouds_agree_from_points() {
    for reference in CLOUDS.map(Reference::read) {
        let coordinates = npy::read(&format!("{}.npy", reference.name));
        let points = PointCloud::new(&coordinates, reference.count, reference.dimension).unwrap();
        let distances = CondensedDistances::from_points(&points, Metric::Euclidean).unwrap();
        let distance_max = distances.as_slice().iter().copied().fold(0.0, f32::max);
        let persistence = persistence_of_points(&points, Metric::Euclidean, &Options::default()).unwrap();
        reference.check(&persistence, distance_max.into());
    }
}

#[test]
fn fifteen_clouds_agree_from_distances_to_the_last_bit() {
    for reference in CLOUDS.map(Reference::read) {
        let condensed = npy::read(&format!("{}.dist.npy", reference.name));
        let distance_max = condensed.iter().copied().fold(0.0, f32::max);
        let distances = CondensedDistances::from_condensed(condensed, reference.count).unwrap();
        let persistence = persistence_of_distances(&distances, &Options::default()).unwrap();
        reference.check(&persistence, distance_max.into());
        for (dimension, bars) in persistence.diagrams.iter().enumerate() {
            assert_eq!(bars, &reference.bars("dgms_raw_ripser", dimension), "{} H{dimension}", reference.name);
            let entropy = persistent_entropy(bars).unwrap();
            assert!((entropy - reference.entropy("entropy_raw", dimension)).abs() <= 1e-6, "{}", reference.name);
        }
    }
}

#[test]
fn distances_are_those_of_scipy() {
    for reference in CLOUDS.map(Reference::read) {
        let coordinates = npy::read(&format!("{}.npy", reference.name));
        let points = PointCloud::new(&coordinates, reference.count, reference.dimension).unwrap();
        let ours = CondensedDistances::from_points(&points, Metric::Euclidean).unwrap();
        let theirs = npy::read(&format!("{}.dist.npy", reference.name));
        assert_eq!(ours.as_slice().len(), theirs.len());
        for (our, their) in ours.as_slice().iter().zip(&theirs) {
            // Two sums in f64 round to the same f32, or to neighbours.
            assert!(our.to_bits().abs_diff(their.to_bits()) <= 1, "{}: {our} {their}", reference.name);
        }
    }
}
