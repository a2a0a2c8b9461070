//! From latents to pixels: the decoder half of the autoencoder that Stable Diffusion and FLUX.1 share (`rombach2022`).
//!
//! Pictures are decoded one at a time: it holds the most memory of the whole pipeline, and a batch would gain nothing.

use candle_core::{DType, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, GroupNorm, Linear, Module, VarBuilder};
use serde::Deserialize;

use super::attention::attend;
use super::resnet::{Resnet, ResnetShape, Upsample, conv3};

const EPSILON: f64 = 1e-6;

/// `vae/config.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct VaeConfig {
    pub(crate) block_out_channels: Vec<usize>,
    #[serde(default = "VaeConfig::one")]
    layers_per_block: usize,
    pub(crate) latent_channels: usize,
    #[serde(default = "VaeConfig::groups")]
    norm_num_groups: usize,
    #[serde(default = "VaeConfig::scaling")]
    scaling_factor: f64,
    shift_factor: Option<f64>,
    #[serde(default = "VaeConfig::yes")]
    use_post_quant_conv: bool,
    #[serde(default = "VaeConfig::yes")]
    mid_block_add_attention: bool,
    /// Of later families; nothing here takes them out again.
    latents_mean: Option<Vec<f64>>,
}

impl VaeConfig {
    const fn one() -> usize {
        1
    }

    const fn groups() -> usize {
        32
    }

    const fn scaling() -> f64 {
        0.18215
    }

    const fn yes() -> bool {
        true
    }

    /// Returns how many pixels a latent stands for, along each side.
    pub(crate) const fn factor(&self) -> usize {
        1 << (self.block_out_channels.len().saturating_sub(1))
    }

    /// Returns about how many bytes a picture of this size needs while it is decoded: the widest convolution at full
    /// size, unrolled to its nine neighbours, with what goes in and comes out.
    pub(crate) fn working_bytes(&self, width: usize, height: usize) -> u64 {
        let channels = self.block_out_channels.get(1).or(self.block_out_channels.first()).copied().unwrap_or(0);
        (12 * channels * width * height * 4) as u64
    }
}

/// The decoder.
pub(crate) struct VaeDecoder {
    post_quant: Option<Conv2d>,
    conv_in: Conv2d,
    mid_first: Resnet,
    mid_attention: Option<MidAttention>,
    mid_last: Resnet,
    up: Vec<(Vec<Resnet>, Option<Upsample>)>,
    norm_out: GroupNorm,
    conv_out: Conv2d,
    scaling: f64,
    shift: f64,
    dtype: DType,
}

impl VaeDecoder {
    /// Reads a decoder; the encoder's weights may be there and are not read.
    ///
    /// # Errors
    ///
    /// A missing weight, or a shape that is not that of the configuration.
    pub(crate) fn new(config: &VaeConfig, weights: VarBuilder<'_>) -> Result<Self> {
        let latent = config.latent_channels;
        let channels: Vec<usize> = config.block_out_channels.iter().rev().copied().collect();
        let (Some(first), Some(last)) = (channels.first().copied(), channels.last().copied()) else {
            candle_core::bail!("block_out_channels: expected at least one block, got none");
        };
        if config.latents_mean.is_some() {
            candle_core::bail!("latents_mean: expected null, got a list, which is not implemented");
        }
        let decoder = weights.pp("decoder");
        let mid = decoder.pp("mid_block");
        let groups = config.norm_num_groups;
        let resnet = |inputs, outputs, weights| {
            Resnet::new(ResnetShape { inputs, outputs, time: None, groups, epsilon: EPSILON }, weights)
        };
        let block = |index: usize| {
            let outputs = channels[index];
            let inputs = channels[index.saturating_sub(1)];
            let weights = decoder.pp("up_blocks").pp(index);
            let resnets = (0..=config.layers_per_block).map(|layer| {
                resnet(if layer == 0 { inputs } else { outputs }, outputs, weights.pp("resnets").pp(layer))
            });
            let resnets = resnets.collect::<Result<Vec<_>>>()?;
            let upsample = (index + 1 < channels.len()).then(|| Upsample::new(outputs, weights.clone())).transpose()?;
            Ok((resnets, upsample))
        };
        let post_quant = config
            .use_post_quant_conv
            .then(|| candle_nn::conv2d(latent, latent, 1, Conv2dConfig::default(), weights.pp("post_quant_conv")));
        let mid_attention =
            config.mid_block_add_attention.then(|| MidAttention::new(first, groups, mid.pp("attentions.0")));
        Ok(Self {
            post_quant: post_quant.transpose()?,
            conv_in: conv3(latent, first, decoder.pp("conv_in"))?,
            mid_first: resnet(first, first, mid.pp("resnets.0"))?,
            mid_attention: mid_attention.transpose()?,
            mid_last: resnet(first, first, mid.pp("resnets.1"))?,
            up: (0..channels.len()).map(block).collect::<Result<_>>()?,
            norm_out: candle_nn::group_norm(groups, last, EPSILON, decoder.pp("conv_norm_out"))?,
            conv_out: conv3(last, 3, decoder.pp("conv_out"))?,
            scaling: config.scaling_factor,
            shift: config.shift_factor.unwrap_or(0.0),
            dtype: weights.dtype(),
        })
    }

    /// Decodes one picture: (1, channels, height, width) as a scheduler leaves it; gives (1, 3, height, width) about
    /// -1..=1, in single precision.
    pub(crate) fn decode(&self, latents: &Tensor) -> Result<Tensor> {
        let latents = ((latents / self.scaling)? + self.shift)?.to_dtype(self.dtype)?;
        let latents = match &self.post_quant {
            Some(conv) => conv.forward(&latents)?,
            None => latents,
        };
        let mut states = self.mid_first.forward(&self.conv_in.forward(&latents)?, None)?;
        if let Some(attention) = &self.mid_attention {
            states = attention.forward(&states)?;
        }
        states = self.mid_last.forward(&states, None)?;
        for (resnets, upsample) in &self.up {
            for resnet in resnets {
                states = resnet.forward(&states, None)?;
            }
            if let Some(upsample) = upsample {
                states = upsample.forward(&states, None)?;
            }
        }
        self.conv_out.forward(&self.norm_out.forward(&states)?.silu()?)?.to_dtype(DType::F32)
    }
}

/// Attention with one head among all places.
struct MidAttention {
    norm: GroupNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
}

impl MidAttention {
    fn new(width: usize, groups: usize, weights: VarBuilder<'_>) -> Result<Self> {
        // The names of the first years, and those that came after.
        let names = if weights.contains_tensor("to_q.weight") {
            ["to_q", "to_k", "to_v", "to_out.0"]
        } else {
            ["query", "key", "value", "proj_attn"]
        };
        let linear = |name: &str| square(width, weights.pp(name));
        Ok(Self {
            norm: candle_nn::group_norm(groups, width, EPSILON, weights.pp("group_norm"))?,
            query: linear(names[0])?,
            key: linear(names[1])?,
            value: linear(names[2])?,
            out: linear(names[3])?,
        })
    }

    fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = states.dims4()?;
        let places = self.norm.forward(states)?.flatten_from(2)?.transpose(1, 2)?.contiguous()?;
        let [query, key, value] =
            [&self.query, &self.key, &self.value].map(|linear| linear.forward(&places)?.unsqueeze(1));
        let mixed = attend(&query?, &key?, &value?, (channels as f64).powf(-0.5))?.squeeze(1)?;
        let mixed = self.out.forward(&mixed)?.transpose(1, 2)?.contiguous()?;
        mixed.reshape((batch, channels, height, width))? + states
    }
}

/// Reads a square linear map, which old files store as a convolution of 1 × 1.
fn square(width: usize, weights: VarBuilder<'_>) -> Result<Linear> {
    let weight = match weights.get((width, width), "weight") {
        Ok(weight) => weight,
        Err(_) => weights.get((width, width, 1, 1), "weight")?.reshape((width, width))?,
    };
    Ok(Linear::new(weight, Some(weights.get(width, "bias")?)))
}
