//! The record, the store and the engine of loopscope.
//!
//! Data goes `config -> plan -> run -> embed -> diagram`, and each arrow passes through the store. The rule of every
//! module here: compute, then create the object with all its fields, then commit once. Nothing in this crate prints,
//! exits, reads the environment, or knows a model by name; models, clock and chance come in as arguments.

pub mod analysis;
pub mod backend;
mod causes;
pub mod clustering;
pub mod codec;
pub mod config;
pub mod doctor;
pub mod embedding_space;
pub mod engine;
pub mod experiment;
pub mod export;
pub mod import;
pub mod plan;
pub mod store;
pub mod verify;

/// The mathematics of clusters, for those who have vectors of their own.
pub use loopscope_analysis::cluster;
