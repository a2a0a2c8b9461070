//! Does the chain of one lag predict what longer lags show?

use super::{MarkovError, TransitionCounts, active_set, maximum_likelihood};

/// Staying in one state over a multiple of the lag.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Staying {
    /// The state, as in the sequences.
    pub state: usize,
    /// The probability that the chain of the short lag predicts.
    pub predicted: f64,
    /// The share seen at the long lag.
    pub observed: f64,
    /// Of the observed share, with windows that overlap counted once for each lag they span; 0 where it is 0 or 1.
    pub standard_error: f64,
}

/// The test at one multiple of the lag.
#[derive(Debug, Clone, PartialEq)]
pub struct ChapmanKolmogorov {
    /// How many lags.
    pub multiple: usize,
    /// One for each state of the active set that was left or stayed in at the long lag.
    pub states: Vec<Staying>,
    /// The share of counts at the short lag that lie in the active set.
    pub share_kept: f64,
}

impl ChapmanKolmogorov {
    /// Returns the largest |predicted − observed|; 0 without states.
    pub fn largest_deviation(&self) -> f64 {
        self.states.iter().map(|state| (state.predicted - state.observed).abs()).fold(0.0, f64::max)
    }

    /// Returns how many states lie within so many standard errors of the prediction.
    pub fn agreeing(&self, standard_errors: f64) -> usize {
        let agrees = |state: &&Staying| {
            (state.predicted - state.observed).abs() <= standard_errors * state.standard_error + 1e-12
        };
        self.states.iter().filter(agrees).count()
    }
}

/// Compares P(lag)^k with what is seen at k · lag, for each multiple k, on the active set of the lag.
///
/// For each state the probability of being in it again is compared, with the standard error √(k (p − p²) / n) of the observed one, where `n` is
/// the number of overlapping windows that begin in it. States that no long window begins in are left out; long windows that leave the
/// active set count as gone. O(m K³ + N) time for m multiples and N elements.
///
/// # Errors
///
/// [`MarkovError::ZeroLag`] for a lag or multiple of 0, [`MarkovError::StateOutOfRange`].
///
/// Reference: `prinz2011`, equations 31 and 32.
pub fn chapman_kolmogorov(
    sequences: &[&[Option<usize>]],
    state_count: usize,
    lag: usize,
    multiples: &[usize],
) -> Result<Vec<ChapmanKolmogorov>, MarkovError> {
    let short = TransitionCounts::of(sequences.iter().copied(), state_count, lag)?;
    let active = active_set(&short);
    let (matrix, _) = maximum_likelihood(&short.matrix().restricted(&active.states))?;
    let test = |&multiple: &usize| {
        let long = TransitionCounts::of(sequences.iter().copied(), state_count, lag.saturating_mul(multiple))?;
        let predicted = matrix.matrix().power(multiple);
        let staying = active.states.iter().enumerate().filter_map(|(place, &state)| {
            let windows: f64 = long.matrix().row(state).iter().sum();
            (windows > 0.0).then(|| {
                let observed = long.matrix().get(state, state) / windows;
                let standard_error = (multiple as f64 * observed * (1.0 - observed) / windows).sqrt();
                Staying { state, predicted: predicted.get(place, place), observed, standard_error }
            })
        });
        Ok(ChapmanKolmogorov { multiple, states: staying.collect(), share_kept: active.share_kept })
    };
    multiples.iter().map(test).collect()
}
