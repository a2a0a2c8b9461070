//! Every part and every pipeline against diffusers, on the tiny checkpoints of `reference/parity/diffusion.py` and
//! `stable3.py`.

mod forms;
mod parts;
mod pipelines;
mod stable3;
mod zimage;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::{LoadedModel, Request};
use loopscope_core::experiment::{ModelKind, ModelName, Picture};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::device::Placement;
use super::super::files::Files;
use super::super::{NativeModel, describe, load, parameters, settled};
use super::clip_text::ClipTextEncoder;
use super::flux::{Conditioning, FluxTransformer, Source};
use super::noise::{Draw, normals};
use super::sd3::{self, PATCH, Sd3Config, Sd3Transformer};
use super::stable::WEIGHTS;
use super::t5::T5Encoder;
use super::tokens::FixedTokenizer;
use super::unet::{Addition, Unet};
use super::vae::VaeDecoder;
use super::{open, present};
use crate::family::Family;

/// The seed of the reference pictures.
const SEED: u64 = 20;
const CPU: Device = Device::Cpu;

const CHECKPOINTS: [(&str, Family); 9] = [
    ("sd15", Family::StableDiffusion),
    ("sd21", Family::StableDiffusion),
    ("sd-turbo", Family::StableDiffusion),
    ("sdxl-turbo", Family::StableDiffusionXl),
    ("sd35", Family::StableDiffusion3),
    ("sd3", Family::StableDiffusion3),
    ("flux-schnell", Family::Flux),
    ("flux-dev", Family::Flux),
    ("z-image", Family::ZImage),
];

/// Parameters of a size that every checkpoint of the family knows: places of SD3 are a table in the file.
fn sized(family: Family) -> Map<String, Value> {
    let given = if family == Family::StableDiffusion3 { r#"{"width":48,"height":32}"# } else { "{}" };
    serde_json::from_str(given).unwrap()
}

fn prompts() -> [String; 4] {
    let long: Vec<String> = (0..30).map(|index| format!("word{index} of a very long sentence")).collect();
    [
        "A small red circle at the left, on a blue background!".to_owned(),
        "Ünïcode & 3 dogs' toys; they've\tbeen   here  — a PHOTO of a café, 1999".to_owned(),
        String::new(),
        long.join(" "),
    ]
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/diffusion")
}

/// A checkpoint with what Python computed.
struct Checkpoint {
    name: &'static str,
    directory: PathBuf,
    reference: HashMap<String, Tensor>,
}

impl Checkpoint {
    fn open(name: &'static str) -> Self {
        let directory = fixtures().join(name);
        let reference = candle_core::safetensors::load(directory.join("reference.safetensors"), &CPU).unwrap();
        Self { name, directory, reference }
    }

    fn files(&self) -> Files<'_> {
        Files { name: self.name, directory: &self.directory }
    }

    fn expected(&self, key: &str) -> &Tensor {
        self.reference.get(key).unwrap_or_else(|| panic!("{} has no {key}", self.name))
    }

    /// The T5 encoder and its tokenizer, where there are any.
    fn t5(&self) -> Option<(&'static str, &'static str)> {
        let sides = [("tokenizer_3", "text_encoder_3"), ("tokenizer_2", "text_encoder_2")];
        self.reference
            .contains_key("t5.ids")
            .then(|| sides.into_iter().find(|(_, side)| self.directory.join(side).is_dir()))?
    }

    /// The CLIP encoders and their tokenizers, with the prefix of what Python says of them.
    fn clips(&self) -> Vec<(&'static str, &'static str, &'static str)> {
        let sides = [("clip", "tokenizer", "text_encoder"), ("clip2", "tokenizer_2", "text_encoder_2")];
        sides.into_iter().filter(|(key, ..)| self.reference.contains_key(&format!("{key}.ids"))).collect()
    }

    fn weights(&self, directory: &str, stem: &str) -> candle_nn::VarBuilder<'static> {
        open(self.files(), directory, stem, &Placement { device: CPU, dtype: DType::F32 }).unwrap()
    }

    fn ids(&self, key: &str, row: usize) -> Vec<u32> {
        self.expected(key).get(row).unwrap().to_dtype(DType::U32).unwrap().to_vec1().unwrap()
    }

    /// Checks a tensor, and prints how far it is off.
    fn check(&self, key: &str, part: Option<usize>, ours: &Tensor, tolerance: f32) {
        let theirs = self.expected(key);
        let theirs = part.map_or_else(|| theirs.clone(), |row| theirs.narrow(0, row, 1).unwrap());
        assert_eq!(ours.dims(), theirs.dims(), "{} {key}", self.name);
        let difference = largest(&(ours - &theirs).unwrap());
        println!("parity | {} | {key} | {difference:.1e} | of {:.1}", self.name, largest(&theirs));
        assert!(difference <= tolerance, "{} {key}: {difference}", self.name);
    }
}

fn largest(tensor: &Tensor) -> f32 {
    let values: Vec<f32> = tensor.flatten_all().unwrap().to_vec1().unwrap();
    values.into_iter().fold(0.0, |most, value| if value.is_nan() { f32::NAN } else { most.max(value.abs()) })
}

fn flux(checkpoint: &Checkpoint, source: &Source<'_>, level: f64) -> Tensor {
    let config = checkpoint.files().json("transformer/config.json").unwrap();
    let transformer = FluxTransformer::new(&config, source).unwrap();
    let conditioning = Conditioning {
        words: checkpoint.expected("flux.text").clone(),
        pooled: checkpoint.expected("flux.pooled").clone(),
        guidance: 3.5,
    };
    transformer.forward(checkpoint.expected("flux.sample"), [4, 6], level, &conditioning).unwrap()
}

/// A model of a checkpoint with parameters.
fn painter(checkpoint: &Checkpoint, family: Family, given: &str) -> LoadedModel {
    try_painter(checkpoint, family, given).unwrap()
}

/// The same, with the message of what is wrong.
fn try_painter(checkpoint: &Checkpoint, family: Family, given: &str) -> Result<LoadedModel, String> {
    let name = ModelName::new(checkpoint.name);
    let given: Map<String, Value> = serde_json::from_str(given).unwrap();
    let kind = ModelKind::TextToImage;
    let parameters = parameters(family, kind, &name, &given).map_err(|error| error.to_string())?;
    let model = NativeModel { name: &name, family, kind, directory: &checkpoint.directory, parameters: &parameters };
    load(&model).map_err(|error| error.to_string())
}

fn paint(model: &mut LoadedModel, texts: &[(&str, u64)]) -> Vec<Picture> {
    let LoadedModel::TextToImage(model) = model else { panic!("not a painter") };
    let batch: Vec<_> = texts.iter().map(|(input, seed)| Request { input: *input, seed: *seed }).collect();
    model.generate(&batch).into_iter().map(Result::unwrap).collect()
}

/// Copies a checkpoint, so that a test may spoil it.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
