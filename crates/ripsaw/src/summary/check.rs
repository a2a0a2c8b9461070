//! What makes a bar a bar.

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
    /// A grid does not rise from each number to the next, all finite.
    Grid {
        /// The place in the grid, from 0.
        index: usize,
        /// What stood there.
        got: f64,
    },
    /// A parameter is out of the range that its documentation gives.
    Parameter {
        /// Its name.
        name: &'static str,
        /// What came.
        got: f64,
    },
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
            Self::Grid { index, got } => {
                write!(f, "number {index} of the grid must be finite and above the one before, got {got}")
            }
            Self::Parameter { name, got } => write!(f, "{name} must be in its range, got {got}"),
            Self::LengthOverflow => {
                write!(f, "the lengths of the bars must add up to at most {:e}, got more", f64::MAX)
            }
        }
    }
}

impl error::Error for DiagramError {}

/// Checks all bars and returns the lengths that are finite and above zero, in order.
pub(super) fn finite_lengths(bars: &[Bar]) -> Result<Vec<f64>, DiagramError> {
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

/// Checks all bars and returns those that have a finite length above zero, in order.
pub(super) fn finite_bars(bars: &[Bar]) -> Result<Vec<Bar>, DiagramError> {
    bars.iter().enumerate().try_for_each(|(index, bar)| check_bar(index, bar))?;
    Ok(bars.iter().copied().filter(|bar| bar.birth < bar.death && !bar.is_infinite()).collect())
}

/// Refuses a grid that does not rise from number to number.
pub(super) fn check_grid(grid: &[f64]) -> Result<(), DiagramError> {
    let is_bad = |index: &usize| !grid[*index].is_finite() || (*index > 0 && grid[*index] <= grid[*index - 1]);
    match (0..grid.len()).find(is_bad) {
        Some(index) => Err(DiagramError::Grid { index, got: grid[index] }),
        None => Ok(()),
    }
}
