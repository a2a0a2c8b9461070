//! What a trajectory does: how far it goes, whether it settles, comes back or wanders.
//!
//! Each function takes vectors, distances or labels and returns numbers; which runs, embedders and prompts they belong to is the
//! caller's. A trajectory is taken *as one place of the network sees it* wherever neighbours are compared: in a
//! cycle of several models the outputs of different models differ for reasons that are no dynamics.
//!
//! Distances between embeddings are cosine distances 1 − cos unless a function says otherwise. Time is counted in the
//! steps that the caller gives.

mod correlation;
mod drift;
mod lyapunov;
mod recoverability;
mod recurrence;
mod regime;
mod relaxation;
mod sliding_window;
mod vendi;

pub use correlation::{partial_rank_correlation, rank_correlation};
pub use drift::semantic_drift;
pub use lyapunov::{FiniteTimeLyapunov, finite_time_lyapunov, lyapunov_of_stretches};
pub use recoverability::{Recovery, prompt_recovery};
pub use recurrence::{RecurrenceMatrix, RecurrenceMeasures, recurrence_measures};
pub use regime::{Regime, RegimeOptions, RegimeReport, regime};
pub use relaxation::{Relaxation, RelaxationOutcome, fit_relaxation};
pub use sliding_window::{SlidingWindow, sliding_window};
pub use vendi::vendi_score;
