//! Rows as they are exported: a table at a time, streamed, each value checked on the way.

use std::collections::BTreeSet;

use rusqlite::{Row, Transaction, params};

use super::{Store, StoreError};
use crate::codec::{decode_diagram, decode_vector_into};
use crate::experiment::{
    ClusteringResultId, EmbeddingCluster, EmbeddingClusterId, EmbeddingId, ExperimentId, Hash, ImageRecord,
    InvocationId, ModelName, ModelVersion, ModelVersionId, PersistenceDiagram, PersistenceDiagramId, RunId,
    SequenceNumber, Timestamp,
};

/// One state of the database: while this lives, every read of the store sees it, whatever other processes write.
///
/// A writer's log cannot be carried over past what is held here, so that it grows until this goes.
#[derive(Debug)]
pub struct Snapshot<'a> {
    /// `None` within a transaction, which holds a state itself.
    _transaction: Option<Transaction<'a>>,
}

/// A row of `invocation`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredInvocation {
    /// Its id.
    pub id: InvocationId,
    /// Its run.
    pub run_id: RunId,
    /// Its number, from 0.
    pub sequence_number: SequenceNumber,
    /// The one before it; `None` for the first.
    pub input_invocation_id: Option<InvocationId>,
    /// The model, as the network names it.
    pub model: ModelName,
    /// What exactly produced the output.
    pub model_version_id: ModelVersionId,
    /// The seed that was used; −1 only in imported rows.
    pub seed: i64,
    /// When the call began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
    /// The text that it gave; `None` where it gave a picture.
    pub output_text: Option<String>,
    /// The picture that it gave, by its hash; `None` where it gave a text.
    pub output_image: Option<Hash>,
}

/// A row of `embedding`, lent for as long as it is visited.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StoredEmbedding<'r> {
    /// Its id.
    pub id: EmbeddingId,
    /// The output that it is of.
    pub invocation_id: InvocationId,
    /// The model, as the experiment names it.
    pub embedding_model: &'r str,
    /// What exactly made it.
    pub model_version_id: ModelVersionId,
    /// Its numbers, checked as those of a [`Vector`](crate::experiment::Vector) are.
    pub numbers: &'r [f32],
    /// When the call began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
}

/// A row of `clustering_result`: a clustering without its members, which are visited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredClustering {
    /// Its id.
    pub id: ClusteringResultId,
    /// Whose embeddings.
    pub embedding_model: ModelName,
    /// The algorithm.
    pub algorithm: String,
    /// The parameters as a JSON object.
    pub parameters: String,
    /// 0 unless one of several resolutions.
    pub layer: u64,
    /// When it came into this store.
    pub created_at: Timestamp,
    /// When the computation began.
    pub started_at: Timestamp,
    /// When it ended; `None` only in imported rows.
    pub completed_at: Option<Timestamp>,
}

impl Store {
    /// Holds one state of the database for all reads while the returned value lives.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn snapshot(&self) -> Result<Snapshot<'_>, StoreError> {
        Ok(Snapshot { _transaction: self.hold_state()? })
    }

    /// Calls `visit` for each invocation of a run, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError`], or whatever `visit` returns.
    pub fn visit_stored_invocations<E: From<StoreError>>(
        &self,
        run: RunId,
        visit: impl FnMut(StoredInvocation) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT id, run_id, sequence_number, input_invocation_id, model, model_version_id, seed, started_at, \
                   completed_at, output_text, output_image FROM invocation WHERE run_id = ?1 ORDER BY sequence_number";
        self.visit(sql, params![run.as_bytes()], |row| Ok(Ok(invocation_of_row(row)?)), visit)
    }

    /// Calls `visit` for each embedding of a run by these models, in the order of the outputs.
    ///
    /// All models in one pass, because the embeddings of an output lie together in the file.
    ///
    /// # Errors
    ///
    /// [`StoreError::Vector`] when one does not read, or whatever `visit` returns.
    pub fn visit_embeddings<E: From<StoreError>>(
        &self,
        run: RunId,
        models: &[&str],
        mut visit: impl FnMut(StoredEmbedding<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        // The plus keeps SQLite from looking up each model of each output: it reads them in a row, and no vector of the others.
        let sql = "SELECT e.id, e.invocation_id, e.embedding_model, e.model_version_id, e.vector, e.started_at, e.completed_at \
                   FROM invocation i JOIN embedding e ON e.invocation_id = i.id \
                   WHERE i.run_id = ?1 AND +e.embedding_model IN (SELECT value FROM json_each(?2)) ORDER BY i.sequence_number";
        let failed = |source| E::from(self.failed("reading", source));
        let names = serde_json::Value::from(models).to_string();
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params![run.as_bytes(), names]).map_err(failed)?;
        let mut numbers = Vec::new();
        while let Some(row) = rows.next().map_err(failed)? {
            visit(embedding_of_row(row, &mut numbers).map_err(failed)??)?;
        }
        Ok(())
    }

    /// Calls `visit` for each diagram of a run by one model; there is one at most.
    ///
    /// # Errors
    ///
    /// [`StoreError::Diagram`] when one does not read, or whatever `visit` returns.
    pub fn visit_diagrams<E: From<StoreError>>(
        &self,
        run: RunId,
        model: &ModelName,
        visit: impl FnMut(PersistenceDiagram) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT id, run_id, embedding_model, diagram_data, started_at, completed_at FROM persistence_diagram \
                   WHERE run_id = ?1 AND embedding_model = ?2";
        self.visit(sql, params![run.as_bytes(), model.as_str()], diagram_of_row, visit)
    }

    /// Returns how many outputs of an experiment are pictures.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn picture_count(&self, experiment: ExperimentId) -> Result<u64, StoreError> {
        let sql =
            "SELECT count(i.output_image) FROM run r JOIN invocation i ON i.run_id = r.id WHERE r.experiment_id = ?1";
        Ok(self.collect(sql, params![experiment.as_bytes()], |row| row.get(0))?.pop().unwrap_or(0))
    }

    /// Returns the clusterings that hold embeddings of these experiments, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn stored_clusterings(&self, experiments: &[ExperimentId]) -> Result<Vec<StoredClustering>, StoreError> {
        let sql = "SELECT c.id, c.embedding_model, c.algorithm, c.parameters, c.layer, c.created_at, c.started_at, c.completed_at \
                   FROM clustering_result c WHERE EXISTS (SELECT 1 FROM embedding_cluster k \
                     JOIN embedding e ON e.id = k.embedding_id JOIN invocation i ON i.id = e.invocation_id \
                     JOIN run r ON r.id = i.run_id WHERE k.clustering_result_id = c.id AND r.experiment_id = ?1) \
                   ORDER BY c.created_at, c.rowid";
        let mut found: Vec<StoredClustering> = Vec::new();
        for experiment in experiments {
            for row in self.collect(sql, params![experiment.as_bytes()], clustering_of_row)? {
                if !found.iter().any(|known| known.id == row.id) {
                    found.push(row);
                }
            }
        }
        Ok(found)
    }

    /// Calls `visit` for each embedding of one experiment in a clustering, with what it says of it.
    ///
    /// # Errors
    ///
    /// [`StoreError`], or whatever `visit` returns.
    pub fn visit_members<E: From<StoreError>>(
        &self,
        clustering: ClusteringResultId,
        experiment: ExperimentId,
        visit: impl FnMut(EmbeddingCluster) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT k.id, k.embedding_id, k.medoid_embedding_id, k.probability FROM embedding_cluster k \
                   JOIN embedding e ON e.id = k.embedding_id JOIN invocation i ON i.id = e.invocation_id \
                   JOIN run r ON r.id = i.run_id WHERE k.clustering_result_id = ?1 AND r.experiment_id = ?2 ORDER BY k.rowid";
        self.visit(sql, params![clustering.as_bytes(), experiment.as_bytes()], |row| Ok(Ok(member_of_row(row)?)), visit)
    }

    /// Returns these model versions, in the order in which they came into the store.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] when a row does not say what it should.
    pub fn model_versions_among(&self, ids: &BTreeSet<ModelVersionId>) -> Result<Vec<ModelVersion>, StoreError> {
        let mut versions = self.model_versions()?;
        versions.retain(|version| ids.contains(&version.id));
        Ok(versions)
    }

    /// Returns a picture as it is stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`].
    pub fn image(&self, hash: Hash) -> Result<ImageRecord, StoreError> {
        let sql = "SELECT hash, pixel_hash, format, width, height, bytes FROM image WHERE hash = ?1";
        let mut found = self.collect(sql, params![hash.as_bytes()], |row| {
            Ok(ImageRecord {
                hash: Hash::from_bytes(row.get(0)?),
                pixel_hash: Hash::from_bytes(row.get(1)?),
                format: row.get(2)?,
                width: row.get(3)?,
                height: row.get(4)?,
                bytes: row.get(5)?,
            })
        })?;
        found.pop().ok_or_else(|| StoreError::NotFound { noun: "image", typed: hash.to_string(), nearest: None })
    }

    /// Runs a query and calls `visit` with what `read` makes of each row, one at a time.
    fn visit<T, E: From<StoreError>>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        mut read: impl FnMut(&Row<'_>) -> rusqlite::Result<Result<T, StoreError>>,
        mut visit: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |source| E::from(self.failed("reading", source));
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(parameters).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            visit(read(row).map_err(failed)??)?;
        }
        Ok(())
    }
}

fn time(micros: Option<i64>) -> Option<Timestamp> {
    micros.map(Timestamp::from_micros)
}

fn invocation_of_row(row: &Row<'_>) -> rusqlite::Result<StoredInvocation> {
    Ok(StoredInvocation {
        id: InvocationId::from_bytes(row.get(0)?),
        run_id: RunId::from_bytes(row.get(1)?),
        sequence_number: SequenceNumber(row.get(2)?),
        input_invocation_id: row.get::<_, Option<[u8; 16]>>(3)?.map(InvocationId::from_bytes),
        model: ModelName::new(row.get_ref(4)?.as_str()?),
        model_version_id: ModelVersionId::from_bytes(row.get(5)?),
        seed: row.get(6)?,
        started_at: Timestamp::from_micros(row.get(7)?),
        completed_at: time(row.get(8)?),
        output_text: row.get(9)?,
        output_image: row.get::<_, Option<[u8; 32]>>(10)?.map(Hash::from_bytes),
    })
}

fn embedding_of_row<'r>(
    row: &'r Row<'_>,
    numbers: &'r mut Vec<f32>,
) -> rusqlite::Result<Result<StoredEmbedding<'r>, StoreError>> {
    let id = EmbeddingId::from_bytes(row.get(0)?);
    if let Err(source) = decode_vector_into(row.get_ref(4)?.as_blob()?, numbers) {
        return Ok(Err(StoreError::Vector { object: format!("embedding {}", id.short()), source }));
    }
    Ok(Ok(StoredEmbedding {
        id,
        invocation_id: InvocationId::from_bytes(row.get(1)?),
        embedding_model: row.get_ref(2)?.as_str()?,
        model_version_id: ModelVersionId::from_bytes(row.get(3)?),
        numbers,
        started_at: Timestamp::from_micros(row.get(5)?),
        completed_at: time(row.get(6)?),
    }))
}

fn diagram_of_row(row: &Row<'_>) -> rusqlite::Result<Result<PersistenceDiagram, StoreError>> {
    let id = PersistenceDiagramId::from_bytes(row.get(0)?);
    let diagram = match decode_diagram(row.get_ref(3)?.as_blob()?) {
        Ok(diagram) => diagram,
        Err(source) => return Ok(Err(StoreError::Diagram { object: format!("diagram {}", id.short()), source })),
    };
    Ok(Ok(PersistenceDiagram {
        id,
        run_id: RunId::from_bytes(row.get(1)?),
        embedding_model: ModelName::new(row.get_ref(2)?.as_str()?),
        diagram,
        started_at: Timestamp::from_micros(row.get(4)?),
        completed_at: time(row.get(5)?),
    }))
}

fn clustering_of_row(row: &Row<'_>) -> rusqlite::Result<StoredClustering> {
    Ok(StoredClustering {
        id: ClusteringResultId::from_bytes(row.get(0)?),
        embedding_model: ModelName::new(row.get_ref(1)?.as_str()?),
        algorithm: row.get(2)?,
        parameters: row.get(3)?,
        layer: row.get(4)?,
        created_at: Timestamp::from_micros(row.get(5)?),
        started_at: Timestamp::from_micros(row.get(6)?),
        completed_at: time(row.get(7)?),
    })
}

fn member_of_row(row: &Row<'_>) -> rusqlite::Result<EmbeddingCluster> {
    Ok(EmbeddingCluster {
        id: EmbeddingClusterId::from_bytes(row.get(0)?),
        embedding_id: EmbeddingId::from_bytes(row.get(1)?),
        medoid_embedding_id: row.get::<_, Option<[u8; 16]>>(2)?.map(EmbeddingId::from_bytes),
        probability: row.get(3)?,
    })
}
