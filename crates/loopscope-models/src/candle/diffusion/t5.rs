//! The text encoder of FLUX.1 and Stable Diffusion 3: the first half of T5 (`raffel2020`), which candle-transformers has.

use candle_core::{Device, Result, Tensor};
use candle_nn::{Activation, VarBuilder};
use candle_transformers::models::t5::{ActivationWithOptionalGating, Config, T5EncoderModel};
use serde::Deserialize;

/// `config.json` of the encoder.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct T5Config {
    vocab_size: usize,
    pub(crate) d_model: usize,
    d_kv: usize,
    d_ff: usize,
    num_layers: usize,
    num_heads: usize,
    #[serde(default = "T5Config::buckets")]
    relative_attention_num_buckets: usize,
    #[serde(default = "T5Config::distance")]
    relative_attention_max_distance: usize,
    #[serde(default = "T5Config::epsilon")]
    layer_norm_epsilon: f64,
    feed_forward_proj: String,
}

impl T5Config {
    const fn buckets() -> usize {
        32
    }

    const fn distance() -> usize {
        128
    }

    const fn epsilon() -> f64 {
        1e-6
    }
}

/// A T5 encoder.
pub(crate) struct T5Encoder(T5EncoderModel);

impl T5Encoder {
    /// Reads an encoder.
    ///
    /// # Errors
    ///
    /// A missing weight, a shape that is not that of the configuration, or another activation than theirs.
    pub(crate) fn new(config: &T5Config, weights: VarBuilder<'_>) -> Result<Self> {
        if config.feed_forward_proj != "gated-gelu" {
            candle_core::bail!("feed_forward_proj: expected gated-gelu, got {}", config.feed_forward_proj);
        }
        let config = Config {
            vocab_size: config.vocab_size,
            d_model: config.d_model,
            d_kv: config.d_kv,
            d_ff: config.d_ff,
            num_layers: config.num_layers,
            num_heads: config.num_heads,
            relative_attention_num_buckets: config.relative_attention_num_buckets,
            relative_attention_max_distance: config.relative_attention_max_distance,
            layer_norm_epsilon: config.layer_norm_epsilon,
            feed_forward_proj: ActivationWithOptionalGating { gated: true, activation: Activation::NewGelu },
            ..Config::default()
        };
        Ok(Self(T5EncoderModel::load(weights, &config)?))
    }

    /// Encodes one text; shape (1, words, width). It attends to padding too, as it did when these models were trained.
    pub(crate) fn encode(&mut self, ids: &[u32], device: &Device) -> Result<Tensor> {
        self.0.forward(&Tensor::from_slice(ids, (1, ids.len()), device)?)
    }
}
