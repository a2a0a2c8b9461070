//! Normalised rows.

use super::{sum, wide};

/// Replaces each row by its layer norm: mean 0, variance 1, then `weight` times it, plus `bias`.
///
/// `rows` holds rows of `weight.len()` numbers.
pub(crate) fn layer_norm(rows: &mut [f32], weight: &[f32], bias: Option<&[f32]>, epsilon: f32) {
    wide(
        #[inline(always)]
        || {
            let width = weight.len();
            for row in rows.chunks_exact_mut(width) {
                let mean = sum(row, |value| value) / width as f32;
                let variance = sum(row, |value| (value - mean) * (value - mean)) / width as f32;
                let scale = 1.0 / (variance + epsilon).sqrt();
                match bias {
                    Some(bias) => {
                        for ((value, weight), bias) in row.iter_mut().zip(weight).zip(bias) {
                            *value = (*value - mean) * scale * weight + bias;
                        }
                    }
                    None => {
                        for (value, weight) in row.iter_mut().zip(weight) {
                            *value = (*value - mean) * scale * weight;
                        }
                    }
                }
            }
        },
    );
}

/// Replaces each row by its root-mean-square norm times `weight`.
pub(crate) fn rms_norm(rows: &mut [f32], weight: &[f32], epsilon: f32) {
    wide(
        #[inline(always)]
        || {
            let width = weight.len();
            for row in rows.chunks_exact_mut(width) {
                let scale = 1.0 / (sum(row, |value| value * value) / width as f32 + epsilon).sqrt();
                for (value, weight) in row.iter_mut().zip(weight) {
                    *value *= scale * weight;
                }
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_mean_nought_and_variance_one() {
        let mut rows = vec![1.0, 2.0, 3.0, 4.0, 10.0, 10.0, 10.0, 10.0];
        layer_norm(&mut rows, &[1.0; 4], Some(&[0.5; 4]), 1e-12);
        let root = 1.25_f32.sqrt();
        for (got, exact) in rows.iter().zip([-1.5 / root, -0.5 / root, 0.5 / root, 1.5 / root, 0.0, 0.0, 0.0, 0.0]) {
            assert!((got - exact - 0.5).abs() < 1e-6, "{got} for {exact}");
        }
    }

    #[test]
    fn a_row_has_root_mean_square_one() {
        let mut rows = vec![3.0, -4.0];
        rms_norm(&mut rows, &[1.0, 2.0], 0.0);
        let root = 12.5_f32.sqrt();
        assert!((rows[0] - 3.0 / root).abs() < 1e-6 && (rows[1] + 8.0 / root).abs() < 1e-6, "{rows:?}");
    }
}
