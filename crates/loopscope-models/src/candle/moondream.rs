//! Moondream 2 in the layout of its first year (revisions 2024-03-04 to 2024-08-26): a SigLIP tower, a projection, and
//! the language model Phi 1.5, which is asked a question about the rows of the picture.
//!
//! The checkpoints carry no shapes: they stand in their authors' program. Ours are read off the tensors; what cannot be
//! (how many heads, how much of one is rotated) is as in that program unless the config says otherwise. Answers are
//! greedy.

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::{ImageToText, LoadedModel, ModelError, Request};
use loopscope_core::experiment::Picture;
use serde::Deserialize;

use super::encoder::{Block, Encoder, Order, Parts, failed};
use super::files::Files;
use super::kernels::{Activation, Heads, Rotary, Threads};
use super::ops::{self, Attention, Linear, Norm};
use super::pixels::Preparation;
use super::tokens::{self, Tokens};
use super::vision::{CONFIG, Patches, STEM, Tower, heads};
use super::weights::{Weights, as_stored, shards};
use super::{NativeInfo, NativeModel, device, options};

/// Most pictures in a call: each keeps a past of its own.
const BATCH_MAX: usize = 4;
/// Begins the input and ends an answer.
const END: &str = "<|endoftext|>";
/// The epsilon of every norm.
const EPSILON: f64 = 1e-5;

#[derive(Deserialize)]
struct Text {
    #[serde(default = "thirty_two")]
    n_head: usize,
    #[serde(default = "thirty_two")]
    rotary_dim: usize,
    #[serde(default = "places")]
    n_positions: usize,
}

#[derive(Deserialize)]
struct Vision {
    #[serde(default = "sixteen")]
    num_heads: usize,
}

const fn thirty_two() -> usize {
    32
}

const fn places() -> usize {
    2048
}

const fn sixteen() -> usize {
    16
}

impl Default for Text {
    fn default() -> Self {
        Self { n_head: thirty_two(), rotary_dim: thirty_two(), n_positions: places() }
    }
}

impl Default for Vision {
    fn default() -> Self {
        Self { num_heads: sixteen() }
    }
}

#[derive(Deserialize)]
struct Keys {
    #[serde(default)]
    text_config: Text,
    #[serde(default)]
    vision_config: Vision,
}

/// Describes a captioner.
///
/// # Errors
///
/// [`ModelError`] as for [`super::describe`].
pub(super) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    let files = model.files();
    let _: Keys = files.json(CONFIG)?;
    let mut read = shards(&files, STEM)?;
    read.extend([CONFIG, tokens::FILE].map(str::to_owned));
    Ok(NativeInfo {
        dimension: None,
        batch_max: BATCH_MAX,
        // A quarter more for the rows of the picture and the past of an answer.
        memory_bytes: device::memory(model, files.bytes(&read)) / 4 * 5,
        weights_hash: files.hash(&read)?,
        determinism: device::determinism(model),
        lane: device::lane(model),
    })
}

/// Loads a captioner.
///
/// # Errors
///
/// [`ModelError`] as for [`super::load`].
pub(super) fn load(model: &NativeModel<'_>) -> Result<LoadedModel, ModelError> {
    Ok(LoadedModel::ImageToText(Box::new(Captioner::load(model)?)))
}

/// The loaded captioner.
pub(super) struct Captioner {
    name: String,
    tower: Tower,
    projection: [Linear; 2],
    language: Language,
    tokens: Tokens,
    question: Vec<u32>,
    end: u32,
    length: usize,
    device: Device,
}

impl Captioner {
    /// Loads the parts.
    ///
    /// # Errors
    ///
    /// As for [`load`].
    pub(super) fn load(model: &NativeModel<'_>) -> Result<Self, ModelError> {
        let files = model.files();
        let keys: Keys = files.json(CONFIG)?;
        let placement = device::open(model)?;
        let tokens = Tokens::open(&files, "")?;
        let end = tokens.id(END).ok_or_else(|| files.error(tokens::FILE, format!("there is no token {END}")))?;
        let prompt = options::text(model.parameters, "prompt").unwrap_or_default();
        let question = tokens.encode(&format!("\n\nQuestion: {prompt}\n\nAnswer:"), false)?;
        let length = options::integer(model.parameters, "max_tokens").unwrap_or(128);
        let weights = Weights::open(&files, STEM, &placement, as_stored)?;
        let tower = tower(&files, &keys.vision_config, &weights)?;
        let places = keys.text_config.n_positions;
        let needed = 1 + tower.rows() + question.len() + length;
        if needed > places {
            let (name, rows, asked) = (model.name, tower.rows(), question.len());
            return Err(ModelError::permanent(format!(
                "{name}: {rows} rows of the picture, {asked} tokens of the question and {length} of the answer are more than the model's {places} places"
            )));
        }
        let language = Language::load(&files, &keys.text_config, &weights, needed)?;
        let projection = projection(&weights, language.width)?;
        let (name, device) = (model.name.to_string(), placement.device);
        Ok(Self { name, tower, projection, language, tokens, question, end, length, device })
    }

    fn answer(&self, picture: &Picture) -> Result<String, ModelError> {
        let failed = |error: candle_core::Error| ModelError::permanent(format!("{}: {error}", self.name));
        let ids = self.answer_ids(picture).map_err(failed)?;
        Ok(self.tokens.decode(&ids)?.trim().to_owned())
    }

    /// Returns the rows of a picture as the language model sees them.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn rows(&self, picture: &Picture) -> candle_core::Result<Tensor> {
        let (rows, _) = self.tower.forward(&[picture], &self.device, Threads::All)?;
        let [up, down] = &self.projection;
        let up = ops::activate(&up.forward(&rows, Threads::All)?, Activation::GeluTanh, false)?;
        down.forward(&up, Threads::All)
    }

    /// Returns the tokens of an answer, without the one that ends it.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn answer_ids(&self, picture: &Picture) -> candle_core::Result<Vec<u32>> {
        let words = |ids: &[u32]| self.language.words.index_select(&Tensor::new(ids, &self.device)?, 0);
        let mut rows = Tensor::cat(&[words(&[self.end])?, self.rows(picture)?, words(&self.question)?], 0)?;
        let mut past = vec![None; self.language.layers.len()];
        let mut ids = Vec::new();
        while ids.len() < self.length {
            let next = super::blip::likeliest(&self.language.forward(rows, &mut past)?)?;
            if next == self.end {
                break;
            }
            ids.push(next);
            rows = words(&[next])?;
        }
        Ok(ids)
    }
}

impl ImageToText for Captioner {
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>> {
        batch.iter().map(|request| self.answer(request.input)).collect()
    }
}

/// Returns the shape of a tensor, or says that it is missing.
fn shape(weights: &Weights, name: &str) -> Result<Vec<usize>, ModelError> {
    match weights.shape(name) {
        Some(shape) => Ok(shape),
        None => weights.tensor(name, ()).map(|tensor| tensor.dims().to_vec()),
    }
}

/// Returns how many layers there are: the first number for which `name` gives no tensor.
fn count(weights: &Weights, name: impl Fn(usize) -> String) -> usize {
    (0..).take_while(|layer| weights.has(&name(*layer))).count()
}

fn tower(files: &Files<'_>, vision: &Vision, weights: &Weights) -> Result<Tower, ModelError> {
    let at = |name: &str| format!("vision_encoder.encoder.model.visual.{name}");
    let squares = shape(weights, &at("pos_embed"))?.get(1).copied().unwrap_or(0);
    let embed = shape(weights, &at("patch_embed.linear.weight"))?;
    let [width, inputs] = embed.as_slice() else {
        return Err(files.error(STEM, "the weight of the squares is no matrix"));
    };
    let (side, grid) = ((inputs / 3).isqrt(), squares.isqrt());
    if side == 0 || grid == 0 || side * side * 3 != *inputs || grid * grid != squares {
        return Err(files.error(STEM, format!("{squares} squares of {inputs} numbers are no picture")));
    }
    let parts = Parts(weights);
    let patches = Patches {
        side,
        linear: parts.linear(&at("patch_embed.linear"), [*inputs, *width], true)?,
        first: None,
        places: weights.tensor(&at("pos_embed"), (1, squares, *width))?.squeeze(0).map_err(failed)?,
        norm: None,
    };
    let heads = heads(files, *width, vision.num_heads)?;
    let layers = count(weights, |layer| at(&format!("blocks.{layer}.norm1.weight")));
    let block = |layer: usize| {
        let at = |name: &str| at(&format!("blocks.{layer}.{name}"));
        let inner = shape(weights, &at("mlp.fc1.weight"))?.first().copied().unwrap_or(0);
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at("norm1"), *width, EPSILON)?),
            qkv: parts.linear(&at("attn.qkv"), [*width, 3 * width], true)?,
            attention: Attention { heads, causal: false, window: None, norms: None },
            attention_out: parts.linear(&at("attn.proj"), [*width, *width], true)?,
            feed_norm: parts.layer_norm(&at("norm2"), *width, EPSILON)?,
            up: parts.linear(&at("mlp.fc1"), [*width, inner], true)?,
            down: parts.linear(&at("mlp.fc2"), [inner, *width], true)?,
            rotation: None,
        })
    };
    let blocks = (0..layers).map(block).collect::<Result<_, ModelError>>()?;
    let last_norm = Some(parts.layer_norm(&at("norm"), *width, EPSILON)?);
    let encoder = Encoder { order: Order::Before, activation: Activation::GeluTanh, gated: false, blocks, last_norm };
    Ok(Tower { preparation: Preparation::square(grid * side), patches, encoder })
}

fn projection(weights: &Weights, width: usize) -> Result<[Linear; 2], ModelError> {
    let at = |name: &str| format!("vision_encoder.projection.mlp.{name}");
    let (inner, inputs) = match shape(weights, &at("fc1.weight"))?.as_slice() {
        [inner, inputs] => (*inner, *inputs),
        _ => (0, 0),
    };
    let parts = Parts(weights);
    Ok([parts.linear(&at("fc1"), [inputs, inner], true)?, parts.linear(&at("fc2"), [inner, width], true)?])
}

/// A layer of Phi: attention and the feed-forward step side by side, over the same normed rows.
struct Layer {
    norm: Norm,
    qkv: Linear,
    out: Linear,
    up: Linear,
    down: Linear,
}

struct Language {
    words: Tensor,
    layers: Vec<Layer>,
    norm: Norm,
    scores: Linear,
    heads: Heads,
    rotary: Rotary,
    width: usize,
}

impl Language {
    fn load(files: &Files<'_>, text: &Text, weights: &Weights, places: usize) -> Result<Self, ModelError> {
        let parts = Parts(weights);
        let words = "text_model.transformer.embd.wte.weight";
        let (vocabulary, width) = match shape(weights, words)?.as_slice() {
            [vocabulary, width] => (*vocabulary, *width),
            _ => return Err(files.error(STEM, format!("{words} is no matrix"))),
        };
        let heads = heads(files, width, text.n_head)?;
        if text.rotary_dim > heads.width || !text.rotary_dim.is_multiple_of(2) {
            let expected = format!("an even number up to those of a head, {}", heads.width);
            return Err(files.error(CONFIG, format!("rotary_dim: expected {expected}, got {}", text.rotary_dim)));
        }
        let at = |layer: usize, name: &str| format!("text_model.transformer.h.{layer}.{name}");
        let layer = |layer: usize| {
            let at = |name: &str| at(layer, name);
            let inner = shape(weights, &at("mlp.fc1.weight"))?.first().copied().unwrap_or(0);
            Ok(Layer {
                norm: parts.layer_norm(&at("ln"), width, EPSILON)?,
                qkv: parts.linear(&at("mixer.Wqkv"), [width, 3 * width], true)?,
                out: parts.linear(&at("mixer.out_proj"), [width, width], true)?,
                up: parts.linear(&at("mlp.fc1"), [width, inner], true)?,
                down: parts.linear(&at("mlp.fc2"), [inner, width], true)?,
            })
        };
        let count = count(weights, |layer| at(layer, "ln.weight"));
        Ok(Self {
            words: weights.tensor(words, (vocabulary, width))?,
            layers: (0..count).map(layer).collect::<Result<_, ModelError>>()?,
            norm: parts.layer_norm("text_model.lm_head.ln", width, EPSILON)?,
            scores: parts.linear("text_model.lm_head.linear", [width, vocabulary], true)?,
            heads,
            rotary: Rotary::new(places, text.rotary_dim, 10_000.0),
            width,
        })
    }

    /// Returns the scores of the token after these rows, which go after those of the past.
    fn forward(&self, rows: Tensor, past: &mut [Option<(Tensor, Tensor)>]) -> candle_core::Result<Vec<f32>> {
        let (mut rows, width) = (rows, self.width);
        for (layer, past) in self.layers.iter().zip(past) {
            let normed = layer.norm.forward(&rows)?;
            let qkv = layer.qkv.forward(&normed, Threads::All)?;
            let part = |index: usize| qkv.narrow(1, index * width, width)?.contiguous();
            let (query, mut keys, mut values) = (part(0)?, part(1)?, part(2)?);
            if let Some((past_keys, past_values)) = past.take() {
                keys = Tensor::cat(&[&past_keys, &keys], 0)?;
                values = Tensor::cat(&[&past_values, &values], 0)?;
            }
            let gathered = ops::attend_across(&query, &keys, &values, self.heads, true, Some(&self.rotary))?;
            *past = Some((keys, values));
            let up = ops::activate(&layer.up.forward(&normed, Threads::All)?, Activation::GeluTanh, false)?;
            let attended = layer.out.forward_onto(&gathered, &rows, Threads::All)?;
            rows = layer.down.forward_onto(&up, &attended, Threads::All)?;
        }
        let last = self.norm.forward(&rows.narrow(0, rows.dim(0)? - 1, 1)?)?;
        let scores = self.scores.forward(&last, Threads::All)?;
        scores.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }
}
