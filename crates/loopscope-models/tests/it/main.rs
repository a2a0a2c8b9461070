//! What the built-in models promise.

#![expect(clippy::unwrap_used, reason = "tests fail by panicking, in their helpers too")]

#[cfg(feature = "http")]
mod docs;
#[cfg(feature = "http")]
#[path = "../../../../fuzz/entries_models.rs"]
mod entries;
#[cfg(feature = "http")]
mod fuzzed;
#[cfg(feature = "hub")]
mod hub;
mod loops;
mod models;

use loopscope_core::backend::{LoadedModel, ModelError, Registry, Request};
use loopscope_core::experiment::{ModelName, Picture};
use loopscope_models::BuiltinRegistry;
use serde_json::{Value, json};

/// Loads a model with these parameters, a JSON object.
fn load_with(name: &str, parameters: Value) -> LoadedModel {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    let registry = BuiltinRegistry;
    let info = registry.info(&ModelName::new(name), &parameters).unwrap();
    registry.load(&info).unwrap()
}

fn load(name: &str) -> LoadedModel {
    load_with(name, json!({}))
}

fn paint_with(name: &str, parameters: Value, text: &str, seed: u64) -> Picture {
    let LoadedModel::TextToImage(mut painter) = load_with(name, parameters) else { panic!("{name} is no painter") };
    painter.generate(&[Request { input: text, seed }]).remove(0).unwrap()
}

fn paint(name: &str, text: &str, seed: u64) -> Picture {
    paint_with(name, json!({}), text, seed)
}

fn describe(name: &str, picture: &Picture, seed: u64) -> String {
    let LoadedModel::ImageToText(mut describer) = load(name) else { panic!("{name} is no describer") };
    describer.describe(&[Request { input: picture, seed }]).remove(0).unwrap()
}

fn embed_texts(name: &str, texts: &[&str]) -> Vec<Vec<f32>> {
    let LoadedModel::TextEmbedder(mut embedder) = load(name) else { panic!("{name} is no text embedder") };
    all(embedder.embed(texts))
}

fn embed_pictures(name: &str, pictures: &[Picture]) -> Vec<Vec<f32>> {
    let LoadedModel::ImageEmbedder(mut embedder) = load(name) else { panic!("{name} is no image embedder") };
    let pictures: Vec<&Picture> = pictures.iter().collect();
    all(embedder.embed(&pictures))
}

fn all<T>(results: Vec<Result<T, ModelError>>) -> Vec<T> {
    results.into_iter().map(Result::unwrap).collect()
}
