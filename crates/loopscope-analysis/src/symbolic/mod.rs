//! What exact repetition alone says about a sequence of states.
//!
//! A *state* is what decides everything that follows: the position in the network and the output that stands there. Two
//! states are equal or they are not; this module knows no distance and needs no clustering. It works for any hashable
//! or ordered key (a text, a pixel hash, a cluster label), and refuses to guess: near repetition is for clustering.

mod dwell;
mod recurrence;
mod repetition;
mod visits;

pub use dwell::{Bigram, DwellTimes, bigrams, dwell_times};
pub use recurrence::{Recurrence, RecurrenceDetector, SymbolicError};
pub use repetition::{Repetition, continued, repetition};
pub use visits::{Visits, run_lengths, visits};
