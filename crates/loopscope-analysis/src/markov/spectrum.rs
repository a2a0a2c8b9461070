//! Eigenvalues of a chain, and the times in which it forgets.

use super::{MarkovError, TransitionMatrix};
use crate::linear::{self, Complex};

/// An eigenvalue this near to 1 in modulus is 1: rounding alone moves it by less.
const ONE_TOLERANCE: f64 = 1e-12;

/// Returns the K eigenvalues, the largest modulus first; the first is 1.
///
/// Complex ones come in pairs and mean that the chain turns. O(K³) time.
///
/// # Errors
///
/// [`MarkovError::NoConvergence`], which no chain tried so far has met.
pub fn eigenvalues(matrix: &TransitionMatrix) -> Result<Vec<Complex>, MarkovError> {
    linear::eigenvalues(matrix.matrix()).ok_or(MarkovError::NoConvergence { what: "the spectrum", steps: 300 })
}

/// Returns −lag / ln |λ| for every eigenvalue but the first, the longest first, in steps.
///
/// An eigenvalue of modulus 1 (a second closed class, or a chain that turns for ever) is an infinite time; 0 is a time of 0. An empty
/// or single-state chain has none.
///
/// Reference: `prinz2011`, equation 21.
pub fn implied_timescales(eigenvalues: &[Complex], lag: usize) -> Vec<f64> {
    let timescale = |value: &Complex| match value.modulus() {
        modulus if modulus >= 1.0 - ONE_TOLERANCE => f64::INFINITY,
        0.0 => 0.0,
        modulus => -(lag as f64) / modulus.ln(),
    };
    eigenvalues.iter().skip(1).map(timescale).collect()
}
