//! The points as the kernel reads them: centred, scaled, in panels, with norms that make every bound a lower one.
//!
//! Distances do not change when the mean is taken off, and the norms that rounding is relative to get smaller. The scale
//! is a power of two, so nothing is rounded by it, and it brings the longest vector near 1, so nothing overflows.
//!
//! Let A, B be two exact centred vectors, a, b what f32 makes of them, u = 2⁻²⁴. Then, up to second order:
//! `||A-B|² - |a-b|²| ≤ 2 |A-B| u (|A|+|B|) ≤ 4u (|A|²+|B|²)`; the product of d coordinates is wrong by at most
//! `d u |a||b|`, twice that is `≤ d u (|a|²+|b|²)`; the norms and the two additions that make the bound are rounded to
//! f32, which costs at most `4u (|a|²+|b|²)`. Together less than κ (|a|²+|b|²) with κ = 1.01 (d + 16) u. Norms lowered
//! by the factor 1-κ therefore give lower bounds, and a bound is at most 2κ (|a|²+|b|²) too low.

use super::Vectors;
use super::kernel::{COLUMNS, Instructions, ROWS, Tile};
use super::workers::{Cancelled, Stage, Workers};

/// Points of a block: what one thread keeps at hand while it walks along all columns.
pub(super) const BLOCK: usize = 96;

/// Covers products too small for f32, in scaled units.
const UNDERFLOW_SLACK: f64 = 1e-36;

/// Some points, in an order of their own, ready for the kernel.
pub(super) struct Packed {
    instructions: Instructions,
    dimension: usize,
    point_count: usize,
    /// For each panel of [`COLUMNS`] points one coordinate of all of them after the other.
    panels: Vec<[f32; COLUMNS]>,
    /// For each panel the lowered squared norms; infinite where there is no point.
    norms: Vec<[f32; COLUMNS]>,
    /// For each point κ |a|², rounded up.
    slack: Vec<f32>,
    /// A squared distance times this is what the bounds bound.
    pub(super) scale_squared: f64,
}

/// Where the points are centred, and by what they are multiplied.
#[derive(Clone)]
pub(super) struct Frame {
    mean: Vec<f64>,
    scale: f64,
}

impl Frame {
    /// Measures the points in `rows` of `vectors`.
    pub(super) fn of(vectors: &Vectors<'_>, rows: &[usize]) -> Self {
        let mut mean = vec![0.0; vectors.dimension()];
        for &row in rows {
            mean.iter_mut().zip(vectors.row(row)).for_each(|(sum, &x)| *sum += f64::from(x));
        }
        mean.iter_mut().for_each(|sum| *sum /= rows.len().max(1) as f64);
        let deviation = |row: usize| -> f64 {
            vectors.row(row).iter().zip(&mean).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum()
        };
        let longest = rows.iter().map(|&row| deviation(row)).fold(0.0, f64::max).sqrt();
        // 2^-exponent, kept within what f64 holds; points that are all equal are scaled by nothing.
        let exponent = if longest > 0.0 { longest.log2().ceil().clamp(-600.0, 600.0) } else { 0.0 };
        Self { mean, scale: (-exponent).exp2() }
    }

    /// A squared distance times this is what bounds bound.
    pub(super) fn scale_squared(&self) -> f64 {
        self.scale * self.scale
    }
}

impl Packed {
    /// Packs the points in `rows` of `vectors`, in that order. O(n d) time, as much memory as the points take.
    pub(super) fn new(
        vectors: &Vectors<'_>,
        rows: &[usize],
        frame: &Frame,
        workers: &mut Workers<'_>,
    ) -> Result<Self, Cancelled> {
        let dimension = vectors.dimension().max(1);
        let panel_count = rows.len().div_ceil(COLUMNS).next_multiple_of(BLOCK / COLUMNS);
        let mut packed = Self {
            instructions: Instructions::detect(),
            dimension,
            point_count: rows.len(),
            panels: vec![[0.0; COLUMNS]; panel_count * dimension],
            norms: vec![[f32::INFINITY; COLUMNS]; panel_count],
            slack: vec![0.0; panel_count * COLUMNS],
            scale_squared: frame.scale_squared(),
        };
        let relative = 1.01 * (dimension as f64 + 16.0) * f64::from(f32::EPSILON) / 2.0;
        let outputs = packed.norms.iter_mut().zip(packed.slack.chunks_mut(COLUMNS));
        let panels = packed.panels.chunks_mut(dimension).zip(outputs);
        workers.run(
            Stage::Pack,
            panels.enumerate(),
            || (),
            |(), (panel, (coordinates, (norms, slack)))| {
                let first = panel * COLUMNS;
                for (lane, &row) in rows[first.min(rows.len())..].iter().take(COLUMNS).enumerate() {
                    let mut norm = 0.0;
                    for ((place, &x), mean) in coordinates.iter_mut().zip(vectors.row(row)).zip(&frame.mean) {
                        let x = ((f64::from(x) - mean) * frame.scale) as f32;
                        place[lane] = x;
                        norm += f64::from(x) * f64::from(x);
                    }
                    let own = relative * norm + UNDERFLOW_SLACK;
                    slack[lane] = rounded_up(own);
                    norms[lane] = rounded_down(norm - own);
                }
            },
        )?;
        Ok(packed)
    }

    pub(super) fn point_count(&self) -> usize {
        self.point_count
    }

    pub(super) fn block_count(&self) -> usize {
        self.norms.len() * COLUMNS / BLOCK
    }

    pub(super) fn panel_count(&self) -> usize {
        self.norms.len()
    }

    /// For each point the rounding that it brings to a bound, see the module.
    pub(super) fn slack(&self) -> &[f32] {
        &self.slack
    }

    /// Gathers up to [`ROWS`] points into one group of rows; missing ones are infinitely far.
    pub(super) fn gather(&self, points: &[usize], rows: &mut RowGroup) {
        rows.coordinates.clear();
        rows.coordinates.resize(self.dimension, [0.0; ROWS]);
        rows.norms = [f32::INFINITY; ROWS];
        for (row, &point) in points.iter().enumerate().take(ROWS) {
            let (panel, lane) = (point / COLUMNS, point % COLUMNS);
            let source = &self.panels[panel * self.dimension..(panel + 1) * self.dimension];
            for (place, coordinates) in rows.coordinates.iter_mut().zip(source) {
                place[row] = coordinates[lane];
            }
            rows.norms[row] = self.norms[panel][lane];
        }
    }

    /// Computes the bounds of a group of rows with the points of a panel.
    pub(super) fn bounds(&self, rows: &RowGroup, panel: usize, tile: &mut Tile) {
        let columns = &self.panels[panel * self.dimension..(panel + 1) * self.dimension];
        self.instructions.bounds((&rows.coordinates, &rows.norms), (columns, &self.norms[panel]), tile);
    }

    /// Gathers the rows of a block, group after group.
    pub(super) fn gather_block(&self, block: usize, groups: &mut Vec<RowGroup>) {
        groups.resize_with(BLOCK / ROWS, RowGroup::default);
        for (number, group) in groups.iter_mut().enumerate() {
            let points: [usize; ROWS] = std::array::from_fn(|row| block * BLOCK + number * ROWS + row);
            self.gather(&points, group);
        }
    }

    /// The bytes that packing so many points takes.
    pub(super) fn bytes(point_count: usize, dimension: usize) -> u64 {
        (point_count as u64) * (dimension as u64 + 2) * 4
    }
}

/// Up to [`ROWS`] points as rows of the kernel.
#[derive(Default)]
pub(super) struct RowGroup {
    coordinates: Vec<[f32; ROWS]>,
    norms: [f32; ROWS],
}

/// The largest f32 that is not above `x`.
pub(super) fn rounded_down(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) > x { near.next_down() } else { near }
}

/// The smallest f32 that is not below `x`.
pub(super) fn rounded_up(x: f64) -> f32 {
    let near = x as f32;
    if f64::from(near) < x { near.next_up() } else { near }
}

#[cfg(test)]
mod tests {
    use super::super::distance::squared_distance;
    use super::*;
    use proptest::prelude::*;

    fn check(values: &[f32], dimension: usize) -> Result<(), TestCaseError> {
        let count = values.len() / dimension;
        let Ok(vectors) = Vectors::new(values, count, dimension) else { return Ok(()) };
        let rows: Vec<usize> = (0..count).collect();
        let frame = Frame::of(&vectors, &rows);
        let packed = Packed::new(&vectors, &rows, &frame, &mut Workers::single()).unwrap();
        let mut group = RowGroup::default();
        let mut tile = [[0.0; COLUMNS]; ROWS];
        for first in (0..count).step_by(ROWS) {
            let points: Vec<usize> = (first..count.min(first + ROWS)).collect();
            packed.gather(&points, &mut group);
            for panel in 0..count.div_ceil(COLUMNS) {
                packed.bounds(&group, panel, &mut tile);
                for (row, &a) in points.iter().enumerate() {
                    for (column, &bound) in tile[row].iter().enumerate() {
                        let b = panel * COLUMNS + column;
                        if b >= count {
                            prop_assert_eq!(bound, f32::INFINITY);
                            continue;
                        }
                        let exact = squared_distance(vectors.row(a), vectors.row(b)) * packed.scale_squared;
                        let high = f64::from(bound) + 2.0 * f64::from(packed.slack[a] + packed.slack[b]) * 1.001;
                        prop_assert!(f64::from(bound) <= exact && exact <= high, "{a} {b}: {bound} {exact} {high}");
                    }
                }
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn bounds_hold_whatever_the_numbers(
            // Numbers close together are drawn as integers: proptest's sampler of floats fails its own assertion on so narrow a range.
            values in prop::collection::vec(prop_oneof![
                -1.0f32..1.0, (999_000u32..1_001_000).prop_map(|millionths| millionths as f32 / 1e6), prop::num::f32::NORMAL, prop::num::f32::SUBNORMAL, Just(0.0)
            ], 7..400),
            dimension in 1usize..8,
        ) {
            check(&values[..values.len() / dimension * dimension], dimension)?;
        }

        #[test]
        fn bounds_hold_in_many_dimensions(seed in any::<u32>(), offset in 0.0f32..100.0) {
            let number = |k: u32| (k.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 16_777_216.0;
            let values: Vec<f32> = (0..40 * 800).map(|k| number(k) + offset).collect();
            check(&values, 800)?;
        }
    }
}
