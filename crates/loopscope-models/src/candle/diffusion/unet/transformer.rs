//! Where a UNet looks at the text: transformer layers over the places of a feature map.

use candle_core::{D, Result, Tensor};
use candle_nn::{Conv2d, Conv2dConfig, GroupNorm, LayerNorm, Linear, Module, VarBuilder};

use super::super::attention::{attend, join_heads, split_heads};
use super::config::UnetConfig;

/// Layers of attention among places, and from places to the words of the text.
pub(super) struct SpatialTransformer {
    norm: GroupNorm,
    enter: Projection,
    layers: Vec<Layer>,
    leave: Projection,
}

/// Stable Diffusion 1 has convolutions of 1 × 1 where later ones have linear maps: the same sum, written otherwise.
enum Projection {
    Linear(Linear),
    Conv(Conv2d),
}

impl Projection {
    fn new(linear: bool, width: usize, weights: VarBuilder<'_>) -> Result<Self> {
        Ok(if linear {
            Self::Linear(candle_nn::linear(width, width, weights)?)
        } else {
            Self::Conv(candle_nn::conv2d(width, width, 1, Conv2dConfig::default(), weights)?)
        })
    }
}

impl SpatialTransformer {
    pub(super) fn new(
        config: &UnetConfig,
        width: usize,
        heads: usize,
        depth: usize,
        weights: VarBuilder<'_>,
    ) -> Result<Self> {
        let linear = config.use_linear_projection;
        let layers = (0..depth).map(|index| {
            Layer::new(width, config.cross_attention_dim, heads, weights.pp("transformer_blocks").pp(index))
        });
        Ok(Self {
            norm: candle_nn::group_norm(config.norm_num_groups, width, 1e-6, weights.pp("norm"))?,
            enter: Projection::new(linear, width, weights.pp("proj_in"))?,
            layers: layers.collect::<Result<_>>()?,
            leave: Projection::new(linear, width, weights.pp("proj_out"))?,
        })
    }

    /// `states` (batch, channels, height, width), `text` (batch, words, width of the text).
    pub(super) fn forward(&self, states: &Tensor, text: &Tensor) -> Result<Tensor> {
        let (batch, channels, height, width) = states.dims4()?;
        let places = |map: &Tensor| map.flatten_from(2)?.transpose(1, 2)?.contiguous();
        let map = |places: &Tensor| places.transpose(1, 2)?.contiguous()?.reshape((batch, channels, height, width));
        let normed = self.norm.forward(states)?;
        let mut inner = match &self.enter {
            Projection::Conv(conv) => places(&conv.forward(&normed)?)?,
            Projection::Linear(linear) => linear.forward(&places(&normed)?)?,
        };
        for layer in &self.layers {
            inner = layer.forward(&inner, text)?;
        }
        let inner = match &self.leave {
            Projection::Conv(conv) => conv.forward(&map(&inner)?)?,
            Projection::Linear(linear) => map(&linear.forward(&inner)?)?,
        };
        inner + states
    }
}

struct Layer {
    norm_self: LayerNorm,
    within: Attention,
    norm_text: LayerNorm,
    across: Attention,
    norm_mlp: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

impl Layer {
    fn new(width: usize, text: usize, heads: usize, weights: VarBuilder<'_>) -> Result<Self> {
        let norm = |name: &str| candle_nn::layer_norm(width, 1e-5, weights.pp(name));
        Ok(Self {
            norm_self: norm("norm1")?,
            within: Attention::new(width, width, heads, weights.pp("attn1"))?,
            norm_text: norm("norm2")?,
            across: Attention::new(width, text, heads, weights.pp("attn2"))?,
            norm_mlp: norm("norm3")?,
            widen: candle_nn::linear(width, 8 * width, weights.pp("ff.net.0.proj"))?,
            narrow: candle_nn::linear(4 * width, width, weights.pp("ff.net.2"))?,
        })
    }

    fn forward(&self, states: &Tensor, text: &Tensor) -> Result<Tensor> {
        let normed = self.norm_self.forward(states)?;
        let states = (self.within.forward(&normed, &normed)? + states)?;
        let states = (self.across.forward(&self.norm_text.forward(&states)?, text)? + &states)?;
        let wide = self.widen.forward(&self.norm_mlp.forward(&states)?)?.chunk(2, D::Minus1)?;
        // The exact form of the activation; candle's own UNet has an approximation here.
        let gated = (&wide[0] * wide[1].contiguous()?.gelu_erf()?)?;
        self.narrow.forward(&gated)? + &states
    }
}

struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    heads: usize,
}

impl Attention {
    fn new(width: usize, context: usize, heads: usize, weights: VarBuilder<'_>) -> Result<Self> {
        Ok(Self {
            query: candle_nn::linear_no_bias(width, width, weights.pp("to_q"))?,
            key: candle_nn::linear_no_bias(context, width, weights.pp("to_k"))?,
            value: candle_nn::linear_no_bias(context, width, weights.pp("to_v"))?,
            out: candle_nn::linear(width, width, weights.pp("to_out.0"))?,
            heads,
        })
    }

    fn forward(&self, states: &Tensor, context: &Tensor) -> Result<Tensor> {
        let query = split_heads(&self.query.forward(states)?, self.heads)?;
        let key = split_heads(&self.key.forward(context)?, self.heads)?;
        let value = split_heads(&self.value.forward(context)?, self.heads)?;
        let scale = (query.dim(3)? as f64).powf(-0.5);
        self.out.forward(&join_heads(&attend(&query, &key, &value, scale)?)?)
    }
}
