//! Weights from safetensors files, whole or in shards, under the key names that our models use.
//!
//! The files are mapped, not read: a tensor is copied once, when it is asked for, into the numbers of the model's
//! placement. Pickled weights (`.bin`, `.pt`) are refused: reading one runs whatever program is in it.

use std::borrow::Cow;
use std::collections::BTreeMap;

use candle_core::safetensors::{Load, MmapedSafetensors};
use candle_core::{DType, Device, Shape, Tensor};
use candle_nn::var_builder::SimpleBackend;
use candle_nn::{Init, VarBuilder};
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::device::Placement;
use super::files::Files;

/// The tensors of one checkpoint.
pub(crate) struct Weights {
    mapped: MmapedSafetensors,
    /// Our name of a tensor, and its name in the files.
    stored: BTreeMap<String, String>,
    placement: Placement,
    /// What messages call the checkpoint: the model and its file.
    place: String,
}

#[derive(Deserialize)]
struct Index {
    weight_map: BTreeMap<String, String>,
}

/// Returns the names that the index of the shards of `STEM.safetensors` may have: `model.fp16` is published as
/// `model.safetensors.index.fp16.json`.
fn indices(stem: &str) -> Vec<String> {
    let mut names = vec![format!("{stem}.safetensors.index.json")];
    names.extend(stem.strip_suffix(".fp16").map(|stem| format!("{stem}.safetensors.index.fp16.json")));
    names
}

/// Returns whether the weights `STEM.safetensors` are there, whole or as an index of shards.
pub(crate) fn are_there(files: &Files<'_>, stem: &str) -> bool {
    files.has(&format!("{stem}.safetensors")) || indices(stem).iter().any(|index| files.has(index))
}

/// Returns the files that hold the weights `STEM.safetensors`: that one, or the shards that its index names.
///
/// # Errors
///
/// [`ModelError`] when neither is there, and what to do when only pickled weights are.
pub(crate) fn shards(files: &Files<'_>, stem: &str) -> Result<Vec<String>, ModelError> {
    let single = format!("{stem}.safetensors");
    if files.has(&single) {
        return Ok(vec![single]);
    }
    let folder = stem.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    if let Some(index) = indices(stem).into_iter().find(|index| files.has(index)) {
        let named: Index = files.json(&index)?;
        let mut shards: Vec<String> = named.weight_map.into_values().map(|file| format!("{folder}{file}")).collect();
        shards.sort_unstable();
        shards.dedup();
        return match shards.iter().find(|file| !files.has(file)) {
            Some(missing) => Err(files.error(missing, format!("{index} names this file, and it is not there"))),
            None => Ok(shards),
        };
    }
    let pickled = [format!("{folder}pytorch_model.bin"), format!("{stem}.bin")];
    let pickled = pickled.into_iter().find(|file| files.has(file));
    Err(match pickled {
        Some(file) => files.error(
            &file,
            "pickled weights are not read, since that would run the program in them; convert them to safetensors",
        ),
        None => files.error(&single, "the model needs this file, and it is not there"),
    })
}

impl Weights {
    /// Opens the weights `STEM.safetensors`, whole or in shards.
    ///
    /// `rename` says what our models call a stored tensor, and `None` for one that they do not use. Where two stored
    /// names have one meaning (tied weights that were written twice), the first in the order of names is taken.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file that is missing or is not safetensors.
    pub(crate) fn open(
        files: &Files<'_>,
        stem: &str,
        placement: &Placement,
        rename: impl for<'k> Fn(&'k str) -> Option<Cow<'k, str>>,
    ) -> Result<Self, ModelError> {
        let shards = shards(files, stem)?;
        let paths: Vec<_> = shards.iter().map(|file| files.path(file)).collect();
        #[expect(
            unsafe_code,
            reason = "a mapped file must not change while it is mapped: as for every reader of models"
        )]
        let mapped = unsafe { MmapedSafetensors::multi(&paths) };
        let mapped = mapped.map_err(|error| files.error(&shards.join(", "), error))?;
        let mut names: Vec<String> = mapped.tensors().into_iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let mut stored = BTreeMap::new();
        for name in names {
            if let Some(ours) = rename(&name) {
                stored.entry(ours.into_owned()).or_insert_with(|| name.clone());
            }
        }
        let place = format!("{}: {}", files.name, files.path(&format!("{stem}.safetensors")).display());
        Ok(Self { mapped, stored, placement: placement.clone(), place })
    }

    /// Whether there is a tensor of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.stored.contains_key(name)
    }

    /// Returns what the files call a tensor of ours.
    pub(crate) fn stored(&self, name: &str) -> Option<&str> {
        self.stored.get(name).map(String::as_str)
    }

    /// Returns our names of all tensors, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.stored.keys().map(String::as_str)
    }

    /// Returns a tensor on the model's device in the model's numbers.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the tensor, when it is missing or of another shape.
    pub(crate) fn tensor(&self, name: &str, shape: impl Into<Shape>) -> Result<Tensor, ModelError> {
        self.load(shape.into(), name, self.placement.dtype, &self.placement.device).map_err(ModelError::permanent)
    }

    /// Returns the shape of a tensor, when there is one of this name.
    pub(crate) fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let view = self.mapped.get(self.stored.get(name)?).ok()?;
        Some(view.shape().to_vec())
    }

    /// Returns the numbers that the model computes in.
    pub(crate) const fn dtype(&self) -> DType {
        self.placement.dtype
    }

    /// Returns candle's view of these weights, for its own models.
    pub(crate) fn into_builder(self) -> VarBuilder<'static> {
        let (dtype, device) = (self.placement.dtype, self.placement.device.clone());
        VarBuilder::from_backend(Box::new(self), dtype, device)
    }

    fn load(&self, shape: Shape, name: &str, dtype: DType, device: &Device) -> Result<Tensor, String> {
        let tensor = self.load_any(name, dtype, device)?;
        if tensor.shape() == &shape {
            return Ok(tensor);
        }
        let (place, expected, got) = (&self.place, shape.dims(), tensor.dims());
        Err(format!("{place}: tensor {name} has shape {got:?}; the config makes it {expected:?}"))
    }

    fn load_any(&self, name: &str, dtype: DType, device: &Device) -> Result<Tensor, String> {
        let place = &self.place;
        let Some(stored) = self.stored.get(name) else {
            return Err(format!("{place}: there is no tensor {name}; is it a checkpoint of this family?"));
        };
        let loaded =
            self.mapped.get(stored).and_then(|view| view.load(device)).and_then(|tensor| tensor.to_dtype(dtype));
        loaded.map_err(|error| format!("{place}: tensor {stored}: {error}"))
    }
}

impl SimpleBackend for Weights {
    fn get(&self, shape: Shape, name: &str, _: Init, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        self.load(shape, name, dtype, device).map_err(candle_core::Error::msg)
    }

    fn get_unchecked(&self, name: &str, dtype: DType, device: &Device) -> candle_core::Result<Tensor> {
        self.load_any(name, dtype, device).map_err(candle_core::Error::msg)
    }

    fn contains_tensor(&self, name: &str) -> bool {
        self.has(name)
    }
}

/// Takes every tensor under its stored name.
pub(crate) fn as_stored(name: &str) -> Option<Cow<'_, str>> {
    Some(Cow::Borrowed(name))
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn placement() -> Placement {
        Placement { device: Device::Cpu, dtype: DType::F32 }
    }

    fn save(path: &std::path::Path, tensors: &[(&str, &[f32])]) {
        let tensors: HashMap<String, Tensor> = tensors
            .iter()
            .map(|(name, values)| ((*name).to_owned(), Tensor::new(*values, &Device::Cpu).expect("a tensor")))
            .collect();
        candle_core::safetensors::save(&tensors, path).expect("written");
    }

    #[test]
    fn shards_are_found_through_their_index_and_renamed() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { name: "M", directory: directory.path() };
        save(&directory.path().join("model-1.safetensors"), &[("bert.a", &[1.0, 2.0])]);
        save(&directory.path().join("model-2.safetensors"), &[("b", &[3.0]), ("unused", &[9.0])]);
        let index = r#"{"weight_map": {"bert.a": "model-1.safetensors", "b": "model-2.safetensors"}}"#;
        std::fs::write(directory.path().join("model.safetensors.index.json"), index).expect("written");
        let rename = |name: &str| match name {
            "unused" => None,
            name => Some(Cow::Owned(name.trim_start_matches("bert.").to_owned())),
        };
        // A closure cannot be generic over a lifetime on its own.
        fn check(
            f: impl for<'k> Fn(&'k str) -> Option<Cow<'static, str>>,
        ) -> impl for<'k> Fn(&'k str) -> Option<Cow<'k, str>> {
            move |name| f(name)
        }
        let weights = Weights::open(&files, "model", &placement(), check(rename)).expect("opened");
        assert_eq!(weights.names().collect::<Vec<_>>(), ["a", "b"]);
        let a: Vec<f32> = weights
            .tensor("a", 2)
            .and_then(|a| a.to_vec1().map_err(|e| ModelError::permanent(e.to_string())))
            .expect("read");
        assert_eq!(a, [1.0, 2.0]);
    }

    #[test]
    fn what_is_missing_or_of_another_shape_is_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { name: "M", directory: directory.path() };
        let place = directory.path().join("model.safetensors").display().to_string();
        let open =
            || Weights::open(&files, "model", &placement(), as_stored).map(|_| ()).expect_err("refused").to_string();
        assert_eq!(open(), format!("M: {place}: the model needs this file, and it is not there"));
        std::fs::write(directory.path().join("pytorch_model.bin"), "x").expect("written");
        assert!(open().contains("pytorch_model.bin: pickled weights are not read"), "{}", open());
        save(&directory.path().join("model.safetensors"), &[("a", &[1.0, 2.0])]);
        let weights = Weights::open(&files, "model", &placement(), as_stored).expect("opened");
        let missing = weights.tensor("c", 2).expect_err("missing").to_string();
        assert_eq!(missing, format!("M: {place}: there is no tensor c; is it a checkpoint of this family?"));
        let shape = weights.tensor("a", (2, 3)).expect_err("another shape").to_string();
        assert_eq!(shape, format!("M: {place}: tensor a has shape [2]; the config makes it [2, 3]"));
        std::fs::write(directory.path().join("model.safetensors"), "not safetensors").expect("written");
        assert!(open().starts_with(&format!("M: {place}: ")), "{}", open());
    }
}
