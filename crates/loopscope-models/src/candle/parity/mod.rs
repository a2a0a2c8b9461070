//! Our numbers beside those of the Python reference, on tiny checkpoints in the layout of real ones.
//!
//! `reference/parity` makes the checkpoints and writes what the reference gives beside each. A tolerance is of numbers up
//! to 1, and grows with the largest number of a vector beyond that: what 32 bits can hold.

mod damaged;
mod embedders;
mod moondream;
mod vision;

use std::path::{Path, PathBuf};

use loopscope_core::backend::LoadedModel;
use loopscope_core::experiment::{ModelKind, ModelName};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::NativeModel;
use crate::family::Family;

/// Returns the folder of a checkpoint.
fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity").join(name)
}

/// Reads what the reference gave for a checkpoint.
fn expected<T: DeserializeOwned>(folder: &Path) -> T {
    let file = folder.join("expected.json");
    let text = std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// Loads a checkpoint with these parameters, given as JSON.
fn load(family: Family, kind: ModelKind, directory: &Path, given: &str) -> LoadedModel {
    let name = ModelName::new("Tiny");
    let given: Map<String, Value> = serde_json::from_str(given).expect("an object");
    let parameters = super::parameters(family, kind, &name, &given).expect("parameters that fit");
    let model = NativeModel { name: &name, family, kind, directory, parameters: &parameters };
    let info = super::describe(&model).unwrap_or_else(|error| panic!("{error}"));
    assert!(info.batch_max >= 1 && info.memory_bytes > 0 && info.weights_hash.len() == 64, "{info:?}");
    super::load(&model).unwrap_or_else(|error| panic!("{error}"))
}

/// Asserts that vectors are within a tolerance of the reference, and prints how near they are.
fn near(what: &str, got: &[Vec<f32>], reference: &[Vec<f32>], tolerance: f32) {
    assert_eq!(got.len(), reference.len(), "{what}: vectors");
    let mut largest = 0.0_f32;
    for (index, (got, reference)) in got.iter().zip(reference).enumerate() {
        assert_eq!(got.len(), reference.len(), "{what}: numbers of vector {index}");
        let size = reference.iter().fold(1.0_f32, |size, number| size.max(number.abs()));
        for (got, reference) in got.iter().zip(reference) {
            largest = largest.max((got - reference).abs() / size);
            assert!(got.is_finite(), "{what}: vector {index} holds {got}");
        }
        assert!(largest <= tolerance, "{what}: vector {index} differs by {largest:.3e}, more than {tolerance:.0e}");
    }
    println!("{what}: {} vectors, largest difference {largest:.2e}", got.len());
}
