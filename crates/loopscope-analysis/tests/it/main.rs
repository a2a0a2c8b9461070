//! Tests of the public interface.

#![expect(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test; helpers outside #[test] functions need it too"
)]

mod chains;
mod change_points_reference;
mod dynamics_reference;
mod fixture;
mod hdbscan_properties;
mod hdbscan_reference;
mod optics_reference;
mod recurrence;
mod trajectories;
