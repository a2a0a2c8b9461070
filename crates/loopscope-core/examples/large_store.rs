//! Writes a store of any size that is whole in every way the doctor looks at, to measure with.
//!
//! `cargo run --release -p loopscope-core --example large_store -- FILE RUNS STEPS [DIMENSION]`
//!
//! Half the steps are pictures of 32 × 32 pixels, half are texts; two embedders each; 256 runs side by side, as the
//! engine works. 10,000 runs of 100 steps make 1 M invocations, 2 M embeddings and about 9 GB.

#![expect(clippy::unwrap_used, reason = "a tool for measuring: what fails should stop it")]

use std::collections::BTreeMap;
use std::num::NonZeroU64;
use std::path::Path;
use std::sync::Arc;

use loopscope_core::codec::{Bar, Diagram, Scalar, encode_image};
use loopscope_core::experiment::{
    Determinism, Embedding, EmbeddingId, Experiment, ExperimentConfig, ExperimentId, Invocation, InvocationId, Link,
    ModelKind, ModelName, ModelVersion, ModelVersionId, Network, NonEmpty, Origin, Output, PersistenceDiagram,
    PersistenceDiagramId, Picture, Run, RunId, Seed, SeededEntropy, SequenceNumber, Timestamp, Vector,
};
use loopscope_core::store::{OpenOptions, RecordWriter, Store, Write};

const SIDE_BY_SIDE: usize = 256;
const MODELS: [(&str, ModelKind); 6] = [
    ("Painter", ModelKind::TextToImage),
    ("Writer", ModelKind::ImageToText),
    ("ReaderA", ModelKind::TextEmbedder),
    ("ReaderB", ModelKind::TextEmbedder),
    ("ViewerA", ModelKind::ImageEmbedder),
    ("ViewerB", ModelKind::ImageEmbedder),
];

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |index: usize, default: u64| arguments.get(index).map_or(default, |text| text.parse().unwrap());
    let (runs, steps, dimension) = (number(2, 100), number(3, 100), number(4, 768));
    let path = Path::new(arguments.get(1).map_or("large.sqlite", String::as_str));
    let mut store = Store::open_write(path, &OpenOptions::default()).unwrap();
    let mut maker =
        Maker { entropy: SeededEntropy::new(1), versions: Vec::new(), state: 1, dimension: dimension as usize };
    let now = Timestamp::from_micros(1_700_000_000_000_000);
    let experiment = experiment(&maker, now, runs, steps);
    let run = |key| Run {
        id: RunId::new(now, &maker.entropy).unwrap(),
        experiment_id: experiment.id,
        key,
        max_length: experiment.config.max_length,
    };
    let runs: Vec<Run> = experiment.config.run_keys().into_iter().map(run).collect();
    store.create_experiment(&experiment, &runs).unwrap();
    let versions: Vec<ModelVersion> = MODELS.iter().map(|&(name, kind)| version(&maker, now, name, kind)).collect();
    maker.versions = store.ensure_model_versions(&versions).unwrap();
    for block in runs.chunks(SIDE_BY_SIDE) {
        let mut last: Vec<Option<InvocationId>> = vec![None; block.len()];
        for number in 0..steps {
            let mut writes = Vec::new();
            for (run, last) in block.iter().zip(&mut last) {
                *last = Some(maker.step(&mut writes, run, number, *last));
            }
            store.commit(&writes).unwrap();
        }
        let texts = (steps / 2, steps.div_ceil(2));
        let diagrams: Vec<Write> = block.iter().flat_map(|run| maker.diagrams(run, texts)).collect();
        store.commit(&diagrams).unwrap();
    }
    store.checkpoint().unwrap();
}

fn experiment(maker: &Maker, now: Timestamp, runs: u64, steps: u64) -> Experiment {
    let models = |range: std::ops::Range<usize>| MODELS[range].iter().map(|(name, _)| ModelName::new(name)).collect();
    let seeds: Vec<Seed> = (0..runs as i64).map(|seed| Seed::new(seed).unwrap()).collect();
    Experiment {
        id: ExperimentId::new(now, &maker.entropy).unwrap(),
        name: "large".into(),
        config: ExperimentConfig {
            name: None,
            networks: NonEmpty::new(vec![Network::new(models(0..2)).unwrap()]).unwrap(),
            prompts: NonEmpty::new(vec!["a large store".into()]).unwrap(),
            seeds: NonEmpty::new(seeds).unwrap(),
            embedding_models: NonEmpty::new(models(2..6)).unwrap(),
            max_length: NonZeroU64::new(steps).unwrap(),
            parameters: BTreeMap::new(),
            diagrams: Default::default(),
        },
        config_as_given: "{}".into(),
        origin: Origin::Native,
        created_at: now,
        started_at: Some(now),
        completed_at: Some(now),
    }
}

fn version(maker: &Maker, now: Timestamp, name: &str, kind: ModelKind) -> ModelVersion {
    ModelVersion {
        id: ModelVersionId::new(now, &maker.entropy).unwrap(),
        name: ModelName::new(name),
        kind,
        backend: "measuring".into(),
        revision: "1".into(),
        weights_hash: "none".into(),
        parameters: "{}".into(),
        determinism: Determinism::Bitwise,
        program_version: "0.0.0".into(),
    }
}

struct Maker {
    entropy: SeededEntropy,
    versions: Vec<ModelVersionId>,
    state: u64,
    dimension: usize,
}

impl Maker {
    fn chance(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.state >> 32
    }

    /// Adds a step with its embeddings, and returns its id.
    fn step(&mut self, writes: &mut Vec<Write>, run: &Run, number: u64, last: Option<InvocationId>) -> InvocationId {
        let now = Timestamp::from_micros(1_700_000_000_000_000 + number as i64 * 1000);
        let id = InvocationId::new(now, &self.entropy).unwrap();
        let is_picture = number.is_multiple_of(2);
        let output =
            if is_picture { self.picture() } else { Output::Text(format!("{:016x}, and more words", self.chance())) };
        let model = usize::from(!is_picture);
        writes.push(Write::Invocation(Box::new(Invocation {
            id,
            run_id: run.id,
            link: last.map_or(Link::First, |last| Link::after(SequenceNumber(number - 1), last)),
            model: ModelName::new(MODELS[model].0),
            model_version_id: self.versions[model],
            seed: run.key.seed,
            started_at: now,
            completed_at: Some(now),
            output,
        })));
        for embedder in if is_picture { 4..6 } else { 2..4 } {
            let numbers = (0..self.dimension).map(|_| self.chance() as f32 / 4e9 + 1e-3).collect();
            writes.push(Write::Embedding(Box::new(Embedding {
                id: EmbeddingId::new(now, &self.entropy).unwrap(),
                invocation_id: id,
                embedding_model: ModelName::new(MODELS[embedder].0),
                model_version_id: self.versions[embedder],
                vector: Vector::new(numbers).unwrap(),
                started_at: now,
                completed_at: Some(now),
            })));
        }
        id
    }

    fn picture(&mut self) -> Output {
        let color = self.chance().to_le_bytes();
        let pixels = (0..32 * 32 * 3).map(|index| if index % 48 < 24 { color[index % 3] } else { color[3] }).collect();
        Output::Image(Arc::new(encode_image(&Picture::new(32, 32, pixels).unwrap()).unwrap()))
    }

    fn diagrams(&self, run: &Run, (texts, pictures): (u64, u64)) -> Vec<Write> {
        let now = Timestamp::from_micros(1_700_000_001_000_000);
        let diagram = |embedder: usize| {
            let points = if embedder < 4 { texts } else { pictures };
            Write::Diagram(Box::new(PersistenceDiagram {
                id: PersistenceDiagramId::new(now, &self.entropy).unwrap(),
                run_id: run.id,
                embedding_model: ModelName::new(MODELS[embedder].0),
                diagram: diagram(points as usize),
                started_at: now,
                completed_at: Some(now),
            }))
        };
        (2..6).filter(|&embedder| if embedder < 4 { texts > 1 } else { pictures > 1 }).map(diagram).collect()
    }
}

/// Bars of so many points, one unit apart.
fn diagram(points: usize) -> Diagram {
    let mut bars = vec![Bar { birth: 0.0, death: 1.0 }; points - 1];
    bars.push(Bar { birth: 0.0, death: f64::INFINITY });
    Diagram {
        dgms: vec![bars, vec![]],
        entropy: Some(vec![((points - 1) as f64).ln(), 0.0]),
        metadata: BTreeMap::from([("metric".to_owned(), Scalar::Text("euclidean".to_owned()))]),
        gens: BTreeMap::new(),
    }
}
