//! The inner loops of a transformer on the CPU, on plain slices of `f32`.
//!
//! They do what the tensor library does in several passes each, in one: that is where the time of short texts goes.
//! Every row is computed by itself, in an order that does not depend on how many rows there are, so that a text has the
//! same bits alone and in company. Loops are written for the widest vectors that the processor turns out to have, found
//! at run time; so bits are equal on one kind of processor, and close across kinds.

mod activation;
mod attention;
mod matmul;
mod norm;

pub(crate) use activation::{Activation, activate, activate_gated};
pub(crate) use attention::{Heads, Masking, Rotary, Strided, attend};
pub(crate) use matmul::{Threads, multiply};
pub(crate) use norm::{layer_norm, rms_norm};

/// Lanes of a sum: as many partial sums as the widest vector holds numbers.
const LANES: usize = 16;

/// Runs a loop with the widest vectors of this processor; what it calls must be inlined into it.
fn wide<R>(run: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(run)
}

/// Returns the sum of `of` over a slice, in a fixed order.
#[inline(always)]
fn sum(values: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0.0_f32; LANES];
    let chunks = values.chunks_exact(LANES);
    let rest = chunks.remainder();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += of(*value);
        }
    }
    for (lane, value) in lanes.iter_mut().zip(rest) {
        *lane += of(*value);
    }
    // Halves are added to halves, as vectors are.
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Returns e to a power, to 2 units in the last place; 0 below −87, infinity never: powers above 88 are held there.
#[inline(always)]
fn exp(power: f32) -> f32 {
    const LOG2_E: f32 = std::f32::consts::LOG2_E;
    // ln 2 in two parts, the first short enough that its product with a small integer is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Adding and taking away 1.5 × 2²³ rounds to the nearest integer, in a form that every vector unit has.
    const ROUND: f32 = 12_582_912.0;
    let clamped = power.clamp(-87.0, 88.0);
    let whole = (clamped * LOG2_E + ROUND) - ROUND;
    let rest = clamped - whole * LN_2_HIGH - whole * LN_2_LOW;
    // The series of e^x on |x| ≤ ln 2 / 2, its last terms economised (Cephes, expf).
    let mut series = 1.987_569_1e-4_f32;
    series = series * rest + 1.398_199_9e-3;
    series = series * rest + 8.333_452e-3;
    series = series * rest + 4.166_579_6e-2;
    series = series * rest + 1.666_666_5e-1;
    series = series * rest + 5e-1;
    let fraction = series * rest * rest + rest + 1.0;
    let scale = f32::from_bits(((whole as i32 + 127) as u32) << 23);
    if power < -87.0 { 0.0 } else { fraction * scale }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_that_of_the_library_to_two_units() {
        for step in -8_700..=8_800_i16 {
            let power = f32::from(step) / 100.0;
            let (got, exact) = (f64::from(exp(power)), f64::from(power).exp());
            assert!((got - exact).abs() <= exact * 2.4e-7, "exp({power}) = {got}, exactly {exact}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn a_sum_is_of_everything() {
        for count in [0, 1, 15, 16, 17, 100] {
            let values: Vec<f32> = (1..=count).map(|value| value as f32).collect();
            assert_eq!(sum(&values, |value| value), (count * (count + 1) / 2) as f32);
        }
    }
}
