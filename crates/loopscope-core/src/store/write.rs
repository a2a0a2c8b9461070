//! Putting objects in: whole, and in groups that are one transaction each.

use rusqlite::{CachedStatement, Transaction, TransactionBehavior, params};

use super::{Store, StoreError};
use crate::codec::{canonical_json, encode_diagram, encode_vector};
use crate::experiment::{
    ClusteringResult, ClusteringResultId, Embedding, EmbeddingCluster, Experiment, ExperimentId, Failure, ImageRecord,
    Invocation, ModelName, ModelVersion, ModelVersionId, Output, PersistenceDiagram, Run, RunId, Timestamp,
};

/// One object to be stored, or a change of an experiment's own times.
#[derive(Clone, Debug)]
pub enum Write {
    /// A step of a run, with its picture if it is one.
    Invocation(Box<Invocation>),
    /// A vector.
    Embedding(Box<Embedding>),
    /// A diagram.
    Diagram(Box<PersistenceDiagram>),
    /// An attempt that failed.
    Failure(Box<Failure>),
    /// An experiment's work begins or goes on: a start that is there already stays, and it is not complete now.
    ExperimentStarted(ExperimentId, Timestamp),
    /// Nothing of an experiment is missing any more.
    ExperimentCompleted(ExperimentId, Timestamp),
    /// A diagram says less than its run is about to have, as an imported one may; it goes, if it is there.
    DiagramOutgrown(RunId, ModelName),
}

/// What the engine writes through: a group of objects is there after `commit`, durably and whole, or none of it is.
pub trait RecordWriter: Send {
    /// Stores a group, in order, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing of the group is there.
    fn commit(&mut self, group: &[Write]) -> Result<(), StoreError>;

    /// Says whether it is safe to go on, for example that the disk has room.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the engine should stop before it is too late.
    fn check(&self) -> Result<(), StoreError>;
}

impl RecordWriter for Store {
    fn commit(&mut self, group: &[Write]) -> Result<(), StoreError> {
        self.transact("writing to", |transaction| group.iter().try_for_each(|write| insert(transaction, write)))
    }

    fn check(&self) -> Result<(), StoreError> {
        self.refuse_full_disk()
    }
}

impl Store {
    /// Stores an experiment and all its runs in one transaction.
    ///
    /// The name must be free; [`free_name`](Self::free_name) finds one.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing of it is there.
    pub fn create_experiment(&mut self, experiment: &Experiment, runs: &[Run]) -> Result<(), StoreError> {
        self.transact("creating an experiment in", |transaction| {
            insert_experiment(transaction, experiment)?;
            runs.iter().try_for_each(|run| insert_run(transaction, run))
        })
    }

    /// Stores an experiment and all its runs in one transaction, under its name or, when that is taken, the next free
    /// one with a suffix; returns it as stored.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing of it is there.
    pub fn create_experiment_with_free_name(
        &self,
        mut experiment: Experiment,
        runs: &[Run],
    ) -> Result<Experiment, StoreError> {
        self.transact("creating an experiment in", |transaction| {
            // Chosen where nobody else can take it meanwhile.
            experiment.name = self.free_name(&experiment.name)?;
            insert_experiment(transaction, &experiment)?;
            runs.iter().try_for_each(|run| insert_run(transaction, run))
        })?;
        Ok(experiment)
    }

    /// Returns `wanted`, or `wanted-2`, `wanted-3`, … when it is taken.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn free_name(&self, wanted: &str) -> Result<String, StoreError> {
        let is_taken = |name: &str| -> Result<bool, StoreError> {
            self.connection
                .query_row("SELECT EXISTS (SELECT 1 FROM experiment WHERE name = ?1)", [name], |row| row.get(0))
                .map_err(|source| self.failed("reading", source))
        };
        if !is_taken(wanted)? {
            return Ok(wanted.to_owned());
        }
        for suffix in 2_u64.. {
            let name = format!("{wanted}-{suffix}");
            if !is_taken(&name)? {
                return Ok(name);
            }
        }
        Err(StoreError::Refused { message: format!("every name like \"{wanted}\" is taken") })
    }

    /// Returns the ids of these model versions, in order; those that are not there yet are stored, in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn ensure_model_versions(&mut self, versions: &[ModelVersion]) -> Result<Vec<ModelVersionId>, StoreError> {
        self.transact("writing to", |transaction| {
            versions.iter().map(|version| ensure_model_version(transaction, version)).collect()
        })
    }

    /// Stores a clustering with all its members in one transaction.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then nothing of it is there.
    pub fn create_clustering(&mut self, clustering: &ClusteringResult) -> Result<(), StoreError> {
        self.transact("writing to", |transaction| insert_clustering(transaction, clustering))
    }

    /// Runs `body` in one transaction that takes the write lock at once, so that what `body` reads is what it changes.
    pub(super) fn transact<T>(
        &self,
        doing: &'static str,
        body: impl FnOnce(&Transaction<'_>) -> Result<T, WriteFailure>,
    ) -> Result<T, StoreError> {
        let outcome = (|| {
            let transaction = Transaction::new_unchecked(&self.connection, TransactionBehavior::Immediate)?;
            let value = body(&transaction)?;
            transaction.commit()?;
            Ok(value)
        })();
        outcome.map_err(|failure: WriteFailure| match failure {
            WriteFailure::Sqlite(source) => self.failed(doing, source),
            WriteFailure::Store(error) => error,
        })
    }
}

/// What stops a transaction: SQLite itself, or a check of ours.
pub(super) enum WriteFailure {
    Sqlite(rusqlite::Error),
    Store(StoreError),
}

impl From<rusqlite::Error> for WriteFailure {
    fn from(source: rusqlite::Error) -> Self {
        Self::Sqlite(source)
    }
}

impl From<StoreError> for WriteFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Makes a canonical JSON text for a column.
pub(super) fn json_column(object: &str, value: &impl serde::Serialize) -> Result<String, StoreError> {
    canonical_json(value)
        .map_err(|error| StoreError::Invalid { object: object.to_owned(), defect: format!("it is no JSON: {error}") })
}

pub(super) fn cached<'c>(transaction: &'c Transaction<'_>, sql: &str) -> rusqlite::Result<CachedStatement<'c>> {
    transaction.prepare_cached(sql)
}

fn insert(transaction: &Transaction<'_>, write: &Write) -> Result<(), WriteFailure> {
    match write {
        Write::Invocation(invocation) => insert_invocation(transaction, invocation),
        Write::Embedding(embedding) => insert_embedding(transaction, embedding),
        Write::Diagram(diagram) => insert_diagram(transaction, diagram),
        Write::Failure(failure) => insert_failure(transaction, failure),
        Write::ExperimentStarted(id, at) => {
            let sql = "UPDATE experiment SET started_at = coalesce(started_at, ?2), completed_at = NULL \
                       WHERE id = ?1 AND (started_at IS NULL OR completed_at IS NOT NULL)";
            cached(transaction, sql)?.execute(params![id.as_bytes(), at.micros()])?;
            Ok(())
        }
        Write::ExperimentCompleted(id, at) => {
            let sql = "UPDATE experiment SET started_at = coalesce(started_at, ?2), completed_at = max(?2, coalesce(started_at, ?2)) \
                       WHERE id = ?1 AND completed_at IS NULL";
            cached(transaction, sql)?.execute(params![id.as_bytes(), at.micros()])?;
            Ok(())
        }
        Write::DiagramOutgrown(run, model) => {
            let sql = "DELETE FROM persistence_diagram WHERE run_id = ?1 AND embedding_model = ?2";
            cached(transaction, sql)?.execute(params![run.as_bytes(), model.as_str()])?;
            Ok(())
        }
    }
}

pub(super) fn insert_experiment(transaction: &Transaction<'_>, experiment: &Experiment) -> Result<(), WriteFailure> {
    let config = &experiment.config;
    let name = &experiment.name;
    cached(
        transaction,
        "INSERT INTO experiment (id, name, networks, prompts, seeds, embedding_models, max_length, config, origin, created_at, \
         started_at, completed_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        experiment.id.as_bytes(),
        name,
        json_column(name, &config.networks)?,
        json_column(name, &config.prompts)?,
        json_column(name, &config.seeds)?,
        json_column(name, &config.embedding_models)?,
        config.max_length.get(),
        experiment.config_as_given,
        experiment.origin.as_str(),
        experiment.created_at.micros(),
        experiment.started_at.map(Timestamp::micros),
        experiment.completed_at.map(Timestamp::micros),
    ])?;
    Ok(())
}

pub(super) fn insert_run(transaction: &Transaction<'_>, run: &Run) -> Result<(), WriteFailure> {
    cached(
        transaction,
        "INSERT INTO run (id, experiment_id, network, initial_prompt, seed, run_number, max_length) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        run.id.as_bytes(),
        run.experiment_id.as_bytes(),
        json_column("run", &run.key.network)?,
        run.key.initial_prompt,
        run.key.seed.value(),
        run.key.run_number,
        run.max_length.get(),
    ])?;
    Ok(())
}

pub(super) fn insert_invocation(transaction: &Transaction<'_>, invocation: &Invocation) -> Result<(), WriteFailure> {
    let (text, image) = match &invocation.output {
        Output::Text(text) => (Some(text.as_str()), None),
        Output::Image(image) => {
            insert_image(transaction, image)?;
            (None, Some(image.hash.as_bytes()))
        }
    };
    cached(
        transaction,
        "INSERT INTO invocation (id, run_id, sequence_number, input_invocation_id, model, model_version_id, type, seed, \
         started_at, completed_at, output_text, output_image) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
    )?
    .execute(params![
        invocation.id.as_bytes(),
        invocation.run_id.as_bytes(),
        invocation.link.sequence_number().0,
        invocation.link.input_invocation_id().as_ref().map(|id| *id.as_bytes()),
        invocation.model.as_str(),
        invocation.model_version_id.as_bytes(),
        invocation.output.output_type().as_str(),
        invocation.seed.value(),
        invocation.started_at.micros(),
        invocation.completed_at.map(Timestamp::micros),
        text,
        image,
    ])?;
    Ok(())
}

/// Stores a picture unless its bytes are there already: once per content.
fn insert_image(transaction: &Transaction<'_>, image: &ImageRecord) -> Result<(), WriteFailure> {
    cached(
        transaction,
        "INSERT INTO image (hash, pixel_hash, format, width, height, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6) \
         ON CONFLICT (hash) DO NOTHING",
    )?
    .execute(params![
        image.hash.as_bytes(),
        image.pixel_hash.as_bytes(),
        image.format,
        image.width,
        image.height,
        image.bytes,
    ])?;
    Ok(())
}

pub(super) fn insert_embedding(transaction: &Transaction<'_>, embedding: &Embedding) -> Result<(), WriteFailure> {
    cached(
        transaction,
        "INSERT INTO embedding (id, invocation_id, embedding_model, model_version_id, vector, started_at, completed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        embedding.id.as_bytes(),
        embedding.invocation_id.as_bytes(),
        embedding.embedding_model.as_str(),
        embedding.model_version_id.as_bytes(),
        encode_vector(&embedding.vector),
        embedding.started_at.micros(),
        embedding.completed_at.map(Timestamp::micros),
    ])?;
    Ok(())
}

fn insert_diagram(transaction: &Transaction<'_>, diagram: &PersistenceDiagram) -> Result<(), WriteFailure> {
    let bytes = encode_diagram(&diagram.diagram).map_err(|source| StoreError::Diagram {
        object: format!("the {} diagram of run {}", diagram.embedding_model, diagram.run_id.short()),
        source,
    })?;
    cached(
        transaction,
        "INSERT INTO persistence_diagram (id, run_id, embedding_model, diagram_data, started_at, completed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute(params![
        diagram.id.as_bytes(),
        diagram.run_id.as_bytes(),
        diagram.embedding_model.as_str(),
        bytes,
        diagram.started_at.micros(),
        diagram.completed_at.map(Timestamp::micros),
    ])?;
    Ok(())
}

fn insert_failure(transaction: &Transaction<'_>, failure: &Failure) -> Result<(), WriteFailure> {
    cached(
        transaction,
        "INSERT INTO failure (id, experiment_id, run_id, stage, subject, attempt, error, occurred_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        failure.id.as_bytes(),
        failure.experiment_id.as_bytes(),
        failure.run_id.as_ref().map(|id| *id.as_bytes()),
        failure.stage.as_str(),
        failure.subject,
        failure.attempt,
        failure.error,
        failure.occurred_at.micros(),
    ])?;
    Ok(())
}

fn ensure_model_version(transaction: &Transaction<'_>, version: &ModelVersion) -> Result<ModelVersionId, WriteFailure> {
    let key = params![
        version.name.as_str(),
        version.kind.as_str(),
        version.backend,
        version.revision,
        version.weights_hash,
        version.parameters,
        version.program_version,
    ];
    let found = cached(
        transaction,
        "SELECT id FROM model_version WHERE name = ?1 AND kind = ?2 AND backend = ?3 AND revision = ?4 AND weights_hash = ?5 \
         AND parameters = ?6 AND program_version = ?7",
    )?
    .query_row(key, |row| row.get::<_, [u8; 16]>(0));
    match found {
        Ok(id) => return Ok(ModelVersionId::from_bytes(id)),
        Err(rusqlite::Error::QueryReturnedNoRows) => {}
        Err(error) => return Err(error.into()),
    }
    cached(
        transaction,
        "INSERT INTO model_version (id, name, kind, backend, revision, weights_hash, parameters, determinism, program_version) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        version.id.as_bytes(),
        version.name.as_str(),
        version.kind.as_str(),
        version.backend,
        version.revision,
        version.weights_hash,
        version.parameters,
        version.determinism.as_str(),
        version.program_version,
    ])?;
    Ok(version.id)
}

pub(super) fn insert_clustering(
    transaction: &Transaction<'_>,
    clustering: &ClusteringResult,
) -> Result<(), WriteFailure> {
    insert_clustering_row(transaction, clustering)?;
    clustering.members.iter().try_for_each(|member| insert_member(transaction, clustering.id, member))
}

/// Stores a clustering without its members, which the same transaction adds.
pub(super) fn insert_clustering_row(
    transaction: &Transaction<'_>,
    clustering: &ClusteringResult,
) -> Result<(), WriteFailure> {
    cached(
        transaction,
        "INSERT INTO clustering_result (id, embedding_model, algorithm, parameters, layer, created_at, started_at, completed_at) \
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![
        clustering.id.as_bytes(),
        clustering.embedding_model.as_str(),
        clustering.algorithm,
        clustering.parameters,
        clustering.layer,
        clustering.created_at.micros(),
        clustering.started_at.micros(),
        clustering.completed_at.map(Timestamp::micros),
    ])?;
    Ok(())
}

pub(super) fn insert_member(
    transaction: &Transaction<'_>,
    clustering: ClusteringResultId,
    member: &EmbeddingCluster,
) -> Result<(), WriteFailure> {
    cached(
        transaction,
        "INSERT INTO embedding_cluster (id, embedding_id, clustering_result_id, medoid_embedding_id, probability) \
         VALUES (?1, ?2, ?3, ?4, ?5)",
    )?
    .execute(params![
        member.id.as_bytes(),
        member.embedding_id.as_bytes(),
        clustering.as_bytes(),
        member.medoid_embedding_id.as_ref().map(|id| *id.as_bytes()),
        member.probability,
    ])?;
    Ok(())
}
