//! What can be wrong with sequences, counts and matrices.

use std::fmt;

/// Says why a chain was refused, or has no answer. States, rows and positions count from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum MarkovError {
    /// A lag of no steps.
    ZeroLag,
    /// A state that is not one of so many.
    StateOutOfRange { position: usize, got: usize, state_count: usize },
    /// A probability or count that is negative, NaN or infinite.
    NotACount { row: usize, column: usize, got: f64 },
    /// Probabilities of a row that do not add up to 1.
    RowSum { row: usize, got: f64 },
    /// Rows of other lengths than there are rows.
    NotSquare,
    /// Several closed classes: there is a stationary law for each, and none for all.
    SeveralClosedClasses { count: usize },
    /// No states at all.
    Empty,
    /// States that are not all reachable from each other.
    NotConnected { class_count: usize },
    /// A matrix without detailed balance; the largest violation of it, as probability a step.
    NotReversible { violation: f64 },
    /// More or fewer sets than states allow.
    SetCount { got: usize, state_count: usize },
    /// A set of targets without a state of the chain.
    NoTarget,
    /// Steps of an iteration that did not settle.
    NoConvergence { what: &'static str, steps: usize },
}

impl fmt::Display for MarkovError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroLag => write!(f, "the lag is 0, expected at least 1 step"),
            Self::StateOutOfRange { position, got, state_count } => {
                write!(f, "the state at position {position} is {got}, expected one below {state_count}")
            }
            Self::NotACount { row, column, got } => {
                write!(f, "row {row} holds {got} in column {column}, expected a finite number of at least 0")
            }
            Self::RowSum { row, got } => write!(f, "the probabilities of row {row} add up to {got}, expected 1"),
            Self::NotSquare => write!(f, "the matrix is not square"),
            Self::SeveralClosedClasses { count } => {
                write!(f, "the chain has {count} closed classes, so its stationary law is not unique")
            }
            Self::Empty => write!(f, "the chain has no states"),
            Self::NotConnected { class_count } => {
                write!(f, "the chain falls into {class_count} classes, expected states that all reach each other")
            }
            Self::NotReversible { violation } => {
                write!(f, "the chain violates detailed balance by {violation:.3e} a step, expected a reversible one")
            }
            Self::SetCount { got, state_count } => {
                write!(f, "{got} sets were asked for, expected 1 to {state_count}, the number of states")
            }
            Self::NoTarget => write!(f, "there is no target among the states"),
            Self::NoConvergence { what, steps } => write!(f, "{what} did not settle in {steps} steps"),
        }
    }
}

impl std::error::Error for MarkovError {}
