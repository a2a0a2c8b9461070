//! A remote model as the engine sees it: its parameters, and what is said of it before it is called.
//!
//! What decides a result is in the parameters, so that it is stored with every row: the server, its dialect, the name
//! that the model has there, and every field that is sent with a call.

use loopscope_core::backend::{Lane, ModelInfo, RegistryError};
use loopscope_core::experiment::{Determinism, ModelKind, ModelName};
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::file::{EndpointConfig, RemoteModel};

/// Side of a picture where none is given, in pixels.
const SIDE: u64 = 256;
/// What a vision model is asked where nobody says otherwise.
const PROMPT: &str = "Describe this image in one sentence.";
/// The most tokens of a caption where nobody says otherwise.
const TOKENS: u64 = 128;
/// Memory that calls of a small model take; large answers are taken one at a time.
const MEMORY_BYTES: u64 = 16 << 20;

/// A remote model with the endpoint that serves it.
#[derive(Clone, Copy)]
pub(crate) struct Served<'a> {
    pub(crate) name: &'a ModelName,
    pub(crate) kind: ModelKind,
    pub(crate) model: &'a RemoteModel,
    pub(crate) endpoint: &'a EndpointConfig,
    /// The file's defaults.
    pub(crate) defaults: &'a Map<String, Value>,
}

/// What a parameter takes.
#[derive(Clone, Copy)]
enum Takes {
    Integer(u64, u64),
    Number(f64, f64),
    Text,
}

impl Takes {
    fn fits(self, value: &Value) -> bool {
        match self {
            Self::Integer(least, most) => value.as_u64().is_some_and(|number| (least..=most).contains(&number)),
            Self::Number(least, most) => value.as_f64().is_some_and(|number| (least..=most).contains(&number)),
            Self::Text => value.is_string(),
        }
    }

    fn expected(self) -> String {
        match self {
            Self::Integer(least, most) => format!("an integer from {least} to {most}"),
            Self::Number(least, most) => format!("a number from {least} to {most}"),
            Self::Text => "a string".to_owned(),
        }
    }
}

/// A parameter: its key, what it takes, and its default if it has one.
type Parameter = (&'static str, Takes, Option<Value>);

fn parameters_of(kind: ModelKind, dialect: Dialect) -> Vec<Parameter> {
    let side = || (Takes::Integer(8, 8192), Some(Value::from(SIDE)));
    let mut known: Vec<Parameter> = match kind {
        ModelKind::TextToImage => {
            let ((width, width_default), (height, height_default)) = (side(), side());
            vec![("width", width, width_default), ("height", height, height_default)]
        }
        ModelKind::ImageToText => vec![
            ("prompt", Takes::Text, Some(Value::from(PROMPT))),
            ("max_tokens", Takes::Integer(1, 65_536), Some(Value::from(TOKENS))),
            ("temperature", Takes::Number(0.0, 10.0), None),
        ],
        ModelKind::TextEmbedder => {
            vec![("prefix", Takes::Text, None), ("dimension", Takes::Integer(1, 65_536), None)]
        }
        ModelKind::ImageEmbedder => vec![],
    };
    if kind == ModelKind::TextToImage {
        match dialect {
            Dialect::Vllm | Dialect::Sglang => known.extend([
                ("steps", Takes::Integer(1, 1000), None),
                ("guidance", Takes::Number(0.0, 100.0), None),
                ("negative_prompt", Takes::Text, None),
            ]),
            Dialect::LocalAi => {
                known.extend([("steps", Takes::Integer(1, 1000), None), ("negative_prompt", Takes::Text, None)])
            }
            Dialect::OpenAi | Dialect::Ollama => {}
            // It paints in whatever size the model has.
            Dialect::OpenRouter => known.clear(),
        }
    }
    known
}

impl Served<'_> {
    /// Returns what a result depends on beside the parameters that configs set: stored with them, and fixed by the file.
    fn fixed(&self) -> Map<String, Value> {
        let RemoteModel { model, extra, omit, .. } = self.model;
        let mut fixed = Map::new();
        fixed.insert("dialect".to_owned(), json!(self.endpoint.dialect.as_str()));
        fixed.insert("url".to_owned(), json!(self.endpoint.url.as_str()));
        fixed.insert("model".to_owned(), json!(model));
        if !extra.is_empty() {
            fixed.insert("extra".to_owned(), Value::Object(extra.clone()));
        }
        if !omit.is_empty() {
            fixed.insert("omit".to_owned(), json!(omit));
        }
        fixed
    }

    /// Returns the parameters with defaults for those that were not given.
    ///
    /// # Errors
    ///
    /// [`RegistryError`] for a key that the dialect does not have, or a value that does not fit.
    pub(crate) fn complete(&self, given: &Map<String, Value>) -> Result<Map<String, Value>, RegistryError> {
        let known = parameters_of(self.kind, self.endpoint.dialect);
        let fixed = self.fixed();
        let mut complete = fixed.clone();
        complete.extend(known.iter().filter_map(|(key, _, usual)| Some(((*key).to_owned(), usual.clone()?))));
        // What is given over what the file says over what is usual.
        for (key, value) in self.defaults.iter().chain(given) {
            if let Some(stands) = fixed.get(key) {
                self.unchanged(key, value, stands)?;
                continue;
            }
            let Some((_, takes, _)) = known.iter().find(|(known, ..)| known == key) else {
                let known = known.iter().map(|(key, ..)| (*key).to_owned()).collect();
                return Err(RegistryError::UnknownParameter { name: self.name.clone(), key: key.clone(), known });
            };
            if !takes.fits(value) {
                return Err(self.invalid(key, takes.expected(), value));
            }
            complete.insert(key.clone(), value.clone());
        }
        Ok(complete)
    }

    /// What the file fixes may be said again, as a stored row does, but not otherwise.
    fn unchanged(&self, key: &str, value: &Value, stands: &Value) -> Result<(), RegistryError> {
        if value == stands {
            return Ok(());
        }
        Err(self.invalid(key, format!("{stands}, as the models file says"), value))
    }

    fn invalid(&self, key: &str, expected: String, got: &Value) -> RegistryError {
        RegistryError::InvalidParameter { name: self.name.clone(), key: key.to_owned(), expected, got: got.to_string() }
    }

    /// Describes the model with these parameters.
    ///
    /// # Errors
    ///
    /// As [`complete`](Self::complete).
    pub(crate) fn info(&self, given: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        let parameters = self.complete(given)?;
        let Self { model, endpoint, kind, .. } = self;
        let asked = parameters.get("dimension").and_then(Value::as_u64).and_then(|asked| usize::try_from(asked).ok());
        Ok(ModelInfo {
            name: self.name.clone(),
            kind: *kind,
            backend: "http".to_owned(),
            revision: model.revision.clone().unwrap_or_else(|| "unknown".to_owned()),
            weights_hash: "unknown".to_owned(),
            parameters,
            // Whatever a server promises of seeds, its batches, kernels and updates are its own.
            determinism: Determinism::BestEffort,
            dimension: if kind.output().is_none() { asked.or(model.dimension) } else { None },
            batch_max: model.batch_max,
            memory_bytes: MEMORY_BYTES,
            lane: Lane::Named { name: format!("http:{}", endpoint.name), threads: endpoint.concurrency },
            about: format!("{} at {} ({})", model.model, endpoint.url, endpoint.dialect),
        })
    }
}
