//! The number that the predecessor called a Wasserstein distance.

use super::DiagramDistanceError;
use super::prepare::{finite_lengths, prepare};
use crate::diagram::Bar;

/// Returns the sum of the differences of the sorted bar lengths, in units of the metric.
///
/// This is **not** a Wasserstein distance: it ignores births and never uses the diagonal. It is here to compare with
/// numbers that the predecessor of this tool wrote; for anything else see [`crate::wasserstein`]. Bars that never die, and
/// those of length zero, are left out; lengths are sorted downwards, and the shorter list is filled up with zeros. Takes
/// O(n log n) time.
///
/// ```
/// use ripsaw::{Bar, legacy_sorted_l1};
///
/// // Lengths 2 and 1 against 2, whatever the births.
/// let a = [(0.0, 2.0), (5.0, 6.0)].map(Bar::from);
/// let b = [(7.0, 9.0)].map(Bar::from);
/// assert_eq!(legacy_sorted_l1(&a, &b)?, 1.0);
/// # Ok::<(), ripsaw::DiagramDistanceError>(())
/// ```
///
/// # Errors
///
/// [`DiagramDistanceError::Diagram`] for a bar that makes no sense; [`DiagramDistanceError::Overflow`] where the sum is
/// larger than the largest `f64`.
pub fn legacy_sorted_l1(a: &[Bar], b: &[Bar]) -> Result<f64, DiagramDistanceError> {
    let (a, b) = (finite_lengths(&prepare(0, a)?), finite_lengths(&prepare(1, b)?));
    let at = |lengths: &[f64], place: usize| lengths.get(place).copied().unwrap_or(0.0);
    let sum: f64 = (0..a.len().max(b.len())).map(|place| (at(&a, place) - at(&b, place)).abs()).sum();
    if sum.is_finite() { Ok(sum + 0.0) } else { Err(DiagramDistanceError::Overflow) }
}
