//! Texts as the encoders of painters take them: cut and padded to a fixed number of tokens.

use std::str::FromStr as _;

use loopscope_core::backend::ModelError;
use serde::Deserialize;
use serde_json::Value;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::normalizers::{Lowercase, NFC, Replace, Sequence as Normalizers, replace::ReplacePattern};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::sequence::Sequence as PreTokenizers;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};
use tokenizers::{AddedToken, SplitDelimiterBehavior, Tokenizer};

use super::super::files::Files;

const BEGIN: &str = "<|startoftext|>";
const END: &str = "<|endoftext|>";
/// Contractions, runs of letters, single digits, runs of the rest: how CLIP cuts a text into words.
const WORDS: &str = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// A tokenizer with the frame that its encoder expects.
pub(crate) struct FixedTokenizer {
    tokenizer: Tokenizer,
    begin: Option<u32>,
    end: u32,
    pad: u32,
}

impl FixedTokenizer {
    /// Reads a CLIP tokenizer from a directory: `vocab.json` and `merges.txt`, or else `tokenizer.json`.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file.
    pub(crate) fn clip(files: Files<'_>, directory: &str) -> Result<Self, ModelError> {
        let file = |name: &str| format!("{directory}/{name}");
        let mut tokenizer = if files.has(&file("vocab.json")) {
            byte_pairs(files, &file("vocab.json"), &file("merges.txt"))?
        } else {
            whole(files, &file("tokenizer.json"))?
        };
        let pad = pad_token(files, directory)?.unwrap_or_else(|| END.to_owned());
        // A special token is cut out of the text before words are: SD 2 pads with "!", and so reads one as padding.
        let special = [BEGIN, END, &pad].map(|token| AddedToken::from(token, true));
        tokenizer.add_special_tokens(special).map_err(|error| files.error(directory, error))?;
        let id = |token: &str| known(files, directory, &tokenizer, token);
        Ok(Self { begin: Some(id(BEGIN)?), end: id(END)?, pad: id(&pad)?, tokenizer })
    }

    /// Reads a T5 tokenizer from the `tokenizer.json` of a directory.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file.
    pub(crate) fn t5(files: Files<'_>, directory: &str) -> Result<Self, ModelError> {
        let tokenizer = whole(files, &format!("{directory}/tokenizer.json"))?;
        let id = |token: &str| known(files, directory, &tokenizer, token);
        Ok(Self { begin: None, end: id("</s>")?, pad: id("<pad>")?, tokenizer })
    }

    /// Returns exactly `length` ids: the text as far as it fits, framed and padded.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] when the tokenizer fails on the text.
    pub(crate) fn encode(&self, text: &str, length: usize) -> Result<Vec<u32>, ModelError> {
        let encoding = self.tokenizer.encode_fast(text, false);
        let encoding =
            encoding.map_err(|error| ModelError::permanent(format!("the text could not be tokenized: {error}")))?;
        let frame = 1 + usize::from(self.begin.is_some());
        let inner = encoding.get_ids().iter().take(length.saturating_sub(frame));
        let mut ids: Vec<u32> = self.begin.into_iter().chain(inner.copied()).chain([self.end]).collect();
        ids.resize(length, self.pad);
        Ok(ids)
    }
}

fn known(files: Files<'_>, directory: &str, tokenizer: &Tokenizer, token: &str) -> Result<u32, ModelError> {
    let missing = || files.error(directory, format!("expected a tokenizer with a token {token}, found none"));
    tokenizer.token_to_id(token).ok_or_else(missing)
}

/// Reads a tokenizer that is one file. Its own cutting and padding are left to the caller.
fn whole(files: Files<'_>, file: &str) -> Result<Tokenizer, ModelError> {
    let bytes = files.read(file)?;
    let text = std::str::from_utf8(&bytes).map_err(|error| files.error(file, error))?;
    let mut tokenizer = Tokenizer::from_str(text).map_err(|error| files.error(file, error))?;
    tokenizer.with_padding(None);
    tokenizer.with_truncation(None).map_err(|error| files.error(file, error))?;
    Ok(tokenizer)
}

/// Builds CLIP's tokenizer around a vocabulary and its merges, which is all that the published pipelines hold of it.
fn byte_pairs(files: Files<'_>, vocabulary: &str, merges: &str) -> Result<Tokenizer, ModelError> {
    let wrong = |error: tokenizers::Error| files.error(vocabulary, error);
    let words: std::collections::BTreeMap<String, u32> = files.json(vocabulary)?;
    let text = files.read(merges)?;
    let text = std::str::from_utf8(&text).map_err(|error| files.error(merges, error))?;
    let pairs = text.lines().filter(|line| !line.starts_with("#version") && !line.is_empty()).map(|line| {
        let pair = line.split_once(' ').map(|(left, right)| (left.to_owned(), right.to_owned()));
        pair.ok_or_else(|| files.error(merges, format!("expected two parts with a space between them, got {line:?}")))
    });
    let model = BPE::builder()
        .vocab_and_merges(words.into_iter().collect::<Vocab>(), pairs.collect::<Result<Vec<_>, _>>()?)
        .unk_token(END.to_owned())
        .continuing_subword_prefix(String::new())
        .end_of_word_suffix("</w>".to_owned())
        .build()
        .map_err(wrong)?;
    let mut tokenizer = Tokenizer::new(model);
    let spaces = Replace::new(ReplacePattern::Regex(r"\s+".to_owned()), " ").map_err(wrong)?;
    let normalizer = Normalizers::new(vec![NFC.into(), spaces.into(), Lowercase.into()]);
    tokenizer.with_normalizer(Some(normalizer)).map_err(wrong)?;
    let words = Split::new(SplitPattern::Regex(WORDS.to_owned()), SplitDelimiterBehavior::Removed, true);
    let pieces = PreTokenizers::new(vec![words.map_err(wrong)?.into(), ByteLevel::new(false, true, true).into()]);
    tokenizer.with_pre_tokenizer(Some(pieces));
    Ok(tokenizer)
}

/// Returns the token that short texts are filled up with, where a file says so.
fn pad_token(files: Files<'_>, directory: &str) -> Result<Option<String>, ModelError> {
    #[derive(Deserialize)]
    struct Special {
        pad_token: Option<Value>,
    }
    for name in ["special_tokens_map.json", "tokenizer_config.json"] {
        let special: Option<Special> = files.json_if_there(&format!("{directory}/{name}"))?;
        let token = special.and_then(|special| special.pad_token);
        // Either the token, or an object that holds it.
        let token = token.as_ref().and_then(|token| token.as_str().or_else(|| token.get("content")?.as_str()));
        if let Some(token) = token {
            return Ok(Some(token.to_owned()));
        }
    }
    Ok(None)
}
