//! Windows of a trajectory as points: a trajectory that turns becomes a loop.

use crate::series::Series;

/// Points of one space, shape (n, d) in rows, ready for persistence.
#[derive(Debug, Clone, PartialEq)]
pub struct SlidingWindow {
    /// The numbers, row by row.
    pub values: Vec<f32>,
    /// How many points, n.
    pub count: usize,
    /// How many numbers each has, d.
    pub dimension: usize,
}

/// Returns the windows of `length` vectors that lie `delay` apart, as points: centred on their mean and scaled to length 1.
///
/// A point that is its own mean (a trajectory that stands still) stays at the origin, and with it all of its windows. The largest
/// finite bar of dimension 1, over √3, is the periodicity score of Perea and Harer: near 1 for a pure turn, near 0 for none. Fewer
/// vectors than one window give no points, as do a length or delay of 0. O(n · length · d) time.
///
/// Reference: `perea2015`, for a series of vectors: the mean is taken over the window, number by number.
pub fn sliding_window(series: &Series<'_>, length: usize, delay: usize) -> SlidingWindow {
    let dimension = series.dimension() * length;
    let span = length.saturating_sub(1).saturating_mul(delay);
    let none = SlidingWindow { values: Vec::new(), count: 0, dimension };
    if length == 0 || delay == 0 || series.len() <= span {
        return none;
    }
    let count = series.len() - span;
    let mut values = Vec::with_capacity(count * dimension);
    for first in 0..count {
        let rows: Vec<&[f32]> = (0..length).map(|index| series.row(first + index * delay)).collect();
        let means: Vec<f64> = (0..series.dimension())
            .map(|column| rows.iter().map(|row| f64::from(row[column])).sum::<f64>() / length as f64)
            .collect();
        let centred: Vec<f64> =
            rows.iter().flat_map(|row| row.iter().zip(&means).map(|(&value, mean)| f64::from(value) - mean)).collect();
        let norm = centred.iter().map(|value| value * value).sum::<f64>().sqrt();
        let scale = if norm > 0.0 { 1.0 / norm } else { 0.0 };
        values.extend(centred.iter().map(|value| (value * scale) as f32));
    }
    SlidingWindow { values, count, dimension }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_centred_and_of_length_one() {
        let samples: Vec<f32> = (0..30).map(|t| (t as f32 * 0.7).sin()).collect();
        let windows = sliding_window(&Series::new(&samples, 30, 1).unwrap(), 5, 2);
        assert_eq!((windows.count, windows.dimension), (22, 5));
        for window in windows.values.chunks(5) {
            assert!(window.iter().sum::<f32>().abs() < 1e-5);
            assert!((window.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn standing_still_and_short_series_are_no_error() {
        let still = Series::new(&[2.0; 12], 6, 2).unwrap();
        assert!(sliding_window(&still, 3, 1).values.iter().all(|&value| value == 0.0));
        assert_eq!(sliding_window(&still, 7, 1).count, 0);
        assert_eq!(sliding_window(&still, 0, 1).count, 0);
        assert_eq!(sliding_window(&still, 2, 0).count, 0);
    }
}
