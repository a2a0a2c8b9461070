//! From points to the distances between them.
//!
//! Distances are computed in `f64` and rounded once to `f32`. The product form `|a|² + |b|² - 2ab`, which is fast for many
//! points, is used only where it gives all digits of an `f32`: it would put equal points a little apart and so invent
//! bars. Invariant: whatever leaves this module is finite (or, within the crate, infinite for a
//! pair without an entry), not negative, symmetric and without a negative zero, and does not depend on the order of points.

mod condensed;
mod metric;
mod points;
mod products;
mod sparse;

pub use condensed::CondensedDistances;
pub use metric::Metric;
pub use points::PointCloud;
pub use sparse::SparseDistances;

pub(crate) use condensed::condensed_length;
