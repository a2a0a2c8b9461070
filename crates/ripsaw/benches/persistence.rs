//! Time from points or distances to diagrams, on clouds made here from fixed seeds.
//!
//! Run with `cargo bench -p ripsaw`.

use divan::Bencher;
use ripsaw::{CondensedDistances, Metric, Options, PointCloud, persistence_of_distances, persistence_of_points};

fn main() {
    divan::main();
}

/// SplitMix64, from which uniform and roughly normal numbers are drawn.
struct Random(u64);

impl Random {
    fn uniform(&mut self) -> f32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 40) as f32 / (1u32 << 24) as f32
    }

    /// The sum of twelve uniform numbers less six has mean 0 and variance 1.
    fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.uniform()).sum::<f32>() - 6.0
    }

    fn direction(&mut self, dimension: usize) -> Vec<f32> {
        normalised((0..dimension).map(|_| self.normal()).collect())
    }
}

fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= length);
    vector
}

/// A walk on the unit sphere that is drawn to four places in turn and now and then returns to a recent point exactly.
fn trajectory(count: usize, dimension: usize) -> Vec<f32> {
    let mut random = Random(1);
    let base = random.direction(dimension);
    let near = |random: &mut Random| {
        let away = random.direction(dimension);
        normalised(base.iter().zip(&away).map(|(x, y)| x + 0.8 * y).collect())
    };
    let places: Vec<Vec<f32>> = (0..4).map(|_| near(&mut random)).collect();
    let mut points: Vec<Vec<f32>> = Vec::new();
    // Not a point of the cloud: the mean of the others would enclose them within a very small radius.
    let mut last = places[0].clone();
    let mut drawn_to = 0;
    while points.len() < count {
        if random.uniform() < 0.03 {
            drawn_to = (random.uniform() * 4.0) as usize % 4;
        }
        if !points.is_empty() && random.uniform() < 0.12 {
            let back = (random.uniform() * points.len().min(20) as f32) as usize;
            last.clone_from(&points[points.len() - 1 - back]);
        } else {
            let noise = random.direction(dimension);
            let step = (0..dimension).map(|k| last[k] + 0.15 * (places[drawn_to][k] - last[k]) + 0.35 * noise[k]);
            last = normalised(step.collect());
        }
        points.push(last.clone());
    }
    points.concat()
}

/// Points of the unit sphere of so many coordinates, with noise.
fn sphere(count: usize, dimension: usize, noise: f32) -> Vec<f32> {
    let mut random = Random(2);
    let mut point = || {
        let direction = random.direction(dimension);
        direction.into_iter().map(|x| x + noise * random.normal()).collect::<Vec<f32>>()
    };
    (0..count).flat_map(|_| point()).collect()
}

fn run(bencher: Bencher<'_, '_>, coordinates: &[f32], count: usize, max_dimension: usize) {
    let points = PointCloud::new(coordinates, count, coordinates.len() / count).expect("the cloud is finite");
    let options = Options::default().with_max_dimension(max_dimension);
    bencher.bench_local(|| persistence_of_points(&points, Metric::Euclidean, &options));
}

#[divan::bench(sample_count = 10, args = [100, 200, 256])]
fn trajectory_768_to_dimension_2(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &trajectory(count, 768), count, 2);
}

#[divan::bench(sample_count = 10, args = [100, 200, 256])]
fn trajectory_768_distances_only(bencher: Bencher<'_, '_>, count: usize) {
    let coordinates = trajectory(count, 768);
    let points = PointCloud::new(&coordinates, count, 768).expect("the cloud is finite");
    bencher.bench_local(|| CondensedDistances::from_points(&points, Metric::Euclidean));
}

#[divan::bench(sample_count = 10, args = [100, 500])]
fn trajectory_768_to_dimension_1_from_distances(bencher: Bencher<'_, '_>, count: usize) {
    let coordinates = trajectory(count, 768);
    let points = PointCloud::new(&coordinates, count, 768).expect("the cloud is finite");
    let distances = CondensedDistances::from_points(&points, Metric::Euclidean).expect("the cloud is small");
    let options = Options::default().with_max_dimension(1);
    bencher.bench_local(|| persistence_of_distances(&distances, &options));
}

#[divan::bench(sample_count = 10, args = [100, 200])]
fn noisy_circle_to_dimension_2(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &sphere(count, 2, 0.05), count, 2);
}

#[divan::bench(sample_count = 10, args = [100, 200])]
fn sphere_to_dimension_2(bencher: Bencher<'_, '_>, count: usize) {
    run(bencher, &sphere(count, 3, 0.0), count, 2);
}
