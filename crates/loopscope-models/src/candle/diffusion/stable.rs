//! The pipelines of Stable Diffusion 1, 2 and XL: text, denoising with guidance, pixels (`rombach2022`, `podell2023`).

use candle_core::{DType, Device, Result as CandleResult, Tensor};
use loopscope_core::backend::{ModelError, Request, TextToImage};
use loopscope_core::experiment::Picture;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::super::NativeModel;
use super::super::device::{self, Placement};
use super::super::files::Files;
use super::clip_text::{ClipTextConfig, ClipTextEncoder};
use super::schedule::SchedulerConfig;
use super::settings::{Settings, diffusion_defaults};
use super::tokens::FixedTokenizer;
use super::unet::{Addition, Unet, UnetConfig};
use super::vae::{VaeConfig, VaeDecoder};
use super::{Part, failed, open, pixels, sample};
use crate::family::Family;

/// Stem of the weights of denoisers and autoencoders.
pub(super) const WEIGHTS: &str = "diffusion_pytorch_model";

/// `model_index.json`, as far as it has a say here.
#[derive(Deserialize)]
struct Index {
    /// Whether no negative prompt means zeros; otherwise it means the empty text.
    #[serde(default)]
    force_zeros_for_empty_prompt: bool,
}

/// A pipeline that is ready to paint.
pub(super) struct Painter {
    name: String,
    texts: Vec<TextSide>,
    unet: Unet,
    vae: VaeDecoder,
    latent_channels: usize,
    factor: usize,
    zeros_for_no_prompt: bool,
    settings: Settings,
    device: Device,
    dtype: DType,
}

/// A tokenizer with its encoder.
struct TextSide {
    tokenizer: FixedTokenizer,
    encoder: ClipTextEncoder,
    length: usize,
}

/// What a text is to the UNet.
#[derive(Clone)]
struct Prompt {
    /// Shape (1, words, width).
    words: Tensor,
    /// Shape (1, width), for XL.
    pooled: Option<Tensor>,
}

/// The configurations of a pipeline.
struct Plan {
    texts: Vec<(&'static str, &'static str, ClipTextConfig)>,
    unet: UnetConfig,
    vae: VaeConfig,
    zeros_for_no_prompt: bool,
    settings: Settings,
}

impl Plan {
    fn read(model: &NativeModel<'_>, files: Files<'_>) -> Result<Self, ModelError> {
        let unet: UnetConfig = files.json("unet/config.json")?;
        unet.check().map_err(|error| files.error("unet/config.json", error))?;
        let is_xl = model.family == Family::StableDiffusionXl;
        if is_xl != unet.has_addition() {
            let other = if is_xl { Family::StableDiffusion } else { Family::StableDiffusionXl };
            return Err(
                files.error("unet/config.json", format!("this is a UNet of family {other}, not {}", model.family))
            );
        }
        let mut texts = vec![("tokenizer", "text_encoder", files.json("text_encoder/config.json")?)];
        if is_xl {
            texts.push(("tokenizer_2", "text_encoder_2", files.json("text_encoder_2/config.json")?));
        }
        let scheduler: SchedulerConfig = files.json("scheduler/scheduler_config.json")?;
        let index: Option<Index> = files.json_if_there("model_index.json")?;
        let default = diffusion_defaults(model.family, &scheduler);
        Ok(Self {
            texts,
            unet,
            vae: files.json("vae/config.json")?,
            zeros_for_no_prompt: is_xl && index.is_none_or(|index| index.force_zeros_for_empty_prompt),
            settings: Settings::new(model, files, scheduler, default, |_, _| 0)?,
        })
    }

    /// Returns about how many bytes are in use while a picture is painted, beyond the weights.
    fn working_bytes(&self) -> u64 {
        let vae = self.vae.working_bytes(self.settings.width, self.settings.height);
        let places = (self.settings.width / self.vae.factor()) * (self.settings.height / self.vae.factor());
        let batch = if self.settings.is_guided() { 2 } else { 1 };
        vae.max(self.unet.working_bytes(places, batch))
    }
}

/// Returns the parts of a pipeline, and about how many bytes are in use while a picture is painted.
pub(super) fn parts(model: &NativeModel<'_>, files: Files<'_>) -> Result<(Vec<Part>, u64), ModelError> {
    let plan = Plan::read(model, files)?;
    let dtype = device::dtype(model);
    let mut parts = vec![
        Part::plain(&["model_index.json", "scheduler/scheduler_config.json"]),
        Part::weights(files, "unet", WEIGHTS, dtype, "")?,
        Part::weights(files, "vae", WEIGHTS, DType::F32, "decoder.")?,
    ];
    for (tokenizer, encoder, _) in &plan.texts {
        parts.push(tokenizer_part(tokenizer));
        parts.push(Part::weights(files, encoder, "model", dtype, "")?);
    }
    Ok((parts, plan.working_bytes()))
}

/// Writes down what the files decided of the parameters.
pub(super) fn record(
    model: &NativeModel<'_>,
    files: Files<'_>,
    parameters: &mut Map<String, Value>,
) -> Result<(), ModelError> {
    Plan::read(model, files)?.settings.record(parameters);
    Ok(())
}

/// Returns the files of a tokenizer.
pub(super) fn tokenizer_part(directory: &str) -> Part {
    let names = ["vocab.json", "merges.txt", "tokenizer.json", "special_tokens_map.json", "tokenizer_config.json"];
    Part { files: names.iter().map(|name| format!("{directory}/{name}")).collect(), bytes: 0 }
}

impl Painter {
    /// Loads a pipeline.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] that names the file, the key or the tensor.
    pub(super) fn load(model: &NativeModel<'_>, files: Files<'_>, placement: &Placement) -> Result<Self, ModelError> {
        let plan = Plan::read(model, files)?;
        let texts = plan.texts.iter().map(|(tokenizer, directory, config)| {
            let weights = open(files, directory, "model", placement)?;
            Ok(TextSide {
                tokenizer: FixedTokenizer::clip(files, tokenizer)?,
                encoder: ClipTextEncoder::new(config, weights).map_err(|error| failed(files.name, &error))?,
                length: config.max_position_embeddings,
            })
        });
        let texts = texts.collect::<Result<Vec<_>, ModelError>>()?;
        let unet = Unet::new(&plan.unet, open(files, "unet", WEIGHTS, placement)?);
        // Single precision: half overflows in that of XL, and it is a small part of the whole.
        let single = Placement { device: placement.device.clone(), dtype: DType::F32 };
        let vae = VaeDecoder::new(&plan.vae, open(files, "vae", WEIGHTS, &single)?);
        Ok(Self {
            name: files.name.to_owned(),
            texts,
            unet: unet.map_err(|error| failed(files.name, &error))?,
            vae: vae.map_err(|error| failed(files.name, &error))?,
            latent_channels: plan.vae.latent_channels,
            factor: plan.vae.factor(),
            zeros_for_no_prompt: plan.zeros_for_no_prompt,
            settings: plan.settings,
            device: placement.device.clone(),
            dtype: placement.dtype,
        })
    }

    fn paint(&self, text: &str, seed: u64) -> Result<Picture, ModelError> {
        let prompt = self.encode(text)?;
        let against = self.settings.is_guided().then(|| self.encode_negative(&prompt)).transpose()?;
        let decoded = self.denoise(&prompt, against.as_ref(), seed).and_then(|latents| self.vae.decode(&latents));
        pixels::picture(&decoded.map_err(|error| failed(&self.name, &error))?)
    }

    fn encode_negative(&self, prompt: &Prompt) -> Result<Prompt, ModelError> {
        if !(self.zeros_for_no_prompt && self.settings.negative.is_empty()) {
            return self.encode(&self.settings.negative);
        }
        let zeros = || {
            let pooled = prompt.pooled.as_ref().map(Tensor::zeros_like).transpose()?;
            Ok(Prompt { words: prompt.words.zeros_like()?, pooled })
        };
        zeros().map_err(|error| failed(&self.name, &error))
    }

    fn encode(&self, text: &str) -> Result<Prompt, ModelError> {
        let sides = self.texts.iter().map(|side| {
            let ids = side.tokenizer.encode(text, side.length)?;
            side.encoder.encode(&ids, &self.device).map_err(|error| failed(&self.name, &error))
        });
        let mut sides = sides.collect::<Result<Vec<_>, ModelError>>()?;
        // XL takes both encoders before their last layer, and the second one's text as a whole.
        let join = |words: &[&Tensor]| Tensor::cat(words, 2);
        if let [first, second] = sides.as_slice() {
            let words = join(&[&first.penultimate, &second.penultimate]).map_err(|error| failed(&self.name, &error))?;
            return Ok(Prompt { words, pooled: Some(second.pooled.clone()) });
        }
        let only = sides.swap_remove(0);
        Ok(Prompt { words: only.last, pooled: None })
    }

    fn denoise(&self, prompt: &Prompt, against: Option<&Prompt>, seed: u64) -> CandleResult<Tensor> {
        let (width, height) = (self.settings.width, self.settings.height);
        // What to paint away from comes first, as one batch of two: the same shapes whatever else is asked for.
        let all: Vec<&Prompt> = against.into_iter().chain([prompt]).collect();
        let words = Tensor::cat(&all.iter().map(|prompt| &prompt.words).collect::<Vec<_>>(), 0)?;
        let pooled: Vec<&Tensor> = all.iter().filter_map(|prompt| prompt.pooled.as_ref()).collect();
        let addition = if pooled.is_empty() {
            None
        } else {
            let sizes = [height, width, 0, 0, height, width].map(|side| side as f32).repeat(all.len());
            let sizes = Tensor::from_vec(sizes, (all.len(), 6), &self.device)?;
            Some(Addition { pooled: Tensor::cat(&pooled, 0)?, sizes })
        };
        let shape = [self.latent_channels, height / self.factor, width / self.factor];
        sample::sample(&self.settings.schedule, seed, shape, &self.device, |input, step| {
            let input = Tensor::cat(&vec![input; all.len()], 0)?.to_dtype(self.dtype)?;
            let output = self.unet.forward(&input, step.timestep, &words, addition.as_ref())?.to_dtype(DType::F32)?;
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
