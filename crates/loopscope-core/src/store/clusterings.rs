//! Clusterings: listed, looked into, taken out.

use rusqlite::params;
use serde::Serialize;
use serde_json::Value;

use super::write::{WriteFailure, insert_clustering};
use super::{Store, StoreError};
use crate::experiment::{
    ClusteringResult, ClusteringResultId, EmbeddingId, ExperimentId, InvocationId, ModelName, Timestamp,
};

/// A clustering with what it was made from.
#[derive(Clone, Debug, Serialize)]
pub struct ClusteringRow {
    /// Its id.
    pub id: ClusteringResultId,
    /// Whose embeddings.
    pub embedding_model: ModelName,
    /// The algorithm.
    pub algorithm: String,
    /// 0 unless one of several resolutions; finest first.
    pub layer: u64,
    /// The parameters, and under `measured` what was measured on the way.
    pub parameters: Value,
    /// When it came into this store.
    pub created_at: Timestamp,
    /// When the computation began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
    /// Embeddings in it.
    pub members: u64,
    /// Clusters found.
    pub clusters: u64,
    /// Embeddings in none.
    pub outliers: u64,
}

/// One cluster of a clustering.
#[derive(Clone, Debug, Serialize)]
pub struct ClusterRow {
    /// The embedding in its middle.
    pub medoid: EmbeddingId,
    /// The output that was embedded.
    pub medoid_invocation: InvocationId,
    /// Embeddings in it.
    pub members: u64,
    /// Runs that it has outputs of.
    pub runs: u64,
    /// How firmly its members belong to it, on average; `None` where the algorithm says nothing.
    pub mean_probability: Option<f64>,
}

impl Store {
    /// Stores clusterings with all their members in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing of them is there.
    pub fn create_clusterings(&mut self, clusterings: &[ClusteringResult]) -> Result<(), StoreError> {
        self.transact("writing to", |transaction| {
            clusterings.iter().try_for_each(|clustering| insert_clustering(transaction, clustering))
        })
    }

    /// Returns all clusterings, newest first; layers of one are together, finest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] when the parameters of one are no JSON.
    pub fn all_clusterings(&self) -> Result<Vec<ClusteringRow>, StoreError> {
        let sql = "SELECT c.id, c.embedding_model, c.algorithm, c.layer, c.parameters, c.created_at, c.started_at, \
                   c.completed_at, count(k.id), count(DISTINCT k.medoid_embedding_id), \
                   coalesce(sum(k.id IS NOT NULL AND k.medoid_embedding_id IS NULL), 0) \
                   FROM clustering_result c LEFT JOIN embedding_cluster k ON k.clustering_result_id = c.id \
                   GROUP BY c.id ORDER BY c.created_at DESC, c.embedding_model, c.layer, c.rowid DESC";
        let rows = self.collect(sql, [], |row| {
            let parameters: String = row.get(4)?;
            let id = ClusteringResultId::from_bytes(row.get(0)?);
            let model: String = row.get(1)?;
            let completed_at: Option<i64> = row.get(7)?;
            let row = ClusteringRow {
                id,
                embedding_model: ModelName::new(&model),
                algorithm: row.get(2)?,
                layer: row.get(3)?,
                parameters: Value::Null,
                created_at: Timestamp::from_micros(row.get(5)?),
                started_at: Timestamp::from_micros(row.get(6)?),
                completed_at: completed_at.map(Timestamp::from_micros),
                members: row.get(8)?,
                clusters: row.get(9)?,
                outliers: row.get(10)?,
            };
            Ok((row, parameters))
        })?;
        let with_parameters = |(mut row, parameters): (ClusteringRow, String)| {
            row.parameters = serde_json::from_str(&parameters).map_err(|error| StoreError::Invalid {
                object: format!("clustering {}", row.id.short()),
                defect: format!("its parameters do not read: {error}"),
            })?;
            Ok(row)
        };
        rows.into_iter().map(with_parameters).collect()
    }

    /// Returns the clusters of a clustering, largest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn clusters(&self, id: ClusteringResultId) -> Result<Vec<ClusterRow>, StoreError> {
        let sql = "SELECT k.medoid_embedding_id, m.invocation_id, count(*), count(DISTINCT i.run_id), avg(k.probability) \
                   FROM embedding_cluster k JOIN embedding e ON e.id = k.embedding_id \
                   JOIN invocation i ON i.id = e.invocation_id JOIN embedding m ON m.id = k.medoid_embedding_id \
                   WHERE k.clustering_result_id = ?1 GROUP BY k.medoid_embedding_id \
                   ORDER BY count(*) DESC, k.medoid_embedding_id";
        self.collect(sql, params![id.as_bytes()], |row| {
            Ok(ClusterRow {
                medoid: EmbeddingId::from_bytes(row.get(0)?),
                medoid_invocation: InvocationId::from_bytes(row.get(1)?),
                members: row.get(2)?,
                runs: row.get(3)?,
                mean_probability: row.get(4)?,
            })
        })
    }

    /// Returns the experiments whose outputs a clustering holds, oldest first, by name.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn experiments_of_clustering(&self, id: ClusteringResultId) -> Result<Vec<(ExperimentId, String)>, StoreError> {
        let sql = "SELECT x.id, x.name FROM experiment x WHERE EXISTS (SELECT 1 FROM run r \
                   JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id \
                   JOIN embedding_cluster k ON k.embedding_id = e.id \
                   WHERE r.experiment_id = x.id AND k.clustering_result_id = ?1) ORDER BY x.created_at, x.rowid";
        self.collect(sql, params![id.as_bytes()], |row| Ok((ExperimentId::from_bytes(row.get(0)?), row.get(1)?)))
    }

    /// Returns the names of the models that have embeddings, in these experiments, sorted.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn embedded_models(&self, experiments: &[ExperimentId]) -> Result<Vec<ModelName>, StoreError> {
        let sql = "SELECT DISTINCT e.embedding_model FROM run r JOIN invocation i ON i.run_id = r.id \
                   JOIN embedding e ON e.invocation_id = i.id WHERE r.experiment_id = ?1";
        let mut models: Vec<String> = Vec::new();
        for experiment in experiments {
            models.extend(self.collect(sql, params![experiment.as_bytes()], |row| row.get::<_, String>(0))?);
        }
        models.sort();
        models.dedup();
        Ok(models.iter().map(|name| ModelName::new(name)).collect())
    }

    /// Returns the hash of the picture that an invocation gave; `None` for a text.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn picture_of(&self, id: InvocationId) -> Result<Option<crate::experiment::Hash>, StoreError> {
        let sql = "SELECT output_image FROM invocation WHERE id = ?1";
        let found: Option<Option<[u8; 32]>> = self.collect(sql, params![id.as_bytes()], |row| row.get(0))?.pop();
        Ok(found.flatten().map(crate::experiment::Hash::from_bytes))
    }

    /// Deletes clusterings with all their members in one transaction, and returns how many there were.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`] when one is not there; then all are still there.
    pub fn delete_clusterings(&mut self, ids: &[ClusteringResultId]) -> Result<usize, StoreError> {
        self.transact("deleting from", |transaction| {
            let mut delete = transaction.prepare_cached("DELETE FROM clustering_result WHERE id = ?1")?;
            for id in ids {
                if delete.execute(params![id.as_bytes()])? == 0 {
                    let not_found = StoreError::NotFound { noun: "clustering", typed: id.to_string(), nearest: None };
                    return Err(WriteFailure::Store(not_found));
                }
            }
            Ok(ids.len())
        })
    }
}
