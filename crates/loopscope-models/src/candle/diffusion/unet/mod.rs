//! The UNet of Stable Diffusion 1, 2, XL and their Turbo forms, from weights with diffusers' names.
//!
//! Not candle-transformers': its blocks take 32 groups whatever the file says, approximate the gated activation, and
//! have no place for the pooled text and the sizes that SDXL looks at.

mod config;
mod transformer;

use candle_core::{DType, Result, Tensor};
use candle_nn::{Conv2d, GroupNorm, Linear, Module, VarBuilder};

pub(crate) use config::UnetConfig;
use transformer::SpatialTransformer;

use super::resnet::{Downsample, Resnet, ResnetShape, Upsample, conv3};

/// What SDXL looks at besides the text.
pub(crate) struct Addition {
    /// Pooled text; shape (batch, width).
    pub(crate) pooled: Tensor,
    /// Original height and width, top and left of the crop, height and width wanted; shape (batch, 6), f32.
    pub(crate) sizes: Tensor,
}

/// A denoiser of latents.
pub(crate) struct Unet {
    conv_in: Conv2d,
    time: TimestepEmbedding,
    addition: Option<TimestepEmbedding>,
    down: Vec<DownBlock>,
    mid_first: Resnet,
    mid_transformer: SpatialTransformer,
    mid_last: Resnet,
    up: Vec<UpBlock>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    config: UnetConfig,
}

struct DownBlock {
    resnets: Vec<Resnet>,
    transformers: Vec<SpatialTransformer>,
    downsample: Option<Downsample>,
}

struct UpBlock {
    resnets: Vec<Resnet>,
    transformers: Vec<SpatialTransformer>,
    upsample: Option<Upsample>,
}

impl Unet {
    /// Reads a UNet of this configuration, which was checked.
    ///
    /// # Errors
    ///
    /// A missing weight, or a shape that is not that of the configuration.
    pub(crate) fn new(config: &UnetConfig, weights: VarBuilder<'_>) -> Result<Self> {
        let channels = &config.block_out_channels;
        let (first, last) = (channels[0], channels[channels.len() - 1]);
        let time = 4 * first;
        let shape = |inputs, outputs| resnet_shape(config, inputs, outputs);
        let addition = match (config.has_addition(), config.projection_class_embeddings_input_dim) {
            (true, Some(width)) => Some(TimestepEmbedding::new(width, time, weights.pp("add_embedding"))?),
            (true, None) => candle_core::bail!("projection_class_embeddings_input_dim: expected a number, got null"),
            (false, _) => None,
        };
        let deepest = channels.len() - 1;
        let mid = weights.pp("mid_block");
        let depth = config.transformer_layers(deepest);
        let scale = config.mid_block_scale_factor;
        Ok(Self {
            conv_in: conv3(config.in_channels, first, weights.pp("conv_in"))?,
            time: TimestepEmbedding::new(first, time, weights.pp("time_embedding"))?,
            addition,
            down: (0..channels.len())
                .map(|index| DownBlock::new(config, index, weights.pp("down_blocks").pp(index)))
                .collect::<Result<_>>()?,
            mid_first: Resnet::new(shape(last, last), mid.pp("resnets.0"))?.scaled(scale),
            mid_transformer: SpatialTransformer::new(
                config,
                last,
                config.heads(deepest),
                depth,
                mid.pp("attentions.0"),
            )?,
            mid_last: Resnet::new(shape(last, last), mid.pp("resnets.1"))?.scaled(scale),
            up: (0..channels.len())
                .map(|index| UpBlock::new(config, index, weights.pp("up_blocks").pp(index)))
                .collect::<Result<_>>()?,
            norm_out: candle_nn::group_norm(
                config.norm_num_groups,
                first,
                config.norm_eps,
                weights.pp("conv_norm_out"),
            )?,
            conv_out: conv3(first, config.out_channels, weights.pp("conv_out"))?,
            config: config.clone(),
        })
    }

    /// Predicts noise or velocity: `sample` (batch, channels, height, width), `text` (batch, words, width).
    pub(crate) fn forward(
        &self,
        sample: &Tensor,
        timestep: f64,
        text: &Tensor,
        addition: Option<&Addition>,
    ) -> Result<Tensor> {
        let batch = sample.dim(0)?;
        let time = self.time_embedding(batch, timestep, sample, addition)?.silu()?;
        let mut states = self.conv_in.forward(sample)?;
        let mut skips = vec![states.clone()];
        for block in &self.down {
            states = block.forward(states, &time, text, &mut skips)?;
        }
        states = self.mid_first.forward(&states, Some(&time))?;
        states = self.mid_transformer.forward(&states, text)?;
        states = self.mid_last.forward(&states, Some(&time))?;
        for block in &self.up {
            states = block.forward(states, &time, text, &mut skips)?;
        }
        self.conv_out.forward(&self.norm_out.forward(&states)?.silu()?)
    }

    fn time_embedding(
        &self,
        batch: usize,
        timestep: f64,
        sample: &Tensor,
        addition: Option<&Addition>,
    ) -> Result<Tensor> {
        let device = sample.device();
        let width = self.config.block_out_channels[0];
        let times = Tensor::full(timestep as f32, batch, device)?;
        let embedding = self.time.forward(&self.sinusoids(&times, width)?.to_dtype(sample.dtype())?)?;
        let Some(layers) = &self.addition else {
            return Ok(embedding);
        };
        let (Some(addition), Some(width)) = (addition, self.config.addition_time_embed_dim) else {
            candle_core::bail!("this UNet needs pooled text, sizes, and addition_time_embed_dim in its configuration");
        };
        let sizes = self.sinusoids(&addition.sizes.flatten_all()?, width)?.reshape((batch, ()))?;
        let both = Tensor::cat(&[&addition.pooled, &sizes.to_dtype(addition.pooled.dtype())?], 1)?;
        embedding + layers.forward(&both.to_dtype(sample.dtype())?)?
    }

    fn sinusoids(&self, values: &Tensor, width: usize) -> Result<Tensor> {
        sinusoids(values, width, self.config.flip_sin_to_cos, self.config.freq_shift)
    }
}

/// Returns sines and cosines of `values` (n) at `width / 2` frequencies from 1 down to 1 / 10 000; shape (n, width), f32.
///
/// Reference: `vaswani2017`, section 3.5.
pub(crate) fn sinusoids(values: &Tensor, width: usize, cosines_first: bool, shift: f64) -> Result<Tensor> {
    let half = width / 2;
    let exponent = |index: usize| (-(10_000_f32.ln()) * index as f32 / (half as f64 - shift) as f32).exp();
    let frequencies: Vec<f32> = (0..half).map(exponent).collect();
    let frequencies = Tensor::from_vec(frequencies, (1, half), values.device())?;
    let angles = values.to_dtype(DType::F32)?.unsqueeze(1)?.broadcast_mul(&frequencies)?;
    let (sines, cosines) = (angles.sin()?, angles.cos()?);
    if cosines_first { Tensor::cat(&[cosines, sines], 1) } else { Tensor::cat(&[sines, cosines], 1) }
}

/// Two linear maps with SiLU between them.
struct TimestepEmbedding {
    first: Linear,
    second: Linear,
}

impl TimestepEmbedding {
    fn new(inputs: usize, outputs: usize, weights: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            first: candle_nn::linear(inputs, outputs, weights.pp("linear_1"))?,
            second: candle_nn::linear(outputs, outputs, weights.pp("linear_2"))?,
        })
    }

    fn forward(&self, states: &Tensor) -> Result<Tensor> {
        self.second.forward(&self.first.forward(states)?.silu()?)
    }
}

fn resnet_shape(config: &UnetConfig, inputs: usize, outputs: usize) -> ResnetShape {
    let time = Some(4 * config.block_out_channels[0]);
    ResnetShape { inputs, outputs, time, groups: config.norm_num_groups, epsilon: config.norm_eps }
}

impl DownBlock {
    fn new(config: &UnetConfig, index: usize, weights: VarBuilder<'_>) -> Result<Self> {
        let outputs = config.block_out_channels[index];
        let inputs = config.block_out_channels[index.saturating_sub(1)];
        let layers = config.layers_per_block;
        let resnet = |layer: usize| {
            let inputs = if layer == 0 { inputs } else { outputs };
            Resnet::new(resnet_shape(config, inputs, outputs), weights.pp("resnets").pp(layer))
        };
        let transformer = |layer: usize| {
            let (heads, depth) = (config.heads(index), config.transformer_layers(index));
            SpatialTransformer::new(config, outputs, heads, depth, weights.pp("attentions").pp(layer))
        };
        let attends = config.down_block_types[index].starts_with("CrossAttn");
        let is_last = index + 1 == config.block_out_channels.len();
        let downsample =
            (!is_last).then(|| Downsample::new(outputs, config.downsample_padding, weights.clone())).transpose()?;
        Ok(Self {
            resnets: (0..layers).map(resnet).collect::<Result<_>>()?,
            transformers: if attends { (0..layers).map(transformer).collect::<Result<_>>()? } else { Vec::new() },
            downsample,
        })
    }

    fn forward(&self, mut states: Tensor, time: &Tensor, text: &Tensor, skips: &mut Vec<Tensor>) -> Result<Tensor> {
        for (index, resnet) in self.resnets.iter().enumerate() {
            states = resnet.forward(&states, Some(time))?;
            if let Some(transformer) = self.transformers.get(index) {
                states = transformer.forward(&states, text)?;
            }
            skips.push(states.clone());
        }
        if let Some(downsample) = &self.downsample {
            states = downsample.forward(&states)?;
            skips.push(states.clone());
        }
        Ok(states)
    }
}

impl UpBlock {
    /// `index` counts from the inside.
    fn new(config: &UnetConfig, index: usize, weights: VarBuilder<'_>) -> Result<Self> {
        let channels = &config.block_out_channels;
        let mirrored = channels.len() - 1 - index;
        let outputs = channels[mirrored];
        let before = if index == 0 { outputs } else { channels[mirrored + 1] };
        let skip_last = channels[mirrored.saturating_sub(1)];
        let layers = config.layers_per_block + 1;
        let resnet = |layer: usize| {
            let skip = if layer + 1 == layers { skip_last } else { outputs };
            let inputs = if layer == 0 { before } else { outputs };
            Resnet::new(resnet_shape(config, inputs + skip, outputs), weights.pp("resnets").pp(layer))
        };
        let transformer = |layer: usize| {
            let (heads, depth) = (config.heads(mirrored), config.transformer_layers(mirrored));
            SpatialTransformer::new(config, outputs, heads, depth, weights.pp("attentions").pp(layer))
        };
        let attends = config.up_block_types[index].starts_with("CrossAttn");
        let upsample = (mirrored > 0).then(|| Upsample::new(outputs, weights.clone())).transpose()?;
        Ok(Self {
            resnets: (0..layers).map(resnet).collect::<Result<_>>()?,
            transformers: if attends { (0..layers).map(transformer).collect::<Result<_>>()? } else { Vec::new() },
            upsample,
        })
    }

    fn forward(&self, mut states: Tensor, time: &Tensor, text: &Tensor, skips: &mut Vec<Tensor>) -> Result<Tensor> {
        for (index, resnet) in self.resnets.iter().enumerate() {
            let Some(skip) = skips.pop() else { candle_core::bail!("the UNet's blocks do not mirror each other") };
            states = resnet.forward(&Tensor::cat(&[&states, &skip], 1)?, Some(time))?;
            if let Some(transformer) = self.transformers.get(index) {
                states = transformer.forward(&states, text)?;
            }
        }
        match &self.upsample {
            // To the size of what comes next, which is odd where latents do not halve evenly.
            Some(upsample) => {
                let size = skips.last().map(Tensor::dims4).transpose()?.map(|(_, _, height, width)| (height, width));
                upsample.forward(&states, size)
            }
            None => Ok(states),
        }
    }
}
