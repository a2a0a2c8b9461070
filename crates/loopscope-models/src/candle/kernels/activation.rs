//! What stands between the two matrices of a feed-forward layer.

use super::{exp, wide};

/// A function of one number, applied to each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Activation {
    /// The Gaussian error unit by the error function.
    Gelu,
    /// The Gaussian error unit by the hyperbolic tangent.
    GeluTanh,
    /// x · σ(1.702 x).
    QuickGelu,
    /// x · σ(x).
    Silu,
    /// max(x, 0).
    Relu,
    /// tanh x.
    Tanh,
    /// x.
    Identity,
}

impl Activation {
    /// Returns the activation that a config calls so.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "gelu" | "gelu_python" => Self::Gelu,
            "gelu_new" | "gelu_pytorch_tanh" | "gelu_fast" => Self::GeluTanh,
            "quick_gelu" => Self::QuickGelu,
            "silu" | "swish" | "swiglu" => Self::Silu,
            "relu" => Self::Relu,
            "tanh" => Self::Tanh,
            _ => return None,
        })
    }
}

/// Applies the activation to every number.
pub(crate) fn activate(values: &mut [f32], activation: Activation) {
    match activation {
        Activation::Gelu => wide(|| each(values, gelu)),
        Activation::GeluTanh => wide(|| each(values, gelu_tanh)),
        Activation::QuickGelu => wide(|| each(values, quick_gelu)),
        Activation::Silu => wide(|| each(values, silu)),
        Activation::Relu => wide(|| each(values, |value| value.max(0.0))),
        Activation::Tanh => wide(|| each(values, tanh)),
        Activation::Identity => {}
    }
}

/// Of rows of two halves, returns the activated first half times the second.
pub(crate) fn activate_gated(rows: &[f32], width: usize, activation: Activation) -> Vec<f32> {
    let half = width / 2;
    let mut gated = Vec::with_capacity(rows.len() / 2);
    for row in rows.chunks_exact(width) {
        let start = gated.len();
        gated.extend_from_slice(&row[..half]);
        activate(&mut gated[start..], activation);
        for (value, gate) in gated[start..].iter_mut().zip(&row[half..]) {
            *value *= gate;
        }
    }
    gated
}

#[inline(always)]
fn each(values: &mut [f32], of: impl Fn(f32) -> f32) {
    for value in values {
        *value = of(*value);
    }
}

#[inline(always)]
fn gelu(value: f32) -> f32 {
    0.5 * value * (1.0 + erf(value * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_tanh(value: f32) -> f32 {
    const SQRT_2_OVER_PI: f32 = 0.797_884_6;
    0.5 * value * (1.0 + tanh(SQRT_2_OVER_PI * (value + 0.044_715 * value * value * value)))
}

#[inline(always)]
fn quick_gelu(value: f32) -> f32 {
    value / (1.0 + exp(-1.702 * value))
}

#[inline(always)]
fn silu(value: f32) -> f32 {
    value / (1.0 + exp(-value))
}

/// The hyperbolic tangent; by its series near 0, where 1 − 2 / (e²ˣ + 1) loses its digits.
#[inline(always)]
fn tanh(value: f32) -> f32 {
    let square = value * value;
    let near = value * (1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0))));
    let far = 1.0 - 2.0 / (exp(2.0 * value) + 1.0);
    if square < 0.04 { near } else { far }
}

/// The error function, to 4e-7: a rational function that is fitted on −4..=4, where the rest is 1 in `f32`.
///
/// The coefficients are those that Eigen and XLA use for `float` (`eigen` in REFERENCES.md).
#[inline(always)]
fn erf(value: f32) -> f32 {
    let clamped = value.clamp(-4.0, 4.0);
    let square = clamped * clamped;
    let mut above = -2.726_142_3e-10_f32;
    above = above * square + 2.770_681_4e-8;
    above = above * square - 2.101_024e-6;
    above = above * square - 5.692_506_4e-5;
    above = above * square - 7.349_906_3e-4;
    above = above * square - 2.954_6e-3;
    above = above * square - 1.609_603_3e-2;
    let mut below = -1.456_607_2e-5_f32;
    below = below * square - 2.133_740_6e-4;
    below = below * square - 1.682_827_e-3;
    below = below * square - 7.373_329e-3;
    below = below * square - 1.426_473_9e-2;
    clamped * above / below
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error function by its series, in 64 bits; for |x| ≤ 4.
    fn erf_series(value: f64) -> f64 {
        let (mut term, mut sum) = (value, value);
        for n in 1..200 {
            term *= -value * value / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    fn check(activation: Activation, tolerance: f64, exact: impl Fn(f64) -> f64) {
        let inputs: Vec<f32> = (-400..=400_i16).map(|step| f32::from(step) / 100.0).collect();
        let mut got = inputs.clone();
        activate(&mut got, activation);
        for (input, got) in inputs.iter().zip(got) {
            let exact = exact(f64::from(*input));
            assert!((f64::from(got) - exact).abs() <= tolerance, "{activation:?}({input}) = {got}, exactly {exact}");
        }
    }

    #[test]
    fn activations_are_those_of_64_bits() {
        check(Activation::Gelu, 8e-7, |x| 0.5 * x * (1.0 + erf_series(x / 2.0_f64.sqrt())));
        let inner = |x: f64| (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3));
        check(Activation::GeluTanh, 8e-7, |x| 0.5 * x * (1.0 + inner(x).tanh()));
        check(Activation::QuickGelu, 8e-7, |x| x / (1.0 + (-1.702 * x).exp()));
        check(Activation::Silu, 8e-7, |x| x / (1.0 + (-x).exp()));
        check(Activation::Tanh, 3e-7, f64::tanh);
        check(Activation::Relu, 0.0, |x| x.max(0.0));
    }

    #[test]
    fn far_values_are_finite() {
        for activation in [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu] {
            let mut values = [-1e4, -90.0, 90.0, 1e4];
            activate(&mut values, activation);
            for (value, exact) in values[2..].iter().zip([90.0, 1e4]) {
                assert!((value - exact).abs() <= exact * 2e-7, "{activation:?}({exact}) = {value}");
            }
            assert!(values[..2].iter().all(|value| value.abs() < 1e-3), "{activation:?}: {values:?}");
        }
    }

    #[test]
    fn gates_multiply_the_activated_half() {
        assert_eq!(activate_gated(&[1.0, -1.0, 3.0, 4.0], 4, Activation::Relu), [3.0, 0.0]);
    }
}
