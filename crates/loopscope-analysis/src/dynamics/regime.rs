//! Contractive, oscillatory or exploratory: what the end of a trajectory does.

use crate::series::{Series, SeriesError, cosine_distance};

/// What a trajectory does in the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Regime {
    /// It stays where it is: neighbours in time are near each other, and so is everything in the end.
    Contractive,
    /// It leaves and comes back after a fixed number of steps.
    Oscillatory,
    /// Neither: it wanders.
    Exploratory,
}

impl Regime {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Contractive => "contractive",
            Self::Oscillatory => "oscillatory",
            Self::Exploratory => "exploratory",
        }
    }
}

/// What counts as near, and where the end begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeOptions {
    /// Cosine distance up to which two outputs are the same place.
    pub epsilon: f64,
    /// The share of the trajectory, from its end, that is looked at; the way there is no regime.
    pub tail: f64,
    /// The share of pairs in the tail that must be near.
    pub share: f64,
}

impl Default for RegimeOptions {
    /// The radius of the reference clustering, 0.08; the second half; nine pairs of ten.
    fn default() -> Self {
        Self { epsilon: 0.08, tail: 0.5, share: 0.9 }
    }
}

/// A regime with what it rests on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RegimeReport {
    /// The regime.
    pub regime: Regime,
    /// The period in steps of the series, at least 2, for an oscillatory one.
    pub period: Option<usize>,
    /// The median distance of neighbours in the tail.
    pub local_step: f64,
    /// The mean distance of all pairs in the tail: how wide it is.
    pub dispersion: f64,
}

/// Says what the tail of a trajectory does; `None` when the tail has fewer than 4 vectors.
///
/// Contractive: of the pairs of neighbours, and of all pairs, at least the share is within ε. Otherwise oscillatory, with the least period k from 2 to a
/// third of the tail at which the share of pairs k apart is within ε. Otherwise exploratory: a slow walk whose neighbours are near
/// and whose ends are not is one. The series is one place of the network; a trajectory that mixes the outputs of
/// several models oscillates for no reason of its own. O(n² d) time.
///
/// # Errors
///
/// [`SeriesError::ZeroVector`].
///
/// Reference: `tacheny2025` for the three regimes; the rule is ours, because distances there are calibrated on human judgements.
pub fn regime(series: &Series<'_>, options: &RegimeOptions) -> Result<Option<RegimeReport>, SeriesError> {
    series.check_directions()?;
    let n = (series.len() as f64 * options.tail.clamp(0.0, 1.0)).ceil() as usize;
    if n < 4 {
        return Ok(None);
    }
    let first = series.len() - n;
    let distance = |i: usize, j: usize| cosine_distance(series.row(first + i), series.row(first + j));
    let at_lag = |lag: usize| (0..n - lag).map(|i| distance(i, i + lag)).collect::<Vec<f64>>();
    let share_near = |distances: &[f64]| {
        let near = distances.iter().filter(|&&distance| distance <= options.epsilon).count();
        near as f64 / distances.len() as f64
    };
    let neighbours = at_lag(1);
    let all: Vec<f64> = (1..n).flat_map(at_lag).collect();
    let dispersion = all.iter().sum::<f64>() / all.len() as f64;
    let mut sorted = neighbours.clone();
    sorted.sort_by(f64::total_cmp);
    let local_step = crate::bootstrap::quantile(&sorted, 0.5);
    let is_contractive = share_near(&neighbours) >= options.share && share_near(&all) >= options.share;
    let period = (2..=n / 3).find(|&lag| share_near(&at_lag(lag)) >= options.share);
    let (regime, period) = match (is_contractive, period) {
        (true, _) => (Regime::Contractive, None),
        // A slow walk is near itself two steps on; only what leaves in between comes back.
        (false, Some(period)) if share_near(&neighbours) < options.share => (Regime::Oscillatory, Some(period)),
        _ => (Regime::Exploratory, None),
    };
    Ok(Some(RegimeReport { regime, period, local_step, dispersion }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(angles: &[f64]) -> Option<RegimeReport> {
        let values: Vec<f32> = angles.iter().flat_map(|angle| [angle.cos() as f32, angle.sin() as f32]).collect();
        regime(&Series::new(&values, angles.len(), 2).unwrap(), &RegimeOptions::default()).unwrap()
    }

    #[test]
    fn the_three_regimes_are_told_apart() {
        let settling: Vec<f64> = (0..40).map(|t| 3.0 * 0.8_f64.powi(t)).collect();
        assert_eq!(of(&settling).unwrap().regime, Regime::Contractive);
        let turning: Vec<f64> = (0..40).map(|t| f64::from(t % 3) * 2.0).collect();
        let report = of(&turning).unwrap();
        assert_eq!((report.regime, report.period), (Regime::Oscillatory, Some(3)));
        let walking: Vec<f64> = (0..40).map(|t| f64::from(t) * 0.15).collect();
        assert_eq!(of(&walking).unwrap().regime, Regime::Exploratory, "slow, and going on");
        let jumping: Vec<f64> = (0..40).map(|t| f64::from(t * t) * 1.7).collect();
        assert_eq!(of(&jumping).unwrap().regime, Regime::Exploratory);
        assert_eq!(of(&[0.0; 20]).unwrap().dispersion, 0.0);
    }

    #[test]
    fn short_ones_have_none() {
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[0.0; 6]), None);
        assert!(of(&[0.0; 7]).is_some());
    }
}
