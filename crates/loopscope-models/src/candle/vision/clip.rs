//! CLIP's image side: a row before the squares', whose hidden row is projected to where texts are.

use std::ops::Range;

use candle_core::Tensor;
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::{Architecture, CONFIG, Head, Patches, STEM, Tower, check_sides, first_rows, patch_linear, squares};
use crate::candle::device::Placement;
use crate::candle::encoder::{Block, Encoder, Order, Parts};
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Threads};
use crate::candle::ops::{Attention, Linear, Norm};
use crate::candle::pixels::{Number, Preparation};
use crate::candle::weights::{Weights, as_stored};

/// The image side's shape, as CLIP and SigLIP write it.
#[derive(Clone, Deserialize)]
pub(in crate::candle) struct Vision {
    #[serde(default = "base")]
    pub(in crate::candle) hidden_size: usize,
    #[serde(default = "base_inner")]
    pub(in crate::candle) intermediate_size: usize,
    #[serde(default = "twelve")]
    pub(in crate::candle) num_hidden_layers: usize,
    #[serde(default = "twelve")]
    pub(in crate::candle) num_attention_heads: usize,
    #[serde(default = "side")]
    pub(in crate::candle) image_size: usize,
    pub(in crate::candle) patch_size: usize,
    pub(in crate::candle) hidden_act: Option<String>,
    pub(in crate::candle) layer_norm_eps: Option<f64>,
}

// Savers leave out what is as in the first model of a family.
const fn base() -> usize {
    768
}

const fn base_inner() -> usize {
    3072
}

const fn twelve() -> usize {
    12
}

const fn side() -> usize {
    224
}

#[derive(Deserialize)]
struct Keys {
    vision_config: Vision,
    #[serde(default = "projection")]
    projection_dim: usize,
}

const fn projection() -> usize {
    512
}

pub(super) struct Config {
    keys: Keys,
    shape: Shape,
}

/// A checked shape of layers as CLIP and SigLIP name them.
#[derive(Clone, Copy)]
pub(in crate::candle) struct Shape {
    pub(in crate::candle) width: usize,
    pub(in crate::candle) inner: usize,
    pub(in crate::candle) layers: usize,
    pub(in crate::candle) heads: Heads,
    pub(in crate::candle) epsilon: f64,
    pub(in crate::candle) activation: Activation,
    pub(in crate::candle) causal: bool,
}

impl Vision {
    /// Returns the checked shape.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the key.
    pub(in crate::candle) fn shape(&self, files: &Files<'_>, epsilon: f64, act: &str) -> Result<Shape, ModelError> {
        let (count, width) = (self.num_attention_heads, self.hidden_size);
        Ok(Shape {
            width,
            inner: self.intermediate_size,
            layers: self.num_hidden_layers,
            heads: heads(files, width, count)?,
            epsilon: self.layer_norm_eps.unwrap_or(epsilon),
            activation: activation(files, self.hidden_act.as_deref().unwrap_or(act))?,
            causal: false,
        })
    }
}

/// Returns equal heads.
///
/// # Errors
///
/// [`ModelError`] when the rows do not divide into them.
pub(in crate::candle) fn heads(files: &Files<'_>, width: usize, count: usize) -> Result<Heads, ModelError> {
    if count == 0 || !width.is_multiple_of(count) {
        let what = format!("num_attention_heads: expected a divisor of hidden_size, {width}, got {count}");
        return Err(files.error(CONFIG, what));
    }
    Ok(Heads { count, shared: count, width: width / count, scale: 1.0 / ((width / count) as f32).sqrt() })
}

/// Returns the activation of a word in the config.
///
/// # Errors
///
/// [`ModelError`] when we do not have it.
pub(in crate::candle) fn activation(files: &Files<'_>, word: &str) -> Result<Activation, ModelError> {
    let expected = "hidden_act: expected gelu, gelu_new, quick_gelu, silu or relu";
    Activation::parse(word).ok_or_else(|| files.error(CONFIG, format!("{expected}, got {word}")))
}

impl Shape {
    /// Reads the layers under `PREFIX.encoder.layers`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names a tensor.
    pub(in crate::candle) fn encoder(
        &self,
        parts: Parts<'_>,
        prefix: &str,
        last_norm: Option<Norm>,
    ) -> Result<Encoder, ModelError> {
        let blocks = (0..self.layers).map(|layer| self.block(parts, &format!("{prefix}.encoder.layers.{layer}")));
        let blocks = blocks.collect::<Result<_, _>>()?;
        Ok(Encoder { order: Order::Before, activation: self.activation, gated: false, blocks, last_norm })
    }

    fn block(&self, parts: Parts<'_>, at: &str) -> Result<Block, ModelError> {
        let (width, epsilon) = (self.width, self.epsilon);
        let at = |name: &str| format!("{at}.{name}");
        let [q, k, v] = ["q", "k", "v"].map(|part| at(&format!("self_attn.{part}_proj")));
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at("layer_norm1"), width, epsilon)?),
            qkv: parts.joined(&[&q, &k, &v], [width, width], true)?,
            attention: Attention { heads: self.heads, causal: self.causal, window: None, norms: None },
            attention_out: parts.linear(&at("self_attn.out_proj"), [width, width], true)?,
            feed_norm: parts.layer_norm(&at("layer_norm2"), width, epsilon)?,
            up: parts.linear(&at("mlp.fc1"), [width, self.inner], true)?,
            down: parts.linear(&at("mlp.fc2"), [self.inner, width], true)?,
            rotation: None,
        })
    }
}

impl Config {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let shape = keys.vision_config.shape(files, 1e-5, "quick_gelu")?;
        squares(files, keys.vision_config.image_size, keys.vision_config.patch_size)?;
        Ok(Self { keys, shape })
    }
}

impl Architecture for Config {
    fn dimension(&self) -> usize {
        self.keys.projection_dim
    }

    fn widest(&self) -> usize {
        let vision = &self.keys.vision_config;
        (vision.image_size / vision.patch_size).pow(2) * self.shape.inner
    }

    fn load(&self, files: &Files<'_>, placement: &Placement) -> Result<(Tower, Box<dyn Head>), ModelError> {
        let vision = &self.keys.vision_config;
        let preparation = Preparation::read(files, Number::Shortest)?;
        check_sides(files, &preparation, vision.image_size)?;
        let weights = Weights::open(files, STEM, placement, as_stored)?;
        let parts = Parts(&weights);
        let (width, side) = (self.shape.width, vision.patch_size);
        let count = squares(files, vision.image_size, side)?;
        let convolution = weights.tensor("vision_model.embeddings.patch_embedding.weight", (width, 3, side, side))?;
        let first = weights.tensor("vision_model.embeddings.class_embedding", width)?;
        let patches = Patches {
            side,
            linear: patch_linear(&convolution, None)?,
            first: Some(first.unsqueeze(0).map_err(crate::candle::encoder::failed)?),
            places: weights.tensor("vision_model.embeddings.position_embedding.weight", (count + 1, width))?,
            // Misspelt in every checkpoint.
            norm: Some(parts.layer_norm("vision_model.pre_layrnorm", width, self.shape.epsilon)?),
        };
        let encoder = self.shape.encoder(parts, "vision_model", None)?;
        let head = Projected {
            norm: parts.layer_norm("vision_model.post_layernorm", width, self.shape.epsilon)?,
            projection: parts.linear("visual_projection", [width, self.keys.projection_dim], false)?,
        };
        Ok((Tower { preparation, patches, encoder }, Box::new(head)))
    }
}

struct Projected {
    norm: Norm,
    projection: Linear,
}

impl Head for Projected {
    fn vectors(&self, rows: &Tensor, sequences: &[Range<usize>], threads: Threads) -> candle_core::Result<Tensor> {
        self.projection.forward(&self.norm.forward(&first_rows(rows, sequences)?)?, threads)
    }
}
