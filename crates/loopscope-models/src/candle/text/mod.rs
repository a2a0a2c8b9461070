//! Text embedders: a tokenizer, a transformer of one of the families, and the steps of sentence-transformers after it.
//!
//! A batch is cut into packs of whole texts, shortest beside shortest, and nothing is padded: the rows of a pack go
//! through the layers together and meet only their own text in attention. On the CPU each core takes packs of its own,
//! which costs no waiting between layers. A vector has the same bits whatever else is in the batch.

mod bert;
mod clip;
mod modernbert;
mod nomic;
pub(super) mod qwen3;

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::{LoadedModel, ModelError, TextEmbedder};
use rayon::prelude::*;
use serde_json::{Map, Value};

use super::encoder::{Encoder, failed};
use super::files::Files;
use super::kernels::Threads;
use super::ops::{Norm, Positions};
use super::pooling::{self, Step, Steps};
use super::tokens::{self, Tokens};
use super::weights::{Weights, shards};
use super::{NativeInfo, NativeModel, device, fault, options};
use crate::family::Family;

/// The file of the transformer's shape.
const CONFIG: &str = "config.json";
/// The stem of its weights.
const STEM: &str = "model";
/// The file of the longest text, in models of sentence-transformers before 6.
const SENTENCE: &str = "sentence_bert_config.json";
/// Most texts in a call.
const BATCH_MAX: usize = 512;
/// Rows that go through the layers together: enough for a product to be fast, few enough for its rows to stay in the
/// cache of a core.
const PACK_ROWS: usize = 192;

/// Where the tokens of a text stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Counting {
    /// From 0.
    FromNought,
    /// From the number after this one; tokens that are this one do not count, and stand at it.
    After(u32),
}

/// Tokens as rows.
#[derive(Clone, Debug)]
pub(super) struct Embeddings {
    pub(super) words: Tensor,
    /// Rows to add by position, what is the same for all tokens included.
    pub(super) places: Option<(Tensor, Counting)>,
    /// A row to add to every token, where there are no positions to carry it.
    pub(super) shared: Option<Tensor>,
    pub(super) norm: Option<Norm>,
}

/// A transformer that takes tokens.
pub(super) struct Backbone {
    pub(super) embeddings: Embeddings,
    pub(super) encoder: Encoder,
    pub(super) rotations: Vec<Positions>,
}

/// What the config says of a transformer before its weights are read.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    /// Numbers in a row.
    pub(super) width: usize,
    /// Longest text that it has places for, in tokens.
    pub(super) places: usize,
    /// Numbers of the widest layer, for the estimate of memory.
    pub(super) widest: usize,
}

/// How a family reads its files.
trait Architecture {
    /// Returns the shape.
    fn shape(&self) -> Shape;
    /// Reads the steps after the transformer.
    fn steps(&self, files: &Files<'_>) -> Result<Steps, ModelError> {
        pooling::read(files, self.shape().width)
    }
    /// The token after which nothing counts.
    fn end(&self) -> Option<u32> {
        None
    }
    /// Reads the weights, for texts of at most `length` tokens.
    fn backbone(&self, files: &Files<'_>, placement: &device::Placement, length: usize)
    -> Result<Backbone, ModelError>;
}

fn architecture(model: &NativeModel<'_>, files: &Files<'_>) -> Result<Box<dyn Architecture>, ModelError> {
    Ok(match model.family {
        Family::Bert => Box::new(bert::Config::read(files, bert::Kind::Bert)?),
        Family::Roberta => Box::new(bert::Config::read(files, bert::Kind::Roberta)?),
        Family::Mpnet => Box::new(bert::Config::read(files, bert::Kind::Mpnet)?),
        Family::NomicBert => Box::new(nomic::Config::read(files)?),
        Family::ModernBert => Box::new(modernbert::Config::read(files)?),
        Family::Qwen3Embed => Box::new(qwen3::Config::read(files)?),
        Family::Clip => Box::new(clip::Config::read(files)?),
        family => {
            return Err(ModelError::permanent(format!("{}: family {family} embeds no text", model.name)));
        }
    })
}

#[derive(serde::Deserialize)]
struct Sentence {
    max_seq_length: Option<usize>,
    #[serde(default)]
    do_lower_case: bool,
}

/// Returns the longest text, in tokens: what the parameters say, else the files of the model, else its places.
fn length(model: &NativeModel<'_>, files: &Files<'_>, places: usize) -> Result<usize, ModelError> {
    let sentence: Option<Sentence> = files.json_if_there(SENTENCE)?;
    if sentence.as_ref().is_some_and(|sentence| sentence.do_lower_case) {
        return Err(files.error(SENTENCE, "do_lower_case is true, which is not supported"));
    }
    if let Some(length) = options::integer(model.parameters, "max_tokens") {
        if length <= places {
            return Ok(length);
        }
        let name = model.name;
        return Err(ModelError::permanent(format!(
            "{name}: max_tokens is {length}; the model has places for {places}"
        )));
    }
    let named = match sentence.and_then(|sentence| sentence.max_seq_length) {
        Some(length) => Some(length),
        None => tokens::length_max(files, "")?,
    };
    Ok(named.map_or(places, |length| length.min(places)))
}

/// Returns the files that decide the vectors.
fn files_read(files: &Files<'_>, steps: &Steps) -> Result<Vec<String>, ModelError> {
    let mut read = shards(files, STEM)?;
    read.extend([CONFIG, tokens::FILE].map(str::to_owned));
    read.extend([SENTENCE, tokens::CONFIG].into_iter().filter(|file| files.has(file)).map(str::to_owned));
    read.extend(steps.files.iter().cloned());
    Ok(read)
}

/// Returns how many numbers a vector has: those of the last step, or the first few of them.
fn dimension(model: &NativeModel<'_>, steps: &Steps) -> Result<usize, ModelError> {
    let whole = steps.dimension;
    match options::integer(model.parameters, "dimension") {
        Some(cut) if cut > whole => {
            let name = model.name;
            Err(ModelError::permanent(format!("{name}: dimension is {cut}; the model gives {whole} numbers")))
        }
        Some(cut) => Ok(cut),
        None => Ok(whole),
    }
}

/// Describes a text embedder.
///
/// # Errors
///
/// [`ModelError`] as for [`super::describe`].
pub(super) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    let files = model.files();
    let architecture = architecture(model, &files)?;
    let (shape, steps) = (architecture.shape(), architecture.steps(&files)?);
    length(model, &files, shape.places)?;
    let read = files_read(&files, &steps)?;
    let threads = rayon::current_num_threads() as u64;
    Ok(NativeInfo {
        dimension: Some(dimension(model, &steps)?),
        batch_max: BATCH_MAX,
        memory_bytes: device::memory(model, files.bytes(&read)) + threads * (32 * PACK_ROWS * shape.widest) as u64,
        weights_hash: files.hash(&read)?,
        determinism: device::determinism(model),
        lane: device::lane(model),
    })
}

/// Returns the parameters with the longest text that the files name.
///
/// # Errors
///
/// As for [`describe`].
pub(super) fn settled(model: &NativeModel<'_>) -> Result<Map<String, Value>, ModelError> {
    let files = model.files();
    let length = length(model, &files, architecture(model, &files)?.shape().places)?;
    let mut settled = model.parameters.clone();
    settled.insert("max_tokens".to_owned(), length.into());
    Ok(settled)
}

/// Loads a text embedder.
///
/// # Errors
///
/// [`ModelError`] as for [`super::load`].
pub(super) fn load(model: &NativeModel<'_>) -> Result<LoadedModel, ModelError> {
    let files = model.files();
    let architecture = architecture(model, &files)?;
    let (shape, steps) = (architecture.shape(), architecture.steps(&files)?);
    let dimension = dimension(model, &steps)?;
    let length = length(model, &files, shape.places)?;
    let placement = device::open(model)?;
    let mut tokens = Tokens::open(&files, "")?;
    tokens.cut(length)?;
    let backbone = architecture.backbone(&files, &placement, length)?;
    Ok(LoadedModel::TextEmbedder(Box::new(Embedder {
        name: model.name.to_string(),
        tokens,
        prefix: options::text(model.parameters, "prefix").unwrap_or_default().to_owned(),
        end: architecture.end(),
        backbone,
        width: shape.width,
        steps: steps.steps,
        whole: steps.dimension,
        dimension,
        device: placement.device,
    })))
}

struct Embedder {
    name: String,
    tokens: Tokens,
    prefix: String,
    /// The token after which nothing counts.
    end: Option<u32>,
    backbone: Backbone,
    width: usize,
    steps: Vec<Step>,
    /// Numbers in a vector after the last step.
    whole: usize,
    /// Numbers that are kept of them.
    dimension: usize,
    device: Device,
}

/// The tokens of a text, and its place in the batch.
struct Item {
    place: usize,
    tokens: Vec<u32>,
}

impl TextEmbedder for Embedder {
    fn embed(&mut self, batch: &[&str]) -> Vec<Result<Vec<f32>, ModelError>> {
        let this = &*self;
        let mut results: Vec<Option<Result<Vec<f32>, ModelError>>> = batch.iter().map(|_| None).collect();
        let encoded: Vec<_> = batch.par_iter().map(|text| this.encode(text)).collect();
        let mut items = Vec::with_capacity(batch.len());
        for (place, tokens) in encoded.into_iter().enumerate() {
            match tokens {
                Ok(tokens) => items.push(Item { place, tokens }),
                Err(error) => results[place] = Some(Err(error)),
            }
        }
        items.sort_by_key(|item| item.tokens.len());
        for (place, result) in this.embed_all(&items) {
            results[place] = Some(result);
        }
        let missing = || Err(ModelError::permanent(format!("{}: no vector for a text", self.name)));
        results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }
}

impl Embedder {
    fn encode(&self, text: &str) -> Result<Vec<u32>, ModelError> {
        let mut tokens = if self.prefix.is_empty() {
            self.tokens.encode(text, true)?
        } else {
            self.tokens.encode(&format!("{}{text}", self.prefix), true)?
        };
        if tokens.is_empty() {
            return Err(ModelError::permanent(format!("{}: the text has no tokens", self.name)));
        }
        if let Some(first) = self.end.and_then(|end| tokens.iter().position(|token| *token == end)) {
            tokens.truncate(first + 1);
        }
        Ok(tokens)
    }

    fn embed_all(&self, items: &[Item]) -> Vec<(usize, Result<Vec<f32>, ModelError>)> {
        let packs = packs(items);
        let on_cpu = self.device.is_cpu();
        let answer = |pack: &[Item], threads| match self.embed_pack(pack, threads) {
            Ok(vectors) => pack.iter().zip(vectors).map(|(item, vector)| (item.place, Ok(vector))).collect::<Vec<_>>(),
            Err(error) => {
                let error = |item: &Item| (item.place, Err(fault::failed(&self.name, &error)));
                pack.iter().map(error).collect()
            }
        };
        if on_cpu && packs.len() >= rayon::current_num_threads() {
            // Longest first: what is left at the end is short.
            return packs.par_iter().rev().with_max_len(1).flat_map_iter(|pack| answer(pack, Threads::One)).collect();
        }
        packs.iter().flat_map(|pack| answer(pack, Threads::All)).collect()
    }

    fn embed_pack(&self, pack: &[Item], threads: Threads) -> candle_core::Result<Vec<Vec<f32>>> {
        let mut sequences: Vec<Range<usize>> = Vec::with_capacity(pack.len());
        for item in pack {
            let start = sequences.last().map_or(0, |last| last.end);
            sequences.push(start..start + item.tokens.len());
        }
        let rows = self.backbone.embeddings.rows(pack.iter().map(|item| item.tokens.as_slice()), &self.device)?;
        let rows = self.backbone.encoder.forward(rows, &sequences, &self.backbone.rotations, threads)?;
        let rows: Vec<f32> = rows.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
        let mut vectors = pooling::apply(&self.steps, &rows, self.width, &sequences)?;
        if self.dimension < self.whole {
            for vector in &mut vectors {
                vector.truncate(self.dimension);
                pooling::normalize(vector);
            }
        }
        Ok(vectors)
    }
}

/// Cuts items, which are in order of length, into runs of at most [`PACK_ROWS`] tokens or of one item.
fn packs(items: &[Item]) -> Vec<&[Item]> {
    let mut packs = Vec::new();
    let (mut start, mut rows) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        if index > start && rows + item.tokens.len() > PACK_ROWS {
            packs.push(&items[start..index]);
            (start, rows) = (index, 0);
        }
        rows += item.tokens.len();
    }
    if start < items.len() {
        packs.push(&items[start..]);
    }
    packs
}

impl Embeddings {
    /// Returns the rows of texts, one after another.
    pub(super) fn rows<'a>(
        &self,
        texts: impl Iterator<Item = &'a [u32]>,
        device: &Device,
    ) -> candle_core::Result<Tensor> {
        let (mut tokens, mut places) = (Vec::new(), Vec::new());
        let counting = self.places.as_ref().map_or(Counting::FromNought, |(_, counting)| *counting);
        for text in texts {
            tokens.extend_from_slice(text);
            counting.count(text, &mut places);
        }
        let mut rows = self.words.index_select(&Tensor::new(tokens.as_slice(), device)?, 0)?;
        if let Some((table, _)) = &self.places {
            rows = (rows + table.index_select(&Tensor::new(places.as_slice(), device)?, 0)?)?;
        }
        if let Some(shared) = &self.shared {
            rows = rows.broadcast_add(shared)?;
        }
        match &self.norm {
            Some(norm) => norm.forward(&rows),
            None => Ok(rows),
        }
    }
}

impl Counting {
    fn count(self, tokens: &[u32], places: &mut Vec<u32>) {
        match self {
            Self::FromNought => places.extend((0_u32..).take(tokens.len())),
            Self::After(padding) => {
                let mut last = padding;
                for token in tokens {
                    if *token == padding {
                        places.push(padding);
                    } else {
                        last += 1;
                        places.push(last);
                    }
                }
            }
        }
    }
}

/// Opens the weights of a text model, under names without the prefix that some savers add.
fn open(files: &Files<'_>, placement: &device::Placement, prefixes: &[&str]) -> Result<Weights, ModelError> {
    Weights::open(files, STEM, placement, |name: &str| {
        let name = prefixes.iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(name);
        // What TensorFlow called the weight and the bias of a norm is still found in old files.
        if let Some(norm) = name.strip_suffix("LayerNorm.gamma") {
            return Some(format!("{norm}LayerNorm.weight").into());
        }
        if let Some(norm) = name.strip_suffix("LayerNorm.beta") {
            return Some(format!("{norm}LayerNorm.bias").into());
        }
        Some(name.into())
    })
}

/// Returns the sum of a table of places and of the first row of another table.
fn with_first_row(table: &Tensor, other: &Tensor) -> Result<Tensor, ModelError> {
    other.get(0).and_then(|row| table.broadcast_add(&row)).map_err(failed)
}

/// Returns an error about a key of the config.
fn key(files: &Files<'_>, key: &str, expected: &str, got: impl std::fmt::Display) -> ModelError {
    files.error(CONFIG, format!("{key}: expected {expected}, got {got}"))
}

/// Returns the numbers in a head.
///
/// # Errors
///
/// [`ModelError`] when the rows do not divide into the heads.
fn head_width(files: &Files<'_>, width: usize, heads: usize) -> Result<usize, ModelError> {
    if heads > 0 && width.is_multiple_of(heads) {
        return Ok(width / heads);
    }
    Err(key(files, "num_attention_heads", &format!("a divisor of hidden_size, {width}"), heads))
}

/// Returns the activation of a word in the config.
///
/// # Errors
///
/// [`ModelError`] when we do not have it.
fn activation(files: &Files<'_>, name: &str, word: &str) -> Result<super::kernels::Activation, ModelError> {
    super::kernels::Activation::parse(word)
        .ok_or_else(|| key(files, name, "gelu, gelu_new, quick_gelu, silu or relu", word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packs_hold_whole_texts_in_order_and_every_text_once() {
        let items: Vec<Item> = [5, 90, 100, 150, 190, 400, 500]
            .iter()
            .enumerate()
            .map(|(place, length)| Item { place, tokens: vec![0; *length] })
            .collect();
        let cut: Vec<Vec<usize>> =
            packs(&items).iter().map(|pack| pack.iter().map(|item| item.tokens.len()).collect()).collect();
        assert_eq!(cut, [vec![5, 90], vec![100], vec![150], vec![190], vec![400], vec![500]]);
        assert!(packs(&[]).is_empty());
    }

    #[test]
    fn tokens_that_are_the_padding_stand_at_it() {
        let mut places = Vec::new();
        Counting::After(1).count(&[0, 7, 1, 8, 2], &mut places);
        assert_eq!(places, [2, 3, 1, 4, 5]);
    }
}
