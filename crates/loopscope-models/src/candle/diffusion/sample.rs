//! The loop from noise to latents, for every model and schedule.

use std::collections::VecDeque;

use candle_core::{Device, Result, Tensor};

use super::noise::{Draw, normals};
use super::schedule::{BLEND, Schedule, Step};

/// Walks a schedule for one picture, in single precision.
///
/// `shape` is that of its latents: channels, height, width. `model` gets the scaled sample of shape (1, channels,
/// height, width) and gives its output in the same shape.
pub(crate) fn sample(
    schedule: &Schedule,
    seed: u64,
    shape: [usize; 3],
    device: &Device,
    mut model: impl FnMut(&Tensor, &Step) -> Result<Tensor>,
) -> Result<Tensor> {
    let [channels, height, width] = shape;
    let draw =
        |draw| Tensor::from_vec(normals(seed, draw, channels * height * width), (1, channels, height, width), device);
    let mut sample = (draw(Draw::Initial)? * schedule.initial_scale)?;
    let mut before = sample.clone();
    // Of earlier steps, the latest first.
    let mut kept = VecDeque::with_capacity(BLEND);
    for (index, step) in schedule.steps.iter().enumerate() {
        let input = if step.input_scale == 1.0 { sample.clone() } else { (&sample * step.input_scale)? };
        let output = model(&input, step)?.to_dtype(sample.dtype())?;
        let blended = blend(step, &output, &kept)?;
        if !step.again {
            before = sample;
            kept.push_front(output);
            kept.truncate(BLEND - 1);
        }
        sample = ((&before * step.keep)? + (blended * step.take)?)?;
        if step.noise > 0.0 {
            sample = (sample + (draw(Draw::Step(index))? * step.noise)?)?;
        }
    }
    Ok(sample)
}

/// Returns what the step takes for the model's output.
fn blend(step: &Step, output: &Tensor, kept: &VecDeque<Tensor>) -> Result<Tensor> {
    if step.blend[0] == 1.0 {
        return Ok(output.clone());
    }
    let mut sum = (output * step.blend[0])?;
    for (weight, earlier) in step.blend[1..].iter().zip(kept).filter(|(weight, _)| **weight != 0.0) {
        sum = (sum + (earlier * *weight)?)?;
    }
    Ok(sum)
}
