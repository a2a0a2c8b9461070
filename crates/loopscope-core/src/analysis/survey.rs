//! What was read for an analysis, what could not be used, and what was continued: told at its end.

use super::AnalysisError;
use super::material::{Material, Strand, Strands};
use super::report::Analysis;
use crate::experiment::ModelName;

/// Counts while strands are read.
#[derive(Default)]
pub(super) struct Survey {
    behind_gaps: usize,
    of_other_versions: Vec<String>,
    continued: usize,
}

impl Survey {
    /// Reads what an embedder saw, to be continued round the cycles in which runs stopped.
    pub(super) fn strands(
        &mut self,
        material: &Material<'_>,
        embedder: &ModelName,
    ) -> Result<Vec<Strand>, AnalysisError> {
        let strands = self.stored_strands(material, embedder)?;
        self.count_continued(&strands);
        Ok(strands)
    }

    /// Reads what an embedder saw, as stored.
    pub(super) fn stored_strands(
        &mut self,
        material: &Material<'_>,
        embedder: &ModelName,
    ) -> Result<Vec<Strand>, AnalysisError> {
        let read = material.strands(embedder)?;
        self.count_left_out(&read);
        Ok(read.strands)
    }

    /// Counts what reading an embedder left out.
    pub(super) fn count_left_out(&mut self, read: &Strands) {
        self.behind_gaps += read.behind_gaps;
        self.of_other_versions.extend(read.of_other_versions.clone());
    }

    /// Counts the strands that are continued.
    pub(super) fn count_continued(&mut self, strands: &[Strand]) {
        self.continued += strands.iter().filter(|strand| strand.continued_len() > strand.len()).count();
    }

    /// Tells it all in the notes of an analysis.
    pub(super) fn note(self, analysis: &mut Analysis) {
        analysis.notes.extend(self.told());
    }

    /// Returns it all, a sentence each.
    pub(super) fn told(self) -> Vec<String> {
        let mut notes = Vec::new();
        let (continued, behind_gaps) = (self.continued, self.behind_gaps);
        if continued > 0 {
            notes.push(format!(
                "{continued} trajectories stopped early because their state came back; they are continued round their cycle to the full length of the run"
            ));
        }
        let is_mixed = !self.of_other_versions.is_empty();
        notes.extend(self.of_other_versions);
        if behind_gaps > 0 {
            let why = if is_mixed {
                "one before them is missing or of another version".to_owned()
            } else {
                "one before them is missing; `loopscope experiment resume` computes it".to_owned()
            };
            notes.push(format!("{behind_gaps} embeddings were left out: {why}"));
        }
        notes
    }
}
