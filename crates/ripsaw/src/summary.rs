//! Numbers read off a persistence diagram.
//!
//! Every function takes the bars of one dimension, in any order, and keeps no state. Bars from elsewhere are welcome, so
//! all of them check what they are given; bars that never die are never given a length.

use std::error;
use std::fmt;

use crate::diagram::Bar;

/// Says which bar of a diagram makes no sense; bars are numbered from 0 in the order given.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DiagramError {
    /// A birth or a death is NaN.
    NotANumber {
        /// The bar.
        index: usize,
        /// Its birth.
        birth: f64,
        /// Its death.
        death: f64,
    },
    /// A bar is born at infinity, on either side.
    InfiniteBirth {
        /// The bar.
        index: usize,
        /// Its birth.
        birth: f64,
    },
    /// A bar dies before it is born.
    DeathBeforeBirth {
        /// The bar.
        index: usize,
        /// Its birth.
        birth: f64,
        /// Its death.
        death: f64,
    },
    /// The lengths add up to more than the largest `f64`.
    LengthOverflow,
}

impl fmt::Display for DiagramError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotANumber { index, birth, death } => {
                write!(f, "bar {index} must have numbers for birth and death, got {birth} and {death}")
            }
            Self::InfiniteBirth { index, birth } => write!(f, "bar {index} must have a finite birth, got {birth}"),
            Self::DeathBeforeBirth { index, birth, death } => {
                write!(f, "bar {index} must not die before its birth at {birth}, got death {death}")
            }
            Self::LengthOverflow => {
                write!(f, "the lengths of the bars must add up to at most {:e}, got more", f64::MAX)
            }
        }
    }
}

impl error::Error for DiagramError {}

/// Returns the Shannon entropy of the bar lengths, in nats.
///
/// `bars` are in the units of the metric, in any order. Bars that never die, and bars of length zero, are left out.
/// With `n` bars kept the result is in `[0, ln n]`; it is `0.0` when `n < 2`. Multiplying every distance by a constant
/// does not change it. Takes O(n) time; order changes only rounding.
///
/// ```
/// use ripsaw::{Bar, persistent_entropy};
///
/// // Two bars of equal length have entropy ln 2. The third never dies and is left out.
/// let bars = [(0.0, 1.0), (2.0, 3.0), (0.0, f64::INFINITY)].map(Bar::from);
/// assert_eq!(persistent_entropy(&bars)?, 2f64.ln());
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// [`DiagramError::NotANumber`], [`DiagramError::InfiniteBirth`] or [`DiagramError::DeathBeforeBirth`], naming the first
/// bad bar; [`DiagramError::LengthOverflow`] when the lengths add up to infinity.
///
/// Reference: `atienza2020`, where it is called persistent entropy; unnormalised here.
pub fn persistent_entropy(bars: &[Bar]) -> Result<f64, DiagramError> {
    Ok(entropy(&finite_lengths(bars)?))
}

/// Returns the persistent entropy as a share of the largest that so many bars can have, in `[0, 1]`.
///
/// That is [`persistent_entropy`] divided by `ln n` for the `n` bars that have a finite length above zero, and `0.0` when
/// `n < 2`. It is 1, up to rounding, when all lengths are equal. Diagrams of different size can be compared by it: the entropy
/// itself grows with the number of bars. Takes O(n) time; order changes only rounding.
///
/// ```
/// use ripsaw::{Bar, normalised_persistent_entropy};
///
/// let bars = [(0.0, 1.0), (2.0, 3.0)].map(Bar::from);
/// assert_eq!(normalised_persistent_entropy(&bars)?, 1.0);
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// As [`persistent_entropy`].
///
/// Reference: `atienza2020`.
pub fn normalised_persistent_entropy(bars: &[Bar]) -> Result<f64, DiagramError> {
    let lengths = finite_lengths(bars)?;
    if lengths.len() < 2 {
        return Ok(0.0);
    }
    Ok(entropy(&lengths) / entropy_max(&lengths))
}

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

/// Checks all bars and returns the lengths that are finite and above zero, in order.
fn finite_lengths(bars: &[Bar]) -> Result<Vec<f64>, DiagramError> {
    let mut lengths = Vec::with_capacity(bars.len());
    for (index, bar) in bars.iter().enumerate() {
        check_bar(index, bar)?;
        if !bar.is_infinite() && bar.birth < bar.death {
            lengths.push(bar.length());
        }
    }
    match lengths.iter().sum::<f64>() {
        total if total.is_finite() => Ok(lengths),
        _ => Err(DiagramError::LengthOverflow),
    }
}

/// Refuses a bar that makes no sense.
pub(crate) fn check_bar(index: usize, bar: &Bar) -> Result<(), DiagramError> {
    let Bar { birth, death } = *bar;
    if birth.is_nan() || death.is_nan() {
        return Err(DiagramError::NotANumber { index, birth, death });
    }
    if birth.is_infinite() {
        return Err(DiagramError::InfiniteBirth { index, birth });
    }
    if death < birth {
        return Err(DiagramError::DeathBeforeBirth { index, birth, death });
    }
    Ok(())
}

/// The Shannon entropy, in nats, of positive lengths with a finite sum.
fn entropy(lengths: &[f64]) -> f64 {
    if lengths.len() < 2 {
        return 0.0; // An empty sum of floats is -0.0 in Rust; exports would show the sign.
    }
    let total: f64 = lengths.iter().sum();
    let shares = lengths.iter().map(|length| length / total);
    // A share can round to zero, and zero times the logarithm of zero is not a number.
    let entropy: f64 = shares.filter(|&p| p > 0.0).map(|p| -p * p.ln()).sum();
    // Rounding may pass the bound that we promise, or leave the sign of a zero.
    (entropy + 0.0).min(entropy_max(lengths))
}

fn entropy_max(lengths: &[f64]) -> f64 {
    (lengths.len() as f64).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars<const N: usize>(pairs: [(f64, f64); N]) -> [Bar; N] {
        pairs.map(Bar::from)
    }

    #[test]
    fn no_bar_and_one_bar_have_entropy_plus_zero() {
        for few in [&bars([])[..], &bars([(1.0, 4.0)]), &bars([(1.0, 4.0), (2.0, 2.0), (0.0, f64::INFINITY)])] {
            let entropy = persistent_entropy(few).unwrap();
            assert_eq!(entropy.to_bits(), 0f64.to_bits());
            assert_eq!(normalised_persistent_entropy(few).unwrap().to_bits(), 0f64.to_bits());
        }
    }

    #[test]
    fn entropy_of_lengths_one_and_three_is_the_closed_form() {
        let entropy = persistent_entropy(&bars([(0.0, 1.0), (1.0, 4.0)])).unwrap();
        let expected = 4f64.ln() - 0.75 * 3f64.ln(); // Two steps of 2^-52 cover both roundings.
        assert!((entropy - expected).abs() < 4.5e-16, "{entropy} {expected}");
    }

    #[test]
    fn equal_bars_reach_the_bound_and_never_pass_it() {
        for count in 2..200 {
            let equal = vec![Bar { birth: 0.1, death: 0.4 }; count];
            let entropy = persistent_entropy(&equal).unwrap();
            assert!(entropy <= (count as f64).ln());
            assert!(normalised_persistent_entropy(&equal).unwrap() > 1.0 - 1e-14);
        }
    }

    #[test]
    fn a_share_that_rounds_to_zero_is_not_nan() {
        let entropy = persistent_entropy(&bars([(0.0, 1e-320), (0.0, 1e300)])).unwrap();
        assert_eq!(entropy.to_bits(), 0f64.to_bits());
    }

    #[test]
    fn a_bad_bar_is_named() {
        let message = |pairs| persistent_entropy(&bars::<2>(pairs)).unwrap_err().to_string();
        assert_eq!(
            message([(0.0, 1.0), (f64::NAN, 1.0)]),
            "bar 1 must have numbers for birth and death, got NaN and 1"
        );
        assert_eq!(message([(2.0, 1.0), (0.0, 1.0)]), "bar 0 must not die before its birth at 2, got death 1");
        assert_eq!(message([(0.0, 1.0), (f64::NEG_INFINITY, 1.0)]), "bar 1 must have a finite birth, got -inf");
        assert_eq!(
            message([(0.0, f64::MAX), (0.0, f64::MAX)]),
            "the lengths of the bars must add up to at most 1.7976931348623157e308, got more"
        );
    }

    #[test]
    fn counts_add_up() {
        let counts = bar_counts(&bars([(0.0, 1.0), (1.0, 1.0), (0.0, f64::INFINITY), (0.5, 1.0)])).unwrap();
        assert_eq!(counts, BarCounts { finite: 2, infinite: 1, zero_length: 1 });
        assert!(bar_counts(&bars([(1.0, 0.0)])).is_err());
    }
}
