//! Squared Euclidean distances, in f64, from f32 rows.
//!
//! The one place where a distance is computed: core distances and tree edges must agree in every bit, because a weight
//! of the mutual-reachability graph is whichever of them is larger. A faster kernel goes here.

/// How many partial sums are kept, so that the additions do not wait for each other.
const LANES: usize = 8;

/// Returns Σ (a - b)², the same to the last bit for `(b, a)`.
///
/// Differences of f32 are exact or correctly rounded in f64, so equal rows, and only they, are at distance 0. The
/// order of summation is fixed; the relative error is about d × 1e-16.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    let mut sums = [0.0f64; LANES];
    let (a_blocks, a_rest) = a.as_chunks::<LANES>();
    let (b_blocks, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for lane in 0..LANES {
            let difference = f64::from(a[lane]) - f64::from(b[lane]);
            sums[lane] += difference * difference;
        }
    }
    for (lane, (&a, &b)) in a_rest.iter().zip(b_rest).enumerate() {
        let difference = f64::from(a) - f64::from(b);
        sums[lane] += difference * difference;
    }
    let [a, b, c, d, e, f, g, h] = sums;
    ((a + e) + (b + f)) + ((c + g) + (d + h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_points_keep_their_digits() {
        // 2 - 2 cos would lose all of them: the rows differ in the last bit of one f32.
        let a = [1.0f32; 19];
        let mut b = a;
        b[17] = 1.0f32.next_up();
        let expected = f64::from(f32::EPSILON).powi(2);
        assert_eq!(squared_distance(&a, &b), expected);
        assert_eq!(squared_distance(&b, &a), expected);
        assert_eq!(squared_distance(&a, &a), 0.0);
    }

    #[test]
    fn the_extremes_of_f32_neither_overflow_nor_vanish() {
        assert!(squared_distance(&[f32::MAX; 9], &[f32::MIN; 9]).is_finite());
        assert!(squared_distance(&[f32::from_bits(1)], &[0.0]) > 0.0);
    }
}
