//! Densities and bins: how values spread.

use loopscope_analysis::bootstrap::quantile;

/// A density as points, at equal steps from the least value to the largest.
pub(super) struct Density {
    /// Ascending.
    pub(super) at: Vec<f64>,
    /// As many, at least 0; their integral is 1 but for what lies beyond the ends.
    pub(super) height: Vec<f64>,
}

const POINTS: usize = 81;

/// Estimates a density with Gaussian kernels of Silverman's width, cut at the least and the largest value. `None` for fewer than 3 values
/// or values that are all the same.
pub(super) fn density(values: &[f64]) -> Option<Density> {
    let sorted = sorted(values);
    let (low, high) = (*sorted.first()?, *sorted.last()?);
    if sorted.len() < 3 || low == high {
        return None;
    }
    let n = sorted.len() as f64;
    let mean = sorted.iter().sum::<f64>() / n;
    let deviation = (sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let middle = (quantile(&sorted, 0.75) - quantile(&sorted, 0.25)) / 1.34;
    let spread = if middle > 0.0 { deviation.min(middle) } else { deviation };
    // Narrower than a hundredth of the range shows noise of the pixels.
    let width = (0.9 * spread * n.powf(-0.2)).max((high - low) / 100.0);
    let at: Vec<f64> = (0..POINTS).map(|i| low + (high - low) * i as f64 / (POINTS - 1) as f64).collect();
    let kernel = |x: f64| (-0.5 * x * x).exp() / (std::f64::consts::TAU.sqrt() * width * n);
    let height = at
        .iter()
        .map(|x| {
            // Farther than six widths a kernel adds nothing that shows.
            let from = sorted.partition_point(|value| *value < x - 6.0 * width);
            let to = sorted.partition_point(|value| *value <= x + 6.0 * width);
            sorted[from..to].iter().map(|value| kernel((x - value) / width)).sum()
        })
        .collect();
    Some(Density { at, height })
}

/// Returns finite values, ascending.
pub(super) fn sorted(values: &[f64]) -> Vec<f64> {
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// A histogram: edges, one more than counts.
pub(super) struct Bins {
    pub(super) edges: Vec<f64>,
    pub(super) counts: Vec<usize>,
}

/// Counts values in bins of equal width between two ends; what lies at the upper end is in the last bin.
pub(super) fn bins(values: &[f64], low: f64, high: f64, count: usize) -> Bins {
    let width = (high - low) / count as f64;
    let mut counts = vec![0; count];
    for value in values.iter().filter(|value| value.is_finite() && (low..=high).contains(value)) {
        counts[(((value - low) / width) as usize).min(count - 1)] += 1;
    }
    Bins { edges: (0..=count).map(|i| low + width * i as f64).collect(), counts }
}

/// Returns how many bins show so many values: the square root, within reason.
pub(super) fn bin_count(values: usize) -> usize {
    ((values as f64).sqrt().ceil() as usize).clamp(5, 36)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_integrates_to_nearly_one_and_peaks_where_values_are() {
        let values: Vec<f64> = (0..200).map(|i| (f64::from(i) * 0.7).sin()).collect();
        let found = density(&values).unwrap();
        let step = found.at[1] - found.at[0];
        let sum: f64 = found.height.iter().sum::<f64>() * step;
        assert!((0.8..1.05).contains(&sum), "{sum}");
        assert!(found.height[2] > found.height[40], "a sine is slowest at its ends");
        assert!(density(&[1.0, 1.0, 1.0]).is_none() && density(&[1.0, 2.0]).is_none());
    }

    #[test]
    fn every_value_is_in_one_bin() {
        let values: Vec<f64> = (0..=100).map(f64::from).collect();
        let found = bins(&values, 0.0, 100.0, 7);
        assert_eq!(found.counts.iter().sum::<usize>(), 101);
        assert_eq!(found.edges.len(), 8);
    }
}
