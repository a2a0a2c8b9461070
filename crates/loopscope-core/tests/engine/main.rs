//! The engine against a slow and obvious one, and against models that fail.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod failures;
mod resume;
mod support;

use std::collections::BTreeMap;

use loopscope_core::codec::decode_diagram;
use loopscope_core::engine::Outcome;
use loopscope_core::experiment::{Determinism, ModelName, NonEmpty, OutputType};
use loopscope_core::store::OpenOptions;
use proptest::prelude::*;
use support::{Bench, TestRegistry, config, content, oracle};

/// Checks everything that the store holds against the oracle: outputs, vectors, diagrams, stop reasons.
fn check_against_oracle(bench: &Bench, asked: &loopscope_core::experiment::ExperimentConfig, may_cycle: bool) {
    let experiment = bench.create(asked.clone());
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    let expected = oracle(asked, bench.registry.vocabulary, may_cycle);
    let got = content(&bench.path(), experiment.id);
    assert_eq!(got.len(), expected.len());
    for (key, run) in &expected {
        assert_eq!(got[key].outputs, run.content.outputs, "{key:?}");
        assert_eq!(got[key].vectors, run.content.vectors, "{key:?}");
        for model in asked.embedding_models.iter().map(ModelName::as_str) {
            let points = run.content.vectors.keys().filter(|(name, _)| name == model).count();
            let diagram = got[key].diagrams.get(model);
            assert_eq!(diagram.is_some(), points >= 2, "{model} of {key:?}");
            if let Some(bytes) = diagram {
                check_diagram(bytes, &run.content.vectors, model);
            }
        }
    }
    let store = loopscope_core::store::Store::open_read(&bench.path(), &OpenOptions::default()).unwrap();
    for progress in store.progress(experiment.id, &BTreeMap::<ModelName, OutputType>::new()).unwrap() {
        assert_eq!(progress.stop_reason(), expected[&progress.run.key].stop, "{:?}", progress.run.key);
    }
    assert!(store.experiment(experiment.id).unwrap().completed_at.is_some());
}

/// Computes the diagram again from the stored vectors, by the distances of a full matrix.
fn check_diagram(bytes: &[u8], vectors: &BTreeMap<(String, u64), Vec<u8>>, model: &str) {
    let points: Vec<Vec<f32>> = vectors
        .iter()
        .filter(|((name, _), _)| name == model)
        .map(|(_, bytes)| bytes.as_chunks::<4>().0.iter().map(|&number| f32::from_le_bytes(number)).collect())
        .collect();
    let flat: Vec<f32> = points.concat();
    let cloud = ripsaw::PointCloud::new(&flat, points.len(), points[0].len()).unwrap();
    let expected =
        ripsaw::persistence_of_points(&cloud, ripsaw::Metric::Euclidean, &ripsaw::Options::default()).unwrap();
    let diagram = decode_diagram(bytes).unwrap();
    let bars: Vec<Vec<(f64, f64)>> =
        diagram.dgms.iter().map(|bars| bars.iter().map(|bar| (bar.birth, bar.death)).collect()).collect();
    let expected: Vec<Vec<(f64, f64)>> =
        expected.diagrams.iter().map(|bars| bars.iter().map(|bar| (bar.birth, bar.death)).collect()).collect();
    assert_eq!(bars, expected);
}

#[test]
fn four_networks_five_prompts_three_seeds_a_hundred_steps_and_four_embedders_equal_the_oracle() {
    let networks: [&[&str]; 4] = [
        &["Paint", "Say"],
        &["Paint2", "Say2"],
        &["Paint", "Say2", "Paint2", "Say"],
        &["Paint2", "Say", "Paint2", "Say2"],
    ];
    let mut asked = config(&networks, &["one", "two", "drei", "", "five 🍏"], &[0, 7, 7], 100);
    let embedders = ["Words", "Words2", "Looks", "Looks2"].map(ModelName::new).to_vec();
    asked.embedding_models = NonEmpty::new(embedders).unwrap();
    let bench = Bench::new(TestRegistry { vocabulary: 3000, ..TestRegistry::default() });
    check_against_oracle(&bench, &asked, true);
}

#[test]
fn models_that_do_not_repeat_themselves_never_end_in_a_cycle() {
    let registry = TestRegistry { determinism: Determinism::BestEffort, vocabulary: 3, ..TestRegistry::default() };
    check_against_oracle(&Bench::new(registry), &config(&[&["Paint", "Say"]], &["one"], &[0, 1], 30), false);
}

#[test]
fn a_run_of_one_invocation_has_no_diagram_and_is_complete() {
    check_against_oracle(&Bench::new(TestRegistry::default()), &config(&[&["Paint", "Say"]], &["one"], &[4], 1), true);
}

#[test]
fn fresh_seeds_run_their_full_length_and_are_stored_with_each_step() {
    let bench = Bench::new(TestRegistry { vocabulary: 2, ..TestRegistry::default() });
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[-1, -1], 20));
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    let (steps, seeds, lowest): (u64, u64, i64) = sql
        .query_row("SELECT count(*), count(DISTINCT seed), min(seed) FROM invocation", [], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .unwrap();
    assert_eq!(steps, 40);
    assert!(seeds >= 39, "31-bit draws hardly ever meet: {seeds} distinct of 40");
    assert!(lowest >= 0);
}

#[test]
fn content_is_the_same_for_any_number_of_threads_and_runs_under_way() {
    let asked = config(&[&["Paint", "Say"], &["Paint2", "Say"]], &["one", "two"], &[0, 1, 2], 40);
    let mut contents = Vec::new();
    for (threads, active_runs_max) in [(1, 1), (2, 3), (8, 256)] {
        let mut bench = Bench::new(TestRegistry { vocabulary: 500, ..TestRegistry::default() });
        bench.options.threads = threads;
        bench.options.active_runs_max = active_runs_max;
        let experiment = bench.create(asked.clone());
        assert_eq!(bench.finish(experiment.id), Outcome::Completed);
        contents.push(content(&bench.path(), experiment.id));
    }
    assert_eq!(contents[0], contents[1]);
    assert_eq!(contents[0], contents[2]);
}

#[test]
fn a_device_of_one_thread_gives_the_same_as_the_processor() {
    let registry = TestRegistry {
        vocabulary: 100,
        lane: loopscope_core::backend::Lane::Named { name: "device:0".to_owned(), threads: 1 },
        ..TestRegistry::default()
    };
    let mut bench = Bench::new(registry);
    bench.options.model_memory_bytes_max = 3 << 19; // Room for one model: every change of model is a swap.
    check_against_oracle(&bench, &config(&[&["Paint", "Say"]], &["one", "two"], &[0, 1, 2, 3], 30), true);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_small_experiment_equals_the_oracle(
        vocabulary in 1_u64..60,
        seeds in prop::collection::vec(0_i64..5, 1..4),
        prompts in prop::collection::vec(".{0,6}", 1..3),
        length in 1_u64..25,
        threads in 1_usize..4,
    ) {
        let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
        let mut bench = Bench::new(TestRegistry { vocabulary, ..TestRegistry::default() });
        bench.options.threads = threads;
        check_against_oracle(&bench, &config(&[&["Paint", "Say"], &["Paint", "Say2", "Paint2", "Say"]], &prompts, &seeds, length), true);
    }
}
