//! Persistence images.

use super::check::{DiagramError, finite_bars};
use crate::diagram::Bar;

/// Says how much a bar counts in a persistence image, by its length.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ImageWeight {
    /// All bars count 1. The image is then not stable: short bars come and go at no cost in any distance.
    One,
    /// A bar of length `l` counts `min(l / length_max, 1)`.
    Linear {
        /// The length from which on a bar counts 1, in units of the metric; finite and above 0.
        length_max: f64,
    },
    /// A bar of length `l` counts `l` to this power, which is finite and above 0.
    Power(f64),
}

/// Says what a persistence image shows, and how.
///
/// The ranges belong to the caller, as images can only be compared where they are the same.
///
/// ```
/// use ripsaw::ImageOptions;
///
/// let options = ImageOptions::new((0.0, 2.0), (0.0, 1.0), 0.1).with_resolution(40, 20);
/// assert_eq!((options.birth_count, options.length_count), (40, 20));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ImageOptions {
    /// The births shown, from and to, in units of the metric; finite and rising.
    pub birth_range: (f64, f64),
    /// The lengths shown, from and to, in units of the metric; finite and rising.
    pub length_range: (f64, f64),
    /// The standard deviation of the blur, in units of the metric; finite and above 0.
    pub sigma: f64,
    /// Pixels along the birth; 20 by default.
    pub birth_count: usize,
    /// Pixels along the length; 20 by default.
    pub length_count: usize,
    /// How much a bar counts; by default linear up to the end of `length_range`, and 1 beyond.
    pub weight: ImageWeight,
}

impl ImageOptions {
    /// Shows these ranges with this blur, in 20 by 20 pixels.
    #[must_use]
    pub fn new(birth_range: (f64, f64), length_range: (f64, f64), sigma: f64) -> Self {
        let weight = ImageWeight::Linear { length_max: length_range.1 };
        Self { birth_range, length_range, sigma, birth_count: 20, length_count: 20, weight }
    }

    /// Sets the number of pixels along the birth and along the length.
    #[must_use]
    pub fn with_resolution(mut self, birth_count: usize, length_count: usize) -> Self {
        (self.birth_count, self.length_count) = (birth_count, length_count);
        self
    }

    /// Sets how much a bar counts.
    #[must_use]
    pub fn with_weight(mut self, weight: ImageWeight) -> Self {
        self.weight = weight;
        self
    }

    fn check(&self) -> Result<(), DiagramError> {
        let check = |name, got: f64, is_good: bool| {
            if is_good { Ok(()) } else { Err(DiagramError::Parameter { name, got }) }
        };
        let is_range = |(low, high): (f64, f64)| low < high && (high - low).is_finite();
        let is_positive = |value: f64| value.is_finite() && value > 0.0;
        check("the end of the births shown", self.birth_range.1, is_range(self.birth_range))?;
        check("the end of the lengths shown", self.length_range.1, is_range(self.length_range))?;
        check("the standard deviation of the blur", self.sigma, is_positive(self.sigma))?;
        match self.weight {
            ImageWeight::One => Ok(()),
            ImageWeight::Linear { length_max } => {
                check("the length from which on a bar counts 1", length_max, is_positive(length_max))
            }
            ImageWeight::Power(power) => check("the power of the weight", power, is_positive(power)),
        }
    }
}

impl ImageWeight {
    fn of(self, length: f64) -> f64 {
        match self {
            Self::One => 1.0,
            Self::Linear { length_max } => (length / length_max).min(1.0),
            Self::Power(power) => length.powf(power),
        }
    }
}

/// Returns the persistence image of a diagram: its bars blurred, weighted and added up over the pixels of a grid.
///
/// A bar from `b` to `d` is a point at `(b, l)`, with `l = d - b`. It spreads its weight `w(l)` as a normal distribution of
/// standard deviation `σ` in both directions. A pixel `[x0, x1] × [y0, y1]` holds the integral of the sum,
///
/// `Σ w(l) · (Φ((x1 - b) / σ) - Φ((x0 - b) / σ)) · (Φ((y1 - l) / σ) - Φ((y0 - l) / σ))`,
///
/// with `Φ` the normal distribution function, here within 1e-15. Pixels divide the two ranges equally. The result has
/// `length_count · birth_count` numbers, row by row, each row along the birth, the rows from the lowest length up. What is
/// spread beyond the ranges is lost. Bars that never die, and bars of length zero, are left out. Divided by the area of
/// a pixel, the numbers are means of the density.
///
/// Takes O(n · length_count · birth_count) time; order changes only rounding.
///
/// ```
/// use ripsaw::{Bar, ImageOptions, ImageWeight, persistence_image};
///
/// // One bar in the middle, and all of its weight is within six standard deviations.
/// let options = ImageOptions::new((0.0, 2.0), (0.0, 2.0), 0.1).with_resolution(2, 2).with_weight(ImageWeight::One);
/// let image = persistence_image(&[Bar { birth: 1.0, death: 2.0 }], &options)?;
/// assert!(image.iter().all(|pixel| (pixel - 0.25).abs() < 1e-9));
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// [`DiagramError::NotANumber`], [`DiagramError::InfiniteBirth`] or [`DiagramError::DeathBeforeBirth`], naming the first
/// bad bar; [`DiagramError::Parameter`] for options out of range.
///
/// Reference: `adams2017`.
pub fn persistence_image(bars: &[Bar], options: &ImageOptions) -> Result<Vec<f64>, DiagramError> {
    options.check()?;
    let mut image = vec![0.0; options.birth_count * options.length_count];
    if image.is_empty() {
        finite_bars(bars)?;
        return Ok(image);
    }
    for bar in finite_bars(bars)? {
        let weight = options.weight.of(bar.length());
        let across = masses(bar.birth, options.birth_range, options.birth_count, options.sigma);
        let up = masses(bar.length(), options.length_range, options.length_count, options.sigma);
        for (row, y) in image.chunks_exact_mut(options.birth_count).zip(up) {
            row.iter_mut().zip(&across).for_each(|(pixel, x)| *pixel += weight * x * y);
        }
    }
    Ok(image)
}

/// The share of a normal distribution about `centre` that falls on each of so many equal parts of a range.
fn masses(centre: f64, (low, high): (f64, f64), count: usize, sigma: f64) -> Vec<f64> {
    let edge = |place: usize| low + (high - low) * (place as f64 / count as f64);
    let scaled = |place: usize| (edge(place) - centre) / (sigma * std::f64::consts::SQRT_2);
    (0..count).map(|place| half_difference(scaled(place), scaled(place + 1))).collect()
}

/// Returns `(erf(high) - erf(low)) / 2`, without the loss of a difference far from zero.
fn half_difference(low: f64, high: f64) -> f64 {
    let difference = match () {
        () if low > 0.0 => erfc(low) - erfc(high),
        () if high < 0.0 => erfc(-high) - erfc(-low),
        () => (1.0 - erfc(high)) + (1.0 - erfc(-low)),
    };
    difference / 2.0
}

/// One minus the error function, for arguments not below zero.
///
/// A series of positive terms near zero, and a continued fraction beyond (`abramowitz1964`, 7.1.6 and 7.1.14).
fn erfc(x: f64) -> f64 {
    if x < 2.0 { 1.0 - erf_series(x) } else { erfc_fraction(x) }
}

fn erf_series(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for n in 1..100 {
        term *= 2.0 * x * x / f64::from(2 * n + 1);
        sum += term;
        if term < sum * f64::EPSILON / 4.0 {
            break;
        }
    }
    std::f64::consts::FRAC_2_SQRT_PI * (-x * x).exp() * sum
}

fn erfc_fraction(x: f64) -> f64 {
    if x > 27.0 {
        return 0.0; // Below the smallest f64.
    }
    let tail = (1..=120).rev().fold(x, |tail, n| x + f64::from(n) / 2.0 / tail);
    std::f64::consts::FRAC_2_SQRT_PI / 2.0 * (-x * x).exp() / tail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_function_is_that_of_the_c_library() {
        // `math.erf` and `math.erfc` of Python 3.11.
        let erf = [
            (0.0, 0.0),
            (0.5, 0.520_499_877_813_046_5),
            (1.0, 0.842_700_792_949_714_9),
            (1.5, 0.966_105_146_475_310_8),
            (1.99, 0.995_111_413_199_617),
        ];
        for (x, expected) in erf {
            assert!((1.0 - erfc(x) - expected).abs() < 5e-16, "{x}");
        }
        let erfc_far = [
            (2.5, 4.069_520_174_449_589e-4),
            (3.0, 2.209_049_699_858_543_8e-5),
            (5.0, 1.537_459_794_428_035_1e-12),
            (20.0, 5.395_865_611_607_9e-176),
        ];
        for (x, expected) in erfc_far {
            assert!((erfc(x) / expected - 1.0).abs() < 1e-13, "{x}");
        }
    }

    #[test]
    fn series_and_fraction_meet() {
        for x in [1.8f64, 2.0, 2.2] {
            assert!((1.0 - erf_series(x) - erfc_fraction(x)).abs() < 1e-15, "{x}");
        }
    }
}
