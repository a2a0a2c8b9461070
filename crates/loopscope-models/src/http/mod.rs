//! Models at servers that speak OpenAI's API, each in its dialect.
//!
//! One call is one request, and a failed one is told, not made again: the engine retries, so that every attempt is on
//! record and no two layers multiply (`docs/design/remote.md`). What this module does of its own is to keep a rate, to
//! hold all calls of an endpoint while its server has asked for a pause, and to call the inputs of a refused batch one by one.
//!
//! A server is not trusted: answers are read up to a limit and parsed into types of bounded size, pictures are refused
//! for their declared size before they are decoded, nothing is fetched from another host, and an answer that repeats the
//! key is refused. Keys come from environment variables and are taken out of every message.

mod answer;
mod captions;
mod embeddings;
mod endpoint;
mod fault;
mod gate;
mod images;
mod secret;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use loopscope_core::backend::{LoadedModel, ModelError, ModelInfo};
use loopscope_core::experiment::ModelKind;
use serde_json::{Map, Value};

use self::captions::Describer;
use self::embeddings::{PictureEmbedder, TextEmbedder};
use self::endpoint::Endpoint;
use self::images::Painter;
use crate::registry::{EndpointConfig, RemoteModel};

/// The endpoints of a registry: opened when they are first needed, and shared by all threads that call them.
#[derive(Default)]
pub(crate) struct Endpoints(Mutex<BTreeMap<String, Arc<Endpoint>>>);

impl Endpoints {
    /// Returns the endpoint, with its key from the environment.
    ///
    /// # Errors
    ///
    /// [`ModelError::Permanent`] when the key is not there or cannot be sent.
    pub(crate) fn open(
        &self,
        config: &EndpointConfig,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Arc<Endpoint>, ModelError> {
        // Nothing panics while it holds the lock; whatever is in the map is whole.
        let mut endpoints = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(endpoint) = endpoints.get(&config.name) {
            return Ok(Arc::clone(endpoint));
        }
        let endpoint = Arc::new(Endpoint::open(config, variable)?);
        endpoints.insert(config.name.clone(), Arc::clone(&endpoint));
        Ok(endpoint)
    }
}

/// Returns the model, ready to be called; nothing is sent yet.
pub(crate) fn load(model: &RemoteModel, info: &ModelInfo, endpoint: Arc<Endpoint>) -> LoadedModel {
    let remote = Remote {
        endpoint,
        model: model.model.clone(),
        parameters: info.parameters.clone(),
        extra: model.extra.clone(),
        omit: model.omit.clone(),
    };
    match info.kind {
        ModelKind::TextToImage => LoadedModel::TextToImage(Box::new(Painter::new(remote, model.pixels_max))),
        ModelKind::ImageToText => LoadedModel::ImageToText(Box::new(Describer::new(remote))),
        ModelKind::TextEmbedder => LoadedModel::TextEmbedder(Box::new(TextEmbedder::new(remote, info.dimension))),
        ModelKind::ImageEmbedder => LoadedModel::ImageEmbedder(Box::new(PictureEmbedder::new(remote, info.dimension))),
    }
}

/// Reads bytes as every kind of answer; only a fuzzer asks for that.
#[doc(hidden)]
pub fn read_any_answer(bytes: &[u8]) {
    let pictures: Result<answer::Pictures, _> = serde_json::from_slice(bytes);
    let vectors: Result<answer::Vectors, _> = serde_json::from_slice(bytes);
    let chat: Result<answer::Chat, _> = serde_json::from_slice(bytes);
    let said = fault::Said::of(bytes, &str::to_owned);
    debug_assert!(said.message.chars().count() <= 301, "a message is cut");
    if let Ok(vectors) = vectors {
        embeddings::in_order(vectors.data.map(|items| items.0).unwrap_or_default()).ok();
    }
    if let Ok(pictures) = pictures {
        let items = pictures.data.map(|items| items.0).unwrap_or_default();
        items.into_iter().filter_map(|item| item.b64_json).for_each(|text| images::decode_text(&text));
    }
    drop(chat);
}

/// What all kinds of remote model have.
struct Remote {
    endpoint: Arc<Endpoint>,
    /// What the server calls the model.
    model: String,
    /// Complete.
    parameters: Map<String, Value>,
    extra: Map<String, Value>,
    omit: Vec<String>,
}

impl Remote {
    fn integer(&self, key: &str) -> Option<u64> {
        self.parameters.get(key).and_then(Value::as_u64)
    }

    fn text(&self, key: &str) -> Option<&str> {
        self.parameters.get(key).and_then(Value::as_str)
    }

    /// Copies a parameter into a request under the name that the dialect has for it, if it is set.
    fn copy(&self, body: &mut Map<String, Value>, parameter: &str, field: &str) {
        if let Some(value) = self.parameters.get(parameter) {
            body.insert(field.to_owned(), value.clone());
        }
    }

    /// Returns a request as bytes: what the dialect makes, with the user's own fields over it.
    fn finished(&self, mut body: Map<String, Value>) -> Vec<u8> {
        body.insert("model".to_owned(), Value::from(self.model.as_str()));
        body.extend(self.extra.iter().map(|(key, value)| (key.clone(), value.clone())));
        body.retain(|key, _| !self.omit.contains(key));
        Value::Object(body).to_string().into_bytes()
    }
}
