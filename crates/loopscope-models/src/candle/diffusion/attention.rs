//! Attention, without a tensor of all scores at once where that would be large.

use candle_core::{D, DType, Result, Tensor};

/// Most scores that are held at once, over all heads: 256 MiB in single precision.
pub(crate) const SCORES_MAX: usize = 1 << 26;

/// Returns softmax(q kᵀ scale) v in single precision, then in the type of `query`.
///
/// Shapes: `query` (batch, heads, n, d), `key` and `value` (batch, heads, m, d); gives (batch, heads, n, d). Rows of
/// `query` are independent, and are taken in chunks when n m is large; how many is decided by the shapes alone, so
/// that the result is a function of the inputs. Operands are made contiguous: candle 0.11.1 multiplies some transposed
/// ones wrongly on a CPU, without a word.
pub(crate) fn attend(query: &Tensor, key: &Tensor, value: &Tensor, scale: f64) -> Result<Tensor> {
    let (batch, heads, rows, _) = query.dims4()?;
    let columns = key.dim(2)?;
    let dtype = query.dtype();
    let transposed = (key.to_dtype(DType::F32)?.t()? * scale)?.contiguous()?;
    let value = value.to_dtype(DType::F32)?.contiguous()?;
    let chunk = (SCORES_MAX / (batch * heads * columns).max(1)).clamp(1, rows.max(1));
    let mut parts = Vec::with_capacity(rows.div_ceil(chunk));
    for start in (0..rows).step_by(chunk) {
        let part = query.narrow(2, start, chunk.min(rows - start))?.to_dtype(DType::F32)?.contiguous()?;
        let weights = candle_nn::ops::softmax_last_dim(&part.matmul(&transposed)?)?;
        parts.push(weights.matmul(&value)?.to_dtype(dtype)?);
    }
    if parts.len() == 1 { Ok(parts.swap_remove(0)) } else { Tensor::cat(&parts, 2) }
}

/// Turns (batch, n, heads · d) into (batch, heads, n, d).
pub(crate) fn split_heads(states: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, rows, width) = states.dims3()?;
    if heads == 0 || !width.is_multiple_of(heads) {
        candle_core::bail!("{heads} heads do not divide rows of {width} numbers");
    }
    states.reshape((batch, rows, heads, width / heads))?.transpose(1, 2)?.contiguous()
}

/// Turns (batch, heads, n, d) into (batch, n, heads · d).
pub(crate) fn join_heads(states: &Tensor) -> Result<Tensor> {
    let states = states.transpose(1, 2)?.contiguous()?;
    states.flatten_from(D::Minus2)
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    /// The definition, number by number.
    fn slow(query: &[f32], key: &[f32], value: &[f32], [rows, columns, width]: [usize; 3], scale: f32) -> Vec<f32> {
        let mut result = vec![0.0; rows * width];
        for row in 0..rows {
            let score = |column: usize| {
                (0..width).map(|i| query[row * width + i] * key[column * width + i]).sum::<f32>() * scale
            };
            let weights: Vec<f32> = (0..columns).map(|column| score(column).exp()).collect();
            let total: f32 = weights.iter().sum();
            for (column, weight) in weights.iter().enumerate() {
                for i in 0..width {
                    result[row * width + i] += weight / total * value[column * width + i];
                }
            }
        }
        result
    }

    #[test]
    fn attention_is_its_definition_for_each_item_and_head() {
        let [batch, heads, rows, columns, width] = [2, 3, 5, 4, 6];
        let device = Device::Cpu;
        let numbers = |seed, count| super::super::noise::normals(seed, super::super::noise::Draw::Initial, count);
        let query = numbers(1, batch * heads * rows * width);
        let [key, value] = [2, 3].map(|seed| numbers(seed, batch * heads * columns * width));
        let tensor = |data: &[f32], rows| Tensor::from_slice(data, (batch, heads, rows, width), &device).unwrap();
        let fast = attend(&tensor(&query, rows), &tensor(&key, columns), &tensor(&value, columns), 0.5).unwrap();
        let fast: Vec<f32> = fast.flatten_all().unwrap().to_vec1().unwrap();
        for index in 0..batch * heads {
            let part = |data: &'_ [f32], rows: usize| data[index * rows * width..][..rows * width].to_vec();
            let expected =
                slow(&part(&query, rows), &part(&key, columns), &part(&value, columns), [rows, columns, width], 0.5);
            for (x, y) in part(&fast, rows).iter().zip(&expected) {
                assert!((x - y).abs() < 1e-6, "{x} {y}");
            }
        }
    }

    #[test]
    fn heads_come_back_as_they_were() {
        let states = Tensor::arange(0_f32, 48.0, &Device::Cpu).unwrap().reshape((2, 4, 6)).unwrap();
        let there = split_heads(&states, 3).unwrap();
        assert_eq!(there.dims(), [2, 3, 4, 2]);
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(&there)[..4], [0.0, 1.0, 6.0, 7.0]);
        assert_eq!(numbers(&join_heads(&there).unwrap()), numbers(&states));
    }
}
