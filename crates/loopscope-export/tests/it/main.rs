//! Exports as their readers meet them: what was stored comes back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod parquet_back;
mod pictures;
mod refusals;
