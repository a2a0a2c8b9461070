//! The effective number of different outputs.

use crate::linear::{SquareMatrix, symmetric_spectrum};
use crate::series::{Series, SeriesError};

/// Returns the Vendi score: e to the entropy of the eigenvalues of the cosine kernel over n, from 1 (all alike) to n (all
/// at right angles). 0 for no vectors; `None` where the spectrum does not converge, which finite numbers do not do.
///
/// Equal vectors are merged first, which changes nothing but the time: O(m² d + m³) for m different ones, or O(m d² + d³) where vectors are
/// shorter than they are many.
///
/// # Errors
///
/// [`SeriesError::ZeroVector`].
///
/// Reference: `friedman2023`, with the kernel cos.
pub fn vendi_score(series: &Series<'_>) -> Result<Option<f64>, SeriesError> {
    series.check_directions()?;
    if series.is_empty() {
        return Ok(Some(0.0));
    }
    let vectors = weighted_directions(series);
    let dimension = series.dimension();
    let kernel = if vectors.len() <= dimension { gram(&vectors) } else { covariance(&vectors, dimension) };
    let Some(spectrum) = symmetric_spectrum(&kernel, false) else { return Ok(None) };
    let shares = spectrum.values.iter().filter(|&&share| share > 0.0);
    let entropy: f64 = shares.map(|share| -share * share.ln()).sum();
    // One direction alone is 1, whatever rounding says.
    Ok(Some(entropy.exp().clamp(1.0, series.len() as f64)))
}

/// Returns the different directions, each of length √(times / n).
fn weighted_directions(series: &Series<'_>) -> Vec<Vec<f64>> {
    let mut rows: Vec<&[f32]> = series.rows().collect();
    rows.sort_by(|a, b| {
        a.iter().zip(*b).map(|(a, b)| a.total_cmp(b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    rows.chunk_by(|a, b| a == b)
        .map(|same| {
            let length = same[0].iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
            let weight = (same.len() as f64 / series.len() as f64).sqrt();
            same[0].iter().map(|&value| f64::from(value) / length * weight).collect()
        })
        .collect()
}

fn gram(vectors: &[Vec<f64>]) -> SquareMatrix {
    let mut gram = SquareMatrix::zeros(vectors.len());
    for (row, a) in vectors.iter().enumerate() {
        for (column, b) in vectors[..=row].iter().enumerate() {
            let product: f64 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            gram.set(row, column, product);
            gram.set(column, row, product);
        }
    }
    gram
}

/// Has the same eigenvalues above zero as the Gram matrix.
fn covariance(vectors: &[Vec<f64>], dimension: usize) -> SquareMatrix {
    let mut covariance = SquareMatrix::zeros(dimension);
    for vector in vectors {
        for (row, &a) in vector.iter().enumerate() {
            covariance.row_mut(row).iter_mut().zip(vector).for_each(|(sum, b)| *sum += a * b);
        }
    }
    covariance
}

#[cfg(test)]
mod tests {
    use super::*;

    fn score(rows: &[&[f32]]) -> f64 {
        let values = rows.concat();
        let dimension = rows.first().map_or(0, |row| row.len());
        vendi_score(&Series::new(&values, rows.len(), dimension).unwrap()).unwrap().unwrap()
    }

    #[test]
    fn it_counts_what_is_different() {
        assert_eq!(score(&[]), 0.0);
        assert_eq!(score(&[&[1.0, 2.0]]), 1.0);
        assert!((score(&[[3.0_f32, 1.0].as_slice(); 7]) - 1.0).abs() < 1e-12);
        assert!((score(&[&[1.0, 0.0, 0.0], &[0.0, 2.0, 0.0], &[0.0, 0.0, 1.0]]) - 3.0).abs() < 1e-12);
        // Twice the same as another direction, evenly: two, whatever the number.
        let even: Vec<&[f32]> = [[1.0, 0.0], [0.0, 1.0]].iter().cycle().take(40).map(|row| &row[..]).collect();
        assert!((score(&even) - 2.0).abs() < 1e-12);
        // At 60 degrees the kernel of two has eigenvalues ¾ and ¼.
        let sixty = score(&[&[1.0, 0.0], &[0.5, 0.75_f32.sqrt()]]);
        let expected = (-(0.75_f64.ln() * 0.75) - 0.25 * 0.25_f64.ln()).exp();
        assert!((sixty - expected).abs() < 1e-7, "{sixty} {expected}");
    }

    #[test]
    fn both_kernels_agree() {
        let mut chance = crate::chance::Chance::new(8);
        let values: Vec<f32> = (0..60).map(|_| chance.normal() as f32).collect();
        let tall = Series::new(&values, 20, 3).unwrap();
        let vectors = weighted_directions(&tall);
        let of = |kernel: SquareMatrix| {
            let values = symmetric_spectrum(&kernel, false).unwrap().values;
            values.iter().filter(|&&v| v > 1e-15).map(|v| -v * v.ln()).sum::<f64>().exp()
        };
        assert!((of(gram(&vectors)) - of(covariance(&vectors, 3))).abs() < 1e-10);
    }
}
