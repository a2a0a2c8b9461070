//! Lower bounds of squared distances, a tile of them at a time, in f32.
//!
//! `|a|² + |b|² - 2ab` in f32 is fast, and wrong by up to 3e-4 near zero on unit vectors. So the norms that come in are
//! lowered by more than all rounding can add (see [`super::packed`]): a bound is never above the distance that it
//! stands for, whatever the processor and whatever the order of its additions. What a bound leaves open is computed
//! anew in f64, so no result depends on these instructions.

/// Rows of a tile.
pub(super) const ROWS: usize = 12;
/// Columns of a tile.
pub(super) const COLUMNS: usize = 32;

/// Bounds for each row with each column.
pub(super) type Tile = [[f32; COLUMNS]; ROWS];

/// What the processor can do.
#[derive(Debug, Clone, Copy)]
pub(super) enum Instructions {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Any,
}

impl Instructions {
    pub(super) fn detect() -> Self {
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

    /// Computes `row_norm + column_norm - 2 row · column` for every pair.
    ///
    /// `rows` and `columns` hold one coordinate of each point after the other, and are equally long.
    pub(super) fn bounds(
        self,
        (rows, row_norms): (&[[f32; ROWS]], &[f32; ROWS]),
        (columns, column_norms): (&[[f32; COLUMNS]], &[f32; COLUMNS]),
        tile: &mut Tile,
    ) {
        match self {
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "the compiler cannot know that the processor was asked; safe otherwise")]
            // SAFETY: `detect` has found these instructions on this machine.
            Self::Avx512 => unsafe { bounds_avx512(rows, columns, tile) },
            #[cfg(target_arch = "x86_64")]
            #[expect(unsafe_code, reason = "the compiler cannot know that the processor was asked; safe otherwise")]
            // SAFETY: `detect` has found these instructions on this machine.
            Self::Avx2 => unsafe { bounds_avx2(rows, columns, tile) },
            Self::Any => products::<4, 8, false>(rows, columns, tile),
        }
        for (bounds, row_norm) in tile.iter_mut().zip(row_norms) {
            for (bound, column_norm) in bounds.iter_mut().zip(column_norms) {
                *bound = (row_norm + column_norm) - 2.0 * *bound;
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn bounds_avx512(rows: &[[f32; ROWS]], columns: &[[f32; COLUMNS]], tile: &mut Tile) {
    products::<12, 32, true>(rows, columns, tile);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn bounds_avx2(rows: &[[f32; ROWS]], columns: &[[f32; COLUMNS]], tile: &mut Tile) {
    products::<6, 16, true>(rows, columns, tile);
}

/// Scalar products, `HIGH` rows by `WIDE` columns together, so that the sums stay in registers.
#[inline(always)]
fn products<const HIGH: usize, const WIDE: usize, const FUSED: bool>(
    rows: &[[f32; ROWS]],
    columns: &[[f32; COLUMNS]],
    tile: &mut Tile,
) {
    for high in 0..ROWS / HIGH {
        for wide in 0..COLUMNS / WIDE {
            let mut sums = [[0.0f32; WIDE]; HIGH];
            for (row, column) in rows.iter().zip(columns) {
                let row = &row.as_chunks::<HIGH>().0[high];
                let column = &column.as_chunks::<WIDE>().0[wide];
                for (sums, &x) in sums.iter_mut().zip(row) {
                    for (sum, &y) in sums.iter_mut().zip(column) {
                        *sum = if FUSED { x.mul_add(y, *sum) } else { x * y + *sum };
                    }
                }
            }
            for (bounds, sums) in tile[high * HIGH..].iter_mut().zip(sums) {
                bounds[wide * WIDE..(wide + 1) * WIDE].copy_from_slice(&sums);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_set_of_instructions_gives_the_distances_but_for_rounding() {
        let number = |k: usize| ((k * 37 % 101) as f32 * 0.7).sin();
        let rows: Vec<[f32; ROWS]> = (0..53).map(|k| std::array::from_fn(|row| number(53 * row + k))).collect();
        let columns: Vec<[f32; COLUMNS]> = (0..53).map(|k| std::array::from_fn(|c| number(77 * c + k + 5))).collect();
        let row_norms: [f32; ROWS] = std::array::from_fn(|r| rows.iter().map(|x| x[r] * x[r]).sum());
        let column_norms: [f32; COLUMNS] = std::array::from_fn(|c| columns.iter().map(|x| x[c] * x[c]).sum());
        for instructions in [Instructions::Any, Instructions::detect()] {
            let mut tile = [[0.0; COLUMNS]; ROWS];
            instructions.bounds((&rows, &row_norms), (&columns, &column_norms), &mut tile);
            for (row, bounds) in tile.iter().enumerate() {
                for (column, bound) in bounds.iter().enumerate() {
                    let expected: f32 = (0..53).map(|k| (rows[k][row] - columns[k][column]).powi(2)).sum();
                    assert!((bound - expected).abs() < 1e-3, "{row} {column}: {bound} {expected}");
                }
            }
        }
    }
}
