//! Distances between persistence diagrams.
//!
//! Each takes the bars of one dimension of two diagrams, in any order: the bars are points of the plane, and each is
//! matched with a bar of the other diagram or moved to the diagonal, where bars have length zero. Bars that never die are
//! matched with each other by birth, or left out. Nothing here compares bars of different dimensions.
//!
//! Invariant: a distance depends on the two sets of bars alone. Bars are sorted first and the two diagrams put in an
//! order of their own, so that the order of bars or arguments, or the number of threads, cannot change a bit.

mod assignment;
mod bottleneck;
mod error;
mod ground;
mod legacy;
mod line;
mod matrix;
mod prepare;
mod tree;

pub use error::DiagramDistanceError;
pub use legacy::legacy_sorted_l1;
pub use matrix::diagram_distance_matrix;

use crate::diagram::Bar;
use ground::Ground;
use prepare::{Prepared, prepare};

/// Says what becomes of bars that never die.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum InfiniteBars {
    /// They are matched with each other, at the cost of the move between their births. The distance is infinite where
    /// one diagram has more of them.
    #[default]
    Match,
    /// They are left out on both sides.
    Drop,
}

/// The norm by which the move of a bar in the plane of birth and death is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum GroundNorm {
    /// The larger of the moves in birth and in death; a bar of length `l` is `l / 2` from the diagonal.
    LInfinity,
    /// The Euclidean length of the move; a bar of length `l` is `l / √2` from the diagonal.
    L2,
}

/// The power to which moves are raised before they are added up; the root is taken of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WassersteinOrder {
    /// The sum of the moves.
    One,
    /// The root of the sum of their squares.
    Two,
}

/// Chooses a distance between diagrams, for [`diagram_distance_matrix`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiagramMetric {
    /// As [`bottleneck`].
    Bottleneck,
    /// As [`wasserstein`].
    Wasserstein(WassersteinOrder, GroundNorm),
}

/// Chooses how exact a distance is, and what becomes of bars that never die.
///
/// ```
/// use ripsaw::{DistanceOptions, InfiniteBars};
///
/// let options = DistanceOptions::default().with_relative_error(0.01).with_infinite_bars(InfiniteBars::Drop);
/// assert_eq!(options.relative_error, 0.01);
/// assert_eq!(DistanceOptions::default().relative_error, 0.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct DistanceOptions {
    /// The share of the exact distance by which the result may be too large, never too small; 0, the default, asks for
    /// the exact distance, up to rounding. Must be finite and not negative.
    pub relative_error: f64,
    /// What becomes of bars that never die; they are matched by default.
    pub infinite_bars: InfiniteBars,
}

impl DistanceOptions {
    /// Sets the share of the exact distance by which the result may be too large.
    #[must_use]
    pub fn with_relative_error(mut self, relative_error: f64) -> Self {
        self.relative_error = relative_error;
        self
    }

    /// Sets what becomes of bars that never die.
    #[must_use]
    pub fn with_infinite_bars(mut self, infinite_bars: InfiniteBars) -> Self {
        self.infinite_bars = infinite_bars;
        self
    }

    fn check(&self) -> Result<(), DiagramDistanceError> {
        match self.relative_error {
            error if error.is_finite() && error >= 0.0 => Ok(()),
            got => Err(DiagramDistanceError::RelativeError { got }),
        }
    }
}

/// Returns the bottleneck distance of two diagrams, in units of the metric.
///
/// That is the least `δ` for which the bars can be matched one to one, each moved by at most `δ` in birth and in death,
/// where a bar of length at most `2 δ` may move to the diagonal instead. It is 0 where the diagrams hold the same bars,
/// those of length zero aside, and infinite where [`InfiniteBars::Match`] finds unequal counts. The diagrams of two clouds whose
/// points differ by moves of at most `ε` have a distance of at most `2 ε`, as bars are diameters.
///
/// Exact, up to the rounding of one subtraction: the result is the length of one of the moves. With `n` bars, each of some
/// tens of steps takes O(√n) passes at worst and one or two as a rule, and each pass visits at most O(n) bars in a k-d
/// tree; memory is O(n). Where all bars share one birth, as in dimension 0, a step takes O(n).
///
/// ```
/// use ripsaw::{Bar, DistanceOptions, bottleneck};
///
/// // The long bars are matched and the death moves by 1; the short one moves to the diagonal, half its length away.
/// let a = [(0.0, 10.0), (4.0, 5.0)].map(Bar::from);
/// let b = [(0.0, 11.0)].map(Bar::from);
/// assert_eq!(bottleneck(&a, &b, &DistanceOptions::default())?, 1.0);
/// # Ok::<(), ripsaw::DiagramDistanceError>(())
/// ```
///
/// # Errors
///
/// [`DiagramDistanceError::Diagram`] for a bar that makes no sense, [`DiagramDistanceError::RelativeError`] for one that is
/// negative or not finite, [`DiagramDistanceError::Overflow`] where a finite distance is larger than the largest `f64`.
///
/// Reference: `efrat2001` and `kerber2017`; stability is in `cohensteiner2007`.
pub fn bottleneck(a: &[Bar], b: &[Bar], options: &DistanceOptions) -> Result<f64, DiagramDistanceError> {
    options.check()?;
    bottleneck_of(&prepare(0, a)?, &prepare(1, b)?, options)
}

/// Returns the Wasserstein distance of two diagrams, in units of the metric.
///
/// That is the least of `(Σ cost^p)^(1/p)` over all ways to match the bars one to one or to move them to the diagonal,
/// where `p` is the order and the cost of a move its length in the ground norm; to the diagonal it is half the bar's
/// length for L∞ and its length divided by `√2` for L2. It is 0 where the diagrams hold the same bars, those of length zero aside,
/// and infinite where [`InfiniteBars::Match`] finds unequal counts.
///
/// Exact, up to rounding, unless [`DistanceOptions::relative_error`] lets it stop earlier; then it is too large by at most
/// that share. With `n` bars, time is close to O(n²) as a rule, O(n³ log n) at worst, and memory O(n) as a rule. Where all
/// bars share one birth, as in dimension 0, order one takes O(n log n) time, and order two O(n²) with a small constant.
///
/// ```
/// use ripsaw::{Bar, DistanceOptions, GroundNorm, WassersteinOrder, wasserstein};
///
/// // One death moves by 1; the short bar moves to the diagonal, at a cost of 1/2.
/// let a = [(0.0, 10.0), (4.0, 5.0)].map(Bar::from);
/// let b = [(0.0, 11.0)].map(Bar::from);
/// let options = DistanceOptions::default();
/// assert_eq!(wasserstein(&a, &b, WassersteinOrder::One, GroundNorm::LInfinity, &options)?, 1.5);
/// // Squares add up: 1² + (1/√2)² = 1.5.
/// assert_eq!(wasserstein(&a, &b, WassersteinOrder::Two, GroundNorm::L2, &options)?, 1.5f64.sqrt());
/// # Ok::<(), ripsaw::DiagramDistanceError>(())
/// ```
///
/// # Errors
///
/// As [`bottleneck`].
///
/// Reference: `kerber2017` for the distance, `jonker1987` and `bertsekas1992` for the way it is found.
pub fn wasserstein(
    a: &[Bar],
    b: &[Bar],
    order: WassersteinOrder,
    norm: GroundNorm,
    options: &DistanceOptions,
) -> Result<f64, DiagramDistanceError> {
    options.check()?;
    wasserstein_of(&prepare(0, a)?, &prepare(1, b)?, Ground { order, norm }, options)
}

fn bottleneck_of(a: &Prepared, b: &Prepared, options: &DistanceOptions) -> Result<f64, DiagramDistanceError> {
    let Some(moves) = prepare::infinite_moves(a, b, options.infinite_bars) else {
        return Ok(f64::INFINITY);
    };
    let pair = prepare::Pair::new(a, b, options.infinite_bars);
    let finite = match pair.lengths() {
        Some((a, b)) => line::least_distance(&a, &b, options.relative_error),
        None => bottleneck::least_distance(&pair.a, &pair.b, options.relative_error),
    };
    pair.unscaled(moves.map(|length| pair.scaled(length)).fold(finite, f64::max))
}

fn wasserstein_of(
    a: &Prepared,
    b: &Prepared,
    ground: Ground,
    options: &DistanceOptions,
) -> Result<f64, DiagramDistanceError> {
    let Some(moves) = prepare::infinite_moves(a, b, options.infinite_bars) else {
        return Ok(f64::INFINITY);
    };
    let mut pair = prepare::Pair::new(a, b, options.infinite_bars);
    if ground.order == WassersteinOrder::One {
        pair.cancel_common();
    }
    let finite = match pair.lengths() {
        Some((a, b)) => line::least_total(&a, &b, ground),
        None => assignment::least_total(&pair.a, &pair.b, ground, options.relative_error),
    };
    let infinite: f64 = moves.map(|length| ground.line_cost(pair.scaled(length))).sum();
    pair.unscaled(ground.root(finite + infinite))
}
