//! The models that come with the program, by name.

use loopscope_core::backend::{Lane, LoadedModel, ModelError, ModelInfo, Registry, RegistryError, nearest_name};
use loopscope_core::experiment::{Determinism, ModelKind, ModelName, Picture};
use serde_json::{Map, Value};

use crate::dummy::{self, Describer, Painter, Reader, Twin, Viewer};

/// Side of a picture where none is given, in pixels.
const SIDE: u32 = 256;
/// Smallest and largest side, in pixels.
const SIDES: std::ops::RangeInclusive<u64> = 8..=2048;
/// Most items in a call.
const BATCH_MAX: usize = 32;

/// The registry of the built-in models.
///
/// It holds no state: loading a model twice gives two equal, independent models.
#[derive(Clone, Copy, Debug, Default)]
pub struct BuiltinRegistry;

struct Entry {
    name: &'static str,
    kind: ModelKind,
    twin: Twin,
    about: &'static str,
}

/// By kind in the order of [`ModelKind::ALL`].
const ENTRIES: [Entry; 8] = [
    Entry {
        name: "DummyT2I",
        kind: ModelKind::TextToImage,
        twin: Twin::First,
        about: "dummy painter: cut paper, what the words say and chance for the rest",
    },
    Entry {
        name: "DummyT2I2",
        kind: ModelKind::TextToImage,
        twin: Twin::Second,
        about: "dummy painter: screen prints in darker colours and two layers",
    },
    Entry {
        name: "DummyI2T",
        kind: ModelKind::ImageToText,
        twin: Twin::First,
        about: "dummy describer: one plain sentence about two things and their ground",
    },
    Entry {
        name: "DummyI2T2",
        kind: ModelKind::ImageToText,
        twin: Twin::Second,
        about: "dummy describer: a landscape in few words",
    },
    Entry {
        name: "DummyText",
        kind: ModelKind::TextEmbedder,
        twin: Twin::First,
        about: "dummy text embedder: hashed words, parts of words and meanings, 64 numbers",
    },
    Entry {
        name: "DummyText2",
        kind: ModelKind::TextEmbedder,
        twin: Twin::Second,
        about: "dummy text embedder: the same features in other directions, 48 numbers",
    },
    Entry {
        name: "DummyVision",
        kind: ModelKind::ImageEmbedder,
        twin: Twin::First,
        about: "dummy image embedder: colours on a grid of 4 by 4, lightness, edges, 64 numbers",
    },
    Entry {
        name: "DummyVision2",
        kind: ModelKind::ImageEmbedder,
        twin: Twin::Second,
        about: "dummy image embedder: colours on a grid of 3 by 3, warmth, edges, 48 numbers",
    },
];

impl Registry for BuiltinRegistry {
    fn names(&self) -> Vec<ModelName> {
        ENTRIES.iter().map(|entry| ModelName::new(entry.name)).collect()
    }

    fn info(&self, name: &ModelName, parameters: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        let entry = entry(name)?;
        let parameters = complete(entry, parameters)?;
        let pixels = u64::from(side(&parameters, "width")) * u64::from(side(&parameters, "height"));
        Ok(ModelInfo {
            name: name.clone(),
            kind: entry.kind,
            backend: "dummy".to_owned(),
            revision: dummy::REVISION.to_owned(),
            weights_hash: "none".to_owned(),
            parameters,
            determinism: Determinism::Bitwise,
            dimension: dimension(entry),
            batch_max: BATCH_MAX,
            // Only painters hold anything to speak of: a batch of their own pictures.
            memory_bytes: if entry.kind == ModelKind::TextToImage { pixels * 3 * BATCH_MAX as u64 } else { 1 << 17 },
            lane: Lane::Cpu,
            about: entry.about.to_owned(),
        })
    }

    fn load(&self, info: &ModelInfo) -> Result<LoadedModel, ModelError> {
        let refused = |error: RegistryError| ModelError::permanent(error.to_string());
        let entry = entry(&info.name).map_err(refused)?;
        let parameters = complete(entry, &info.parameters).map_err(refused)?;
        let twin = entry.twin;
        Ok(match entry.kind {
            ModelKind::TextToImage => LoadedModel::TextToImage(Box::new(Painter {
                twin,
                width: side(&parameters, "width"),
                height: side(&parameters, "height"),
            })),
            ModelKind::ImageToText => LoadedModel::ImageToText(Box::new(Describer(twin))),
            ModelKind::TextEmbedder => LoadedModel::TextEmbedder(Box::new(Reader(twin))),
            ModelKind::ImageEmbedder => LoadedModel::ImageEmbedder(Box::new(Viewer(twin))),
        })
    }
}

/// Returns whether a name is a dummy's.
pub(crate) fn is_dummy(name: &str) -> bool {
    ENTRIES.iter().any(|entry| entry.name == name)
}

fn entry(name: &ModelName) -> Result<&'static Entry, RegistryError> {
    ENTRIES.iter().find(|entry| entry.name == name.as_str()).ok_or_else(|| RegistryError::UnknownModel {
        name: name.clone(),
        nearest: nearest_name(name.as_str(), ENTRIES.iter().map(|entry| entry.name)).map(ModelName::new),
    })
}

const fn dimension(entry: &Entry) -> Option<usize> {
    match entry.kind {
        ModelKind::TextToImage | ModelKind::ImageToText => None,
        ModelKind::TextEmbedder => Some(dummy::text_dimension(entry.twin)),
        ModelKind::ImageEmbedder => Some(dummy::vision_dimension(entry.twin)),
    }
}

const fn known_keys(kind: ModelKind) -> &'static [&'static str] {
    match kind {
        ModelKind::TextToImage => &["height", "width"],
        ModelKind::ImageToText | ModelKind::TextEmbedder | ModelKind::ImageEmbedder => &[],
    }
}

/// Returns the parameters with defaults for those that were not given.
fn complete(entry: &Entry, given: &Map<String, Value>) -> Result<Map<String, Value>, RegistryError> {
    let known = known_keys(entry.kind);
    let name = || ModelName::new(entry.name);
    let mut complete: Map<String, Value> = known.iter().map(|key| ((*key).to_owned(), SIDE.into())).collect();
    for (key, value) in given {
        if !known.contains(&key.as_str()) {
            let known = known.iter().map(|key| (*key).to_owned()).collect();
            return Err(RegistryError::UnknownParameter { name: name(), key: key.clone(), known });
        }
        if !value.as_u64().is_some_and(|side| SIDES.contains(&side)) {
            return Err(RegistryError::InvalidParameter {
                name: name(),
                key: key.clone(),
                expected: format!("an integer from {} to {}", SIDES.start(), SIDES.end()),
                got: value.to_string(),
            });
        }
        complete.insert(key.clone(), value.clone());
    }
    Ok(complete)
}

/// Returns a side from complete parameters.
fn side(parameters: &Map<String, Value>, key: &str) -> u32 {
    let side = parameters.get(key).and_then(Value::as_u64).and_then(|side| u32::try_from(side).ok());
    side.unwrap_or(SIDE).clamp(1, Picture::SIDE_MAX)
}
