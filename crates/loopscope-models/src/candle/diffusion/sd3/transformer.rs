//! The transformer of Stable Diffusion 3 and 3.5: text and picture side by side, joined in every attention
//! (`esser2024`).
//!
//! Own, not candle-transformers': it reads the layout that is published for pipelines, and shares one attention with the
//! other painters, which takes rows in chunks and makes its operands contiguous.

use candle_core::{D, DType, Result, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};

use super::super::attention::{attend, join_heads, split_heads};
use super::super::flux::{modulate, normalize, pack};
use super::super::unet::sinusoids;
use super::config::{PATCH, Sd3Config};

/// Width of the embedding of time.
const TIME_WIDTH: usize = 256;
/// Of the norms of query and key.
const EPSILON: f32 = 1e-6;

/// What texts are to the transformer.
#[derive(Clone)]
pub(crate) struct Conditioning {
    /// Encoded words; shape (batch, words, width).
    pub(crate) words: Tensor,
    /// Each text as a whole; shape (batch, width).
    pub(crate) pooled: Tensor,
}

/// The denoiser, for pictures of one size.
pub(crate) struct Sd3Transformer {
    /// From the latents of a place.
    image_in: Linear,
    /// What tells places apart; shape (1, rows · columns, width).
    places: Tensor,
    text_in: Linear,
    time_in: [Linear; 2],
    pooled_in: [Linear; 2],
    blocks: Vec<Block>,
    modulation_out: Linear,
    out: Linear,
    size: [usize; 2],
    heads: usize,
    dtype: DType,
}

struct Block {
    image: Stream,
    text: Stream,
    /// Attention of places among themselves, in layers that have it.
    second: Option<(Qkv, Linear)>,
}

/// One side of a block.
struct Stream {
    modulation: Linear,
    attention: Qkv,
    /// `None` for the text of the last block, which is only looked at.
    rest: Option<Rest>,
}

/// What a side does after the attention.
struct Rest {
    out: Linear,
    widen: Linear,
    narrow: Linear,
}

/// Query, key and value as one matrix, and the norms of the first two where there are any.
struct Qkv {
    layer: Linear,
    scales: Option<[Tensor; 2]>,
}

/// The names of one side's weights.
struct Names {
    modulation: &'static str,
    qkv: [&'static str; 3],
    norms: [&'static str; 2],
    out: &'static str,
    layers: &'static str,
}

const IMAGE: Names = Names {
    modulation: "norm1.linear",
    qkv: ["to_q", "to_k", "to_v"],
    norms: ["norm_q", "norm_k"],
    out: "to_out.0",
    layers: "ff.net",
};
const TEXT: Names = Names {
    modulation: "norm1_context.linear",
    qkv: ["add_q_proj", "add_k_proj", "add_v_proj"],
    norms: ["norm_added_q", "norm_added_k"],
    out: "to_add_out",
    layers: "ff_context.net",
};

impl Sd3Transformer {
    /// Reads a transformer for pictures of `size` rows and columns of places.
    ///
    /// # Errors
    ///
    /// A missing weight, a shape that is not that of the configuration, or a picture with more places than it knows.
    pub(crate) fn new(config: &Sd3Config, weights: VarBuilder<'_>, size: [usize; 2]) -> Result<Self> {
        let width = config.width();
        let channels = config.in_channels;
        let pair = |name: &str, inputs: usize| -> Result<[Linear; 2]> {
            let weights = weights.pp("time_text_embed").pp(name);
            Ok([linear(inputs, width, weights.pp("linear_1"))?, linear(width, width, weights.pp("linear_2"))?])
        };
        let blocks = (0..config.num_layers).map(|index| Block::new(config, &weights, index));
        Ok(Self {
            image_in: squares(channels, width, weights.pp("pos_embed.proj"))?,
            places: places(config, &weights, size)?,
            text_in: linear(config.joint_attention_dim, width, weights.pp("context_embedder"))?,
            time_in: pair("timestep_embedder", TIME_WIDTH)?,
            pooled_in: pair("text_embedder", config.pooled_projection_dim)?,
            blocks: blocks.collect::<Result<_>>()?,
            modulation_out: linear(width, 2 * width, weights.pp("norm_out.linear"))?,
            out: linear(width, PATCH * PATCH * channels, weights.pp("proj_out"))?,
            size,
            heads: config.num_attention_heads,
            dtype: weights.dtype(),
        })
    }

    /// Predicts the direction from picture to noise.
    ///
    /// `latents` (batch, channels, height, width), with as many texts; `timestep` in `0.0..=1000.0`. Gives the shape of
    /// `latents`.
    pub(crate) fn forward(&self, latents: &Tensor, timestep: f64, conditioning: &Conditioning) -> Result<Tensor> {
        let time = self.time(timestep, &conditioning.pooled)?.silu()?;
        let squares = pack(&latents.to_dtype(self.dtype)?)?;
        let mut image = self.image_in.forward(&squares)?.broadcast_add(&self.places)?;
        let mut text = self.text_in.forward(&conditioning.words.to_dtype(self.dtype)?)?;
        for block in &self.blocks {
            (image, text) = block.forward(&image, &text, &time, self.heads)?;
        }
        let modulation = chunks(&self.modulation_out.forward(&time)?, 2)?;
        let out = self.out.forward(&modulate(&normalize(&image)?, &modulation[1], &modulation[0])?)?;
        self.unpack(&out)
    }

    fn time(&self, timestep: f64, pooled: &Tensor) -> Result<Tensor> {
        let timestep = Tensor::full(timestep as f32, 1, pooled.device())?;
        let waves = sinusoids(&timestep, TIME_WIDTH, true, 0.0)?.to_dtype(self.dtype)?;
        let time = two_layers(&self.time_in, &waves)?;
        two_layers(&self.pooled_in, &pooled.to_dtype(self.dtype)?)?.broadcast_add(&time)
    }

    /// Turns (batch, rows · columns, 4 · channels) into (batch, channels, 2 · rows, 2 · columns); unlike what goes in,
    /// the channels of a place stand together.
    fn unpack(&self, states: &Tensor) -> Result<Tensor> {
        let [rows, columns] = self.size;
        let (batch, _, width) = states.dims3()?;
        let channels = width / (PATCH * PATCH);
        let squares = states
            .reshape((batch, rows, columns, PATCH, PATCH, channels))?
            .permute((0, 5, 1, 3, 2, 4))?
            .contiguous()?;
        squares.reshape((batch, channels, PATCH * rows, PATCH * columns))
    }
}

/// Reads a convolution of 2 × 2 without overlap as the linear map of a square that it is.
fn squares(channels: usize, width: usize, weights: VarBuilder<'_>) -> Result<Linear> {
    let weight = weights.get((width, channels, PATCH, PATCH), "weight")?;
    Ok(Linear::new(weight.reshape((width, channels * PATCH * PATCH))?, Some(weights.get(width, "bias")?)))
}

/// Returns the middle of the square of places that the file holds, which is as large as the largest picture.
fn places(config: &Sd3Config, weights: &VarBuilder<'_>, [rows, columns]: [usize; 2]) -> Result<Tensor> {
    let (most, width) = (config.places_max(), config.width());
    if rows.max(columns) > most {
        candle_core::bail!("pos_embed_max_size is {most}: a picture of {columns} × {rows} places is too large");
    }
    let all = weights.get((1, most * most, width), "pos_embed.pos_embed")?.reshape((most, most, width))?;
    let middle = all.narrow(0, (most - rows) / 2, rows)?.narrow(1, (most - columns) / 2, columns)?;
    // A copy, so that the rest of it can go: for 3.5 Medium it is a gigabyte.
    middle.force_contiguous()?.reshape((1, rows * columns, width))
}

fn two_layers(layers: &[Linear; 2], states: &Tensor) -> Result<Tensor> {
    layers[1].forward(&layers[0].forward(states)?.silu()?)
}

/// Splits (batch, count · width) into parts of shape (batch, 1, width).
fn chunks(states: &Tensor, count: usize) -> Result<Vec<Tensor>> {
    states.unsqueeze(1)?.chunk(count, D::Minus1)
}

impl Block {
    fn new(config: &Sd3Config, weights: &VarBuilder<'_>, index: usize) -> Result<Self> {
        let width = config.width();
        let weights = weights.pp("transformer_blocks").pp(index);
        let is_last = index + 1 == config.num_layers;
        let second = || -> Result<_> {
            let attention = weights.pp("attn2");
            Ok((Qkv::new(config, &IMAGE, &attention)?, linear(width, width, attention.pp(IMAGE.out))?))
        };
        let is_dual = config.is_dual(index);
        Ok(Self {
            image: Stream::new(config, &IMAGE, &weights, if is_dual { 9 } else { 6 }, true)?,
            text: Stream::new(config, &TEXT, &weights, if is_last { 2 } else { 6 }, !is_last)?,
            second: is_dual.then(second).transpose()?,
        })
    }

    /// Gives picture and text; the text of the last block as it came.
    fn forward(&self, image: &Tensor, text: &Tensor, time: &Tensor, heads: usize) -> Result<(Tensor, Tensor)> {
        let (image_mod, text_mod) = (self.image.modulation(time)?, self.text.modulation(time)?);
        let normed = normalize(image)?;
        let image_qkv = self.image.attention.forward(&modulate(&normed, &image_mod[0], &image_mod[1])?, heads)?;
        let text_qkv = self.text.attention.forward(&modulate(&normalize(text)?, &text_mod[0], &text_mod[1])?, heads)?;
        let both = |at: usize| Tensor::cat(&[&image_qkv[at], &text_qkv[at]], 2);
        let mixed = mix(&[both(0)?, both(1)?, both(2)?])?;
        let places = image.dim(1)?;
        let image_mixed = mixed.narrow(1, 0, places)?.contiguous()?;
        let text_mixed = mixed.narrow(1, places, mixed.dim(1)? - places)?.contiguous()?;
        let among = |(qkv, out): &(Qkv, Linear)| -> Result<Tensor> {
            let qkv = qkv.forward(&modulate(&normed, &image_mod[6], &image_mod[7])?, heads)?;
            out.forward(&mix(&qkv)?)?.broadcast_mul(&image_mod[8])
        };
        let among = self.second.as_ref().map(among).transpose()?;
        Ok((
            self.image.finish(image, &image_mixed, among.as_ref(), &image_mod)?,
            self.text.finish(text, &text_mixed, None, &text_mod)?,
        ))
    }
}

impl Stream {
    /// `parts` of the modulation; `goes_on` where something follows the attention.
    fn new(config: &Sd3Config, names: &Names, weights: &VarBuilder<'_>, parts: usize, goes_on: bool) -> Result<Self> {
        let width = config.width();
        let attention = weights.pp("attn");
        let layers = weights.pp(names.layers);
        let rest = || -> Result<Rest> {
            Ok(Rest {
                out: linear(width, width, attention.pp(names.out))?,
                widen: linear(width, 4 * width, layers.pp("0.proj"))?,
                narrow: linear(4 * width, width, layers.pp("2"))?,
            })
        };
        Ok(Self {
            modulation: linear(width, parts * width, weights.pp(names.modulation))?,
            attention: Qkv::new(config, names, &attention)?,
            rest: goes_on.then(rest).transpose()?,
        })
    }

    /// Shift and scale for the attention; where something follows it, its gate, and the same three for the two layers
    /// after it; in layers of dual attention, the three for the second.
    fn modulation(&self, time: &Tensor) -> Result<Vec<Tensor>> {
        let parts = self.modulation.weight().dim(0)? / time.dim(1)?;
        let mut parts = chunks(&self.modulation.forward(time)?, parts)?;
        if self.rest.is_none() {
            // Where the text goes no further, its scale stands before its shift.
            parts.swap(0, 1);
        }
        Ok(parts)
    }

    /// `among` is what places told each other, if they did.
    fn finish(&self, states: &Tensor, mixed: &Tensor, among: Option<&Tensor>, modulation: &[Tensor]) -> Result<Tensor> {
        let Some(rest) = &self.rest else { return Ok(states.clone()) };
        let mut states = (states + rest.out.forward(mixed)?.broadcast_mul(&modulation[2])?)?;
        if let Some(among) = among {
            states = (states + among)?;
        }
        let inner = modulate(&normalize(&states)?, &modulation[3], &modulation[4])?;
        let inner = rest.narrow.forward(&rest.widen.forward(&inner)?.gelu()?)?;
        &states + inner.broadcast_mul(&modulation[5])?
    }
}

impl Qkv {
    fn new(config: &Sd3Config, names: &Names, weights: &VarBuilder<'_>) -> Result<Self> {
        let width = config.width();
        let parts = names.qkv.iter().map(|name| linear(width, width, weights.pp(name))).collect::<Result<Vec<_>>>()?;
        let weight: Vec<&Tensor> = parts.iter().map(Linear::weight).collect();
        let bias: Vec<&Tensor> = parts.iter().filter_map(Linear::bias).collect();
        let scale = |name: &str| weights.pp(name).get(config.attention_head_dim, "weight");
        let scales = || -> Result<_> { Ok([scale(names.norms[0])?, scale(names.norms[1])?]) };
        Ok(Self {
            layer: Linear::new(Tensor::cat(&weight, 0)?, Some(Tensor::cat(&bias, 0)?)),
            scales: config.is_normed().then(scales).transpose()?,
        })
    }

    /// Gives query, key and value, each (batch, heads, n, width / heads).
    fn forward(&self, states: &Tensor, heads: usize) -> Result<[Tensor; 3]> {
        let parts = self.layer.forward(states)?.chunk(3, D::Minus1)?;
        let [mut query, mut key] = [split_heads(&parts[0], heads)?, split_heads(&parts[1], heads)?];
        if let Some([query_scale, key_scale]) = &self.scales {
            query = candle_nn::ops::rms_norm(&query, query_scale, EPSILON)?;
            key = candle_nn::ops::rms_norm(&key, key_scale, EPSILON)?;
        }
        Ok([query, key, split_heads(&parts[2], heads)?])
    }
}

fn mix([query, key, value]: &[Tensor; 3]) -> Result<Tensor> {
    let scale = (query.dim(3)? as f64).powf(-0.5);
    join_heads(&attend(query, key, value, scale)?)
}
