//! Samplers of models that were trained to take noise out: DDIM and Euler's method, with and without fresh noise.
//!
//! The noise of training step t is given by ᾱ(t), the share of the picture's variance that is left (`ho2020`). In the
//! form of `karras2022` the sample is not shrunk, and the noise has the standard deviation σ = √((1 − ᾱ) / ᾱ).

use super::config::{Prediction, SchedulerConfig, Spacing};
use super::{OWN, Schedule, Step};

/// Deterministic steps between noise levels (`song2021`, equation 12 with σ = 0).
///
/// With predicted picture x₀ and noise ε the next sample is √ᾱ′ x₀ + √(1 − ᾱ′) ε; both are linear in the sample and
/// in the model's output.
pub(super) fn ddim(config: &SchedulerConfig, count: usize) -> Schedule {
    let alphas = alphas(config);
    let stride = config.train_steps() / count;
    let last = if config.alpha_is_one_at_the_end() { 1.0 } else { alphas[0] };
    let steps = timesteps(config, count).into_iter().map(|timestep| {
        let at = timestep as usize;
        let alpha_at = |at: usize| alphas[at.min(alphas.len() - 1)];
        let alpha = alpha_at(at);
        let next = at.checked_sub(stride).map_or(last, alpha_at);
        let [kept, noisy] = [alpha.sqrt(), (1.0 - alpha).sqrt()];
        let [kept_next, noisy_next] = [next.sqrt(), (1.0 - next).sqrt()];
        let (keep, take) = match config.prediction() {
            Prediction::Epsilon => (kept_next / kept, noisy_next - kept_next * noisy / kept),
            Prediction::Velocity => (kept_next * kept + noisy_next * noisy, noisy_next * kept - kept_next * noisy),
        };
        Step { timestep: at as f64, input_scale: 1.0, keep, take, noise: 0.0, blend: OWN, again: false }
    });
    Schedule { initial_scale: 1.0, steps: steps.collect() }
}

/// Euler's method from σ to σ′ (`karras2022`, algorithm 1); with `ancestral`, to a lower noise level and back up to σ′
/// by fresh noise.
pub(super) fn euler(config: &SchedulerConfig, count: usize, ancestral: bool) -> Schedule {
    let all: Vec<f64> = alphas(config).into_iter().map(|alpha| ((1.0 - alpha) / alpha).sqrt()).collect();
    let timesteps = timesteps(config, count);
    let mut sigmas: Vec<f64> = timesteps.iter().map(|timestep| interpolate(&all, *timestep)).collect();
    let most = sigmas.iter().copied().fold(0.0, f64::max);
    sigmas.push(0.0);
    let steps = timesteps.iter().zip(sigmas.windows(2)).map(|(timestep, pair)| {
        let [sigma, next] = [pair[0], pair[1]];
        let (target, noise) = if ancestral { split(sigma, next) } else { (next, 0.0) };
        // dx/dσ = (x − x₀) / σ, where x₀ is what the model predicts.
        let size = sigma.mul_add(sigma, 1.0);
        let (keep, take) = match config.prediction() {
            Prediction::Epsilon => (1.0, target - sigma),
            Prediction::Velocity => (1.0 + (target - sigma) * sigma / size, (target - sigma) / size.sqrt()),
        };
        Step { timestep: *timestep, input_scale: 1.0 / size.sqrt(), keep, take, noise, blend: OWN, again: false }
    });
    let initial_scale = match config.spacing() {
        Spacing::Linspace | Spacing::Trailing => most,
        Spacing::Leading => most.mul_add(most, 1.0).sqrt(),
    };
    Schedule { initial_scale, steps: steps.collect() }
}

/// Returns the level to go down to, and the noise that leads from there to `next`: their variances add up.
fn split(sigma: f64, next: f64) -> (f64, f64) {
    let up = (next * next * (sigma * sigma - next * next) / (sigma * sigma)).max(0.0).sqrt();
    ((next * next - up * up).max(0.0).sqrt(), up)
}

/// Returns ᾱ for each training step. Betas are single precision, because those of the training were.
pub(super) fn alphas(config: &SchedulerConfig) -> Vec<f64> {
    let count = config.train_steps();
    let (start, end) = (config.beta_start.unwrap_or(1e-4), config.beta_end.unwrap_or(0.02));
    let scaled = config.is_scaled_linear();
    let [start, end] = [start, end].map(|beta| if scaled { beta.sqrt() } else { beta } as f32);
    let step = (end - start) / (count.max(2) - 1) as f32;
    let mut alpha = 1.0;
    let alphas = (0..count).map(|index| {
        let from_end = (count - 1 - index) as f32;
        let value = if index < count / 2 { start + step * index as f32 } else { end - step * from_end };
        let beta = if scaled { value * value } else { value };
        alpha *= f64::from(1.0 - beta);
        f64::from(alpha as f32)
    });
    alphas.collect()
}

/// Returns the timesteps, from the noisiest to the least noisy one.
pub(super) fn timesteps(config: &SchedulerConfig, count: usize) -> Vec<f64> {
    let train = config.train_steps();
    let offset = config.steps_offset as f64;
    match config.spacing() {
        Spacing::Linspace => {
            let last = (train - 1) as f64;
            let step = if count > 1 { last / (count - 1) as f64 } else { 0.0 };
            // DDIM's steps are whole; those of Euler's method need not be. One step starts at the first training step.
            let whole = config.class_name == "DDIMScheduler" || config.class_name == "PNDMScheduler";
            let at = |index: usize| if whole { (index as f64 * step).round_ties_even() } else { index as f64 * step };
            (0..count).rev().map(at).collect()
        }
        Spacing::Leading => {
            let stride = train / count;
            (0..count).rev().map(|index| (index * stride) as f64 + offset).collect()
        }
        Spacing::Trailing => {
            let stride = train as f64 / count as f64;
            (0..count).map(|index| (train as f64 - index as f64 * stride).round_ties_even() - 1.0).collect()
        }
    }
}

/// Returns the value at a fraction of an index, between its neighbours.
fn interpolate(values: &[f64], at: f64) -> f64 {
    let last = values.len() - 1;
    let below = (at.max(0.0) as usize).min(last);
    let above = (below + 1).min(last);
    let part = (at - below as f64).clamp(0.0, 1.0);
    values[below] + (values[above] - values[below]) * part
}
