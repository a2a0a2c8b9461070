//! Schedulers: which noise levels a picture passes, and how a step goes from one to the next.
//!
//! A schedule is numbers only. Every step of the samplers here is linear in what goes in, so that a step is four
//! coefficients and nothing has to be kept between steps:
//!
//! ```text
//! model output  o = model(input_scale · x, timestep)
//! next sample   x' = keep · x + take · o + noise · (fresh normal numbers)
//! ```
//!
//! A multi-step method puts a blend of this and earlier outputs in the place of `o`, and may take one step twice. No
//! scheduler draws noise, knows a tensor, or has state. What a checkpoint asks for in `scheduler_config.json` is
//! honoured where it is implemented and refused by name where it is not, never passed over.

mod config;
mod diffusion;
mod flow;
mod multistep;

pub(crate) use config::{Sampler, ScheduleError, SchedulerConfig, Spacing};
pub(crate) use flow::Ending;

/// One step of a schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Step {
    /// What the model is told; a training step in `0.0..=1000.0`, fractions included.
    pub(crate) timestep: f64,
    /// What the sample is multiplied with before the model sees it.
    pub(crate) input_scale: f64,
    /// Weight of the sample in the next sample.
    pub(crate) keep: f64,
    /// Weight of the model's output in the next sample.
    pub(crate) take: f64,
    /// Weight of fresh noise in the next sample; 0 where the step is deterministic.
    pub(crate) noise: f64,
    /// Weights of this output and of those kept of earlier steps, the latest first; 1, 0, 0, 0 for one-step methods.
    pub(crate) blend: [f64; BLEND],
    /// Whether it replaces the step before: it starts where that one started, and its output is not kept.
    pub(crate) again: bool,
}

/// Most outputs that a step blends, its own included.
pub(crate) const BLEND: usize = 4;
/// What a one-step method blends: its own output.
const OWN: [f64; BLEND] = [1.0, 0.0, 0.0, 0.0];

/// The way from noise to a picture.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    /// What the initial normal numbers are multiplied with.
    pub(crate) initial_scale: f64,
    /// At least one.
    pub(crate) steps: Vec<Step>,
}

impl Schedule {
    /// Returns the schedule of `count` steps that this configuration asks for.
    ///
    /// `tokens` is how many positions the model attends to in a picture of the wanted size; only schedulers that
    /// shift with resolution look at it.
    ///
    /// # Errors
    ///
    /// [`ScheduleError`] for zero steps, more steps than the model was trained with, or an option of the configuration
    /// that is not implemented.
    pub(crate) fn new(config: &SchedulerConfig, count: usize, tokens: usize) -> Result<Self, ScheduleError> {
        config.check(count)?;
        Ok(match config.sampler()? {
            Sampler::Pndm => multistep::pndm(config, count),
            Sampler::Ddim => diffusion::ddim(config, count),
            Sampler::Euler => diffusion::euler(config, count, false),
            Sampler::EulerAncestral => diffusion::euler(config, count, true),
            Sampler::FlowMatchEuler => flow::euler(config, count, tokens),
        })
    }
}

/// Checks schedules against those of diffusers, which `reference/parity/diffusion.py` wrote down.
#[cfg(test)]
mod tests {
    use candle_core::{Device, Tensor};
    use serde::Deserialize;

    use super::super::sample::sample;
    use super::*;

    /// The seed of the noise of all cases.
    const SEED: u64 = 0;

    #[derive(Deserialize)]
    struct Case {
        name: String,
        config: SchedulerConfig,
        steps: usize,
        tokens: usize,
        initial_scale: f64,
        timesteps: Vec<f64>,
        /// What the model saw in each step: two numbers.
        inputs: Vec<[f32; 2]>,
        /// What it answered.
        outputs: Vec<[f32; 2]>,
        /// What was left after the last step.
        last: [f32; 2],
    }

    fn cases() -> Vec<Case> {
        let mut cases: Vec<Case> =
            serde_json::from_str(include_str!("../../../../tests/fixtures/diffusion/schedules.json")).unwrap();
        let whole: Vec<Case> =
            serde_json::from_str(include_str!("../../../../tests/fixtures/diffusion/schedules-sd3.json")).unwrap();
        cases.extend(whole.into_iter().map(|mut case| {
            case.config.ending = Ending::LowestTrained;
            case
        }));
        cases
    }

    /// Returns the larger difference, relative to the larger number where that is above 1.
    fn apart(ours: &Tensor, theirs: [f32; 2]) -> f32 {
        let ours: Vec<f32> = ours.flatten_all().unwrap().to_vec1().unwrap();
        let largest = theirs.iter().fold(1.0_f32, |largest, value| largest.max(value.abs()));
        ours.iter().zip(&theirs).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max) / largest
    }

    #[test]
    fn timesteps_and_every_step_are_those_of_diffusers() {
        let (mut worst, mut count): (f32, usize) = (0.0, 0);
        for case in cases() {
            let name = &case.name;
            let schedule = Schedule::new(&case.config, case.steps, case.tokens).unwrap();
            assert_eq!(schedule.steps.len(), case.timesteps.len(), "{name}");
            let scale = (schedule.initial_scale - case.initial_scale).abs() / case.initial_scale;
            assert!(scale < 1e-6, "{name}: initial scale {}", schedule.initial_scale);
            let mut index = 0;
            let last = sample(&schedule, SEED, [2, 1, 1], &Device::Cpu, |input, step| {
                let expected = case.timesteps[index];
                assert!((step.timestep - expected).abs() < 1e-3, "{name} step {index}: {step:?}, not {expected}");
                let difference = apart(input, case.inputs[index]);
                assert!(difference < 1e-5, "{name} step {index}: {step:?}: {difference}");
                worst = worst.max(difference);
                index += 1;
                Tensor::from_slice(&case.outputs[index - 1], (1, 2, 1, 1), &Device::Cpu)
            });
            let difference = apart(&last.unwrap(), case.last);
            assert!(difference < 1e-5, "{name}: {difference} at the end");
            worst = worst.max(difference);
            count += index;
        }
        println!("parity | schedules | {count} steps | {worst:.1e}");
        assert!(worst > 0.0, "nothing was compared");
    }

    #[test]
    fn the_cases_cover_every_sampler_and_both_predictions() {
        let names: Vec<_> = cases().into_iter().map(|case| case.name).collect();
        for part in [
            "pndm",
            "ddim",
            "euler",
            "ancestral",
            "flow dev",
            "flow whole",
            "epsilon",
            "v_prediction",
            "leading",
            "trailing",
            "linspace",
        ] {
            assert!(names.iter().any(|name| name.contains(part)), "{part}");
        }
    }

    #[test]
    fn what_is_not_implemented_is_refused_by_name() {
        let refuse = |text: &str, steps| {
            let config: SchedulerConfig = serde_json::from_str(text).unwrap();
            Schedule::new(&config, steps, 64).unwrap_err().to_string()
        };
        let shown = [
            refuse(r#"{"_class_name": "KDPM2DiscreteScheduler"}"#, 4),
            refuse(r#"{"_class_name": "EulerDiscreteScheduler", "use_karras_sigmas": true}"#, 4),
            refuse(r#"{"_class_name": "DDIMScheduler", "clip_sample": true}"#, 4),
            refuse(r#"{"_class_name": "DDIMScheduler", "prediction_type": "sample"}"#, 4),
            refuse(r#"{"_class_name": "DDIMScheduler"}"#, 0),
            refuse(r#"{"_class_name": "DDIMScheduler"}"#, 1001),
        ];
        insta::assert_snapshot!(shown.join("\n"));
    }
}
