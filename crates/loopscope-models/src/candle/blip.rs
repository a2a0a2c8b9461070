//! BLIP captioning: a picture's rows, and a decoder that reads them while it writes.
//!
//! The next token is always the likeliest one, as transformers' `generate` does when nobody asks for more: one beam, no
//! chance, at most 20 tokens with the one that starts a caption. A seed changes nothing.

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::{ImageToText, LoadedModel, ModelError, Request};
use loopscope_core::experiment::Picture;
use rayon::prelude::*;
use serde::Deserialize;

use super::device::Placement;
use super::encoder::{Block, Encoder, Order, Parts, failed};
use super::files::Files;
use super::kernels::{Activation, Heads, Threads};
use super::ops::{self, Attention, Linear, Norm};
use super::pixels::{self, Number, Preparation};
use super::tokens::{self, Tokens};
use super::vision::{CONFIG, ClipVision, Patches, STEM, Tower, activation, check_sides, heads, patch_linear, squares};
use super::weights::{Weights, as_stored, shards};
use super::{NativeInfo, NativeModel, device, fault, options};

/// Most pictures in a call.
const BATCH_MAX: usize = 16;

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
    #[serde(default = "gelu")]
    hidden_act: String,
    #[serde(default = "epsilon")]
    layer_norm_eps: f64,
    #[serde(default = "start")]
    bos_token_id: u32,
    #[serde(default = "end")]
    sep_token_id: u32,
}

// What savers leave out is as in the base model.
const fn vocabulary() -> usize {
    30524
}

const fn base() -> usize {
    768
}

const fn base_inner() -> usize {
    3072
}

const fn twelve() -> usize {
    12
}

const fn eight() -> usize {
    8
}

const fn places() -> usize {
    512
}

fn gelu() -> String {
    "gelu".to_owned()
}

const fn epsilon() -> f64 {
    1e-12
}

const fn start() -> u32 {
    30522
}

const fn end() -> u32 {
    102
}

#[derive(Deserialize)]
struct Keys {
    text_config: Text,
    vision_config: ClipVision,
}

/// Describes a captioner.
///
/// # Errors
///
/// [`ModelError`] as for [`super::describe`].
pub(super) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    let files = model.files();
    let keys: Keys = files.json(CONFIG)?;
    let count = squares(&files, keys.vision_config.image_size, keys.vision_config.patch_size)?;
    check_length(model, &keys.text_config)?;
    let mut read = shards(&files, STEM)?;
    read.extend([CONFIG, pixels::FILE, tokens::FILE].map(str::to_owned));
    let at_work = 32 * (count * keys.vision_config.intermediate_size) as u64 * rayon::current_num_threads() as u64;
    Ok(NativeInfo {
        dimension: None,
        batch_max: BATCH_MAX,
        memory_bytes: device::memory(model, files.bytes(&read)) + at_work,
        weights_hash: files.hash(&read)?,
        determinism: device::determinism(model),
        lane: device::lane(model),
    })
}

/// Returns the longest caption in tokens.
fn check_length(model: &NativeModel<'_>, text: &Text) -> Result<usize, ModelError> {
    let length = options::integer(model.parameters, "max_tokens").unwrap_or(20);
    if length <= text.max_position_embeddings {
        return Ok(length);
    }
    let (name, places) = (model.name, text.max_position_embeddings);
    Err(ModelError::permanent(format!("{name}: max_tokens is {length}; the model has places for {places}")))
}

/// Loads a captioner.
///
/// # Errors
///
/// [`ModelError`] as for [`super::load`], or when the prompt leaves no room for a caption.
pub(super) fn load(model: &NativeModel<'_>) -> Result<LoadedModel, ModelError> {
    let captioner = Captioner::load(model)?;
    Ok(LoadedModel::ImageToText(Box::new(captioner)))
}

/// The loaded captioner.
pub(super) struct Captioner {
    name: String,
    tower: Tower,
    decoder: Decoder,
    tokens: Tokens,
    /// What every caption begins with: the token that starts one, and the prompt.
    begin: Vec<u32>,
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
        let length = check_length(model, &keys.text_config)?;
        let placement = device::open(model)?;
        let tokens = Tokens::open(&files, "")?;
        let mut begin = vec![keys.text_config.bos_token_id];
        let prompt = options::text(model.parameters, "prompt").unwrap_or_default();
        if !prompt.is_empty() {
            begin.extend(tokens.encode(prompt, false)?);
        }
        if begin.len() >= length {
            let (name, count) = (model.name, begin.len());
            let what = format!("{name}: the prompt has {count} tokens with the first; max_tokens is {length}");
            return Err(ModelError::permanent(what));
        }
        let weights = Weights::open(&files, STEM, &placement, as_stored)?;
        Ok(Self {
            name: model.name.to_string(),
            tower: tower(&files, &keys.vision_config, &weights)?,
            decoder: Decoder::load(&files, &keys, &weights, &placement)?,
            tokens,
            begin,
            end: keys.text_config.sep_token_id,
            length,
            device: placement.device,
        })
    }

    fn caption(&self, picture: &Picture, threads: Threads) -> Result<String, ModelError> {
        let failed = |error: candle_core::Error| fault::failed(&self.name, &error);
        let ids = self.caption_ids(picture, threads).map_err(failed)?;
        // The first token stands for no text, and is in no vocabulary of the base model.
        Ok(self.tokens.decode(ids.get(1..).unwrap_or_default())?.trim().to_owned())
    }

    /// Returns the tokens of a caption, with the one that starts it and the one that ends it.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn caption_ids(&self, picture: &Picture, threads: Threads) -> candle_core::Result<Vec<u32>> {
        let (rows, _) = self.tower.forward(&[picture], &self.device, threads)?;
        let mut past = self.decoder.look(&rows, threads)?;
        let mut ids = self.begin.clone();
        let mut seen = 0;
        while ids.len() < self.length {
            let logits = self.decoder.forward(&ids[seen..], &mut past, threads)?;
            seen = ids.len();
            let next = likeliest(&logits)?;
            ids.push(next);
            if next == self.end {
                break;
            }
        }
        Ok(ids)
    }

    /// Returns the rows of a picture.
    ///
    /// # Errors
    ///
    /// When the device fails.
    #[cfg(test)]
    pub(super) fn rows(&self, picture: &Picture) -> candle_core::Result<Tensor> {
        Ok(self.tower.forward(&[picture], &self.device, Threads::One)?.0)
    }

    /// Returns the scores of the token after `ids`.
    ///
    /// # Errors
    ///
    /// When the device fails.
    #[cfg(test)]
    pub(super) fn logits(&self, picture: &Picture, ids: &[u32]) -> candle_core::Result<Vec<f32>> {
        let mut past = self.decoder.look(&self.rows(picture)?, Threads::One)?;
        self.decoder.forward(ids, &mut past, Threads::One)
    }
}

/// Returns the number of the largest score; of equal ones the first.
///
/// # Errors
///
/// When a score is not a number: what would be taken then is no caption.
pub(super) fn likeliest(scores: &[f32]) -> candle_core::Result<u32> {
    if let Some(token) = scores.iter().position(|score| score.is_nan()) {
        candle_core::bail!(
            "the score of token {token} is not a number; half precision overflows in some models: try dtype = \"bf16\" or \"f32\""
        );
    }
    let mut best = 0;
    for (index, score) in scores.iter().enumerate() {
        if *score > scores[best] {
            best = index;
        }
    }
    Ok(best as u32)
}

impl ImageToText for Captioner {
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>> {
        let this = &*self;
        if this.device.is_cpu() && batch.len() >= rayon::current_num_threads() {
            return batch.par_iter().with_max_len(1).map(|request| this.caption(request.input, Threads::One)).collect();
        }
        batch.iter().map(|request| this.caption(request.input, Threads::All)).collect()
    }
}

fn tower(files: &Files<'_>, vision: &ClipVision, weights: &Weights) -> Result<Tower, ModelError> {
    let preparation = Preparation::read(files, Number::Square)?;
    check_sides(files, &preparation, vision.image_size)?;
    let shape = vision.shape(files, 1e-5, "gelu")?;
    let (width, side) = (shape.width, vision.patch_size);
    let count = squares(files, vision.image_size, side)?;
    let at = |name: &str| format!("vision_model.embeddings.{name}");
    let convolution = weights.tensor(&at("patch_embedding.weight"), (width, 3, side, side))?;
    let bias = weights.tensor(&at("patch_embedding.bias"), width)?;
    let patches = Patches {
        side,
        linear: patch_linear(&convolution, Some(bias))?,
        first: Some(weights.tensor(&at("class_embedding"), (1, 1, width))?.squeeze(0).map_err(failed)?),
        places: weights.tensor(&at("position_embedding"), (1, count + 1, width))?.squeeze(0).map_err(failed)?,
        norm: None,
    };
    let parts = Parts(weights);
    let block = |layer: usize| {
        let at = |name: &str| format!("vision_model.encoder.layers.{layer}.{name}");
        Ok(Block {
            attention_norm: Some(parts.layer_norm(&at("layer_norm1"), width, shape.epsilon)?),
            qkv: parts.linear(&at("self_attn.qkv"), [width, 3 * width], true)?,
            attention: Attention { heads: shape.heads, causal: false, window: None, norms: None },
            attention_out: parts.linear(&at("self_attn.projection"), [width, width], true)?,
            feed_norm: parts.layer_norm(&at("layer_norm2"), width, shape.epsilon)?,
            up: parts.linear(&at("mlp.fc1"), [width, shape.inner], true)?,
            down: parts.linear(&at("mlp.fc2"), [shape.inner, width], true)?,
            rotation: None,
        })
    };
    let blocks = (0..shape.layers).map(block).collect::<Result<_, ModelError>>()?;
    let last_norm = Some(parts.layer_norm("vision_model.post_layernorm", width, shape.epsilon)?);
    let encoder = Encoder { order: Order::Before, activation: shape.activation, gated: false, blocks, last_norm };
    Ok(Tower { preparation, patches, encoder })
}

/// A layer of the decoder.
struct Layer {
    qkv: Linear,
    out: Linear,
    norm: Norm,
    query: Linear,
    /// Over the rows of the picture.
    keys: Linear,
    values: Linear,
    across_out: Linear,
    across_norm: Norm,
    up: Linear,
    down: Linear,
    feed_norm: Norm,
}

struct Decoder {
    words: Tensor,
    places: Tensor,
    norm: Norm,
    layers: Vec<Layer>,
    transform: Linear,
    transform_norm: Norm,
    scores: Linear,
    heads: Heads,
    activation: Activation,
    device: Device,
}

/// What was seen and written so far, by layer.
struct Past {
    /// Keys and values of the picture.
    picture: Vec<(Tensor, Tensor)>,
    /// Keys and values of the tokens.
    written: Vec<Option<(Tensor, Tensor)>>,
    count: usize,
}

impl Decoder {
    fn load(files: &Files<'_>, keys: &Keys, weights: &Weights, placement: &Placement) -> Result<Self, ModelError> {
        let text = &keys.text_config;
        let (width, epsilon, seen) = (text.hidden_size, text.layer_norm_eps, keys.vision_config.hidden_size);
        let parts = Parts(weights);
        let at = |name: &str| format!("text_decoder.bert.embeddings.{name}");
        let words = weights.tensor(&at("word_embeddings.weight"), (text.vocab_size, width))?;
        let places = weights.tensor(&at("position_embeddings.weight"), (text.max_position_embeddings, width))?;
        let layer = |layer: usize| {
            let at = |name: &str| format!("text_decoder.bert.encoder.layer.{layer}.{name}");
            let [q, k, v] = ["query", "key", "value"].map(|part| at(&format!("attention.self.{part}")));
            Ok(Layer {
                qkv: parts.joined(&[&q, &k, &v], [width, width], true)?,
                out: parts.linear(&at("attention.output.dense"), [width, width], true)?,
                norm: parts.layer_norm(&at("attention.output.LayerNorm"), width, epsilon)?,
                query: parts.linear(&at("crossattention.self.query"), [width, width], true)?,
                keys: parts.linear(&at("crossattention.self.key"), [seen, width], true)?,
                values: parts.linear(&at("crossattention.self.value"), [seen, width], true)?,
                across_out: parts.linear(&at("crossattention.output.dense"), [width, width], true)?,
                across_norm: parts.layer_norm(&at("crossattention.output.LayerNorm"), width, epsilon)?,
                up: parts.linear(&at("intermediate.dense"), [width, text.intermediate_size], true)?,
                down: parts.linear(&at("output.dense"), [text.intermediate_size, width], true)?,
                feed_norm: parts.layer_norm(&at("output.LayerNorm"), width, epsilon)?,
            })
        };
        let layers = (0..text.num_hidden_layers).map(layer).collect::<Result<_, ModelError>>()?;
        let at = |name: &str| format!("text_decoder.cls.predictions.{name}");
        // transformers 5 leaves out what is tied; 4 writes the weight again, and the bias under two names.
        let scores = if weights.has(&at("decoder.weight")) {
            weights.tensor(&at("decoder.weight"), (text.vocab_size, width))?
        } else {
            words.clone()
        };
        let bias = if weights.has(&at("bias")) { at("bias") } else { at("decoder.bias") };
        let bias = weights.tensor(&bias, text.vocab_size)?;
        Ok(Self {
            words,
            places,
            norm: parts.layer_norm("text_decoder.bert.embeddings.LayerNorm", width, epsilon)?,
            layers,
            transform: parts.linear(&at("transform.dense"), [width, width], true)?,
            transform_norm: parts.layer_norm(&at("transform.LayerNorm"), width, epsilon)?,
            scores: Linear::new(&scores, Some(bias)).map_err(failed)?,
            heads: heads(files, width, text.num_attention_heads)?,
            activation: activation(files, &text.hidden_act)?,
            device: placement.device.clone(),
        })
    }

    /// Returns the beginning of a caption of a picture with these rows.
    fn look(&self, rows: &Tensor, threads: Threads) -> candle_core::Result<Past> {
        let both = |layer: &Layer| Ok((layer.keys.forward(rows, threads)?, layer.values.forward(rows, threads)?));
        let picture = self.layers.iter().map(both).collect::<candle_core::Result<Vec<_>>>()?;
        Ok(Past { written: vec![None; picture.len()], picture, count: 0 })
    }

    /// Returns the scores of the token after `ids`, which go after those of the past.
    fn forward(&self, ids: &[u32], past: &mut Past, threads: Threads) -> candle_core::Result<Vec<f32>> {
        let words = self.words.index_select(&Tensor::new(ids, &self.device)?, 0)?;
        let places = self.places.narrow(0, past.count, ids.len())?;
        past.count += ids.len();
        let mut rows = self.norm.forward(&(words + places)?)?;
        for (index, layer) in self.layers.iter().enumerate() {
            rows = self.step(layer, &rows, &past.picture[index], &mut past.written[index], threads)?;
        }
        let last = rows.narrow(0, ids.len() - 1, 1)?;
        let transformed = ops::activate(&self.transform.forward(&last, threads)?, self.activation, false)?;
        let scores = self.scores.forward(&self.transform_norm.forward(&transformed)?, threads)?;
        scores.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
    }

    fn step(
        &self,
        layer: &Layer,
        rows: &Tensor,
        (picture_keys, picture_values): &(Tensor, Tensor),
        written: &mut Option<(Tensor, Tensor)>,
        threads: Threads,
    ) -> candle_core::Result<Tensor> {
        let width = rows.dim(1)?;
        let qkv = layer.qkv.forward(rows, threads)?;
        let part = |index: usize| qkv.narrow(1, index * width, width)?.contiguous();
        let (query, mut keys, mut values) = (part(0)?, part(1)?, part(2)?);
        if let Some((past_keys, past_values)) = written.take() {
            keys = Tensor::cat(&[&past_keys, &keys], 0)?;
            values = Tensor::cat(&[&past_values, &values], 0)?;
        }
        let gathered = ops::attend_across(&query, &keys, &values, self.heads, true, None)?;
        *written = Some((keys, values));
        let rows = layer.norm.forward(&layer.out.forward_onto(&gathered, rows, threads)?)?;
        let query = layer.query.forward(&rows, threads)?;
        let gathered = ops::attend_across(&query, picture_keys, picture_values, self.heads, false, None)?;
        let rows = layer.across_norm.forward(&layer.across_out.forward_onto(&gathered, &rows, threads)?)?;
        let up = ops::activate(&layer.up.forward(&rows, threads)?, self.activation, false)?;
        layer.feed_norm.forward(&layer.down.forward_onto(&up, &rows, threads)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_scores_the_first_wins() {
        assert_eq!(likeliest(&[0.0, 2.0, 2.0, -1.0]).unwrap(), 1);
        assert!(likeliest(&[f32::NAN; 3]).is_err(), "no caption comes of what is no number");
    }
}
