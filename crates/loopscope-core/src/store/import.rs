//! Putting in objects that have an identity already, from another store or an earlier tool.
//!
//! Each object is stored as every other one is, unless its id is there. Then what is there must say the same, which
//! makes an import that was stopped, and one that is done twice, harmless; and if it says something else nothing of
//! the group is stored. What this program changes later (an experiment's lists and times, a run's length) is left out
//! of the comparison.

use rusqlite::{OptionalExtension, Params, Row, Transaction, params};

use super::write::{
    WriteFailure, cached, insert_clustering_row, insert_embedding, insert_experiment, insert_invocation, insert_member,
    insert_run,
};
use super::{Store, StoreError};
use crate::codec::encode_vector;
use crate::experiment::{
    ClusteringResult, Embedding, EmbeddingCluster, Experiment, Hash, ImageRecord, Invocation, ModelName, Output,
    PersistenceDiagramId, Run, RunId, Timestamp,
};
use crate::store::write::json_column;

/// A diagram whose bytes are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiagramAsGiven {
    /// Its id.
    pub id: PersistenceDiagramId,
    /// Whose trajectory.
    pub run_id: RunId,
    /// In which space.
    pub embedding_model: ModelName,
    /// The archive; it was decoded, and is not encoded anew.
    pub bytes: Vec<u8>,
    /// When the computation began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
}

/// One object that comes with its id.
#[derive(Clone, Debug)]
pub enum Arrival {
    /// An experiment, without its runs.
    Experiment(Box<Experiment>),
    /// A run.
    Run(Box<Run>),
    /// An invocation; the one before it is there or comes before it in the group.
    Invocation(Box<Invocation>),
    /// An embedding.
    Embedding(Box<Embedding>),
    /// A diagram.
    Diagram(Box<DiagramAsGiven>),
}

/// What a group of arrivals came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Stored now.
    pub new: u64,
    /// There already, and the same.
    pub there: u64,
}

impl Arrived {
    fn count(&mut self, is_new: bool) {
        *(if is_new { &mut self.new } else { &mut self.there }) += 1;
    }
}

impl Store {
    /// Stores a group of objects that have their ids already, in order, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Conflict`] when an id, or a place that only one object can have, is taken by another object;
    /// [`StoreError`]. Then nothing of the group is there.
    pub fn import_group(&self, group: &[Arrival]) -> Result<Arrived, StoreError> {
        self.transact("importing into", |transaction| {
            let mut arrived = Arrived::default();
            for arrival in group {
                arrived.count(self.import_one(transaction, arrival)?);
            }
            Ok(arrived)
        })
    }

    /// Stores a clustering that has its id already, with all its members, in one transaction.
    ///
    /// `members` is asked for lists of members until it gives `None`; an error of its own leaves nothing there.
    ///
    /// # Errors
    ///
    /// As [`import_group`](Self::import_group), and whatever `members` gives.
    pub fn import_clustering(
        &self,
        clustering: &ClusteringResult,
        members: &mut dyn FnMut() -> Result<Option<Vec<EmbeddingCluster>>, StoreError>,
    ) -> Result<(bool, Arrived), StoreError> {
        self.transact("importing into", |transaction| {
            let is_new = import_clustering_row(transaction, clustering)?;
            let mut arrived = Arrived::default();
            while let Some(list) = members()? {
                for member in &list {
                    arrived.count(import_member(transaction, clustering, member)?);
                }
            }
            Ok((is_new, arrived))
        })
    }

    /// Returns what the store has of the picture with these bytes, so that it need not be decoded again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn known_image(&self, hash: Hash, bytes: Vec<u8>) -> Result<Result<ImageRecord, Vec<u8>>, StoreError> {
        let found = (|| {
            let mut statement = self
                .connection
                .prepare_cached("SELECT pixel_hash, format, width, height FROM image WHERE hash = ?1 AND bytes = ?2")?;
            let row = |row: &Row<'_>| Ok((row.get::<_, [u8; 32]>(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            statement.query_row(params![hash.as_bytes(), bytes], row).optional()
        })();
        Ok(match found.map_err(|source| self.failed("reading", source))? {
            Some((pixel_hash, format, width, height)) => {
                Ok(ImageRecord { hash, pixel_hash: Hash::from_bytes(pixel_hash), format, width, height, bytes })
            }
            None => Err(bytes),
        })
    }

    fn import_one(&self, transaction: &Transaction<'_>, arrival: &Arrival) -> Result<bool, WriteFailure> {
        match arrival {
            Arrival::Experiment(experiment) => self.import_experiment(transaction, experiment),
            Arrival::Run(run) => import_run(transaction, run),
            Arrival::Invocation(invocation) => import_invocation(transaction, invocation),
            Arrival::Embedding(embedding) => import_embedding(transaction, embedding),
            Arrival::Diagram(diagram) => import_diagram(transaction, diagram),
        }
    }

    fn import_experiment(&self, transaction: &Transaction<'_>, experiment: &Experiment) -> Result<bool, WriteFailure> {
        let sql = "SELECT config = ?2 AND origin = ?3 FROM experiment WHERE id = ?1";
        let given = params![experiment.id.as_bytes(), experiment.config_as_given, experiment.origin.as_str()];
        if is_there(transaction, "experiment", &experiment.id.to_string(), sql, given)? {
            return Ok(false);
        }
        // Chosen where nobody else can take it meanwhile.
        let named = Experiment { name: self.free_name(&experiment.name)?, ..experiment.clone() };
        insert_experiment(transaction, &named)?;
        Ok(true)
    }
}

/// Returns whether the object is there; when another one has its id, that is a conflict.
///
/// `sql` selects, by the id that is the first parameter, whether what is there says the same.
fn is_there(
    transaction: &Transaction<'_>,
    table: &'static str,
    id: &str,
    sql: &str,
    given: impl Params,
) -> Result<bool, WriteFailure> {
    match cached(transaction, sql)?.query_row(given, |row| row.get::<_, Option<bool>>(0)).optional()? {
        None => Ok(false),
        Some(Some(true)) => Ok(true),
        Some(_) => {
            let defect = "is there already and says something else";
            Err(StoreError::Conflict { object: format!("{table} {id}"), defect: defect.to_owned() }.into())
        }
    }
}

/// Refuses an object whose place, such as a number in a run, another one has.
fn refuse_taken(
    transaction: &Transaction<'_>,
    object: impl FnOnce() -> String,
    sql: &str,
    place: impl Params,
) -> Result<(), WriteFailure> {
    let taken = cached(transaction, sql)?.query_row(place, |row| row.get::<_, String>(0)).optional()?;
    match taken {
        None => Ok(()),
        Some(by) => {
            let defect = format!("has its place taken by {}, which is of another origin", by.to_lowercase());
            Err(StoreError::Conflict { object: object(), defect }.into())
        }
    }
}

fn import_run(transaction: &Transaction<'_>, run: &Run) -> Result<bool, WriteFailure> {
    let sql = "SELECT experiment_id = ?2 AND network = ?3 AND initial_prompt = ?4 AND seed = ?5 FROM run WHERE id = ?1";
    let network = json_column("run", &run.key.network)?;
    let (experiment, key) = (run.experiment_id, &run.key);
    let given = params![run.id.as_bytes(), experiment.as_bytes(), network, key.initial_prompt, key.seed.value()];
    if is_there(transaction, "run", &run.id.to_string(), sql, given)? {
        return Ok(false);
    }
    let taken = "SELECT hex(id) FROM run WHERE experiment_id = ?1 AND network = ?2 AND initial_prompt = ?3 AND seed = ?4 \
                 AND run_number = ?5";
    let place = params![experiment.as_bytes(), network, key.initial_prompt, key.seed.value(), key.run_number];
    refuse_taken(transaction, || format!("run {}", run.id), taken, place)?;
    insert_run(transaction, run)?;
    Ok(true)
}

fn import_invocation(transaction: &Transaction<'_>, invocation: &Invocation) -> Result<bool, WriteFailure> {
    let sql = "SELECT run_id = ?2 AND sequence_number = ?3 AND input_invocation_id IS ?4 AND model = ?5 AND started_at = ?6 \
               AND completed_at IS ?7 AND output_text IS ?8 AND output_image IS ?9 FROM invocation WHERE id = ?1";
    let (text, image) = match &invocation.output {
        Output::Text(text) => (Some(text), None),
        Output::Image(image) => (None, Some(image.hash)),
    };
    let number = invocation.link.sequence_number().0;
    let given = params![
        invocation.id.as_bytes(),
        invocation.run_id.as_bytes(),
        number,
        invocation.link.input_invocation_id().as_ref().map(|id| *id.as_bytes()),
        invocation.model.as_str(),
        invocation.started_at.micros(),
        invocation.completed_at.map(Timestamp::micros),
        text,
        image.as_ref().map(|hash| *hash.as_bytes()),
    ];
    if is_there(transaction, "invocation", &invocation.id.to_string(), sql, given)? {
        return Ok(false);
    }
    let taken = "SELECT hex(id) FROM invocation WHERE run_id = ?1 AND sequence_number = ?2";
    let place = params![invocation.run_id.as_bytes(), number];
    refuse_taken(transaction, || format!("invocation {}, number {number} of its run,", invocation.id), taken, place)?;
    insert_invocation(transaction, invocation)?;
    Ok(true)
}

fn import_embedding(transaction: &Transaction<'_>, embedding: &Embedding) -> Result<bool, WriteFailure> {
    let sql = "SELECT invocation_id = ?2 AND embedding_model = ?3 AND vector = ?4 AND started_at = ?5 AND completed_at IS ?6 \
               FROM embedding WHERE id = ?1";
    let given = params![
        embedding.id.as_bytes(),
        embedding.invocation_id.as_bytes(),
        embedding.embedding_model.as_str(),
        encode_vector(&embedding.vector),
        embedding.started_at.micros(),
        embedding.completed_at.map(Timestamp::micros),
    ];
    if is_there(transaction, "embedding", &embedding.id.to_string(), sql, given)? {
        return Ok(false);
    }
    let taken = "SELECT hex(id) FROM embedding WHERE invocation_id = ?1 AND embedding_model = ?2";
    let place = params![embedding.invocation_id.as_bytes(), embedding.embedding_model.as_str()];
    refuse_taken(transaction, || format!("embedding {}", embedding.id), taken, place)?;
    insert_embedding(transaction, embedding)?;
    Ok(true)
}

fn import_diagram(transaction: &Transaction<'_>, diagram: &DiagramAsGiven) -> Result<bool, WriteFailure> {
    let sql = "SELECT run_id = ?2 AND embedding_model = ?3 AND diagram_data = ?4 AND started_at = ?5 AND completed_at IS ?6 \
               FROM persistence_diagram WHERE id = ?1";
    let given = params![
        diagram.id.as_bytes(),
        diagram.run_id.as_bytes(),
        diagram.embedding_model.as_str(),
        diagram.bytes,
        diagram.started_at.micros(),
        diagram.completed_at.map(Timestamp::micros),
    ];
    if is_there(transaction, "persistence diagram", &diagram.id.to_string(), sql, given)? {
        return Ok(false);
    }
    let place = params![diagram.run_id.as_bytes(), diagram.embedding_model.as_str()];
    // A run that went on here has outgrown the source's diagram, which was taken out then; another takes its place, or will.
    let has_gone_on = "SELECT EXISTS (SELECT 1 FROM model_version WHERE name = ?2 AND backend <> 'legacy') AND EXISTS \
                       (SELECT 1 FROM invocation i JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = ?2 \
                        JOIN model_version v ON v.id = e.model_version_id WHERE i.run_id = ?1 AND v.backend <> 'legacy')";
    if cached(transaction, has_gone_on)?.query_row(place, |row| row.get(0))? {
        return Ok(false);
    }
    let taken = "SELECT hex(id) FROM persistence_diagram WHERE run_id = ?1 AND embedding_model = ?2";
    refuse_taken(transaction, || format!("persistence diagram {}", diagram.id), taken, place)?;
    let insert = "INSERT INTO persistence_diagram (id, run_id, embedding_model, diagram_data, started_at, completed_at) \
                  VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    cached(transaction, insert)?.execute(given)?;
    Ok(true)
}

fn import_clustering_row(transaction: &Transaction<'_>, clustering: &ClusteringResult) -> Result<bool, WriteFailure> {
    let sql = "SELECT embedding_model = ?2 AND algorithm = ?3 AND parameters = ?4 AND started_at = ?5 AND completed_at IS ?6 \
               FROM clustering_result WHERE id = ?1";
    let given = params![
        clustering.id.as_bytes(),
        clustering.embedding_model.as_str(),
        clustering.algorithm,
        clustering.parameters,
        clustering.started_at.micros(),
        clustering.completed_at.map(Timestamp::micros),
    ];
    if is_there(transaction, "clustering", &clustering.id.to_string(), sql, given)? {
        return Ok(false);
    }
    insert_clustering_row(transaction, clustering)?;
    Ok(true)
}

fn import_member(
    transaction: &Transaction<'_>,
    clustering: &ClusteringResult,
    member: &EmbeddingCluster,
) -> Result<bool, WriteFailure> {
    let sql = "SELECT embedding_id = ?2 AND clustering_result_id = ?3 AND medoid_embedding_id IS ?4 FROM embedding_cluster \
               WHERE id = ?1";
    let given = params![
        member.id.as_bytes(),
        member.embedding_id.as_bytes(),
        clustering.id.as_bytes(),
        member.medoid_embedding_id.as_ref().map(|id| *id.as_bytes()),
    ];
    if is_there(transaction, "cluster member", &member.id.to_string(), sql, given)? {
        return Ok(false);
    }
    insert_member(transaction, clustering.id, member)?;
    Ok(true)
}
