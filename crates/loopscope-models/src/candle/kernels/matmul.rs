//! Matrix products: rows of inputs by a matrix of weights.

/// How many threads one product may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Threads {
    /// The caller's: somebody else already keeps the other cores at work.
    One,
    /// All of them.
    All,
}

/// Returns the least rows of a product: fewer take another path in `gemm`, which adds up in another order. One row does,
/// and up to 64 by up to 64 columns when the sum is longer than the 512 terms that it then takes at a time.
const fn rows_min(inner: usize, columns: usize) -> usize {
    if columns <= 64 && inner > 512 { 65 } else { 4 }
}

/// Adds `x` times `weights` to `y`, or sets `y` to it.
///
/// `x` holds rows of `inner` numbers, `weights` is `inner` by `columns`, and `y` holds as many rows of `columns`
/// numbers. The sum in each number runs over `inner` in an order that the number of rows does not change.
pub(crate) fn multiply(
    x: &[f32],
    weights: &[f32],
    y: &mut [f32],
    inner: usize,
    columns: usize,
    add: bool,
    threads: Threads,
) {
    assert!(inner > 0 && columns > 0, "a product with an empty matrix");
    let rows = x.len() / inner;
    assert_eq!(
        (x.len(), weights.len(), y.len()),
        (rows * inner, inner * columns, rows * columns),
        "shapes of a product"
    );
    if rows == 0 {
        return;
    }
    let least = rows_min(inner, columns);
    if rows >= least {
        return product(x, weights, y, inner, columns, add, threads);
    }
    let mut few = vec![0.0; least * inner];
    few[..x.len()].copy_from_slice(x);
    let mut padded = vec![0.0; least * columns];
    padded[..y.len()].copy_from_slice(y);
    product(&few, weights, &mut padded, inner, columns, add, threads);
    y.copy_from_slice(&padded[..y.len()]);
}

#[expect(unsafe_code, reason = "gemm takes pointers and strides; the lengths were checked by the only caller")]
fn product(x: &[f32], weights: &[f32], y: &mut [f32], inner: usize, columns: usize, add: bool, threads: Threads) {
    let parallelism = match threads {
        Threads::One => gemm::Parallelism::None,
        Threads::All => gemm::Parallelism::Rayon(0),
    };
    let (rows, row, column) = (x.len() / inner, columns as isize, 1);
    // SAFETY: all three matrices are row after row; `multiply` checked that each slice holds its whole matrix.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            y.as_mut_ptr(),
            column,
            row,
            add,
            x.as_ptr(),
            1,
            inner as isize,
            weights.as_ptr(),
            column,
            row,
            1.0,
            1.0,
            false,
            false,
            false,
            parallelism,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn products_are_those_of_the_definition() {
        for (rows, inner, columns) in [(1, 5, 3), (3, 17, 40), (9, 64, 130), (70, 33, 7)] {
            let (x, weights) = (numbers(rows * inner, 1), numbers(inner * columns, 2));
            let mut y = numbers(rows * columns, 3);
            let before = y.clone();
            multiply(&x, &weights, &mut y, inner, columns, true, Threads::One);
            for (at, got) in y.iter().enumerate() {
                let (row, column) = (at / columns, at % columns);
                let term = |k: usize| f64::from(x[row * inner + k]) * f64::from(weights[k * columns + column]);
                let exact = (0..inner).map(term).sum::<f64>() + f64::from(before[at]);
                assert!((f64::from(*got) - exact).abs() < 1e-5, "{rows}×{inner}×{columns}: {got} for {exact}");
            }
        }
    }

    #[test]
    fn a_row_has_the_same_bits_alone_and_among_others_on_one_thread_and_on_all() {
        for (inner, columns) in [(384, 1536), (1536, 384), (768, 64), (32, 48), (48, 32)] {
            let (x, weights) = (numbers(300 * inner, 4), numbers(inner * columns, 5));
            let of = |rows: std::ops::Range<usize>, threads| {
                let mut y = vec![0.0; rows.len() * columns];
                multiply(&x[rows.start * inner..rows.end * inner], &weights, &mut y, inner, columns, false, threads);
                y
            };
            let all = of(0..300, Threads::All);
            for rows in [0..1, 7..8, 3..8, 100..164, 299..300, 0..300] {
                let slice = &all[rows.start * columns..rows.end * columns];
                assert_eq!(of(rows.clone(), Threads::One), slice, "{inner}×{columns}, rows {rows:?}");
            }
        }
    }
}
