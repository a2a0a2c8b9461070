//! Norms that the time of a step shifts and scales, as transformers that denoise have them (`peebles2023`).

use candle_core::{D, DType, Result, Tensor};

const EPSILON: f64 = 1e-6;

/// Subtracts the mean and divides by the deviation, without weights, in single precision.
pub(crate) fn normalize(states: &Tensor) -> Result<Tensor> {
    let wide = states.to_dtype(DType::F32)?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?.to_dtype(states.dtype())
}

/// Returns `states` (batch, n, width) · (1 + `scale`) + `shift`, these (batch, 1, width).
pub(crate) fn modulate(states: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
    states.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(shift)
}
