//! Where a series of vectors changes its law.
//!
//! A segmentation is bought at a price: the cost of each segment, which is how far its vectors scatter in the space of a
//! kernel, and a penalty for each break. [`pelt`] finds the cheapest of all segmentations, exactly; [`segments`] finds the cheapest
//! with a given number of breaks. Costs are those of a kernel, Σ k(x_i, x_i) − (1/n) Σ k(x_i, x_j), of which `L2` (the sum of squares) is one.
//!
//! Breaks are the ends of segments, ascending: the first vector of the next segment. The last one is n, always, as in the
//! established Python library, so that a series without a break has one. An empty series has none.

mod cost;
mod penalty;
mod search;

pub use cost::Cost;
pub use penalty::default_penalty;
pub use search::{pelt, segments};

use crate::series::SeriesError;
use std::fmt;

/// The least number of vectors in a segment where nothing else is asked for: fewer do not show a law.
pub const SEGMENT_MIN: usize = 5;

/// Says why a series was not searched.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ChangePointError {
    /// The vectors are not fit.
    Series(SeriesError),
    /// A penalty that is negative, NaN or infinite.
    PenaltyOutOfRange { got: f64 },
    /// A width that is not above 0 and finite.
    GammaOutOfRange { got: f64 },
    /// More breaks than there is room for.
    TooManyBreaks { got: usize, most: usize },
}

impl fmt::Display for ChangePointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(error) => error.fmt(f),
            Self::PenaltyOutOfRange { got } => {
                write!(f, "the penalty is {got}, expected a finite number of at least 0")
            }
            Self::GammaOutOfRange { got } => write!(f, "gamma is {got}, expected a finite number above 0"),
            Self::TooManyBreaks { got, most } => write!(f, "{got} breaks were asked for, expected at most {most}"),
        }
    }
}

impl std::error::Error for ChangePointError {}

impl From<SeriesError> for ChangePointError {
    fn from(error: SeriesError) -> Self {
        Self::Series(error)
    }
}
