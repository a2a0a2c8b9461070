//! The cheapest segmentation, exactly.

use super::cost::{EndingCosts, Kernel};
use super::{ChangePointError, Cost};
use crate::series::Series;

/// Returns the breaks of the segmentation that costs least, with `penalty` for each break.
///
/// Exact: places from which no cheapest segmentation can come any more are dropped, which changes no answer. Of equally cheap ones the
/// one whose last segment is longest is taken. Segments have at least `segment_min` vectors (0 counts as 1; [`super::SEGMENT_MIN`] is
/// a good choice); a series shorter than two of them has no break. O(n² d) time at worst, less the more breaks there are; O(n d) memory.
///
/// # Errors
///
/// [`ChangePointError::Series`] for a vector without direction (cosine) or too large to square;
/// [`ChangePointError::PenaltyOutOfRange`]; [`ChangePointError::GammaOutOfRange`].
///
/// Reference: `killick2012`; with kernels, `celisse2018`.
pub fn pelt(series: &Series<'_>, cost: Cost, penalty: f64, segment_min: usize) -> Result<Vec<usize>, ChangePointError> {
    if !(penalty.is_finite() && penalty >= 0.0) {
        return Err(ChangePointError::PenaltyOutOfRange { got: penalty });
    }
    let kernel = Kernel::new(series, cost)?;
    let (n, segment_min) = (kernel.len(), segment_min.max(1));
    // Cost of the best segmentation of the first so many, and where its last segment begins.
    let mut best = vec![(f64::INFINITY, 0); n + 1];
    best[0].0 = -penalty;
    let mut costs = EndingCosts::new(&kernel);
    let mut starts: Vec<Start> = Vec::new();
    for end in 1..=n {
        // A place that no segmentation reaches is no start.
        if let Some(place) = end.checked_sub(segment_min).filter(|&place| best[place].0.is_finite()) {
            starts.push(Start { place, dropped_from: usize::MAX });
        }
        costs.advance(starts.first().map_or(0, |start| start.place));
        for start in &starts {
            let total = best[start.place].0 + costs.cost(start.place) + penalty;
            if total < best[end].0 {
                best[end] = (total, start.place);
            }
        }
        let bound = best[end].0;
        for start in &mut starts {
            // Too dear now, it stays too dear wherever a segment may begin here; rounding gets the benefit.
            if best[start.place].0 + costs.cost(start.place) > bound + 1e-9 * (1.0 + bound.abs()) {
                start.dropped_from = start.dropped_from.min(end + segment_min);
            }
        }
        starts.retain(|start| start.dropped_from > end + 1);
    }
    Ok(trace(n, |end| best[end].1))
}

/// A place where a last segment may begin.
struct Start {
    place: usize,
    /// The first end for which it is out of question.
    dropped_from: usize,
}

/// Returns the breaks of the cheapest segmentation with `break_count` breaks before the end.
///
/// O(n² (d + k)) time and O(n (d + k)) memory. An empty series has no break; a series shorter than k + 1 times `segment_min` has no
/// room for k.
///
/// # Errors
///
/// [`ChangePointError::TooManyBreaks`], otherwise as [`pelt`].
///
/// Reference: `celisse2018`.
pub fn segments(
    series: &Series<'_>,
    cost: Cost,
    break_count: usize,
    segment_min: usize,
) -> Result<Vec<usize>, ChangePointError> {
    let kernel = Kernel::new(series, cost)?;
    let (n, segment_min) = (kernel.len(), segment_min.max(1));
    let most = (n / segment_min).saturating_sub(1);
    if break_count > most {
        return Err(ChangePointError::TooManyBreaks { got: break_count, most });
    }
    let mut costs = EndingCosts::new(&kernel);
    // By number of breaks so far, then by end: the cost, and where the last segment begins.
    let mut best = vec![vec![(f64::INFINITY, 0); n + 1]; break_count + 1];
    for end in 1..=n {
        costs.advance(0);
        best[0][end] = (costs.cost(0), 0);
        for breaks in 1..=break_count {
            for start in segment_min..(end + 1).saturating_sub(segment_min) {
                let total = best[breaks - 1][start].0 + costs.cost(start);
                if total < best[breaks][end].0 {
                    best[breaks][end] = (total, start);
                }
            }
        }
    }
    let mut left = break_count;
    Ok(trace(n, |end| {
        let start = best[left][end].1;
        left = left.saturating_sub(1);
        start
    }))
}

fn trace(n: usize, mut start_of: impl FnMut(usize) -> usize) -> Vec<usize> {
    let mut breaks = Vec::new();
    let mut end = n;
    while end > 0 {
        breaks.push(end);
        end = start_of(end);
    }
    breaks.reverse();
    breaks
}
