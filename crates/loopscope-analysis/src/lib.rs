//! Clusters and dynamics of trajectories.
//!
//! - [`symbolic`] reads what exact repetition alone says about a sequence of states: cycles, visits, dwell times.
//! - [`cluster`] groups vectors by density: exact HDBSCAN with the semantics of scikit-learn.
//! - [`markov`] makes a chain of labelled sequences: matrices, timescales, metastable sets, where it ends.
//! - [`dynamics`] measures trajectories of vectors: drift, relaxation, recurrence, regimes, divergence, diversity.
//! - [`change_points`] finds where a series of vectors changes its law.
//! - [`projection`] puts vectors into a plane to look at, and says how much of them that keeps.
//! - [`bootstrap`] says how far an estimate would move with other runs.
//!
//! Everything here is a pure function of its arguments: no store, no clock, no file, no chance without a seed, nothing
//! printed. Equal input gives equal output, bit for bit, on one target. Bad input is a typed error, never a panic.

pub mod bootstrap;
pub mod chance;
pub mod change_points;
pub mod cluster;
pub mod dynamics;
pub mod linear;
pub mod markov;
pub mod projection;
pub mod series;
pub mod symbolic;
