//! DINOv2: trained on larger pictures than its processor makes, so that its places are interpolated; the vector is the
//! normed row before the squares'.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::clip::{activation, heads};
use super::{Architecture, CONFIG, Head, Patches, STEM, Tower, first_rows, patch_linear, squares};
use crate::candle::device::Placement;
use crate::candle::encoder::{Block, Encoder, Order, Parts, failed};
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Threads};
use crate::candle::ops::{Attention, Norm};
use crate::candle::pixels::{self, Number, Preparation};
use crate::candle::weights::{Weights, as_stored};

#[derive(Deserialize)]
struct Keys {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default = "four")]
    mlp_ratio: f64,
    image_size: usize,
    patch_size: usize,
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "yes")]
    qkv_bias: bool,
    #[serde(default)]
    use_swiglu_ffn: bool,
}

const fn four() -> f64 {
    4.0
}

fn gelu() -> String {
    "gelu".to_owned()
}

const fn epsilon() -> f64 {
    1e-6
}

const fn yes() -> bool {
    true
}

pub(super) struct Config {
    keys: Keys,
    heads: Heads,
    activation: Activation,
    inner: usize,
}

impl Config {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        squares(files, keys.image_size, keys.patch_size)?;
        let whole = (keys.hidden_size as f64 * keys.mlp_ratio) as usize;
        // The gated form of the largest model has two thirds of it, in eights.
        let (inner, activation) = if keys.use_swiglu_ffn {
            ((whole * 2 / 3).div_ceil(8) * 8, Activation::Silu)
        } else {
            (whole, activation(files, &keys.hidden_act)?)
        };
        Ok(Self { heads: heads(files, keys.hidden_size, keys.num_attention_heads)?, keys, activation, inner })
    }

    fn block(&self, parts: Parts<'_>, layer: usize) -> Result<Block, ModelError> {
        let Keys { hidden_size: width, layer_norm_eps: epsilon, qkv_bias: bias, use_swiglu_ffn: gated, .. } = self.keys;
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        let [q, k, v] = ["query", "key", "value"].map(|part| at(&format!("attention.attention.{part}")));
        let scale = |name: &str| parts.0.tensor(&at(&format!("{name}.lambda1")), width);
        let (up, down) = if gated { ("mlp.weights_in", "mlp.weights_out") } else { ("mlp.fc1", "mlp.fc2") };
        let widened = if gated { 2 * self.inner } else { self.inner };
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at("norm1"), width, epsilon)?),
            qkv: parts.joined(&[&q, &k, &v], [width, width], bias)?,
            attention: Attention { heads: self.heads, causal: false, window: None, norms: None },
            // What scales the result of a step is a part of its last product.
            attention_out: parts
                .linear(&at("attention.output.dense"), [width, width], true)?
                .scaled(&scale("layer_scale1")?)
                .map_err(failed)?,
            feed_norm: parts.layer_norm(&at("norm2"), width, epsilon)?,
            up: parts.linear(&at(up), [width, widened], true)?,
            down: parts
                .linear(&at(down), [self.inner, width], true)?
                .scaled(&scale("layer_scale2")?)
                .map_err(failed)?,
            rotation: None,
        })
    }
}

impl Architecture for Config {
    fn dimension(&self) -> usize {
        self.keys.hidden_size
    }

    fn widest(&self) -> usize {
        (self.keys.image_size / self.keys.patch_size).pow(2) * 2 * self.inner
    }

    fn load(&self, files: &Files<'_>, placement: &Placement) -> Result<(Tower, Box<dyn Head>), ModelError> {
        let Keys { hidden_size: width, patch_size: side, image_size, .. } = self.keys;
        let preparation = Preparation::read(files, Number::Shortest)?;
        let sides = preparation.sides();
        let grid = sides.map(|pixels| pixels / side);
        if grid.contains(&0) {
            return Err(files.error(pixels::FILE, format!("makes pictures smaller than a square of {side} pixels")));
        }
        let weights = Weights::open(files, STEM, placement, as_stored)?;
        let parts = Parts(&weights);
        let at = |name: &str| format!("embeddings.{name}");
        let convolution = weights.tensor(&at("patch_embeddings.projection.weight"), (width, 3, side, side))?;
        let bias = weights.tensor(&at("patch_embeddings.projection.bias"), width)?;
        let from = image_size / side;
        let places = weights.tensor(&at("position_embeddings"), (1, from * from + 1, width))?;
        let patches = Patches {
            side,
            linear: patch_linear(&convolution, Some(bias))?,
            first: Some(weights.tensor(&at("cls_token"), (1, 1, width))?.squeeze(0).map_err(failed)?),
            places: interpolated(&places.squeeze(0).map_err(failed)?, from, grid).map_err(failed)?,
            norm: None,
        };
        let blocks =
            (0..self.keys.num_hidden_layers).map(|layer| self.block(parts, layer)).collect::<Result<_, _>>()?;
        let gated = self.keys.use_swiglu_ffn;
        let encoder = Encoder { order: Order::Before, activation: self.activation, gated, blocks, last_norm: None };
        let head = Normed(parts.layer_norm("layernorm", width, self.keys.layer_norm_eps)?);
        Ok((Tower { preparation, patches, encoder }, Box::new(head)))
    }
}

struct Normed(Norm);

impl Head for Normed {
    fn vectors(&self, rows: &Tensor, sequences: &[Range<usize>], _: Threads) -> candle_core::Result<Tensor> {
        self.0.forward(&first_rows(rows, sequences)?)
    }
}

/// Returns the rows of places for a grid of `to` (height, width) squares from those for `from` by `from`: the first as
/// it is, the others by torch's bicubic interpolation, which does not average.
fn interpolated(places: &Tensor, from: usize, to: [usize; 2]) -> candle_core::Result<Tensor> {
    if to == [from, from] {
        return Ok(places.clone());
    }
    let (dtype, device) = (places.dtype(), places.device().clone());
    let rows: Vec<Vec<f32>> = places.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.to_vec2()?;
    let (first, grid) = rows.split_at(1);
    let width = first.first().map_or(0, Vec::len);
    let (down, across) = (taps(from, to[0]), taps(from, to[1]));
    let mut out = first.concat();
    for vertical in &down {
        for horizontal in &across {
            let mut row = vec![0.0_f32; width];
            for (y, weight_y) in vertical {
                for (x, weight_x) in horizontal {
                    for (value, source) in row.iter_mut().zip(&grid[y * from + x]) {
                        *value += weight_y * weight_x * source;
                    }
                }
            }
            out.extend(row);
        }
    }
    Tensor::from_vec(out, (to[0] * to[1] + 1, width), &Device::Cpu)?.to_dtype(dtype)?.to_device(&device)
}

/// Returns the four sources and weights of each place along one side; sources beyond the edge are the edge.
fn taps(from: usize, to: usize) -> Vec<[(usize, f32); 4]> {
    // Keys' cubic with a = −3/4.
    const A: f32 = -0.75;
    let near = |x: f32| ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0;
    let far = |x: f32| ((A * x - 5.0 * A) * x + 8.0 * A) * x - 4.0 * A;
    let scale = from as f32 / to as f32;
    let tap = |at: usize| {
        let source = (at as f32 + 0.5) * scale - 0.5;
        let whole = source.floor();
        let share = source - whole;
        let weights = [far(share + 1.0), near(share), near(1.0 - share), far(2.0 - share)];
        let mut offset = whole as i64 - 1;
        weights.map(|weight| {
            let place = offset.clamp(0, from as i64 - 1) as usize;
            offset += 1;
            (place, weight)
        })
    };
    (0..to).map(tap).collect()
}
