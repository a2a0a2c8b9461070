//! The doctor finds every kind of defect, and nothing in a database without one.

#![expect(clippy::unwrap_used, reason = "a test that cannot set its scene should fail")]

mod damaged;
mod diagrams;
mod fixing;
mod fixture;
mod missing;
mod planted;
