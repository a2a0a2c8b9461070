//! What can be wrong with two diagrams.

use std::error;
use std::fmt;

use crate::summary::DiagramError;

/// Says why there is no distance.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum DiagramDistanceError {
    /// A diagram holds a bar that makes no sense.
    Diagram {
        /// The diagram, from 0 in the order given.
        index: usize,
        /// The bar, and what is wrong with it.
        source: DiagramError,
    },
    /// The relative error is negative or not finite.
    RelativeError {
        /// What came.
        got: f64,
    },
    /// The distance is finite but larger than the largest `f64`.
    Overflow,
}

impl fmt::Display for DiagramDistanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Diagram { index, .. } => write!(f, "diagram {index} holds a bar that makes no sense"),
            Self::RelativeError { got } => {
                write!(f, "the relative error must be finite and not below 0, got {got}")
            }
            Self::Overflow => write!(f, "the distance must be at most {:e}, got more", f64::MAX),
        }
    }
}

impl error::Error for DiagramDistanceError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Diagram { source, .. } => Some(source),
            Self::RelativeError { .. } | Self::Overflow => None,
        }
    }
}
