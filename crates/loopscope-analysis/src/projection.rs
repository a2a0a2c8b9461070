//! Vectors in a plane, to look at.
//!
//! A plane of two principal components keeps as much of the variance as any plane can, and says how much that is. Distances in it are never
//! longer than they are; a picture that keeps a tenth of the variance shows a shadow, and says so by its shares.

use crate::chance::Chance;
use crate::linear::{SquareMatrix, symmetric_spectrum};
use crate::series::Series;

/// Directions that are iterated; the two wanted ones settle the faster the more there are beside them.
const BLOCK: usize = 10;
/// Sweeps at most.
const SWEEPS_MAX: usize = 60;
/// Shares of variance that move less than this have settled.
const SETTLED: f64 = 1e-10;

/// Points in the plane of the two largest principal components.
#[derive(Debug, Clone, PartialEq)]
pub struct Plane {
    /// One for each vector, in order, centred on the mean.
    pub points: Vec<[f64; 2]>,
    /// The share of the variance along each axis, in `[0, 1]`, the larger first.
    pub shares: [f64; 2],
}

/// Returns the vectors in the plane of their two largest principal components; `None` where all are the same.
///
/// The sign of an axis is chosen so that the point farthest along it is on the positive side. Block power iteration from a fixed start:
/// O(n d) a sweep, the same bits every time.
///
/// Reference: `halko2011`.
pub fn principal_components(series: &Series<'_>) -> Option<Plane> {
    let (n, d) = (series.len(), series.dimension());
    let mut mean = vec![0.0; d];
    for row in series.rows() {
        mean.iter_mut().zip(row).for_each(|(sum, &value)| *sum += f64::from(value) / n as f64);
    }
    let centred = |row: &[f32], at: usize| f64::from(row[at]) - mean[at];
    let total: f64 = series.rows().map(|row| (0..d).map(|at| centred(row, at).powi(2)).sum::<f64>()).sum();
    // What rounding leaves of equal vectors is no variance.
    let size: f64 = series.rows().flatten().map(|&value| f64::from(value).powi(2)).sum();
    if n < 2 || total <= 1e-12 * size {
        return None;
    }
    let block = BLOCK.min(d);
    let mut chance = Chance::new(1);
    let mut basis: Vec<Vec<f64>> = (0..block).map(|_| (0..d).map(|_| chance.normal()).collect()).collect();
    orthonormalise(&mut basis);
    let mut shares = [0.0; 2];
    for _ in 0..SWEEPS_MAX {
        // One sweep multiplies by the covariance: project every row, and add it up in proportion.
        let mut image = vec![vec![0.0; d]; block];
        let mut small = SquareMatrix::zeros(block);
        for row in series.rows() {
            let x: Vec<f64> = (0..d).map(|at| centred(row, at)).collect();
            let along: Vec<f64> = basis.iter().map(|direction| dot(direction, &x)).collect();
            for (a, weight) in along.iter().enumerate() {
                image[a].iter_mut().zip(&x).for_each(|(sum, value)| *sum += weight * value);
                for (b, other) in along.iter().enumerate() {
                    small.set(a, b, small.get(a, b) + weight * other);
                }
            }
        }
        // Rayleigh–Ritz: the best directions within the block, the largest first.
        let spectrum = symmetric_spectrum(&small, true)?;
        let turned = |old: &[Vec<f64>]| -> Vec<Vec<f64>> {
            let mix =
                |weights: &Vec<f64>, at: usize| weights.iter().zip(old).map(|(w, direction)| w * direction[at]).sum();
            spectrum.vectors.iter().map(|weights| (0..d).map(|at| mix(weights, at)).collect()).collect()
        };
        let share = |place: usize| spectrum.values.get(place).map_or(0.0, |value| (value / total).clamp(0.0, 1.0));
        let found = [share(0), share(1)];
        let moved = (found[0] - shares[0]).abs().max((found[1] - shares[1]).abs());
        shares = found;
        if moved < SETTLED {
            basis = turned(&basis);
            break;
        }
        basis = turned(&image);
        orthonormalise(&mut basis);
    }
    let mut points: Vec<[f64; 2]> = series
        .rows()
        .map(|row| {
            let x: Vec<f64> = (0..d).map(|at| centred(row, at)).collect();
            [dot(&basis[0], &x), basis.get(1).map_or(0.0, |direction| dot(direction, &x))]
        })
        .collect();
    for axis in 0..2 {
        let farthest =
            points.iter().map(|point| point[axis]).fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
        if farthest < 0.0 {
            points.iter_mut().for_each(|point| point[axis] = -point[axis]);
        }
    }
    Some(Plane { points, shares })
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Gram–Schmidt, twice for the digits; a direction that nothing is left of becomes zero.
fn orthonormalise(basis: &mut [Vec<f64>]) {
    for place in 0..basis.len() {
        for _ in 0..2 {
            let (before, rest) = basis.split_at_mut(place);
            let direction = &mut rest[0];
            for other in before {
                let along = dot(other, direction);
                direction.iter_mut().zip(other.iter()).for_each(|(value, other)| *value -= along * other);
            }
        }
        let length = dot(&basis[place], &basis[place]).sqrt();
        let scale = if length > 1e-300 { 1.0 / length } else { 0.0 };
        basis[place].iter_mut().for_each(|value| *value *= scale);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Points on an ellipse with half axes 3 and 1 in a turned plane of 8 dimensions, and a little beside it.
    fn ellipse(noise: f64) -> Vec<f32> {
        let mut chance = Chance::new(3);
        let (u, v): (Vec<f64>, Vec<f64>) =
            ((0..8).map(|_| chance.normal()).collect(), (0..8).map(|_| chance.normal()).collect());
        let mut plane = vec![u, v];
        orthonormalise(&mut plane);
        (0..120)
            .flat_map(|t| {
                let angle = std::f64::consts::TAU * f64::from(t) / 120.0;
                (0..8)
                    .map(|at| 5.0 + 3.0 * angle.cos() * plane[0][at] + angle.sin() * plane[1][at])
                    .collect::<Vec<f64>>()
            })
            .map(|value| (value + noise * chance.normal()) as f32)
            .collect()
    }

    #[test]
    fn an_ellipse_is_found_with_its_axes() {
        let values = ellipse(0.0);
        let plane = principal_components(&Series::new(&values, 120, 8).unwrap()).unwrap();
        assert!((plane.shares[0] - 0.9).abs() < 1e-6 && (plane.shares[1] - 0.1).abs() < 1e-6, "{:?}", plane.shares);
        let longest = |axis: usize| plane.points.iter().map(|point| point[axis].abs()).fold(0.0, f64::max);
        assert!((longest(0) - 3.0).abs() < 1e-3 && (longest(1) - 1.0).abs() < 1e-3);
    }

    #[test]
    fn distances_are_never_longer_than_they_are() {
        let values = ellipse(0.4);
        let series = Series::new(&values, 120, 8).unwrap();
        let plane = principal_components(&series).unwrap();
        for i in 0..120 {
            for j in 0..i {
                let true_distance = crate::series::euclidean_distance(series.row(i), series.row(j));
                let seen =
                    (0..2).map(|axis| (plane.points[i][axis] - plane.points[j][axis]).powi(2)).sum::<f64>().sqrt();
                assert!(seen <= true_distance + 1e-6);
            }
        }
        assert!(plane.shares[0] + plane.shares[1] < 1.0);
        assert_eq!(principal_components(&series), Some(plane), "the same bits");
    }

    #[test]
    fn equal_vectors_span_no_plane_and_one_dimension_is_a_line() {
        assert_eq!(principal_components(&Series::new(&[1.0, 2.0, 1.0, 2.0], 2, 2).unwrap()), None);
        let line = principal_components(&Series::new(&[0.0, 1.0, 5.0], 3, 1).unwrap()).unwrap();
        assert_eq!(line.shares, [1.0, 0.0]);
        assert!(line.points.iter().all(|point| point[1] == 0.0));
    }
}
