//! Clusters and dynamics of trajectories.
