//! Vectors in the plane of their two largest principal components.

use loopscope_analysis::projection::principal_components;
use loopscope_analysis::series::Series;

use super::super::AnalysisError;
use super::{Details, StrandKey};
use crate::experiment::ModelName;

/// All vectors of one embedder in the plane that keeps most of their variance.
#[derive(Clone, Debug)]
pub struct ProjectionDetail {
    /// The embedder.
    pub embedder: ModelName,
    /// The share of the variance along each axis, in `[0, 1]`, the larger first.
    pub shares: [f64; 2],
    /// The points of each strand, turn by turn, as stored.
    pub strands: Vec<(StrandKey, Vec<[f64; 2]>)>,
}

impl Details<'_> {
    /// Returns the vectors of each embedder in the plane; an embedder with fewer than three different vectors is left out.
    ///
    /// # Errors
    ///
    /// [`AnalysisError`].
    pub fn projections(&self) -> Result<Vec<ProjectionDetail>, AnalysisError> {
        let mut found = Vec::new();
        for seen in &self.seen {
            let strands = &seen.strands(&self.material)?.strands;
            let mut values = Vec::new();
            let (mut count, mut dimension) = (0, 0);
            for strand in strands {
                let series = strand.series()?;
                dimension = series.dimension();
                count += series.len();
                series.rows().for_each(|row| values.extend_from_slice(row));
            }
            if count < 3 || values.len() != count * dimension {
                continue;
            }
            let Some(plane) = principal_components(&Series::new(&values, count, dimension)?) else { continue };
            let mut points = plane.points.into_iter();
            let strands = strands
                .iter()
                .map(|strand| (Self::key(&seen.embedder, strand), points.by_ref().take(strand.len()).collect()))
                .collect();
            found.push(ProjectionDetail { embedder: seen.embedder.clone(), shares: plane.shares, strands });
        }
        Ok(found)
    }
}
