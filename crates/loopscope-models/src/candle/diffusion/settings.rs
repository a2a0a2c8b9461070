//! The parameters of painters, and what their files make of those that were not given.

use loopscope_core::backend::ModelError;
use serde_json::{Map, Value};

use super::super::NativeModel;
use super::super::files::Files;
use super::super::options::{self, Fits, Parameter};
use super::schedule::{Ending, Sampler, Schedule, SchedulerConfig, Spacing};
use super::sd3::THIRD;
use crate::family::Family;

/// Longest side of a picture, in pixels.
const SIDE_MAX: u64 = 2048;
/// Side of a picture where none is given.
const SIDE: u64 = 256;

/// Returns the parameters of a family of painters.
pub(crate) fn parameters(family: Family) -> Vec<Parameter> {
    let multiple = multiple(family) as u64;
    let side = |key| Parameter::new(key, Fits::Multiple(multiple, SIDE_MAX), SIDE);
    let mut table = vec![
        side("width"),
        side("height"),
        Parameter::unset("steps", Fits::Integer(1, 1000)),
        Parameter::unset("guidance", Fits::Number(0.0, 100.0)),
    ];
    if family == Family::Flux {
        table.push(Parameter::unset("max_tokens", Fits::Integer(1, 512)));
    } else {
        table.push(Parameter::new("negative_prompt", Fits::Text, ""));
    }
    if family == Family::StableDiffusion3 {
        table.push(Parameter::new("max_tokens", Fits::Integer(1, 512), 256));
        table.push(Parameter::unset("text_encoder_3", Fits::OneOf(&THIRD)));
    } else if family == Family::ZImage {
        table.push(Parameter::new("max_tokens", Fits::Integer(1, 512), 512));
    } else if family != Family::Flux {
        table.push(Parameter::unset("scheduler", Fits::OneOf(&["pndm", "ddim", "euler", "euler_ancestral"])));
    }
    table
}

/// Sides are multiples of this.
const fn multiple(family: Family) -> usize {
    match family {
        // Their transformers take squares of 2 × 2 latents.
        Family::Flux | Family::StableDiffusion3 | Family::ZImage => 16,
        _ => 8,
    }
}

/// Whether the family was trained by flow matching.
const fn is_flow(family: Family) -> bool {
    matches!(family, Family::Flux | Family::StableDiffusion3 | Family::ZImage)
}

/// What a picture is made with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) guidance: f64,
    /// Empty for none.
    pub(crate) negative: String,
    pub(crate) schedule: Schedule,
    steps: usize,
    sampler: Sampler,
}

impl Settings {
    /// Returns the settings of a model whose scheduler says this; `default` steps and guidance where none are given.
    ///
    /// `tokens` of a picture is asked for by its width and height.
    ///
    /// # Errors
    ///
    /// A [`ModelError`] for a scheduler that is not implemented, or too many steps.
    pub(crate) fn new(
        model: &NativeModel<'_>,
        files: Files<'_>,
        mut scheduler: SchedulerConfig,
        default: (usize, f64),
        tokens: impl Fn(usize, usize) -> usize,
    ) -> Result<Self, ModelError> {
        let given = model.parameters;
        let side = |key| options::integer(given, key).unwrap_or(SIDE as usize);
        let (width, height) = (side("width"), side("height"));
        if let Some(sampler) = options::text(given, "scheduler").and_then(Sampler::named) {
            scheduler.choose(sampler);
        }
        if model.family == Family::StableDiffusion3 {
            scheduler.ending = Ending::LowestTrained;
        }
        let steps = options::integer(given, "steps").unwrap_or(default.0);
        let wrong = |error: &dyn std::fmt::Display| files.error("scheduler/scheduler_config.json", error);
        let sampler = scheduler.sampler().map_err(|error| wrong(&error))?;
        if (sampler == Sampler::FlowMatchEuler) != is_flow(model.family) {
            let class = &scheduler.class_name;
            return Err(wrong(&format!("a model of family {} does not work with {class}", model.family)));
        }
        let schedule = Schedule::new(&scheduler, steps, tokens(width, height)).map_err(|error| wrong(&error))?;
        let guidance = given.get("guidance").and_then(Value::as_f64).unwrap_or(default.1);
        let negative = options::text(given, "negative_prompt").unwrap_or_default().to_owned();
        Ok(Self { width, height, guidance, negative, schedule, steps, sampler })
    }

    /// Writes down what the files decided, beside what was given.
    pub(crate) fn record(&self, parameters: &mut Map<String, Value>) {
        parameters.insert("steps".to_owned(), self.steps.into());
        parameters.insert("guidance".to_owned(), self.guidance.into());
        if self.sampler != Sampler::FlowMatchEuler {
            parameters.insert("scheduler".to_owned(), self.sampler.name().into());
        }
    }

    /// Returns whether the model is also asked what it would paint without the prompt.
    pub(crate) fn is_guided(&self) -> bool {
        self.guidance > 1.0
    }
}

/// Returns steps and guidance of a diffusion model whose scheduler says this.
///
/// Spacing back from the last training step is what the models that were distilled to few steps have: they take 4 for
/// XL and 1 to 4 for SD-Turbo, and were not trained with guidance.
pub(crate) fn diffusion_defaults(family: Family, scheduler: &SchedulerConfig) -> (usize, f64) {
    match (scheduler.spacing(), family) {
        (Spacing::Trailing, _) => (4, 0.0),
        (_, Family::StableDiffusionXl) => (25, 5.0),
        _ => (25, 7.5),
    }
}
