//! Rotations that tell places apart (`su2024`): neighbours in a head form pairs, which turn with the coordinates of
//! their place.
//!
//! Angles are computed in double precision and applied in single, whatever the weights are: in bfloat16 the angle of a
//! far place is off by degrees.

use candle_core::{DType, Device, Result, Tensor};

use super::attention::{attend, join_heads};

/// Where a token stands: three coordinates, such as a frame, a row and a column.
pub(crate) type Place = [usize; 3];

/// The rotations of a sequence.
pub(crate) struct Rotation {
    /// Shape (1, 1, places, width / 2), f32.
    cosines: Tensor,
    sines: Tensor,
}

impl Rotation {
    /// Returns the rotations of tokens at these places.
    ///
    /// `axes` says how many numbers of a head turn with each coordinate; pair `i` of an axis of `w` numbers turns by
    /// coordinate / `theta`^(2i / w).
    pub(crate) fn new(axes: &[usize], theta: f64, places: &[Place], device: &Device) -> Result<Self> {
        let half: usize = axes.iter().map(|width| width / 2).sum();
        let mut angles = Vec::with_capacity(places.len() * half);
        for place in places {
            for (axis, width) in axes.iter().enumerate() {
                let coordinate = place.get(axis).copied().unwrap_or(0) as f64;
                angles.extend((0..width / 2).map(|pair| coordinate / theta.powf(2.0 * pair as f64 / *width as f64)));
            }
        }
        let tensor = |function: fn(f64) -> f64| {
            let values: Vec<f32> = angles.iter().map(|angle| function(*angle) as f32).collect();
            Tensor::from_vec(values, (1, 1, places.len(), half), device)
        };
        Ok(Self { cosines: tensor(f64::cos)?, sines: tensor(f64::sin)? })
    }

    fn turn(&self, states: &Tensor) -> Result<Tensor> {
        let (batch, heads, count, width) = states.dims4()?;
        let pairs = states.to_dtype(DType::F32)?.reshape((batch, heads, count, width / 2, 2))?;
        let even = pairs.narrow(4, 0, 1)?.squeeze(4)?.contiguous()?;
        let odd = pairs.narrow(4, 1, 1)?.squeeze(4)?.contiguous()?;
        let first = (even.broadcast_mul(&self.cosines)? - odd.broadcast_mul(&self.sines)?)?;
        let second = (even.broadcast_mul(&self.sines)? + odd.broadcast_mul(&self.cosines)?)?;
        Tensor::stack(&[first, second], 4)?.reshape((batch, heads, count, width))?.to_dtype(states.dtype())
    }

    /// Returns what each token gathers from all, with queries and keys turned.
    ///
    /// `query`, `key` and `value` are (batch, heads, places, width); gives (batch, places, heads · width).
    pub(crate) fn attend(&self, query: &Tensor, key: &Tensor, value: &Tensor) -> Result<Tensor> {
        let scale = (query.dim(3)? as f64).powf(-0.5);
        join_heads(&attend(&self.turn(query)?, &self.turn(key)?, value, scale)?)
    }
}
