//! Texts as the numbers of their tokens.

use loopscope_core::backend::ModelError;
use serde::Deserialize;
use tokenizers::{PostProcessor, Tokenizer, TruncationParams};

use super::files::Files;

/// The file that says how a text becomes tokens.
pub(crate) const FILE: &str = "tokenizer.json";
/// The file that says what else there is to know.
pub(crate) const CONFIG: &str = "tokenizer_config.json";

/// A tokenizer that cuts and never pads.
#[derive(Clone)]
pub(crate) struct Tokens {
    tokenizer: Tokenizer,
    /// What messages call it.
    place: String,
}

#[derive(Default, Deserialize)]
struct Config {
    model_max_length: Option<f64>,
}

impl Tokens {
    /// Opens the tokenizer in a folder of the model (`""` for the model's own).
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file when it is missing or is no tokenizer.
    pub(crate) fn open(files: &Files<'_>, folder: &str) -> Result<Self, ModelError> {
        let file = format!("{folder}{FILE}");
        let bytes = files.read(&file)?;
        let mut tokenizer = Tokenizer::from_bytes(bytes).map_err(|error| files.error(&file, error))?;
        // The file may hold the cutting and padding of whoever saved it last; both are ours to choose.
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(|error| files.error(&file, error))?;
        Ok(Self { tokenizer, place: format!("{}: {}", files.name, files.path(&file).display()) })
    }

    /// Makes it cut texts to `length` tokens, those that it adds at the ends included.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when that leaves no room for the tokens that it adds.
    pub(crate) fn cut(&mut self, length: usize) -> Result<(), ModelError> {
        let place = self.place.clone();
        let ends = self.tokenizer.get_post_processor().map_or(0, |ends| ends.added_tokens(false));
        if length <= ends {
            let what =
                format!("{place}: expected room for more than the {ends} tokens at the ends of a text, got {length}");
            return Err(ModelError::permanent(what));
        }
        let cut = self
            .tokenizer
            .with_truncation(Some(TruncationParams { max_length: length, ..TruncationParams::default() }));
        cut.map(|_| ()).map_err(|error| ModelError::permanent(format!("{place}: cutting to {length} tokens: {error}")))
    }

    /// Returns the tokens of a text, with those that the model wants at its ends when `ends`.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when the text has no tokens in this vocabulary.
    pub(crate) fn encode(&self, text: &str, ends: bool) -> Result<Vec<u32>, ModelError> {
        let encoded = self.tokenizer.encode_fast(text, ends);
        encoded
            .map(|encoding| encoding.get_ids().to_vec())
            .map_err(|error| ModelError::permanent(format!("{}: a text of {} bytes: {error}", self.place, text.len())))
    }

    /// Returns the text of tokens, without those that stand for no text.
    ///
    /// # Errors
    ///
    /// [`ModelError`] when a token is not in the vocabulary.
    pub(crate) fn decode(&self, tokens: &[u32]) -> Result<String, ModelError> {
        self.tokenizer.decode(tokens, true).map_err(|error| ModelError::permanent(format!("{}: {error}", self.place)))
    }

    /// Returns the number of a token, when it is in the vocabulary.
    pub(crate) fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }
}

/// Returns the longest text that the tokenizer's config names, when it names one that means anything.
///
/// # Errors
///
/// [`ModelError`] that names the file when it cannot be parsed.
pub(crate) fn length_max(files: &Files<'_>, folder: &str) -> Result<Option<usize>, ModelError> {
    let config: Config = files.json_if_there(&format!("{folder}{CONFIG}"))?.unwrap_or_default();
    // Files without a limit hold 10³⁰.
    Ok(config.model_max_length.filter(|length| (1.0..1e9).contains(length)).map(|length| length as usize))
}
