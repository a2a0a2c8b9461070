//! Small models that tests can tell what to do, a slow and obvious engine, and what a store holds as plain values.

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use loopscope_core::backend::{
    ImageEmbedder, ImageToText, Lane, LoadedModel, ModelError, ModelInfo, Registry, RegistryError, Request,
    TextEmbedder, TextToImage,
};
use loopscope_core::config::GivenConfig;
use loopscope_core::engine::{Engine, EngineError, EngineOptions, Event, Outcome, RetryPolicy, create_experiment};
use loopscope_core::experiment::{
    Determinism, Experiment, ExperimentConfig, ExperimentId, Hash, ModelKind, ModelName, Network, NonEmpty, Picture,
    RunKey, Seed, SeededEntropy, StopReason, SystemClock,
};
use loopscope_core::store::{OpenOptions, Store};
use serde_json::{Map, Value};

/// What happens before a model answers: the call's number, the model, the input's hash.
pub(crate) type Meddle = dyn Fn(&str, &Hash) -> Option<ModelError> + Send + Sync;

/// Paint, Paint2: text to image. Say, Say2: image to text, in `vocabulary` words. Words, Looks: embedders.
pub(crate) struct TestRegistry {
    pub(crate) vocabulary: u64,
    pub(crate) determinism: Determinism,
    pub(crate) meddle: Arc<Meddle>,
    pub(crate) lane: Lane,
    pub(crate) calls: Arc<Mutex<BTreeMap<String, u64>>>,
    pub(crate) bad_vector: Arc<Mutex<Option<Vec<f32>>>>,
    pub(crate) drop_result: Arc<AtomicBool>,
}

impl Default for TestRegistry {
    fn default() -> Self {
        Self {
            vocabulary: 40,
            determinism: Determinism::Bitwise,
            meddle: Arc::new(|_, _| None),
            lane: Lane::Cpu,
            calls: Arc::default(),
            bad_vector: Arc::default(),
            drop_result: Arc::default(),
        }
    }
}

const NAMES: [(&str, ModelKind); 8] = [
    ("Paint", ModelKind::TextToImage),
    ("Paint2", ModelKind::TextToImage),
    ("Say", ModelKind::ImageToText),
    ("Say2", ModelKind::ImageToText),
    ("Words", ModelKind::TextEmbedder),
    ("Looks", ModelKind::ImageEmbedder),
    ("Words2", ModelKind::TextEmbedder),
    ("Looks2", ModelKind::ImageEmbedder),
];

impl Registry for TestRegistry {
    fn names(&self) -> Vec<ModelName> {
        NAMES.iter().map(|(name, _)| ModelName::new(name)).collect()
    }

    fn info(&self, name: &ModelName, parameters: &Map<String, Value>) -> Result<ModelInfo, RegistryError> {
        let kind = NAMES.iter().find(|(known, _)| *known == name.as_str()).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| RegistryError::UnknownModel { name: name.clone(), nearest: None })?;
        Ok(ModelInfo {
            name: name.clone(),
            kind,
            backend: "test".to_owned(),
            revision: "1".to_owned(),
            weights_hash: "none".to_owned(),
            parameters: parameters.clone(),
            determinism: self.determinism,
            dimension: None,
            batch_max: 4,
            memory_bytes: 1 << 20,
            lane: self.lane.clone(),
            about: "a test".to_owned(),
        })
    }

    fn load(&self, info: &ModelInfo) -> Result<LoadedModel, ModelError> {
        let model = TestModel {
            name: info.name.to_string(),
            vocabulary: self.vocabulary,
            meddle: Arc::clone(&self.meddle),
            calls: Arc::clone(&self.calls),
            bad_vector: Arc::clone(&self.bad_vector),
            drop_result: Arc::clone(&self.drop_result),
        };
        Ok(match info.kind {
            ModelKind::TextToImage => LoadedModel::TextToImage(Box::new(model)),
            ModelKind::ImageToText => LoadedModel::ImageToText(Box::new(model)),
            ModelKind::TextEmbedder => LoadedModel::TextEmbedder(Box::new(model)),
            ModelKind::ImageEmbedder => LoadedModel::ImageEmbedder(Box::new(model)),
        })
    }
}

struct TestModel {
    name: String,
    vocabulary: u64,
    meddle: Arc<Meddle>,
    calls: Arc<Mutex<BTreeMap<String, u64>>>,
    bad_vector: Arc<Mutex<Option<Vec<f32>>>>,
    drop_result: Arc<AtomicBool>,
}

fn number_of(hash: Hash) -> u64 {
    u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap())
}

pub(crate) fn paint(name: &str, text: &str, seed: u64) -> Picture {
    let key = number_of(Hash::of(format!("{name}\0{text}\0{seed}").as_bytes()));
    let rgb = (0..6 * 5 * 3).map(|index| (key.rotate_left(index % 64) & 0xff) as u8).collect();
    Picture::new(6, 5, rgb).unwrap()
}

pub(crate) fn say(name: &str, picture: &Picture, seed: u64, vocabulary: u64) -> String {
    let key = number_of(Hash::of(format!("{name}\0{}\0{seed}", picture.pixel_hash()).as_bytes()));
    match key % vocabulary {
        0 => String::new(), // The empty string is a legal output.
        word => format!("word {word}"),
    }
}

pub(crate) fn words(text: &str) -> Vec<f32> {
    let key = number_of(Hash::of(text.as_bytes()));
    (0..4).map(|index| ((key >> (index * 8)) & 0xff) as f32 - 127.5).collect()
}

pub(crate) fn looks(picture: &Picture) -> Vec<f32> {
    let key = number_of(picture.pixel_hash());
    (0..3).map(|index| ((key >> (index * 8)) & 0xff) as f32 + 0.5).collect()
}

/// The twins see the same, in another order.
pub(crate) fn styled(name: &str, mut numbers: Vec<f32>) -> Vec<f32> {
    if name.ends_with('2') {
        numbers.reverse();
    }
    numbers
}

impl TestModel {
    fn before(&self, input: Hash) -> Result<(), ModelError> {
        *self.calls.lock().unwrap().entry(self.name.clone()).or_default() += 1;
        (self.meddle)(&self.name, &input).map_or(Ok(()), Err)
    }

    fn answer<T>(&self, mut results: Vec<Result<T, ModelError>>) -> Vec<Result<T, ModelError>> {
        if self.drop_result.load(Ordering::Relaxed) {
            results.pop();
        }
        results
    }

    fn vector(&self, numbers: Vec<f32>) -> Vec<f32> {
        self.bad_vector.lock().unwrap().clone().unwrap_or(numbers)
    }
}

impl TextToImage for TestModel {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        let one = |request: &Request<'_, str>| {
            self.before(Hash::of(request.input.as_bytes()))?;
            Ok(paint(&self.name, request.input, request.seed))
        };
        self.answer(batch.iter().map(one).collect())
    }
}

impl ImageToText for TestModel {
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>> {
        let one = |request: &Request<'_, Picture>| {
            self.before(request.input.pixel_hash())?;
            Ok(say(&self.name, request.input, request.seed, self.vocabulary))
        };
        self.answer(batch.iter().map(one).collect())
    }
}

impl TextEmbedder for TestModel {
    fn embed(&mut self, batch: &[&str]) -> Vec<Result<Vec<f32>, ModelError>> {
        let one = |text: &&str| {
            self.before(Hash::of(text.as_bytes()))?;
            Ok(self.vector(styled(&self.name, words(text))))
        };
        self.answer(batch.iter().map(one).collect())
    }
}

impl ImageEmbedder for TestModel {
    fn embed(&mut self, batch: &[&Picture]) -> Vec<Result<Vec<f32>, ModelError>> {
        let one = |picture: &&Picture| {
            self.before(picture.pixel_hash())?;
            Ok(self.vector(styled(&self.name, looks(picture))))
        };
        self.answer(batch.iter().map(one).collect())
    }
}

pub(crate) fn network(models: &[&str]) -> Network {
    Network::new(models.iter().map(|name| ModelName::new(name)).collect()).unwrap()
}

pub(crate) fn config(networks: &[&[&str]], prompts: &[&str], seeds: &[i64], max_length: u64) -> ExperimentConfig {
    ExperimentConfig {
        name: None,
        networks: NonEmpty::new(networks.iter().map(|models| network(models)).collect()).unwrap(),
        prompts: NonEmpty::new(prompts.iter().map(ToString::to_string).collect()).unwrap(),
        seeds: NonEmpty::new(seeds.iter().map(|&seed| Seed::new(seed).unwrap()).collect()).unwrap(),
        embedding_models: NonEmpty::new(vec![ModelName::new("Words"), ModelName::new("Looks")]).unwrap(),
        max_length: NonZeroU64::new(max_length).unwrap(),
        parameters: BTreeMap::new(),
        diagrams: Default::default(),
    }
}

/// A store in a folder of its own, and what to open it with.
pub(crate) struct Bench {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) registry: TestRegistry,
    pub(crate) options: EngineOptions,
}

impl Bench {
    pub(crate) fn new(registry: TestRegistry) -> Self {
        let retry =
            RetryPolicy { attempts_max: 3, wait_first: Duration::from_millis(1), wait_max: Duration::from_millis(2) };
        let options = EngineOptions { threads: 2, retry, ..EngineOptions::default() };
        Self { folder: tempfile::tempdir().unwrap(), registry, options }
    }

    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("store.sqlite")
    }

    pub(crate) fn open(&self) -> Store {
        Store::open_write(&self.path(), &OpenOptions { free_bytes_min: 0, ..OpenOptions::default() }).unwrap()
    }

    pub(crate) fn create(&self, config: ExperimentConfig) -> Experiment {
        self.create_as(config, "{}")
    }

    /// Creates an experiment whose config was given in these words; what is not in columns is read from there.
    pub(crate) fn create_as(&self, config: ExperimentConfig, as_given: &str) -> Experiment {
        let given = GivenConfig { config, as_given: as_given.to_owned() };
        create_experiment(&mut self.open(), given, "test", &SystemClock, &SeededEntropy::new(next_seed())).unwrap()
    }

    /// Works until nothing is left, or until `stop_after` events were seen.
    pub(crate) fn work(&self, id: ExperimentId, stop_after: Option<u64>) -> Result<(Outcome, Vec<Event>), EngineError> {
        let entropy = SeededEntropy::new(next_seed());
        let engine =
            Engine { registry: &self.registry, clock: &SystemClock, entropy: &entropy, options: &self.options };
        let stop = AtomicBool::new(stop_after == Some(0));
        let mut events = Vec::new();
        let outcome = engine.work(self.open(), id, &stop, &mut |event| {
            events.push(event.clone());
            if stop_after.is_some_and(|limit| events.len() as u64 >= limit) {
                stop.store(true, Ordering::Relaxed);
            }
        })?;
        Ok((outcome, events))
    }

    pub(crate) fn finish(&self, id: ExperimentId) -> Outcome {
        self.work(id, None).unwrap().0
    }
}

fn next_seed() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// One run as plain values: what must be equal whenever the config is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunContent {
    /// Model, and the text or the hash of the pixels.
    pub(crate) outputs: Vec<(String, String)>,
    /// Embedding model and number, with the vector's bytes.
    pub(crate) vectors: BTreeMap<(String, u64), Vec<u8>>,
    /// Embedding model, with the diagram's bytes.
    pub(crate) diagrams: BTreeMap<String, Vec<u8>>,
}

/// Everything an experiment holds, by the key of the run, read by plain SQL.
pub(crate) fn content(path: &Path, experiment: ExperimentId) -> BTreeMap<RunKey, RunContent> {
    let store = Store::open_read(path, &OpenOptions::default()).unwrap();
    let sql = rusqlite::Connection::open(path).unwrap();
    let mut all = BTreeMap::new();
    for run in store.runs(experiment).unwrap() {
        let mut content = RunContent::default();
        let mut statement = sql
            .prepare(
                "SELECT i.model, coalesce(i.output_text, lower(hex(m.pixel_hash))), i.sequence_number, i.id FROM invocation i \
                 LEFT JOIN image m ON m.hash = i.output_image WHERE i.run_id = ?1 ORDER BY i.sequence_number",
            )
            .unwrap();
        let rows = statement.query_map([run.id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
        for (row, expected) in rows.zip(0_u64..) {
            let (model, output, number): (String, String, u64) = row.unwrap();
            assert_eq!(number, expected, "a gap in {:?}", run.key);
            content.outputs.push((model, output));
        }
        let mut statement = sql
            .prepare(
                "SELECT e.embedding_model, i.sequence_number, e.vector FROM embedding e \
                 JOIN invocation i ON i.id = e.invocation_id WHERE i.run_id = ?1",
            )
            .unwrap();
        let rows =
            statement.query_map([run.id.as_bytes()], |row| Ok(((row.get(0)?, row.get(1)?), row.get(2)?))).unwrap();
        content.vectors = rows.map(Result::unwrap).collect();
        let mut statement =
            sql.prepare("SELECT embedding_model, diagram_data FROM persistence_diagram WHERE run_id = ?1").unwrap();
        let rows = statement.query_map([run.id.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        content.diagrams = rows.map(Result::unwrap).collect();
        all.insert(run.key, content);
    }
    all
}

/// What the slow engine finds of one run.
pub(crate) struct OracleRun {
    pub(crate) content: RunContent,
    pub(crate) stop: StopReason,
}

/// The slow and obvious engine: one run at a time, one step at a time, everything in memory.
pub(crate) fn oracle(config: &ExperimentConfig, vocabulary: u64, may_cycle: bool) -> BTreeMap<RunKey, OracleRun> {
    let mut all = BTreeMap::new();
    let embed = |content: &mut RunContent, kind: &str, number: u64, numbers: &[f32]| {
        for model in config.embedding_models.iter().filter(|model| model.as_str().starts_with(kind)) {
            let bytes = to_bytes(&styled(model.as_str(), numbers.to_vec()));
            content.vectors.insert((model.to_string(), number), bytes);
        }
    };
    for key in config.run_keys() {
        let seed = key.seed.value().unsigned_abs();
        let mut content = RunContent::default();
        let mut text = key.initial_prompt.clone();
        let mut picture = None;
        let mut stop = StopReason::Unfinished;
        let length = key.network.len();
        for number in 0..config.max_length.get() as usize {
            let model = key.network.models()[number % length].to_string();
            if model.starts_with("Paint") {
                let painted = paint(&model, &text, seed);
                embed(&mut content, "Looks", number as u64, &looks(&painted));
                content.outputs.push((model, painted.pixel_hash().to_string()));
                picture = Some(painted);
            } else {
                text = say(&model, picture.as_ref().unwrap(), seed, vocabulary);
                embed(&mut content, "Words", number as u64, &words(&text));
                content.outputs.push((model, text.clone()));
            }
            let back = (0..number).find(|&earlier| {
                earlier % length == number % length && content.outputs[earlier].1 == content.outputs[number].1
            });
            if let (Some(earlier), true) = (back, may_cycle && !key.seed.is_fresh()) {
                stop = StopReason::Cycle { period: (number - earlier) as u64 };
                break;
            }
            if number + 1 == config.max_length.get() as usize {
                stop = StopReason::Length;
            }
        }
        all.insert(key, OracleRun { content, stop });
    }
    all
}

fn to_bytes(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
