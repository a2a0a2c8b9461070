//! Invocations a second, end to end: dummy models at 256 × 256, fresh seeds, two embedders, every commit on the disk.
//!
//! One iteration runs 16 runs of 100 invocations into a new store: 1,600 invocations, 1,600 embeddings, 32 diagrams.

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
    bencher.counter(divan::counter::ItemsCount::new(INVOCATIONS)).with_inputs(folder).bench_values(|folder| {
        let mut store =
            Store::open_write(&folder.path().join("bench.sqlite"), &OpenOptions::default()).expect("a store");
        let given = parse_config(CONFIG, Syntax::Toml).expect("a config");
        let experiment =
            create_experiment(&mut store, given, "bench", &SystemClock, &OsEntropy).expect("an experiment");
        let options = EngineOptions { threads, ..EngineOptions::default() };
        let registry = ModelRegistry::without_file();
        let engine = Engine { registry: &registry, clock: &SystemClock, entropy: &OsEntropy, options: &options };
        let outcome = engine.work(store, experiment.id, &AtomicBool::new(false), &mut |_| {}).expect("work");
        assert_eq!(outcome, Outcome::Completed);
        folder
    });
}
