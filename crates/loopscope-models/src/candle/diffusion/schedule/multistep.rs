//! The multi-step method of PNDM, as the configuration of SD 1.5 asks for it (`liu2022`, algorithm 2 without its
//! Runge–Kutta start).

use super::config::{Prediction, SchedulerConfig};
use super::diffusion::{alphas, timesteps};
use super::{BLEND, Schedule, Step};

/// Outputs of the last steps, extrapolated to this one: linear multi-step weights of order 1 to 4, the latest first.
const BLENDS: [[f64; BLEND]; 4] = [
    [1.0, 0.0, 0.0, 0.0],
    [3.0 / 2.0, -1.0 / 2.0, 0.0, 0.0],
    [23.0 / 12.0, -16.0 / 12.0, 5.0 / 12.0, 0.0],
    [55.0 / 24.0, -59.0 / 24.0, 37.0 / 24.0, -9.0 / 24.0],
];

/// Deterministic steps that look back. The first one is taken twice, the second time with the mean of the outputs at
/// both its ends, since there is nothing to look back to: there is one step more than `count`, when that is above 1.
pub(super) fn pndm(config: &SchedulerConfig, count: usize) -> Schedule {
    let alphas = alphas(config);
    let stride = config.train_steps() / count;
    let last = if config.alpha_is_one_at_the_end() { 1.0 } else { alphas[0] };
    let alpha = |at: usize| alphas[at.min(alphas.len() - 1)];
    let mut steps = Vec::with_capacity(count + 1);
    for (index, timestep) in timesteps(config, count).into_iter().enumerate() {
        let at = timestep as usize;
        let next = at.checked_sub(stride).map_or(last, alpha);
        if index == 1 {
            let [keep, take] = between(config, alpha(at + stride), alpha(at));
            let blend = [0.5, 0.5, 0.0, 0.0];
            steps.push(Step { timestep, input_scale: 1.0, keep, take, noise: 0.0, blend, again: true });
        }
        let [keep, take] = between(config, alpha(at), next);
        let blend = BLENDS[index.min(BLENDS.len() - 1)];
        steps.push(Step { timestep, input_scale: 1.0, keep, take, noise: 0.0, blend, again: false });
    }
    Schedule { initial_scale: 1.0, steps }
}

/// Returns the weights of sample and output from one noise level to the next (`liu2022`, equation 11).
fn between(config: &SchedulerConfig, alpha: f64, next: f64) -> [f64; 2] {
    let whole = alpha * (1.0 - next).sqrt() + (alpha * (1.0 - alpha) * next).sqrt();
    let keep = (next / alpha).sqrt();
    let take = (alpha - next) / whole;
    match config.prediction() {
        Prediction::Epsilon => [keep, take],
        Prediction::Velocity => [keep + take * (1.0 - alpha).sqrt(), take * alpha.sqrt()],
    }
}
