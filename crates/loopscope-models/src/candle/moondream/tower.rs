//! The SigLIP tower and the projection of its rows.

use loopscope_core::backend::ModelError;

use super::crops::Crops;
use super::{EPSILON, Layout, Vision, WEIGHTS, count, shape};
use crate::candle::encoder::{Block, Encoder, Order, Parts, failed};
use crate::candle::files::Files;
use crate::candle::kernels::Activation;
use crate::candle::ops::{Attention, Linear};
use crate::candle::pixels::Preparation;
use crate::candle::vision::{CONFIG, Patches, Tower, heads};
use crate::candle::weights::Weights;

/// Loads the tower, and says how pictures are cut for it.
///
/// # Errors
///
/// [`ModelError`] that names the file, and the key or the tensor.
pub(super) fn tower(
    files: &Files<'_>,
    vision: &Vision,
    weights: &Weights,
    layout: Layout,
) -> Result<(Tower, Crops), ModelError> {
    let at = |name: &str| format!("vision.{name}");
    let squares = shape(weights, &at("pos_emb"))?.get(1).copied().unwrap_or(0);
    let embed = shape(weights, &at("patch_emb.weight"))?;
    let [width, inputs] = embed.as_slice() else {
        return Err(files.error(WEIGHTS, "the weight of the squares is no matrix"));
    };
    let (side, grid) = ((inputs / 3).isqrt(), squares.isqrt());
    if side == 0 || grid == 0 || side * side * 3 != *inputs || grid * grid != squares {
        return Err(files.error(WEIGHTS, format!("{squares} squares of {inputs} numbers are no picture")));
    }
    let crops = Crops { grid, patch: side, margin: vision.overlap_margin, most: vision.max_crops };
    if layout == Layout::Cuts && (2 * crops.margin >= grid || crops.most == 0) {
        let (margin, most) = (crops.margin, crops.most);
        let what = format!(
            "overlap_margin, max_crops: expected less than half of {grid} squares, and at least 1; got {margin} and {most}"
        );
        return Err(files.error(CONFIG, what));
    }
    let parts = Parts(weights);
    let patches = Patches {
        side,
        linear: parts.linear(&at("patch_emb"), [*inputs, *width], true)?,
        first: None,
        places: weights.tensor(&at("pos_emb"), (1, squares, *width))?.squeeze(0).map_err(failed)?,
        norm: None,
    };
    let heads = heads(files, *width, vision.num_heads)?;
    let layers = count(weights, |layer| at(&format!("blocks.{layer}.ln1.weight")));
    let block = |layer: usize| {
        let at = |name: &str| at(&format!("blocks.{layer}.{name}"));
        let inner = shape(weights, &at("mlp.fc1.weight"))?.first().copied().unwrap_or(0);
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at("ln1"), *width, EPSILON)?),
            qkv: parts.linear(&at("attn.qkv"), [*width, 3 * width], true)?,
            attention: Attention { heads, causal: false, window: None, norms: None },
            attention_out: parts.linear(&at("attn.proj"), [*width, *width], true)?,
            feed_norm: parts.layer_norm(&at("ln2"), *width, EPSILON)?,
            up: parts.linear(&at("mlp.fc1"), [*width, inner], true)?,
            down: parts.linear(&at("mlp.fc2"), [inner, *width], true)?,
            rotation: None,
        })
    };
    let blocks = (0..layers).map(block).collect::<Result<_, ModelError>>()?;
    let last_norm = Some(parts.layer_norm(&at("post_ln"), *width, EPSILON)?);
    let encoder = Encoder { order: Order::Before, activation: Activation::GeluTanh, gated: false, blocks, last_norm };
    Ok((Tower { preparation: Preparation::square(grid * side), patches, encoder }, crops))
}

/// Loads the projection to rows of `width` numbers.
///
/// # Errors
///
/// [`ModelError`] that names a tensor that is missing or of another shape.
pub(super) fn projection(weights: &Weights, width: usize) -> Result<[Linear; 2], ModelError> {
    let at = |name: &str| format!("vision.proj_mlp.{name}");
    let (inner, inputs) = match shape(weights, &at("fc1.weight"))?.as_slice() {
        [inner, inputs] => (*inner, *inputs),
        _ => (0, 0),
    };
    let parts = Parts(weights);
    Ok([parts.linear(&at("fc1"), [inputs, inner], true)?, parts.linear(&at("fc2"), [inner, width], true)?])
}
