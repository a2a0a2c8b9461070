//! The pipeline of FLUX.1, schnell and dev: two text encoders, a transformer over squares of 2 × 2 latents, pixels.

mod keys;
mod transformer;
mod weights;

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use candle_transformers::quantized_var_builder::VarBuilder as GgufBuilder;
use loopscope_core::backend::{ModelError, Request, TextToImage};
use loopscope_core::experiment::Picture;
use serde_json::{Map, Value};

pub(crate) use transformer::{Conditioning, FluxConfig, FluxTransformer, normalize};
pub(crate) use weights::Source;
#[cfg(test)]
pub(crate) use weights::{original_names, stacked};

use self::transformer::CLASS;
pub(super) use self::transformer::modulate;
use super::super::NativeModel;
use super::super::device::{self, Placement};
use super::super::files::Files;
use super::super::options;
use super::super::weights::are_there;
use super::attention::SCORES_MAX;
use super::clip_text::{ClipTextConfig, ClipTextEncoder};
use super::schedule::SchedulerConfig;
use super::settings::Settings;
use super::stable::{WEIGHTS, tokenizer_part};
use super::t5::{T5Config, T5Encoder};
use super::tokens::FixedTokenizer;
use super::vae::{VaeConfig, VaeDecoder};
use super::{Part, failed, open, pixels, present, sample};

/// The authors' own files of the transformer, in the root of their repositories.
const ORIGINALS: [&str; 2] = ["flux1-schnell", "flux1-dev"];

/// A pipeline that is ready to paint.
pub(super) struct Painter {
    name: String,
    clip: (FixedTokenizer, ClipTextEncoder, usize),
    t5: (FixedTokenizer, T5Encoder, usize),
    transformer: FluxTransformer,
    vae: VaeDecoder,
    latent_channels: usize,
    factor: usize,
    settings: Settings,
    device: Device,
}

/// The form in which the transformer is there.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Form {
    Diffusers,
    Original(&'static str),
    Gguf(String),
}

/// The configurations of a pipeline.
struct Plan {
    form: Form,
    transformer: FluxConfig,
    clip: ClipTextConfig,
    t5: T5Config,
    vae: VaeConfig,
    tokens: usize,
    settings: Settings,
}

impl Plan {
    fn read(model: &NativeModel<'_>, files: Files<'_>) -> Result<Self, ModelError> {
        let form = form(files)?;
        let transformer: FluxConfig = files.json("transformer/config.json")?;
        if transformer.class_name != CLASS {
            let what = format!("this is a {}, and family flux reads a {CLASS}", transformer.class_name);
            return Err(files.error("transformer/config.json", what));
        }
        let scheduler: SchedulerConfig = files.json("scheduler/scheduler_config.json")?;
        let vae: VaeConfig = files.json("vae/config.json")?;
        if transformer.in_channels != 4 * vae.latent_channels {
            let (expected, got) = (4 * vae.latent_channels, transformer.in_channels);
            return Err(files.error("transformer/config.json", format!("expected in_channels {expected}, got {got}")));
        }
        // Of the two, dev was taught to follow a guidance scale; schnell was distilled to four steps.
        let is_dev = transformer.guidance_embeds;
        let default = if is_dev { (20, 3.5) } else { (4, 0.0) };
        let square = 2 * vae.factor();
        let settings =
            Settings::new(model, files, scheduler, default, |width, height| (width / square) * (height / square))?;
        let tokens = options::integer(model.parameters, "max_tokens").unwrap_or(if is_dev { 512 } else { 256 });
        Ok(Self {
            form,
            transformer,
            clip: files.json("text_encoder/config.json")?,
            t5: files.json("text_encoder_2/config.json")?,
            vae,
            tokens,
            settings,
        })
    }
}

/// Finds the transformer: in diffusers' layout, or a GGUF file in its directory or the root, or the authors' own file.
fn form(files: Files<'_>) -> Result<Form, ModelError> {
    let stem = present(files, "transformer", WEIGHTS);
    if are_there(&files, &stem) {
        return Ok(Form::Diffusers);
    }
    let mut quantized = Vec::new();
    for directory in ["transformer/", ""] {
        let Ok(entries) = std::fs::read_dir(files.path(directory)) else { continue };
        let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
        quantized.extend(names.filter(|name| name.ends_with(".gguf")).map(|name| format!("{directory}{name}")));
    }
    quantized.sort_unstable();
    match quantized.as_slice() {
        [] => {}
        [only] => return Ok(Form::Gguf(only.clone())),
        several => {
            let names = several.join(", ");
            return Err(
                files.error("transformer", format!("expected one GGUF file, got {names}; keep one of them here"))
            );
        }
    }
    ORIGINALS.into_iter().find(|stem| files.has(&format!("{stem}.safetensors"))).map(Form::Original).ok_or_else(|| {
        files.error(
            "transformer",
            format!("expected {WEIGHTS}.safetensors, a GGUF file, or flux1-schnell.safetensors or flux1-dev.safetensors beside it, got none of them"),
        )
    })
}

/// Returns the parts of a pipeline, and about how many bytes are in use while a picture is painted.
pub(super) fn parts(model: &NativeModel<'_>, files: Files<'_>) -> Result<(Vec<Part>, u64), ModelError> {
    let plan = Plan::read(model, files)?;
    let dtype = device::dtype(model);
    let transformer = match &plan.form {
        Form::Diffusers => Part::weights(files, "transformer", WEIGHTS, dtype, "")?,
        Form::Original(stem) => {
            let bytes = files.bytes(&[format!("{stem}.safetensors")]) / 2 * dtype.size_in_bytes() as u64;
            Part { files: vec![format!("{stem}.safetensors"), "transformer/config.json".to_owned()], bytes }
        }
        Form::Gguf(file) => {
            let bytes = files.bytes(std::slice::from_ref(file));
            Part { files: vec![file.clone(), "transformer/config.json".to_owned()], bytes }
        }
    };
    let parts = vec![
        Part::plain(&["model_index.json", "scheduler/scheduler_config.json"]),
        transformer,
        Part::weights(files, "vae", WEIGHTS, DType::F32, "decoder.")?,
        tokenizer_part("tokenizer"),
        tokenizer_part("tokenizer_2"),
        Part::weights(files, "text_encoder", "model", dtype, "")?,
        Part::weights(files, "text_encoder_2", "model", text_dtype(dtype), "")?,
    ];
    let settings = &plan.settings;
    let square = 2 * plan.vae.factor();
    let places = (settings.width / square) * (settings.height / square) + plan.tokens;
    // Scores of one block, and what its widest layer gives.
    let width = plan.transformer.attention_head_dim * plan.transformer.num_attention_heads;
    let scores = (plan.transformer.num_attention_heads * places * places).min(SCORES_MAX);
    let working = 4 * (2 * scores + 14 * width * places);
    Ok((parts, plan.vae.working_bytes(settings.width, settings.height).max(working as u64)))
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
    Ok(())
}

/// Large language models, T5 among them, overflow in half precision.
pub(super) const fn text_dtype(dtype: DType) -> DType {
    match dtype {
        DType::F16 => DType::BF16,
        other => other,
    }
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
        let as_dtype = |dtype| Placement { device: placement.device.clone(), dtype };
        let clip = ClipTextEncoder::new(&plan.clip, open(files, "text_encoder", "model", placement)?).map_err(wrong)?;
        let text = as_dtype(text_dtype(placement.dtype));
        let t5 = T5Encoder::new(&plan.t5, open(files, "text_encoder_2", "model", &text)?).map_err(wrong)?;
        let source = match &plan.form {
            Form::Diffusers => Source::Diffusers(open(files, "transformer", WEIGHTS, placement)?),
            Form::Original(stem) => Source::Original(open(files, ".", stem, placement)?),
            Form::Gguf(file) => Source::Gguf(gguf(files, file, &placement.device)?),
        };
        if source.has_guidance() != plan.transformer.guidance_embeds {
            let (config, weights) = (plan.transformer.guidance_embeds, source.has_guidance());
            return Err(files.error(
                "transformer/config.json",
                format!("guidance_embeds is {config}, and for these weights it would be {weights}: one is of schnell, the other of dev"),
            ));
        }
        let single = as_dtype(DType::F32);
        Ok(Self {
            name: files.name.to_owned(),
            clip: (FixedTokenizer::clip(files, "tokenizer")?, clip, plan.clip.max_position_embeddings),
            t5: (FixedTokenizer::t5(files, "tokenizer_2")?, t5, plan.tokens),
            transformer: FluxTransformer::new(&plan.transformer, &source).map_err(wrong)?,
            vae: VaeDecoder::new(&plan.vae, open(files, "vae", WEIGHTS, &single)?).map_err(wrong)?,
            latent_channels: plan.vae.latent_channels,
            factor: plan.vae.factor(),
            settings: plan.settings,
            device: placement.device.clone(),
        })
    }

    fn paint(&mut self, text: &str, seed: u64) -> Result<Picture, ModelError> {
        let conditioning = self.condition(text)?;
        let decoded = self.denoise(&conditioning, seed).and_then(|latents| self.vae.decode(&latents));
        pixels::picture(&decoded.map_err(|error| failed(&self.name, &error))?)
    }

    fn condition(&mut self, text: &str) -> Result<Conditioning, ModelError> {
        let clip_ids = self.clip.0.encode(text, self.clip.2)?;
        let t5_ids = self.t5.0.encode(text, self.t5.2)?;
        let words = self.t5.1.encode(&t5_ids, &self.device).map_err(|error| failed(&self.name, &error))?;
        let text = self.clip.1.encode(&clip_ids, &self.device).map_err(|error| failed(&self.name, &error))?;
        Ok(Conditioning { words, pooled: text.pooled, guidance: self.settings.guidance })
    }

    fn denoise(&self, conditioning: &Conditioning, seed: u64) -> CandleResult<Tensor> {
        let [rows, columns] = [self.settings.height, self.settings.width].map(|side| side / self.factor / 2);
        let shape = [self.latent_channels, 2 * rows, 2 * columns];
        sample::sample(&self.settings.schedule, seed, shape, &self.device, |latents, step| {
            let output =
                self.transformer.forward(&pack(latents)?, [rows, columns], step.timestep / 1000.0, conditioning)?;
            unpack(&output.to_dtype(DType::F32)?, [rows, columns])
        })
    }
}

impl TextToImage for Painter {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        batch.iter().map(|request| self.paint(request.input, request.seed)).collect()
    }
}

fn gguf(files: Files<'_>, file: &str, device: &Device) -> Result<GgufBuilder, ModelError> {
    GgufBuilder::from_gguf(files.path(file), device).map_err(|error| files.error(file, error))
}

/// Turns (batch, channels, 2 · rows, 2 · columns) into (batch, rows · columns, 4 · channels), the latents of a channel
/// together.
pub(super) fn pack(latents: &Tensor) -> CandleResult<Tensor> {
    let (batch, channels, height, width) = latents.dims4()?;
    let squares = latents.reshape((batch, channels, height / 2, 2, width / 2, 2))?.permute((0, 2, 4, 1, 3, 5))?;
    squares.contiguous()?.reshape((batch, height * width / 4, 4 * channels))
}

/// Undoes [`pack`].
fn unpack(places: &Tensor, [rows, columns]: [usize; 2]) -> CandleResult<Tensor> {
    let (batch, _, width) = places.dims3()?;
    let squares = places.reshape((batch, rows, columns, width / 4, 2, 2))?.permute((0, 3, 1, 4, 2, 5))?;
    squares.contiguous()?.reshape((batch, width / 4, 2 * rows, 2 * columns))
}
