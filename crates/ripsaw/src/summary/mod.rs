//! Numbers read off a persistence diagram.
//!
//! Every function takes the bars of one dimension, in any order, and keeps no state. Bars from elsewhere are welcome, so
//! all of them check what they are given; bars that never die are never given a length. What a function makes of them
//! otherwise is said there.

mod betti;
mod check;
mod count;
mod entropy;
mod image;
mod landscape;

pub use betti::{BettiCurve, betti_curve, betti_numbers};
pub use check::DiagramError;
pub(crate) use check::check_bar;
pub use count::{BarCounts, bar_counts, total_persistence};
pub use entropy::{normalised_persistent_entropy, persistent_entropy};
pub use image::{ImageOptions, ImageWeight, persistence_image};
pub use landscape::persistence_landscape;
