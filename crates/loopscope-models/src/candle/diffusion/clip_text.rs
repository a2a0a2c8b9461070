//! The text encoder of CLIP, with what each pipeline takes from it (`radford2021`).
//!
//! candle-transformers has one whose sizes, activation and epsilon are fixed; published pipelines use three sets of
//! them, so this one reads them from `config.json`.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Embedding, LayerNorm, Linear, Module, VarBuilder};
use serde::Deserialize;

use super::attention::{join_heads, split_heads};

/// `text_encoder/config.json`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct ClipTextConfig {
    vocab_size: usize,
    pub(crate) hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    #[serde(default = "ClipTextConfig::positions")]
    pub(crate) max_position_embeddings: usize,
    #[serde(default = "ClipTextConfig::activation")]
    hidden_act: String,
    #[serde(default = "ClipTextConfig::epsilon")]
    layer_norm_eps: f64,
    #[serde(default)]
    pub(crate) projection_dim: usize,
    /// Files of the first years say 2, where no text has an end; then the largest id is the end.
    #[serde(default = "ClipTextConfig::end")]
    eos_token_id: u32,
}

impl ClipTextConfig {
    const fn positions() -> usize {
        77
    }

    fn activation() -> String {
        "quick_gelu".to_owned()
    }

    const fn epsilon() -> f64 {
        1e-5
    }

    const fn end() -> u32 {
        49407
    }
}

#[derive(Clone, Copy, Debug)]
enum Activation {
    QuickGelu,
    Gelu,
}

impl Activation {
    fn apply(self, states: &Tensor) -> Result<Tensor> {
        match self {
            Self::QuickGelu => states * candle_nn::ops::sigmoid(&(states * 1.702)?)?,
            Self::Gelu => states.gelu_erf(),
        }
    }
}

/// What the encoder says of a text.
pub(crate) struct ClipText {
    /// After the last layer and its norm; shape (1, positions, width).
    pub(crate) last: Tensor,
    /// Before the last layer, without a norm; shape (1, positions, width).
    pub(crate) penultimate: Tensor,
    /// That of the end of the text in `last`, projected where the checkpoint has a projection; shape (1, width).
    pub(crate) pooled: Tensor,
}

struct Layer {
    norm_attention: LayerNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    out: Linear,
    norm_mlp: LayerNorm,
    widen: Linear,
    narrow: Linear,
}

/// A CLIP text encoder.
pub(crate) struct ClipTextEncoder {
    tokens: Embedding,
    positions: Tensor,
    layers: Vec<Layer>,
    norm: LayerNorm,
    projection: Option<Linear>,
    heads: usize,
    activation: Activation,
    end: u32,
}

impl ClipTextEncoder {
    /// Reads an encoder; `weights` has keys as transformers 4 (`text_model.…`) or 5 (without it) writes them.
    ///
    /// # Errors
    ///
    /// A missing weight, a shape that is not that of the configuration, or an unknown activation.
    pub(crate) fn new(config: &ClipTextConfig, weights: VarBuilder<'_>) -> Result<Self> {
        let model = if weights.contains_tensor("text_model.final_layer_norm.weight") {
            weights.pp("text_model")
        } else {
            weights.clone()
        };
        let width = config.hidden_size;
        let activation = match config.hidden_act.as_str() {
            "quick_gelu" => Activation::QuickGelu,
            "gelu" => Activation::Gelu,
            other => candle_core::bail!("hidden_act: expected quick_gelu or gelu, got {other}"),
        };
        let embeddings = model.pp("embeddings");
        let tokens = candle_nn::embedding(config.vocab_size, width, embeddings.pp("token_embedding"))?;
        let positions =
            embeddings.get((config.max_position_embeddings, width), "position_embedding.weight")?.unsqueeze(0)?;
        let layers =
            (0..config.num_hidden_layers).map(|index| Layer::new(config, model.pp("encoder.layers").pp(index)));
        let projection = if weights.contains_tensor("text_projection.weight") {
            Some(candle_nn::linear_no_bias(width, config.projection_dim, weights.pp("text_projection"))?)
        } else {
            None
        };
        Ok(Self {
            tokens,
            positions,
            layers: layers.collect::<Result<_>>()?,
            norm: candle_nn::layer_norm(width, config.layer_norm_eps, model.pp("final_layer_norm"))?,
            projection,
            heads: config.num_attention_heads,
            activation,
            end: config.eos_token_id,
        })
    }

    /// Encodes one text of at most as many tokens as there are positions.
    pub(crate) fn encode(&self, ids: &[u32], device: &Device) -> Result<ClipText> {
        let count = ids.len();
        let input = Tensor::from_slice(ids, (1, count), device)?;
        let mut states = self.tokens.forward(&input)?.broadcast_add(&self.positions.narrow(1, 0, count)?)?;
        let mask = causal_mask(count, device)?;
        let mut penultimate = states.clone();
        for layer in &self.layers {
            penultimate = states.clone();
            states = layer.forward(&states, &mask, self.heads, self.activation)?;
        }
        let last = self.norm.forward(&states)?;
        let pooled = last.narrow(1, self.end_of(ids), 1)?.squeeze(1)?.contiguous()?;
        let pooled = match &self.projection {
            Some(projection) => projection.forward(&pooled)?,
            None => pooled,
        };
        Ok(ClipText { last, penultimate, pooled })
    }

    /// Returns the index of the first end of text.
    fn end_of(&self, ids: &[u32]) -> usize {
        let end = if self.end == 2 { ids.iter().copied().max().unwrap_or(0) } else { self.end };
        ids.iter().position(|id| *id == end).unwrap_or(0)
    }
}

impl Layer {
    fn new(config: &ClipTextConfig, weights: VarBuilder<'_>) -> Result<Self> {
        let width = config.hidden_size;
        let norm = |name: &str| candle_nn::layer_norm(width, config.layer_norm_eps, weights.pp(name));
        let square = |name: &str| candle_nn::linear(width, width, weights.pp("self_attn").pp(name));
        Ok(Self {
            norm_attention: norm("layer_norm1")?,
            query: square("q_proj")?,
            key: square("k_proj")?,
            value: square("v_proj")?,
            out: square("out_proj")?,
            norm_mlp: norm("layer_norm2")?,
            widen: candle_nn::linear(width, config.intermediate_size, weights.pp("mlp.fc1"))?,
            narrow: candle_nn::linear(config.intermediate_size, width, weights.pp("mlp.fc2"))?,
        })
    }

    fn forward(&self, states: &Tensor, mask: &Tensor, heads: usize, activation: Activation) -> Result<Tensor> {
        let normed = self.norm_attention.forward(states)?;
        let query = split_heads(&self.query.forward(&normed)?, heads)?.to_dtype(DType::F32)?;
        let key = split_heads(&self.key.forward(&normed)?, heads)?.to_dtype(DType::F32)?;
        let value = split_heads(&self.value.forward(&normed)?, heads)?.to_dtype(DType::F32)?;
        let scale = (query.dim(3)? as f64).powf(-0.5);
        let scores = query.matmul(&(key.t()? * scale)?.contiguous()?)?.broadcast_add(mask)?;
        let mixed = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&value)?.to_dtype(states.dtype())?;
        let states = (states + self.out.forward(&join_heads(&mixed)?)?)?;
        let wide = activation.apply(&self.widen.forward(&self.norm_mlp.forward(&states)?)?)?;
        &states + self.narrow.forward(&wide)?
    }
}

/// Returns what is added to scores so that no position sees a later one.
fn causal_mask(count: usize, device: &Device) -> Result<Tensor> {
    let at = |index: usize| if index % count > index / count { f32::NEG_INFINITY } else { 0.0 };
    let mask: Vec<f32> = (0..count * count).map(at).collect();
    Tensor::from_vec(mask, (1, 1, count, count), device)
}
