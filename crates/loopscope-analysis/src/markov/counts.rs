//! How often one state follows another.

use super::MarkovError;
use crate::linear::SquareMatrix;

/// How many pairs of states lie a lag apart.
#[derive(Debug, Clone, PartialEq)]
pub struct TransitionCounts {
    matrix: SquareMatrix,
    lag: usize,
}

impl TransitionCounts {
    /// Returns counts of nothing yet, for states `0..state_count` and a lag in steps.
    ///
    /// # Errors
    ///
    /// [`MarkovError::ZeroLag`].
    pub fn new(state_count: usize, lag: usize) -> Result<Self, MarkovError> {
        if lag == 0 {
            return Err(MarkovError::ZeroLag);
        }
        Ok(Self { matrix: SquareMatrix::zeros(state_count), lag })
    }

    /// Counts several sequences.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new) and [`add_sequence`](Self::add_sequence).
    pub fn of<'a>(
        sequences: impl IntoIterator<Item = &'a [Option<usize>]>,
        state_count: usize,
        lag: usize,
    ) -> Result<Self, MarkovError> {
        let mut counts = Self::new(state_count, lag)?;
        sequences.into_iter().try_for_each(|sequence| counts.add_sequence(sequence))?;
        Ok(counts)
    }

    /// Adds the pairs of one sequence: every place `t` whose `t + lag` is in it, overlapping.
    ///
    /// `None` is an outlier. A pair counts only where every element from `t` to `t + lag` is a state, so that nothing bridges an
    /// outlier and no pair joins two sequences. A sequence no longer than the lag adds nothing. O(n) time.
    ///
    /// # Errors
    ///
    /// [`MarkovError::StateOutOfRange`], before anything is added.
    ///
    /// Reference: `prinz2011`.
    pub fn add_sequence(&mut self, sequence: &[Option<usize>]) -> Result<(), MarkovError> {
        let state_count = self.matrix.size();
        let bad = sequence.iter().enumerate().find_map(|(position, state)| {
            state.filter(|&state| state >= state_count).map(|got| MarkovError::StateOutOfRange {
                position,
                got,
                state_count,
            })
        });
        if let Some(error) = bad {
            return Err(error);
        }
        let mut inside = 0;
        for (place, state) in sequence.iter().enumerate() {
            inside = if state.is_some() { inside + 1 } else { 0 };
            if inside > self.lag
                && let (Some(from), Some(to)) = (sequence[place - self.lag], *state)
            {
                self.matrix.row_mut(from)[to] += 1.0;
            }
        }
        Ok(())
    }

    /// Adds the counts of others, of as many states. Panics when there are more or fewer.
    pub fn add(&mut self, other: &Self) {
        self.matrix.add(&other.matrix);
    }

    /// Returns the counts, from rows to columns, shape (K, K).
    pub fn matrix(&self) -> &SquareMatrix {
        &self.matrix
    }

    /// Returns the lag in steps.
    pub fn lag(&self) -> usize {
        self.lag
    }

    /// Returns how many pairs were counted.
    pub fn total(&self) -> f64 {
        self.matrix.total()
    }
}

/// Returns the core visited last, at each place: milestoning.
///
/// Cores are the states and `None` is everything between them. A run that has left a core and not reached another yet
/// counts as in the one it left. Places before the first core stay `None`, as nothing is known of them. Transitions of what comes back
/// are those between cores, without the recrossings at a rim. O(n) time.
///
/// Reference: `schutte2011`.
pub fn last_core(sequence: &[Option<usize>]) -> Vec<Option<usize>> {
    let mut last = None;
    sequence
        .iter()
        .map(|state| {
            last = state.or(last);
            last
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Letters are states, dots are outliers.
    fn sequence(text: &str) -> Vec<Option<usize>> {
        text.bytes().map(|byte| (byte != b'.').then(|| usize::from(byte - b'a'))).collect()
    }

    fn counts(texts: &[&str], lag: usize) -> Vec<(usize, usize, f64)> {
        let sequences: Vec<_> = texts.iter().map(|text| sequence(text)).collect();
        let counts = TransitionCounts::of(sequences.iter().map(Vec::as_slice), 3, lag).unwrap();
        let pairs = (0..3).flat_map(|from| (0..3).map(move |to| (from, to)));
        pairs.map(|(from, to)| (from, to, counts.matrix().get(from, to))).filter(|pair| pair.2 > 0.0).collect()
    }

    #[test]
    fn nothing_bridges_an_outlier_or_the_end_of_a_run() {
        assert_eq!(counts(&["ab.ba", "c"], 1), [(0, 1, 1.0), (1, 0, 1.0)]);
        assert_eq!(counts(&["a.b", "a..b"], 1), []);
        assert_eq!(counts(&["a.b"], 2), [], "both ends are states, but what lies between is not");
        assert_eq!(counts(&["abc", "ab"], 2), [(0, 2, 1.0)]);
        assert_eq!(counts(&["", ".", "a"], 1), []);
    }

    #[test]
    fn a_state_that_is_none_is_refused_before_anything_is_added() {
        let mut counts = TransitionCounts::new(2, 1).unwrap();
        let error = counts.add_sequence(&[Some(0), Some(1), Some(2)]).unwrap_err();
        assert_eq!(error, MarkovError::StateOutOfRange { position: 2, got: 2, state_count: 2 });
        assert_eq!(counts.total(), 0.0);
        assert_eq!(TransitionCounts::new(2, 0), Err(MarkovError::ZeroLag));
    }

    #[test]
    fn the_last_core_is_held_until_another_is_reached() {
        assert_eq!(last_core(&sequence("..a..b.a.")), sequence("..aaabbaa"));
        assert_eq!(last_core(&sequence("..")), sequence(".."));
        assert_eq!(last_core(&[]), []);
    }
}
