//! The convolutional parts that UNets and autoencoders share, by the names that diffusers gives to their weights.

use candle_core::{Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, GroupNorm, Linear, Module, VarBuilder};

/// A 3 × 3 convolution that keeps the size.
pub(crate) fn conv3(inputs: usize, outputs: usize, weights: VarBuilder<'_>) -> Result<Conv2d> {
    candle_nn::conv2d(inputs, outputs, 3, Conv2dConfig { padding: 1, ..Conv2dConfig::default() }, weights)
}

/// What a residual block is made of.
#[derive(Clone, Copy)]
pub(crate) struct ResnetShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Width of the embedding of the timestep, where there is one.
    pub(crate) time: Option<usize>,
    pub(crate) groups: usize,
    pub(crate) epsilon: f64,
}

/// Two convolutions and a way around them.
pub(crate) struct Resnet {
    norm1: GroupNorm,
    conv1: Conv2d,
    time: Option<Linear>,
    norm2: GroupNorm,
    conv2: Conv2d,
    shortcut: Option<Conv2d>,
    scale: f64,
}

impl Resnet {
    pub(crate) fn new(shape: ResnetShape, weights: VarBuilder<'_>) -> Result<Self> {
        let ResnetShape { inputs, outputs, time, groups, epsilon } = shape;
        let time = time.map(|width| candle_nn::linear(width, outputs, weights.pp("time_emb_proj")));
        let shortcut = (inputs != outputs)
            .then(|| candle_nn::conv2d(inputs, outputs, 1, Conv2dConfig::default(), weights.pp("conv_shortcut")));
        Ok(Self {
            norm1: candle_nn::group_norm(groups, inputs, epsilon, weights.pp("norm1"))?,
            conv1: conv3(inputs, outputs, weights.pp("conv1"))?,
            time: time.transpose()?,
            norm2: candle_nn::group_norm(groups, outputs, epsilon, weights.pp("norm2"))?,
            conv2: conv3(outputs, outputs, weights.pp("conv2"))?,
            shortcut: shortcut.transpose()?,
            scale: 1.0,
        })
    }

    /// Divides the sum by this.
    pub(crate) const fn scaled(mut self, scale: f64) -> Self {
        self.scale = scale;
        self
    }

    /// `states` (batch, inputs, height, width); `time` (batch, width), already through SiLU.
    pub(crate) fn forward(&self, states: &Tensor, time: Option<&Tensor>) -> Result<Tensor> {
        let mut inner = self.conv1.forward(&self.norm1.forward(states)?.silu()?)?;
        if let (Some(projection), Some(time)) = (&self.time, time) {
            let (batch, channels) = (inner.dim(0)?, inner.dim(1)?);
            inner = inner.broadcast_add(&projection.forward(time)?.reshape((batch, channels, 1, 1))?)?;
        }
        let inner = self.conv2.forward(&self.norm2.forward(&inner)?.silu()?)?;
        let around = match &self.shortcut {
            Some(shortcut) => &shortcut.forward(states)?,
            None => states,
        };
        let sum = (around + inner)?;
        if self.scale == 1.0 { Ok(sum) } else { sum / self.scale }
    }
}

/// Doubles the size, or brings it to `size`, by repeating pixels, then convolves.
pub(crate) struct Upsample(Conv2d);

impl Upsample {
    pub(crate) fn new(channels: usize, weights: VarBuilder<'_>) -> Result<Self> {
        Ok(Self(conv3(channels, channels, weights.pp("upsamplers.0.conv"))?))
    }

    pub(crate) fn forward(&self, states: &Tensor, size: Option<(usize, usize)>) -> Result<Tensor> {
        let (_, _, height, width) = states.dims4()?;
        let (height, width) = size.unwrap_or((2 * height, 2 * width));
        self.0.forward(&states.upsample_nearest2d(height, width)?)
    }
}

/// Halves the size by a convolution that takes every other place.
pub(crate) struct Downsample(Conv2d);

impl Downsample {
    pub(crate) fn new(channels: usize, padding: usize, weights: VarBuilder<'_>) -> Result<Self> {
        let config = Conv2dConfig { stride: 2, padding, ..Conv2dConfig::default() };
        Ok(Self(candle_nn::conv2d(channels, channels, 3, config, weights.pp("downsamplers.0.conv"))?))
    }

    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        self.0.forward(states)
    }
}
