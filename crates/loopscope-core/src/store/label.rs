//! What clusterings say of an experiment's outputs, for analyses.

use std::collections::BTreeMap;

use rusqlite::params;

use super::{Store, StoreError};
use crate::experiment::{ClusteringResultId, EmbeddingId, ExperimentId, RunId, SequenceNumber};

/// What a clustering says of one output of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLabel {
    /// Whose run.
    pub run_id: RunId,
    /// Whose output, by number.
    pub sequence_number: SequenceNumber,
    /// The medoid of its cluster, which names the cluster; `None` is an outlier.
    pub medoid: Option<EmbeddingId>,
}

impl Store {
    /// Returns what a clustering says of the outputs of an experiment, by run and number.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn labels(
        &self,
        experiment: ExperimentId,
        clustering: ClusteringResultId,
    ) -> Result<Vec<StoredLabel>, StoreError> {
        let sql = "SELECT i.run_id, i.sequence_number, k.medoid_embedding_id FROM embedding_cluster k \
                   JOIN embedding e ON e.id = k.embedding_id JOIN invocation i ON i.id = e.invocation_id \
                   JOIN run r ON r.id = i.run_id \
                   WHERE k.clustering_result_id = ?1 AND r.experiment_id = ?2 ORDER BY r.rowid, i.sequence_number";
        self.collect(sql, params![clustering.as_bytes(), experiment.as_bytes()], |row| {
            Ok(StoredLabel {
                run_id: RunId::from_bytes(row.get(0)?),
                sequence_number: SequenceNumber(row.get(1)?),
                medoid: row.get::<_, Option<[u8; 16]>>(2)?.map(EmbeddingId::from_bytes),
            })
        })
    }

    /// Returns the text at each medoid of a clustering; `None` is a picture.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn medoid_texts(
        &self,
        clustering: ClusteringResultId,
    ) -> Result<BTreeMap<EmbeddingId, Option<String>>, StoreError> {
        let sql = "SELECT DISTINCT e.id, i.output_text FROM embedding_cluster k JOIN embedding e ON e.id = k.medoid_embedding_id \
                   JOIN invocation i ON i.id = e.invocation_id WHERE k.clustering_result_id = ?1";
        let rows = self.collect(sql, params![clustering.as_bytes()], |row| {
            Ok((EmbeddingId::from_bytes(row.get(0)?), row.get(1)?))
        })?;
        Ok(rows.into_iter().collect())
    }

    /// Returns whose output an embedding is of, by run and number; `None` where there is no such embedding.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn output_of_embedding(&self, id: EmbeddingId) -> Result<Option<(RunId, SequenceNumber)>, StoreError> {
        let sql = "SELECT i.run_id, i.sequence_number FROM embedding e JOIN invocation i ON i.id = e.invocation_id \
                   WHERE e.id = ?1";
        let mut found = self.collect(sql, params![id.as_bytes()], |row| {
            Ok((RunId::from_bytes(row.get(0)?), SequenceNumber(row.get(1)?)))
        })?;
        Ok(found.pop())
    }
}
