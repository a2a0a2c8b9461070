//! Time for a distance between two diagrams, made here from fixed seeds.
//!
//! Run with `cargo bench -p ripsaw --bench between`. `short` has births in the unit interval and mostly short bars, as a
//! diagram of points with noise; `far` has no bar within reach of the diagonal, the hardest case; `line` has all births
//! at 0, as dimension 0.

use divan::Bencher;
use ripsaw::GroundNorm::{L2, LInfinity};
use ripsaw::WassersteinOrder::{One, Two};
use ripsaw::{Bar, DiagramMetric, DistanceOptions, bottleneck, diagram_distance_matrix, wasserstein};

fn main() {
    divan::main();
}

const KINDS: [&str; 3] = ["short", "far", "line"];

/// Bars from a fixed sequence (Knuth's multiplier).
fn diagram(kind: &str, count: usize, seed: u64) -> Vec<Bar> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let bar = |x: f64, y: f64| match kind {
        "short" => Bar { birth: x, death: x + 0.05 * -(1.0 - y).ln() },
        "far" => Bar { birth: x, death: 10.0 + y },
        _ => Bar { birth: 0.0, death: x + y },
    };
    (0..count).map(|_| bar(next(), next())).filter(|bar| bar.birth < bar.death).collect()
}

fn pair(kind: &str, count: usize) -> (Vec<Bar>, Vec<Bar>) {
    (diagram(kind, count, 1), diagram(kind, count, 2))
}

#[divan::bench(sample_count = 5, args = KINDS, consts = [200, 1000, 5000])]
fn bottleneck_exact<const N: usize>(bencher: Bencher<'_, '_>, kind: &str) {
    let (a, b) = pair(kind, N);
    bencher.bench(|| bottleneck(&a, &b, &DistanceOptions::default()));
}

#[divan::bench(sample_count = 5, args = KINDS, consts = [200, 1000, 5000])]
fn order_one_in_the_larger_norm<const N: usize>(bencher: Bencher<'_, '_>, kind: &str) {
    let (a, b) = pair(kind, N);
    bencher.bench(|| wasserstein(&a, &b, One, LInfinity, &DistanceOptions::default()));
}

#[divan::bench(sample_count = 5, args = KINDS, consts = [200, 1000, 5000])]
fn order_two_in_the_euclidean_norm<const N: usize>(bencher: Bencher<'_, '_>, kind: &str) {
    let (a, b) = pair(kind, N);
    bencher.bench(|| wasserstein(&a, &b, Two, L2, &DistanceOptions::default()));
}

#[divan::bench(sample_count = 3, args = [1, 2])]
fn matrix_of_forty_diagrams(bencher: Bencher<'_, '_>, thread_count: usize) {
    let diagrams: Vec<Vec<Bar>> = (0..40).map(|seed| diagram("short", 200, seed)).collect();
    let metric = DiagramMetric::Wasserstein(One, LInfinity);
    bencher.bench(|| diagram_distance_matrix(&diagrams, metric, &DistanceOptions::default(), thread_count));
}
