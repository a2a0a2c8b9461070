//! What a threshold on the distance to the k-th neighbour alone would call noise.
//!
//! A number to read a clustering's share of outliers beside. It knows nothing of trees and clusters: where the two are
//! far apart, the parameters deserve a second look.

/// The share of noise by distance alone.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct DistanceBaseline {
    /// Rows whose core distance is above this are noise; in units of the vectors.
    pub threshold: f64,
    /// Their share of all rows, in `[0, 1]`.
    pub noise_share: f64,
}

/// Splits rows in two by their core distances, where the two groups differ most (Otsu's rule).
///
/// The threshold minimises the variance within the groups, and is the largest distance of the near group. `None` where
/// fewer than two different finite distances are there. O(n log n) time.
///
/// Reference: `otsu1979`, on sorted values instead of a histogram.
pub fn distance_baseline(core_distances: &[f64]) -> Option<DistanceBaseline> {
    let mut sorted: Vec<f64> = core_distances.iter().copied().filter(|distance| distance.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let total: f64 = sorted.iter().sum();
    let count = sorted.len();
    let mut best: Option<(f64, usize)> = None;
    let mut below = 0.0;
    for near in 1..count {
        below += sorted[near - 1];
        if sorted[near - 1] == sorted[near] {
            continue;
        }
        let far = (count - near) as f64;
        let difference = (total - below) / far - below / near as f64;
        let between = near as f64 * far * difference * difference;
        if best.is_none_or(|(most, _)| between > most) {
            best = Some((between, near));
        }
    }
    let (_, near) = best?;
    let noise_share = (core_distances.len() - near) as f64 / core_distances.len() as f64;
    Some(DistanceBaseline { threshold: sorted[near - 1], noise_share })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_groups_are_told_apart() {
        let distances = [0.1, 0.2, 1.0, 0.15, 1.1, 0.9, 0.12, f64::INFINITY];
        assert_eq!(distance_baseline(&distances), Some(DistanceBaseline { threshold: 0.2, noise_share: 0.5 }));
    }

    #[test]
    fn one_distance_is_no_two_groups() {
        assert_eq!(distance_baseline(&[]), None);
        assert_eq!(distance_baseline(&[0.5, 0.5, 0.5]), None);
        assert_eq!(distance_baseline(&[f64::INFINITY; 3]), None);
    }
}
