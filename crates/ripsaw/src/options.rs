//! What a caller may choose, and the switches by which the tests check that no shortcut changes a bar.

use crate::error::Error;

/// The largest value of [`Options::max_dimension`].
///
/// Simplices of higher dimension either do not exist or cannot be numbered in 64 bits: that takes 68 points.
pub const MAX_DIMENSION_LIMIT: usize = 66;

/// Chooses how far the computation goes.
///
/// ```
/// use ripsaw::Options;
///
/// let options = Options::default().with_max_dimension(1).with_threshold(0.5);
/// assert_eq!(options.max_dimension, 1);
/// assert_eq!(options.threshold, Some(0.5));
/// assert_eq!(options.memory_bytes_max, None);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// The highest dimension of homology, 0 to [`MAX_DIMENSION_LIMIT`]; 2 by default. Cost grows steeply with it: the
    /// simplices looked at have one dimension more.
    pub max_dimension: usize,
    /// The largest diameter of a simplex, in units of the metric, not negative; a simplex of exactly this diameter is
    /// in. `None`, the default, takes the enclosing radius, beyond which nothing happens, and so does every threshold
    /// above that radius. A bar that the threshold cuts off has no death.
    pub threshold: Option<f64>,
    /// Whether edges that change no bar are taken out first; [`Collapse::Auto`] by default. It changes no bar.
    pub collapse: Collapse,
    /// How many threads work, the calling one among them; 1 by default, and 0 counts as 1. It changes no bar.
    pub thread_count: usize,
    /// The most memory the computation may hold at one time, in bytes, its input left out; no limit by default.
    pub memory_bytes_max: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self { max_dimension: 2, threshold: None, collapse: Collapse::Auto, thread_count: 1, memory_bytes_max: None }
    }
}

impl Options {
    /// Sets the highest dimension of homology, 0 to [`MAX_DIMENSION_LIMIT`].
    #[must_use]
    pub fn with_max_dimension(mut self, max_dimension: usize) -> Self {
        self.max_dimension = max_dimension;
        self
    }

    /// Sets the largest diameter of a simplex, in units of the metric.
    #[must_use]
    pub fn with_threshold(mut self, threshold: f64) -> Self {
        self.threshold = Some(threshold);
        self
    }

    /// Sets whether edges that change no bar are taken out first.
    #[must_use]
    pub fn with_collapse(mut self, collapse: Collapse) -> Self {
        self.collapse = collapse;
        self
    }

    /// Sets how many threads work.
    #[must_use]
    pub fn with_threads(mut self, thread_count: usize) -> Self {
        self.thread_count = thread_count;
        self
    }

    /// Sets the most memory the computation may hold at one time, in bytes.
    #[must_use]
    pub fn with_memory_bytes_max(mut self, memory_bytes_max: u64) -> Self {
        self.memory_bytes_max = Some(memory_bytes_max);
        self
    }

    /// Refuses values out of range before any work is done.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.max_dimension > MAX_DIMENSION_LIMIT {
            return Err(Error::MaxDimension { got: self.max_dimension, limit: MAX_DIMENSION_LIMIT });
        }
        match self.threshold {
            Some(got) if got.is_nan() || got < 0.0 => Err(Error::Threshold { got }),
            _ => Ok(()),
        }
    }
}

/// Chooses whether edges are collapsed: taken out where their coming changes no homology.
///
/// The bars are the same for all choices, only the time differs. The method is that of Boissonnat and Pritam (2020) in
/// the order of Glisse and Pritam (2022).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Collapse {
    /// Begins, and stops when it does not pay.
    #[default]
    Auto,
    /// Collapses all edges.
    On,
    /// Leaves all edges.
    Off,
}

/// Switches each shortcut on or off; the bars are the same for all settings.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortcuts {
    /// Skips columns known to reduce to zero (`chen2011`).
    pub clearing: bool,
    /// Takes the first cofacet of equal diameter as the pivot when it is free (`bauer2021`, emergent pairs).
    pub emergent: bool,
    /// Leaves out pairs that can be read off the simplices alone (`bauer2021`, apparent pairs).
    pub apparent: bool,
    /// Keeps one of each set of points that no distance tells apart.
    pub merge_duplicates: bool,
    /// Packs simplices into 64 bits where they fit, instead of 128.
    pub narrow_keys: bool,
    /// Keeps a column of dimension 1 as the edges whose coboundary it is, instead of as its triangles.
    pub cochains: bool,
}

impl Default for Shortcuts {
    fn default() -> Self {
        Self {
            clearing: true,
            emergent: true,
            apparent: true,
            merge_duplicates: true,
            narrow_keys: true,
            cochains: true,
        }
    }
}
