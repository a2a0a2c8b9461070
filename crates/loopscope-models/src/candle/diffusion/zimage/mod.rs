//! The pipeline of Z-Image: rows of a language model, a transformer over text and squares of 2 × 2 latents, pixels.
//!
//! Guidance is that of its authors: 0 is none, and g goes from the answer to the prompt by g times its difference from
//! the answer to the negative prompt. The Turbo model was distilled to paint without.

mod text;
mod transformer;

use std::borrow::Cow;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use loopscope_core::backend::{ModelError, Request, TextToImage};
use loopscope_core::experiment::Picture;
use serde_json::{Map, Value};

pub(crate) use text::TextEncoder;
pub(crate) use transformer::{Context, ZImageConfig, ZImageTransformer};

use super::super::NativeModel;
use super::super::device::{self, Placement};
use super::super::files::Files;
use super::super::options;
use super::super::weights::{Weights, as_stored};
use super::attention::SCORES_MAX;
use super::flux::text_dtype;
use super::schedule::SchedulerConfig;
use super::settings::Settings;
use super::stable::{WEIGHTS, tokenizer_part};
use super::vae::{VaeConfig, VaeDecoder};
use super::{Part, failed, open, pixels, present, sample};

/// Steps and guidance of the Turbo model. Its card asks for 9 steps, since the levels of earlier versions of diffusers ended
/// with 0 and the last step changed nothing: 8 answers of the transformer, at the same levels as 8 steps here.
const DEFAULT: (usize, f64) = (8, 0.0);
/// Longest text in tokens, its frame included.
const TOKENS: usize = 512;

/// A pipeline that is ready to paint.
pub(super) struct Painter {
    name: String,
    text: TextEncoder,
    transformer: ZImageTransformer,
    vae: VaeDecoder,
    latent_channels: usize,
    /// Rows and columns of squares.
    size: [usize; 2],
    settings: Settings,
    device: Device,
}

/// The configurations of a pipeline.
struct Plan {
    transformer: ZImageConfig,
    vae: VaeConfig,
    tokens: usize,
    size: [usize; 2],
    settings: Settings,
}

impl Plan {
    fn read(model: &NativeModel<'_>, files: Files<'_>) -> Result<Self, ModelError> {
        const CONFIG: &str = "transformer/config.json";
        let transformer: ZImageConfig = files.json(CONFIG)?;
        // First, so that another family's files are called that.
        transformer.check().map_err(|error| files.error(CONFIG, error))?;
        let vae: VaeConfig = files.json("vae/config.json")?;
        let scheduler: SchedulerConfig = files.json("scheduler/scheduler_config.json")?;
        let square = 2 * vae.factor();
        let settings =
            Settings::new(model, files, scheduler, DEFAULT, |width, height| (width / square) * (height / square))?;
        let tokens = options::integer(model.parameters, "max_tokens").unwrap_or(TOKENS);
        let size = [settings.height / square, settings.width / square];
        let fits = transformer.check_fit(vae.latent_channels, text::width(files)?, tokens, size);
        fits.map_err(|error| files.error(CONFIG, error))?;
        Ok(Self { transformer, vae, tokens, size, settings })
    }
}

/// Returns the parts of a pipeline, and about how many bytes are in use while a picture is painted.
pub(super) fn parts(model: &NativeModel<'_>, files: Files<'_>) -> Result<(Vec<Part>, u64), ModelError> {
    let plan = Plan::read(model, files)?;
    let dtype = device::dtype(model);
    let parts = vec![
        Part::plain(&["model_index.json", "scheduler/scheduler_config.json"]),
        Part::weights(files, "transformer", WEIGHTS, dtype, "")?,
        Part::weights(files, "vae", WEIGHTS, DType::F32, "decoder.")?,
        tokenizer_part("tokenizer"),
        Part::weights(files, "text_encoder", "model", text_dtype(dtype), "")?,
    ];
    let places = plan.size[0] * plan.size[1] + plan.tokens;
    // Scores of one block, and what its widest layer gives.
    let scores = (plan.transformer.n_heads * places * places).min(SCORES_MAX);
    let working = 4 * (2 * scores + 14 * plan.transformer.dim * places);
    let settings = &plan.settings;
    Ok((parts, plan.vae.working_bytes(settings.width, settings.height).max(working as u64)))
}

/// Writes down what was decided of the parameters that were not given.
pub(super) fn record(
    model: &NativeModel<'_>,
    files: Files<'_>,
    parameters: &mut Map<String, Value>,
) -> Result<(), ModelError> {
    let plan = Plan::read(model, files)?;
    plan.settings.record(parameters);
    parameters.insert("max_tokens".to_owned(), plan.tokens.into());
    Ok(())
}

/// Opens the text encoder's weights, which are stored as part of a language model or alone.
pub(crate) fn text_weights(files: Files<'_>, placement: &Placement) -> Result<Weights, ModelError> {
    Weights::open(&files, &present(files, "text_encoder", "model"), placement, |name: &str| {
        Some(Cow::Borrowed(name.strip_prefix("model.").unwrap_or(name)))
    })
}

/// Opens the transformer's weights.
pub(crate) fn transformer_weights(files: Files<'_>, placement: &Placement) -> Result<Weights, ModelError> {
    Weights::open(&files, &present(files, "transformer", WEIGHTS), placement, as_stored)
}

impl Painter {
    /// Loads a pipeline.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file, the key or the tensor.
    pub(super) fn load(model: &NativeModel<'_>, files: Files<'_>, placement: &Placement) -> Result<Self, ModelError> {
        let plan = Plan::read(model, files)?;
        let as_dtype = |dtype| Placement { device: placement.device.clone(), dtype };
        let text = text_weights(files, &as_dtype(text_dtype(placement.dtype)))?;
        let vae = VaeDecoder::new(&plan.vae, open(files, "vae", WEIGHTS, &as_dtype(DType::F32))?);
        Ok(Self {
            name: files.name.to_owned(),
            text: TextEncoder::new(files, &text, plan.tokens)?,
            transformer: ZImageTransformer::new(&plan.transformer, &transformer_weights(files, placement)?)?,
            vae: vae.map_err(|error| failed(files.name, &error))?,
            latent_channels: plan.vae.latent_channels,
            size: plan.size,
            settings: plan.settings,
            device: placement.device.clone(),
        })
    }

    fn paint(&self, text: &str, seed: u64) -> Result<Picture, ModelError> {
        let prompt = self.context(text)?;
        let is_guided = self.settings.guidance > 0.0;
        let against = is_guided.then(|| self.context(&self.settings.negative)).transpose()?;
        let decoded = self.denoise(&prompt, against.as_ref(), seed).and_then(|latents| self.vae.decode(&latents));
        pixels::picture(&decoded.map_err(|error| failed(&self.name, &error))?)
    }

    fn context(&self, text: &str) -> Result<Context, ModelError> {
        let ids = self.text.tokens(text)?;
        let words = self.text.encode(&ids, &self.device);
        let context = words.and_then(|words| self.transformer.context(&words, self.size));
        context.map_err(|error| failed(&self.name, &error))
    }

    fn denoise(&self, prompt: &Context, against: Option<&Context>, seed: u64) -> CandleResult<Tensor> {
        let shape = [self.latent_channels, 2 * self.size[0], 2 * self.size[1]];
        sample::sample(&self.settings.schedule, seed, shape, &self.device, |latents, step| {
            // Its time runs from noise to picture, and so does the direction that it answers. In single precision, as in
            // the reference: an angle of it is up to 1000, and a last bit of that can be seen.
            let time = (1000.0 - step.timestep as f32) / 1000.0;
            let answer = self.transformer.forward(latents, time, prompt)?;
            let Some(against) = against else { return answer.neg() };
            let away = (&answer - self.transformer.forward(latents, time, against)?)?;
            (answer + (away * self.settings.guidance)?)?.neg()
        })
    }
}

impl TextToImage for Painter {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        batch.iter().map(|request| self.paint(request.input, request.seed)).collect()
    }
}
