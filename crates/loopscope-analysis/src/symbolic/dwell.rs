//! How long states last, and what follows what.

use std::collections::BTreeMap;

use super::run_lengths;

/// How long a state lasts, over all its visits in all sequences.
#[derive(Debug, Clone, PartialEq)]
pub struct DwellTimes<K> {
    /// The state.
    pub state: K,
    /// The lengths of visits that begin and end within a sequence, ascending, in elements.
    pub complete: Vec<usize>,
    /// The lengths of visits cut off by the end of a sequence, ascending: they last at least so long.
    pub cut: Vec<usize>,
}

impl<K> DwellTimes<K> {
    /// Returns how many visits there are.
    pub fn visits(&self) -> usize {
        self.complete.len() + self.cut.len()
    }

    /// Returns the likeliest mean length if leaving is as likely at every step: all time over the number of leavings. `None`
    /// where nothing was seen to leave.
    ///
    /// Unlike the mean of complete visits it is not made short by the end of the sequences.
    ///
    /// Reference: `epstein1953`.
    pub fn mean(&self) -> Option<f64> {
        let time: usize = self.complete.iter().chain(&self.cut).sum();
        (!self.complete.is_empty()).then(|| time as f64 / self.complete.len() as f64)
    }
}

/// Collects the dwell times of each state, in order of the states; `None` is an outlier and ends a visit.
///
/// A visit that begins a sequence counts as complete: the sequence begins where the state does. A visit that ends one is cut; before an outlier
/// it is complete. O(N log K) time.
pub fn dwell_times<K: Ord + Clone>(sequences: &[Vec<Option<K>>]) -> Vec<DwellTimes<K>> {
    let mut by_state: BTreeMap<K, (Vec<usize>, Vec<usize>)> = BTreeMap::new();
    for sequence in sequences {
        let runs = run_lengths(sequence);
        let last = runs.len();
        for (place, (state, length)) in (1..).zip(runs) {
            if let Some(state) = state {
                let (complete, cut) = by_state.entry(state).or_default();
                if place == last { cut.push(length) } else { complete.push(length) }
            }
        }
    }
    let of = |(state, (mut complete, mut cut)): (K, (Vec<usize>, Vec<usize>))| {
        complete.sort_unstable();
        cut.sort_unstable();
        DwellTimes { state, complete, cut }
    };
    by_state.into_iter().map(of).collect()
}

/// A state and the one after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bigram<K> {
    /// The first.
    pub from: K,
    /// The next.
    pub to: K,
    /// How often, at least 1.
    pub count: usize,
    /// In how many of the sequences, at least 1.
    pub sequence_count: usize,
}

/// Counts neighbours, the most frequent first, then by state; `None` is an outlier that nothing bridges. O(N log K) time.
pub fn bigrams<K: Ord + Clone>(sequences: &[Vec<Option<K>>]) -> Vec<Bigram<K>> {
    let mut tally: BTreeMap<(K, K), (usize, usize, usize)> = BTreeMap::new();
    for (number, sequence) in (1..).zip(sequences) {
        for pair in sequence.windows(2) {
            if let [Some(from), Some(to)] = pair {
                let (count, sequence_count, last) = tally.entry((from.clone(), to.clone())).or_default();
                *count += 1;
                if *last != number {
                    *sequence_count += 1;
                    *last = number;
                }
            }
        }
    }
    let mut bigrams: Vec<Bigram<K>> = tally
        .into_iter()
        .map(|((from, to), (count, sequence_count, _))| Bigram { from, to, count, sequence_count })
        .collect();
    bigrams.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| (&a.from, &a.to).cmp(&(&b.from, &b.to))));
    bigrams
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters are states, dots are outliers.
    fn sequences(texts: &[&str]) -> Vec<Vec<Option<char>>> {
        texts.iter().map(|text| text.chars().map(|letter| (letter != '.').then_some(letter)).collect()).collect()
    }

    #[test]
    fn the_last_visit_is_cut_and_outliers_end_one() {
        let times = dwell_times(&sequences(&["aab.bbb", "aaaa", ""]));
        assert_eq!(times[0], DwellTimes { state: 'a', complete: vec![2], cut: vec![4] });
        assert_eq!(times[1], DwellTimes { state: 'b', complete: vec![1], cut: vec![3] });
        assert_eq!(times[0].mean(), Some(6.0));
        assert_eq!(dwell_times(&sequences(&["aa"]))[0].mean(), None);
        assert!(dwell_times(&sequences(&["...", ""])).is_empty());
    }

    #[test]
    fn neighbours_are_counted_without_bridges() {
        let found = bigrams(&sequences(&["abab", "a.b", "ab"]));
        assert_eq!(found[0], Bigram { from: 'a', to: 'b', count: 3, sequence_count: 2 });
        assert_eq!(found[1], Bigram { from: 'b', to: 'a', count: 1, sequence_count: 1 });
        assert_eq!(found.len(), 2);
    }
}
