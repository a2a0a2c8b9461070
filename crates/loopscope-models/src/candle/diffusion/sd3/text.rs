//! The three text encoders of Stable Diffusion 3: two of CLIP with their projections, and T5, which may be left out.

use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use loopscope_core::backend::ModelError;

use super::super::super::device::Placement;
use super::super::super::files::Files;
use super::super::clip_text::{ClipText, ClipTextConfig, ClipTextEncoder};
use super::super::flux::text_dtype;
use super::super::t5::{T5Config, T5Encoder};
use super::super::tokens::FixedTokenizer;
use super::super::{failed, open};
use super::transformer::Conditioning;

/// Tokenizers and encoders of CLIP, the smaller first.
pub(super) const CLIPS: [(&str, &str); 2] = [("tokenizer", "text_encoder"), ("tokenizer_2", "text_encoder_2")];
/// That of T5.
pub(super) const T5: (&str, &str) = ("tokenizer_3", "text_encoder_3");

/// The encoders of a pipeline.
pub(super) struct Texts {
    name: String,
    clips: Vec<(FixedTokenizer, ClipTextEncoder, usize)>,
    /// `None` where zeros stand for its words.
    t5: Option<(FixedTokenizer, T5Encoder)>,
    /// How many words T5 gives, or how many zeros stand for them.
    tokens: usize,
    /// How many numbers a word has.
    width: usize,
    device: Device,
    dtype: DType,
}

impl Texts {
    /// Loads the encoders.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file, the key or the tensor.
    pub(super) fn load(
        files: Files<'_>,
        placement: &Placement,
        clips: &[ClipTextConfig; 2],
        t5: Option<&T5Config>,
        [tokens, width]: [usize; 2],
    ) -> Result<Self, ModelError> {
        let wrong = |error: candle_core::Error| failed(files.name, &error);
        let clip = |(&(tokenizer, directory), config): (&(&str, &str), &ClipTextConfig)| {
            let weights = projected(files, directory, open(files, directory, "model", placement)?)?;
            let encoder = ClipTextEncoder::new(config, weights).map_err(wrong)?;
            Ok((FixedTokenizer::clip(files, tokenizer)?, encoder, config.max_position_embeddings))
        };
        let third = |config: &T5Config| -> Result<_, ModelError> {
            let placement = Placement { device: placement.device.clone(), dtype: text_dtype(placement.dtype) };
            let encoder = T5Encoder::new(config, open(files, T5.1, "model", &placement)?).map_err(wrong)?;
            Ok((FixedTokenizer::t5(files, T5.0)?, encoder))
        };
        Ok(Self {
            name: files.name.to_owned(),
            clips: CLIPS.iter().zip(clips).map(clip).collect::<Result<_, ModelError>>()?,
            t5: t5.map(third).transpose()?,
            tokens,
            width,
            device: placement.device.clone(),
            dtype: placement.dtype,
        })
    }

    /// Encodes one text; shapes (1, words, width) and (1, width).
    ///
    /// # Errors
    ///
    /// A [`ModelError`] when the text cannot be cut into tokens, or the device fails.
    pub(super) fn encode(&mut self, text: &str) -> Result<Conditioning, ModelError> {
        let wrong = |error: candle_core::Error| failed(&self.name, &error);
        let clip = |(tokenizer, encoder, length): &(FixedTokenizer, ClipTextEncoder, usize)| {
            encoder.encode(&tokenizer.encode(text, *length)?, &self.device).map_err(wrong)
        };
        let clips = self.clips.iter().map(clip).collect::<Result<Vec<_>, ModelError>>()?;
        let words = match &mut self.t5 {
            Some((tokenizer, encoder)) => encoder.encode(&tokenizer.encode(text, self.tokens)?, &self.device),
            None => Tensor::zeros((1, self.tokens, self.width), self.dtype, &self.device),
        };
        words.and_then(|words| join(&clips, &words)).map_err(|error| failed(&self.name, &error))
    }
}

/// Joins both CLIPs number by number, fills their words up with zeros to the width of T5's, and puts those after them.
fn join(clips: &[ClipText], words: &Tensor) -> candle_core::Result<Conditioning> {
    let beside = Tensor::cat(&clips.iter().map(|text| &text.penultimate).collect::<Vec<_>>(), 2)?;
    let beside = beside.pad_with_zeros(2, 0, words.dim(2)?.saturating_sub(beside.dim(2)?))?;
    let words = Tensor::cat(&[&beside, &words.to_dtype(beside.dtype())?], 1)?;
    let pooled = Tensor::cat(&clips.iter().map(|text| &text.pooled).collect::<Vec<_>>(), 1)?;
    Ok(Conditioning { words, pooled })
}

/// Refuses a CLIP without a projection: its text as a whole would have the right shape and mean something else.
fn projected<'a>(files: Files<'_>, directory: &str, weights: VarBuilder<'a>) -> Result<VarBuilder<'a>, ModelError> {
    if weights.contains_tensor("text_projection.weight") {
        return Ok(weights);
    }
    let what = "expected a CLIP with its projection, and there is no tensor text_projection.weight";
    Err(files.error(directory, what))
}
