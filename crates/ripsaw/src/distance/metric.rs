//! The distance of two points.

use crate::distance::PointCloud;
use crate::error::Error;

/// Chooses what is measured between two points.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Metric {
    /// The length of the difference, `|a - b|`.
    #[default]
    Euclidean,
    /// One minus the cosine of the angle between the points, in `[0, 2]`. Not a metric in the strict sense: the
    /// triangle inequality fails, which the Vietoris–Rips complex does not need.
    Cosine,
    /// The angle between the points seen from the origin, in radians, in `[0, π]`.
    Angular,
}

/// The square of a chord between unit vectors below which rounding explains it.
///
/// A normalised coordinate is off by less than three half-steps of 2^-53 of its value, so a chord is off by less than
/// 2^-51 and its square by less than 2^-102. Parallel points must come out at distance zero.
const CHORD_SQUARED_MIN: f64 = 1.0 / (1u128 << 102) as f64;

/// Measures pairs of points of one cloud; holds what is computed once for each point.
pub(crate) struct Measure<'a> {
    points: &'a PointCloud<'a>,
    metric: Metric,
    /// One over the length of each point; empty for a metric that does not ask for it.
    scales: Vec<f64>,
    /// The square of the length of each point; empty for a metric of directions.
    squares: Vec<f64>,
}

impl<'a> Measure<'a> {
    /// Prepares a metric for the points that are `among` the cloud.
    ///
    /// # Errors
    ///
    /// [`Error::NoDirection`] for a metric of directions and a point at the origin.
    pub(crate) fn new(points: &'a PointCloud<'a>, metric: Metric, among: &[usize]) -> Result<Self, Error> {
        let (mut scales, mut squares) = (Vec::new(), Vec::new());
        if metric != Metric::Euclidean {
            scales.resize(points.count(), 0.0);
            for &point in among {
                let length = sum(points.point(point), points.point(point), |x, _| x * x).sqrt();
                if length == 0.0 {
                    return Err(Error::NoDirection { point });
                }
                scales[point] = length.recip();
            }
        } else {
            squares.resize(points.count(), 0.0);
            for &point in among {
                squares[point] = sum(points.point(point), points.point(point), |x, _| x * x);
            }
        }
        Ok(Self { points, metric, scales, squares })
    }

    /// Returns the distance of two points whose scalar product is known, or `None` where too many digits cancel.
    ///
    /// Each of the `d` products and sums is off by a part of 2^-53 at most, the square of the distance then by
    /// `d` 2^-53 of the squares of both lengths. Where it is at least 2^27 times as large, half a step of the `f32` is
    /// not in danger by more than 2^-2 of it. The same to the last bit when the points are exchanged.
    #[inline]
    pub(crate) fn distance_from_product(&self, i: usize, j: usize, product: f64) -> Option<f64> {
        let cancelled = self.points.dimension() as f64 / (1u64 << 26) as f64;
        if self.metric == Metric::Euclidean {
            let both = self.squares[i] + self.squares[j];
            let squared = both - 2.0 * product;
            return (squared >= cancelled * both && squared > 0.0).then(|| squared.sqrt());
        }
        let cosine = product * (self.scales[i] * self.scales[j]);
        let (chord_squared, opposite_squared) = (2.0 - 2.0 * cosine, 2.0 + 2.0 * cosine);
        if chord_squared < 2.0 * cancelled || opposite_squared < 2.0 * cancelled {
            return None;
        }
        let is_cosine = self.metric == Metric::Cosine;
        Some(if is_cosine { 0.5 * chord_squared } else { 2.0 * chord_squared.sqrt().atan2(opposite_squared.sqrt()) })
    }

    /// Returns the distance of two points, the same to the last bit when they are exchanged.
    pub(crate) fn distance(&self, i: usize, j: usize) -> f64 {
        let (a, b) = (self.points.point(i), self.points.point(j));
        if self.metric == Metric::Euclidean {
            return sum(a, b, |x, y| (x - y) * (x - y)).sqrt();
        }
        let (scale_a, scale_b) = (self.scales[i], self.scales[j]);
        let chord_squared = sum(a, b, |x, y| (x * scale_a - y * scale_b) * (x * scale_a - y * scale_b));
        if chord_squared < CHORD_SQUARED_MIN {
            return 0.0;
        }
        if self.metric == Metric::Cosine {
            return (0.5 * chord_squared).min(2.0);
        }
        // The half-angle formula keeps its digits for small angles and for nearly opposite points alike.
        let opposite_squared = sum(a, b, |x, y| (x * scale_a + y * scale_b) * (x * scale_a + y * scale_b));
        2.0 * chord_squared.sqrt().atan2(opposite_squared.sqrt())
    }
}

/// Adds a term for each coordinate in eight running sums, in an order that depends on the length alone.
#[inline]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0f64; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            sums[lane] += term(x[lane].into(), y[lane].into());
        }
    }
    for (lane, (&x, &y)) in a_rest.iter().zip(b_rest).enumerate() {
        sums[lane] += term(x.into(), y.into());
    }
    sums.iter().sum()
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{FRAC_PI_2, PI};

    use super::*;

    fn distance(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
        let coordinates = [a, b].concat();
        let points = PointCloud::new(&coordinates, 2, a.len()).unwrap();
        Measure::new(&points, metric, &[0, 1]).unwrap().distance(0, 1)
    }

    #[test]
    fn known_distances_come_out() {
        assert_eq!(distance(Metric::Euclidean, &[0., 3.], &[4., 0.]), 5.0);
        assert_eq!(distance(Metric::Cosine, &[0., 3.], &[4., 0.]), 1.0);
        assert_eq!(distance(Metric::Angular, &[0., 3.], &[4., 0.]), FRAC_PI_2);
        assert_eq!(distance(Metric::Cosine, &[0., 1.], &[0., -2.]), 2.0);
        assert_eq!(distance(Metric::Angular, &[0., 1.], &[0., -2.]), PI);
    }

    #[test]
    fn parallel_points_are_at_distance_zero() {
        let a: Vec<f32> = (1..700).map(|k| (k as f32).sin()).collect();
        for factor in [0.5, 3.0, 7.0] {
            let b: Vec<f32> = a.iter().map(|x| (x * 1024.0).round() * factor).collect();
            let a: Vec<f32> = a.iter().map(|x| (x * 1024.0).round()).collect();
            assert_eq!(distance(Metric::Cosine, &a, &b), 0.0);
            assert_eq!(distance(Metric::Angular, &a, &b), 0.0);
        }
    }

    #[test]
    fn a_small_angle_keeps_its_digits() {
        let angle = distance(Metric::Angular, &[1.0, 0.0], &[1.0, 1e-10]);
        assert!((angle / f64::from(1e-10f32) - 1.0).abs() < 1e-9, "{angle}");
    }

    #[test]
    fn a_length_that_is_no_multiple_of_the_lanes_is_summed_whole() {
        for length in 0..20 {
            let ones = vec![1f32; length];
            assert_eq!(sum(&ones, &ones, |x, y| x * y), length as f64);
        }
    }
}
