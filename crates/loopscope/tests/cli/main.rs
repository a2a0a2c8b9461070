//! The program as people meet it: its help, its errors, its JSON, its demo, and what kill −9 does to it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod analyse;
mod array;
mod chance;
#[cfg(feature = "charts")]
mod charts;
mod clusters;
mod complaints;
mod damaged;
mod demo;
mod disk_full;
mod doctor;
mod doctor_kill;
#[cfg(all(feature = "parquet", feature = "images"))]
mod exports;
mod help;
mod import;
mod import_resume;
mod kill;
mod losses;
mod many;
mod merging;
#[cfg(feature = "candle")]
mod native;
mod reading;
mod remote;
mod signals;
mod support;
