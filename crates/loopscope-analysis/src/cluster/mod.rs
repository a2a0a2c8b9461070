//! Groups of vectors, by density.
//!
//! [`hdbscan()`] is exact HDBSCAN\* on the Euclidean distance with the semantics of scikit-learn 1.9: `min_samples`
//! counts the point itself, probabilities and medoids are defined as there, and so are `epsilon`,
//! `allow_single_cluster` and the two selection methods. It reads as its steps:
//!
//! `mutual_reachability -> minimum_spanning_tree -> linkage -> condense -> select_clusters -> label -> medoids`
//!
//! Conventions of every step:
//!
//! - Input is `(n, d)` f32; every distance is computed from it in f64, as a sum of squared differences, so that near
//!   points keep their digits. Distances are compared squared; the root is taken once, on the edges of the tree.
//! - Equal rows can be one *vertex* with a multiplicity (see [`Duplicates`]); sizes count rows, never vertices.
//! - A weight of the mutual-reachability graph is the core distance of a point for many of its edges at once. Such ties
//!   go by the distance itself, then by row. Where no two distances are equal, the order of the rows therefore changes
//!   nothing but the numbers of the clusters. scikit-learn leaves these ties to an unstable sort: a few rows at the rim
//!   of a cluster (5 of 1,500 in our tests) can differ from an answer of its, as two answers of its own can.
//! - λ is 1 / distance, and infinite at distance 0.
//!
//! It refuses vectors that are not finite or have no direction, and holds no n × n matrix. It does not scale, centre or
//! normalise: what is stored is what is clustered.
//!
//! References: `campello2013`, `campello2015`, `mcinnes2017`, `malzer2020`.

mod condense;
mod distance;
mod duplicates;
mod error;
mod hdbscan;
mod label;
mod linkage;
mod medoid;
mod minimum_spanning_tree;
mod mutual_reachability;
mod parameters;
mod select_clusters;
mod vectors;

pub use error::ClusterError;
pub use hdbscan::{Clustering, hdbscan};
pub use parameters::{Duplicates, HdbscanParameters, SelectionMethod};
pub use vectors::Vectors;
