//! The spectrum of a symmetric matrix.
//!
//! Householder reflections make it tridiagonal, and implicit QR steps with Wilkinson's shift make that diagonal.
//! Reference: `golub2013`, chapter 8.

use super::SquareMatrix;

/// Steps for one eigenvalue before giving up; two or three are the rule.
const STEPS_MAX: usize = 60;

/// Eigenvalues, the largest first, with their vectors.
#[derive(Debug, Clone)]
pub(crate) struct SymmetricSpectrum {
    pub(crate) values: Vec<f64>,
    /// Of length 1, one for each value; empty where they were not asked for.
    pub(crate) vectors: Vec<Vec<f64>>,
}

/// Returns the spectrum of a symmetric matrix of finite numbers; only its lower triangle counts. `None` where the steps do
/// not converge, which finite numbers of sane size do not do.
pub(crate) fn symmetric_spectrum(matrix: &SquareMatrix, with_vectors: bool) -> Option<SymmetricSpectrum> {
    let size = matrix.size();
    let mut work = matrix.clone();
    // Row i holds eigenvector i in the end: rows turn faster than columns.
    let mut vectors = if with_vectors { SquareMatrix::identity(size) } else { SquareMatrix::zeros(0) };
    for column in 0..size.saturating_sub(2) {
        reflect(&mut work, column, &mut vectors);
    }
    let mut diagonal: Vec<f64> = (0..size).map(|index| work.get(index, index)).collect();
    let mut beside: Vec<f64> = (1..size).map(|index| work.get(index, index - 1)).collect();
    diagonalise(&mut diagonal, &mut beside, &mut vectors)?;
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|&a, &b| diagonal[b].total_cmp(&diagonal[a]));
    let vectors =
        if with_vectors { order.iter().map(|&index| vectors.row(index).to_vec()).collect() } else { Vec::new() };
    Some(SymmetricSpectrum { values: order.iter().map(|&index| diagonal[index]).collect(), vectors })
}

/// Clears a column below its second diagonal by a reflection from both sides.
fn reflect(work: &mut SquareMatrix, column: usize, vectors: &mut SquareMatrix) {
    let size = work.size();
    let below: Vec<f64> = (column + 1..size).map(|row| work.get(row, column)).collect();
    let length = below.iter().map(|value| value * value).sum::<f64>().sqrt();
    if length == 0.0 {
        return;
    }
    let mut normal = below;
    normal[0] += if normal[0] < 0.0 { -length } else { length };
    let squared: f64 = normal.iter().map(|value| value * value).sum();
    let (beta, first) = (2.0 / squared, column + 1);
    // work := (1 - β v vᵀ) work (1 - β v vᵀ), by the symmetric update of rank two.
    let image: Vec<f64> = (0..size)
        .map(|row| beta * normal.iter().enumerate().map(|(i, v)| symmetric(work, row, first + i) * v).sum::<f64>())
        .collect();
    let half = beta / 2.0 * normal.iter().enumerate().map(|(i, v)| image[first + i] * v).sum::<f64>();
    let at = |index: usize| if index < first { 0.0 } else { normal[index - first] };
    let shifted: Vec<f64> = (0..size).map(|index| image[index] - half * at(index)).collect();
    for row in column..size {
        for other in column..=row {
            let value = symmetric(work, row, other) - at(row) * shifted[other] - shifted[row] * at(other);
            work.set(row, other, value);
        }
    }
    if vectors.size() == size {
        turn_rows(vectors, &normal, first, beta);
    }
}

fn symmetric(work: &SquareMatrix, row: usize, column: usize) -> f64 {
    work.get(row.max(column), row.min(column))
}

/// Multiplies from the left by `1 - β v vᵀ`.
fn turn_rows(vectors: &mut SquareMatrix, normal: &[f64], first: usize, beta: f64) {
    let size = vectors.size();
    let mut along = vec![0.0; size];
    for (i, v) in normal.iter().enumerate() {
        along.iter_mut().zip(vectors.row(first + i)).for_each(|(sum, value)| *sum += v * value);
    }
    for (i, v) in normal.iter().enumerate() {
        vectors.row_mut(first + i).iter_mut().zip(&along).for_each(|(value, sum)| *value -= beta * v * sum);
    }
}

fn diagonalise(diagonal: &mut [f64], beside: &mut [f64], vectors: &mut SquareMatrix) -> Option<()> {
    let mut end = diagonal.len().saturating_sub(1);
    let mut steps = 0;
    let is_small = |diagonal: &[f64], beside: &[f64], index: usize| {
        let scale = diagonal[index].abs() + diagonal[index + 1].abs();
        beside[index].abs() <= f64::EPSILON * scale || beside[index].abs() < f64::MIN_POSITIVE
    };
    while end > 0 {
        if is_small(diagonal, beside, end - 1) {
            (end, steps) = (end - 1, 0);
            continue;
        }
        let mut start = end - 1;
        while start > 0 && !is_small(diagonal, beside, start - 1) {
            start -= 1;
        }
        steps += 1;
        if steps > STEPS_MAX {
            return None;
        }
        chase(diagonal, beside, (start, end), vectors);
    }
    Some(())
}

/// One implicit QR step on the block from `start` to `end`.
fn chase(diagonal: &mut [f64], beside: &mut [f64], (start, end): (usize, usize), vectors: &mut SquareMatrix) {
    let half = (diagonal[end - 1] - diagonal[end]) / 2.0;
    let last = beside[end - 1];
    let root = if half < 0.0 { -half.hypot(last) } else { half.hypot(last) };
    let shift = diagonal[end] - last * (last / (half + root));
    let (mut x, mut bulge) = (diagonal[start] - shift, beside[start]);
    for index in start..end {
        let length = x.hypot(bulge);
        let (c, s) = if length == 0.0 { (1.0, 0.0) } else { (x / length, bulge / length) };
        if index > start {
            beside[index - 1] = length;
        }
        let (a, b, g) = (diagonal[index], beside[index], diagonal[index + 1]);
        diagonal[index] = c * c * a + 2.0 * c * s * b + s * s * g;
        diagonal[index + 1] = s * s * a - 2.0 * c * s * b + c * c * g;
        beside[index] = (c * c - s * s) * b + c * s * (g - a);
        if index + 1 < end {
            (x, bulge) = (beside[index], s * beside[index + 1]);
            beside[index + 1] *= c;
        }
        if vectors.size() > 0 {
            for column in 0..vectors.size() {
                let (upper, lower) = (vectors.get(index, column), vectors.get(index + 1, column));
                vectors.set(index, column, c * upper + s * lower);
                vectors.set(index + 1, column, c * lower - s * upper);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    #[test]
    fn the_path_graph_has_cosines_for_eigenvalues() {
        let size = 12;
        let mut path = SquareMatrix::zeros(size);
        for index in 1..size {
            path.set(index, index - 1, 1.0);
            path.set(index - 1, index, 1.0);
        }
        let spectrum = symmetric_spectrum(&path, false).unwrap();
        for (index, value) in spectrum.values.iter().enumerate() {
            let expected = 2.0 * (std::f64::consts::PI * (index + 1) as f64 / (size + 1) as f64).cos();
            assert!((value - expected).abs() < 1e-13, "{index}: {value} {expected}");
        }
    }

    #[test]
    fn vectors_are_orthonormal_and_make_the_matrix_again() {
        let mut chance = Chance::new(3);
        for size in [1, 2, 3, 7, 20] {
            let mut matrix = SquareMatrix::zeros(size);
            for row in 0..size {
                for column in 0..=row {
                    let value = chance.unit() - 0.5;
                    matrix.set(row, column, value);
                    matrix.set(column, row, value);
                }
            }
            let spectrum = symmetric_spectrum(&matrix, true).unwrap();
            for a in 0..size {
                for b in 0..size {
                    let dot: f64 = spectrum.vectors[a].iter().zip(&spectrum.vectors[b]).map(|(x, y)| x * y).sum();
                    assert!((dot - f64::from(u8::from(a == b))).abs() < 1e-13);
                    let again: f64 =
                        (0..size).map(|k| spectrum.values[k] * spectrum.vectors[k][a] * spectrum.vectors[k][b]).sum();
                    assert!((again - matrix.get(a, b)).abs() < 1e-13);
                }
            }
            assert!(spectrum.values.is_sorted_by(|a, b| a >= b));
        }
    }

    #[test]
    fn zeros_ones_and_repeats_converge() {
        assert_eq!(symmetric_spectrum(&SquareMatrix::zeros(4), true).unwrap().values, [0.0; 4]);
        let ones = SquareMatrix::from_rows(&[[1.0; 3]; 3]).unwrap();
        let values = symmetric_spectrum(&ones, false).unwrap().values;
        assert!((values[0] - 3.0).abs() < 1e-14 && values[1].abs() < 1e-14, "{values:?}");
        assert!(symmetric_spectrum(&SquareMatrix::zeros(0), true).unwrap().values.is_empty());
    }
}
