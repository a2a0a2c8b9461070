//! How fast a distance settles: d(t) = d∞ − (d∞ − d₀) e^(−t/τ).

use crate::series::{SeriesError, check_numbers};

/// Fewer points than this have no three parameters.
const POINTS_MIN: usize = 4;
/// Places of the first look at τ, evenly spaced in its logarithm.
const GRID: usize = 60;
/// Steps of the search between three places; each takes 0.62 of the way, so that 45 leave 10⁻⁹ of a step.
const SECTION_STEPS: usize = 45;

/// A fitted curve d∞ − (d∞ − d₀) e^(−t/τ).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Relaxation {
    /// Where it settles, in units of the distance.
    pub d_inf: f64,
    /// Where it begins, at t = 0.
    pub d0: f64,
    /// The time in which the rest falls to 1/e, in units of the times given.
    pub tau: f64,
    /// The share of variance that the curve explains, at most 1.
    pub r_squared: f64,
}

/// What a fit came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RelaxationOutcome {
    /// A curve with a time of its own.
    Settles(Relaxation),
    /// All values are equal: settled from the start.
    Constant,
    /// Fewer than four points, or fewer than three different times.
    TooFew,
    /// The best curve is a jump: it has settled by the second time.
    Faster,
    /// The best curve is a line, or bends the other way: no end is in sight within the times given.
    Slower,
}

/// Fits d∞ − (d∞ − d₀) e^(−t/τ) by least squares.
///
/// `times` are at least 0, in any order; `values` belong to them. For each τ the best d∞ and d₀ are a linear problem; τ is looked for from a tenth of the
/// shortest step to ten times the span, in its logarithm, so that no first guess decides. A best τ at either end is
/// an answer of its own, not a number. O(n) time.
///
/// # Errors
///
/// [`SeriesError::Length`], [`SeriesError::NumberNotFinite`].
///
/// Reference: `golub1973` for separating the linear parameters.
pub fn fit_relaxation(times: &[f64], values: &[f64]) -> Result<RelaxationOutcome, SeriesError> {
    if times.len() != values.len() {
        return Err(SeriesError::Length { expected: times.len(), got: values.len() });
    }
    check_numbers(times)?;
    check_numbers(values)?;
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.dedup();
    if times.len() < POINTS_MIN || sorted.len() < 3 {
        return Ok(RelaxationOutcome::TooFew);
    }
    if values.iter().all(|&value| value == values[0]) {
        return Ok(RelaxationOutcome::Constant);
    }
    let step = sorted.windows(2).map(|pair| pair[1] - pair[0]).fold(f64::INFINITY, f64::min);
    let span = sorted[sorted.len() - 1] - sorted[0];
    let (low, high) = ((step / 10.0).ln(), (span * 10.0).ln());
    let cost = |log_tau: f64| linear_fit(times, values, log_tau.exp()).2;
    let place = |index: usize| low + (high - low) * index as f64 / GRID as f64;
    let costs: Vec<f64> = (0..=GRID).map(|index| cost(place(index))).collect();
    let best = (0..=GRID).min_by(|&a, &b| costs[a].total_cmp(&costs[b])).unwrap_or(0);
    if best == GRID {
        return Ok(RelaxationOutcome::Slower);
    }
    let tau = golden_section(cost, place(best.saturating_sub(1)), place(best + 1)).exp();
    // Within a quarter of the shortest step e^(−t/τ) is below 2 %: there is only before and after.
    if tau < step / 4.0 {
        return Ok(RelaxationOutcome::Faster);
    }
    let (d_inf, d0, residual) = linear_fit(times, values, tau);
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Ok(RelaxationOutcome::Settles(Relaxation { d_inf, d0, tau, r_squared: 1.0 - residual / variance }))
}

/// Returns d∞, d₀ and the sum of squares for a τ.
fn linear_fit(times: &[f64], values: &[f64], tau: f64) -> (f64, f64, f64) {
    let decays: Vec<f64> = times.iter().map(|time| (-time / tau).exp()).collect();
    let n = times.len() as f64;
    let (mean_decay, mean) = (decays.iter().sum::<f64>() / n, values.iter().sum::<f64>() / n);
    let spread: f64 = decays.iter().map(|decay| (decay - mean_decay).powi(2)).sum();
    let joint: f64 = decays.iter().zip(values).map(|(decay, value)| (decay - mean_decay) * (value - mean)).sum();
    let slope = if spread > 0.0 { joint / spread } else { 0.0 };
    let d_inf = mean - slope * mean_decay;
    let residual = decays.iter().zip(values).map(|(decay, value)| (value - d_inf - slope * decay).powi(2)).sum();
    (d_inf, d_inf + slope, residual)
}

fn golden_section(cost: impl Fn(f64) -> f64, mut low: f64, mut high: f64) -> f64 {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let (mut a, mut b) = (high - ratio * (high - low), low + ratio * (high - low));
    let (mut cost_a, mut cost_b) = (cost(a), cost(b));
    for _ in 0..SECTION_STEPS {
        if cost_a < cost_b {
            (high, b, cost_b) = (b, a, cost_a);
            a = high - ratio * (high - low);
            cost_a = cost(a);
        } else {
            (low, a, cost_a) = (a, b, cost_b);
            b = low + ratio * (high - low);
            cost_b = cost(b);
        }
    }
    f64::midpoint(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;

    fn fit(values: &[f64]) -> RelaxationOutcome {
        let times: Vec<f64> = (0..values.len()).map(|time| time as f64).collect();
        fit_relaxation(&times, values).unwrap()
    }

    #[test]
    fn curves_without_a_time_of_their_own_are_told_apart() {
        assert_eq!(fit(&[1.0, 2.0, 3.0]), RelaxationOutcome::TooFew);
        assert_eq!(fit(&[0.4; 9]), RelaxationOutcome::Constant);
        assert_eq!(fit(&[0.0, 1.0, 1.0, 1.0, 1.0, 1.0]), RelaxationOutcome::Faster);
        let line: Vec<f64> = (0..30).map(f64::from).collect();
        assert_eq!(fit(&line), RelaxationOutcome::Slower);
        let square: Vec<f64> = (0..30).map(|t| f64::from(t * t)).collect();
        assert_eq!(fit(&square), RelaxationOutcome::Slower);
        assert_eq!(fit(&[]), RelaxationOutcome::TooFew);
    }

    #[test]
    fn noise_moves_the_time_by_little_and_falling_curves_fit_too() {
        let mut chance = Chance::new(2);
        for (d0, d_inf) in [(0.1, 0.8), (0.9, 0.2)] {
            let values: Vec<f64> = (0..200)
                .map(|t| d_inf - (d_inf - d0) * (-f64::from(t) / 12.0).exp() + 0.01 * chance.normal())
                .collect();
            let RelaxationOutcome::Settles(fitted) = fit(&values) else { panic!("it settles") };
            assert!((fitted.tau - 12.0).abs() < 1.0 && fitted.r_squared > 0.95, "{fitted:?}");
        }
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert!(matches!(
            fit_relaxation(&[0.0, 1.0], &[f64::NAN, 1.0]),
            Err(SeriesError::NumberNotFinite { index: 0, .. })
        ));
        assert!(matches!(fit_relaxation(&[0.0], &[]), Err(SeriesError::Length { .. })));
    }
}
