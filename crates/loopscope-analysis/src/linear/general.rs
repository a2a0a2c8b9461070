//! The eigenvalues of a general real matrix.
//!
//! Reflections clear everything below the first subdiagonal; QR steps with shifts, in complex numbers, then clear that.
//! Reference: `golub2013`, chapter 7.

use super::{Complex, SquareMatrix};

/// Steps for one eigenvalue before giving up; two or three are the rule.
const STEPS_MAX: usize = 300;
/// After so many steps without success the shift is taken from elsewhere: a permutation stands still otherwise.
const STEPS_BEFORE_ANOTHER_SHIFT: usize = 10;

/// Returns all eigenvalues, the largest modulus first, then by real and imaginary part; `None` where the steps do not
/// converge, which finite numbers of sane size do not do.
pub(crate) fn eigenvalues(matrix: &SquareMatrix) -> Option<Vec<Complex>> {
    let mut work = hessenberg(matrix);
    let mut end = work.len();
    let mut steps = 0;
    while end > 1 {
        let last = end - 1;
        let start = (1..=last).rev().find(|&row| is_small(&work, row)).unwrap_or(0);
        if start == last {
            (end, steps) = (last, 0);
            continue;
        }
        steps += 1;
        if steps > STEPS_MAX {
            return None;
        }
        let shift = if steps % STEPS_BEFORE_ANOTHER_SHIFT == 0 {
            // Off the axes on purpose: every symmetry that holds the steps still is broken.
            let size = work[last][last - 1].modulus();
            work[last][last] + Complex::new(0.75 * size, 0.4375 * size)
        } else {
            wilkinson_shift(&work, last)
        };
        step(&mut work, start, end, shift);
    }
    let mut values: Vec<Complex> = (0..work.len()).map(|index| work[index][index]).collect();
    values
        .sort_by(|a, b| (b.modulus().total_cmp(&a.modulus())).then(b.re.total_cmp(&a.re)).then(b.im.total_cmp(&a.im)));
    Some(values)
}

fn is_small(work: &[Vec<Complex>], row: usize) -> bool {
    let scale = work[row][row].modulus() + work[row - 1][row - 1].modulus();
    let value = work[row][row - 1].modulus();
    value <= f64::EPSILON * scale || value < f64::MIN_POSITIVE
}

/// Returns a similar matrix that is zero below its first subdiagonal.
fn hessenberg(matrix: &SquareMatrix) -> Vec<Vec<Complex>> {
    let size = matrix.size();
    let mut work = matrix.clone();
    for column in 0..size.saturating_sub(2) {
        let first = column + 1;
        let mut normal: Vec<f64> = (first..size).map(|row| work.get(row, column)).collect();
        let length = normal.iter().map(|value| value * value).sum::<f64>().sqrt();
        if length == 0.0 {
            continue;
        }
        normal[0] += if normal[0] < 0.0 { -length } else { length };
        let beta = 2.0 / normal.iter().map(|value| value * value).sum::<f64>();
        for other in 0..size {
            let along: f64 = normal.iter().enumerate().map(|(i, v)| v * work.get(first + i, other)).sum();
            for (i, v) in normal.iter().enumerate() {
                let value = work.get(first + i, other) - beta * v * along;
                work.set(first + i, other, value);
            }
        }
        for row in 0..size {
            let along: f64 = normal.iter().enumerate().map(|(i, v)| v * work.get(row, first + i)).sum();
            for (i, v) in normal.iter().enumerate() {
                let value = work.get(row, first + i) - beta * v * along;
                work.set(row, first + i, value);
            }
        }
    }
    let kept = |row: usize, column: usize| if row > column + 1 { 0.0 } else { work.get(row, column) };
    (0..size).map(|row| (0..size).map(|column| Complex::new(kept(row, column), 0.0)).collect()).collect()
}

/// Returns the eigenvalue of the last two rows and columns that lies nearer to the last number.
fn wilkinson_shift(work: &[Vec<Complex>], last: usize) -> Complex {
    let (a, b) = (work[last - 1][last - 1], work[last - 1][last]);
    let (c, d) = (work[last][last - 1], work[last][last]);
    let half = (a - d).scaled(0.5);
    let root = (half * half + b * c).square_root();
    let middle = (a + d).scaled(0.5);
    let (one, other) = (middle + root, middle - root);
    if (one - d).modulus() < (other - d).modulus() { one } else { other }
}

/// One step `work - μ = QR`, `work := RQ + μ` on the rows and columns from `start` to before `end`.
fn step(work: &mut [Vec<Complex>], start: usize, end: usize, shift: Complex) {
    (start..end).for_each(|index| work[index][index] = work[index][index] - shift);
    let mut turns = Vec::with_capacity(end - start);
    for index in start..end - 1 {
        let (a, b) = (work[index][index], work[index + 1][index]);
        let length = a.modulus().hypot(b.modulus());
        let (c, s) = if length == 0.0 {
            (Complex::new(1.0, 0.0), Complex::default())
        } else {
            (a.scaled(1.0 / length), b.scaled(1.0 / length))
        };
        let (above, below) = work.split_at_mut(index + 1);
        for (upper, lower) in above[index][index..end].iter_mut().zip(&mut below[0][index..end]) {
            (*upper, *lower) = (c.conjugate() * *upper + s.conjugate() * *lower, c * *lower - s * *upper);
        }
        turns.push((c, s));
    }
    for (index, (c, s)) in (start..).zip(turns) {
        for row in work.iter_mut().take((index + 2).min(end)).skip(start) {
            let (left, right) = (row[index], row[index + 1]);
            row[index] = left * c + right * s;
            row[index + 1] = right * c.conjugate() - left * s.conjugate();
        }
    }
    (start..end).for_each(|index| work[index][index] = work[index][index] + shift);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    /// Sums of powers of the eigenvalues are traces of powers of the matrix, whatever the matrix.
    fn check_traces(matrix: &SquareMatrix, tolerance: f64) {
        let values = eigenvalues(matrix).unwrap();
        assert_eq!(values.len(), matrix.size());
        for exponent in 1..=5 {
            let power = matrix.power(exponent);
            let trace: f64 = (0..matrix.size()).map(|index| power.get(index, index)).sum();
            let sum = values
                .iter()
                .map(|&value| (0..exponent).fold(Complex::new(1.0, 0.0), |product, _| product * value))
                .fold(Complex::default(), |sum, value| sum + value);
            assert!((sum.re - trace).abs() < tolerance && sum.im.abs() < tolerance, "{exponent}: {sum:?} {trace}");
        }
    }

    #[test]
    fn a_permutation_has_roots_of_unity() {
        for size in [2, 3, 5, 8, 30] {
            let mut cycle = SquareMatrix::zeros(size);
            (0..size).for_each(|index| cycle.set(index, (index + 1) % size, 1.0));
            for value in eigenvalues(&cycle).unwrap() {
                assert!((value.modulus() - 1.0).abs() < 1e-12, "{size}: {value:?}");
            }
            check_traces(&cycle, 1e-11);
        }
    }

    #[test]
    fn traces_of_powers_agree() {
        let mut chance = Chance::new(5);
        for size in [1, 2, 3, 6, 17, 40] {
            let mut matrix = SquareMatrix::zeros(size);
            for row in 0..size {
                let row = matrix.row_mut(row);
                row.iter_mut().for_each(|value| *value = chance.unit());
                let sum: f64 = row.iter().sum();
                row.iter_mut().for_each(|value| *value /= sum);
            }
            check_traces(&matrix, 1e-12);
        }
        check_traces(&SquareMatrix::from_rows(&[[0.0, 1.0], [0.0, 0.0]]).unwrap(), 1e-15);
        assert!(eigenvalues(&SquareMatrix::zeros(0)).unwrap().is_empty());
        check_traces(&SquareMatrix::identity(9), 1e-15);
    }
}
