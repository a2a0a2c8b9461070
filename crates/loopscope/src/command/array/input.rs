//! Arrays as files hold them, as the measures take them.

use std::path::Path;

use anyhow::{Context, bail};
use loopscope_core::codec::{NpyArray, NpyValues, read_npy};

use crate::failure::UsageError;

/// Reads one array.
pub(super) fn read_array(path: &Path) -> anyhow::Result<NpyArray> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let array = read_npy(&bytes).and_then(NpyArray::into_c_order);
    array.with_context(|| format!("{} is no NumPy array that this program reads", path.display()))
}

/// Returns the numbers as float32, which is what the distances are measured in; a float64 is rounded.
pub(super) fn floats(array: &NpyArray) -> anyhow::Result<Vec<f32>> {
    match &array.values {
        NpyValues::F32(numbers) => Ok(numbers.clone()),
        NpyValues::F64(numbers) => {
            if let Some(index) = numbers.iter().position(|number| number.is_finite() && !(*number as f32).is_finite()) {
                bail!("number {index} is {}, which float32 cannot hold", numbers[index]);
            }
            Ok(numbers.iter().map(|&number| number as f32).collect())
        }
        other => {
            bail!(UsageError { message: format!("expected float32 or float64, got {}", other.kind()), hint: None })
        }
    }
}

/// Returns rows and columns of an array of vectors.
pub(super) fn matrix_shape(array: &NpyArray) -> anyhow::Result<(usize, usize)> {
    match *array.shape.as_slice() {
        [rows, columns] => Ok((rows, columns)),
        _ => bail!(UsageError {
            message: format!("expected vectors of shape (n, d), got an array of shape {:?}", array.shape),
            hint: None,
        }),
    }
}
