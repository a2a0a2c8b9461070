//! Taking an experiment out, with all that rests on it.

use rusqlite::{Transaction, params};

use super::write::WriteFailure;
use super::{Store, StoreError};
use crate::experiment::ExperimentId;

/// What went with an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Runs.
    pub runs: u64,
    /// Invocations.
    pub invocations: u64,
    /// Embeddings.
    pub embeddings: u64,
    /// Diagrams.
    pub persistence_diagrams: u64,
    /// Clusterings that rested on its embeddings: deleted whole, because without them a medoid would be missing.
    pub clusterings: u64,
    /// Pictures that no other experiment shows.
    pub images: u64,
}

impl Store {
    /// Deletes an experiment, its runs and all below, and the clusterings that rest on its embeddings; in one
    /// transaction.
    ///
    /// Invocations go from the last to the first: each refers to the one before it, and SQLite follows such
    /// references at most 1,000 deep.
    ///
    /// # Errors
    ///
    /// [`StoreError`], also when there is no such experiment; then everything is still there.
    pub fn delete_experiment(&mut self, id: ExperimentId) -> Result<Deleted, StoreError> {
        self.transact("deleting from", |transaction| {
            self.experiment_is_there(id)?;
            let mut deleted = Deleted { clusterings: delete_clusterings(transaction, id)?, ..Deleted::default() };
            transaction.execute_batch("CREATE TEMP TABLE gone_image (hash BLOB PRIMARY KEY)")?;
            let runs: Vec<[u8; 16]> = transaction
                .prepare("SELECT id FROM run WHERE experiment_id = ?1")?
                .query_map(params![id.as_bytes()], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            for run in &runs {
                delete_run(transaction, run, &mut deleted)?;
            }
            deleted.runs = runs.len() as u64;
            transaction.execute("DELETE FROM experiment WHERE id = ?1", params![id.as_bytes()])?;
            let orphans = "DELETE FROM image WHERE hash IN (SELECT hash FROM gone_image) \
                           AND NOT EXISTS (SELECT 1 FROM invocation WHERE output_image = image.hash)";
            deleted.images = transaction.execute(orphans, [])? as u64;
            transaction.execute_batch("DROP TABLE gone_image")?;
            Ok(deleted)
        })
    }

    fn experiment_is_there(&self, id: ExperimentId) -> Result<(), StoreError> {
        // Not read whole: an experiment whose row does not read can still be deleted.
        match self.collect("SELECT 1 FROM experiment WHERE id = ?1", params![id.as_bytes()], |_| Ok(()))?.pop() {
            Some(()) => Ok(()),
            None => Err(StoreError::NotFound { noun: "experiment", typed: id.to_string(), nearest: None }),
        }
    }

    /// Names the clusterings that would go with an experiment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn clusterings_resting_on(&self, id: ExperimentId) -> Result<Vec<String>, StoreError> {
        Ok(self.clusterings(id)?.into_iter().map(|clustering| clustering.id).collect())
    }
}

fn delete_clusterings(transaction: &Transaction<'_>, id: ExperimentId) -> Result<u64, WriteFailure> {
    let sql = "DELETE FROM clustering_result WHERE id IN (SELECT k.clustering_result_id FROM run r \
               JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id \
               JOIN embedding_cluster k ON k.embedding_id = e.id OR k.medoid_embedding_id = e.id WHERE r.experiment_id = ?1)";
    Ok(transaction.execute(sql, params![id.as_bytes()])? as u64)
}

fn delete_run(transaction: &Transaction<'_>, run: &[u8; 16], deleted: &mut Deleted) -> Result<(), WriteFailure> {
    let remember = "INSERT OR IGNORE INTO gone_image SELECT output_image FROM invocation \
                    WHERE run_id = ?1 AND output_image IS NOT NULL";
    transaction.prepare_cached(remember)?.execute([run])?;
    let embeddings = "DELETE FROM embedding WHERE invocation_id IN (SELECT id FROM invocation WHERE run_id = ?1)";
    deleted.embeddings += transaction.prepare_cached(embeddings)?.execute([run])? as u64;
    let diagrams = "DELETE FROM persistence_diagram WHERE run_id = ?1";
    deleted.persistence_diagrams += transaction.prepare_cached(diagrams)?.execute([run])? as u64;
    let numbers: Vec<i64> = transaction
        .prepare_cached("SELECT sequence_number FROM invocation WHERE run_id = ?1 ORDER BY sequence_number DESC")?
        .query_map([run], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut delete = transaction.prepare_cached("DELETE FROM invocation WHERE run_id = ?1 AND sequence_number = ?2")?;
    for number in numbers {
        deleted.invocations += delete.execute(params![run, number])? as u64;
    }
    transaction.prepare_cached("DELETE FROM run WHERE id = ?1")?.execute([run])?;
    Ok(())
}
