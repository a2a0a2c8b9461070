//! What a segment costs: its scatter in the space of a kernel.

use super::ChangePointError;
use crate::series::{Series, SeriesError};

/// A kernel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cost {
    /// k = cos: directions alone. The cost of n vectors is at most n.
    Cosine,
    /// k = x·y: the cost is the sum of squared distances from the mean.
    L2,
    /// k = e^(−γ |x − y|²): any change of law, near ones above all. The cost of n vectors is at most n. γ |x − y|² is held between
    /// 0.01 and 100, as in ruptures, so that vectors nearer than a tenth of the width are one.
    Rbf {
        /// γ, above 0: 1 suits vectors of length 1; [`Cost::rbf`] chooses it from the data.
        gamma: f64,
    },
}

impl Cost {
    /// Returns the kernel whose width is the median distance: γ = 1 / median |x − y|² over pairs of different vectors, and 1
    /// where all are equal. O(n² d) time.
    ///
    /// Reference: `garreau2018` for the heuristic.
    pub fn rbf(series: &Series<'_>) -> Self {
        let squared = |i: usize, j: usize| crate::series::euclidean_distance(series.row(i), series.row(j)).powi(2);
        let pairs = (0..series.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        let mut distances: Vec<f64> = pairs.map(|(i, j)| squared(i, j)).filter(|&distance| distance > 0.0).collect();
        if distances.is_empty() {
            return Self::Rbf { gamma: 1.0 };
        }
        distances.sort_by(f64::total_cmp);
        Self::Rbf { gamma: 1.0 / crate::bootstrap::quantile(&distances, 0.5) }
    }

    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::L2 => "l2",
            Self::Rbf { .. } => "rbf",
        }
    }
}

/// A kernel between the vectors of one series.
pub(super) struct Kernel {
    /// Directions for the cosine, the vectors themselves otherwise.
    rows: Vec<Vec<f64>>,
    cost: Cost,
}

impl Kernel {
    pub(super) fn new(series: &Series<'_>, cost: Cost) -> Result<Self, ChangePointError> {
        if let Cost::Rbf { gamma } = cost
            && !(gamma.is_finite() && gamma > 0.0)
        {
            return Err(ChangePointError::GammaOutOfRange { got: gamma });
        }
        let mut rows: Vec<Vec<f64>> =
            series.rows().map(|row| row.iter().map(|&value| f64::from(value)).collect()).collect();
        match cost {
            Cost::Cosine => {
                series.check_directions()?;
                rows.iter_mut().for_each(|row| scale_to_one(row));
            }
            // The cost is the same around any origin; around the mean it keeps its digits.
            Cost::L2 => centre(&mut rows),
            Cost::Rbf { .. } => {}
        }
        let kernel = Self { rows, cost };
        match (0..kernel.len()).find(|&row| !kernel.value(row, row).is_finite()) {
            Some(index) => Err(SeriesError::NumberNotFinite { index, got: kernel.value(index, index) }.into()),
            None => Ok(kernel),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }

    pub(super) fn value(&self, i: usize, j: usize) -> f64 {
        let pairs = || self.rows[i].iter().zip(&self.rows[j]);
        match self.cost {
            Cost::Cosine | Cost::L2 => pairs().map(|(a, b)| a * b).sum(),
            Cost::Rbf { gamma } => {
                let squared: f64 = pairs().map(|(a, b)| (a - b).powi(2)).sum();
                (-(gamma * squared).clamp(0.01, 100.0)).exp()
            }
        }
    }

    /// Returns half the squared distance of neighbours in the space of the kernel.
    pub(super) fn half_step(&self, i: usize) -> f64 {
        let squared = match self.cost {
            // Equal vectors are at distance 0 exactly, which a difference of products does not give.
            Cost::Cosine | Cost::L2 => {
                self.rows[i].iter().zip(&self.rows[i + 1]).map(|(a, b)| (a - b).powi(2)).sum::<f64>()
            }
            Cost::Rbf { .. } => self.value(i, i) + self.value(i + 1, i + 1) - 2.0 * self.value(i, i + 1),
        };
        squared / 2.0
    }
}

fn scale_to_one(row: &mut [f64]) {
    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
    row.iter_mut().for_each(|value| *value /= length);
}

fn centre(rows: &mut [Vec<f64>]) {
    let count = rows.len() as f64;
    let dimension = rows.first().map_or(0, Vec::len);
    for column in 0..dimension {
        let mean = rows.iter().map(|row| row[column] / count).sum::<f64>();
        rows.iter_mut().for_each(|row| row[column] -= mean);
    }
}

/// The costs of all segments that end at one place, which moves forward.
pub(super) struct EndingCosts<'a> {
    kernel: &'a Kernel,
    /// Σ k(x_i, x_j) over i, j from s to the end, for each start s.
    sums: Vec<f64>,
    /// Σ k(x_i, x_i) over i before each place.
    diagonal: Vec<f64>,
    end: usize,
}

impl<'a> EndingCosts<'a> {
    pub(super) fn new(kernel: &'a Kernel) -> Self {
        Self { kernel, sums: Vec::with_capacity(kernel.len()), diagonal: vec![0.0], end: 0 }
    }

    /// Takes one more vector into the segments that begin at `first` or later. O(n d).
    pub(super) fn advance(&mut self, first: usize) {
        let new = self.end;
        let own = self.kernel.value(new, new);
        self.sums.push(0.0);
        let mut with_later = 0.0;
        for start in (first..=new).rev() {
            if start < new {
                with_later += self.kernel.value(start, new);
            }
            self.sums[start] += 2.0 * with_later + own;
        }
        self.diagonal.push(self.diagonal[new] + own);
        self.end += 1;
    }

    /// Returns the cost of the segment from `start` to before the end.
    pub(super) fn cost(&self, start: usize) -> f64 {
        let length = (self.end - start) as f64;
        let scatter = self.diagonal[self.end] - self.diagonal[start] - self.sums[start] / length;
        scatter.max(0.0)
    }
}
