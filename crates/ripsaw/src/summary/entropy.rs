//! Persistent entropy, raw and normalised.

use super::check::{DiagramError, finite_lengths};
use crate::diagram::Bar;

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
}
