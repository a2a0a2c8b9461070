//! Recurrence quantification: when a trajectory comes back to where it was.

use crate::series::{Series, SeriesError, cosine_distance};

/// Shorter lines do not count.
const LINE_MIN: usize = 2;

/// Which pairs of times hold the same state, as a symmetric matrix without its main diagonal.
#[derive(Debug, Clone)]
pub struct RecurrenceMatrix {
    size: usize,
    /// Row by row.
    recurs: Vec<bool>,
}

impl RecurrenceMatrix {
    /// Returns the matrix of what `recurs` says of two times, asked once for each pair `i < j`.
    pub fn new(size: usize, mut recurs: impl FnMut(usize, usize) -> bool) -> Self {
        let mut matrix = vec![false; size * size];
        for i in 0..size {
            for j in i + 1..size {
                let is_same = recurs(i, j);
                matrix[i * size + j] = is_same;
                matrix[j * size + i] = is_same;
            }
        }
        Self { size, recurs: matrix }
    }

    /// Returns which states are equal: nothing to choose, nothing to cluster.
    pub fn of_states<T: PartialEq>(states: &[T]) -> Self {
        Self::new(states.len(), |i, j| states[i] == states[j])
    }

    /// Returns which vectors lie within a cosine distance of `epsilon`, itself included. O(n² d).
    ///
    /// # Errors
    ///
    /// [`SeriesError::ZeroVector`].
    pub fn within(series: &Series<'_>, epsilon: f64) -> Result<Self, SeriesError> {
        series.check_directions()?;
        Ok(Self::new(series.len(), |i, j| cosine_distance(series.row(i), series.row(j)) <= epsilon))
    }

    /// Returns whether two different times hold the same state; the main diagonal is left out.
    pub fn recurs(&self, i: usize, j: usize) -> bool {
        self.recurs[i * self.size + j]
    }
}

/// What recurrences look like; the main diagonal, where every time meets itself, counts nowhere.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RecurrenceMeasures {
    /// The share of pairs of different times that hold the same state, in `[0, 1]`; RR.
    pub recurrence_rate: f64,
    /// The share of recurrences on diagonal lines of at least 2: what comes back goes on as before; DET. `None` without recurrences.
    pub determinism: Option<f64>,
    /// The mean length of these lines, in steps; L. `None` without lines.
    pub mean_diagonal: Option<f64>,
    /// The longest of them, in steps; 0 without lines.
    pub longest_diagonal: usize,
    /// The share of recurrences on vertical lines of at least 2: states that last; LAM. `None` without recurrences.
    pub laminarity: Option<f64>,
    /// The mean length of vertical lines, in steps; TT. `None` without lines.
    pub trapping_time: Option<f64>,
}

/// Measures a recurrence matrix. `None` for fewer than two times, which have no pair. O(n²) time.
///
/// Lines are cut where the main diagonal cuts them, so that a state that never changes has a laminarity just below 1.
///
/// Reference: `marwan2007`, equations 43 to 58; the lines along the main diagonal are left out as it advises.
pub fn recurrence_measures(matrix: &RecurrenceMatrix) -> Option<RecurrenceMeasures> {
    let n = matrix.size;
    if n < 2 {
        return None;
    }
    let (mut diagonal, mut vertical) = (Lines::default(), Lines::default());
    for offset in 1..n {
        // The matrix is symmetric: each line above the diagonal has a twin below.
        (0..n - offset).for_each(|i| diagonal.add(matrix.recurs(i, i + offset)));
        diagonal.end();
    }
    for column in 0..n {
        (0..n).for_each(|row| vertical.add(row != column && matrix.recurs(row, column)));
        vertical.end();
    }
    let share = |lines: &Lines| (lines.points > 0).then(|| lines.points_on_lines as f64 / lines.points as f64);
    let mean = |lines: &Lines| (lines.lines > 0).then(|| lines.points_on_lines as f64 / lines.lines as f64);
    Some(RecurrenceMeasures {
        recurrence_rate: 2.0 * diagonal.points as f64 / (n * (n - 1)) as f64,
        determinism: share(&diagonal),
        mean_diagonal: mean(&diagonal),
        longest_diagonal: diagonal.longest,
        laminarity: share(&vertical),
        trapping_time: mean(&vertical),
    })
}

#[derive(Default)]
struct Lines {
    length: usize,
    points: usize,
    points_on_lines: usize,
    lines: usize,
    longest: usize,
}

impl Lines {
    fn add(&mut self, recurs: bool) {
        if recurs {
            self.length += 1;
        } else {
            self.end();
        }
    }

    fn end(&mut self) {
        self.points += self.length;
        if self.length >= LINE_MIN {
            self.points_on_lines += self.length;
            self.lines += 1;
            self.longest = self.longest.max(self.length);
        }
        self.length = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> RecurrenceMeasures {
        recurrence_measures(&RecurrenceMatrix::of_states(text.as_bytes())).unwrap()
    }

    #[test]
    fn nothing_that_comes_back_has_no_share_of_it() {
        let measures = of("abcdef");
        assert_eq!(measures.recurrence_rate, 0.0);
        assert_eq!((measures.determinism, measures.laminarity, measures.mean_diagonal), (None, None, None));
        assert!(recurrence_measures(&RecurrenceMatrix::of_states(b"a")).is_none());
        assert!(recurrence_measures(&RecurrenceMatrix::of_states::<u8>(&[])).is_none());
        let pair = of("aa");
        assert_eq!((pair.recurrence_rate, pair.determinism, pair.laminarity), (1.0, Some(0.0), Some(0.0)));
    }

    #[test]
    fn a_sine_is_all_diagonals_and_noise_is_not() {
        // 12 samples a turn: positions a turn apart are equal, and nothing else is within the angle.
        let samples: Vec<f32> = (0..96)
            .flat_map(|t| {
                let angle = std::f64::consts::TAU * f64::from(t) / 12.0;
                [angle.cos() as f32, angle.sin() as f32]
            })
            .collect();
        let sine = Series::new(&samples, 96, 2).unwrap();
        let measures = recurrence_measures(&RecurrenceMatrix::within(&sine, 1e-6).unwrap()).unwrap();
        // Each of 12 phases stands 8 times among 96: 12 · 8 · 7 pairs.
        assert!((measures.recurrence_rate - 12.0 * 8.0 * 7.0 / (96.0 * 95.0)).abs() < 1e-12);
        assert_eq!((measures.determinism, measures.laminarity), (Some(1.0), Some(0.0)));
        assert_eq!(measures.longest_diagonal, 84);
        let mut chance = crate::chance::Chance::new(4);
        let noise: Vec<usize> = (0..200).map(|_| chance.below(12)).collect();
        let measures = recurrence_measures(&RecurrenceMatrix::of_states(&noise)).unwrap();
        assert!(measures.determinism.unwrap() < 0.3, "{measures:?}");
    }
}
