//! CLIP's text side: causal, and the vector is the projected hidden row of the first token that ends a text.

use candle_core::{DType, Device};
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::{Architecture, Backbone, CONFIG, Counting, Embeddings, STEM, Shape};
use crate::candle::device::Placement;
use crate::candle::encoder::Parts;
use crate::candle::files::Files;
use crate::candle::kernels::Activation;
use crate::candle::pooling::{Pooling, Step, Steps};
use crate::candle::vision;
use crate::candle::weights::{Weights, as_stored};

#[derive(Deserialize)]
struct Text {
    #[serde(default = "vocabulary")]
    vocab_size: usize,
    #[serde(default = "base")]
    hidden_size: usize,
    #[serde(default = "base_inner")]
    intermediate_size: usize,
    #[serde(default = "twelve")]
    num_hidden_layers: usize,
    #[serde(default = "eight")]
    num_attention_heads: usize,
    #[serde(default = "places")]
    max_position_embeddings: usize,
    hidden_act: Option<String>,
    layer_norm_eps: Option<f64>,
    #[serde(default = "end")]
    eos_token_id: u32,
}

// What savers leave out is as in the first CLIP.
const fn vocabulary() -> usize {
    49408
}

const fn base() -> usize {
    512
}

const fn base_inner() -> usize {
    2048
}

const fn twelve() -> usize {
    12
}

const fn eight() -> usize {
    8
}

const fn places() -> usize {
    77
}

const fn end() -> u32 {
    49407
}

#[derive(Deserialize)]
struct Keys {
    text_config: Text,
    #[serde(default = "base")]
    projection_dim: usize,
}

pub(super) struct Config {
    keys: Keys,
    shape: vision::Shape,
}

impl Config {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let text = &keys.text_config;
        let shape = vision::Shape {
            width: text.hidden_size,
            inner: text.intermediate_size,
            layers: text.num_hidden_layers,
            heads: vision::heads(files, text.hidden_size, text.num_attention_heads)?,
            epsilon: text.layer_norm_eps.unwrap_or(1e-5),
            activation: vision::activation(files, text.hidden_act.as_deref().unwrap_or("quick_gelu"))?,
            causal: true,
        };
        Ok(Self { keys, shape })
    }
}

impl Architecture for Config {
    fn shape(&self) -> Shape {
        let text = &self.keys.text_config;
        Shape { width: text.hidden_size, places: text.max_position_embeddings, widest: text.intermediate_size }
    }

    fn steps(&self, files: &Files<'_>) -> Result<Steps, ModelError> {
        let placement = Placement { device: Device::Cpu, dtype: DType::F32 };
        let weights = Weights::open(files, STEM, &placement, as_stored)?;
        let dimension = self.keys.projection_dim;
        let projection = Parts(&weights).linear("text_projection", [self.shape.width, dimension], false)?;
        // Nothing stands after the token that ends the text, so its row is the last.
        let steps = vec![Step::Pool(vec![Pooling::Last]), Step::Dense(projection, Activation::Identity)];
        Ok(Steps { steps, files: Vec::new(), dimension })
    }

    fn end(&self) -> Option<u32> {
        // The first configs name 2, which is no such token; the reference then takes the largest, the real one.
        let end = self.keys.text_config.eos_token_id;
        Some(if end == 2 { self::end() } else { end })
    }

    fn backbone(&self, files: &Files<'_>, placement: &Placement, _: usize) -> Result<Backbone, ModelError> {
        let weights = Weights::open(files, STEM, placement, as_stored)?;
        let parts = Parts(&weights);
        let text = &self.keys.text_config;
        let width = text.hidden_size;
        let at = |name: &str| format!("text_model.embeddings.{name}.weight");
        let places = weights.tensor(&at("position_embedding"), (text.max_position_embeddings, width))?;
        let embeddings = Embeddings {
            words: weights.tensor(&at("token_embedding"), (text.vocab_size, width))?,
            places: Some((places, Counting::FromNought)),
            shared: None,
            norm: None,
        };
        let last_norm = parts.layer_norm("text_model.final_layer_norm", width, self.shape.epsilon)?;
        let encoder = self.shape.encoder(parts, "text_model", Some(last_norm))?;
        Ok(Backbone { embeddings, encoder, rotations: Vec::new() })
    }
}
