//! What the fuzz targets of `loopscope-models` call; its ordinary tests run them over the committed seeds.
#![allow(dead_code, clippy::allow_attributes, reason = "each target uses one of them")]

use std::path::Path;

use loopscope_models::{ModelRegistry, read_any_answer};

/// A `models.toml`.
pub(crate) fn models_file(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match ModelRegistry::of_text(text, Path::new("models.toml")) {
        // Without variables, so that nothing of this machine is looked at.
        Ok(registry) => assert!(registry.with_environment(|_| None).listings().len() >= 8),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// What a server answers, read as each kind of answer there is.
pub(crate) fn answer(bytes: &[u8]) {
    read_any_answer(bytes);
}
