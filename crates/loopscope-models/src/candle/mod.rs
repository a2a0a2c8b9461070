//! Models that run in this process, read from the files of their authors.
//!
//! A model is a directory in the layout of the model hub: configs as JSON, weights as safetensors, a tokenizer. Nothing
//! here downloads, and nothing is found outside that directory. Each family reads its own configs (both the keys that
//! transformers 4 and those that transformers 5 writes) and is held to the numbers of the Python reference by the tests
//! under `parity`, with their data under `tests`.
//!
//! A result never depends on what else is in its batch, and every draw of chance comes from a seed that was passed in.

mod blip;
mod device;
mod diffusion;
mod encoder;
mod fault;
mod files;
mod kernels;
mod moondream;
mod ops;
mod options;
#[cfg(test)]
mod parity;
mod pixels;
mod pooling;
mod resample;
mod text;
mod tokens;
mod vision;
mod weights;

use std::path::Path;

use loopscope_core::backend::{Lane, LoadedModel, ModelError, RegistryError};
use loopscope_core::experiment::{Determinism, ModelKind, ModelName};
use serde_json::{Map, Value};

use crate::family::Family;

/// A model with the place of its files.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NativeModel<'a> {
    /// Its name in configs; errors carry it.
    pub(crate) name: &'a ModelName,
    /// How to read the files.
    pub(crate) family: Family,
    /// What to make of it; one of the family's kinds.
    pub(crate) kind: ModelKind,
    /// The directory of its files: a snapshot of a hub repository, or a copy of one.
    pub(crate) directory: &'a Path,
    /// Parameters as [`parameters`] completes them.
    pub(crate) parameters: &'a Map<String, Value>,
}

impl<'a> NativeModel<'a> {
    /// Returns its files.
    fn files(&self) -> files::Files<'a> {
        files::Files { name: self.name.as_str(), directory: self.directory }
    }
}

/// What the files and the parameters say of a model before it is loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NativeInfo {
    /// Numbers in a vector, for embedders.
    pub(crate) dimension: Option<usize>,
    /// Most items in a call; at least 1.
    pub(crate) batch_max: usize,
    /// Estimate of the memory it holds while loaded and at work.
    pub(crate) memory_bytes: u64,
    /// BLAKE3 over the files that make its results: weights, configs, tokenizer.
    pub(crate) weights_hash: String,
    /// How far repeating a call repeats its result.
    pub(crate) determinism: Determinism,
    /// The device thread that owns it.
    pub(crate) lane: Lane,
}

/// Returns the parameters of a model, with defaults for those that were not given.
///
/// # Errors
///
/// [`RegistryError`] for a parameter that the family does not have, or a value that does not fit it.
pub(crate) fn parameters(
    family: Family,
    kind: ModelKind,
    name: &ModelName,
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, RegistryError> {
    options::complete(name, &options::table(family, kind), given)
}

/// Describes a model from its configs, without loading it.
///
/// Hashes the files on the first call; later calls in this process look at lengths and times of change only.
///
/// # Errors
///
/// [`ModelError`] that names the file and the key when a file is missing, unreadable, or not of this family.
pub(crate) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    check_kind(model)?;
    match model.family {
        Family::StableDiffusion
        | Family::StableDiffusionXl
        | Family::StableDiffusion3
        | Family::Flux
        | Family::ZImage => diffusion::describe(model),
        Family::Blip => blip::describe(model),
        Family::Moondream => moondream::describe(model),
        _ if model.kind == ModelKind::TextEmbedder => text::describe(model),
        _ => vision::describe(model),
    }
}

/// Returns complete parameters with what the files of the model decide of those that nobody gave: what is recorded with
/// every row.
///
/// # Errors
///
/// As for [`describe`].
pub(crate) fn settled(model: &NativeModel<'_>) -> Result<Map<String, Value>, ModelError> {
    match model.family {
        Family::StableDiffusion
        | Family::StableDiffusionXl
        | Family::StableDiffusion3
        | Family::Flux
        | Family::ZImage => diffusion::settled(model),
        Family::Moondream => moondream::settled(model),
        _ if model.kind == ModelKind::TextEmbedder => text::settled(model),
        _ => Ok(model.parameters.clone()),
    }
}

/// Loads a model; called by the thread that will own it.
///
/// # Errors
///
/// [`ModelError`] as for [`describe`], or when a tensor is missing or of another shape than the config says.
pub(crate) fn load(model: &NativeModel<'_>) -> Result<LoadedModel, ModelError> {
    check_kind(model)?;
    match model.family {
        Family::StableDiffusion
        | Family::StableDiffusionXl
        | Family::StableDiffusion3
        | Family::Flux
        | Family::ZImage => diffusion::load(model),
        Family::Blip => blip::load(model),
        Family::Moondream => moondream::load(model),
        _ if model.kind == ModelKind::TextEmbedder => text::load(model),
        _ => vision::load(model),
    }
}

fn check_kind(model: &NativeModel<'_>) -> Result<(), ModelError> {
    if model.family.kinds().contains(&model.kind) {
        return Ok(());
    }
    let kinds: Vec<String> = model.family.kinds().iter().map(ToString::to_string).collect();
    let (name, family, kind) = (model.name, model.family, model.kind);
    Err(ModelError::permanent(format!("{name}: family {family} is {}, not {kind}", kinds.join(" or "))))
}
