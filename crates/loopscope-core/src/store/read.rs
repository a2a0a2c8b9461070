//! Taking objects out, each checked on the way.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use rusqlite::{Row, Transaction, params};
use serde::Serialize;
use serde_json::{Map, Value};

use super::{Store, StoreError};
use crate::codec::{Diagram, decode_diagram, decode_image, decode_vector};
use crate::experiment::{
    ClusteringResultId, Determinism, DiagramConfig, EmbeddingId, Experiment, ExperimentConfig, ExperimentId, Failure,
    FailureId, FailureStage, Hash, InvocationId, ModelName, ModelVersionId, Network, NonEmpty, Origin, OutputType,
    Picture, Run, RunId, RunKey, Seed, SequenceNumber, Timestamp, Vector, size_of_value,
};

/// What an invocation gave, as lists show it: a picture by its hashes and sides, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum OutputRow {
    /// Text.
    Text {
        /// The text.
        text: String,
    },
    /// A picture.
    Image {
        /// BLAKE3 of its bytes, as hexadecimal digits.
        hash: String,
        /// Hash of its pixels, as hexadecimal digits.
        pixel_hash: String,
        /// `webp` for what we write.
        format: String,
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
}

/// One step of a run, as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct InvocationRow {
    /// Its id.
    pub id: InvocationId,
    /// Its number.
    pub sequence_number: SequenceNumber,
    /// The model, as the network names it.
    pub model: ModelName,
    /// The seed that was used.
    pub seed: i64,
    /// When the call began.
    pub started_at: Timestamp,
    /// When it ended.
    pub completed_at: Option<Timestamp>,
    /// What it gave.
    pub output: OutputRow,
}

/// How many of everything an experiment has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ExperimentCounts {
    /// Runs.
    pub runs: u64,
    /// Invocations.
    pub invocations: u64,
    /// Embeddings.
    pub embeddings: u64,
    /// Persistence diagrams.
    pub persistence_diagrams: u64,
    /// Attempts that failed, resolved or not.
    pub failures: u64,
}

/// A vector with what it belongs to.
#[derive(Clone, Debug)]
pub struct StoredVector {
    /// The embedding.
    pub id: EmbeddingId,
    /// Whose run.
    pub run_id: RunId,
    /// Whose output, by number.
    pub sequence_number: SequenceNumber,
    /// The vector.
    pub vector: Vector,
    /// What exactly made it.
    pub version: ModelVersionId,
}

/// A text that loops come back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VisitedText {
    /// The text.
    pub text: String,
    /// How many invocations gave it.
    pub visits: u64,
    /// In how many runs.
    pub runs: u64,
}

/// A clustering, as lists show it.
#[derive(Clone, Debug, Serialize)]
pub struct ClusteringSummary {
    /// Its id as hyphenated text.
    pub id: String,
    /// Whose embeddings.
    pub embedding_model: String,
    /// The algorithm.
    pub algorithm: String,
    /// Embeddings in it.
    pub members: u64,
    /// Clusters found.
    pub clusters: u64,
    /// Embeddings in none.
    pub outliers: u64,
    /// When it was stored.
    pub created_at: Timestamp,
}

const EXPERIMENT_COLUMNS: &str = "id, name, networks, prompts, seeds, embedding_models, max_length, config, origin, created_at, \
                                  started_at, completed_at";
const RUN_COLUMNS: &str = "id, experiment_id, network, initial_prompt, seed, run_number, max_length";

impl Store {
    /// Returns an experiment.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or [`StoreError::Invalid`] when the row does not say what it should.
    pub fn experiment(&self, id: ExperimentId) -> Result<Experiment, StoreError> {
        let sql = format!("SELECT {EXPERIMENT_COLUMNS} FROM experiment WHERE id = ?1");
        let mut found = self.collect(&sql, params![id.as_bytes()], experiment_of_row)?;
        match found.pop() {
            Some(experiment) => experiment,
            None => Err(StoreError::NotFound { noun: "experiment", typed: id.to_string(), nearest: None }),
        }
    }

    /// Returns all experiments, oldest first.
    ///
    /// # Errors
    ///
    /// As [`experiment`](Self::experiment).
    pub fn experiments(&self) -> Result<Vec<Experiment>, StoreError> {
        let sql = format!("SELECT {EXPERIMENT_COLUMNS} FROM experiment ORDER BY created_at, rowid");
        self.collect(&sql, [], experiment_of_row)?.into_iter().collect()
    }

    /// Returns the runs of an experiment in the order in which they were made: networks × prompts × seeds.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`] when a row does not say what it should.
    pub fn runs(&self, experiment: ExperimentId) -> Result<Vec<Run>, StoreError> {
        let sql = format!("SELECT {RUN_COLUMNS} FROM run WHERE experiment_id = ?1 ORDER BY rowid");
        self.collect(&sql, params![experiment.as_bytes()], run_of_row)?.into_iter().collect()
    }

    /// Returns a run.
    ///
    /// # Errors
    ///
    /// As [`experiment`](Self::experiment).
    pub fn run(&self, id: RunId) -> Result<Run, StoreError> {
        let sql = format!("SELECT {RUN_COLUMNS} FROM run WHERE id = ?1");
        match self.collect(&sql, params![id.as_bytes()], run_of_row)?.pop() {
            Some(run) => run,
            None => Err(StoreError::NotFound { noun: "run", typed: id.to_string(), nearest: None }),
        }
    }

    /// Calls `visit` for each step of a run, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Invalid`], or whatever `visit` returns.
    pub fn visit_invocations<E: From<StoreError>>(
        &self,
        run: RunId,
        mut visit: impl FnMut(InvocationRow) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = "SELECT i.id, i.sequence_number, i.model, i.seed, i.started_at, i.completed_at, i.output_text, m.hash, \
                   m.pixel_hash, m.format, m.width, m.height \
                   FROM invocation i LEFT JOIN image m ON m.hash = i.output_image WHERE i.run_id = ?1 ORDER BY i.sequence_number";
        let failed = |source| E::from(self.failed("reading", source));
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(params![run.as_bytes()]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            visit(invocation_of_row(row).map_err(failed)?)?;
        }
        Ok(())
    }

    /// Returns the text that an invocation gave, or the picture's pixels.
    ///
    /// # Errors
    ///
    /// [`StoreError::Image`] when the picture does not decode, [`StoreError::NotFound`].
    pub fn output(&self, id: InvocationId) -> Result<StoredOutput, StoreError> {
        let sql = "SELECT i.output_text, m.format, m.bytes FROM invocation i LEFT JOIN image m ON m.hash = i.output_image \
                   WHERE i.id = ?1";
        let columns = |row: &Row<'_>| {
            Ok((row.get::<_, Option<String>>(0)?, row.get::<_, Option<String>>(1)?, row.get::<_, Option<Vec<u8>>>(2)?))
        };
        let object = || format!("invocation {}", id.short());
        match self.collect(sql, params![id.as_bytes()], columns)?.pop() {
            Some((Some(text), _, _)) => Ok(StoredOutput::Text(text)),
            Some((None, Some(format), Some(bytes))) => decode_image(&format, &bytes)
                .map(StoredOutput::Image)
                .map_err(|source| StoreError::Image { object: object(), source }),
            Some(_) => {
                Err(StoreError::Invalid { object: object(), defect: "its picture is not in the store".to_owned() })
            }
            None => Err(StoreError::NotFound { noun: "invocation", typed: id.to_string(), nearest: None }),
        }
    }

    /// Returns the stored bytes of a picture and their format.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`].
    pub fn image_bytes(&self, hash: Hash) -> Result<(String, Vec<u8>), StoreError> {
        let sql = "SELECT format, bytes FROM image WHERE hash = ?1";
        let mut found = self.collect(sql, params![hash.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?)))?;
        found.pop().ok_or_else(|| StoreError::NotFound { noun: "image", typed: hash.to_string(), nearest: None })
    }

    /// Returns the vectors of a run in the space of one embedding model, in order.
    ///
    /// # Errors
    ///
    /// [`StoreError::Vector`] when one does not read.
    pub fn trajectory(&self, run: RunId, model: &ModelName) -> Result<Vec<StoredVector>, StoreError> {
        let sql = "SELECT e.id, i.run_id, i.sequence_number, e.vector, e.model_version_id FROM invocation i \
                   JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = ?2 WHERE i.run_id = ?1 ORDER BY i.sequence_number";
        self.collect(sql, params![run.as_bytes(), model.as_str()], vector_of_row)?.into_iter().collect()
    }

    /// Returns all vectors of an experiment in the space of one embedding model, by run and number.
    ///
    /// # Errors
    ///
    /// As [`trajectory`](Self::trajectory).
    pub fn vectors(&self, experiment: ExperimentId, model: &ModelName) -> Result<Vec<StoredVector>, StoreError> {
        let mut vectors = Vec::new();
        for run in self.runs(experiment)? {
            vectors.extend(self.trajectory(run.id, model)?);
        }
        Ok(vectors)
    }

    /// Returns how many embeddings of an experiment each version of an embedding model made, in the order of the ids.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn embedding_versions(
        &self,
        experiment: ExperimentId,
        model: &ModelName,
    ) -> Result<Vec<(ModelVersionId, u64)>, StoreError> {
        let sql = "SELECT e.model_version_id, count(*) FROM run r JOIN invocation i ON i.run_id = r.id \
                   JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = ?2 \
                   WHERE r.experiment_id = ?1 GROUP BY e.model_version_id ORDER BY e.model_version_id";
        self.collect(sql, params![experiment.as_bytes(), model.as_str()], |row| {
            Ok((ModelVersionId::from_bytes(row.get(0)?), row.get(1)?))
        })
    }

    /// Returns the diagram of a run in the space of one embedding model, when there is one.
    ///
    /// # Errors
    ///
    /// [`StoreError::Diagram`] when it does not read.
    pub fn diagram(&self, run: RunId, model: &ModelName) -> Result<Option<Diagram>, StoreError> {
        let sql = "SELECT diagram_data FROM persistence_diagram WHERE run_id = ?1 AND embedding_model = ?2";
        let found: Option<Vec<u8>> =
            self.collect(sql, params![run.as_bytes(), model.as_str()], |row| row.get(0))?.pop();
        let object = || format!("the {model} diagram of run {}", run.short());
        found
            .map(|bytes| decode_diagram(&bytes).map_err(|source| StoreError::Diagram { object: object(), source }))
            .transpose()
    }

    /// Returns how far a model version repeats itself, as stored.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotFound`], or [`StoreError::Invalid`] for a word that is no class.
    pub fn determinism(&self, id: ModelVersionId) -> Result<Determinism, StoreError> {
        let sql = "SELECT determinism FROM model_version WHERE id = ?1";
        let word: Option<String> = self.collect(sql, params![id.as_bytes()], |row| row.get(0))?.pop();
        let word =
            word.ok_or_else(|| StoreError::NotFound { noun: "model version", typed: id.to_string(), nearest: None })?;
        Determinism::from_word(&word).ok_or_else(|| StoreError::Invalid {
            object: format!("model version {}", id.short()),
            defect: format!("\"{word}\" is no class of determinism"),
        })
    }

    /// Returns how many numbers the vectors of a model have in an experiment, when there is one yet.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn dimension(&self, experiment: ExperimentId, model: &ModelName) -> Result<Option<usize>, StoreError> {
        let sql = "SELECT length(e.vector) / 4 FROM run r JOIN invocation i ON i.run_id = r.id \
                   JOIN embedding e ON e.invocation_id = i.id AND e.embedding_model = ?2 WHERE r.experiment_id = ?1 LIMIT 1";
        Ok(self.collect(sql, params![experiment.as_bytes(), model.as_str()], |row| row.get(0))?.pop())
    }

    /// Counts what an experiment has.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn counts(&self, experiment: ExperimentId) -> Result<ExperimentCounts, StoreError> {
        let count = |sql: &str| -> Result<u64, StoreError> {
            self.connection
                .query_row(sql, params![experiment.as_bytes()], |row| row.get(0))
                .map_err(|source| self.failed("counting in", source))
        };
        Ok(ExperimentCounts {
            runs: count("SELECT count(*) FROM run WHERE experiment_id = ?1")?,
            invocations: count(
                "SELECT count(*) FROM run r JOIN invocation i ON i.run_id = r.id WHERE r.experiment_id = ?1",
            )?,
            embeddings: count(
                "SELECT count(*) FROM run r JOIN invocation i ON i.run_id = r.id JOIN embedding e ON e.invocation_id = i.id \
                 WHERE r.experiment_id = ?1",
            )?,
            persistence_diagrams: count(
                "SELECT count(*) FROM run r JOIN persistence_diagram p ON p.run_id = r.id WHERE r.experiment_id = ?1",
            )?,
            failures: count("SELECT count(*) FROM failure WHERE experiment_id = ?1")?,
        })
    }

    /// Returns the failures of an experiment, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn failures(&self, experiment: ExperimentId) -> Result<Vec<Failure>, StoreError> {
        let sql = "SELECT id, experiment_id, run_id, stage, subject, attempt, error, occurred_at FROM failure \
                   WHERE experiment_id = ?1 ORDER BY occurred_at, rowid";
        self.collect(sql, params![experiment.as_bytes()], failure_of_row)
    }

    /// Returns the texts that an experiment's runs gave most often, at most `limit`: most visits first, then by text.
    ///
    /// SQLite counts, on disk where it must, so that memory does not grow with the experiment.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn most_visited(&self, experiment: ExperimentId, limit: u32) -> Result<Vec<VisitedText>, StoreError> {
        let sql = "SELECT i.output_text, count(*) AS visits, count(DISTINCT i.run_id) FROM run r JOIN invocation i ON i.run_id = r.id \
                   WHERE r.experiment_id = ?1 AND i.output_text IS NOT NULL GROUP BY i.output_text \
                   ORDER BY visits DESC, i.output_text LIMIT ?2";
        self.collect(sql, params![experiment.as_bytes(), limit], |row| {
            Ok(VisitedText { text: row.get(0)?, visits: row.get(1)?, runs: row.get(2)? })
        })
    }

    /// Returns the clusterings whose embeddings belong to an experiment, oldest first.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn clusterings(&self, experiment: ExperimentId) -> Result<Vec<ClusteringSummary>, StoreError> {
        let sql = "SELECT c.id, c.embedding_model, c.algorithm, count(*), count(DISTINCT k.medoid_embedding_id), \
                   sum(k.medoid_embedding_id IS NULL), c.created_at \
                   FROM clustering_result c JOIN embedding_cluster k ON k.clustering_result_id = c.id \
                   WHERE EXISTS (SELECT 1 FROM embedding_cluster x \
                     JOIN embedding e ON e.id IN (x.embedding_id, x.medoid_embedding_id) \
                     JOIN invocation i ON i.id = e.invocation_id JOIN run r ON r.id = i.run_id \
                     WHERE x.clustering_result_id = c.id AND r.experiment_id = ?1) \
                   GROUP BY c.id ORDER BY c.created_at, c.rowid";
        self.collect(sql, params![experiment.as_bytes()], |row| {
            Ok(ClusteringSummary {
                id: ClusteringResultId::from_bytes(row.get(0)?).to_string(),
                embedding_model: row.get(1)?,
                algorithm: row.get(2)?,
                members: row.get(3)?,
                clusters: row.get(4)?,
                outliers: row.get(5)?,
                created_at: Timestamp::from_micros(row.get(6)?),
            })
        })
    }

    /// Holds one state of the database for several reads, while the returned value lives; within a transaction one is
    /// held already.
    pub(super) fn hold_state(&self) -> Result<Option<Transaction<'_>>, StoreError> {
        if !self.connection.is_autocommit() {
            return Ok(None);
        }
        self.connection.unchecked_transaction().map(Some).map_err(|source| self.failed("reading", source))
    }

    /// Runs a query and collects what `read` makes of each row.
    pub(super) fn collect<T>(
        &self,
        sql: &str,
        parameters: impl rusqlite::Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>, StoreError> {
        let run = || -> rusqlite::Result<Vec<T>> {
            let mut statement = self.connection.prepare_cached(sql)?;
            statement.query_map(parameters, read)?.collect()
        };
        run().map_err(|source| self.failed("reading", source))
    }
}

/// What an invocation gave, with its pixels if it is a picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredOutput {
    /// Text.
    Text(String),
    /// A picture.
    Image(Picture),
}

fn experiment_of_row(row: &Row<'_>) -> rusqlite::Result<Result<Experiment, StoreError>> {
    let id = ExperimentId::from_bytes(row.get(0)?);
    let name: String = row.get(1)?;
    let lists = [row.get::<_, String>(2)?, row.get(3)?, row.get(4)?, row.get(5)?];
    let max_length: u64 = row.get(6)?;
    let config_as_given: String = row.get(7)?;
    let origin: String = row.get(8)?;
    let times = (row.get(9)?, row.get::<_, Option<i64>>(10)?, row.get::<_, Option<i64>>(11)?);
    Ok(config_of_columns(&name, &lists, max_length, &config_as_given).map(|config| Experiment {
        id,
        name,
        config,
        config_as_given,
        origin: if origin == Origin::Legacy.as_str() { Origin::Legacy } else { Origin::Native },
        created_at: Timestamp::from_micros(times.0),
        started_at: times.1.map(Timestamp::from_micros),
        completed_at: times.2.map(Timestamp::from_micros),
    }))
}

fn config_of_columns(
    name: &str,
    lists: &[String; 4],
    max_length: u64,
    config_as_given: &str,
) -> Result<ExperimentConfig, StoreError> {
    let invalid = |defect: String| StoreError::Invalid { object: format!("experiment \"{name}\""), defect };
    let networks: Vec<Vec<String>> = list_of(&lists[0], "networks").map_err(invalid)?;
    let prompts: Vec<String> = list_of(&lists[1], "prompts").map_err(invalid)?;
    let seeds: Vec<i64> = list_of(&lists[2], "seeds").map_err(invalid)?;
    let embedding_models: Vec<String> = list_of(&lists[3], "embedding_models").map_err(invalid)?;
    let networks = networks.iter().map(|models| network_of(models)).collect::<Result<Vec<_>, _>>().map_err(invalid)?;
    let seeds = seeds
        .into_iter()
        .map(|value| Seed::new(value).map_err(|error| invalid(error.to_string())))
        .collect::<Result<Vec<_>, _>>()?;
    let embedding_models = embedding_models.iter().map(|name| ModelName::new(name)).collect();
    let empty = |column: &str| invalid(format!("{column} is an empty list"));
    Ok(ExperimentConfig {
        name: Some(name.to_owned()),
        networks: NonEmpty::new(networks).ok_or_else(|| empty("networks"))?,
        prompts: NonEmpty::new(prompts).ok_or_else(|| empty("prompts"))?,
        seeds: NonEmpty::new(seeds).ok_or_else(|| empty("seeds"))?,
        embedding_models: NonEmpty::new(embedding_models).ok_or_else(|| empty("embedding_models"))?,
        max_length: NonZeroU64::new(max_length).ok_or_else(|| invalid("max_length is 0".to_owned()))?,
        parameters: parameters_of_config(config_as_given),
        diagrams: diagrams_of_config(config_as_given),
    })
}

/// Reads the `parameters` of the config as it was given: model name to object.
fn parameters_of_config(config_as_given: &str) -> BTreeMap<ModelName, Map<String, Value>> {
    let Ok(Value::Object(mut given)) = serde_json::from_str(config_as_given) else { return BTreeMap::new() };
    let Some(Value::Object(models)) = given.remove("parameters") else { return BTreeMap::new() };
    let object = |(name, value): (String, Value)| match value {
        Value::Object(map) => Some((ModelName::new(&name), map)),
        _ => None,
    };
    models.into_iter().filter_map(object).collect()
}

/// Reads what the config as it was given says of diagrams.
fn diagrams_of_config(config_as_given: &str) -> DiagramConfig {
    let Ok(Value::Object(given)) = serde_json::from_str(config_as_given) else { return DiagramConfig::default() };
    let generators = given.get("generators").and_then(Value::as_u64).and_then(|count| usize::try_from(count).ok());
    DiagramConfig {
        generator_count_max: generators.unwrap_or(0),
        memory_bytes_max: given.get("diagram_memory_limit").and_then(size_of_value),
    }
}

fn list_of<T: serde::de::DeserializeOwned>(text: &str, column: &str) -> Result<Vec<T>, String> {
    serde_json::from_str(text).map_err(|error| format!("{column} does not read: {error}"))
}

fn network_of(models: &[String]) -> Result<Network, String> {
    Network::new(models.iter().map(|name| ModelName::new(name)).collect()).map_err(|error| error.to_string())
}

pub(super) fn run_of_row(row: &Row<'_>) -> rusqlite::Result<Result<Run, StoreError>> {
    let id = RunId::from_bytes(row.get(0)?);
    let experiment_id = ExperimentId::from_bytes(row.get(1)?);
    let network: String = row.get(2)?;
    let initial_prompt: String = row.get(3)?;
    let (seed, run_number, max_length): (i64, u64, u64) = (row.get(4)?, row.get(5)?, row.get(6)?);
    let invalid = |defect: String| StoreError::Invalid { object: format!("run {}", id.short()), defect };
    Ok((|| {
        let models: Vec<String> = list_of(&network, "network").map_err(invalid)?;
        Ok(Run {
            id,
            experiment_id,
            key: RunKey {
                network: network_of(&models).map_err(invalid)?,
                initial_prompt,
                seed: Seed::new(seed).map_err(|error| invalid(error.to_string()))?,
                run_number,
            },
            max_length: NonZeroU64::new(max_length).ok_or_else(|| invalid("max_length is 0".to_owned()))?,
        })
    })())
}

fn invocation_of_row(row: &Row<'_>) -> rusqlite::Result<InvocationRow> {
    let model: String = row.get(2)?;
    let output = match row.get::<_, Option<String>>(6)? {
        Some(text) => OutputRow::Text { text },
        None => OutputRow::Image {
            hash: Hash::from_bytes(row.get(7)?).to_string(),
            pixel_hash: Hash::from_bytes(row.get(8)?).to_string(),
            format: row.get(9)?,
            width: row.get(10)?,
            height: row.get(11)?,
        },
    };
    Ok(InvocationRow {
        id: InvocationId::from_bytes(row.get(0)?),
        sequence_number: SequenceNumber(row.get(1)?),
        model: ModelName::new(&model),
        seed: row.get(3)?,
        started_at: Timestamp::from_micros(row.get(4)?),
        completed_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_micros),
        output,
    })
}

fn vector_of_row(row: &Row<'_>) -> rusqlite::Result<Result<StoredVector, StoreError>> {
    let id = EmbeddingId::from_bytes(row.get(0)?);
    let run_id = RunId::from_bytes(row.get(1)?);
    let sequence_number = SequenceNumber(row.get(2)?);
    let bytes = row.get_ref(3)?.as_blob()?;
    let version = ModelVersionId::from_bytes(row.get(4)?);
    Ok(decode_vector(bytes)
        .map(|vector| StoredVector { id, run_id, sequence_number, vector, version })
        .map_err(|source| StoreError::Vector { object: format!("embedding {}", id.short()), source }))
}

fn failure_of_row(row: &Row<'_>) -> rusqlite::Result<Failure> {
    let stage: String = row.get(3)?;
    Ok(Failure {
        id: FailureId::from_bytes(row.get(0)?),
        experiment_id: ExperimentId::from_bytes(row.get(1)?),
        run_id: row.get::<_, Option<[u8; 16]>>(2)?.map(RunId::from_bytes),
        stage: FailureStage::from_word(&stage).ok_or(rusqlite::Error::InvalidQuery)?,
        subject: row.get(4)?,
        attempt: row.get(5)?,
        error: row.get(6)?,
        occurred_at: Timestamp::from_micros(row.get(7)?),
    })
}

/// Returns the type that the invocation with this number gives, as its stored word says.
pub(super) fn output_type_of(word: &str) -> Option<OutputType> {
    [OutputType::Text, OutputType::Image].into_iter().find(|kind| kind.as_str() == word)
}
