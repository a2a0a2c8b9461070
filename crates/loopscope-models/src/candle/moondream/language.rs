//! Phi 1.5: the language model of Moondream.

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::ModelError;

use super::{EPSILON, Text, WEIGHTS, count, shape};
use crate::candle::encoder::Parts;
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Rotary, Threads};
use crate::candle::ops::{self, Linear, Norm};
use crate::candle::vision::{CONFIG, heads};
use crate::candle::weights::Weights;

/// Keys and values of the rows that went through a layer before.
pub(super) type Past = Option<(Tensor, Tensor)>;

/// A layer of Phi: attention and the feed-forward step side by side, over the same normed rows.
struct Layer {
    norm: Norm,
    qkv: Linear,
    out: Linear,
    up: Linear,
    down: Linear,
}

/// The loaded model.
pub(super) struct Language {
    /// A row a token.
    words: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    scores: Linear,
    heads: Heads,
    rotary: Rotary,
    /// Numbers in a row.
    pub(super) width: usize,
}

impl Language {
    /// Loads the model, with rotations for `places` rows.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file, and the key or the tensor.
    pub(super) fn load(files: &Files<'_>, text: &Text, weights: &Weights, places: usize) -> Result<Self, ModelError> {
        let parts = Parts(weights);
        let (vocabulary, width) = match shape(weights, "text.wte")?.as_slice() {
            [vocabulary, width] => (*vocabulary, *width),
            _ => return Err(files.error(WEIGHTS, "text.wte is no matrix")),
        };
        let heads = heads(files, width, text.n_head)?;
        // Half of a head is rotated where nobody says otherwise: 32 of Phi's 64.
        let turned = text.rotary_dim.unwrap_or(heads.width / 2);
        if turned > heads.width || !turned.is_multiple_of(2) {
            let expected = format!("an even number up to those of a head, {}", heads.width);
            return Err(files.error(CONFIG, format!("rotary_dim: expected {expected}, got {turned}")));
        }
        let at = |layer: usize, name: &str| format!("text.blocks.{layer}.{name}");
        let layer = |layer: usize| {
            let at = |name: &str| at(layer, name);
            let inner = shape(weights, &at("mlp.fc1.weight"))?.first().copied().unwrap_or(0);
            Ok(Layer {
                norm: parts.layer_norm(&at("ln"), width, EPSILON)?,
                qkv: parts.linear(&at("attn.qkv"), [width, 3 * width], true)?,
                out: parts.linear(&at("attn.proj"), [width, width], true)?,
                up: parts.linear(&at("mlp.fc1"), [width, inner], true)?,
                down: parts.linear(&at("mlp.fc2"), [inner, width], true)?,
            })
        };
        let count = count(weights, |layer| at(layer, "ln.weight"));
        Ok(Self {
            words: weights.tensor("text.wte", (vocabulary, width))?,
            layers: (0..count).map(layer).collect::<Result<_, ModelError>>()?,
            norm: parts.layer_norm("text.post_ln", width, EPSILON)?,
            scores: parts.linear("text.lm_head", [width, vocabulary], true)?,
            heads,
            rotary: Rotary::new(places, turned, 10_000.0),
            width,
        })
    }

    /// Returns a past that nothing has gone through.
    pub(super) fn past(&self) -> Vec<Past> {
        vec![None; self.layers.len()]
    }

    /// Returns the rows of tokens.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn words(&self, ids: &[u32]) -> candle_core::Result<Tensor> {
        self.words.index_select(&Tensor::new(ids, self.words.device())?, 0)
    }

    /// Returns what the last layer makes of these rows, which go after those of the past; each sees those before it, or
    /// all when not `causal`.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn forward(&self, rows: Tensor, past: &mut [Past], causal: bool) -> candle_core::Result<Tensor> {
        let (mut rows, width) = (rows, self.width);
        for (layer, past) in self.layers.iter().zip(past) {
            let normed = layer.norm.forward(&rows)?;
            let qkv = layer.qkv.forward(&normed, Threads::All)?;
            let part = |index: usize| qkv.narrow(1, index * width, width)?.contiguous();
            let (query, mut keys, mut values) = (part(0)?, part(1)?, part(2)?);
            if let Some((past_keys, past_values)) = past.take() {
                keys = Tensor::cat(&[&past_keys, &keys], 0)?;
                values = Tensor::cat(&[&past_values, &values], 0)?;
            }
            let gathered = ops::attend_across(&query, &keys, &values, self.heads, causal, Some(&self.rotary))?;
            *past = Some((keys, values));
            let up = ops::activate(&layer.up.forward(&normed, Threads::All)?, Activation::GeluTanh, false)?;
            let attended = layer.out.forward_onto(&gathered, &rows, Threads::All)?;
            rows = layer.down.forward_onto(&up, &attended, Threads::All)?;
        }
        Ok(rows)
    }

    /// Returns the scores of the token after the last of these rows.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn scores(&self, rows: &Tensor) -> candle_core::Result<Vec<f32>> {
        let last = self.norm.forward(&rows.narrow(0, rows.dim(0)? - 1, 1)?)?;
        let scores = self.scores.forward(&last, Threads::All)?;
        scores.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}
