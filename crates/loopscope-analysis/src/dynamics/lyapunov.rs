//! Finite-time Lyapunov exponents: how fast two runs part.

use crate::series::{SeriesError, check_numbers};

/// A distance above this share of the plateau is saturated: it cannot grow as before.
const SATURATION: f64 = 0.9;

/// The slope of the logarithm of a distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FiniteTimeLyapunov {
    /// In nats a step; negative where the runs come together.
    pub rate: f64,
    /// The share of variance that the line explains, in `[0, 1]`; 1 for a distance that never changes.
    pub r_squared: f64,
    /// How many distances the line rests on: those above zero.
    pub points: usize,
    /// How many distances were zero and left out: the runs were in the same place.
    pub zeros: usize,
    /// The share of the line's points that are within a tenth of the plateau, the median of their second half. Above a half, the
    /// rate says how large the space is and not how fast runs part.
    pub saturated: f64,
}

/// Fits ln d(t) = a + λ t by least squares over all times from 0; `None` for fewer than two distances above zero.
///
/// `distances` are those of two runs at the same step, at least 0, Euclidean. In a bounded space the distance stops growing, after
/// which the slope falls with every step looked at: read `saturated` and `r_squared` before `rate`. O(n log n) time.
///
/// # Errors
///
/// [`SeriesError::NumberNotFinite`].
///
/// Reference: `wolf1985` for the idea; the fit over the whole time is the one earlier results used.
pub fn finite_time_lyapunov(distances: &[f64]) -> Result<Option<FiniteTimeLyapunov>, SeriesError> {
    check_numbers(distances)?;
    let points: Vec<(f64, f64)> = (0..)
        .map(f64::from)
        .zip(distances)
        .filter(|(_, distance)| **distance > 0.0)
        .map(|(t, d)| (t, d.ln()))
        .collect();
    if points.len() < 2 {
        return Ok(None);
    }
    let n = points.len() as f64;
    let mean = (points.iter().map(|p| p.0).sum::<f64>() / n, points.iter().map(|p| p.1).sum::<f64>() / n);
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>();
    let spread = sum(&|p| (p.0 - mean.0).powi(2));
    let variance = sum(&|p| (p.1 - mean.1).powi(2));
    let joint = sum(&|p| (p.0 - mean.0) * (p.1 - mean.1));
    let mut late: Vec<f64> = points[points.len() / 2..].iter().map(|p| p.1).collect();
    late.sort_by(f64::total_cmp);
    let plateau = crate::bootstrap::quantile(&late, 0.5) + SATURATION.ln();
    Ok(Some(FiniteTimeLyapunov {
        rate: joint / spread,
        r_squared: if variance > 0.0 { (joint * joint / (spread * variance)).clamp(0.0, 1.0) } else { 1.0 },
        points: points.len(),
        zeros: distances.len() - points.len(),
        saturated: points.iter().filter(|p| p.1 >= plateau).count() as f64 / n,
    }))
}

/// Returns the mean of ln |stretch| over the steps of one trajectory, in nats a step; `None` without steps.
///
/// A stretch is the factor by which one step draws near trajectories apart, |f′(x)| for a map of the line. A stretch of 0 gives −∞.
///
/// # Errors
///
/// [`SeriesError::NumberNotFinite`].
///
/// Reference: `wolf1985`.
pub fn lyapunov_of_stretches(stretches: &[f64]) -> Result<Option<f64>, SeriesError> {
    check_numbers(stretches)?;
    let sum: f64 = stretches.iter().map(|stretch| stretch.abs().ln()).sum();
    Ok((!stretches.is_empty()).then(|| sum / stretches.len() as f64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_growth_has_its_rate_and_a_plateau_is_warned_of() {
        let growing: Vec<f64> = (0..20).map(|t| 1e-6 * (0.3 * f64::from(t)).exp()).collect();
        let found = finite_time_lyapunov(&growing).unwrap().unwrap();
        assert!((found.rate - 0.3).abs() < 1e-12 && (found.r_squared - 1.0).abs() < 1e-12);
        assert!(found.saturated < 0.3, "{found:?}");
        let bounded: Vec<f64> = (0..60).map(|t| 1.0_f64.min(1e-3 * (0.8 * f64::from(t)).exp())).collect();
        assert!(finite_time_lyapunov(&bounded).unwrap().unwrap().saturated > 0.5);
    }

    #[test]
    fn runs_in_one_place_have_no_rate() {
        assert_eq!(finite_time_lyapunov(&[0.0; 9]).unwrap(), None);
        assert_eq!(finite_time_lyapunov(&[]).unwrap(), None);
        let found = finite_time_lyapunov(&[0.0, 1.0, 0.0, 2.0]).unwrap().unwrap();
        assert_eq!((found.points, found.zeros), (2, 2));
        assert!((found.rate - 2.0_f64.ln() / 2.0).abs() < 1e-15);
        assert!(finite_time_lyapunov(&[f64::NAN]).is_err());
    }
}
