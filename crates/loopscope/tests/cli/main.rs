//! The program as people meet it: its help, its errors, its JSON, its demo, and what kill −9 does to it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod array;
mod complaints;
mod demo;
mod help;
mod kill;
mod merging;
mod reading;
mod signals;
mod support;
