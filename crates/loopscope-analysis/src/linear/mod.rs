//! Small dense linear algebra: matrices of tens to hundreds of states.
//!
//! Three routines are all that the chains need: solving with pivots, the spectrum of a symmetric matrix, and the
//! eigenvalues of a general one. They are written here because a matrix library would be the only dependency of this
//! crate, for some two hundred lines; each is tested against closed forms and against powers of the matrix.
//!
//! Nothing here knows what a chain is. Every routine is O(n³) time and O(n²) memory, and deterministic.

mod complex;
mod general;
mod matrix;
mod solve;
mod symmetric;

pub use complex::Complex;
pub use matrix::SquareMatrix;

pub(crate) use general::eigenvalues;
pub(crate) use solve::solve;
pub(crate) use symmetric::symmetric_spectrum;
