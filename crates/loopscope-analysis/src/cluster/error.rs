//! What can be wrong with vectors and parameters.

use std::fmt;

/// Says why vectors or parameters were refused. Rows and columns count from 0.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ClusterError {
    /// The number of values is not rows times dimension.
    WrongShape { row_count: usize, dimension: usize, got: usize },
    /// A value is NaN or infinite.
    NotFinite { row: usize, column: usize, got: f32 },
    /// Every value of a row is zero (or there are no columns): the vector has no direction.
    ZeroVector { row: usize },
    /// Fewer than two points cannot be told from noise.
    MinClusterSizeTooSmall { got: usize },
    /// `min_samples` counts the point itself, so it is at least 1.
    MinSamplesTooSmall { got: usize },
    /// A distance threshold is a finite number, zero or more.
    EpsilonOutOfRange { got: f64 },
    /// The share by which reachability has to fall or rise is between 0 and 1.
    XiOutOfRange { got: f64 },
    /// A tree of another `min_samples` was to be cut.
    OtherMinSamples { tree: usize, got: usize },
    /// New vectors are of another length than the old ones.
    OtherDimension { expected: usize, got: usize },
    /// The exact tree of so many distinct points takes too long.
    TooManyPoints { got: usize, max: usize },
    /// The computation would take more memory than it may.
    TooMuchMemory { needed_bytes: u64, allowed_bytes: u64 },
    /// Whoever watched said stop.
    Cancelled,
}

impl From<super::workers::Cancelled> for ClusterError {
    fn from(_: super::workers::Cancelled) -> Self {
        Self::Cancelled
    }
}

impl fmt::Display for ClusterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongShape { row_count, dimension, got } => {
                write!(f, "vectors of shape ({row_count}, {dimension}) came with {got} values, expected ")?;
                match row_count.checked_mul(*dimension) {
                    Some(expected) => write!(f, "{expected}"),
                    None => write!(f, "more than fit in memory"),
                }
            }
            Self::NotFinite { row, column, got } => {
                write!(f, "row {row} of the vectors holds {got} in column {column}, expected a finite number")
            }
            Self::ZeroVector { row } => {
                write!(f, "row {row} of the vectors is zero in every column, expected a vector with a direction")
            }
            Self::MinClusterSizeTooSmall { got } => write!(f, "min_cluster_size is {got}, expected at least 2"),
            Self::MinSamplesTooSmall { got } => {
                write!(f, "min_samples is {got}, expected at least 1 (it counts the point itself)")
            }
            Self::EpsilonOutOfRange { got } => write!(f, "epsilon is {got}, expected a finite distance of 0 or more"),
            Self::XiOutOfRange { got } => write!(f, "xi is {got}, expected a number above 0 and below 1"),
            Self::OtherMinSamples { tree, got } => {
                write!(f, "min_samples is {got}, expected {tree}, with which the tree was made")
            }
            Self::OtherDimension { expected, got } => {
                write!(f, "the new vectors have {got} columns, expected {expected} as the old ones have")
            }
            Self::TooManyPoints { got, max } => write!(
                f,
                "there are {got} distinct vectors, and exact clustering looks at every pair: at most {max} are taken"
            ),
            Self::TooMuchMemory { needed_bytes, allowed_bytes } => {
                let (needed, allowed) = (size(*needed_bytes), size(*allowed_bytes));
                write!(f, "clustering needs about {needed} of memory, and may take {allowed}")
            }
            Self::Cancelled => write!(f, "clustering was stopped"),
        }
    }
}

/// Writes a size in the largest unit that leaves at least one: `512 KiB`.
fn size(bytes: u64) -> String {
    let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    match units.iter().find(|(_, unit)| bytes >= *unit) {
        Some((name, unit)) => {
            let tenths = (bytes as f64 / *unit as f64 * 10.0).round() / 10.0;
            format!("{tenths} {name}")
        }
        None => format!("{bytes} bytes"),
    }
}

impl std::error::Error for ClusterError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_name_the_thing_the_expected_and_the_got() {
        let check = |error: ClusterError, expected: &str| assert_eq!(error.to_string(), expected);
        check(
            ClusterError::WrongShape { row_count: 2, dimension: 3, got: 5 },
            "vectors of shape (2, 3) came with 5 values, expected 6",
        );
        check(
            ClusterError::NotFinite { row: 4, column: 1, got: f32::NAN },
            "row 4 of the vectors holds NaN in column 1, expected a finite number",
        );
        check(
            ClusterError::ZeroVector { row: 0 },
            "row 0 of the vectors is zero in every column, expected a vector with a direction",
        );
        check(ClusterError::MinClusterSizeTooSmall { got: 1 }, "min_cluster_size is 1, expected at least 2");
        check(
            ClusterError::MinSamplesTooSmall { got: 0 },
            "min_samples is 0, expected at least 1 (it counts the point itself)",
        );
        check(
            ClusterError::TooMuchMemory { needed_bytes: 600 << 10, allowed_bytes: 3 << 29 },
            "clustering needs about 600 KiB of memory, and may take 1.5 GiB",
        );
        check(ClusterError::EpsilonOutOfRange { got: -1.0 }, "epsilon is -1, expected a finite distance of 0 or more");
    }
}
