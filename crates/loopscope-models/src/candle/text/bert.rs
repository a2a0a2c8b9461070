//! BERT and its kin: places in a table, norms after each sum. RoBERTa counts places from after its padding; MPNet adds
//! a bias by the distance of two tokens.

use candle_core::Tensor;
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::{
    Architecture, Backbone, CONFIG, Counting, Embeddings, Shape, activation, head_width, key, open, with_first_row,
};
use crate::candle::device::Placement;
use crate::candle::encoder::{Block, Encoder, Order, Parts, failed};
use crate::candle::files::Files;
use crate::candle::kernels::Heads;
use crate::candle::ops::{Attention, Positions};

/// Distances from which on MPNet's buckets do not grow.
const DISTANCE_MAX: f32 = 128.0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Bert,
    Roberta,
    Mpnet,
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
    hidden_act: String,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "two")]
    type_vocab_size: usize,
    pad_token_id: Option<u32>,
    /// Left out by transformers 5.
    position_embedding_type: Option<String>,
    #[serde(default = "buckets")]
    relative_attention_num_buckets: usize,
}

fn gelu() -> String {
    "gelu".to_owned()
}

const fn epsilon() -> f64 {
    1e-12
}

const fn two() -> usize {
    2
}

const fn buckets() -> usize {
    32
}

pub(super) struct Config {
    keys: Keys,
    kind: Kind,
    heads: Heads,
    activation: crate::candle::kernels::Activation,
}

impl Config {
    pub(super) fn read(files: &Files<'_>, kind: Kind) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let width = head_width(files, keys.hidden_size, keys.num_attention_heads)?;
        let activation = activation(files, "hidden_act", &keys.hidden_act)?;
        match keys.position_embedding_type.as_deref() {
            None | Some("absolute") => {}
            Some(other) => return Err(key(files, "position_embedding_type", "absolute", other)),
        }
        let count = keys.num_attention_heads;
        let heads = Heads { count, shared: count, width, scale: 1.0 / (width as f32).sqrt() };
        if kind != Kind::Bert && keys.max_position_embeddings <= padding(&keys) as usize + 1 {
            return Err(key(files, "max_position_embeddings", "more than pad_token_id", keys.max_position_embeddings));
        }
        Ok(Self { keys, kind, heads, activation })
    }
}

fn padding(keys: &Keys) -> u32 {
    keys.pad_token_id.unwrap_or(1)
}

impl Architecture for Config {
    fn shape(&self) -> Shape {
        let places = match self.kind {
            Kind::Bert => self.keys.max_position_embeddings,
            Kind::Roberta | Kind::Mpnet => self.keys.max_position_embeddings - padding(&self.keys) as usize - 1,
        };
        Shape { width: self.keys.hidden_size, places, widest: self.keys.intermediate_size }
    }

    fn backbone(&self, files: &Files<'_>, placement: &Placement, length: usize) -> Result<Backbone, ModelError> {
        let weights = open(files, placement, &["bert.", "roberta.", "mpnet."])?;
        let parts = Parts(&weights);
        let Keys { hidden_size: width, layer_norm_eps: epsilon, .. } = self.keys;
        let places =
            weights.tensor("embeddings.position_embeddings.weight", (self.keys.max_position_embeddings, width))?;
        let (places, counting) = match self.kind {
            Kind::Mpnet => (places, Counting::After(padding(&self.keys))),
            kind => {
                let types =
                    weights.tensor("embeddings.token_type_embeddings.weight", (self.keys.type_vocab_size, width))?;
                let counting =
                    if kind == Kind::Bert { Counting::FromNought } else { Counting::After(padding(&self.keys)) };
                (with_first_row(&places, &types)?, counting)
            }
        };
        let embeddings = Embeddings {
            words: weights.tensor("embeddings.word_embeddings.weight", (self.keys.vocab_size, width))?,
            places: Some((places, counting)),
            shared: None,
            norm: Some(parts.layer_norm("embeddings.LayerNorm", width, epsilon)?),
        };
        let blocks =
            (0..self.keys.num_hidden_layers).map(|layer| self.block(parts, layer)).collect::<Result<_, _>>()?;
        let encoder =
            Encoder { order: Order::After, activation: self.activation, gated: false, blocks, last_norm: None };
        let rotations = match self.kind {
            Kind::Mpnet => {
                let buckets = self.keys.relative_attention_num_buckets;
                let table = weights.tensor("encoder.relative_attention_bias.weight", (buckets, self.heads.count))?;
                vec![Positions { rotary: None, bias: Some(distances(&table, buckets, length)?) }]
            }
            Kind::Bert | Kind::Roberta => Vec::new(),
        };
        Ok(Backbone { embeddings, encoder, rotations })
    }
}

impl Config {
    fn block(&self, parts: Parts<'_>, layer: usize) -> Result<Block, ModelError> {
        let Keys { hidden_size: width, intermediate_size: inner, layer_norm_eps: epsilon, .. } = self.keys;
        let at = |name: &str| format!("encoder.layer.{layer}.{name}");
        let (qkv, out, norm) = match self.kind {
            Kind::Mpnet => (["attn.q", "attn.k", "attn.v"], "attention.attn.o", "attention.LayerNorm"),
            Kind::Bert | Kind::Roberta => {
                (["self.query", "self.key", "self.value"], "attention.output.dense", "attention.output.LayerNorm")
            }
        };
        let [q, k, v] = qkv.map(|name| at(&format!("attention.{name}")));
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at(norm), width, epsilon)?),
            qkv: parts.joined(&[&q, &k, &v], [width, width], true)?,
            attention: Attention { heads: self.heads, causal: false, window: None, norms: None },
            attention_out: parts.linear(&at(out), [width, width], true)?,
            feed_norm: parts.layer_norm(&at("output.LayerNorm"), width, epsilon)?,
            up: parts.linear(&at("intermediate.dense"), [width, inner], true)?,
            down: parts.linear(&at("output.dense"), [inner, width], true)?,
            rotation: (self.kind == Kind::Mpnet).then_some(0),
        })
    }
}

/// Returns MPNet's bias by `[head, query, key]` for texts of up to `length` tokens.
fn distances(table: &Tensor, buckets: usize, length: usize) -> Result<Tensor, ModelError> {
    let at = |query: usize, key: usize| bucket(query as i64 - key as i64, buckets) as u32;
    let places: Vec<u32> = (0..length * length).map(|place| at(place / length, place % length)).collect();
    let bias = |places: &[u32]| {
        let places = Tensor::new(places, table.device())?;
        let rows = table.index_select(&places, 0)?;
        rows.t()?.contiguous()?.reshape((table.dim(1)?, length, length))
    };
    bias(&places).map_err(failed)
}

/// Returns the bucket of a distance, positive towards the start: exact for near tokens, by logarithm for far ones.
fn bucket(distance: i64, buckets: usize) -> usize {
    let half = buckets / 2;
    let side = if distance < 0 { half } else { 0 };
    let (far, exact) = (distance.unsigned_abs() as usize, half / 2);
    if far < exact {
        return side + far;
    }
    let share = (far as f32 / exact as f32).ln() / (DISTANCE_MAX / exact as f32).ln();
    side + (exact + (share * (half - exact) as f32) as usize).min(half - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_of_distances() {
        // By the rule of T5, with 32 buckets.
        for (distance, expected) in
            [(0, 0), (1, 1), (-1, 17), (7, 7), (8, 8), (11, 8), (12, 9), (127, 15), (500, 15), (-500, 31)]
        {
            assert_eq!(bucket(distance, 32), expected, "{distance}");
        }
    }
}
