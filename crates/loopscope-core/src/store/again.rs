//! What it takes to do a stored step again: the calls of an experiment, their inputs, and what they gave.

use rusqlite::{Row, params};

use super::{Store, StoreError};
use crate::codec::{Diagram, decode_diagram};
use crate::experiment::{
    Determinism, ExperimentId, Hash, InvocationId, ModelKind, ModelName, ModelVersion, ModelVersionId, RunId,
    SequenceNumber,
};

/// A call of an experiment, by id, as it is counted and sampled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallRow {
    pub id: [u8; 16],
    /// What made it; `None` for a diagram.
    pub version: Option<ModelVersionId>,
    /// The seed of an invocation.
    pub seed: Option<i64>,
}

/// A stored invocation or embedding with what it takes to make it again.
#[derive(Clone, Debug)]
pub(crate) struct StoredCall {
    pub run_id: RunId,
    pub sequence_number: SequenceNumber,
    pub model: ModelName,
    pub version: ModelVersionId,
    /// The invocation whose output was the input; `None` for the first of a run.
    pub input: Option<InvocationId>,
    /// The prompt of its run.
    pub initial_prompt: String,
    /// The seed of an invocation.
    pub seed: i64,
    /// The text of an invocation that gave one.
    pub text: Option<String>,
    /// The pixel hash of an invocation that gave a picture.
    pub pixel_hash: Option<Hash>,
    /// The bytes of an embedding's vector.
    pub vector: Option<Vec<u8>>,
}

/// A stored diagram, as it reads.
#[derive(Debug)]
pub(crate) struct StoredDiagram {
    pub run_id: RunId,
    pub model: ModelName,
    pub diagram: Result<Diagram, crate::codec::DiagramCodecError>,
}

impl Store {
    /// Returns all model versions.
    pub(crate) fn model_versions(&self) -> Result<Vec<ModelVersion>, StoreError> {
        let sql = "SELECT id, name, kind, backend, revision, weights_hash, parameters, determinism, program_version \
                   FROM model_version ORDER BY rowid";
        self.collect(sql, [], version_of_row)?.into_iter().collect()
    }

    /// Calls `visit` for each invocation of an experiment, by run and number.
    pub(crate) fn visit_invocation_calls(
        &self,
        experiment: ExperimentId,
        visit: &mut dyn FnMut(CallRow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT i.id, i.model_version_id, i.seed FROM run r JOIN invocation i ON i.run_id = r.id \
                   WHERE r.experiment_id = ?1 ORDER BY r.rowid, i.sequence_number";
        self.visit_calls(sql, experiment, visit)
    }

    /// Calls `visit` for each embedding of an experiment, by run and number.
    pub(crate) fn visit_embedding_calls(
        &self,
        experiment: ExperimentId,
        visit: &mut dyn FnMut(CallRow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT e.id, e.model_version_id, NULL FROM run r JOIN invocation i ON i.run_id = r.id \
                   JOIN embedding e ON e.invocation_id = i.id WHERE r.experiment_id = ?1 \
                   ORDER BY r.rowid, i.sequence_number";
        self.visit_calls(sql, experiment, visit)
    }

    /// Calls `visit` for each diagram of an experiment, by run.
    pub(crate) fn visit_diagram_calls(
        &self,
        experiment: ExperimentId,
        visit: &mut dyn FnMut(CallRow),
    ) -> Result<(), StoreError> {
        let sql = "SELECT p.id, NULL, NULL FROM run r JOIN persistence_diagram p ON p.run_id = r.id \
                   WHERE r.experiment_id = ?1 ORDER BY r.rowid, p.embedding_model";
        self.visit_calls(sql, experiment, visit)
    }

    fn visit_calls(
        &self,
        sql: &str,
        experiment: ExperimentId,
        visit: &mut dyn FnMut(CallRow),
    ) -> Result<(), StoreError> {
        let run = |visit: &mut dyn FnMut(CallRow)| -> rusqlite::Result<()> {
            let mut statement = self.connection.prepare_cached(sql)?;
            let mut rows = statement.query(params![experiment.as_bytes()])?;
            while let Some(row) = rows.next()? {
                let version = row.get::<_, Option<[u8; 16]>>(1)?.map(ModelVersionId::from_bytes);
                visit(CallRow { id: row.get(0)?, version, seed: row.get(2)? });
            }
            Ok(())
        };
        run(visit).map_err(|source| self.failed("reading", source))
    }

    /// Returns an invocation with what it takes to call its model again; `None` when it is gone.
    pub(crate) fn stored_invocation(&self, id: [u8; 16]) -> Result<Option<StoredCall>, StoreError> {
        let sql = "SELECT i.run_id, i.sequence_number, i.model, i.input_invocation_id, r.initial_prompt, i.seed, \
                   i.output_text, m.pixel_hash, NULL, i.model_version_id FROM invocation i JOIN run r ON r.id = i.run_id \
                   LEFT JOIN image m ON m.hash = i.output_image WHERE i.id = ?1";
        Ok(self.collect(sql, params![id], call_of_row)?.pop())
    }

    /// Returns an embedding with what it takes to call its model again; `None` when it is gone.
    pub(crate) fn stored_embedding(&self, id: [u8; 16]) -> Result<Option<StoredCall>, StoreError> {
        let sql = "SELECT i.run_id, i.sequence_number, e.embedding_model, i.id, r.initial_prompt, 0, NULL, NULL, e.vector, \
                   e.model_version_id FROM embedding e JOIN invocation i ON i.id = e.invocation_id JOIN run r ON r.id = i.run_id \
                   WHERE e.id = ?1";
        Ok(self.collect(sql, params![id], call_of_row)?.pop())
    }

    /// Returns a diagram; `None` when it is gone.
    pub(crate) fn stored_diagram(&self, id: [u8; 16]) -> Result<Option<StoredDiagram>, StoreError> {
        let sql = "SELECT run_id, embedding_model, diagram_data FROM persistence_diagram WHERE id = ?1";
        let read = |row: &Row<'_>| {
            Ok(StoredDiagram {
                run_id: RunId::from_bytes(row.get(0)?),
                model: ModelName::new(&row.get::<_, String>(1)?),
                diagram: decode_diagram(row.get_ref(2)?.as_blob()?),
            })
        };
        Ok(self.collect(sql, params![id], read)?.pop())
    }
}

fn call_of_row(row: &Row<'_>) -> rusqlite::Result<StoredCall> {
    Ok(StoredCall {
        run_id: RunId::from_bytes(row.get(0)?),
        sequence_number: SequenceNumber(row.get(1)?),
        model: ModelName::new(&row.get::<_, String>(2)?),
        input: row.get::<_, Option<[u8; 16]>>(3)?.map(InvocationId::from_bytes),
        initial_prompt: row.get(4)?,
        seed: row.get(5)?,
        text: row.get(6)?,
        pixel_hash: row.get::<_, Option<[u8; 32]>>(7)?.map(Hash::from_bytes),
        vector: row.get(8)?,
        version: ModelVersionId::from_bytes(row.get(9)?),
    })
}

fn version_of_row(row: &Row<'_>) -> rusqlite::Result<Result<ModelVersion, StoreError>> {
    let id = ModelVersionId::from_bytes(row.get(0)?);
    let (kind, determinism): (String, String) = (row.get(2)?, row.get(7)?);
    let (Some(kind), Some(determinism)) = (ModelKind::from_word(&kind), Determinism::from_word(&determinism)) else {
        let defect = format!("\"{kind}\" or \"{determinism}\" is no word of this program");
        return Ok(Err(StoreError::Invalid { object: format!("model version {}", id.short()), defect }));
    };
    Ok(Ok(ModelVersion {
        id,
        name: ModelName::new(&row.get::<_, String>(1)?),
        kind,
        backend: row.get(3)?,
        revision: row.get(4)?,
        weights_hash: row.get(5)?,
        parameters: row.get(6)?,
        determinism,
        program_version: row.get(8)?,
    }))
}
