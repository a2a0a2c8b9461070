//! Persistence landscapes on a grid.

use super::check::{DiagramError, check_grid, finite_bars};
use crate::diagram::Bar;

/// Returns the first `level_count` levels of the persistence landscape at each value of a grid.
///
/// A bar from `b` to `d` is a tent of height `(d - b) / 2` over its middle: `max(0, min(t - b, d - t))` at `t`. Level `k`,
/// counted from 0, is at each `t` the tent that is the `k + 1`-st largest there, 0 where there are fewer. The result has
/// `level_count · grid.len()` numbers in units of the metric, level by level. `grid` rises and is finite. Bars that never
/// die, and bars of length zero, are left out.
///
/// With `m` values takes O(n m log n) time at worst; the result does not depend on the order of bars.
///
/// ```
/// use ripsaw::{Bar, persistence_landscape};
///
/// let bars = [(0.0, 4.0), (1.0, 3.0)].map(Bar::from);
/// let levels = persistence_landscape(&bars, 2, &[0.0, 1.0, 2.0, 3.0])?;
/// assert_eq!(levels[..4], [0.0, 1.0, 2.0, 1.0]);
/// assert_eq!(levels[4..], [0.0, 0.0, 1.0, 0.0]);
/// # Ok::<(), ripsaw::DiagramError>(())
/// ```
///
/// # Errors
///
/// [`DiagramError::NotANumber`], [`DiagramError::InfiniteBirth`] or [`DiagramError::DeathBeforeBirth`], naming the first
/// bad bar; [`DiagramError::Grid`] for a grid that does not rise or is not finite.
///
/// Reference: `bubenik2015`.
pub fn persistence_landscape(bars: &[Bar], level_count: usize, grid: &[f64]) -> Result<Vec<f64>, DiagramError> {
    check_grid(grid)?;
    let bars = finite_bars(bars)?;
    let mut landscape = vec![0.0; level_count * grid.len()];
    let mut heights = Vec::with_capacity(bars.len());
    for (place, &value) in grid.iter().enumerate() {
        heights.clear();
        heights
            .extend(bars.iter().map(|bar| (value - bar.birth).min(bar.death - value)).filter(|&height| height > 0.0));
        heights.sort_unstable_by(|a, b| b.total_cmp(a));
        for (level, &height) in heights.iter().take(level_count).enumerate() {
            landscape[level * grid.len() + place] = height;
        }
    }
    Ok(landscape)
}
