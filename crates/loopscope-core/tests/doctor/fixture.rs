//! Databases made through the store, and ways to spoil them that the store does not offer.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use loopscope_core::codec::{Bar, Diagram, Scalar, encode_diagram, encode_image};
use loopscope_core::doctor::{Diagnosis, DoctorOptions, Finding, FindingKind, Severity, examine};
use loopscope_core::experiment::{
    ClusteringResult, ClusteringResultId, Determinism, Embedding, EmbeddingCluster, EmbeddingClusterId, EmbeddingId,
    Experiment, ExperimentConfig, ExperimentId, Invocation, InvocationId, Link, ModelKind, ModelName, ModelVersion,
    ModelVersionId, Network, NonEmpty, Origin, Output, PersistenceDiagram, PersistenceDiagramId, Picture, Run, RunId,
    RunKey, Seed, SequenceNumber, Timestamp, Vector,
};
use loopscope_core::store::{OpenOptions, RecordWriter, Store, Write};
use rusqlite::Connection;
use tempfile::TempDir;

const PAINTER: &str = "Painter";
const WRITER: &str = "Writer";
pub(crate) const READER: &str = "Reader";

/// What a database holds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) max_length: u64,
    pub(crate) origin: Origin,
    pub(crate) seed: i64,
    pub(crate) has_diagrams: bool,
}

/// Two runs of three steps: one text each, so that no diagram is asked for.
pub(crate) const SHORT: Shape = Shape { max_length: 3, origin: Origin::Native, seed: 7, has_diagrams: false };
/// Two runs of seven steps: three texts each, and a diagram.
pub(crate) const LONG: Shape = Shape { max_length: 7, has_diagrams: true, ..SHORT };

/// A database in a folder of its own.
pub(crate) struct Database {
    _folder: TempDir,
    pub(crate) path: PathBuf,
}

pub(crate) const EXPERIMENT: u8 = 1;

pub(crate) fn id(kind: u8, run: u8, number: u8) -> [u8; 16] {
    let mut id = [0; 16];
    (id[0], id[12], id[15]) = (kind, run, number);
    id
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + seconds * 1_000_000)
}

pub(crate) fn options() -> OpenOptions {
    OpenOptions { free_bytes_min: 0, ..OpenOptions::default() }
}

/// Whether there is a codec for diagrams: until there is, no row of them can be made.
pub(crate) fn has_diagram_codec() -> bool {
    encode_diagram(&diagram(3)).is_ok_and(|bytes| !bytes.is_empty())
}

/// A diagram of so many points, one unit apart.
pub(crate) fn diagram(points: usize) -> Diagram {
    let mut bars = vec![Bar { birth: 0.0, death: 1.0 }; points.saturating_sub(1)];
    bars.push(Bar { birth: 0.0, death: f64::INFINITY });
    let finite = points.saturating_sub(1) as f64;
    let entropy = if finite > 1.0 { finite.ln() } else { 0.0 };
    let metadata = [("metric".to_owned(), Scalar::Text("euclidean".to_owned()))];
    Diagram {
        dgms: vec![bars, vec![]],
        entropy: Some(vec![entropy, 0.0]),
        metadata: BTreeMap::from(metadata),
        gens: BTreeMap::new(),
    }
}

fn version(name: &str, kind: ModelKind, number: u8) -> ModelVersion {
    ModelVersion {
        id: ModelVersionId::from_bytes(id(2, 0, number)),
        name: ModelName::new(name),
        kind,
        backend: "dummy".into(),
        revision: "1".into(),
        weights_hash: "none".into(),
        parameters: "{}".into(),
        determinism: Determinism::Bitwise,
        program_version: "0.0.0".into(),
    }
}

fn experiment(shape: Shape) -> Experiment {
    let name = ModelName::new;
    let config = ExperimentConfig {
        name: Some("walk".into()),
        networks: NonEmpty::new(vec![Network::new(vec![name(PAINTER), name(WRITER)]).unwrap()]).unwrap(),
        prompts: NonEmpty::new(vec!["p".into(), "q".into()]).unwrap(),
        seeds: NonEmpty::new(vec![Seed::new(shape.seed).unwrap()]).unwrap(),
        embedding_models: NonEmpty::new(vec![name(READER)]).unwrap(),
        max_length: NonZeroU64::new(shape.max_length).unwrap(),
        parameters: BTreeMap::new(),
        diagrams: Default::default(),
    };
    Experiment {
        id: ExperimentId::from_bytes(id(EXPERIMENT, 0, 1)),
        name: "walk".into(),
        config,
        config_as_given: "{}".into(),
        origin: shape.origin,
        created_at: at(0),
        started_at: Some(at(1)),
        completed_at: Some(at(100)),
    }
}

fn output(run: u8, number: u64) -> Output {
    if number.is_multiple_of(2) {
        let picture = Picture::new(4, 2, vec![run * 16 + number as u8; 24]).unwrap();
        Output::Image(Arc::new(encode_image(&picture).unwrap()))
    } else {
        Output::Text(format!("text {number} of run {run}"))
    }
}

fn step(shape: Shape, run: u8, number: u64) -> Vec<Write> {
    let own = InvocationId::from_bytes(id(4, run, number as u8));
    let before = |number: u64| InvocationId::from_bytes(id(4, run, number as u8));
    let link = match number.checked_sub(1) {
        None => Link::First,
        Some(last) => Link::after(SequenceNumber(last), before(last)),
    };
    let output = output(run, number);
    let is_text = matches!(output, Output::Text(_));
    let (model, version) = if is_text { (WRITER, 2) } else { (PAINTER, 1) };
    let mut writes = vec![Write::Invocation(Box::new(Invocation {
        id: own,
        run_id: RunId::from_bytes(id(3, run, 0)),
        link,
        model: ModelName::new(model),
        model_version_id: ModelVersionId::from_bytes(id(2, 0, version)),
        seed: Seed::new(if shape.seed < 0 { 1000 + number as i64 } else { shape.seed }).unwrap(),
        started_at: at(10),
        completed_at: Some(at(11)),
        output,
    }))];
    if is_text {
        writes.push(Write::Embedding(Box::new(Embedding {
            id: EmbeddingId::from_bytes(id(5, run, number as u8)),
            invocation_id: own,
            embedding_model: ModelName::new(READER),
            model_version_id: ModelVersionId::from_bytes(id(2, 0, 3)),
            vector: Vector::new(vec![f32::from(run), number as f32, 1.0]).unwrap(),
            started_at: at(12),
            completed_at: Some(at(13)),
        })));
    }
    writes
}

fn clustering() -> ClusteringResult {
    let embedding = |run| EmbeddingId::from_bytes(id(5, run, 1));
    let member = |run| EmbeddingCluster {
        id: EmbeddingClusterId::from_bytes(id(8, run, 1)),
        embedding_id: embedding(run),
        medoid_embedding_id: Some(embedding(1)),
        probability: Some(0.5),
    };
    ClusteringResult {
        id: ClusteringResultId::from_bytes(id(7, 0, 1)),
        embedding_model: ModelName::new(READER),
        algorithm: "hdbscan".into(),
        parameters: "{}".into(),
        layer: 0,
        created_at: at(50),
        started_at: at(50),
        completed_at: Some(at(51)),
        members: vec![member(1), member(2)],
    }
}

impl Database {
    /// Makes a complete experiment of two runs, with a clustering; once for each shape, and then a copy.
    pub(crate) fn new(shape: Shape) -> Self {
        static MADE: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());
        let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = made.entry(format!("{shape:?}")).or_insert_with(|| std::fs::read(&Self::make(shape).path).unwrap());
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        std::fs::write(&path, bytes).unwrap();
        Self { _folder: folder, path }
    }

    fn make(shape: Shape) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let mut store = Store::open_write(&path, &options()).unwrap();
        let experiment = experiment(shape);
        let run = |(key, number): (RunKey, u8)| Run {
            id: RunId::from_bytes(id(3, number, 0)),
            experiment_id: experiment.id,
            key,
            max_length: experiment.config.max_length,
        };
        let runs: Vec<Run> = experiment.config.run_keys().into_iter().zip(1..).map(run).collect();
        store.create_experiment(&experiment, &runs).unwrap();
        let kinds =
            [(PAINTER, ModelKind::TextToImage), (WRITER, ModelKind::ImageToText), (READER, ModelKind::TextEmbedder)];
        let versions: Vec<_> =
            kinds.into_iter().zip(1..).map(|((name, kind), number)| version(name, kind, number)).collect();
        store.ensure_model_versions(&versions).unwrap();
        for run in [1, 2] {
            let steps: Vec<Write> = (0..shape.max_length).flat_map(|number| step(shape, run, number)).collect();
            store.commit(&steps).unwrap();
            if shape.has_diagrams {
                store.commit(&[Write::Diagram(Box::new(diagram_of_run(run)))]).unwrap();
            }
        }
        store.create_clustering(&clustering()).unwrap();
        store.checkpoint().unwrap();
        drop(store);
        Self { _folder: folder, path }
    }

    /// Runs SQL with keys, checks, types and the trigger off, and then makes the schema as it was.
    pub(crate) fn spoil(&self, sql: &str) {
        let schema = self.loosen();
        let connection = Connection::open(&self.path).unwrap();
        connection
            .execute_batch("PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON")
            .unwrap();
        let trigger: String = connection
            .query_row("SELECT sql FROM sqlite_schema WHERE name = 'embedding_modality'", [], |row| row.get(0))
            .unwrap();
        connection.execute_batch("DROP TRIGGER embedding_modality").unwrap();
        connection.execute_batch(&with_names(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"));
        connection.execute_batch(&trigger).unwrap();
        drop(connection);
        self.set_schema(&schema);
    }

    /// Runs SQL on the file as it is, with keys off.
    pub(crate) fn alter(&self, sql: &str) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        connection.execute_batch(&with_names(sql)).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Takes STRICT and NOT NULL from every table; returns the SQL of before.
    fn loosen(&self) -> Vec<(String, String)> {
        let schema: Vec<(String, String)> = {
            let connection = Connection::open(&self.path).unwrap();
            let sql = "SELECT name, sql FROM sqlite_schema WHERE type = 'table'";
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
        };
        let loose = |sql: &str| {
            let sql = sql.replace("IS NOT NULL", "IS_NOT_NULL").replace(" NOT NULL", "");
            sql.replace("IS_NOT_NULL", "IS NOT NULL").trim_end().trim_end_matches("STRICT").to_owned()
        };
        self.set_schema(&schema.iter().map(|(name, sql)| (name.clone(), loose(sql))).collect::<Vec<_>>());
        schema
    }

    fn set_schema(&self, schema: &[(String, String)]) {
        let connection = Connection::open(&self.path).unwrap();
        connection.execute_batch("PRAGMA synchronous = OFF; PRAGMA writable_schema = ON").unwrap();
        for (name, sql) in schema {
            connection
                .execute("UPDATE sqlite_schema SET sql = ?2 WHERE type = 'table' AND name = ?1", [name, sql])
                .unwrap();
        }
    }

    pub(crate) fn examine(&self) -> (Diagnosis, Vec<Finding>) {
        self.examine_with(&DoctorOptions { experiment: None, decode_images: true })
    }

    pub(crate) fn examine_with(&self, doctor: &DoctorOptions) -> (Diagnosis, Vec<Finding>) {
        examine_path(&self.path, doctor)
    }
}

pub(crate) fn examine_path(path: &Path, doctor: &DoctorOptions) -> (Diagnosis, Vec<Finding>) {
    let mut findings = Vec::new();
    let diagnosis = examine(path, &options(), doctor, &mut |finding| findings.push(finding.clone())).unwrap();
    (diagnosis, findings)
}

pub(crate) fn try_examine(path: &Path, doctor: &DoctorOptions) -> Result<Vec<Finding>, String> {
    let mut findings = Vec::new();
    examine(path, &options(), doctor, &mut |finding| findings.push(finding.clone()))
        .map(|_| findings)
        .map_err(|error| error.to_string())
}

pub(crate) fn diagram_of_run(run: u8) -> PersistenceDiagram {
    PersistenceDiagram {
        id: PersistenceDiagramId::from_bytes(id(6, run, 1)),
        run_id: RunId::from_bytes(id(3, run, 0)),
        embedding_model: ModelName::new(READER),
        diagram: diagram(3),
        started_at: at(20),
        completed_at: Some(at(21)),
    }
}

/// Puts ids in for the names that the tests use.
fn with_names(sql: &str) -> String {
    let literal = |id: [u8; 16]| format!("x'{}'", id.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
    let names = [
        ("$EXPERIMENT", literal(id(EXPERIMENT, 0, 1))),
        ("$NOWHERE", literal(id(0xff, 0, 0))),
        ("$RUN1", literal(id(3, 1, 0))),
        ("$RUN2", literal(id(3, 2, 0))),
        ("$STEP0", literal(id(4, 1, 0))),
        ("$STEP1", literal(id(4, 1, 1))),
        ("$STEP2", literal(id(4, 1, 2))),
        ("$PAINTER", literal(id(2, 0, 1))),
        ("$WRITER", literal(id(2, 0, 2))),
        ("$READER", literal(id(2, 0, 3))),
        ("$VECTOR1", literal(id(5, 1, 1))),
        ("$VECTOR2", literal(id(5, 2, 1))),
    ];
    names.into_iter().fold(sql.to_owned(), |sql, (name, literal)| sql.replace(name, &literal))
}

/// Spoils a database and checks that the doctor finds this kind, in so many words, and that it changed nothing.
pub(crate) fn plants(database: &Database, sql: &str, severity: Severity, kind: FindingKind) {
    database.spoil(sql);
    finds(database, severity, kind, sql);
}

pub(crate) fn finds(database: &Database, severity: Severity, kind: FindingKind, why: &str) {
    let before = std::fs::read(&database.path).unwrap();
    let (diagnosis, findings) = database.examine();
    assert_eq!(std::fs::read(&database.path).unwrap(), before, "the doctor wrote to the file");
    let found: Vec<_> = findings.iter().filter(|finding| finding.kind == kind).collect();
    assert!(!found.is_empty(), "{why}: no {kind} among {findings:#?}");
    assert!(found.iter().all(|finding| finding.severity == severity), "{why}: {found:#?}");
    assert_eq!(diagnosis.counts[&severity][&kind], found.len() as u64);
}
