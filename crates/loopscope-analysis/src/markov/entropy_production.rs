//! How far a chain is from looking the same backwards.

use super::TransitionMatrix;

/// Flows this near, as a share of them, are equal: the law of a chain has a few digits less than a number.
const ROUNDING: f64 = 1e-12;

/// How fast a stationary chain tells forwards from backwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EntropyProduction {
    /// In nats a lag; infinite where some way leads there and none back.
    pub rate: f64,
    /// The part of it from pairs that go both ways: a lower bound, always finite.
    pub two_way_rate: f64,
    /// How many ordered pairs have a way there and none back; a missing count makes one as well as a true one-way street does.
    pub one_way_pairs: usize,
}

/// Returns ½ Σ (π_i p_ij − π_j p_ji) ln (π_i p_ij / π_j p_ji), at least 0, and 0 in detailed balance.
///
/// `stationary` is the law of the chain, length K. States of probability 0 count nowhere. Flows that rounding alone can
/// tell apart are equal. O(K²) time.
///
/// Reference: `schnakenberg1976`, equation 7.6, with the Boltzmann constant at 1.
pub fn entropy_production(matrix: &TransitionMatrix, stationary: &[f64]) -> EntropyProduction {
    let flow = |from: usize, to: usize| stationary[from] * matrix.matrix().get(from, to);
    let (mut rate, mut one_way_pairs) = (0.0, 0);
    for a in 0..matrix.state_count() {
        for b in 0..a {
            match (flow(a, b), flow(b, a)) {
                (there, back) if there > 0.0 && back > 0.0 => {
                    if (there - back).abs() > ROUNDING * there.max(back) {
                        rate += (there - back) * (there / back).ln();
                    }
                }
                (0.0, 0.0) => {}
                _ => one_way_pairs += 1,
            }
        }
    }
    let total = if one_way_pairs > 0 { f64::INFINITY } else { rate };
    EntropyProduction { rate: total, two_way_rate: rate, one_way_pairs }
}
