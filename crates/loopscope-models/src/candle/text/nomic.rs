//! Nomic Embed Text 1.5: rotated heads, a gated feed-forward step, norms after each sum, no biases.
//!
//! Its authors' config has GPT-2's key names; transformers 5 has its own. Both are read.

use std::sync::Arc;

use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::{Architecture, Backbone, CONFIG, Embeddings, Shape, activation, head_width, key, open};
use crate::candle::device::Placement;
use crate::candle::encoder::{Block, Encoder, Order, Parts, failed};
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Rotary};
use crate::candle::ops::{Attention, Positions};

#[derive(Deserialize)]
struct Rope {
    rope_theta: Option<f64>,
    rope_type: Option<String>,
}

#[derive(Deserialize)]
struct Keys {
    vocab_size: usize,
    #[serde(alias = "n_embd")]
    hidden_size: usize,
    #[serde(alias = "n_layer")]
    num_hidden_layers: usize,
    #[serde(alias = "n_head")]
    num_attention_heads: usize,
    #[serde(alias = "n_inner")]
    intermediate_size: usize,
    #[serde(alias = "n_positions")]
    max_position_embeddings: usize,
    #[serde(alias = "activation_function")]
    hidden_act: String,
    #[serde(alias = "layer_norm_epsilon", default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "two")]
    type_vocab_size: usize,
    rope_parameters: Option<Rope>,
    rotary_emb_base: Option<f64>,
    rotary_emb_fraction: Option<f64>,
    #[serde(default)]
    rotary_emb_interleaved: bool,
    #[serde(default)]
    prenorm: bool,
    #[serde(default)]
    qkv_proj_bias: bool,
}

const fn epsilon() -> f64 {
    1e-12
}

const fn two() -> usize {
    2
}

pub(super) struct Config {
    keys: Keys,
    heads: Heads,
    activation: Activation,
}

impl Config {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let width = head_width(files, keys.hidden_size, keys.num_attention_heads)?;
        let activation = activation(files, "activation_function", &keys.hidden_act)?;
        let refused = [
            (keys.prenorm, "prenorm"),
            (keys.qkv_proj_bias, "qkv_proj_bias"),
            (keys.rotary_emb_interleaved, "rotary_emb_interleaved"),
        ];
        if let Some((_, name)) = refused.into_iter().find(|(is_set, _)| *is_set) {
            return Err(key(files, name, "false, as in version 1.5", "true"));
        }
        if let Some(fraction) = keys.rotary_emb_fraction.filter(|fraction| (fraction - 1.0).abs() > 1e-9) {
            return Err(key(files, "rotary_emb_fraction", "1, as in version 1.5", fraction));
        }
        let kind = keys.rope_parameters.as_ref().and_then(|rope| rope.rope_type.as_deref()).unwrap_or("default");
        if kind != "default" {
            return Err(key(files, "rope_parameters.rope_type", "default", kind));
        }
        let count = keys.num_attention_heads;
        let heads = Heads { count, shared: count, width, scale: 1.0 / (width as f32).sqrt() };
        Ok(Self { keys, heads, activation })
    }

    fn theta(&self) -> f64 {
        let rope = self.keys.rope_parameters.as_ref().and_then(|rope| rope.rope_theta);
        rope.or(self.keys.rotary_emb_base).unwrap_or(1000.0)
    }

    fn block(&self, parts: Parts<'_>, layer: usize) -> Result<Block, ModelError> {
        let Keys { hidden_size: width, intermediate_size: inner, layer_norm_eps: epsilon, .. } = self.keys;
        let at = |name: &str| format!("encoder.layers.{layer}.{name}");
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at("norm1"), width, epsilon)?),
            qkv: parts.linear(&at("attn.Wqkv"), [width, 3 * width], false)?,
            attention: Attention { heads: self.heads, causal: false, window: None, norms: None },
            attention_out: parts.linear(&at("attn.out_proj"), [width, width], false)?,
            feed_norm: parts.layer_norm(&at("norm2"), width, epsilon)?,
            up: parts.joined(&[&at("mlp.fc12"), &at("mlp.fc11")], [width, inner], false)?,
            down: parts.linear(&at("mlp.fc2"), [inner, width], false)?,
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
        let weights = open(files, placement, &["bert.", "nomic_bert."])?;
        let parts = Parts(&weights);
        let Keys { hidden_size: width, layer_norm_eps: epsilon, .. } = self.keys;
        let types = weights.tensor("embeddings.token_type_embeddings.weight", (self.keys.type_vocab_size, width))?;
        let embeddings = Embeddings {
            words: weights.tensor("embeddings.word_embeddings.weight", (self.keys.vocab_size, width))?,
            places: None,
            shared: Some(types.get(0).map_err(failed)?),
            norm: Some(parts.layer_norm("emb_ln", width, epsilon)?),
        };
        let blocks =
            (0..self.keys.num_hidden_layers).map(|layer| self.block(parts, layer)).collect::<Result<_, _>>()?;
        let encoder =
            Encoder { order: Order::After, activation: self.activation, gated: true, blocks, last_norm: None };
        let rotary = Rotary::new(length, self.heads.width, self.theta());
        Ok(Backbone { embeddings, encoder, rotations: vec![Positions { rotary: Some(Arc::new(rotary)), bias: None }] })
    }
}
