//! A transformer encoder: the same two steps a layer for every family, with what differs as data.

use std::borrow::Cow;
use std::ops::Range;

use candle_core::{Result, Tensor};
use loopscope_core::backend::ModelError;

use super::fault;
use super::kernels::{Activation, Threads};
use super::ops::{self, Attention, Linear, Norm, Positions};
use super::weights::Weights;

/// Where the norms of a layer stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Order {
    /// Before attention and before the feed-forward step; the sums stay as they are.
    Before,
    /// After each sum.
    After,
}

/// One layer.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    pub(crate) attention_norm: Option<Norm>,
    /// Queries, keys and values in one product.
    pub(crate) qkv: Linear,
    pub(crate) attention: Attention,
    pub(crate) attention_out: Linear,
    pub(crate) feed_norm: Norm,
    /// Up, or gate and up in one product.
    pub(crate) up: Linear,
    pub(crate) down: Linear,
    /// Which of the call's rotations it uses.
    pub(crate) rotation: Option<usize>,
}

/// Layers one after another.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    pub(crate) order: Order,
    pub(crate) activation: Activation,
    pub(crate) gated: bool,
    pub(crate) blocks: Vec<Block>,
    pub(crate) last_norm: Option<Norm>,
}

impl Encoder {
    /// Returns the hidden rows after the last layer, and after the last norm where there is one.
    ///
    /// `rows` holds the embedded tokens of all sequences, one after another; `rotations` and the bias reach at least as
    /// far as the longest.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(crate) fn forward(
        &self,
        rows: Tensor,
        sequences: &[Range<usize>],
        rotations: &[Positions],
        threads: Threads,
    ) -> Result<Tensor> {
        let nothing = Positions::default();
        let mut rows = rows;
        for block in &self.blocks {
            let positions = block.rotation.and_then(|rotation| rotations.get(rotation)).unwrap_or(&nothing);
            rows = self.step(block, &rows, sequences, positions, threads)?;
        }
        match &self.last_norm {
            Some(norm) => norm.forward(&rows),
            None => Ok(rows),
        }
    }

    fn step(
        &self,
        block: &Block,
        rows: &Tensor,
        sequences: &[Range<usize>],
        positions: &Positions,
        threads: Threads,
    ) -> Result<Tensor> {
        let before = |norm: Option<&Norm>, rows: &Tensor| match (self.order, norm) {
            (Order::Before, Some(norm)) => norm.forward(rows),
            _ => Ok(rows.clone()),
        };
        let after = |norm: Option<&Norm>, rows: Tensor| match (self.order, norm) {
            (Order::After, Some(norm)) => norm.forward(&rows),
            _ => Ok(rows),
        };
        let qkv = block.qkv.forward(&before(block.attention_norm.as_ref(), rows)?, threads)?;
        let gathered = block.attention.forward(&qkv, sequences, positions)?;
        let rows = block.attention_out.forward_onto(&gathered, rows, threads)?;
        let rows = after(block.attention_norm.as_ref(), rows)?;
        let up = block.up.forward(&before(Some(&block.feed_norm), &rows)?, threads)?;
        let activated = ops::activate(&up, self.activation, self.gated)?;
        after(Some(&block.feed_norm), block.down.forward_onto(&activated, &rows, threads)?)
    }
}

/// Reads the parts of layers; all shapes come from the config, and a file that differs is refused.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a>(pub(crate) &'a Weights);

impl Parts<'_> {
    /// Returns the layer of weights `NAME.weight`, with `NAME.bias` when `bias`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names a tensor that is missing or of another shape.
    pub(crate) fn linear(
        &self,
        name: &str,
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> std::result::Result<Linear, ModelError> {
        self.joined(&[name], [inputs, outputs], bias)
    }

    /// Returns several layers over the same rows as one, their outputs (`outputs` each) side by side.
    ///
    /// # Errors
    ///
    /// As for [`linear`](Self::linear).
    pub(crate) fn joined(
        &self,
        names: &[&str],
        [inputs, outputs]: [usize; 2],
        bias: bool,
    ) -> std::result::Result<Linear, ModelError> {
        let sized: Vec<(&str, usize)> = names.iter().map(|name| (*name, outputs)).collect();
        self.joined_sized(&sized, inputs, bias)
    }

    /// Returns several layers over the same rows as one, each with its own number of outputs.
    ///
    /// # Errors
    ///
    /// As for [`linear`](Self::linear).
    pub(crate) fn joined_sized(
        &self,
        parts: &[(&str, usize)],
        inputs: usize,
        bias: bool,
    ) -> std::result::Result<Linear, ModelError> {
        let weight = |(name, outputs): &(&str, usize)| self.0.tensor(&format!("{name}.weight"), (*outputs, inputs));
        let weights: Vec<Tensor> = parts.iter().map(weight).collect::<std::result::Result<_, _>>()?;
        let bias = if bias {
            let bias = |(name, outputs): &(&str, usize)| self.0.tensor(&format!("{name}.bias"), *outputs);
            let biases: Vec<Tensor> = parts.iter().map(bias).collect::<std::result::Result<_, _>>()?;
            Some(Tensor::cat(&biases, 0).map_err(failed)?)
        } else {
            None
        };
        Linear::new(&Tensor::cat(&weights, 0).map_err(failed)?, bias).map_err(failed)
    }

    /// Returns the layer norm `NAME`, with a bias where the files have one.
    ///
    /// # Errors
    ///
    /// As for [`linear`](Self::linear).
    pub(crate) fn layer_norm(&self, name: &str, width: usize, epsilon: f64) -> std::result::Result<Norm, ModelError> {
        let bias: Cow<'_, str> = format!("{name}.bias").into();
        Ok(Norm::Layer {
            weight: self.0.tensor(&format!("{name}.weight"), width)?,
            bias: if self.0.has(&bias) { Some(self.0.tensor(&bias, width)?) } else { None },
            epsilon,
        })
    }

    /// Returns the root-mean-square norm `NAME`.
    ///
    /// # Errors
    ///
    /// As for [`linear`](Self::linear).
    pub(crate) fn rms_norm(&self, name: &str, width: usize, epsilon: f64) -> std::result::Result<Norm, ModelError> {
        Ok(Norm::RootMeanSquare { weight: self.0.tensor(&format!("{name}.weight"), width)?, epsilon })
    }
}

/// Returns an error of making layers from weights.
pub(crate) fn failed(error: candle_core::Error) -> ModelError {
    fault::failed("weights", &error)
}
