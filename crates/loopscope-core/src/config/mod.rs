//! Configs: what people write down to ask for an experiment, in JSON or TOML.
//!
//! Three steps, each of which can be had alone: [`read_config`] reads a file, [`parse_config`] turns its text into an
//! [`ExperimentConfig`](crate::experiment::ExperimentConfig), [`check_config`] holds that against the models there
//! are. Both dialects are accepted in both syntaxes: `networks` or `network`, and `seeds`, `seed_count` or `num_runs`.
//!
//! Nothing is mended in silence: a key that is unknown or given twice, a number that is no integer, a model that does
//! not fit where it stands is an error with its address, and all of them (up to [`PROBLEMS_MAX`]) come at once.

mod check;
mod document;
mod error;
mod parse;
mod read;
#[cfg(test)]
mod tests;

pub use check::check_config;
pub use error::{ConfigError, Defect, PROBLEMS_MAX, Problem};
pub use parse::{GivenConfig, Syntax, parse_config};
pub use read::read_config;

/// The JSON Schema (draft 2020-12) of a config, for editors; it describes both dialects.
pub const CONFIG_SCHEMA: &str = include_str!("schema.json");
