//! Violins that lie on their side, so that long names can stand beside them.

use loopscope_analysis::bootstrap::quantile;

use super::density::{density, sorted};
use crate::figure::color::{INK, PAPER, mix};
use crate::figure::{Axis, Color, Mark, Shape, Stroke};

/// Points are drawn one by one up to so many.
const POINTS_MAX: usize = 80;

/// Draws values along x, in band `row`: density, quartiles, median, and the values themselves where they are few.
pub(super) fn violin(values: &[f64], row: usize, x: &Axis, color: Color) -> Vec<Mark> {
    let is_log = matches!(x, Axis::Log { .. });
    let to = |value: f64| if is_log { value.log10() } else { value };
    let back = |value: f64| if is_log { 10_f64.powf(value) } else { value };
    let shown: Vec<f64> = values.iter().copied().filter(|value| !is_log || *value > 0.0).map(to).collect();
    let sorted = sorted(&shown);
    let Some((&low, &high)) = sorted.first().zip(sorted.last()) else { return Vec::new() };
    let middle = row as f64 + 0.5;
    let mut marks = Vec::new();
    if let Some(density) = density(&sorted) {
        let top = density.height.iter().copied().fold(0.0, f64::max);
        let half = |height: f64| 0.42 * height / top;
        let upper = density.at.iter().zip(&density.height).map(|(&at, &height)| (back(at), middle - half(height)));
        let lower =
            density.at.iter().zip(&density.height).rev().map(|(&at, &height)| (back(at), middle + half(height)));
        marks.push(Mark::Area {
            points: upper.chain(lower).collect(),
            fill: mix(color, PAPER, 0.55),
            opacity: 1.0,
            outline: Some(Stroke::new(color, 1.0)),
        });
    }
    if sorted.len() <= POINTS_MAX {
        let points = (1..).zip(&sorted).map(|(i, &value)| (back(value), middle + 0.5 * (spread(i) - 0.5))).collect();
        marks.push(Mark::Dots { points, radius: 1.9, shape: Shape::Circle, fill: color, opacity: 0.65, outline: None });
    }
    if low < high {
        let quartiles = [quantile(&sorted, 0.25), quantile(&sorted, 0.75)].map(|value| (back(value), middle));
        marks.push(Mark::Line { points: quartiles.to_vec(), stroke: Stroke::new(INK, 4.0) });
    }
    marks.push(Mark::Dots {
        points: vec![(back(quantile(&sorted, 0.5)), middle)],
        radius: 3.4,
        shape: Shape::Circle,
        fill: PAPER,
        opacity: 1.0,
        outline: Some(INK),
    });
    marks
}

/// What violins mean, for captions.
pub(super) const EXPLAINED: &str = "Violins: Gaussian kernel densities, each to its own height, cut at the extremes; bar: quartiles; white dot: median.";

/// Returns a share that is spread evenly however many are drawn: the van der Corput sequence.
fn spread(mut index: u32) -> f64 {
    let (mut share, mut weight) = (0.0, 0.5);
    while index > 0 {
        share += weight * f64::from(index & 1);
        index >>= 1;
        weight /= 2.0;
    }
    share
}
