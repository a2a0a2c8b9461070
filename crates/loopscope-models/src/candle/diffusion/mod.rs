//! Painters: Stable Diffusion 1, 2, XL with their Turbo forms, 3 and 3.5, FLUX.1 and Z-Image, from files in the layout
//! of diffusers.
//!
//! A picture is a function of prompt, seed, parameters and files. Noise and schedules are ours (`noise`, `schedule`);
//! pictures of a batch are painted one after the other, so that none depends on another. Each part is held to the
//! numbers of diffusers by the tests in `parity`.

mod attention;
mod clip_text;
mod flux;
mod noise;
mod pixels;
mod resnet;
mod rotation;
mod sample;
mod schedule;
mod sd3;
mod settings;
mod stable;
mod t5;
mod tokens;
mod unet;
mod vae;
mod zimage;

#[cfg(test)]
mod parity;

use candle_core::DType;
use candle_nn::VarBuilder;
use loopscope_core::backend::{LoadedModel, ModelError};
use serde_json::{Map, Value};

pub(crate) use settings::parameters;

use super::device::{self, Placement};
use super::fault::failed;
use super::files::Files;
use super::weights::{Weights, are_there, as_stored, shards};
use super::{NativeInfo, NativeModel};
use crate::family::Family;

/// Describes a painter from its files.
///
/// # Errors
///
/// A [`ModelError`] that names the file and the key.
pub(crate) fn describe(model: &NativeModel<'_>) -> Result<NativeInfo, ModelError> {
    let files = Files { name: model.name.as_str(), directory: model.directory };
    let (parts, working) = match model.family {
        Family::Flux => flux::parts(model, files)?,
        Family::StableDiffusion3 => sd3::parts(model, files)?,
        Family::ZImage => zimage::parts(model, files)?,
        _ => stable::parts(model, files)?,
    };
    let mut names = Vec::new();
    let mut weights = 0;
    for part in &parts {
        names.extend(part.files.iter().cloned());
        weights += part.bytes;
    }
    names.retain(|name| files.has(name));
    Ok(NativeInfo {
        dimension: None,
        // Painted one after the other: a larger batch would only be stored later.
        batch_max: 1,
        memory_bytes: weights + working,
        weights_hash: files.hash(&names)?,
        determinism: device::determinism(model),
        lane: device::lane(model),
    })
}

/// Returns the parameters of a painter with what its files decide of those that were not given.
///
/// # Errors
///
/// As for [`describe`].
pub(crate) fn settled(model: &NativeModel<'_>) -> Result<Map<String, Value>, ModelError> {
    let files = Files { name: model.name.as_str(), directory: model.directory };
    let mut parameters = model.parameters.clone();
    match model.family {
        Family::Flux => flux::record(model, files, &mut parameters)?,
        Family::StableDiffusion3 => sd3::record(model, files, &mut parameters)?,
        Family::ZImage => zimage::record(model, files, &mut parameters)?,
        _ => stable::record(model, files, &mut parameters)?,
    }
    Ok(parameters)
}

/// Loads a painter.
///
/// # Errors
///
/// A [`ModelError`] that names the file, the key or the tensor.
pub(crate) fn load(model: &NativeModel<'_>) -> Result<LoadedModel, ModelError> {
    let files = Files { name: model.name.as_str(), directory: model.directory };
    let placement = device::open(model)?;
    Ok(LoadedModel::TextToImage(match model.family {
        Family::Flux => Box::new(flux::Painter::load(model, files, &placement)?),
        Family::StableDiffusion3 => Box::new(sd3::Painter::load(model, files, &placement)?),
        Family::ZImage => Box::new(zimage::Painter::load(model, files, &placement)?),
        _ => Box::new(stable::Painter::load(model, files, &placement)?),
    }))
}

/// A part of a pipeline on disk.
struct Part {
    /// All its files, those that are not there included.
    files: Vec<String>,
    /// What its weights take when loaded.
    bytes: u64,
}

impl Part {
    /// Returns a part without weights.
    fn plain(files: &[&str]) -> Self {
        Self { files: files.iter().map(|file| (*file).to_owned()).collect(), bytes: 0 }
    }

    /// Returns the part of a directory with a configuration and weights, which are held as `dtype`; of those whose
    /// name begins with `prefix`.
    fn weights(files: Files<'_>, directory: &str, stem: &str, dtype: DType, prefix: &str) -> Result<Self, ModelError> {
        let stem = present(files, directory, stem);
        let placement = Placement { device: candle_core::Device::Cpu, dtype };
        let weights = Weights::open(&files, &stem, &placement, as_stored)?;
        let count = weights.names().filter(|name| name.starts_with(prefix)).filter_map(|name| weights.shape(name));
        let count: usize = count.map(|shape| shape.iter().product::<usize>()).sum();
        let mut names = shards(&files, &stem)?;
        names.push(format!("{directory}/config.json"));
        Ok(Self { files: names, bytes: (count * dtype.size_in_bytes()) as u64 })
    }
}

/// Returns the stem of the weights of a part: those in half precision where there are no others.
fn present(files: Files<'_>, directory: &str, stem: &str) -> String {
    let plain = format!("{directory}/{stem}");
    let half = format!("{plain}.fp16");
    if !are_there(&files, &plain) && are_there(&files, &half) { half } else { plain }
}

/// Opens the weights of a part.
fn open(
    files: Files<'_>,
    directory: &str,
    stem: &str,
    placement: &Placement,
) -> Result<VarBuilder<'static>, ModelError> {
    Ok(Weights::open(&files, &present(files, directory, stem), placement, as_stored)?.into_builder())
}
