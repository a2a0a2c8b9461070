//! The first time a state comes back.
//!
//! Invariant: a state is `(index mod network length, key)`, so two equal states always lie a multiple of the network
//! length apart, and so does every period reported here.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;

/// Says why a detector could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SymbolicError {
    /// The network has no position that an output could stand at.
    EmptyNetwork,
}

impl fmt::Display for SymbolicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyNetwork => write!(f, "the network has length 0, expected at least 1"),
        }
    }
}

impl std::error::Error for SymbolicError {}

/// Two indices of a sequence that hold the same state.
///
/// As reported by [`RecurrenceDetector`]: `first < again`, no state before `again` repeats an earlier one, and the
/// period is a multiple of the network length. For a deterministic network the indices `first..again` are one full
/// turn of the cycle, and `first` is the length of the transient before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recurrence {
    /// Index, from 0, at which the state stood for the first time.
    pub first: usize,
    /// Index, from 0, at which it stood again.
    pub again: usize,
}

impl Recurrence {
    /// Returns the number of steps from `first` to `again`.
    ///
    /// A network of one model that repeats its last output has period 1, a fixed point.
    pub fn period(&self) -> usize {
        self.again.saturating_sub(self.first)
    }
}

/// Watches a growing sequence of outputs for the first state that comes back.
///
/// The key at index `i` (from 0) stands at position `i mod L` of a network of length `L`; the same key at another
/// position is another state. One push is O(1) expected time. Memory is one entry a push up to the first recurrence,
/// and none after it. The result does not depend on the hash seed.
#[derive(Debug, Clone)]
pub struct RecurrenceDetector<K> {
    network_length: usize,
    length: usize,
    index_of_state: HashMap<(usize, K), usize>,
    recurrence: Option<Recurrence>,
}

impl<K: Hash + Eq> RecurrenceDetector<K> {
    /// Returns a detector that has seen nothing, for a network of `network_length` models.
    ///
    /// # Errors
    ///
    /// [`SymbolicError::EmptyNetwork`] when `network_length` is 0.
    pub fn new(network_length: usize) -> Result<Self, SymbolicError> {
        if network_length == 0 {
            return Err(SymbolicError::EmptyNetwork);
        }
        Ok(Self { network_length, length: 0, index_of_state: HashMap::new(), recurrence: None })
    }

    /// Returns a detector that has seen `history`, oldest first, so that a resumed run is watched like a fresh one.
    ///
    /// The same as [`new`](Self::new) followed by one [`push`](Self::push) per key. A state that came back within the
    /// history is found by [`recurrence`](Self::recurrence).
    ///
    /// # Errors
    ///
    /// [`SymbolicError::EmptyNetwork`] when `network_length` is 0.
    pub fn from_history(network_length: usize, history: impl IntoIterator<Item = K>) -> Result<Self, SymbolicError> {
        let mut detector = Self::new(network_length)?;
        for key in history {
            detector.push(key);
        }
        Ok(detector)
    }

    /// Takes the next key; returns the recurrence if this is the first time that any state came back.
    ///
    /// Answers `Some` once in the life of a detector: what comes after a cycle has closed repeats, and reporting it
    /// again would be noise.
    pub fn push(&mut self, key: K) -> Option<Recurrence> {
        let again = self.length;
        self.length += 1;
        if self.recurrence.is_some() {
            return None;
        }
        let first = *self.index_of_state.entry((again % self.network_length, key)).or_insert(again);
        if first == again {
            return None;
        }
        self.index_of_state = HashMap::new();
        self.recurrence = Some(Recurrence { first, again });
        self.recurrence
    }

    /// Returns the recurrence found so far, in the history or by a push.
    pub fn recurrence(&self) -> Option<Recurrence> {
        self.recurrence
    }

    /// Returns how many keys have been seen, which is the index of the next one.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Says whether no key has been seen yet.
    pub fn is_empty(&self) -> bool {
        self.length == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network_length: usize, keys: &str, expected: Option<(usize, usize)>) {
        let detector = RecurrenceDetector::from_history(network_length, keys.chars()).unwrap();
        let expected = expected.map(|(first, again)| Recurrence { first, again });
        assert_eq!(detector.recurrence(), expected, "{keys} in a network of {network_length}");
        assert_eq!(detector.len(), keys.len());
    }

    #[test]
    fn nothing_comes_back_in_an_empty_or_injective_sequence() {
        check(1, "", None);
        check(1, "abcd", None);
    }

    #[test]
    fn a_repeated_output_is_a_fixed_point() {
        check(1, "abb", Some((1, 2)));
    }

    #[test]
    fn the_first_return_wins_over_later_shorter_ones() {
        check(1, "abcbb", Some((1, 3)));
    }

    #[test]
    fn the_same_output_at_another_position_is_another_state() {
        check(2, "aab", None);
        check(2, "aaba", Some((1, 3)));
    }

    #[test]
    fn a_recurrence_is_reported_once() {
        let mut detector = RecurrenceDetector::new(1).unwrap();
        let reports: Vec<_> = "aaa".chars().map(|key| detector.push(key).map(|r| r.period())).collect();
        assert_eq!(reports, [None, Some(1), None]);
    }

    #[test]
    fn a_network_without_models_is_refused() {
        let error = RecurrenceDetector::<u8>::new(0).unwrap_err();
        assert_eq!(error.to_string(), "the network has length 0, expected at least 1");
    }
}
