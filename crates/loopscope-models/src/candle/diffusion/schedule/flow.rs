//! Euler's method for models that were trained by flow matching: straight paths from noise to pictures.
//!
//! A sample at level s in 0..=1 is (1 − s) picture + s noise, and the model's output is the direction noise − picture
//! (`lipman2023`). Larger pictures need more steps at high levels for the same loss of information: levels are shifted
//! (`esser2024`, section 5.3.2).

use super::config::SchedulerConfig;
use super::{OWN, Schedule, Step};

/// Returns evenly spaced levels from 1 to 1 / `count`, shifted, with 0 at the end.
pub(super) fn euler(config: &SchedulerConfig, count: usize, tokens: usize) -> Schedule {
    let shift = config.shift(tokens);
    let level = |index: usize| {
        let even = (count - index) as f64 / count as f64;
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
