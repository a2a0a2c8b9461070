//! SigLIP's image side: no row before the squares'; a learned query gathers from all of them.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::Tensor;
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::clip::Shape;
use super::{Architecture, CONFIG, Head, Patches, STEM, Tower, check_sides, patch_linear, squares};
use crate::candle::device::Placement;
use crate::candle::encoder::{Parts, failed};
use crate::candle::files::Files;
use crate::candle::kernels::{Activation, Heads, Threads};
use crate::candle::ops::{self, Linear, Norm};
use crate::candle::pixels::{Number, Preparation};
use crate::candle::weights::Weights;

#[derive(Deserialize)]
struct Keys {
    vision_config: super::ClipVision,
}

pub(super) struct Config {
    keys: Keys,
    shape: Shape,
}

impl Config {
    pub(super) fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Keys = files.json(CONFIG)?;
        let shape = keys.vision_config.shape(files, 1e-6, "gelu_pytorch_tanh")?;
        squares(files, keys.vision_config.image_size, keys.vision_config.patch_size)?;
        Ok(Self { keys, shape })
    }
}

/// Gives the joined weight of torch's attention the name of a layer.
fn rename(name: &str) -> Option<Cow<'_, str>> {
    Some(name.replace("attention.in_proj_", "attention.in_proj.").into())
}

impl Architecture for Config {
    fn dimension(&self) -> usize {
        self.shape.width
    }

    fn widest(&self) -> usize {
        let vision = &self.keys.vision_config;
        (vision.image_size / vision.patch_size).pow(2) * self.shape.inner
    }

    fn load(&self, files: &Files<'_>, placement: &Placement) -> Result<(Tower, Box<dyn Head>), ModelError> {
        let vision = &self.keys.vision_config;
        let preparation = Preparation::read(files, Number::Square)?;
        check_sides(files, &preparation, vision.image_size)?;
        let weights = Weights::open(files, STEM, placement, rename)?;
        let parts = Parts(&weights);
        let (width, side, epsilon) = (self.shape.width, vision.patch_size, self.shape.epsilon);
        let count = squares(files, vision.image_size, side)?;
        let convolution = weights.tensor("vision_model.embeddings.patch_embedding.weight", (width, 3, side, side))?;
        let bias = weights.tensor("vision_model.embeddings.patch_embedding.bias", width)?;
        let patches = Patches {
            side,
            linear: patch_linear(&convolution, Some(bias))?,
            first: None,
            places: weights.tensor("vision_model.embeddings.position_embedding.weight", (count, width))?,
            norm: None,
        };
        let last_norm = parts.layer_norm("vision_model.post_layernorm", width, epsilon)?;
        let encoder = self.shape.encoder(parts, "vision_model", Some(last_norm))?;
        let at = |name: &str| format!("vision_model.head.{name}");
        let joined = weights.tensor(&at("attention.in_proj.weight"), (3 * width, width))?;
        let joined_bias = weights.tensor(&at("attention.in_proj.bias"), 3 * width)?;
        let part = |start: usize, parts: usize| {
            let bias = joined_bias.narrow(0, start * width, parts * width)?.contiguous()?;
            Linear::new(&joined.narrow(0, start * width, parts * width)?, Some(bias))
        };
        let probe = weights.tensor(&at("probe"), (1, 1, width))?.squeeze(0).map_err(failed)?;
        let head = Gathered {
            query: part(0, 1).and_then(|query| query.forward(&probe, Threads::One)).map_err(failed)?,
            keys_and_values: part(1, 2).map_err(failed)?,
            heads: self.shape.heads,
            out: parts.linear(&at("attention.out_proj"), [width, width], true)?,
            norm: parts.layer_norm(&at("layernorm"), width, epsilon)?,
            up: parts.linear(&at("mlp.fc1"), [width, self.shape.inner], true)?,
            down: parts.linear(&at("mlp.fc2"), [self.shape.inner, width], true)?,
            activation: self.shape.activation,
        };
        Ok((Tower { preparation, patches, encoder }, Box::new(head)))
    }
}

struct Gathered {
    query: Tensor,
    keys_and_values: Linear,
    heads: Heads,
    out: Linear,
    norm: Norm,
    up: Linear,
    down: Linear,
    activation: Activation,
}

impl Head for Gathered {
    fn vectors(&self, rows: &Tensor, sequences: &[Range<usize>], threads: Threads) -> candle_core::Result<Tensor> {
        let width = rows.dim(1)?;
        let both = self.keys_and_values.forward(rows, threads)?;
        let gather = |sequence: &Range<usize>| {
            let rows = both.narrow(0, sequence.start, sequence.len())?;
            let (keys, values) = (rows.narrow(1, 0, width)?.contiguous()?, rows.narrow(1, width, width)?.contiguous()?);
            ops::attend_across(&self.query, &keys, &values, self.heads, false, None)
        };
        let gathered: Vec<Tensor> = sequences.iter().map(gather).collect::<candle_core::Result<_>>()?;
        let rows = self.out.forward(&Tensor::cat(&gathered, 0)?, threads)?;
        let up = self.up.forward(&self.norm.forward(&rows)?, threads)?;
        self.down.forward_onto(&ops::activate(&up, self.activation, false)?, &rows, threads)
    }
}
