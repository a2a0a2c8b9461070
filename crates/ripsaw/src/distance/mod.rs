//! From points to the distances between them.
//!
//! Distances are computed pair by pair in `f64` and rounded once to `f32`. Nothing here uses the product form
//! `|a|² + |b|² - 2ab`, which puts equal points a little apart and so invents bars. Invariant: whatever leaves this
//! module is finite, not negative, symmetric and without a negative zero, and does not depend on the order of points.

mod condensed;
mod metric;
mod points;

pub use condensed::CondensedDistances;
pub use metric::Metric;
pub use points::PointCloud;

pub(crate) use condensed::condensed_length;
