//! Clusters and dynamics of trajectories.
//!
//! - [`symbolic`] reads what exact repetition alone says about a sequence of states: cycles, visits, dwell times.
//! - [`cluster`] groups vectors by density: exact HDBSCAN with the semantics of scikit-learn.
//!
//! Everything here is a pure function of its arguments: no store, no clock, no file, no chance without a seed, nothing
//! printed. Equal input gives equal output, bit for bit, on one target. Bad input is a typed error, never a panic.

pub mod cluster;
pub mod symbolic;
