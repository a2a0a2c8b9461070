//! What a database engineer would do to the store: cut the power, fail every call, be many at once.
//!
//! Each test takes its count and its first seed from the environment (`docs/reliability.md`); the numbers here are the
//! short form that runs with every commit. A message names the seed with which to see the same again.
//!
//! `LOOPSCOPE_SCRATCH` names a folder for the many small databases; a memory file system makes it fast, and proves as
//! much: what a disk forgets is decided here, not by the disk.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures that a soak reaches are read by people")]

mod chance;
mod faults;
mod inject;
mod models;
mod power;
mod processes;
mod scene;
#[expect(dead_code, reason = "the engine's own tests use the rest")]
#[path = "../engine/support.rs"]
mod support;
mod vfs;
