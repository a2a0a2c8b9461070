//! Squared Euclidean distances, in f64, from f32 rows.
//!
//! The one place where a distance is computed: core distances and tree edges must agree in every bit, because a weight
//! of the mutual-reachability graph is whichever of them is larger. The fast kernel only says which distances need not
//! be computed.

/// How many partial sums are kept, so that the additions do not wait for each other.
const LANES: usize = 8;

/// Returns Σ (a - b)², the same to the last bit for `(b, a)`.
///
/// Differences of f32 are exact or correctly rounded in f64, so equal rows, and only they, are at distance 0. The
/// order of summation is fixed; the relative error is about d × 1e-16.
pub(super) fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    debug_assert_eq!(a.len(), b.len());
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") {
        #[expect(unsafe_code, reason = "the compiler cannot know that the processor was asked; safe otherwise")]
        // SAFETY: the processor has just been asked for these instructions.
        return unsafe { sum_of_squares_avx2(a, b) };
    }
    sum_of_squares(a, b)
}

/// The same operations in the same order, four at a time: the same bits.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn sum_of_squares_avx2(a: &[f32], b: &[f32]) -> f64 {
    sum_of_squares(a, b)
}

#[inline(always)]
fn sum_of_squares(a: &[f32], b: &[f32]) -> f64 {
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
    fn every_set_of_instructions_gives_the_same_bits() {
        let number = |k: u32| (k.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e6;
        for length in [1, 7, 8, 9, 100] {
            let a: Vec<f32> = (0..length).map(number).collect();
            let b: Vec<f32> = (0..length).map(|k| number(k + 1000)).collect();
            assert_eq!(squared_distance(&a, &b).to_bits(), sum_of_squares(&a, &b).to_bits());
        }
    }

    #[test]
    fn the_extremes_of_f32_neither_overflow_nor_vanish() {
        assert!(squared_distance(&[f32::MAX; 9], &[f32::MIN; 9]).is_finite());
        assert!(squared_distance(&[f32::from_bits(1)], &[0.0]) > 0.0);
    }
}
