//! Intervals by resampling runs.
//!
//! Steps of one run depend on each other, runs do not: what is drawn again is always whole runs. The interval says how
//! far an estimate would move with other runs of the same experiment; it knows nothing of other prompts or models.

use crate::chance::Chance;

/// Fewer runs than this have no interval.
pub const RUNS_MIN: usize = 2;

/// The ends of an interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// How to resample: so many times, to this level, from this seed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bootstrap {
    /// How many times runs are drawn; a 95 % interval wants some hundreds.
    pub resamples: usize,
    /// The share of resampled estimates that lie within, in `(0, 1)`.
    pub level: f64,
    /// Where chance begins: the same seed gives the same interval.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 1_000, level: 0.95, seed: 0 }
    }
}

impl Bootstrap {
    /// Returns the percentile interval of a statistic over runs.
    ///
    /// `statistic` is given the indices of `run_count` runs, drawn with replacement and sorted, and returns its value, or `None` where
    /// they have none (all the same state, say). `None` comes back for fewer than [`RUNS_MIN`] runs, and where fewer than
    /// half of the resamples have a value. Infinite values count as largest. With few runs the interval is too narrow: five
    /// runs can only say so much. O(resamples) calls.
    ///
    /// Reference: `efron1993`, chapter 13.
    pub fn interval(&self, run_count: usize, mut statistic: impl FnMut(&[usize]) -> Option<f64>) -> Option<Interval> {
        self.intervals(run_count, 1, |runs| vec![statistic(runs)]).pop().flatten()
    }

    /// Returns the percentile intervals of several statistics that are computed together, in their order.
    ///
    /// `statistics` returns `count` values each time; what it leaves out is missing. As [`interval`](Self::interval)
    /// otherwise.
    ///
    /// Reference: `efron1993`, chapter 13.
    pub fn intervals(
        &self,
        run_count: usize,
        count: usize,
        mut statistics: impl FnMut(&[usize]) -> Vec<Option<f64>>,
    ) -> Vec<Option<Interval>> {
        if run_count < RUNS_MIN {
            return vec![None; count];
        }
        let mut chance = Chance::new(self.seed);
        let mut drawn = vec![Vec::with_capacity(self.resamples); count];
        let mut runs = vec![0; run_count];
        for _ in 0..self.resamples {
            runs.iter_mut().for_each(|run| *run = chance.below(run_count));
            // Sums over runs then round the same way whatever the draw's order was.
            runs.sort_unstable();
            for (values, value) in drawn.iter_mut().zip(statistics(&runs)) {
                values.extend(value.filter(|value| !value.is_nan()));
            }
        }
        drawn.into_iter().map(|values| self.percentiles(values)).collect()
    }

    fn percentiles(&self, mut values: Vec<f64>) -> Option<Interval> {
        if values.is_empty() || values.len() * 2 < self.resamples {
            return None;
        }
        values.sort_by(f64::total_cmp);
        let tail = (1.0 - self.level) / 2.0;
        Some(Interval { low: quantile(&values, tail), high: quantile(&values, 1.0 - tail) })
    }
}

/// Returns the quantile of sorted values, between neighbours in proportion; `share` is in `[0, 1]`. Panics on no values.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    // Between equal neighbours, infinite ones too, there is nothing to weigh.
    if low == high { low } else { low + (high - low) * place.fract() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[f64], runs: &[usize]) -> f64 {
        runs.iter().map(|&run| values[run]).sum::<f64>() / runs.len() as f64
    }

    #[test]
    fn the_interval_of_a_mean_is_that_of_theory() {
        let mut chance = Chance::new(11);
        let values: Vec<f64> = (0..400).map(|_| chance.normal()).collect();
        let interval = Bootstrap { resamples: 2_000, ..Bootstrap::default() }
            .interval(values.len(), |runs| Some(mean(&values, runs)))
            .unwrap();
        // ± 1.96 / √400, give or take what 2,000 resamples and this sample's own spread do.
        assert!((interval.high - interval.low - 2.0 * 1.96 / 20.0).abs() < 0.02, "{interval:?}");
    }

    #[test]
    fn intervals_cover_the_truth_as_often_as_they_say() {
        let mut chance = Chance::new(12);
        let covered = (0..300)
            .filter(|&seed| {
                let values: Vec<f64> = (0..40).map(|_| chance.normal()).collect();
                let bootstrap = Bootstrap { resamples: 300, seed, ..Bootstrap::default() };
                let interval = bootstrap.interval(40, |runs| Some(mean(&values, runs))).unwrap();
                interval.low <= 0.0 && 0.0 <= interval.high
            })
            .count();
        assert!((270..=297).contains(&covered), "{covered} of 300");
    }

    #[test]
    fn one_run_or_mostly_missing_values_have_no_interval() {
        let bootstrap = Bootstrap { resamples: 50, ..Bootstrap::default() };
        assert_eq!(bootstrap.interval(1, |_| Some(1.0)), None);
        assert_eq!(bootstrap.interval(0, |_| Some(1.0)), None);
        assert_eq!(bootstrap.interval(5, |_| None), None);
        assert_eq!(bootstrap.interval(5, |_| Some(f64::NAN)), None);
        let infinite = bootstrap.interval(5, |_| Some(f64::INFINITY)).unwrap();
        assert_eq!((infinite.low, infinite.high), (f64::INFINITY, f64::INFINITY));
        assert_eq!(bootstrap.interval(3, |_| Some(2.0)), Some(Interval { low: 2.0, high: 2.0 }));
    }

    #[test]
    fn the_seed_decides() {
        let values = [1.0, 5.0, 2.0, 8.0];
        let interval = |seed| {
            Bootstrap { resamples: 99, seed, ..Bootstrap::default() }.interval(4, |runs| Some(mean(&values, runs)))
        };
        assert_eq!(interval(4), interval(4));
        assert_ne!(interval(4), interval(5));
    }
}
