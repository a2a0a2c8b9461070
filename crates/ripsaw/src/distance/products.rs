//! Scalar products of all pairs of points, many at a time.
//!
//! A product of two `f32` is exact in `f64`, and products are added one after the other from the first coordinate. So
//! it does not matter whether a machine adds them fused or not, nor how many at a time: the sums are the same bits.

use crate::distance::PointCloud;

/// Points on the narrow side of a block.
pub(crate) const LANES: usize = 8;

/// Rows that are packed at one time; with 768 coordinates they stay within the second-level cache.
pub(crate) const ROWS: usize = 64;

/// Holds so many rows in packed form, and room for a panel.
pub(crate) struct Products<'a> {
    points: &'a PointCloud<'a>,
    instructions: Instructions,
    /// Groups of [`LANES`] rows, coordinate by coordinate.
    rows: Vec<[f64; LANES]>,
    panel: Vec<[f64; LANES]>,
}

impl<'a> Products<'a> {
    pub(crate) fn new(points: &'a PointCloud<'a>) -> Self {
        Self { points, instructions: Instructions::detect(), rows: Vec::new(), panel: Vec::new() }
    }

    /// Calls `visit` with the products of each of `rows` with up to [`LANES`] `columns`: the place of the row among the
    /// rows, the place of the first column among the columns, and the products.
    ///
    /// Columns that stand before their row may be left out.
    pub(crate) fn for_each(
        &mut self,
        rows: &[usize],
        columns: &[usize],
        mut visit: impl FnMut(usize, usize, &[f64; LANES]),
    ) {
        let dimension = self.points.dimension();
        self.rows.clear();
        for group in rows.chunks(LANES) {
            pack(self.points, group, &mut self.rows);
        }
        for (number, columns) in columns.chunks(LANES).enumerate() {
            self.panel.clear();
            pack(self.points, columns, &mut self.panel);
            for (group, packed) in self.rows.chunks_exact(dimension).enumerate() {
                let products = self.instructions.products(packed, &self.panel);
                let rows_left = rows.len() - group * LANES;
                for (row, products) in products.iter().enumerate().take(rows_left) {
                    visit(group * LANES + row, number * LANES, products);
                }
            }
        }
    }
}

/// Appends the coordinates of up to [`LANES`] points, coordinate by coordinate; missing points are zero.
fn pack(points: &PointCloud<'_>, chosen: &[usize], packed: &mut Vec<[f64; LANES]>) {
    let start = packed.len();
    packed.resize(start + points.dimension(), [0.0; LANES]);
    for (lane, &point) in chosen.iter().enumerate() {
        for (place, &x) in packed[start..].iter_mut().zip(points.point(point)) {
            place[lane] = x.into();
        }
    }
}

/// What the processor can do.
#[derive(Clone, Copy)]
enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Any,
}

impl Instructions {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Any
    }

    fn products(self, rows: &[[f64; LANES]], panel: &[[f64; LANES]]) -> [[f64; LANES]; LANES] {
        match self {
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "the compiler cannot know that the processor has been asked; safe otherwise"
            )]
            // SAFETY: `detect` has found these instructions on this machine.
            Self::Avx512 => unsafe { products_avx512(rows, panel) },
            #[cfg(target_arch = "x86_64")]
            #[expect(
                unsafe_code,
                reason = "the compiler cannot know that the processor has been asked; safe otherwise"
            )]
            // SAFETY: `detect` has found these instructions on this machine.
            Self::Avx2 => unsafe { products_avx2(rows, panel) },
            Self::Any => products::<2, false>(rows, panel),
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn products_avx512(rows: &[[f64; LANES]], panel: &[[f64; LANES]]) -> [[f64; LANES]; LANES] {
    products::<8, true>(rows, panel)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn products_avx2(rows: &[[f64; LANES]], panel: &[[f64; LANES]]) -> [[f64; LANES]; LANES] {
    products::<4, true>(rows, panel)
}

/// Multiplies `LANES` points by `LANES` points, `TOGETHER` at a time, so that the sums stay in registers.
#[inline(always)]
fn products<const TOGETHER: usize, const FUSED: bool>(
    rows: &[[f64; LANES]],
    panel: &[[f64; LANES]],
) -> [[f64; LANES]; LANES] {
    let mut products = [[0.0; LANES]; LANES];
    for (part, products) in products.as_chunks_mut::<TOGETHER>().0.iter_mut().enumerate() {
        let mut sums = [[0.0; LANES]; TOGETHER];
        for (row, column) in rows.iter().zip(panel) {
            let row = &row.as_chunks::<TOGETHER>().0[part];
            for (sums, &x) in sums.iter_mut().zip(row) {
                for (sum, &y) in sums.iter_mut().zip(column) {
                    *sum = if FUSED { x.mul_add(y, *sum) } else { x * y + *sum };
                }
            }
        }
        *products = sums;
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_machine_gives_the_same_bits() {
        let packed = |seed: u64| -> Vec<[f64; LANES]> {
            let number = |k: u64| f64::from((((k + seed) as f32) * 0.7).sin());
            (0..77).map(|k| std::array::from_fn(|lane| number(8 * k + lane as u64))).collect()
        };
        let (rows, panel) = (packed(1), packed(1000));
        let expected: [[f64; LANES]; LANES] = std::array::from_fn(|row| {
            std::array::from_fn(|column| rows.iter().zip(&panel).fold(0.0, |sum, (x, y)| sum + x[row] * y[column]))
        });
        assert_eq!(Instructions::Any.products(&rows, &panel), expected);
        assert_eq!(Instructions::detect().products(&rows, &panel), expected);
    }
}
