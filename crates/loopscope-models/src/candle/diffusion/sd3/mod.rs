//! The pipeline of Stable Diffusion 3 and 3.5: three text encoders, a transformer over squares of 2 × 2 latents, pixels.

mod config;
mod text;
mod transformer;

use std::collections::BTreeMap;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use loopscope_core::backend::{ModelError, Request, TextToImage};
use loopscope_core::experiment::Picture;
use serde::Deserialize;
use serde_json::{Map, Value};

pub(crate) use config::{PATCH, Sd3Config};
pub(crate) use transformer::{Conditioning, Sd3Transformer};

use self::text::{CLIPS, T5, Texts};
use super::super::NativeModel;
use super::super::device::{self, Placement};
use super::super::files::Files;
use super::super::options;
use super::attention::SCORES_MAX;
use super::clip_text::ClipTextConfig;
use super::flux::text_dtype;
use super::schedule::SchedulerConfig;
use super::settings::Settings;
use super::stable::{WEIGHTS, tokenizer_part};
use super::t5::T5Config;
use super::vae::{VaeConfig, VaeDecoder};
use super::{Part, failed, open, pixels, sample};

/// What the parameter `text_encoder_3` may be: T5 is read, or zeros stand for its words.
pub(super) const THIRD: [&str; 2] = ["t5", "none"];

/// `model_index.json`, as far as it has a say here: library and class of each part, both null for one left out.
#[derive(Deserialize)]
struct Index(BTreeMap<String, Value>);

impl Index {
    fn has(&self, part: &str) -> bool {
        self.0.get(part).and_then(|part| part.get(1)).is_some_and(|class| !class.is_null())
    }
}

/// A pipeline that is ready to paint.
pub(super) struct Painter {
    name: String,
    texts: Texts,
    transformer: Sd3Transformer,
    vae: VaeDecoder,
    shape: [usize; 3],
    settings: Settings,
    /// What to paint away from, once it was asked for: T5 takes its time.
    against: Option<Conditioning>,
    device: Device,
}

/// The configurations of a pipeline.
struct Plan {
    transformer: Sd3Config,
    clips: [ClipTextConfig; 2],
    t5: Option<T5Config>,
    vae: VaeConfig,
    tokens: usize,
    settings: Settings,
}

impl Plan {
    fn read(model: &NativeModel<'_>, files: Files<'_>) -> Result<Self, ModelError> {
        let transformer: Sd3Config = files.json("transformer/config.json")?;
        let wrong = |error: String| files.error("transformer/config.json", error);
        transformer.check().map_err(wrong)?;
        let scheduler: SchedulerConfig = files.json("scheduler/scheduler_config.json")?;
        let vae: VaeConfig = files.json("vae/config.json")?;
        let square = PATCH * vae.factor();
        let settings = Settings::new(model, files, scheduler, transformer.defaults(), |width, height| {
            (width / square) * (height / square)
        })?;
        let most = transformer.places_max() * square;
        if settings.width.max(settings.height) > most {
            let (places, width, height) = (transformer.places_max(), settings.width, settings.height);
            return Err(wrong(format!(
                "pos_embed_max_size is {places}: expected pictures of at most {most} pixels along a side, got {width} × {height}"
            )));
        }
        let plan = Self {
            clips: [files.json("text_encoder/config.json")?, files.json("text_encoder_2/config.json")?],
            t5: third(model, files)?,
            tokens: options::integer(model.parameters, "max_tokens").unwrap_or(256),
            transformer,
            vae,
            settings,
        };
        plan.check_widths().map_err(wrong)?;
        Ok(plan)
    }

    /// Refuses parts that do not go together.
    fn check_widths(&self) -> Result<(), String> {
        let beside: usize = self.clips.iter().map(|clip| clip.hidden_size).sum();
        let pooled: usize = self.clips.iter().map(|clip| clip.projection_dim).sum();
        let joint = self.transformer.joint_attention_dim;
        if self.transformer.in_channels != self.vae.latent_channels {
            let (expected, got) = (self.vae.latent_channels, self.transformer.in_channels);
            return Err(format!("in_channels: expected {expected}, the latent_channels of the autoencoder, got {got}"));
        }
        if self.transformer.pooled_projection_dim != pooled {
            let got = self.transformer.pooled_projection_dim;
            return Err(format!(
                "pooled_projection_dim: expected {pooled}, what both CLIPs are projected to, got {got}"
            ));
        }
        if beside > joint {
            return Err(format!(
                "joint_attention_dim: expected at least {beside}, the width of both CLIPs, got {joint}"
            ));
        }
        match &self.t5 {
            Some(t5) if t5.d_model != joint => {
                Err(format!("joint_attention_dim: expected {}, the d_model of {}, got {joint}", t5.d_model, T5.1))
            }
            _ => Ok(()),
        }
    }

    /// Returns rows and columns of places.
    fn size(&self) -> [usize; 2] {
        [self.settings.height, self.settings.width].map(|side| side / (PATCH * self.vae.factor()))
    }

    /// Returns about how many bytes are in use while a picture is painted, beyond the weights.
    fn working_bytes(&self) -> u64 {
        let [rows, columns] = self.size();
        let words = self.clips.iter().map(|clip| clip.max_position_embeddings).max().unwrap_or(0) + self.tokens;
        let places = rows * columns + words;
        let batch = if self.settings.is_guided() { 2 } else { 1 };
        // Scores of one block before and after the softmax, and what its widest layer gives.
        let scores = (batch * self.transformer.num_attention_heads * places * places).min(SCORES_MAX);
        let working = 4 * (2 * scores + 14 * batch * self.transformer.width() * places);
        self.vae.working_bytes(self.settings.width, self.settings.height).max(working as u64)
    }
}

/// Returns what `text_encoder_3/config.json` says, or `None` where zeros stand for the words of T5.
///
/// The parameter decides; else whether `model_index.json` names the part, or, without that file, whether it is there.
fn third(model: &NativeModel<'_>, files: Files<'_>) -> Result<Option<T5Config>, ModelError> {
    let file = format!("{}/config.json", T5.1);
    let index: Option<Index> = files.json_if_there("model_index.json")?;
    let is_read = match (options::text(model.parameters, T5.1), index) {
        (Some(word), _) => word == THIRD[0],
        (None, Some(index)) => index.has(T5.1),
        (None, None) => files.has(&file),
    };
    if is_read && !files.has(&file) {
        let what = "the model needs this file, and it is not there; text_encoder_3 = \"none\" paints without T5";
        return Err(files.error(&file, what));
    }
    is_read.then(|| files.json(&file)).transpose()
}

/// Returns the parts of a pipeline, and about how many bytes are in use while a picture is painted.
pub(super) fn parts(model: &NativeModel<'_>, files: Files<'_>) -> Result<(Vec<Part>, u64), ModelError> {
    let plan = Plan::read(model, files)?;
    let dtype = device::dtype(model);
    let mut parts = vec![
        Part::plain(&["model_index.json", "scheduler/scheduler_config.json"]),
        Part::weights(files, "transformer", WEIGHTS, dtype, "")?,
        Part::weights(files, "vae", WEIGHTS, DType::F32, "decoder.")?,
    ];
    for (tokenizer, encoder) in CLIPS {
        parts.push(tokenizer_part(tokenizer));
        parts.push(Part::weights(files, encoder, "model", dtype, "")?);
    }
    if plan.t5.is_some() {
        parts.push(tokenizer_part(T5.0));
        parts.push(Part::weights(files, T5.1, "model", text_dtype(dtype), "")?);
    }
    Ok((parts, plan.working_bytes()))
}

/// Writes down what the files decided of the parameters.
pub(super) fn record(
    model: &NativeModel<'_>,
    files: Files<'_>,
    parameters: &mut Map<String, Value>,
) -> Result<(), ModelError> {
    let plan = Plan::read(model, files)?;
    plan.settings.record(parameters);
    parameters.insert("max_tokens".to_owned(), plan.tokens.into());
    parameters.insert(T5.1.to_owned(), THIRD[usize::from(plan.t5.is_none())].into());
    Ok(())
}

impl Painter {
    /// Loads a pipeline.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file, the key or the tensor.
    pub(super) fn load(model: &NativeModel<'_>, files: Files<'_>, placement: &Placement) -> Result<Self, ModelError> {
        let plan = Plan::read(model, files)?;
        let wrong = |error: candle_core::Error| failed(files.name, &error);
        let widths = [plan.tokens, plan.transformer.joint_attention_dim];
        let size = plan.size();
        let weights = open(files, "transformer", WEIGHTS, placement)?;
        // Single precision, as for the other painters.
        let single = Placement { device: placement.device.clone(), dtype: DType::F32 };
        Ok(Self {
            name: files.name.to_owned(),
            texts: Texts::load(files, placement, &plan.clips, plan.t5.as_ref(), widths)?,
            transformer: Sd3Transformer::new(&plan.transformer, weights, size).map_err(wrong)?,
            vae: VaeDecoder::new(&plan.vae, open(files, "vae", WEIGHTS, &single)?).map_err(wrong)?,
            shape: [plan.vae.latent_channels, PATCH * size[0], PATCH * size[1]],
            settings: plan.settings,
            against: None,
            device: placement.device.clone(),
        })
    }

    fn paint(&mut self, text: &str, seed: u64) -> Result<Picture, ModelError> {
        let prompt = self.texts.encode(text)?;
        if self.settings.is_guided() && self.against.is_none() {
            self.against = Some(self.texts.encode(&self.settings.negative)?);
        }
        let decoded = self.denoise(&prompt, seed).and_then(|latents| self.vae.decode(&latents));
        pixels::picture(&decoded.map_err(|error| failed(&self.name, &error))?)
    }

    fn denoise(&self, prompt: &Conditioning, seed: u64) -> CandleResult<Tensor> {
        // What to paint away from comes first, as one batch of two: the same shapes whatever else is asked for.
        let all: Vec<&Conditioning> = self.against.iter().chain([prompt]).collect();
        let join = |part: fn(&Conditioning) -> &Tensor| {
            Tensor::cat(&all.iter().map(|prompt| part(prompt)).collect::<Vec<_>>(), 0)
        };
        let conditioning =
            Conditioning { words: join(|prompt| &prompt.words)?, pooled: join(|prompt| &prompt.pooled)? };
        sample::sample(&self.settings.schedule, seed, self.shape, &self.device, |input, step| {
            let input = Tensor::cat(&vec![input; all.len()], 0)?;
            let output = self.transformer.forward(&input, step.timestep, &conditioning)?.to_dtype(DType::F32)?;
            if all.len() == 1 {
                return Ok(output);
            }
            let (without, with) = (output.narrow(0, 0, 1)?, output.narrow(0, 1, 1)?);
            &without + ((with - &without)? * self.settings.guidance)?
        })
    }
}

impl TextToImage for Painter {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        batch.iter().map(|request| self.paint(request.input, request.seed)).collect()
    }
}
