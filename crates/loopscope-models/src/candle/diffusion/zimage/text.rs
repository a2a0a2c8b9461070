//! What a text is to Z-Image: the rows that go into the last layer of Qwen3, of the text framed as a turn of a chat.

use candle_core::{Device, Result, Tensor};
use loopscope_core::backend::ModelError;

use super::super::super::files::Files;
use super::super::super::kernels::Threads;
use super::super::super::text::Backbone;
use super::super::super::text::qwen3::Config;
use super::super::super::tokens::{FILE, Tokens};
use super::super::super::weights::Weights;

const DIRECTORY: &str = "text_encoder";
/// Begins and ends a turn.
const MARKS: [&str; 2] = ["<|im_start|>", "<|im_end|>"];

/// Tokenizer and encoder.
pub(crate) struct TextEncoder {
    tokens: Tokens,
    backbone: Backbone,
}

/// Reads the encoder's config; messages name it by its path.
fn config(files: Files<'_>) -> std::result::Result<Config, ModelError> {
    Config::read(&Files { name: files.name, directory: &files.path(DIRECTORY) })
}

/// Returns how many numbers a row has.
///
/// # Errors
///
/// A [`ModelError`] that names the file and the key.
pub(super) fn width(files: Files<'_>) -> std::result::Result<usize, ModelError> {
    Ok(config(files)?.width())
}

impl TextEncoder {
    /// Reads tokenizer and encoder, for texts of at most `length` tokens.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file, the key or the tensor.
    pub(crate) fn new(files: Files<'_>, weights: &Weights, length: usize) -> std::result::Result<Self, ModelError> {
        const FOLDER: &str = "tokenizer/";
        let mut tokens = Tokens::open(&files, FOLDER)?;
        if let Some(mark) = MARKS.iter().find(|mark| tokens.id(mark).is_none()) {
            let what = format!("expected a tokenizer with a token {mark}, found none");
            return Err(files.error(&format!("{FOLDER}{FILE}"), what));
        }
        tokens.cut(length)?;
        Ok(Self { tokens, backbone: config(files)?.before_last_layer(weights, length)? })
    }

    /// Returns the tokens of a text in its frame, cut at the end; at least one.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] when the tokenizer fails on the text.
    pub(crate) fn tokens(&self, text: &str) -> std::result::Result<Vec<u32>, ModelError> {
        self.tokens.encode(&framed(text), true)
    }

    /// Returns the rows of tokens; shape (tokens, width).
    pub(crate) fn encode(&self, tokens: &[u32], device: &Device) -> Result<Tensor> {
        let rows = self.backbone.embeddings.rows(std::iter::once(tokens), device)?;
        let whole = 0..tokens.len();
        self.backbone.encoder.forward(rows, std::slice::from_ref(&whole), &self.backbone.rotations, Threads::All)
    }
}

/// Returns what the chat template of Qwen3 makes of one message of a user when the assistant's turn is begun and it may
/// think: `tokenizer_config.json` of `Qwen/Qwen3-4B`, whose tokenizer Z-Image has. Everything in it that depends on tools,
/// on earlier turns or on not thinking says nothing then, and the message is taken as it is.
fn framed(text: &str) -> String {
    let [begin, end] = MARKS;
    format!("{begin}user\n{text}{end}\n{begin}assistant\n")
}
