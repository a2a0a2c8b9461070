//! A store with something of everything, made from a few random choices.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;

use loopscope_core::backend::{LoadedModel, ModelError, ModelInfo, Registry, RegistryError};
use loopscope_core::codec::{Bar, Diagram, NpyArray, NpyValues, Scalar, encode_image};
use loopscope_core::experiment::{
    ClusteringResult, ClusteringResultId, Determinism, Embedding, EmbeddingCluster, EmbeddingClusterId, EmbeddingId,
    Experiment, ExperimentConfig, ExperimentId, Failure, FailureId, FailureStage, Invocation, InvocationId, Link,
    ModelKind, ModelName, ModelVersion, ModelVersionId, Network, NonEmpty, Origin, Output, PersistenceDiagram,
    PersistenceDiagramId, Picture, Run, RunId, Seed, SequenceNumber, Timestamp, Vector,
};
use loopscope_core::store::{OpenOptions, RecordWriter, Store, Write};
use serde_json::{Map, Value};

/// What a test decides of a store.
#[derive(Clone, Debug)]
pub(crate) struct Choice {
    pub(crate) name: String,
    pub(crate) prompts: Vec<String>,
    pub(crate) texts: Vec<String>,
    pub(crate) seeds: Vec<i64>,
    /// Steps of each run, taken in turn.
    pub(crate) lengths: Vec<u64>,
    pub(crate) words_dimension: usize,
    pub(crate) looks_dimension: usize,
    pub(crate) numbers: Vec<f32>,
    pub(crate) is_complete: bool,
}

impl Default for Choice {
    fn default() -> Self {
        Self {
            name: "circles".to_owned(),
            prompts: vec!["a red circle".to_owned(), String::new()],
            texts: vec!["a circle, perhaps".to_owned(), "\"quoted\"\nand more".to_owned()],
            seeds: vec![1, 2],
            lengths: vec![4, 3, 0],
            words_dimension: 3,
            looks_dimension: 5,
            numbers: vec![0.25, -1.5, f32::MIN_POSITIVE],
            is_complete: true,
        }
    }
}

/// A folder that goes with the test, and the database in it.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
}

impl Bench {
    pub(crate) fn new(choices: &[Choice]) -> Self {
        let bench = Self { folder: tempfile::tempdir().unwrap() };
        let mut store = Store::open_write(&bench.database(), &OpenOptions::default()).unwrap();
        for (number, choice) in (1..).zip(choices) {
            plant(&mut store, number, choice);
        }
        store.checkpoint().unwrap();
        bench
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("a.sqlite")
    }

    pub(crate) fn store(&self) -> Store {
        Store::open_read(&self.database(), &OpenOptions::default()).unwrap()
    }

    pub(crate) fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }
}

/// An id that says what it is of.
fn id(letter: char, first: u64, second: u64) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[0] = letter as u8;
    bytes[4..10].copy_from_slice(&first.to_be_bytes()[2..]);
    bytes[10..].copy_from_slice(&second.to_be_bytes()[2..]);
    bytes
}

fn config(choice: &Choice) -> ExperimentConfig {
    let network = Network::new(vec![ModelName::new("Paint"), ModelName::new("Tell")]).unwrap();
    ExperimentConfig {
        name: Some(choice.name.clone()),
        networks: NonEmpty::new(vec![network]).unwrap(),
        prompts: NonEmpty::new(choice.prompts.clone()).unwrap(),
        seeds: NonEmpty::new(choice.seeds.iter().map(|&seed| Seed::new(seed).unwrap()).collect()).unwrap(),
        embedding_models: NonEmpty::new(vec![ModelName::new("Words"), ModelName::new("Looks/2")]).unwrap(),
        max_length: NonZeroU64::new(6).unwrap(),
        parameters: BTreeMap::new(),
        diagrams: Default::default(),
    }
}

fn versions(store: &mut Store) -> Vec<ModelVersionId> {
    let version = |(number, (name, kind)): (u64, (&str, ModelKind))| ModelVersion {
        id: ModelVersionId::from_bytes(id('v', number, 0)),
        name: ModelName::new(name),
        kind,
        backend: "dummy".to_owned(),
        revision: "1".to_owned(),
        weights_hash: "unknown".to_owned(),
        parameters: "{}".to_owned(),
        determinism: Determinism::Bitwise,
        program_version: "0.0.0".to_owned(),
    };
    let all = [
        ("Paint", ModelKind::TextToImage),
        ("Tell", ModelKind::ImageToText),
        ("Words", ModelKind::TextEmbedder),
        ("Looks/2", ModelKind::ImageEmbedder),
    ];
    store.ensure_model_versions(&(0..).zip(all).map(version).collect::<Vec<_>>()).unwrap()
}

fn plant(store: &mut Store, number: u64, choice: &Choice) {
    let versions = versions(store);
    let experiment = Experiment {
        id: ExperimentId::from_bytes(id('e', number, 0)),
        name: choice.name.clone(),
        config: config(choice),
        config_as_given: "{\"name\":\"as given\"}".to_owned(),
        origin: Origin::Native,
        created_at: Timestamp::from_micros(1_700_000_000_000_001),
        started_at: Some(Timestamp::from_micros(1_700_000_000_000_002)),
        completed_at: choice.is_complete.then_some(Timestamp::from_micros(1_700_000_000_000_003)),
    };
    let run = |(index, key): (u64, _)| Run {
        id: RunId::from_bytes(id('r', number, index)),
        experiment_id: experiment.id,
        key,
        max_length: experiment.config.max_length,
    };
    let runs: Vec<Run> = (0..).zip(experiment.config.run_keys()).map(run).collect();
    store.create_experiment(&experiment, &runs).unwrap();
    let mut embedded = Vec::new();
    for (run, &length) in runs.iter().zip(choice.lengths.iter().cycle()) {
        for step in 0..length {
            let (invocation, embedding) = step_of(choice, run, step, &versions);
            if step % 2 == 1 {
                embedded.push(embedding.id);
            }
            store.commit(&[Write::Invocation(Box::new(invocation)), Write::Embedding(Box::new(embedding))]).unwrap();
        }
        if length > 0 {
            store.commit(&[Write::Diagram(Box::new(diagram(run)))]).unwrap();
        }
    }
    store.commit(&[Write::Failure(Box::new(failure(&experiment, &runs[0], number)))]).unwrap();
    if embedded.len() > 1 {
        store.create_clusterings(&[clustering(number, &embedded)]).unwrap();
    }
}

fn step_of(choice: &Choice, run: &Run, step: u64, versions: &[ModelVersionId]) -> (Invocation, Embedding) {
    let key = u64::from_be_bytes(run.id.as_bytes()[8..].try_into().unwrap());
    let own = |letter: char, step: u64| {
        let mut bytes = *run.id.as_bytes();
        bytes[0] = letter as u8;
        bytes[1] = u8::try_from(step).unwrap();
        bytes
    };
    let is_picture = step.is_multiple_of(2);
    let output = if is_picture {
        // Runs share pictures.
        let shade = u8::try_from(step * 40 + key % 2).unwrap();
        let picture = Picture::new(2, 1, vec![shade, 0, 255, 9, 9, 9]).unwrap();
        Output::Image(Arc::new(encode_image(&picture).unwrap()))
    } else {
        Output::Text(choice.texts[usize::try_from(step).unwrap() % choice.texts.len()].clone())
    };
    let invocation = Invocation {
        id: InvocationId::from_bytes(own('i', step)),
        run_id: run.id,
        link: match step.checked_sub(1) {
            None => Link::First,
            Some(before) => Link::after(SequenceNumber(before), InvocationId::from_bytes(own('i', before))),
        },
        model: run.key.network.model(SequenceNumber(step)).clone(),
        model_version_id: versions[usize::from(!is_picture)],
        seed: Seed::new(run.key.seed.value().max(7)).unwrap(),
        started_at: Timestamp::from_micros(10 + i64::try_from(step).unwrap()),
        completed_at: Some(Timestamp::from_micros(20)),
        output,
    };
    let dimension = if is_picture { choice.looks_dimension } else { choice.words_dimension };
    let mut numbers: Vec<f32> = choice.numbers.iter().copied().cycle().take(dimension).collect();
    numbers[0] = step as f32 + 1.0;
    let embedding = Embedding {
        id: EmbeddingId::from_bytes(own('m', step)),
        invocation_id: invocation.id,
        embedding_model: ModelName::new(if is_picture { "Looks/2" } else { "Words" }),
        model_version_id: versions[if is_picture { 3 } else { 2 }],
        vector: Vector::new(numbers).unwrap(),
        started_at: Timestamp::from_micros(30),
        completed_at: Some(Timestamp::from_micros(-40)),
    };
    (invocation, embedding)
}

fn diagram(run: &Run) -> PersistenceDiagram {
    let mut bytes = *run.id.as_bytes();
    bytes[0] = b'd';
    let gens = NpyArray { shape: vec![1, 2], fortran_order: false, values: NpyValues::I64(vec![3, -4]) };
    PersistenceDiagram {
        id: PersistenceDiagramId::from_bytes(bytes),
        run_id: run.id,
        embedding_model: ModelName::new("Words"),
        diagram: Diagram {
            dgms: vec![
                vec![Bar { birth: 0.0, death: 0.1 + 0.2 }, Bar { birth: 0.0, death: f64::INFINITY }],
                vec![],
                vec![Bar { birth: 1.0 / 3.0, death: 0.5 }],
            ],
            entropy: Some(vec![0.7, 0.0, 0.0]),
            metadata: BTreeMap::from([("metric".to_owned(), Scalar::Text("euclidean".to_owned()))]),
            gens: BTreeMap::from([("gens_0".to_owned(), gens)]),
        },
        started_at: Timestamp::from_micros(50),
        completed_at: Some(Timestamp::from_micros(60)),
    }
}

fn failure(experiment: &Experiment, run: &Run, number: u64) -> Failure {
    Failure {
        id: FailureId::from_bytes(id('f', number, 0)),
        experiment_id: experiment.id,
        run_id: Some(run.id),
        stage: FailureStage::Run,
        subject: "Paint #0".to_owned(),
        attempt: 1,
        error: "no paint".to_owned(),
        occurred_at: Timestamp::from_micros(5),
    }
}

/// One cluster around the first; the last is an outlier.
fn clustering(number: u64, embeddings: &[EmbeddingId]) -> ClusteringResult {
    let last = embeddings.len() - 1;
    let member = |(index, &embedding_id): (usize, &EmbeddingId)| EmbeddingCluster {
        id: EmbeddingClusterId::from_bytes(id('k', number, index as u64)),
        embedding_id,
        medoid_embedding_id: (index != last).then_some(embeddings[0]),
        probability: (index != last).then_some(1.0 / (index + 3) as f64),
    };
    ClusteringResult {
        id: ClusteringResultId::from_bytes(id('c', number, 0)),
        embedding_model: ModelName::new("Words"),
        algorithm: "hdbscan".to_owned(),
        parameters: "{\"min_samples\":2}".to_owned(),
        layer: 0,
        created_at: Timestamp::from_micros(70),
        started_at: Timestamp::from_micros(80),
        completed_at: Some(Timestamp::from_micros(90)),
        members: embeddings.iter().enumerate().map(member).collect(),
    }
}

/// Knows the embedders of the bench: a text's vector is its length, a one, and zeros.
pub(crate) struct BenchModels {
    pub(crate) revision: &'static str,
}

impl BenchModels {
    /// The models that made what is stored.
    pub(crate) const STORED: Self = Self { revision: "1" };
}

impl Registry for BenchModels {
    fn names(&self) -> Vec<ModelName> {
        vec![ModelName::new("Words"), ModelName::new("Looks/2")]
    }

    fn info(&self, name: &ModelName, _: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        let is_words = name.as_str() == "Words";
        Ok(ModelInfo {
            name: name.clone(),
            kind: if is_words { ModelKind::TextEmbedder } else { ModelKind::ImageEmbedder },
            backend: "dummy".to_owned(),
            revision: self.revision.to_owned(),
            weights_hash: "unknown".to_owned(),
            parameters: Map::new(),
            determinism: Determinism::Bitwise,
            dimension: Some(3),
            batch_max: 2,
            memory_bytes: 0,
            lane: loopscope_core::backend::Lane::Cpu,
            about: String::new(),
        })
    }

    fn load(&self, _: &ModelInfo) -> Result<LoadedModel, ModelError> {
        Ok(LoadedModel::TextEmbedder(Box::new(Lengths)))
    }
}

struct Lengths;

impl loopscope_core::backend::TextEmbedder for Lengths {
    fn embed(&mut self, batch: &[&str]) -> Vec<Result<Vec<f32>, ModelError>> {
        batch.iter().map(|text| Ok(vec![text.len() as f32, 1.0, 0.0])).collect()
    }
}
