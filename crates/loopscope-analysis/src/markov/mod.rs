//! Chains of states: how often one follows another, and what follows from that.
//!
//! A sequence is a run's states in order, `None` where it is in no state (an outlier). [`TransitionCounts`] counts pairs that
//! lie a lag apart and never bridges an outlier; [`last_core`] is the other way, in which a run stays in the core it visited
//! last. Counts become a [`TransitionMatrix`] by maximum likelihood, reversible or not, on the [`ActiveSet`] or on everything.
//!
//! Chains of loops have absorbing states, parts that cannot be reached from each other, and states seen only once. All of
//! these are answers here, not errors: [`communicating_classes`] names the parts, [`absorption`] says where a chain ends, times
//! that never come are infinite, and only what has no meaning at all (a stationary law that is not unique) is a typed error.
//!
//! Units: a *step* is one element of a sequence; rates are in nats a step; times are in steps. Cost is O(K³) for K states
//! unless said otherwise.

mod active_set;
mod chapman_kolmogorov;
mod counts;
mod entropy_production;
mod error;
mod estimate;
mod passage;
mod pcca;
mod reversible;
mod spectrum;
mod stationary;

pub use active_set::{ActiveSet, CommunicatingClass, active_set, communicating_classes};
pub use chapman_kolmogorov::{ChapmanKolmogorov, Staying, chapman_kolmogorov};
pub use counts::{TransitionCounts, last_core};
pub use entropy_production::{EntropyProduction, entropy_production};
pub use error::MarkovError;
pub use estimate::{TransitionMatrix, maximum_likelihood};
pub use passage::{Absorption, absorption, mean_first_passage_times};
pub use pcca::{MetastableSets, pcca};
pub use reversible::reversible_maximum_likelihood;
pub use spectrum::{eigenvalues, implied_timescales};
pub use stationary::stationary_distribution;
