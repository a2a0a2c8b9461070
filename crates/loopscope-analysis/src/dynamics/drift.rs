//! How far a trajectory has gone from where it began.

use crate::series::{Series, SeriesError, cosine_distance};

/// Returns 1 − cos between each vector and a reference, in `[0, 2]`, length n.
///
/// The reference is the prompt's embedding, or the first output's where the prompt has none (a text prompt and an image embedder). It is the
/// cosine distance, not the chord √(2 − 2 cos), which is about √2 times its root. An empty series gives no numbers. O(n d) time.
///
/// # Errors
///
/// [`SeriesError::Dimension`]; [`SeriesError::ZeroVector`], with row n for the reference.
pub fn semantic_drift(series: &Series<'_>, reference: &[f32]) -> Result<Vec<f64>, SeriesError> {
    if reference.len() != series.dimension() {
        return Err(SeriesError::Dimension { expected: series.dimension(), got: reference.len() });
    }
    series.check_directions()?;
    if reference.iter().all(|&value| value == 0.0) {
        return Err(SeriesError::ZeroVector { row: series.len() });
    }
    Ok(series.rows().map(|row| cosine_distance(row, reference)).collect())
}
