//! How many bars there are, and how long they are together.

use super::check::{DiagramError, check_bar, finite_lengths};
use crate::diagram::Bar;

/// Counts the bars of a diagram by how they end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BarCounts {
    /// Bars with a finite length above zero.
    pub finite: usize,
    /// Bars that never die.
    pub infinite: usize,
    /// Bars that die at birth; this crate emits none.
    pub zero_length: usize,
}

/// Counts the bars of a diagram by how they end.
///
/// The three counts add up to `bars.len()`. Takes O(n) time.
///
/// ```
/// use ripsaw::{Bar, bar_counts};
///
/// let counts = bar_counts(&[(0.0, 1.0), (0.0, f64::INFINITY)].map(Bar::from))?;
/// assert_eq!((counts.finite, counts.infinite, counts.zero_length), (1, 1, 0));
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// [`DiagramError::NotANumber`], [`DiagramError::InfiniteBirth`] or [`DiagramError::DeathBeforeBirth`], naming the first
/// bad bar.
pub fn bar_counts(bars: &[Bar]) -> Result<BarCounts, DiagramError> {
    let mut counts = BarCounts::default();
    for (index, bar) in bars.iter().enumerate() {
        check_bar(index, bar)?;
        match () {
            () if bar.is_infinite() => counts.infinite += 1,
            () if bar.birth == bar.death => counts.zero_length += 1,
            () => counts.finite += 1,
        }
    }
    Ok(counts)
}

/// Returns the sum of the bar lengths, each to the power `power`.
///
/// `power` is finite and above 0; the result is in units of the metric to that power. Bars that never die, and bars of
/// length zero, are left out, and no bars give `0.0`. With power 1 it is twice the Wasserstein distance of order one, L∞,
/// from the empty diagram. Takes O(n) time; order changes only rounding.
///
/// ```
/// use ripsaw::{Bar, total_persistence};
///
/// let bars = [(0.0, 3.0), (1.0, 5.0), (0.0, f64::INFINITY)].map(Bar::from);
/// assert_eq!(total_persistence(&bars, 1.0)?, 7.0);
/// assert_eq!(total_persistence(&bars, 2.0)?, 25.0);
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// [`DiagramError::NotANumber`], [`DiagramError::InfiniteBirth`] or [`DiagramError::DeathBeforeBirth`], naming the first
/// bad bar; [`DiagramError::Parameter`] for a power out of range; [`DiagramError::LengthOverflow`] when the sum is larger
/// than the largest `f64`.
///
/// Reference: `cohensteiner2010`, where it is the degree-`power` total persistence.
pub fn total_persistence(bars: &[Bar], power: f64) -> Result<f64, DiagramError> {
    if !(power.is_finite() && power > 0.0) {
        return Err(DiagramError::Parameter { name: "the power of the total persistence", got: power });
    }
    let total: f64 = finite_lengths(bars)?.into_iter().map(|length| length.powf(power)).sum();
    if total.is_finite() { Ok(total + 0.0) } else { Err(DiagramError::LengthOverflow) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars<const N: usize>(pairs: [(f64, f64); N]) -> [Bar; N] {
        pairs.map(Bar::from)
    }

    #[test]
    fn counts_add_up() {
        let counts = bar_counts(&bars([(0.0, 1.0), (1.0, 1.0), (0.0, f64::INFINITY), (0.5, 1.0)])).unwrap();
        assert_eq!(counts, BarCounts { finite: 2, infinite: 1, zero_length: 1 });
        assert!(bar_counts(&bars([(1.0, 0.0)])).is_err());
    }
}
