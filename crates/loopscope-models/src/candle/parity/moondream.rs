//! Moondream 2 in both layouts: rows of a picture, and answers token by token.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use candle_core::{Device, Tensor};
use loopscope_core::backend::{LoadedModel, ModelError, Request};
use loopscope_core::experiment::{ModelKind, ModelName, Picture};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::vision::{TOLERANCE, pictures};
use super::{expected, folder, load, near};
use crate::candle::moondream::{Captioner, tiling};
use crate::candle::{NativeModel, parameters, settled};
use crate::family::Family;

const FAMILY: Family = Family::Moondream;
const KIND: ModelKind = ModelKind::ImageToText;

/// Calls `use_model` with a model of these files and parameters.
fn with<T>(directory: &Path, given: &Value, use_model: impl FnOnce(&NativeModel<'_>) -> T) -> T {
    let name = ModelName::new("Tiny");
    let given = given.as_object().expect("an object");
    let parameters = parameters(FAMILY, KIND, &name, given).expect("parameters that fit");
    use_model(&NativeModel { name: &name, family: FAMILY, kind: KIND, directory, parameters: &parameters })
}

fn captioner(directory: &Path, given: &Value) -> Result<Captioner, ModelError> {
    with(directory, given, Captioner::load)
}

fn describe(directory: &Path, given: &Value, pictures: &[&Picture]) -> Vec<String> {
    let LoadedModel::ImageToText(mut model) = load(FAMILY, KIND, directory, &given.to_string()) else {
        panic!("not a captioner");
    };
    let requests: Vec<Request<'_, Picture>> =
        pictures.iter().map(|picture| Request { input: *picture, seed: 0 }).collect();
    model.describe(&requests).into_iter().map(|text| text.expect("an answer")).collect()
}

#[derive(Deserialize)]
struct Answers {
    question: String,
    tokens_max: u32,
    rows: Vec<Vec<f32>>,
    ids: Vec<Vec<u32>>,
    answers: Vec<String>,
}

#[test]
fn answers_of_2024_are_the_references_token_by_token() {
    let directory = folder("moondream");
    let expected: Answers = expected(&directory);
    let given = json!({"prompt": expected.question, "max_tokens": expected.tokens_max});
    let captioner = captioner(&directory, &given).expect("a captioner");
    let mut rows = Vec::new();
    for (index, picture) in pictures().iter().enumerate() {
        rows.push(captioner.rows(picture).and_then(|rows| rows.get(0)?.to_vec1()).expect("rows"));
        assert_eq!(captioner.answer_ids(picture).expect("an answer"), expected.ids[index], "picture {index}");
    }
    near("moondream picture rows", &rows, &expected.rows, TOLERANCE);
    let pictures = pictures();
    assert_eq!(describe(&directory, &given, &pictures.iter().collect::<Vec<_>>()), expected.answers);
}

#[derive(Deserialize)]
struct Captions {
    question: String,
    tokens_max: u32,
    rows: Vec<Vec<f32>>,
    tilings: Vec<[usize; 2]>,
    ids: BTreeMap<String, Vec<Vec<u32>>>,
    answers: BTreeMap<String, Vec<String>>,
    /// Height and width inside the margins, and the cuts down and across.
    sizes: Vec<[usize; 4]>,
}

#[test]
fn pictures_are_cut_as_the_references() {
    let expected: Captions = expected(&folder("moondream-2025"));
    for [height, width, down, across] in expected.sizes {
        assert_eq!(tiling([height, width], 266, 12), [down, across], "{height} by {width}");
    }
    let kinds: std::collections::BTreeSet<_> = expected.tilings.iter().collect();
    assert!(kinds.len() > 2, "the pictures are cut in one way only: {kinds:?}");
}

#[test]
fn captions_and_answers_of_2025_are_the_references_token_by_token() {
    let directory = folder("moondream-2025");
    let expected: Captions = expected(&directory);
    let pictures = pictures();
    for (asked, ids) in &expected.ids {
        let (key, value) = match asked.as_str() {
            "question" => ("prompt", &expected.question),
            length => ("length", &length.to_owned()),
        };
        let given = json!({key: value, "max_tokens": expected.tokens_max});
        let captioner = captioner(&directory, &given).expect("a captioner");
        let rows: Vec<Vec<f32>> = pictures
            .iter()
            .map(|picture| captioner.rows(picture).and_then(|rows| rows.flatten_all()?.to_vec1()).expect("rows"))
            .collect();
        near(&format!("moondream 2025 picture rows, {asked}"), &rows, &expected.rows, TOLERANCE);
        for (index, picture) in pictures.iter().enumerate() {
            assert_eq!(captioner.answer_ids(picture).expect("an answer"), ids[index], "{asked}, picture {index}");
        }
        let together = describe(&directory, &given, &pictures.iter().collect::<Vec<_>>());
        assert_eq!(together, expected.answers[asked], "{asked}");
        for (picture, answer) in pictures.iter().zip(together) {
            assert_eq!(describe(&directory, &given, &[picture]), [answer], "{asked}, alone");
        }
    }
}

#[test]
fn what_is_asked_is_settled_by_the_layout() {
    let settle = |name: &str, given: Value| {
        with(&folder(name), &given, |model| settled(model).map(Value::Object).map_err(|error| error.to_string()))
    };
    let asked = |settled: Map<String, Value>| (settled.get("prompt").cloned(), settled.get("length").cloned());
    let of = |name: &str, given: Value| {
        settle(name, given).map(|settled| asked(settled.as_object().expect("parameters").clone()))
    };
    assert_eq!(of("moondream", json!({})), Ok((Some("Describe this image.".into()), None)));
    assert_eq!(of("moondream-2025", json!({})), Ok((None, Some("short".into()))));
    assert_eq!(of("moondream-2025", json!({"prompt": "Why?"})), Ok((Some("Why?".into()), None)));
    let first = settle("moondream-2025", json!({"length": "long"})).expect("settled");
    assert_eq!(settle("moondream-2025", first.clone()), Ok(first), "what is recorded can be given");
    let refused = [
        of("moondream", json!({"length": "short"})).expect_err("refused"),
        of("moondream-2025", json!({"length": "short", "prompt": "Why?"})).expect_err("refused"),
    ];
    assert_eq!(
        refused,
        [
            "Tiny: length: a Moondream of 2024 writes no captions of a length; ask for one with prompt",
            "Tiny: prompt and length: expected one of them, a question or a caption's length",
        ]
    );
}

/// Files whose tensors `edit` changes, in a directory of their own.
fn edited(name: &str, edit: impl FnOnce(&mut HashMap<String, Tensor>)) -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for file in ["config.json", "tokenizer.json"] {
        std::fs::copy(folder(name).join(file), to.path().join(file)).expect("copied");
    }
    let file = folder(name).join("model.safetensors");
    let mut tensors: HashMap<String, Tensor> = candle_core::safetensors::load(file, &Device::Cpu).expect("weights");
    edit(&mut tensors);
    candle_core::safetensors::save(&tensors, to.path().join("model.safetensors")).expect("written");
    to
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let refuse = |directory: &Path| {
        let error = captioner(directory, &json!({"max_tokens": 8})).err().expect("refused").to_string();
        error.replace(&directory.display().to_string(), "DIR")
    };
    // The names of 2024, the projection of twice the width: cut in a way that is not ours.
    let between = edited("moondream", |tensors| {
        let name = "vision_encoder.projection.mlp.fc1.weight";
        let weight = &tensors[name];
        tensors.insert(name.to_owned(), Tensor::cat(&[weight, weight], 1).expect("twice the width"));
    });
    let missing = edited("moondream-2025", |tensors| {
        tensors.remove("model.text.blocks.1.mlp.fc2.weight");
    });
    let narrow = edited("moondream-2025", |_| {});
    let config = std::fs::read_to_string(narrow.path().join("config.json")).expect("a config");
    std::fs::write(narrow.path().join("config.json"), config.replace("\"overlap_margin\": 1", "\"overlap_margin\": 3"))
        .expect("written");
    insta::assert_snapshot!([between, missing, narrow].map(|directory| refuse(directory.path())).join("\n"));
}

/// Weights that only find places are not asked for.
#[test]
fn tensors_for_places_change_nothing() {
    let with_places = edited("moondream-2025", |tensors| {
        let places = Tensor::new(&[1.0_f32, 2.0], &Device::Cpu).expect("a tensor");
        tensors.insert("model.region.coord_features".to_owned(), places);
    });
    let given = json!({"max_tokens": 4});
    let picture = &pictures()[0];
    assert_eq!(
        describe(with_places.path(), &given, &[picture]),
        describe(&folder("moondream-2025"), &given, &[picture])
    );
}
