//! Qwen3 Embedding: the Qwen3 language model, of whose last token the hidden row is the vector.

use std::sync::Arc;

use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::{Architecture, Backbone, CONFIG, Embeddings, Shape, activation, key, open};
use crate::candle::device::Placement;
use crate::candle::encoder::{Block, Encoder, Order, Parts};
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Rotary};
use crate::candle::ops::{Attention, Norm, Positions};
use crate::candle::weights::Weights;

#[derive(Deserialize)]
struct Rope {
    rope_theta: f64,
    rope_type: Option<String>,
}

#[derive(Deserialize)]
struct Keys {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: usize,
    head_dim: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "silu")]
    hidden_act: String,
    #[serde(default = "epsilon")]
    rms_norm_eps: f64,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    use_sliding_window: bool,
    /// Written by transformers 5 for `rope_theta`.
    rope_parameters: Option<Rope>,
    rope_theta: Option<f64>,
    /// How transformers 4 writes rotations that are stretched for longer texts.
    rope_scaling: Option<serde_json::Value>,
}

fn silu() -> String {
    "silu".to_owned()
}

const fn epsilon() -> f64 {
    1e-6
}

pub(in crate::candle) struct Config {
    keys: Keys,
    heads: Heads,
    activation: Activation,
}

impl Config {
    /// Reads `config.json`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the key that is missing or asks for what is not here.
    pub(in crate::candle) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let (count, shared, width) = (keys.num_attention_heads, keys.num_key_value_heads, keys.head_dim);
        if shared == 0 || !count.is_multiple_of(shared) || count == 0 {
            let expected = format!("a divisor of num_attention_heads, {count}");
            return Err(key(files, "num_key_value_heads", &expected, shared));
        }
        if keys.use_sliding_window {
            return Err(key(files, "use_sliding_window", "false", "true"));
        }
        let kind = keys.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref()).unwrap_or("default");
        if kind != "default" {
            return Err(key(files, "rope_parameters.rope_type", "default", kind));
        }
        if let Some(scaling) = &keys.rope_scaling {
            return Err(key(files, "rope_scaling", "null", scaling));
        }
        let activation = activation(files, "hidden_act", &keys.hidden_act)?;
        Ok(Self { heads: Heads { count, shared, width, scale: 1.0 / (width as f32).sqrt() }, keys, activation })
    }

    /// Returns how many numbers a row has.
    pub(in crate::candle) const fn width(&self) -> usize {
        self.keys.hidden_size
    }

    /// Reads what makes the rows that go into the last layer, without that layer and without a norm: what painters take
    /// of a text.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names a tensor that is missing or of another shape.
    pub(in crate::candle) fn before_last_layer(
        &self,
        weights: &Weights,
        length: usize,
    ) -> Result<Backbone, ModelError> {
        self.layers(weights, length, self.keys.num_hidden_layers.saturating_sub(1), None)
    }

    fn layers(
        &self,
        weights: &Weights,
        length: usize,
        count: usize,
        last_norm: Option<Norm>,
    ) -> Result<Backbone, ModelError> {
        let words = weights.tensor("embed_tokens.weight", (self.keys.vocab_size, self.keys.hidden_size))?;
        let embeddings = Embeddings { words, places: None, shared: None, norm: None };
        let blocks = (0..count).map(|layer| self.block(Parts(weights), layer)).collect::<Result<_, _>>()?;
        let encoder = Encoder { order: Order::Before, activation: self.activation, gated: true, blocks, last_norm };
        let rope = self.keys.rope_parameters.as_ref().map(|rope| rope.rope_theta);
        let theta = rope.or(self.keys.rope_theta).unwrap_or(1_000_000.0);
        let rotary = Rotary::new(length, self.heads.width, theta);
        Ok(Backbone { embeddings, encoder, rotations: vec![Positions { rotary: Some(Arc::new(rotary)), bias: None }] })
    }

    fn block(&self, parts: Parts<'_>, layer: usize) -> Result<Block, ModelError> {
        let Keys { hidden_size: width, intermediate_size: inner, rms_norm_eps: epsilon, attention_bias: bias, .. } =
            self.keys;
        let Heads { count, shared, width: head, .. } = self.heads;
        let at = |name: &str| format!("layers.{layer}.{name}");
        let [q, k, v] = ["q", "k", "v"].map(|part| at(&format!("self_attn.{part}_proj")));
        let norm = |name: &str| parts.0.tensor(&at(&format!("self_attn.{name}_norm.weight")), head);
        Ok(Block {
            attention_norm: Some(parts.rms_norm(&at("input_layernorm"), width, epsilon)?),
            qkv: parts.joined_sized(&[(&q, count * head), (&k, shared * head), (&v, shared * head)], width, bias)?,
            attention: Attention {
                heads: self.heads,
                causal: true,
                window: None,
                norms: Some((norm("q")?, norm("k")?, epsilon)),
            },
            attention_out: parts.linear(&at("self_attn.o_proj"), [count * head, width], bias)?,
            feed_norm: parts.rms_norm(&at("post_attention_layernorm"), width, epsilon)?,
            up: parts.joined(&[&at("mlp.gate_proj"), &at("mlp.up_proj")], [width, inner], false)?,
            down: parts.linear(&at("mlp.down_proj"), [inner, width], false)?,
            rotation: Some(0),
        })
    }
}

impl Architecture for Config {
    fn shape(&self) -> Shape {
        let Keys { hidden_size: width, max_position_embeddings: places, intermediate_size: inner, .. } = self.keys;
        Shape { width, places, widest: 2 * inner }
    }

    fn backbone(&self, files: &Files<'_>, placement: &Placement, length: usize) -> Result<Backbone, ModelError> {
        let weights = open(files, placement, &["model."])?;
        let last_norm = Parts(&weights).rms_norm("norm", self.keys.hidden_size, self.keys.rms_norm_eps)?;
        self.layers(&weights, length, self.keys.num_hidden_layers, Some(last_norm))
    }
}
