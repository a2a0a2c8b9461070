//! The transformer of Z-Image: text and picture are refined each for itself, then go through all layers as one sequence
//! (`zimage2025`).
//!
//! Rows of one picture, never a batch. Sequences are filled up to whole multiples with rows that were learned, and that
//! take part in attention. What depends on the text alone is computed once a picture, not once a step.

use candle_core::{DType, Device, Result, Tensor};
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::super::super::encoder::Parts;
use super::super::super::kernels::{Activation, Threads};
use super::super::super::ops::{Linear, Norm, activate};
use super::super::super::weights::Weights;
use super::super::flux::normalize;
use super::super::rotation::{Place, Rotation};
use super::super::unet::sinusoids;

/// Sides of a square of latents, and pictures in a film: the one way of cutting that is published.
const PATCH: &str = "2-1";
/// Sequences are filled up to multiples of this.
const FILL: usize = 32;
/// Width of the embedding of time, and the most that the layers see of it.
const TIME_WIDTH: usize = 256;
/// Epsilon of the norms of queries and keys, which no config says.
const HEAD_EPSILON: f64 = 1e-5;
/// Widest rows that a file may ask for: sizes beyond would not fit the sums that are made of them.
const DIM_MAX: usize = 1 << 16;
const CLASS: &str = "ZImageTransformer2DModel";

/// `transformer/config.json`; the defaults are Z-Image's own sizes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct ZImageConfig {
    #[serde(rename = "_class_name")]
    class_name: String,
    all_patch_size: Vec<usize>,
    all_f_patch_size: Vec<usize>,
    in_channels: usize,
    pub(crate) dim: usize,
    n_layers: usize,
    n_refiner_layers: usize,
    pub(crate) n_heads: usize,
    n_kv_heads: usize,
    norm_eps: f64,
    qk_norm: bool,
    cap_feat_dim: usize,
    /// Of the model that also looks at pictures.
    siglip_feat_dim: Option<usize>,
    rope_theta: f64,
    t_scale: f32,
    axes_dims: Vec<usize>,
    axes_lens: Vec<usize>,
}

impl Default for ZImageConfig {
    fn default() -> Self {
        Self {
            class_name: CLASS.to_owned(),
            all_patch_size: vec![2],
            all_f_patch_size: vec![1],
            in_channels: 16,
            dim: 3840,
            n_layers: 30,
            n_refiner_layers: 2,
            n_heads: 30,
            n_kv_heads: 30,
            norm_eps: 1e-5,
            qk_norm: true,
            cap_feat_dim: 2560,
            siglip_feat_dim: None,
            rope_theta: 256.0,
            t_scale: 1000.0,
            axes_dims: vec![32, 48, 48],
            axes_lens: vec![1024, 512, 512],
        }
    }
}

impl ZImageConfig {
    /// Refuses what is not here.
    pub(super) fn check(&self) -> std::result::Result<(), String> {
        if self.class_name != CLASS {
            return Err(format!("this is a {}, and family z-image reads a {CLASS}", self.class_name));
        }
        let head = self.dim.checked_div(self.n_heads).unwrap_or(0);
        let cuts = self.all_patch_size.iter().zip(&self.all_f_patch_size);
        let is_divided = self.axes_dims.len() == 3
            && self.axes_dims.iter().all(|width| width.is_multiple_of(2))
            && self.axes_dims.iter().sum::<usize>() == head
            && head * self.n_heads == self.dim
            && (1..=DIM_MAX).contains(&self.dim);
        first_wrong([
            ("siglip_feat_dim", self.siglip_feat_dim.is_none(), "null".to_owned(), "a number".to_owned()),
            ("qk_norm", self.qk_norm, "true".to_owned(), "false".to_owned()),
            (
                "all_patch_size",
                cuts.into_iter().any(|cut| cut == (&2, &1)),
                "2, with an all_f_patch_size of 1".to_owned(),
                format!("{:?} with {:?}", self.all_patch_size, self.all_f_patch_size),
            ),
            ("n_kv_heads", self.n_kv_heads == self.n_heads, self.n_heads.to_string(), self.n_kv_heads.to_string()),
            (
                "axes_dims",
                is_divided,
                format!("three even numbers that add up to dim / n_heads, {} / {}", self.dim, self.n_heads),
                format!("{:?}", self.axes_dims),
            ),
        ])
    }

    /// Refuses what does not fit the other parts: latents of `channels`, rows of text of `text_width` numbers, `tokens`
    /// of text and `size` rows and columns of squares.
    pub(super) fn check_fit(
        &self,
        channels: usize,
        text_width: usize,
        tokens: usize,
        size: [usize; 2],
    ) -> std::result::Result<(), String> {
        let far = [tokens.next_multiple_of(FILL) + 2, size[0], size[1]];
        first_wrong([
            ("in_channels", self.in_channels == channels, channels.to_string(), self.in_channels.to_string()),
            ("cap_feat_dim", self.cap_feat_dim == text_width, text_width.to_string(), self.cap_feat_dim.to_string()),
            (
                "axes_lens",
                self.axes_lens.len() == 3 && self.axes_lens.iter().zip(far).all(|(places, far)| *places >= far),
                format!("places for text and picture of at least {far:?}"),
                format!("{:?}", self.axes_lens),
            ),
        ])
    }
}

/// Returns what is wrong of keys, each with whether it holds, what was expected and what came.
fn first_wrong(
    checks: impl IntoIterator<Item = (&'static str, bool, String, String)>,
) -> std::result::Result<(), String> {
    match checks.into_iter().find(|(_, holds, ..)| !holds) {
        Some((key, _, expected, got)) => Err(format!("{key}: expected {expected}, got {got}")),
        None => Ok(()),
    }
}

/// The denoiser.
pub(crate) struct ZImageTransformer {
    picture_in: Linear,
    text_norm: Norm,
    text_in: Linear,
    time_in: [Linear; 2],
    picture_fill: Tensor,
    text_fill: Tensor,
    picture_refiners: Vec<Block>,
    text_refiners: Vec<Block>,
    layers: Vec<Block>,
    scale_out: Linear,
    out: Linear,
    config: ZImageConfig,
    dtype: DType,
}

/// A text that is ready to be painted in a picture of some size.
pub(crate) struct Context {
    /// Refined and filled; shape (places of text, dim).
    words: Tensor,
    /// Rows and columns of squares.
    size: [usize; 2],
    /// Of the picture, and of picture and text together.
    picture: Rotation,
    both: Rotation,
}

/// A layer.
struct Block {
    qkv: Linear,
    /// Of each head of queries, and of keys.
    head_norms: [Norm; 2],
    attention_out: Linear,
    up: Linear,
    down: Linear,
    /// Before and after the attention.
    attention_norms: [Norm; 2],
    /// Before and after the feed-forward step.
    feed_norms: [Norm; 2],
    /// From time to scale and gate of both steps; layers that see only text have none.
    modulation: Option<Linear>,
    heads: usize,
}

impl ZImageTransformer {
    /// Reads a transformer.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names a tensor that is missing or of another shape.
    pub(crate) fn new(config: &ZImageConfig, weights: &Weights) -> std::result::Result<Self, ModelError> {
        let parts = Parts(weights);
        let (dim, time) = (config.dim, config.dim.min(TIME_WIDTH));
        let square = 4 * config.in_channels;
        // The one size that the config does not say.
        let between = weights.shape("t_embedder.mlp.0.bias").and_then(|shape| shape.first().copied()).unwrap_or(1024);
        let blocks = |name: &str, count: usize, modulated: bool| {
            (0..count)
                .map(|layer| Block::new(config, parts, &format!("{name}.{layer}"), modulated))
                .collect::<std::result::Result<Vec<_>, ModelError>>()
        };
        Ok(Self {
            picture_in: parts.linear(&format!("all_x_embedder.{PATCH}"), [square, dim], true)?,
            text_norm: parts.rms_norm("cap_embedder.0", config.cap_feat_dim, config.norm_eps)?,
            text_in: parts.linear("cap_embedder.1", [config.cap_feat_dim, dim], true)?,
            time_in: [
                parts.linear("t_embedder.mlp.0", [TIME_WIDTH, between], true)?,
                parts.linear("t_embedder.mlp.2", [between, time], true)?,
            ],
            picture_fill: weights.tensor("x_pad_token", (1, dim))?,
            text_fill: weights.tensor("cap_pad_token", (1, dim))?,
            picture_refiners: blocks("noise_refiner", config.n_refiner_layers, true)?,
            text_refiners: blocks("context_refiner", config.n_refiner_layers, false)?,
            layers: blocks("layers", config.n_layers, true)?,
            scale_out: parts.linear(&format!("all_final_layer.{PATCH}.adaLN_modulation.1"), [time, dim], true)?,
            out: parts.linear(&format!("all_final_layer.{PATCH}.linear"), [dim, square], true)?,
            config: config.clone(),
            dtype: weights.dtype(),
        })
    }

    /// Prepares a text of rows (tokens, width) for a picture of `size` rows and columns of squares.
    pub(crate) fn context(&self, words: &Tensor, size: [usize; 2]) -> Result<Context> {
        let rows = self.text_norm.forward(&words.to_dtype(self.dtype)?)?;
        let mut words = filled(self.text_in.forward(&rows, Threads::All)?, &self.text_fill)?;
        let count = words.dim(0)?;
        // Text stands in a line, its filling included; the picture is the next in that line, and its filling at nought.
        let line: Vec<Place> = (1..=count).map(|place| [place, 0, 0]).collect();
        let squares = (0..size[0]).flat_map(|row| (0..size[1]).map(move |column| [count + 1, row, column]));
        let mut picture: Vec<Place> = squares.collect();
        picture.resize(picture.len().next_multiple_of(FILL), [0; 3]);
        let text = self.rotation(&line, words.device())?;
        for block in &self.text_refiners {
            words = block.forward(&words, &text, None)?;
        }
        let both = self.rotation(&[picture.as_slice(), &line].concat(), words.device())?;
        Ok(Context { size, picture: self.rotation(&picture, words.device())?, both, words })
    }

    /// Predicts the direction from noise to picture, in single precision.
    ///
    /// `latents` (1, channels, 2 · rows, 2 · columns); `time` is 0 where there is only noise and 1 at the picture.
    pub(crate) fn forward(&self, latents: &Tensor, time: f32, context: &Context) -> Result<Tensor> {
        let time = self.time(time, latents.device())?;
        let squares = self.picture_in.forward(&pack(latents)?.to_dtype(self.dtype)?, Threads::All)?;
        let count = squares.dim(0)?;
        let mut rows = filled(squares, &self.picture_fill)?;
        for block in &self.picture_refiners {
            rows = block.forward(&rows, &context.picture, Some(&time))?;
        }
        rows = Tensor::cat(&[&rows, &context.words], 0)?;
        for block in &self.layers {
            rows = block.forward(&rows, &context.both, Some(&time))?;
        }
        let scale = self.scale_out.forward(&activate(&time, Activation::Silu, false)?, Threads::All)?;
        let rows = normalize(&rows.narrow(0, 0, count)?.contiguous()?)?.broadcast_mul(&(scale + 1.0)?)?;
        unpack(&self.out.forward(&rows, Threads::All)?.to_dtype(DType::F32)?, context.size)
    }

    fn rotation(&self, places: &[Place], device: &Device) -> Result<Rotation> {
        Rotation::new(&self.config.axes_dims, self.config.rope_theta, places, device)
    }

    /// Returns what the layers are told of the time; shape (1, width).
    fn time(&self, time: f32, device: &Device) -> Result<Tensor> {
        let value = Tensor::full(time * self.config.t_scale, 1, device)?;
        let waves = sinusoids(&value, TIME_WIDTH, true, 0.0)?.to_dtype(self.dtype)?;
        let inner = activate(&self.time_in[0].forward(&waves, Threads::All)?, Activation::Silu, false)?;
        self.time_in[1].forward(&inner, Threads::All)
    }
}

impl Block {
    fn new(
        config: &ZImageConfig,
        parts: Parts<'_>,
        name: &str,
        modulated: bool,
    ) -> std::result::Result<Self, ModelError> {
        let (dim, heads) = (config.dim, config.n_heads);
        let inner = (dim as f64 / 3.0 * 8.0) as usize;
        let at = |part: &str| format!("{name}.{part}");
        let head_norm = |part: &str| parts.rms_norm(&at(part), dim / heads, HEAD_EPSILON);
        let norm = |part: &str| parts.rms_norm(&at(part), dim, config.norm_eps);
        let [query, key, value] = ["q", "k", "v"].map(|part| at(&format!("attention.to_{part}")));
        let modulation = || parts.linear(&at("adaLN_modulation.0"), [dim.min(TIME_WIDTH), 4 * dim], true);
        Ok(Self {
            qkv: parts.joined(&[&query, &key, &value], [dim, dim], false)?,
            head_norms: [head_norm("attention.norm_q")?, head_norm("attention.norm_k")?],
            attention_out: parts.linear(&at("attention.to_out.0"), [dim, dim], false)?,
            up: parts.joined(&[&at("feed_forward.w1"), &at("feed_forward.w3")], [dim, inner], false)?,
            down: parts.linear(&at("feed_forward.w2"), [inner, dim], false)?,
            attention_norms: [norm("attention_norm1")?, norm("attention_norm2")?],
            feed_norms: [norm("ffn_norm1")?, norm("ffn_norm2")?],
            modulation: modulated.then(modulation).transpose()?,
            heads,
        })
    }

    /// `rows` (places, dim); `time` (1, width), which a layer without modulation does not look at.
    fn forward(&self, rows: &Tensor, rotation: &Rotation, time: Option<&Tensor>) -> Result<Tensor> {
        let modulation = match (&self.modulation, time) {
            (Some(modulation), Some(time)) => Some(modulation.forward(time, Threads::All)?.chunk(4, 1)?),
            _ => None,
        };
        let scaled = |rows: Tensor, part: usize| match &modulation {
            Some(parts) => rows.broadcast_mul(&(&parts[part] + 1.0)?),
            None => Ok(rows),
        };
        let gated = |rows: Tensor, part: usize| match &modulation {
            Some(parts) => rows.broadcast_mul(&parts[part].tanh()?),
            None => Ok(rows),
        };
        let mixed = self.attend(&scaled(self.attention_norms[0].forward(rows)?, 0)?, rotation)?;
        let rows = (rows + gated(self.attention_norms[1].forward(&mixed)?, 1)?)?;
        let fed = self.feed(&scaled(self.feed_norms[0].forward(&rows)?, 2)?)?;
        &rows + gated(self.feed_norms[1].forward(&fed)?, 3)?
    }

    fn attend(&self, rows: &Tensor, rotation: &Rotation) -> Result<Tensor> {
        let (count, dim) = rows.dims2()?;
        let head = dim / self.heads;
        let qkv = self.qkv.forward(rows, Threads::All)?;
        let part = |at: usize| {
            let part = qkv.narrow(1, at * dim, dim)?.contiguous()?.reshape((count * self.heads, head))?;
            let part = match self.head_norms.get(at) {
                Some(norm) => norm.forward(&part)?,
                None => part,
            };
            part.reshape((1, count, self.heads, head))?.transpose(1, 2)?.contiguous()
        };
        let mixed = rotation.attend(&part(0)?, &part(1)?, &part(2)?)?.squeeze(0)?;
        self.attention_out.forward(&mixed, Threads::All)
    }

    fn feed(&self, rows: &Tensor) -> Result<Tensor> {
        let up = self.up.forward(rows, Threads::All)?;
        self.down.forward(&activate(&up, Activation::Silu, true)?, Threads::All)
    }
}

/// Appends the row `fill` up to a whole multiple of rows.
fn filled(rows: Tensor, fill: &Tensor) -> Result<Tensor> {
    let (count, width) = rows.dims2()?;
    match count.next_multiple_of(FILL) - count {
        0 => Ok(rows),
        missing => Tensor::cat(&[&rows, &fill.broadcast_as((missing, width))?.contiguous()?], 0),
    }
}

/// Turns (1, channels, 2 · rows, 2 · columns) into (rows · columns, 4 · channels): all channels of a latent side by side.
fn pack(latents: &Tensor) -> Result<Tensor> {
    let (_, channels, height, width) = latents.dims4()?;
    let squares = latents.reshape((channels, height / 2, 2, width / 2, 2))?.permute((1, 3, 2, 4, 0))?;
    squares.contiguous()?.reshape((height * width / 4, 4 * channels))
}

/// Undoes [`pack`].
fn unpack(squares: &Tensor, [rows, columns]: [usize; 2]) -> Result<Tensor> {
    let channels = squares.dim(1)? / 4;
    let latents = squares.reshape((rows, columns, 2, 2, channels))?.permute((4, 0, 2, 1, 3))?;
    latents.contiguous()?.reshape((1, channels, 2 * rows, 2 * columns))
}
