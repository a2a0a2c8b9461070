//! Exact Vietoris–Rips persistent homology on a CPU.
//!
//! From points or distances to persistence diagrams over Z/2, and the numbers read off them:
//!
//! ```
//! use ripsaw::{Metric, Options, PointCloud, persistence_of_points, persistent_entropy};
//!
//! // Twelve points on the unit circle, of which one comes twice.
//! let angles = (0..13).map(|k| std::f32::consts::TAU * k as f32 / 12.0);
//! let coordinates: Vec<f32> = angles.flat_map(|angle| [angle.cos(), angle.sin()]).collect();
//! let circle = PointCloud::new(&coordinates, 13, 2)?;
//! let persistence = persistence_of_points(&circle, Metric::Euclidean, &Options::default())?;
//!
//! // One loop, from the side of the polygon to the side of a triangle that holds the centre.
//! let longest = persistence.diagrams[1].iter().find(|bar| bar.length() > 0.1);
//! let bar = longest.ok_or("no loop")?;
//! assert!((bar.birth - 0.5176).abs() < 1e-4 && (bar.death - 1.7321).abs() < 1e-4);
//! assert!(persistent_entropy(&persistence.diagrams[0])? > 0.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Filtration values are *diameters* (longest edge), as in Ripser; a text that uses radii has half our values. A class
//! that outlives the threshold has death = ∞. No bar of length zero is ever given.
//!
//! Everything here is a pure function: nothing is read, printed, or kept between calls, and the same arguments give the
//! same bits. Bad input is an [`Error`] that names the offending point or pair; so is a computation that would need more
//! memory than it may use.
//!
//! The algorithm is that of `bauer2021`: persistent cohomology (`desilva2011`) with clearing (`chen2011`), apparent and
//! emergent pairs and an implicit coboundary matrix. What it computes is defined in `edelsbrunner2002` and
//! `zomorodian2005`. The keys are those of `REFERENCES.md`.

#![warn(missing_docs)]

mod between;
mod diagram;
mod distance;
mod error;
mod filtration;
mod generators;
mod memory;
mod options;
mod parallel;
mod persistence;
mod reduce;
mod sparse;
mod summary;

pub use between::{
    DiagramDistanceError, DiagramMetric, DistanceOptions, GroundNorm, InfiniteBars, WassersteinOrder, bottleneck,
    diagram_distance_matrix, legacy_sorted_l1, wasserstein,
};
pub use diagram::Bar;
pub use distance::{CondensedDistances, Metric, PointCloud, SparseDistances};
pub use error::Error;
pub use generators::{Generator, GeneratorOptions, generators_of_distances, generators_of_points};
pub use memory::memory_bytes_estimate;
pub use options::{Collapse, MAX_DIMENSION_LIMIT, Options};
pub use parallel::Stage;
pub use persistence::{
    Persistence, persistence_of_distances, persistence_of_distances_watched, persistence_of_points,
    persistence_of_points_watched,
};
pub use sparse::{
    generators_of_sparse_distances, persistence_of_sparse_distances, persistence_of_sparse_distances_watched,
};
pub use summary::{
    BarCounts, BettiCurve, DiagramError, ImageOptions, ImageWeight, bar_counts, betti_curve, betti_numbers,
    normalised_persistent_entropy, persistence_image, persistence_landscape, persistent_entropy, total_persistence,
};

#[doc(hidden)]
pub use options::Shortcuts;
#[doc(hidden)]
pub use persistence::{persistence_of_distances_with, persistence_of_points_with};

/// Runs the example of the readme with the other doc-tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
