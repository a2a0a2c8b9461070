//! Moondream 2: a SigLIP tower, a projection, and the language model Phi 1.5, which is asked about the rows of the
//! picture.
//!
//! Two layouts are read, and told apart by the width of the projection. That of early 2024 sees a picture at one size
//! and answers questions. That of 2025 (revisions 2025-01-09 to 2025-04-14) also sees it in overlapping cuts, lets the
//! rows of the picture see each other whatever their order, and writes captions of a length without a question. The
//! layout between them, of mid 2024, has cuts of another kind and is refused.
//!
//! The checkpoints carry no shapes: they stand in their authors' program. Ours are read off the tensors; what cannot be
//! (how many heads, how much of one is rotated) is as in that program unless the config says otherwise. Answers are
//! greedy.

mod crops;
mod keys;
mod language;
mod tower;

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::{ImageToText, LoadedModel, ModelError, Request};
use loopscope_core::experiment::Picture;
use serde::Deserialize;
use serde_json::{Map, Value};

use self::crops::Crops;
use self::language::Language;
use super::device::{self, Placement};
use super::files::Files;
use super::kernels::{Activation, Threads};
use super::ops::{self, Linear};
use super::options::{self, Fits, Parameter};
use super::tokens::{self, Tokens};
use super::vision::{CONFIG, STEM, Tower};
use super::weights::{Weights, shards};
use super::{NativeInfo, NativeModel, fault};

/// The file of the weights, or what its shards are named after.
const WEIGHTS: &str = "model.safetensors";
/// Most pictures in a call: each keeps a past of its own.
const BATCH_MAX: usize = 4;
/// Begins the input and ends an answer.
const END: &str = "<|endoftext|>";
/// The epsilon of every norm.
const EPSILON: f64 = 1e-5;
/// What the layout of 2024 is asked when nobody asks anything else.
const QUESTION: &str = "Describe this image.";
/// The length of a caption when nobody asks for another.
const LENGTH: &str = "short";

/// What a config may say of the language model, by the names of either layout.
#[derive(Deserialize)]
struct Text {
    #[serde(default = "thirty_two", alias = "n_heads")]
    n_head: usize,
    rotary_dim: Option<usize>,
    #[serde(default = "places", alias = "max_context")]
    n_positions: usize,
}

/// What a config may say of the tower, by the names of either layout.
#[derive(Deserialize)]
struct Vision {
    #[serde(default = "sixteen", alias = "enc_n_heads")]
    num_heads: usize,
    #[serde(default = "twelve")]
    max_crops: usize,
    #[serde(default = "four")]
    overlap_margin: usize,
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

const fn twelve() -> usize {
    12
}

const fn four() -> usize {
    4
}

impl Default for Text {
    fn default() -> Self {
        Self { n_head: thirty_two(), rotary_dim: None, n_positions: places() }
    }
}

impl Default for Vision {
    fn default() -> Self {
        Self { num_heads: sixteen(), max_crops: twelve(), overlap_margin: four() }
    }
}

/// The config of 2024, or of 2025, which holds everything one level down.
#[derive(Default, Deserialize)]
struct Keys {
    #[serde(default, alias = "text")]
    text_config: Text,
    #[serde(default, alias = "vision")]
    vision_config: Vision,
    config: Option<Box<Keys>>,
}

impl Keys {
    fn read(files: &Files<'_>) -> Result<Self, ModelError> {
        let keys: Self = files.json(CONFIG)?;
        Ok(match keys.config {
            Some(inner) => *inner,
            None => keys,
        })
    }
}

/// The two ways to see and to ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// Of early 2024.
    Plain,
    /// Of 2025.
    Cuts,
}

impl Layout {
    fn of(files: &Files<'_>, weights: &Weights) -> Result<Self, ModelError> {
        let inputs = shape(weights, "vision.proj_mlp.fc1.weight")?.get(1).copied().unwrap_or(0);
        let width = shape(weights, "vision.pos_emb")?.get(2).copied().unwrap_or(0);
        let is_old =
            weights.stored("vision.proj_mlp.fc1.weight").is_some_and(|name| name.starts_with("vision_encoder"));
        match (inputs == width, inputs == 2 * width) {
            (true, _) => Ok(Self::Plain),
            (_, true) if !is_old => Ok(Self::Cuts),
            (_, true) => Err(files.error(
                WEIGHTS,
                "a Moondream of mid 2024, whose way of cutting pictures is not read: take revision 2024-04-02 or 2025-01-09",
            )),
            _ => Err(files.error(WEIGHTS, format!("the projection takes {inputs} numbers, and a row of the tower has {width}"))),
        }
    }
}

/// What the model is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Asked<'a> {
    Question(&'a str),
    /// A caption of this length.
    Caption(&'a str),
}

impl<'a> Asked<'a> {
    fn of(model: &NativeModel<'a>, layout: Layout) -> Result<Self, ModelError> {
        let given = |key| options::text(model.parameters, key);
        let refuse = |what: &str| Err(ModelError::permanent(format!("{}: {what}", model.name)));
        match (given("prompt"), given("length"), layout) {
            (Some(_), Some(_), _) => {
                refuse("prompt and length: expected one of them, a question or a caption's length")
            }
            (Some(prompt), None, _) => Ok(Self::Question(prompt)),
            (None, Some(_), Layout::Plain) => {
                refuse("length: a Moondream of 2024 writes no captions of a length; ask for one with prompt")
            }
            (None, None, Layout::Plain) => Ok(Self::Question(QUESTION)),
            (None, length, Layout::Cuts) => Ok(Self::Caption(length.unwrap_or(LENGTH))),
        }
    }

    /// Returns the tokens of what is asked. The parts of a question are told apart in 2025, and not in 2024: a question
    /// that ends in a space has other tokens.
    fn tokens(self, tokens: &Tokens, layout: Layout) -> Result<Vec<u32>, ModelError> {
        let parts = match (self, layout) {
            (Self::Question(prompt), Layout::Plain) => vec![format!("\n\nQuestion: {prompt}\n\nAnswer:")],
            (Self::Question(prompt), Layout::Cuts) => {
                vec!["\n\nQuestion:".to_owned(), format!(" {prompt}"), "\n\nAnswer:".to_owned()]
            }
            (Self::Caption("normal"), _) => vec!["\n\nCaption:".to_owned()],
            (Self::Caption("long"), _) => vec!["\n\nLong caption:".to_owned()],
            (Self::Caption(_), _) => vec!["\n\nShort caption:".to_owned()],
        };
        let encoded: Vec<Vec<u32>> =
            parts.iter().map(|part| tokens.encode(part, false)).collect::<Result<_, ModelError>>()?;
        Ok(encoded.concat())
    }
}

/// Returns the parameters of a captioner of this family.
pub(super) fn parameters() -> [Parameter; 3] {
    [
        Parameter::unset("prompt", Fits::Text),
        Parameter::unset("length", Fits::OneOf(&["short", "normal", "long"])),
        Parameter::new("max_tokens", Fits::Integer(1, 1024), 128),
    ]
}

fn open(files: &Files<'_>, placement: &Placement) -> Result<Weights, ModelError> {
    Weights::open(files, STEM, placement, keys::ours)
}

/// Describes a captioner.
///
/// # Errors
///
/// [`ModelError`] as for [`super::describe`].
pub(super) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    let files = model.files();
    Keys::read(&files)?;
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

/// Returns the parameters with what the layout decides: a question, or a length.
///
/// # Errors
///
/// [`ModelError`] as for [`super::describe`], or when the layout cannot do what is asked.
pub(super) fn settled(model: &NativeModel<'_>) -> Result<Map<String, Value>, ModelError> {
    let files = model.files();
    let weights = open(&files, &Placement { device: Device::Cpu, dtype: DType::F32 })?;
    let (key, value) = match Asked::of(model, Layout::of(&files, &weights)?)? {
        Asked::Question(prompt) => ("prompt", prompt),
        Asked::Caption(length) => ("length", length),
    };
    let mut parameters = model.parameters.clone();
    parameters.insert(key.to_owned(), value.into());
    Ok(parameters)
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
    layout: Layout,
    crops: Crops,
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
        let keys = Keys::read(&files)?;
        let placement = device::open(model)?;
        let weights = open(&files, &placement)?;
        let layout = Layout::of(&files, &weights)?;
        let tokens = Tokens::open(&files, "")?;
        let end = tokens.id(END).ok_or_else(|| files.error(tokens::FILE, format!("there is no token {END}")))?;
        let question = Asked::of(model, layout)?.tokens(&tokens, layout)?;
        let length = options::integer(model.parameters, "max_tokens").unwrap_or(128);
        let (tower, crops) = tower::tower(&files, &keys.vision_config, &weights, layout)?;
        let places = keys.text_config.n_positions;
        let needed = 1 + tower.rows() + question.len() + length;
        if needed > places {
            let (name, rows, asked) = (model.name, tower.rows(), question.len());
            return Err(ModelError::permanent(format!(
                "{name}: {rows} rows of the picture, {asked} tokens of the question and {length} of the answer are more than the model's {places} places"
            )));
        }
        let language = Language::load(&files, &keys.text_config, &weights, needed)?;
        let projection = tower::projection(&weights, language.width)?;
        let (name, device) = (model.name.to_string(), placement.device);
        Ok(Self { name, layout, crops, tower, projection, language, tokens, question, end, length, device })
    }

    fn answer(&self, picture: &Picture) -> Result<String, ModelError> {
        let failed = |error: candle_core::Error| fault::failed(&self.name, &error);
        let ids = self.answer_ids(picture).map_err(failed)?;
        Ok(self.tokens.decode(&ids)?.trim().to_owned())
    }

    /// Returns the rows of a picture as the language model sees them.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn rows(&self, picture: &Picture) -> candle_core::Result<Tensor> {
        let rows = match self.layout {
            Layout::Plain => self.see(picture)?,
            Layout::Cuts => self.see_twice(picture)?,
        };
        let [up, down] = &self.projection;
        let up = ops::activate(&up.forward(&rows, Threads::All)?, Activation::GeluTanh, false)?;
        down.forward(&up, Threads::All)
    }

    fn see(&self, picture: &Picture) -> candle_core::Result<Tensor> {
        self.tower.forward(&[picture], &self.device, Threads::All).map(|(rows, _)| rows)
    }

    /// Returns each row of the whole picture, and beside it the mean of the rows of the cuts in its place.
    fn see_twice(&self, picture: &Picture) -> candle_core::Result<Tensor> {
        let cut = self.crops.cut(picture);
        let whole = self.see(&cut.whole)?;
        if cut.cuts.is_empty() {
            return Tensor::cat(&[&whole, &whole], 1);
        }
        // One after another: twelve at once would take twelve times the memory.
        let rows = |cut: &Picture| {
            let rows = self.see(cut)?;
            rows.to_device(&Device::Cpu)?.to_dtype(DType::F32)?.flatten_all()?.to_vec1()
        };
        let rows: Vec<Vec<f32>> = cut.cuts.iter().map(rows).collect::<candle_core::Result<_>>()?;
        let (count, width) = whole.dims2()?;
        let pooled = Tensor::from_vec(self.crops.together(&rows, cut.tiling, width), (count, width), &self.device)?;
        Tensor::cat(&[&whole, &pooled.to_dtype(whole.dtype())?], 1)
    }

    /// Returns the tokens of an answer, without the one that ends it.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(super) fn answer_ids(&self, picture: &Picture) -> candle_core::Result<Vec<u32>> {
        let (language, mut past) = (&self.language, self.language.past());
        let seen = Tensor::cat(&[language.words(&[self.end])?, self.rows(picture)?], 0)?;
        let question = language.words(&self.question)?;
        let mut rows = match self.layout {
            Layout::Plain => language.forward(Tensor::cat(&[seen, question], 0)?, &mut past, true)?,
            Layout::Cuts => {
                language.forward(seen, &mut past, false)?;
                language.forward(question, &mut past, true)?
            }
        };
        let mut ids = Vec::new();
        loop {
            let next = super::blip::likeliest(&language.scores(&rows)?)?;
            if next == self.end {
                return Ok(ids);
            }
            ids.push(next);
            if ids.len() == self.length {
                return Ok(ids);
            }
            rows = language.forward(language.words(&[next])?, &mut past, true)?;
        }
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

/// Returns the cuts of a picture down and across, for tests against the reference.
#[cfg(test)]
pub(super) fn tiling(inside: [usize; 2], window: usize, most: usize) -> [usize; 2] {
    crops::tiling(inside, window, most)
}
