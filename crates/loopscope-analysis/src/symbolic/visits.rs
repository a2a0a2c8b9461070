//! Which states are visited, how often, and for how long at a time.

use std::collections::BTreeMap;

/// How often one state was visited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visits<'a, K> {
    /// The state, borrowed from the first place where it stood.
    pub state: &'a K,
    /// How many elements of all sequences together are this state; at least 1.
    pub count: usize,
    /// In how many of the sequences it stands; from 1 to `count`. A state visited a hundred times by one run and a
    /// state visited once by a hundred runs have the same `count` and are different things.
    pub sequence_count: usize,
}

/// Counts how often each state is visited, the most visited first.
///
/// Sorted by count, descending, then by state, ascending, so that ties have one order whatever the order of the
/// sequences. Counts add up to the number of elements; empty sequences add nothing; no sequences give an empty vector.
/// Outliers are the caller's: pass an `Option` as the state to count them, or leave them out. O(N log K) time for N
/// elements and K states, O(K) memory.
pub fn visits<'a, K: Ord>(sequences: impl IntoIterator<Item = &'a [K]>) -> Vec<Visits<'a, K>> {
    let mut tally: BTreeMap<&'a K, Tally> = BTreeMap::new();
    for (sequence_number, sequence) in sequences.into_iter().enumerate() {
        for state in sequence {
            tally.entry(state).or_default().add(sequence_number);
        }
    }
    let mut visits: Vec<_> = tally
        .into_iter()
        .map(|(state, Tally { count, sequence_count, .. })| Visits { state, count, sequence_count })
        .collect();
    visits.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.state.cmp(b.state)));
    visits
}

#[derive(Default)]
struct Tally {
    count: usize,
    sequence_count: usize,
    last_sequence: Option<usize>,
}

impl Tally {
    fn add(&mut self, sequence_number: usize) {
        self.count += 1;
        if self.last_sequence != Some(sequence_number) {
            self.sequence_count += 1;
            self.last_sequence = Some(sequence_number);
        }
    }
}

/// Returns the maximal runs of equal neighbours, in order, as `(state, length)`.
///
/// Lengths are in elements, at least 1, and add up to the length of the sequence; neighbouring runs differ. The lengths
/// of one state are its dwell times; the first and the last run are cut off by the ends of the sequence. A value that
/// does not equal itself (NaN) makes runs of length 1. O(n) time.
pub fn run_lengths<T: PartialEq + Clone>(sequence: &[T]) -> Vec<(T, usize)> {
    sequence.chunk_by(|a, b| a == b).map(|run| (run[0].clone(), run.len())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(sequences: &[&[char]]) -> Vec<(char, usize, usize)> {
        visits(sequences.iter().copied()).iter().map(|v| (*v.state, v.count, v.sequence_count)).collect()
    }

    #[test]
    fn the_most_visited_come_first_and_ties_go_by_key() {
        assert_eq!(counted(&[&['c', 'a', 'b'], &['b', 'a'], &['b']]), [('b', 3, 3), ('a', 2, 2), ('c', 1, 1)]);
        assert_eq!(counted(&[&['z', 'y', 'x']]), [('x', 1, 1), ('y', 1, 1), ('z', 1, 1)]);
    }

    #[test]
    fn visits_by_one_sequence_are_told_from_visits_by_many() {
        assert_eq!(counted(&[&['a', 'a', 'b'], &[], &['b']]), [('a', 2, 1), ('b', 2, 2)]);
    }

    #[test]
    fn nothing_visited_is_an_empty_list() {
        assert_eq!(counted(&[]), []);
        assert_eq!(counted(&[&[]]), []);
    }

    #[test]
    fn runs_are_maximal() {
        assert_eq!(run_lengths(&['a', 'a', 'b', 'a']), [('a', 2), ('b', 1), ('a', 1)]);
        assert_eq!(run_lengths::<u8>(&[]), []);
    }
}
