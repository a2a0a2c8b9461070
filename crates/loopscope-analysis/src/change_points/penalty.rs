//! The penalty where none is given.

use super::cost::Kernel;
use super::{ChangePointError, Cost};
use crate::series::Series;

/// Below this share of the largest k(x, x), times n, a gain is rounding.
const ROUNDING: f64 = 1e-10;

/// Returns 2 v ln n, where v is the mean of half the squared distance of neighbours in the space of the kernel.
///
/// Where the law does not change and vectors do not depend on those before, v is the variance, whatever the law, and a break in a series without
/// one gains about v: the penalty is twice the log n that the criterion of Schwarz takes for a mean of one dimension, and more than
/// it takes for one of several. A break moves v by a share of 1/n only. Vectors that follow their neighbours closely (a slow walk) make v
/// small, and every bend a break: then give a penalty. Never below the rounding of the costs, so that equal vectors have no
/// break. 0 for fewer than two vectors. O(n d) time.
///
/// # Errors
///
/// [`ChangePointError`], as for [`super::pelt`].
///
/// Reference: `yao1988` for the criterion; the estimate of the variance is `rice1984`.
pub fn default_penalty(series: &Series<'_>, cost: Cost) -> Result<f64, ChangePointError> {
    let kernel = Kernel::new(series, cost)?;
    let n = kernel.len();
    if n < 2 {
        return Ok(0.0);
    }
    let variance = (0..n - 1).map(|i| kernel.half_step(i)).sum::<f64>() / (n - 1) as f64;
    let largest = (0..n).map(|i| kernel.value(i, i)).fold(0.0, f64::max);
    Ok((2.0 * variance * (n as f64).ln()).max(ROUNDING * largest * n as f64))
}
