//! Invocations a second, end to end: dummy models at 256 × 256, fresh seeds, two embedders, every commit on the disk;
//! and the same at 32 × 32, with models at a server on this machine that answers at once beside dummies that do the same.
//!
//! One iteration runs 16 runs of 100 invocations into a new store: 1,600 invocations, 1,600 embeddings, 32 diagrams.

#[expect(dead_code, clippy::unwrap_used, reason = "the server of the tests; only its good models are called here")]
#[path = "../tests/cli/remote/server.rs"]
mod server;

use std::path::Path;

use std::sync::atomic::AtomicBool;

use loopscope_core::config::{Syntax, parse_config};
use loopscope_core::engine::{Engine, EngineOptions, Outcome, create_experiment};
use loopscope_core::experiment::{OsEntropy, SystemClock};
use loopscope_core::store::{OpenOptions, Store};
use loopscope_models::ModelRegistry;

const INVOCATIONS: usize = 1_600;

const CONFIG: &str = r#"
networks = [["DummyT2I", "DummyI2T"], ["DummyT2I2", "DummyI2T2"]]
prompts = ["a small red circle on a blue background", "three green squares"]
seed_count = 4
embedding_models = ["DummyText", "DummyVision"]
max_length = 100
"#;

fn main() {
    divan::main();
}

/// Where the stores go: on the disk of the working directory, because a memory file system has no disk to wait for.
fn folder() -> tempfile::TempDir {
    let target = std::env::current_dir().expect("a working directory");
    tempfile::tempdir_in(target).expect("a folder to write to")
}

#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 2])]
fn end_to_end(bencher: divan::Bencher<'_, '_>, threads: usize) {
    run(bencher, threads, CONFIG, &ModelRegistry::without_file());
}

#[divan::bench(sample_count = 5, sample_size = 1, args = [2])]
fn small_pictures(bencher: divan::Bencher<'_, '_>, threads: usize) {
    let size = "DummyT2I = { width = 32, height = 32 }\nDummyT2I2 = { width = 32, height = 32 }";
    run(bencher, threads, &format!("{CONFIG}[parameters]\n{size}\n"), &ModelRegistry::without_file());
}

/// Calls at once are the endpoint's, whatever the engine's threads.
#[divan::bench(sample_count = 5, sample_size = 1, args = [1, 4])]
fn small_pictures_from_a_server(bencher: divan::Bencher<'_, '_>, concurrency: usize) {
    let server = server::Server::start(1);
    let models = format!(
        r#"
[endpoints.here]
dialect = "vllm"
url = "{}"
concurrency = {concurrency}
[models.Painter]
kind = "text_to_image"
endpoint = "here"
model = "good"
parameters = {{ width = 32, height = 32, steps = 1 }}
[models.Describer]
kind = "image_to_text"
endpoint = "here"
model = "good"
"#,
        server.url("vllm")
    );
    let registry = ModelRegistry::of_text(&models, Path::new("models.toml")).expect("a registry");
    let networks = r#"networks = [["Painter", "Describer"], ["Painter", "Describer", "Painter", "Describer"]]"#;
    let config = CONFIG.lines().filter(|line| !line.starts_with("networks")).collect::<Vec<_>>().join("\n");
    run(bencher, 2, &format!("{networks}\n{config}"), &registry);
}

fn run(bencher: divan::Bencher<'_, '_>, threads: usize, config: &str, registry: &ModelRegistry) {
    bencher.counter(divan::counter::ItemsCount::new(INVOCATIONS)).with_inputs(folder).bench_values(|folder| {
        let mut store =
            Store::open_write(&folder.path().join("bench.sqlite"), &OpenOptions::default()).expect("a store");
        let given = parse_config(config, Syntax::Toml).expect("a config");
        let experiment =
            create_experiment(&mut store, given, "bench", &SystemClock, &OsEntropy).expect("an experiment");
        let options = EngineOptions { threads, ..EngineOptions::default() };
        let engine = Engine { registry, clock: &SystemClock, entropy: &OsEntropy, options: &options };
        let outcome = engine.work(store, experiment.id, &AtomicBool::new(false), &mut |_| {}).expect("work");
        assert_eq!(outcome, Outcome::Completed);
        folder
    });
}
