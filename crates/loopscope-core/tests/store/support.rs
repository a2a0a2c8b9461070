//! A database in a folder of its own, and objects to fill it with.

use std::collections::BTreeMap;
use std::error::Error;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loopscope_core::codec::encode_image;
use loopscope_core::experiment::{
    Clock, ClusteringResult, ClusteringResultId, Determinism, Embedding, EmbeddingCluster, EmbeddingClusterId,
    EmbeddingId, Experiment, ExperimentConfig, ExperimentId, Invocation, InvocationId, Link, ModelKind, ModelName,
    ModelVersion, ModelVersionId, Network, NonEmpty, Origin, Output, Picture, Run, RunId, Seed, SequenceNumber,
    Timestamp, Vector,
};
use loopscope_core::store::{OpenOptions, RecordWriter, Store, Write};
use rusqlite::Connection;
use rusqlite::types::Value;

/// A folder that goes with the test, and where its database lies.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        Self { folder, path }
    }

    /// The database opened for writing, made when it is not there.
    pub(crate) fn store(&self) -> Store {
        Store::open_write(&self.path, &OpenOptions::default()).unwrap()
    }

    /// The database as any other program would open it, with the keys on.
    pub(crate) fn raw(&self) -> Connection {
        raw(&self.path)
    }

    /// What lies in the folder, sorted.
    pub(crate) fn listing(&self) -> Vec<String> {
        listing(self.folder.path())
    }

    /// A message with the folder's name, which is another in every test, taken out.
    pub(crate) fn redacted(&self, message: &str) -> String {
        message.replace(self.folder.path().to_str().unwrap(), "[folder]")
    }

    /// An error with its causes, one a line, without the folder's name.
    pub(crate) fn chain(&self, error: &dyn Error) -> String {
        let mut lines = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(error) = cause {
            lines.push(error.to_string());
            cause = error.source();
        }
        self.redacted(&lines.join("\n"))
    }
}

pub(crate) fn raw(path: &Path) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    connection
}

pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn count(connection: &Connection, table: &str) -> u64 {
    connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
}

pub(crate) const TABLES: [&str; 10] = [
    "experiment",
    "run",
    "model_version",
    "image",
    "invocation",
    "embedding",
    "persistence_diagram",
    "clustering_result",
    "embedding_cluster",
    "failure",
];

/// Every row of every table of the record, in order: two stores with equal dumps hold the same.
pub(crate) fn dump(connection: &Connection) -> Vec<Vec<Value>> {
    let mut rows_of_all = Vec::new();
    for table in TABLES {
        let mut statement = connection.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
        let columns = statement.column_count();
        let rows = statement.query_map([], |row| (0..columns).map(|index| row.get(index)).collect()).unwrap();
        rows_of_all.extend(rows.map(|row| row.unwrap()));
    }
    rows_of_all
}

pub(crate) fn broken_references(connection: &Connection) -> usize {
    let mut statement = connection.prepare("PRAGMA foreign_key_check").unwrap();
    statement.query_map([], |_| Ok(())).unwrap().count()
}

/// A clock that stands still.
pub(crate) struct Still(pub(crate) i64);

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }
}

/// Tells another thread to stop when this goes, also when the test fails first.
pub(crate) struct Stop<'a>(pub(crate) &'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A path that cannot be written while this lives.
pub(crate) struct Frozen {
    path: PathBuf,
    /// The mode to give back; `None` when the file was made immutable instead.
    mode: Option<std::fs::Permissions>,
}

impl Frozen {
    /// Forbids writing, also to root, for whom permission bits are no bar; or says why this machine cannot.
    pub(crate) fn new(path: &Path) -> Result<Self, String> {
        let mode = std::fs::metadata(path).unwrap().permissions();
        let mut forbidden = mode.clone();
        forbidden.set_readonly(true);
        std::fs::set_permissions(path, forbidden).unwrap();
        if !is_writable(path) {
            return Ok(Self { path: path.to_owned(), mode: Some(mode) });
        }
        std::fs::set_permissions(path, mode).unwrap();
        let frozen = Self { path: path.to_owned(), mode: None };
        if Command::new("chattr").arg("+i").arg(path).output().is_err() || is_writable(path) {
            return Err("skipped: this user may write everything, and the file system has no `chattr +i`".to_owned());
        }
        Ok(frozen)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        match &self.mode {
            Some(mode) => std::fs::set_permissions(&self.path, mode.clone()).unwrap(),
            None => drop(Command::new("chattr").arg("-i").arg(&self.path).output()),
        }
    }
}

fn is_writable(path: &Path) -> bool {
    if path.is_dir() {
        let probe = path.join("probe");
        let made = std::fs::write(&probe, "").is_ok();
        drop(std::fs::remove_file(probe));
        made
    } else {
        std::fs::OpenOptions::new().append(true).open(path).is_ok()
    }
}

/// An id that says what it is of: a letter, a number, and a second number.
pub(crate) fn id(letter: char, first: u64, second: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = letter as u8;
    bytes[4..10].copy_from_slice(&first.to_be_bytes()[2..]);
    bytes[10..].copy_from_slice(&second.to_be_bytes()[2..]);
    bytes
}

/// What a small experiment asks for: pictures and texts in turn, a text and an image embedder.
pub(crate) fn config(prompts: &[&str], seeds: &[i64], max_length: u64) -> ExperimentConfig {
    let network = Network::new(vec![ModelName::new("Paint"), ModelName::new("Tell")]).unwrap();
    ExperimentConfig {
        name: None,
        networks: NonEmpty::new(vec![network]).unwrap(),
        prompts: NonEmpty::new(prompts.iter().map(|&prompt| prompt.to_owned()).collect()).unwrap(),
        seeds: NonEmpty::new(seeds.iter().map(|&seed| Seed::new(seed).unwrap()).collect()).unwrap(),
        embedding_models: NonEmpty::new(vec![ModelName::new("Words"), ModelName::new("Looks")]).unwrap(),
        max_length: NonZeroU64::new(max_length).unwrap(),
        parameters: BTreeMap::new(),
        diagrams: Default::default(),
    }
}

/// An experiment that is in the store, with its runs.
pub(crate) struct Planted {
    pub(crate) experiment: Experiment,
    pub(crate) runs: Vec<Run>,
}

impl Planted {
    pub(crate) fn id(&self) -> ExperimentId {
        self.experiment.id
    }
}

/// Stores an experiment without any work done.
pub(crate) fn plant(store: &mut Store, number: u64, name: &str, config: ExperimentConfig) -> Planted {
    let experiment = Experiment {
        id: ExperimentId::from_bytes(id('e', number, 0)),
        name: name.to_owned(),
        config: ExperimentConfig { name: Some(name.to_owned()), ..config },
        config_as_given: "{}".to_owned(),
        origin: Origin::Native,
        created_at: Timestamp::from_micros(1_000_000 * i64::try_from(number).unwrap()),
        started_at: None,
        completed_at: None,
    };
    let runs: Vec<Run> = experiment
        .config
        .run_keys()
        .into_iter()
        .zip(0..)
        .map(|(key, index)| Run {
            id: RunId::from_bytes(id('r', number, index)),
            experiment_id: experiment.id,
            key,
            max_length: experiment.config.max_length,
        })
        .collect();
    store.create_experiment(&experiment, &runs).unwrap();
    Planted { experiment, runs }
}

/// The ids of the model versions that the small experiments use.
#[derive(Clone, Copy)]
pub(crate) struct Versions {
    pub(crate) paint: ModelVersionId,
    pub(crate) tell: ModelVersionId,
    pub(crate) words: ModelVersionId,
    pub(crate) looks: ModelVersionId,
}

pub(crate) fn model_version(number: u64, name: &str, kind: ModelKind, determinism: Determinism) -> ModelVersion {
    ModelVersion {
        id: ModelVersionId::from_bytes(id('v', number, 0)),
        name: ModelName::new(name),
        kind,
        backend: "dummy".to_owned(),
        revision: "1".to_owned(),
        weights_hash: "unknown".to_owned(),
        parameters: format!("{{\"determinism\":\"{}\"}}", determinism.as_str()),
        determinism,
        program_version: "0.0.0".to_owned(),
    }
}

pub(crate) fn versions(store: &mut Store, determinism: Determinism) -> Versions {
    let base = 10 * u64::try_from(Determinism::ALL.iter().position(|&class| class == determinism).unwrap()).unwrap();
    let ids = store
        .ensure_model_versions(&[
            model_version(base, "Paint", ModelKind::TextToImage, determinism),
            model_version(base + 1, "Tell", ModelKind::ImageToText, determinism),
            model_version(base + 2, "Words", ModelKind::TextEmbedder, determinism),
            model_version(base + 3, "Looks", ModelKind::ImageEmbedder, determinism),
        ])
        .unwrap();
    Versions { paint: ids[0], tell: ids[1], words: ids[2], looks: ids[3] }
}

pub(crate) fn invocation_id(run: RunId, number: u64) -> InvocationId {
    let mut bytes = *run.as_bytes();
    bytes[0] = b'i';
    // The run's own number stays in the middle, so that ids of different runs differ.
    bytes[1..4].copy_from_slice(&u32::try_from(number).unwrap().to_be_bytes()[1..]);
    InvocationId::from_bytes(bytes)
}

pub(crate) fn embedding_id(invocation: InvocationId) -> EmbeddingId {
    let mut bytes = *invocation.as_bytes();
    bytes[0] = b'm';
    EmbeddingId::from_bytes(bytes)
}

/// A picture of one colour that `key` decides.
pub(crate) fn picture(key: u64) -> Picture {
    let [a, b, c, ..] = key.to_le_bytes();
    Picture::new(2, 1, vec![a, b, c, 9, 9, 9]).unwrap()
}

/// The step `number` of a run: a picture or a text, made from `key`.
pub(crate) fn invocation(run: &Run, number: u64, versions: Versions, key: u64) -> Invocation {
    let is_picture = number.is_multiple_of(2);
    let link = match number.checked_sub(1) {
        None => Link::First,
        Some(before) => Link::after(SequenceNumber(before), invocation_id(run.id, before)),
    };
    Invocation {
        id: invocation_id(run.id, number),
        run_id: run.id,
        link,
        model: run.key.network.model(SequenceNumber(number)).clone(),
        model_version_id: if is_picture { versions.paint } else { versions.tell },
        seed: Seed::new(run.key.seed.value().max(7)).unwrap(),
        started_at: Timestamp::from_micros(10),
        completed_at: Some(Timestamp::from_micros(20)),
        output: if is_picture {
            Output::Image(Arc::new(encode_image(&picture(key)).unwrap()))
        } else {
            Output::Text(format!("text {key}"))
        },
    }
}

/// The embedding of the step `number` of a run by the model of its kind.
pub(crate) fn embedding(run: RunId, number: u64, versions: Versions) -> Embedding {
    let is_picture = number.is_multiple_of(2);
    let invocation_id = invocation_id(run, number);
    Embedding {
        id: embedding_id(invocation_id),
        invocation_id,
        embedding_model: ModelName::new(if is_picture { "Looks" } else { "Words" }),
        model_version_id: if is_picture { versions.looks } else { versions.words },
        vector: Vector::new(vec![1.0, number as f32, -0.5]).unwrap(),
        started_at: Timestamp::from_micros(30),
        completed_at: Some(Timestamp::from_micros(40)),
    }
}

/// Stores steps `from..to` of a run, each with another output, and the embedding of each.
pub(crate) fn grow(store: &mut Store, run: &Run, versions: Versions, from: u64, to: u64) {
    let base = u64::from_be_bytes(run.id.as_bytes()[8..].try_into().unwrap()) * 1_000;
    let group: Vec<Write> = (from..to)
        .flat_map(|number| {
            let step = invocation(run, number, versions, base + number);
            let vector = embedding(run.id, number, versions);
            [Write::Invocation(Box::new(step)), Write::Embedding(Box::new(vector))]
        })
        .collect();
    store.commit(&group).unwrap();
}

/// Puts a diagram in by raw SQL: what its bytes say is another test's matter.
pub(crate) fn plant_diagram(connection: &Connection, run: RunId, model: &str) {
    let mut bytes = *run.as_bytes();
    bytes[0] = b'd';
    bytes[1] = model.as_bytes()[0];
    connection
        .execute(
            "INSERT INTO persistence_diagram (id, run_id, embedding_model, diagram_data, started_at) \
             VALUES (?1, ?2, ?3, x'01', 1)",
            rusqlite::params![bytes, run.as_bytes(), model],
        )
        .unwrap();
}

/// A clustering of these embeddings into one cluster around the first; the last is an outlier.
pub(crate) fn clustering(number: u64, embeddings: &[EmbeddingId]) -> ClusteringResult {
    let last = embeddings.len() - 1;
    let members = embeddings
        .iter()
        .enumerate()
        .map(|(index, &embedding_id)| EmbeddingCluster {
            id: EmbeddingClusterId::from_bytes(id('k', number, index as u64)),
            embedding_id,
            medoid_embedding_id: (index != last).then_some(embeddings[0]),
            probability: (index != last).then_some(1.0),
        })
        .collect();
    ClusteringResult {
        id: ClusteringResultId::from_bytes(id('c', number, 0)),
        embedding_model: ModelName::new("Words"),
        algorithm: "hdbscan".to_owned(),
        parameters: "{}".to_owned(),
        layer: 0,
        created_at: Timestamp::from_micros(50),
        started_at: Timestamp::from_micros(60),
        completed_at: Some(Timestamp::from_micros(70)),
        members,
    }
}
