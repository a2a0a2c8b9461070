//! What `scheduler_config.json` says, with the defaults that diffusers gives to what it leaves out.

use serde::Deserialize;

use super::flow::Ending;

/// Most steps that a file may say a model was trained with; a number is kept for each, and all known say 1,000.
const TRAIN_STEPS_MAX: usize = 100_000;

/// The samplers that are implemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sampler {
    /// Deterministic, looks back at earlier steps (`liu2022`).
    Pndm,
    /// Deterministic, one step at a time (`song2021`).
    Ddim,
    /// Euler's method on the probability flow, deterministic (`karras2022`).
    Euler,
    /// Euler's method with fresh noise in each step (`karras2022`).
    EulerAncestral,
    /// Euler's method of models trained by flow matching (`lipman2023`).
    FlowMatchEuler,
}

impl Sampler {
    /// All of them, with the names that parameters use.
    pub(crate) const NAMES: [(&str, Self); 5] = [
        ("pndm", Self::Pndm),
        ("ddim", Self::Ddim),
        ("euler", Self::Euler),
        ("euler_ancestral", Self::EulerAncestral),
        ("flow_match_euler", Self::FlowMatchEuler),
    ];

    /// Returns its name in parameters.
    pub(crate) fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(_, sampler)| *sampler == self).map_or("", |(name, _)| name)
    }

    /// Returns the sampler of a name in parameters.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, sampler)| *sampler)
    }

    const fn class(self) -> &'static str {
        match self {
            Self::Pndm => "PNDMScheduler",
            Self::Ddim => "DDIMScheduler",
            Self::Euler => "EulerDiscreteScheduler",
            Self::EulerAncestral => "EulerAncestralDiscreteScheduler",
            Self::FlowMatchEuler => "FlowMatchEulerDiscreteScheduler",
        }
    }
}

/// What a model's output is a prediction of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prediction {
    /// The noise in the sample.
    Epsilon,
    /// The velocity on the circle from picture to noise (`salimans2022`).
    Velocity,
}

/// How the timesteps lie among those of training (`lin2024`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spacing {
    /// From the last training step to the first one, both included.
    Linspace,
    /// Whole multiples, from the first training step on.
    Leading,
    /// Whole multiples, back from the last training step.
    Trailing,
}

/// Why there is no schedule.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub(crate) enum ScheduleError {
    /// A class of scheduler that is not here.
    #[error("{class} is not implemented; expected one of {known}")]
    UnknownClass {
        /// Its `_class_name`.
        class: String,
        /// Those that are.
        known: String,
    },
    /// An option that would change the pictures and is not implemented.
    #[error("{key} is {value}, which is not implemented; expected {expected}")]
    Option {
        /// The key in `scheduler_config.json`.
        key: &'static str,
        /// What it is set to.
        value: String,
        /// What would do.
        expected: &'static str,
    },
    /// Too few or too many steps.
    #[error("expected from 1 to {most} steps, got {got}")]
    Steps {
        /// How many the model was trained with.
        most: usize,
        /// How many were asked for.
        got: usize,
    },
}

/// `scheduler_config.json`, as far as it has a say here.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct SchedulerConfig {
    #[serde(rename = "_class_name")]
    pub(crate) class_name: String,
    pub(super) num_train_timesteps: Option<usize>,
    pub(super) beta_start: Option<f64>,
    pub(super) beta_end: Option<f64>,
    beta_schedule: Option<String>,
    trained_betas: Option<Vec<f64>>,
    prediction_type: Option<String>,
    timestep_spacing: Option<Spacing>,
    pub(super) steps_offset: usize,
    set_alpha_to_one: Option<bool>,
    clip_sample: Option<bool>,
    thresholding: bool,
    rescale_betas_zero_snr: bool,
    interpolation_type: Option<String>,
    use_karras_sigmas: bool,
    use_exponential_sigmas: bool,
    use_beta_sigmas: bool,
    timestep_type: Option<String>,
    final_sigmas_type: Option<String>,
    shift: Option<f64>,
    use_dynamic_shifting: bool,
    base_shift: Option<f64>,
    max_shift: Option<f64>,
    base_image_seq_len: Option<f64>,
    max_image_seq_len: Option<f64>,
    invert_sigmas: bool,
    shift_terminal: Option<f64>,
    time_shift_type: Option<String>,
    stochastic_sampling: bool,
    /// Whether PNDM starts without the Runge–Kutta steps that it was published with.
    skip_prk_steps: bool,
    /// Not of the file: how far down the pipeline of the family lets flow matching go.
    #[serde(skip)]
    pub(crate) ending: Ending,
}

impl SchedulerConfig {
    /// Returns the sampler of its class.
    ///
    /// # Errors
    ///
    /// [`ScheduleError::UnknownClass`].
    pub(crate) fn sampler(&self) -> Result<Sampler, ScheduleError> {
        let known = Sampler::NAMES.iter().map(|(_, sampler)| *sampler);
        known.into_iter().find(|sampler| sampler.class() == self.class_name).ok_or_else(|| {
            let names: Vec<_> = Sampler::NAMES.iter().map(|(_, sampler)| sampler.class()).collect();
            ScheduleError::UnknownClass { class: self.class_name.clone(), known: names.join(", ") }
        })
    }

    /// Makes it that of another sampler; what the file says of noise levels and spacing stays.
    pub(crate) fn choose(&mut self, sampler: Sampler) {
        self.timestep_spacing = Some(self.spacing());
        // Latents have no range to be clipped to; a file of another sampler does not say so.
        self.clip_sample.get_or_insert(false);
        self.skip_prk_steps = true;
        self.class_name = sampler.class().to_owned();
    }

    /// Returns how many steps the model was trained with.
    pub(crate) fn train_steps(&self) -> usize {
        self.num_train_timesteps.unwrap_or(1000)
    }

    pub(crate) fn spacing(&self) -> Spacing {
        let leading = matches!(self.class_name.as_str(), "DDIMScheduler" | "PNDMScheduler");
        self.timestep_spacing.unwrap_or(if leading { Spacing::Leading } else { Spacing::Linspace })
    }

    pub(super) fn prediction(&self) -> Prediction {
        if self.prediction_type.as_deref() == Some("v_prediction") { Prediction::Velocity } else { Prediction::Epsilon }
    }

    pub(super) fn is_scaled_linear(&self) -> bool {
        self.beta_schedule.as_deref() == Some("scaled_linear")
    }

    pub(super) fn alpha_is_one_at_the_end(&self) -> bool {
        self.set_alpha_to_one.unwrap_or(self.class_name == "DDIMScheduler")
    }

    /// Returns what sigmas are shifted by: a factor, or the exponent of one that grows with the picture (`esser2024`).
    pub(super) fn shift(&self, tokens: usize) -> f64 {
        if !self.use_dynamic_shifting {
            return self.shift.unwrap_or(1.0);
        }
        let (low, high) = (self.base_image_seq_len.unwrap_or(256.0), self.max_image_seq_len.unwrap_or(4096.0));
        let (base, most) = (self.base_shift.unwrap_or(0.5), self.max_shift.unwrap_or(1.15));
        let mu = base + (most - base) / (high - low) * (tokens as f64 - low);
        if self.time_shift_type.as_deref() == Some("linear") { mu } else { mu.exp() }
    }

    /// Returns the lowest level that a model was trained with by flow matching; where the shift is a factor, shifted.
    pub(super) fn lowest_level(&self) -> f64 {
        let even = 1.0 / self.train_steps() as f64;
        let shift = if self.use_dynamic_shifting { 1.0 } else { self.shift.unwrap_or(1.0) };
        shift * even / (1.0 + (shift - 1.0) * even)
    }

    /// Refuses what would change the pictures and is not here.
    pub(super) fn check(&self, count: usize) -> Result<(), ScheduleError> {
        let most = self.train_steps();
        if !(1..=most).contains(&count) {
            return Err(ScheduleError::Steps { most, got: count });
        }
        if most > TRAIN_STEPS_MAX {
            let (key, value) = ("num_train_timesteps", most.to_string());
            return Err(ScheduleError::Option { key, value, expected: "at most 100000" });
        }
        let flow = self.sampler()? == Sampler::FlowMatchEuler;
        let ddim = self.sampler()? == Sampler::Ddim;
        let runge_kutta = self.sampler()? == Sampler::Pndm && !self.skip_prk_steps;
        let text = |value: &Option<String>, default: &str| value.clone().unwrap_or_else(|| default.to_owned());
        // A DDIM file that leaves it out clips.
        let clips = self.clip_sample.unwrap_or(self.class_name == "DDIMScheduler");
        let betas = text(&self.beta_schedule, "linear");
        let prediction = text(&self.prediction_type, "epsilon");
        let interpolation = text(&self.interpolation_type, "linear");
        let last = text(&self.final_sigmas_type, "zero");
        let times = text(&self.timestep_type, "discrete");
        let shifting = text(&self.time_shift_type, "exponential");
        let checks = [
            ("beta_schedule", betas == "linear" || betas == "scaled_linear", betas, "linear or scaled_linear"),
            ("trained_betas", self.trained_betas.is_none(), "a list".to_owned(), "none"),
            (
                "prediction_type",
                prediction == "epsilon" || prediction == "v_prediction",
                prediction,
                "epsilon or v_prediction",
            ),
            ("clip_sample", !(ddim && clips), clips.to_string(), "false"),
            ("skip_prk_steps", !runge_kutta, "false".to_owned(), "true"),
            ("thresholding", !self.thresholding, "true".to_owned(), "false"),
            ("rescale_betas_zero_snr", !self.rescale_betas_zero_snr, "true".to_owned(), "false"),
            ("interpolation_type", interpolation == "linear", interpolation, "linear"),
            ("timestep_type", times == "discrete", times, "discrete"),
            ("final_sigmas_type", last == "zero", last, "zero"),
            ("use_karras_sigmas", !self.use_karras_sigmas, "true".to_owned(), "false"),
            ("use_exponential_sigmas", !self.use_exponential_sigmas, "true".to_owned(), "false"),
            ("use_beta_sigmas", !self.use_beta_sigmas, "true".to_owned(), "false"),
            ("invert_sigmas", !self.invert_sigmas, "true".to_owned(), "false"),
            ("stochastic_sampling", !(flow && self.stochastic_sampling), "true".to_owned(), "false"),
            ("shift_terminal", self.shift_terminal.is_none(), "a number".to_owned(), "none"),
            ("time_shift_type", shifting == "exponential" || shifting == "linear", shifting, "exponential or linear"),
        ];
        match checks.into_iter().find(|(_, holds, ..)| !holds) {
            Some((key, _, value, expected)) => Err(ScheduleError::Option { key, value, expected }),
            None => Ok(()),
        }
    }
}
