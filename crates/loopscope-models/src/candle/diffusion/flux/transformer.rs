//! The transformer of FLUX.1: text and picture side by side in double blocks, then as one sequence in single ones.
//!
//! Own, not candle-transformers': rotations are computed in single precision whatever the weights are, all published
//! forms of the weights share one code, and scores are chunked.

use candle_core::{D, DType, Device, Result, Tensor};
use serde::Deserialize;

use super::super::rotation::Rotation;
use super::super::unet::sinusoids;
use super::weights::{Layer, Source};

/// What diffusers calls the transformer of this family.
pub(crate) const CLASS: &str = "FluxTransformer2DModel";
/// Width of the embedding of time and guidance.
const TIME_WIDTH: usize = 256;
const EPSILON: f64 = 1e-6;
/// Rotations turn by 1 / THETA^(i / width).
const THETA: f64 = 10_000.0;

/// `transformer/config.json`; the defaults are FLUX.1's own sizes.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct FluxConfig {
    #[serde(rename = "_class_name")]
    pub(crate) class_name: String,
    pub(crate) in_channels: usize,
    pub(crate) num_layers: usize,
    pub(crate) num_single_layers: usize,
    pub(crate) attention_head_dim: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) joint_attention_dim: usize,
    pub(crate) pooled_projection_dim: usize,
    pub(crate) guidance_embeds: bool,
    axes_dims_rope: Vec<usize>,
}

impl Default for FluxConfig {
    fn default() -> Self {
        Self {
            class_name: CLASS.to_owned(),
            in_channels: 64,
            num_layers: 19,
            num_single_layers: 38,
            attention_head_dim: 128,
            num_attention_heads: 24,
            joint_attention_dim: 4096,
            pooled_projection_dim: 768,
            guidance_embeds: false,
            axes_dims_rope: vec![16, 56, 56],
        }
    }
}

impl FluxConfig {
    const fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }
}

/// What a text is to the transformer.
pub(crate) struct Conditioning {
    /// Encoded words; shape (1, words, width).
    pub(crate) words: Tensor,
    /// The text as a whole; shape (1, width).
    pub(crate) pooled: Tensor,
    /// How closely to follow it, for a model that was taught to.
    pub(crate) guidance: f64,
}

/// The denoiser.
pub(crate) struct FluxTransformer {
    image_in: Layer,
    text_in: Layer,
    time_in: [Layer; 2],
    guidance_in: Option<[Layer; 2]>,
    pooled_in: [Layer; 2],
    double: Vec<DoubleBlock>,
    single: Vec<SingleBlock>,
    modulation_out: Layer,
    out: Layer,
    config: FluxConfig,
    dtype: DType,
}

struct DoubleBlock {
    image: Stream,
    text: Stream,
}

/// One side of a double block.
struct Stream {
    modulation: Layer,
    attention: Qkv,
    out: Layer,
    widen: Layer,
    narrow: Layer,
}

/// Query, key and value as one matrix, and the norms of the first two.
struct Qkv {
    layer: Layer,
    query_scale: Tensor,
    key_scale: Tensor,
}

struct SingleBlock {
    modulation: Layer,
    enter: Qkv,
    leave: Layer,
}

impl FluxTransformer {
    /// Reads a transformer.
    ///
    /// # Errors
    ///
    /// A missing weight, or a shape that is not that of the configuration.
    pub(crate) fn new(config: &FluxConfig, source: &Source<'_>) -> Result<Self> {
        let width = config.width();
        if config.axes_dims_rope.iter().sum::<usize>() != config.attention_head_dim {
            candle_core::bail!(
                "axes_dims_rope: expected three numbers that add up to {}, got {:?}",
                config.attention_head_dim,
                config.axes_dims_rope
            );
        }
        let pair = |name: &str, inputs: usize| -> Result<[Layer; 2]> {
            Ok([
                source.linear(&format!("{name}.in_layer"), inputs, width)?,
                source.linear(&format!("{name}.out_layer"), width, width)?,
            ])
        };
        Ok(Self {
            image_in: source.linear("img_in", config.in_channels, width)?,
            text_in: source.linear("txt_in", config.joint_attention_dim, width)?,
            time_in: pair("time_in", TIME_WIDTH)?,
            guidance_in: config.guidance_embeds.then(|| pair("guidance_in", TIME_WIDTH)).transpose()?,
            pooled_in: pair("vector_in", config.pooled_projection_dim)?,
            double: (0..config.num_layers)
                .map(|index| DoubleBlock::new(config, source, index))
                .collect::<Result<_>>()?,
            single: (0..config.num_single_layers)
                .map(|index| SingleBlock::new(config, source, index))
                .collect::<Result<_>>()?,
            modulation_out: source.linear("final_layer.adaLN_modulation.1", width, 2 * width)?,
            out: source.linear("final_layer.linear", width, config.in_channels)?,
            config: config.clone(),
            dtype: source.dtype(),
        })
    }

    /// Predicts the direction from picture to noise.
    ///
    /// `places` (1, rows · columns, channels) in row order, for a picture of `size` rows and columns; `level` in 0..=1.
    pub(crate) fn forward(
        &self,
        places: &Tensor,
        size: [usize; 2],
        level: f64,
        conditioning: &Conditioning,
    ) -> Result<Tensor> {
        let device = places.device();
        let words = conditioning.words.dim(1)?;
        // Words stand at row 0 and column 0 and do not turn.
        let squares = (0..size[0]).flat_map(|row| (0..size[1]).map(move |column| [0, row, column]));
        let standing: Vec<_> = std::iter::repeat_n([0; 3], words).chain(squares).collect();
        let rotation = Rotation::new(&self.config.axes_dims_rope, THETA, &standing, device)?;
        let time = self.time(level, conditioning, device)?.silu()?;
        let mut image = self.image_in.forward(&places.to_dtype(self.dtype)?)?;
        let mut text = self.text_in.forward(&conditioning.words.to_dtype(self.dtype)?)?;
        for block in &self.double {
            (image, text) = block.forward(&image, &text, &time, &rotation, self.config.num_attention_heads)?;
        }
        let mut both = Tensor::cat(&[&text, &image], 1)?;
        for block in &self.single {
            both = block.forward(&both, &time, &rotation, &self.config)?;
        }
        let image = both.narrow(1, words, both.dim(1)? - words)?.contiguous()?;
        let modulation = self.modulation_out.forward(&time)?.unsqueeze(1)?.chunk(2, D::Minus1)?;
        self.out.forward(&modulate(&normalize(&image)?, &modulation[0], &modulation[1])?)
    }

    fn time(&self, level: f64, conditioning: &Conditioning, device: &Device) -> Result<Tensor> {
        let embed = |layers: &[Layer; 2], value: f64| {
            // Both are told in thousandths, and in the precision that the model was trained with.
            let value = Tensor::full(value as f32, 1, device)?.to_dtype(self.dtype)?.to_dtype(DType::F32)?;
            let waves = sinusoids(&(value * 1000.0)?, TIME_WIDTH, true, 0.0)?.to_dtype(self.dtype)?;
            two_layers(layers, &waves)
        };
        let mut time = embed(&self.time_in, level)?;
        if let Some(layers) = &self.guidance_in {
            time = (time + embed(layers, conditioning.guidance)?)?;
        }
        time + two_layers(&self.pooled_in, &conditioning.pooled.to_dtype(self.dtype)?)?
    }
}

fn two_layers(layers: &[Layer; 2], states: &Tensor) -> Result<Tensor> {
    layers[1].forward(&layers[0].forward(states)?.silu()?)
}

impl DoubleBlock {
    fn new(config: &FluxConfig, source: &Source<'_>, index: usize) -> Result<Self> {
        let stream = |side: &str| Stream::new(config, source, &format!("double_blocks.{index}.{side}"));
        Ok(Self { image: stream("img")?, text: stream("txt")? })
    }

    fn forward(
        &self,
        image: &Tensor,
        text: &Tensor,
        time: &Tensor,
        rotation: &Rotation,
        heads: usize,
    ) -> Result<(Tensor, Tensor)> {
        let [image_mod, text_mod] = [self.image.modulation(time)?, self.text.modulation(time)?];
        let image_qkv =
            self.image.attention.forward(&modulate(&normalize(image)?, &image_mod[0], &image_mod[1])?, heads)?;
        let text_qkv = self.text.attention.forward(&modulate(&normalize(text)?, &text_mod[0], &text_mod[1])?, heads)?;
        let both = |at: usize| Tensor::cat(&[&text_qkv[at], &image_qkv[at]], 2);
        let mixed = rotation.attend(&both(0)?, &both(1)?, &both(2)?)?;
        let words = text.dim(1)?;
        let text_mixed = mixed.narrow(1, 0, words)?;
        let image_mixed = mixed.narrow(1, words, mixed.dim(1)? - words)?;
        Ok((self.image.finish(image, &image_mixed, &image_mod)?, self.text.finish(text, &text_mixed, &text_mod)?))
    }
}

impl Stream {
    fn new(config: &FluxConfig, source: &Source<'_>, name: &str) -> Result<Self> {
        let width = config.width();
        Ok(Self {
            modulation: source.linear(&format!("{name}_mod.lin"), width, 6 * width)?,
            attention: Qkv::new(config, source, &format!("{name}_attn.qkv"), &format!("{name}_attn.norm"), 0)?,
            out: source.linear(&format!("{name}_attn.proj"), width, width)?,
            widen: source.linear(&format!("{name}_mlp.0"), width, 4 * width)?,
            narrow: source.linear(&format!("{name}_mlp.2"), 4 * width, width)?,
        })
    }

    /// Shift, scale and gate for the attention, then for the two layers after it.
    fn modulation(&self, time: &Tensor) -> Result<Vec<Tensor>> {
        self.modulation.forward(time)?.unsqueeze(1)?.chunk(6, D::Minus1)
    }

    fn finish(&self, states: &Tensor, mixed: &Tensor, modulation: &[Tensor]) -> Result<Tensor> {
        let states = (states + self.out.forward(mixed)?.broadcast_mul(&modulation[2])?)?;
        let inner = modulate(&normalize(&states)?, &modulation[3], &modulation[4])?;
        let inner = self.narrow.forward(&self.widen.forward(&inner)?.gelu()?)?;
        &states + inner.broadcast_mul(&modulation[5])?
    }
}

impl Qkv {
    /// `more` outputs follow those of query, key and value.
    fn new(config: &FluxConfig, source: &Source<'_>, layer: &str, norm: &str, more: usize) -> Result<Self> {
        let (width, head) = (config.width(), config.attention_head_dim);
        Ok(Self {
            layer: source.linear(layer, width, 3 * width + more)?,
            query_scale: source.scale(&format!("{norm}.query_norm"), head)?,
            key_scale: source.scale(&format!("{norm}.key_norm"), head)?,
        })
    }

    fn forward(&self, states: &Tensor, heads: usize) -> Result<[Tensor; 3]> {
        self.split(&self.layer.forward(states)?, heads)
    }

    /// Splits (batch, n, 3 · width) into normed query and key, and value, each (batch, heads, n, width / heads).
    fn split(&self, outputs: &Tensor, heads: usize) -> Result<[Tensor; 3]> {
        let (batch, count, width) = outputs.dims3()?;
        let parts = outputs.reshape((batch, count, 3, heads, width / 3 / heads))?;
        let part = |at: usize| parts.narrow(2, at, 1)?.squeeze(2)?.transpose(1, 2)?.contiguous();
        let norm = |states: Tensor, scale: &Tensor| candle_nn::ops::rms_norm(&states, scale, EPSILON as f32);
        Ok([norm(part(0)?, &self.query_scale)?, norm(part(1)?, &self.key_scale)?, part(2)?])
    }
}

impl SingleBlock {
    fn new(config: &FluxConfig, source: &Source<'_>, index: usize) -> Result<Self> {
        let name = format!("single_blocks.{index}");
        let width = config.width();
        Ok(Self {
            modulation: source.linear(&format!("{name}.modulation.lin"), width, 3 * width)?,
            enter: Qkv::new(config, source, &format!("{name}.linear1"), &format!("{name}.norm"), 4 * width)?,
            leave: source.linear(&format!("{name}.linear2"), 5 * width, width)?,
        })
    }

    fn forward(&self, states: &Tensor, time: &Tensor, rotation: &Rotation, config: &FluxConfig) -> Result<Tensor> {
        let width = config.width();
        let modulation = self.modulation.forward(time)?.unsqueeze(1)?.chunk(3, D::Minus1)?;
        let inner = self.enter.layer.forward(&modulate(&normalize(states)?, &modulation[0], &modulation[1])?)?;
        let qkv = inner.narrow(D::Minus1, 0, 3 * width)?.contiguous()?;
        let [query, key, value] = self.enter.split(&qkv, config.num_attention_heads)?;
        let mixed = rotation.attend(&query, &key, &value)?;
        let wide = inner.narrow(D::Minus1, 3 * width, 4 * width)?.contiguous()?.gelu()?;
        let out = self.leave.forward(&Tensor::cat(&[mixed, wide], D::Minus1)?)?;
        states + out.broadcast_mul(&modulation[2])?
    }
}

/// Subtracts the mean and divides by the deviation, without weights, in single precision.
pub(crate) fn normalize(states: &Tensor) -> Result<Tensor> {
    let wide = states.to_dtype(DType::F32)?;
    let centred = wide.broadcast_sub(&wide.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    centred.broadcast_div(&(variance + EPSILON)?.sqrt()?)?.to_dtype(states.dtype())
}

pub(crate) fn modulate(states: &Tensor, shift: &Tensor, scale: &Tensor) -> Result<Tensor> {
    states.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(shift)
}
