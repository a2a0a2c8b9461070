//! Checkpoints that are not what they say: values of configs changed, keys gone, files cut off. What comes is a model or
//! an error, never a panic, and never more memory than a file could fill.
//!
//! A few changes of each value are tried by turns; `LOOPSCOPE_DAMAGE=all` tries all.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use loopscope_core::backend::{LoadedModel, Request};
use loopscope_core::experiment::{ModelKind, ModelName, Picture};
use rayon::prelude::*;
use serde_json::{Map, Value, json};

use crate::candle::{NativeModel, describe, load, parameters, settled};
use crate::family::Family;

const PAINT: &str = r#"{"width":16,"height":16,"steps":1}"#;
const WRITE: &str = r#"{"max_tokens":4}"#;

/// The tiny checkpoints: family, folder below `tests`, parameters.
const CHECKPOINTS: [(Family, &str, &str); 17] = [
    (Family::StableDiffusion, "fixtures/diffusion/sd15", PAINT),
    (Family::StableDiffusionXl, "fixtures/diffusion/sdxl-turbo", PAINT),
    (Family::StableDiffusion3, "fixtures/diffusion/sd35", PAINT),
    (Family::Flux, "fixtures/diffusion/flux-dev", PAINT),
    (Family::ZImage, "fixtures/diffusion/z-image", PAINT),
    (Family::Blip, "parity/blip", WRITE),
    (Family::Moondream, "parity/moondream", WRITE),
    (Family::Moondream, "parity/moondream-2025", WRITE),
    (Family::Bert, "parity/bert", "{}"),
    (Family::Mpnet, "parity/mpnet", "{}"),
    (Family::Roberta, "parity/roberta", "{}"),
    (Family::NomicBert, "parity/nomic-bert", "{}"),
    (Family::Qwen3Embed, "parity/qwen3-embed", r#"{"dimension":8}"#),
    (Family::ModernBert, "parity/modernbert", "{}"),
    (Family::Clip, "parity/clip", "{}"),
    (Family::Siglip, "parity/siglip", "{}"),
    (Family::Dinov2, "parity/dinov2", "{}"),
];

/// How a trial may end, and how often each did.
type Ends = BTreeMap<&'static str, usize>;

/// A checkpoint in a folder of its own, to be damaged.
struct Patient {
    family: Family,
    kind: ModelKind,
    folder: &'static str,
    given: &'static str,
    place: tempfile::TempDir,
    ends: Ends,
    panics: Vec<String>,
}

impl Patient {
    fn new((family, folder, given): (Family, &'static str, &'static str), kind: ModelKind) -> Self {
        let place = tempfile::tempdir().unwrap();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder), place.path());
        let mut patient = Self { family, kind, folder, given, place, ends: Ends::new(), panics: Vec::new() };
        patient.examine("as it is");
        assert_eq!(patient.ends.get("works"), Some(&1), "{folder} as it is: {:?}", patient.panics);
        patient
    }

    /// All patients; CLIP is two kinds of model.
    fn all() -> Vec<Self> {
        let of_kinds = |checkpoint: (Family, &'static str, &'static str)| {
            checkpoint.0.kinds().iter().map(move |kind| Self::new(checkpoint, *kind))
        };
        CHECKPOINTS.into_iter().flat_map(of_kinds).collect()
    }

    /// Describes, loads and calls the model, and notes how that ended.
    fn examine(&mut self, damage: &str) {
        match catch_unwind(AssertUnwindSafe(|| self.outcome())) {
            Ok(end) => *self.ends.entry(end).or_default() += 1,
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
                self.panics.push(format!("{} {damage}: {text}", self.folder));
            }
        }
    }

    fn outcome(&self) -> &'static str {
        let name = ModelName::new("Damaged");
        let given: Map<String, Value> = serde_json::from_str(self.given).unwrap();
        let (family, kind, directory) = (self.family, self.kind, self.place.path());
        let parameters = parameters(family, kind, &name, &given).unwrap();
        let model = NativeModel { name: &name, family, kind, directory, parameters: &parameters };
        let (Ok(_), Ok(parameters)) = (describe(&model), settled(&model)) else { return "refused" };
        let Ok(mut loaded) = load(&NativeModel { parameters: &parameters, ..model }) else { return "refused" };
        let picture = Picture::new(20, 24, vec![100; 20 * 24 * 3]).unwrap();
        let works = match &mut loaded {
            LoadedModel::TextToImage(model) => model.generate(&[Request { input: "a red circle", seed: 1 }])[0].is_ok(),
            LoadedModel::ImageToText(model) => model.describe(&[Request { input: &picture, seed: 1 }])[0].is_ok(),
            LoadedModel::TextEmbedder(model) => model.embed(&["a red circle"])[0].is_ok(),
            LoadedModel::ImageEmbedder(model) => model.embed(&[&picture])[0].is_ok(),
        };
        if works { "works" } else { "fails" }
    }

    /// Returns the files that hold what `wanted` says of their names.
    fn files(&self, wanted: impl Fn(&str) -> bool) -> Vec<PathBuf> {
        let (mut found, mut folders) = (Vec::new(), vec![self.place.path().to_owned()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if wanted(&path.file_name().unwrap().to_string_lossy()) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    fn short<'a>(&self, file: &'a Path) -> std::path::Display<'a> {
        file.strip_prefix(self.place.path()).unwrap().display()
    }
}

/// Asserts that nobody panicked, and that both ends that there should be were met.
fn judge(patients: &[Patient]) {
    let mut ends = Ends::new();
    for (end, count) in patients.iter().flat_map(|patient| &patient.ends) {
        *ends.entry(end).or_default() += count;
    }
    println!("{ends:?}");
    let panics: Vec<&str> = patients.iter().flat_map(|patient| &patient.panics).map(String::as_str).collect();
    assert!(panics.is_empty(), "{} panics:\n{}", panics.len(), panics.join("\n"));
    assert!(ends["refused"] > 100, "{ends:?}");
}

/// What stands for a value; all, or some by turns.
fn instead(value: &Value, turn: usize) -> Vec<Value> {
    let mut values = match value {
        Value::Number(number) => {
            let near = number.as_i64().map_or(json!(0.5), |number| json!(number + 1));
            vec![json!(0), json!(1_u64 << 40), json!(-1), near, json!(1), json!("x")]
        }
        Value::Bool(is) => vec![json!(!is), json!(3)],
        Value::String(_) => vec![json!("x"), json!("")],
        _ => vec![json!(true), json!(7)],
    };
    if std::env::var_os("LOOPSCOPE_DAMAGE").is_none() {
        let (count, few) = (values.len(), values.len().min(2));
        values = (0..few).map(|index| values[(turn * few + index) % count].clone()).collect();
    }
    values
}

/// Returns where the values of a document that hold nothing else are.
fn leaves(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| leaves(value, &format!("{at}/{key}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(index, value)| leaves(value, &format!("{at}/{index}"), found));
        }
        _ => found.push(at.to_owned()),
    }
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else if entry.file_name() != "expected.json" {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn configs_that_lie_are_refused_and_never_panic() {
    let mut patients = Patient::all();
    patients.par_iter_mut().with_max_len(1).for_each(|patient| {
        // What stands in a tokenizer is another library's.
        let is_config = |name: &str| name.ends_with(".json") && !["tokenizer.json", "vocab.json"].contains(&name);
        let mut turn = 0;
        for file in patient.files(is_config) {
            let text = std::fs::read_to_string(&file).unwrap();
            let whole: Value = serde_json::from_str(&text).unwrap();
            let mut places = Vec::new();
            leaves(&whole, "", &mut places);
            for at in places {
                let mut tries: Vec<(String, Value)> = Vec::new();
                for value in instead(whole.pointer(&at).unwrap(), turn) {
                    let mut changed = whole.clone();
                    *changed.pointer_mut(&at).unwrap() = value.clone();
                    tries.push((format!("{at} = {value}"), changed));
                }
                let (parent, key) = at.rsplit_once('/').unwrap();
                let mut changed = whole.clone();
                if let Some(Value::Object(map)) = changed.pointer_mut(parent) {
                    map.remove(key);
                    tries.push((format!("no {at}"), changed));
                }
                turn += 1;
                for (damage, changed) in tries {
                    std::fs::write(&file, changed.to_string()).unwrap();
                    patient.examine(&format!("{} {damage}", patient.short(&file)));
                }
            }
            std::fs::write(&file, text).unwrap();
        }
    });
    judge(&patients);
}

#[test]
fn files_that_are_cut_off_or_bent_are_refused_and_never_panic() {
    let mut patients = Patient::all();
    patients.par_iter_mut().with_max_len(1).for_each(|patient| {
        for file in patient.files(|_| true) {
            let bytes = std::fs::read(&file).unwrap();
            let mut damaged: Vec<(String, Vec<u8>)> = [0, 1, 7, 8, bytes.len() / 2, bytes.len().saturating_sub(1)]
                .map(|length| (format!("cut to {length}"), bytes[..length.min(bytes.len())].to_vec()))
                .to_vec();
            // The length of the header of safetensors, and the first letters of whatever it is.
            for (at, byte) in [(0, 0xff), (3, 1), (7, 0x7f), (9, b'x'), (40, b'9'), (60, b'}')] {
                if at < bytes.len() {
                    let mut bent = bytes.clone();
                    bent[at] = byte;
                    damaged.push((format!("byte {at} is {byte}"), bent));
                }
            }
            for (damage, bytes) in damaged {
                std::fs::write(&file, bytes).unwrap();
                patient.examine(&format!("{} {damage}", patient.short(&file)));
            }
            std::fs::write(&file, bytes).unwrap();
        }
    });
    judge(&patients);
}
