//! What was found in the outputs, and what stands behind them: diagrams, clusterings, model versions, failures, pictures.

use loopscope_core::experiment::PersistenceDiagram;

use super::columns::TableName;
use super::diagram::json_of;
use super::sheet::Cell;
use super::writer::Open;
use super::{Export, tell};
use crate::{ExportError, Part};

impl Export<'_, '_> {
    /// Writes `persistence_diagrams` and `pairs` in one pass.
    pub(super) fn diagrams(&mut self) -> Result<(), ExportError> {
        let mut diagrams = self.open(&self.table(TableName::PersistenceDiagrams))?;
        let mut pairs = self.open(&self.table(TableName::Pairs))?;
        self.progress.begin(Part { name: "diagrams", total: self.counts.persistence_diagrams, unit: "rows" });
        let (mut done, mut models) = (0, self.models.clone());
        models.sort();
        for experiment in &self.selection.experiments {
            for run in self.store.runs(experiment.id)? {
                for model in &models {
                    self.store.visit_diagrams(run.id, model, |row| {
                        self.diagram(&mut diagrams, &mut pairs, &row)?;
                        tell(self.progress, &mut done)
                    })?;
                }
            }
        }
        self.close(diagrams)?;
        self.close(pairs)
    }

    fn diagram(&mut self, diagrams: &mut Open, pairs: &mut Open, row: &PersistenceDiagram) -> Result<(), ExportError> {
        self.writer.row(
            diagrams,
            &[
                Cell::Shown(&row.id),
                Cell::Shown(&row.run_id),
                Cell::Text(row.embedding_model.as_str()),
                Cell::Text(&json_of(&row.diagram)),
                row.diagram.entropy.as_deref().map_or(Cell::Null, Cell::Floats),
                Cell::Time(row.started_at),
                Cell::time(row.completed_at),
            ],
        )?;
        for (dimension, bars) in row.diagram.dgms.iter().enumerate() {
            for (index, bar) in bars.iter().enumerate() {
                self.writer.row(
                    pairs,
                    &[
                        Cell::Shown(&row.id),
                        Cell::Shown(&row.run_id),
                        Cell::Text(row.embedding_model.as_str()),
                        Cell::count(dimension as u64),
                        Cell::count(index as u64),
                        Cell::Float(bar.birth),
                        Cell::Float(bar.death),
                    ],
                )?;
            }
        }
        Ok(())
    }

    /// Writes the clusterings that hold outputs of the experiments, with what they say of these outputs and of no others.
    pub(super) fn clusterings(&mut self) -> Result<(), ExportError> {
        let mut results = self.open(&self.table(TableName::ClusteringResults))?;
        let mut members = self.open(&self.table(TableName::EmbeddingClusters))?;
        let ids: Vec<_> = self.selection.experiments.iter().map(|experiment| experiment.id).collect();
        let mut clusterings = self.store.stored_clusterings(&ids)?;
        clusterings.retain(|clustering| self.models.contains(&clustering.embedding_model));
        self.progress.begin(Part { name: "clusterings", total: 0, unit: "rows" });
        let mut done = 0;
        for clustering in &clusterings {
            self.row(
                &mut results,
                &[
                    Cell::Shown(&clustering.id),
                    Cell::Text(clustering.embedding_model.as_str()),
                    Cell::Text(&clustering.algorithm),
                    Cell::Text(&clustering.parameters),
                    Cell::count(clustering.layer),
                    Cell::Time(clustering.created_at),
                    Cell::Time(clustering.started_at),
                    Cell::time(clustering.completed_at),
                ],
            )?;
            for experiment in &ids {
                self.store.visit_members(clustering.id, *experiment, |row| {
                    let cells = [
                        Cell::Shown(&row.id),
                        Cell::Shown(&row.embedding_id),
                        Cell::Shown(&clustering.id),
                        Cell::shown(row.medoid_embedding_id.as_ref()),
                        row.probability.map_or(Cell::Null, Cell::Float),
                    ];
                    self.writer.row(&mut members, &cells)?;
                    tell(self.progress, &mut done)
                })?;
            }
        }
        self.close(results)?;
        self.close(members)
    }

    pub(super) fn versions_and_failures(&mut self) -> Result<(), ExportError> {
        let mut versions = self.open(&self.table(TableName::ModelVersions))?;
        for version in self.store.model_versions_among(&self.versions)? {
            let cells = [
                Cell::Shown(&version.id),
                Cell::Text(version.name.as_str()),
                Cell::Text(version.kind.as_str()),
                Cell::Text(&version.backend),
                Cell::Text(&version.revision),
                Cell::Text(&version.weights_hash),
                Cell::Text(&version.parameters),
                Cell::Text(version.determinism.as_str()),
                Cell::Text(&version.program_version),
            ];
            self.row(&mut versions, &cells)?;
        }
        self.close(versions)?;
        let mut failures = self.open(&self.table(TableName::Failures))?;
        for experiment in &self.selection.experiments {
            for failure in self.store.failures(experiment.id)? {
                let cells = [
                    Cell::Shown(&failure.id),
                    Cell::Shown(&failure.experiment_id),
                    Cell::shown(failure.run_id.as_ref()),
                    Cell::Text(failure.stage.as_str()),
                    Cell::Text(&failure.subject),
                    Cell::count(failure.attempt),
                    Cell::Text(&failure.error),
                    Cell::Time(failure.occurred_at),
                ];
                self.row(&mut failures, &cells)?;
            }
        }
        self.close(failures)
    }

    /// Writes each picture once.
    pub(super) fn images(&mut self) -> Result<(), ExportError> {
        let mut open = self.open(&self.table(TableName::Images))?;
        let pictures = std::mem::take(&mut self.pictures);
        self.progress.begin(Part { name: "images", total: pictures.len() as u64, unit: "pictures" });
        let mut done = 0;
        for hash in pictures {
            let picture = self.store.image(hash)?;
            let path = format!("{hash}.{}", extension_of(&picture.format));
            let cells = [
                Cell::Shown(&picture.hash),
                Cell::Shown(&picture.pixel_hash),
                Cell::Text(&picture.format),
                Cell::count(picture.width.into()),
                Cell::count(picture.height.into()),
                Cell::Picture { bytes: &picture.bytes, path: &path },
            ];
            self.row(&mut open, &cells)?;
            tell(self.progress, &mut done)?;
        }
        self.close(open)
    }
}

/// Returns how files of a stored format end.
pub(super) fn extension_of(format: &str) -> &str {
    if format == "jpeg" { "jpg" } else { format }
}
