//! Groups of vectors, by density.
//!
//! [`hdbscan()`] is exact HDBSCAN\* on the Euclidean distance with the semantics of scikit-learn 1.9: `min_samples`
//! counts the point itself, probabilities and medoids are defined as there, and so are `epsilon`,
//! `allow_single_cluster` and the two selection methods. It reads as its steps:
//!
//! `Packed -> nearest_neighbours -> minimum_spanning_tree -> linkage -> condense -> select_clusters -> label -> medoids`
//!
//! A [`DensityTree`] holds what comes before `linkage`, and serves any number of clusterings: several resolutions
//! ([`layers`]), [`optics`], and the assignment of new points to a clustering that stays as it is ([`assign`]).
//!
//! Conventions of every step:
//!
//! - Input is `(n, d)` f32; every distance that counts is computed from it in f64, as a sum of squared differences, so
//!   that near points keep their digits. The fast f32 kernel only gives lower bounds, which say what need not be
//!   computed. Distances are compared squared; the root is taken once, on the edges of the tree.
//! - Equal rows are one *vertex* with a multiplicity; sizes count rows, never vertices. What is asked for with
//!   [`Duplicates`] is done when the tree is cut.
//! - A weight of the mutual-reachability graph is the core distance of a point for many of its edges at once. Such ties
//!   go by the distance itself, then by row. Where no two distances are equal, the order of the rows therefore changes
//!   nothing but the numbers of the clusters. scikit-learn leaves these ties to an unstable sort: a few rows at the rim
//!   of a cluster (5 of 1,500 in our tests) can differ from an answer of its, as two answers of its own can.
//! - λ is 1 / distance, and infinite at distance 0.
//! - Threads, memory and the processor change how long it takes, and no bit of a result.
//!
//! It refuses vectors that are not finite or have no direction, and more distinct points than [`POINTS_MAX`]. It does
//! not scale, centre or normalise: what is stored is what is clustered.
//!
//! References: `campello2013`, `campello2015`, `mcinnes2017`, `malzer2020`, `ankerst1999`.

#![expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "points are at most POINTS_MAX, so their numbers fit u32 and f64; f32 bounds are rounded on purpose"
)]

mod assign;
mod baseline;
mod bottleneck;
mod condense;
mod distance;
mod duplicates;
mod edge;
mod error;
mod hdbscan;
mod kernel;
mod label;
mod layers;
mod linkage;
mod medoid;
mod minimum_spanning_tree;
mod neighbours;
mod optics;
#[cfg(test)]
mod oracle;
mod packed;
mod parameters;
mod resources;
mod select_clusters;
mod tree;
mod vectors;
mod workers;
mod xi;

pub use assign::{Assignment, assign};
pub use baseline::{DistanceBaseline, distance_baseline};
pub use error::ClusterError;
pub use hdbscan::{Clustering, hdbscan, hdbscan_with};
pub use layers::{Layer, layers};
pub use optics::{Optics, OpticsClusters, optics};
pub use parameters::{Duplicates, HdbscanParameters, SelectionMethod};
pub use resources::{POINTS_MAX, Resources};
pub use tree::DensityTree;
pub use vectors::Vectors;
pub use workers::{Stage, Watcher};
