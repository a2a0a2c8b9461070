//! One transformer of FLUX.1 in its three published forms.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use candle_core::quantized::{GgmlDType, QTensor, gguf_file};
use candle_core::{DType, Tensor};
use candle_transformers::quantized_var_builder::VarBuilder as GgufBuilder;

use super::super::flux::{Source, original_names};
use super::super::stable::WEIGHTS;
use super::{CPU, Checkpoint, copy, fixtures, largest, paint, painter};
use crate::family::Family;

/// Returns the weights of a checkpoint by the authors' names.
fn original(checkpoint: &Checkpoint) -> HashMap<String, Tensor> {
    let config = checkpoint.files().json("transformer/config.json").unwrap();
    let source = Source::Diffusers(checkpoint.weights("transformer", WEIGHTS));
    let mut tensors = HashMap::new();
    for (layer, kinds) in original_names(&config) {
        for kind in kinds {
            let stored = if *kind == "scale" { "weight" } else { *kind };
            let Source::Diffusers(weights) = &source else { unreachable!() };
            let tensor = super::super::flux::stacked(weights, &layer, stored, None).unwrap();
            tensors.insert(format!("{layer}.{kind}"), tensor);
        }
    }
    tensors
}

fn write_gguf(path: &Path, tensors: &HashMap<String, Tensor>, matrices: GgmlDType) {
    let quantized: Vec<(&str, QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| {
            // Blocks of 32 along a row; what does not divide stays as it is, as in published files.
            let fits = tensor.rank() == 2 && tensor.dim(1).unwrap() % 32 == 0;
            let kind = if fits { matrices } else { GgmlDType::F32 };
            (name.as_str(), QTensor::quantize(tensor, kind).unwrap())
        })
        .collect();
    let tensors: Vec<(&str, &QTensor)> = quantized.iter().map(|(name, tensor)| (*name, tensor)).collect();
    gguf_file::write(&mut File::create(path).unwrap(), &[], &tensors).unwrap();
}

#[test]
fn the_three_forms_of_a_transformer_are_one() {
    for name in ["flux-schnell", "flux-dev"] {
        let checkpoint = Checkpoint::open(name);
        let diffusers =
            super::flux(&checkpoint, &Source::Diffusers(checkpoint.weights("transformer", WEIGHTS)), 0.3217);
        let tensors = original(&checkpoint);
        let builder = candle_nn::VarBuilder::from_tensors(tensors.clone(), DType::F32, &CPU);
        let authors = super::flux(&checkpoint, &Source::Original(builder), 0.3217);
        assert_eq!(largest(&(&diffusers - &authors).unwrap()), 0.0, "{name}: the same numbers in the same order");
        let directory = tempfile::tempdir().unwrap();
        for (kind, tolerance) in [(GgmlDType::F32, 1e-5), (GgmlDType::Q8_0, 0.1)] {
            let path = directory.path().join("flux.gguf");
            write_gguf(&path, &tensors, kind);
            let source = Source::Gguf(GgufBuilder::from_gguf(&path, &CPU).unwrap());
            let difference = largest(&(&diffusers - &super::flux(&checkpoint, &source, 0.3217)).unwrap());
            println!("parity | {name} | gguf {kind:?} | {difference:.1e} | of {:.1}", largest(&diffusers));
            assert!(difference < tolerance, "{name} {kind:?}: {difference}");
        }
    }
}

#[test]
fn pipelines_find_the_form_that_is_there() {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixtures().join("flux-schnell"), directory.path());
    let open =
        || Checkpoint { name: "flux-schnell", directory: directory.path().to_owned(), reference: HashMap::new() };
    let tensors = original(&open());
    let given = r#"{"height":16,"width":16,"steps":1}"#;
    let picture = || paint(&mut painter(&open(), Family::Flux, given), &[("a red circle", 1)]).remove(0);
    let first = picture();
    std::fs::remove_file(directory.path().join(format!("transformer/{WEIGHTS}.safetensors"))).unwrap();

    let nothing = super::try_painter(&open(), Family::Flux, given).err().unwrap();
    assert!(nothing.contains("a GGUF file, or flux1-schnell.safetensors"), "{nothing}");

    candle_core::safetensors::save(&tensors, directory.path().join("flux1-schnell.safetensors")).unwrap();
    assert_eq!(picture(), first);
    write_gguf(&directory.path().join("transformer/a.gguf"), &tensors, GgmlDType::Q8_0);
    let quantized = picture();
    let apart = quantized.rgb().iter().zip(first.rgb()).map(|(x, y)| x.abs_diff(*y)).max().unwrap();
    assert!((1..60).contains(&apart), "{apart}");

    std::fs::copy(directory.path().join("transformer/a.gguf"), directory.path().join("b.gguf")).unwrap();
    let two = super::try_painter(&open(), Family::Flux, given).err().unwrap();
    assert!(two.contains("expected one GGUF file, got b.gguf, transformer/a.gguf"), "{two}");
}
