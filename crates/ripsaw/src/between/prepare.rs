//! From bars to sorted points of a common scale.

use std::cmp::Ordering;

use super::ground::Point;
use super::{DiagramDistanceError, InfiniteBars};
use crate::diagram::Bar;
use crate::summary::check_bar;

/// Holds the bars of a diagram that count, sorted.
#[derive(Debug, Default)]
pub(super) struct Prepared {
    /// Bars that die, by birth and then death; those that die at birth are left out, as they already lie on the diagonal.
    finite: Vec<Point>,
    /// Births of the bars that never die.
    infinite: Vec<f64>,
}

/// Checks and sorts the bars of a diagram; `index` names it in an error.
pub(super) fn prepare(index: usize, bars: &[Bar]) -> Result<Prepared, DiagramDistanceError> {
    let mut prepared = Prepared::default();
    for (place, bar) in bars.iter().enumerate() {
        check_bar(place, bar).map_err(|source| DiagramDistanceError::Diagram { index, source })?;
        // Adding zero turns -0.0 into 0.0, which `total_cmp` tells apart.
        let (birth, death) = (bar.birth + 0.0, bar.death + 0.0);
        if bar.is_infinite() {
            prepared.infinite.push(birth);
        } else if birth < death {
            prepared.finite.push(Point { birth, death });
        }
    }
    prepared.finite.sort_unstable_by(by_birth_and_death);
    prepared.infinite.sort_unstable_by(f64::total_cmp);
    Ok(prepared)
}

fn by_birth_and_death(a: &Point, b: &Point) -> Ordering {
    a.birth.total_cmp(&b.birth).then(a.death.total_cmp(&b.death))
}

/// Returns the moves that match the bars that never die, none if they are dropped; nothing where counts differ.
///
/// In one dimension and for convex costs, matching in order is best.
pub(super) fn infinite_moves(
    a: &Prepared,
    b: &Prepared,
    rule: InfiniteBars,
) -> Option<impl Iterator<Item = (f64, f64)>> {
    let count = match rule {
        InfiniteBars::Drop => 0,
        InfiniteBars::Match if a.infinite.len() == b.infinite.len() => a.infinite.len(),
        InfiniteBars::Match => return None,
    };
    Some(a.infinite.iter().copied().zip(b.infinite.iter().copied()).take(count))
}

/// Holds the finite bars of two diagrams, scaled by a power of two to at most one.
///
/// Scaling so is exact, and keeps squares and sums within range.
pub(super) struct Pair {
    pub(super) a: Vec<Point>,
    pub(super) b: Vec<Point>,
    scale: f64,
}

impl Pair {
    /// Puts the two in an order that does not depend on which came first.
    pub(super) fn new(a: &Prepared, b: &Prepared, rule: InfiniteBars) -> Self {
        let swapped =
            a.finite.len().cmp(&b.finite.len()).then_with(|| compare(&a.finite, &b.finite)) == Ordering::Greater;
        let (a, b) = if swapped { (b, a) } else { (a, b) };
        let finite = [a, b].into_iter().flat_map(|side| &side.finite).flat_map(|point| [point.birth, point.death]);
        let infinite = [a, b].into_iter().flat_map(|side| side.infinite.iter().copied());
        let values = finite.chain(infinite.filter(|_| rule == InfiniteBars::Match));
        let scale = scale(values.map(f64::abs).fold(0.0, f64::max));
        let scaled = |points: &[Point]| -> Vec<Point> {
            points.iter().map(|point| Point { birth: point.birth * scale, death: point.death * scale }).collect()
        };
        Self { a: scaled(&a.finite), b: scaled(&b.finite), scale }
    }

    /// Takes out bars that both diagrams hold, as often as both do.
    ///
    /// Where costs obey the triangle inequality, as in order one, some best matching leaves these in place.
    pub(super) fn cancel_common(&mut self) {
        let (mut a_kept, mut b_kept) = (Vec::new(), Vec::new());
        let (mut a, mut b) = (self.a.iter().peekable(), self.b.iter().peekable());
        while let (Some(&x), Some(&y)) = (a.peek(), b.peek()) {
            let order = by_birth_and_death(x, y);
            if order.is_le() {
                a.next();
            }
            if order.is_ge() {
                b.next();
            }
            match order {
                Ordering::Less => a_kept.push(*x),
                Ordering::Greater => b_kept.push(*y),
                Ordering::Equal => {}
            }
        }
        a_kept.extend(a);
        b_kept.extend(b);
        (self.a, self.b) = (a_kept, b_kept);
    }

    /// Returns the lengths on both sides where all births are one value.
    pub(super) fn lengths(&self) -> Option<(Vec<f64>, Vec<f64>)> {
        let birth = self.a.first().or(self.b.first()).map_or(0.0, |point| point.birth);
        let is_line = self.a.iter().chain(&self.b).all(|point| point.birth == birth);
        let lengths = |points: &[Point]| points.iter().map(|point| point.length()).collect();
        is_line.then(|| (lengths(&self.a), lengths(&self.b)))
    }

    /// The distance of two births, scaled.
    pub(super) fn scaled(&self, (a, b): (f64, f64)) -> f64 {
        (a * self.scale - b * self.scale).abs()
    }

    pub(super) fn unscaled(&self, distance: f64) -> Result<f64, DiagramDistanceError> {
        match distance / self.scale {
            distance if distance.is_finite() => Ok(distance),
            _ => Err(DiagramDistanceError::Overflow),
        }
    }
}

fn compare(a: &[Point], b: &[Point]) -> Ordering {
    let differing = a.iter().zip(b).map(|(x, y)| by_birth_and_death(x, y));
    differing.fold(Ordering::Equal, Ordering::then)
}

/// A power of two that takes this value to between a half and one, or as near as powers of two go.
fn scale(largest: f64) -> f64 {
    if largest == 0.0 { 1.0 } else { 2f64.powi(-(largest.log2().floor().clamp(-1000.0, 1022.0) as i32) - 1) }
}

/// The lengths of the bars that die, longest first.
pub(super) fn finite_lengths(prepared: &Prepared) -> Vec<f64> {
    let mut lengths: Vec<f64> = prepared.finite.iter().map(|point| point.length()).collect();
    lengths.sort_unstable_by(|a, b| b.total_cmp(a));
    lengths
}
