//! What can be wrong with the input, or too large for the machine.
//!
//! A message names the thing, what was expected and what came. Nothing here carries another error as its cause.

use std::error;
use std::fmt;

/// Says why there is no diagram.
///
/// Points are numbered from 0. Where two points are named, `i < j`, except in [`Error::Asymmetric`], which names them
/// in the order of the matrix.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The coordinates are not `count` times `dimension` numbers.
    CoordinateCount {
        /// Points announced.
        count: usize,
        /// Coordinates announced for each point.
        dimension: usize,
        /// Numbers that came.
        got: usize,
    },
    /// A coordinate is NaN or infinite.
    CoordinateNotFinite {
        /// The point.
        point: usize,
        /// The coordinate of that point.
        axis: usize,
        /// What stood there.
        got: f32,
    },
    /// A metric of directions met a point at the origin, which has none.
    NoDirection {
        /// The point.
        point: usize,
    },
    /// Two points lie farther apart than the largest `f32`.
    DistanceOverflow {
        /// The first point.
        i: usize,
        /// The second point.
        j: usize,
        /// Their distance, before rounding to `f32`.
        got: f64,
    },
    /// A condensed or square matrix has the wrong length for its number of points.
    DistanceCount {
        /// Points announced.
        point_count: usize,
        /// Numbers that many points need.
        expected: usize,
        /// Numbers that came.
        got: usize,
    },
    /// A distance is NaN or infinite.
    DistanceNotFinite {
        /// The first point.
        i: usize,
        /// The second point.
        j: usize,
        /// What stood there.
        got: f32,
    },
    /// A distance is below zero.
    NegativeDistance {
        /// The first point.
        i: usize,
        /// The second point.
        j: usize,
        /// What stood there.
        got: f32,
    },
    /// A point has a distance to itself.
    NonZeroDiagonal {
        /// The point.
        i: usize,
        /// What stood there.
        got: f32,
    },
    /// An entry names a point that is not there.
    PointOutOfRange {
        /// The entry, counted from 0.
        entry: usize,
        /// The point it names.
        point: usize,
        /// Points announced.
        point_count: usize,
    },
    /// Two entries give two distances for one pair.
    ConflictingDistances {
        /// The first point.
        i: usize,
        /// The second point.
        j: usize,
        /// The smaller of the distances.
        first: f32,
        /// The larger.
        second: f32,
    },
    /// A square matrix gives two distances for one pair.
    Asymmetric {
        /// The row, the smaller of the two.
        i: usize,
        /// The column.
        j: usize,
        /// The number in row `i`, column `j`.
        above: f32,
        /// The number in row `j`, column `i`.
        below: f32,
    },
    /// The threshold is NaN or below zero.
    Threshold {
        /// What came.
        got: f64,
    },
    /// The least length of a bar is NaN or below zero.
    LengthMin {
        /// What came.
        got: f64,
    },
    /// The largest dimension asked for is out of range.
    MaxDimension {
        /// What came.
        got: usize,
        /// The largest that is allowed, [`crate::MAX_DIMENSION_LIMIT`].
        limit: usize,
    },
    /// The simplices cannot be numbered in 64 bits.
    IndexOverflow {
        /// Distinct points.
        point_count: usize,
        /// The dimension of the simplices that are too many, at most one above the largest asked for.
        dimension: usize,
    },
    /// There are more points than a matrix of all pairs is made for.
    TooManyPoints {
        /// Distinct points.
        got: usize,
        /// The most that are allowed.
        limit: usize,
    },
    /// The computation needs more memory than it may use.
    MemoryLimit {
        /// Bytes needed for the step that was about to be taken.
        needed: u64,
        /// Bytes allowed, from [`crate::Options::memory_bytes_max`].
        limit: u64,
    },
    /// The watcher of the computation ended it.
    Cancelled,
    /// The allocator refused.
    OutOfMemory {
        /// Bytes needed for the step that was about to be taken.
        needed: u64,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::CoordinateCount { count, dimension, got } => {
                write!(f, "{count} points of dimension {dimension} need {count} x {dimension} coordinates, got {got}")
            }
            Self::CoordinateNotFinite { point, axis, got } => {
                write!(f, "coordinate {axis} of point {point} must be finite, got {got}")
            }
            Self::NoDirection { point } => {
                write!(f, "point {point} must have a direction for this metric, got all coordinates zero")
            }
            Self::DistanceOverflow { i, j, got } => {
                write!(f, "the distance between points {i} and {j} must be at most {:e}, got {got:e}", f32::MAX)
            }
            Self::DistanceCount { point_count, expected, got } => {
                write!(f, "{point_count} points need {expected} distances, got {got}")
            }
            Self::DistanceNotFinite { i, j, got } => {
                write!(f, "the distance between points {i} and {j} must be finite, got {got}")
            }
            Self::NegativeDistance { i, j, got } => {
                write!(f, "the distance between points {i} and {j} must not be negative, got {got}")
            }
            Self::NonZeroDiagonal { i, got } => {
                write!(f, "the distance of point {i} to itself must be 0, got {got}")
            }
            Self::PointOutOfRange { entry, point, point_count } => {
                write!(f, "entry {entry} must name points below {point_count}, got point {point}")
            }
            Self::ConflictingDistances { i, j, first, second } => {
                write!(f, "points {i} and {j} must have one distance, got {first} and {second}")
            }
            Self::Asymmetric { i, j, above, below } => {
                write!(f, "row {i}, column {j} must equal row {j}, column {i}, got {above} and {below}")
            }
            Self::Threshold { got } => write!(f, "the threshold must be a number not below 0, got {got}"),
            Self::LengthMin { got } => write!(f, "the least length of a bar must be a number not below 0, got {got}"),
            Self::MaxDimension { got, limit } => write!(f, "the largest dimension must be at most {limit}, got {got}"),
            Self::IndexOverflow { point_count, dimension } => {
                write!(
                    f,
                    "simplices of dimension {dimension} on {point_count} points must be fewer than 2^64, got more"
                )
            }
            Self::TooManyPoints { got, limit } => write!(f, "distinct points must be at most {limit}, got {got}"),
            Self::MemoryLimit { needed, limit } => {
                write!(f, "memory must stay within {limit} bytes, got a need of {needed} bytes")
            }
            Self::Cancelled => write!(f, "the computation was cancelled"),
            Self::OutOfMemory { needed } => write!(f, "{needed} bytes of memory must be available, got a refusal"),
        }
    }
}

impl error::Error for Error {}
