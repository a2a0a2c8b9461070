//! ModernBERT: rotated heads, norms before each step, most layers seeing only their neighbourhood.

use std::sync::Arc;

use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::{Architecture, Backbone, CONFIG, Embeddings, Shape, activation, head_width, key, open};
use crate::candle::device::Placement;
use crate::candle::encoder::{Block, Encoder, Order, Parts};
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Rotary};
use crate::candle::ops::{Attention, Positions};

#[derive(Deserialize)]
struct Theta {
    rope_theta: f64,
    rope_type: Option<String>,
}

/// Written by transformers 5.
#[derive(Deserialize)]
struct Ropes {
    full_attention: Theta,
    sliding_attention: Theta,
}

#[derive(Deserialize)]
struct Keys {
    vocab_size: usize,
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    max_position_embeddings: usize,
    #[serde(default = "gelu")]
    hidden_activation: String,
    #[serde(default = "epsilon")]
    norm_eps: f64,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    local_attention: usize,
    /// Written by transformers 5 for the three keys below.
    layer_types: Option<Vec<String>>,
    rope_parameters: Option<Ropes>,
    global_attn_every_n_layers: Option<usize>,
    global_rope_theta: Option<f64>,
    local_rope_theta: Option<f64>,
}

fn gelu() -> String {
    "gelu".to_owned()
}

const fn epsilon() -> f64 {
    1e-5
}

pub(super) struct Config {
    keys: Keys,
    heads: Heads,
    activation: Activation,
    /// Of each layer, whether it sees the whole text.
    is_global: Vec<bool>,
}

impl Config {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let width = head_width(files, keys.hidden_size, keys.num_attention_heads)?;
        let activation = activation(files, "hidden_activation", &keys.hidden_activation)?;
        if let Some(ropes) = &keys.rope_parameters {
            for rope in [&ropes.full_attention, &ropes.sliding_attention] {
                let kind = rope.rope_type.as_deref().unwrap_or("default");
                if kind != "default" {
                    return Err(key(files, "rope_parameters.rope_type", "default", kind));
                }
            }
        }
        let is_global = match (&keys.layer_types, keys.global_attn_every_n_layers) {
            (Some(types), _) if types.len() == keys.num_hidden_layers => {
                types.iter().map(|kind| kind == "full_attention").collect()
            }
            (Some(types), _) => {
                return Err(key(files, "layer_types", &format!("{} of them", keys.num_hidden_layers), types.len()));
            }
            (None, every) => {
                let every = every.unwrap_or(3).max(1);
                (0..keys.num_hidden_layers).map(|layer| layer % every == 0).collect()
            }
        };
        let count = keys.num_attention_heads;
        let heads = Heads { count, shared: count, width, scale: 1.0 / (width as f32).sqrt() };
        Ok(Self { keys, heads, activation, is_global })
    }

    fn block(&self, parts: Parts<'_>, layer: usize) -> Result<Block, ModelError> {
        let Keys { hidden_size: width, intermediate_size: inner, norm_eps: epsilon, .. } = self.keys;
        let (attention_bias, mlp_bias) = (self.keys.attention_bias, self.keys.mlp_bias);
        let at = |name: &str| format!("layers.{layer}.{name}");
        let window = (!self.is_global[layer]).then_some(self.keys.local_attention / 2);
        Ok(Block {
            // The embeddings were normed just before.
            attention_norm: if layer == 0 { None } else { Some(parts.layer_norm(&at("attn_norm"), width, epsilon)?) },
            qkv: parts.linear(&at("attn.Wqkv"), [width, 3 * width], attention_bias)?,
            attention: Attention { heads: self.heads, causal: false, window, norms: None },
            attention_out: parts.linear(&at("attn.Wo"), [width, width], attention_bias)?,
            feed_norm: parts.layer_norm(&at("mlp_norm"), width, epsilon)?,
            up: parts.linear(&at("mlp.Wi"), [width, 2 * inner], mlp_bias)?,
            down: parts.linear(&at("mlp.Wo"), [inner, width], mlp_bias)?,
            rotation: Some(usize::from(!self.is_global[layer])),
        })
    }
}

impl Architecture for Config {
    fn shape(&self) -> Shape {
        let Keys { hidden_size: width, max_position_embeddings: places, intermediate_size: inner, .. } = self.keys;
        Shape { width, places, widest: (2 * inner).max(3 * width) }
    }

    fn backbone(&self, files: &Files<'_>, placement: &Placement, length: usize) -> Result<Backbone, ModelError> {
        let weights = open(files, placement, &["model."])?;
        let parts = Parts(&weights);
        let Keys { hidden_size: width, norm_eps: epsilon, .. } = self.keys;
        let embeddings = Embeddings {
            words: weights.tensor("embeddings.tok_embeddings.weight", (self.keys.vocab_size, width))?,
            places: None,
            shared: None,
            norm: Some(parts.layer_norm("embeddings.norm", width, epsilon)?),
        };
        let blocks =
            (0..self.keys.num_hidden_layers).map(|layer| self.block(parts, layer)).collect::<Result<_, _>>()?;
        let last_norm = Some(parts.layer_norm("final_norm", width, epsilon)?);
        let encoder = Encoder { order: Order::Before, activation: self.activation, gated: true, blocks, last_norm };
        let ropes = self.keys.rope_parameters.as_ref();
        let global = ropes.map(|ropes| ropes.full_attention.rope_theta).or(self.keys.global_rope_theta);
        let local = ropes.map(|ropes| ropes.sliding_attention.rope_theta).or(self.keys.local_rope_theta);
        let rotation =
            |theta: f64| Positions { rotary: Some(Arc::new(Rotary::new(length, self.heads.width, theta))), bias: None };
        let rotations = vec![rotation(global.unwrap_or(160_000.0)), rotation(local.unwrap_or(10_000.0))];
        Ok(Backbone { embeddings, encoder, rotations })
    }
}
