//! The number of classes alive, as a function of the filtration value.

use super::check::{DiagramError, check_bar, check_grid};
use crate::diagram::Bar;

/// Holds a Betti curve as the step function that it is.
///
/// The curve is 0 before the first value, and `numbers[k]` from `values[k]` on, up to the next value and without it.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct BettiCurve {
    /// The filtration values at which the curve changes, rising.
    pub values: Vec<f64>,
    /// The number of classes alive from each value on; no two neighbours are equal.
    pub numbers: Vec<usize>,
}

impl BettiCurve {
    /// Returns the number of classes alive at a filtration value; NaN has none. Takes O(log n) time.
    #[must_use]
    pub fn at(&self, value: f64) -> usize {
        let count = self.values.partition_point(|&change| change <= value);
        count.checked_sub(1).map_or(0, |place| self.numbers[place])
    }
}

/// Returns the number of classes alive as a function of the filtration value, exactly.
///
/// A bar is alive from its birth on, up to its death and without it; bars that never die stay, bars of length zero never
/// live. No bars give no steps. Takes O(n log n) time.
///
/// ```
/// use ripsaw::{Bar, betti_curve};
///
/// let curve = betti_curve(&[(0.0, 2.0), (1.0, 2.0), (1.0, f64::INFINITY)].map(Bar::from))?;
/// assert_eq!(curve.values, [0.0, 1.0, 2.0]);
/// assert_eq!(curve.numbers, [1, 3, 1]);
/// assert_eq!(curve.at(1.5), 3);
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// [`DiagramError::NotANumber`], [`DiagramError::InfiniteBirth`] or [`DiagramError::DeathBeforeBirth`], naming the first
/// bad bar.
pub fn betti_curve(bars: &[Bar]) -> Result<BettiCurve, DiagramError> {
    bars.iter().enumerate().try_for_each(|(index, bar)| check_bar(index, bar))?;
    let births = sorted(bars.iter().map(|bar| bar.birth));
    let deaths = sorted(bars.iter().filter(|bar| !bar.is_infinite()).map(|bar| bar.death));
    let mut curve = BettiCurve::default();
    let (mut born, mut dead, mut number) = (0, 0, 0);
    while let Some(value) = next_value(births.get(born), deaths.get(dead)) {
        born += births[born..].partition_point(|&birth| birth <= value);
        dead += deaths[dead..].partition_point(|&death| death <= value);
        if born - dead != number {
            number = born - dead;
            curve.values.push(value);
            curve.numbers.push(number);
        }
    }
    Ok(curve)
}

fn sorted(values: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values
}

fn next_value(birth: Option<&f64>, death: Option<&f64>) -> Option<f64> {
    match (birth, death) {
        (Some(birth), Some(death)) => Some(birth.min(*death)),
        (one, other) => one.or(other).copied(),
    }
}

/// Returns the number of classes alive at each value of a grid.
///
/// `grid` rises and is finite. The result has its length; see [`betti_curve`] for when a bar is alive. With `m` values
/// takes O((n + m) log n) time.
///
/// ```
/// use ripsaw::{Bar, betti_numbers};
///
/// let bars = [(0.0, 2.0), (1.0, f64::INFINITY)].map(Bar::from);
/// assert_eq!(betti_numbers(&bars, &[0.0, 1.0, 2.0])?, [1, 2, 1]);
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// As [`betti_curve`], and [`DiagramError::Grid`] for a grid that does not rise or is not finite.
pub fn betti_numbers(bars: &[Bar], grid: &[f64]) -> Result<Vec<usize>, DiagramError> {
    check_grid(grid)?;
    let curve = betti_curve(bars)?;
    Ok(grid.iter().map(|&value| curve.at(value)).collect())
}
