//! Euler's method for models that were trained by flow matching: straight paths from noise to pictures.
//!
//! A sample at level s in 0..=1 is (1 − s) picture + s noise, and the model's output is the direction noise − picture
//! (`lipman2023`). Larger pictures need more steps at high levels for the same loss of information: levels are shifted
//! (`esser2024`, section 5.3.2).

use super::config::SchedulerConfig;
use super::{OWN, Schedule, Step};

/// Where evenly spaced levels end, before they are shifted and 0 is put behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Ending {
    /// At 1 / steps, so that the last step is as long as the others: what FLUX.1's pipeline asks its scheduler for.
    #[default]
    OneStep,
    /// At the lowest level of training, which diffusers' scheduler has shifted once already: what it does where a
    /// pipeline leaves the levels to it, as that of Stable Diffusion 3 does. The last step is a very short one.
    LowestTrained,
}

/// Returns evenly spaced levels from 1 to where the configuration ends, shifted, with 0 at the end.
pub(super) fn euler(config: &SchedulerConfig, count: usize, tokens: usize) -> Schedule {
    let shift = config.shift(tokens);
    let level = |index: usize| {
        let even = match config.ending {
            Ending::OneStep => (count - index) as f64 / count as f64,
            Ending::LowestTrained if count == 1 => 1.0,
            Ending::LowestTrained => 1.0 + (config.lowest_level() - 1.0) * index as f64 / (count - 1) as f64,
        };
        shift * even / (1.0 + (shift - 1.0) * even)
    };
    let steps = (0..count).map(|index| {
        let here = level(index);
        let next = if index + 1 < count { level(index + 1) } else { 0.0 };
        let timestep = here * config.train_steps() as f64;
        Step { timestep, input_scale: 1.0, keep: 1.0, take: next - here, noise: 0.0, blend: OWN, again: false }
    });
    Schedule { initial_scale: 1.0, steps: steps.collect() }
}
