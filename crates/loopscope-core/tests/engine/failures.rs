//! Models that fail: what passes is tried again, what does not ends its run alone, and everything is on record.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loopscope_core::backend::ModelError;
use loopscope_core::codec::check_generators;
use loopscope_core::engine::{Event, Outcome};
use loopscope_core::experiment::{
    DiagramConfig, ExperimentConfig, ExperimentId, FailureStage, Hash, ModelName, OutputType, StopReason,
};
use loopscope_core::store::{OpenOptions, Store};

use crate::support::{Bench, TestRegistry, config, content, paint};

fn failures(bench: &Bench, id: ExperimentId) -> Vec<(FailureStage, String, u64, String)> {
    let store = Store::open_read(&bench.path(), &OpenOptions::default()).unwrap();
    let failures = store.failures(id).unwrap();
    failures.into_iter().map(|failure| (failure.stage, failure.subject, failure.attempt, failure.error)).collect()
}

fn stop_reasons(bench: &Bench, id: ExperimentId) -> Vec<StopReason> {
    let store = Store::open_read(&bench.path(), &OpenOptions::default()).unwrap();
    let progress = store.progress(id, &std::collections::BTreeMap::<ModelName, OutputType>::new()).unwrap();
    progress.iter().map(|run| run.stop_reason()).collect()
}

#[test]
fn an_error_that_passes_is_tried_again_and_changes_nothing() {
    let asked = config(&[&["Paint", "Say"]], &["one", "two"], &[0, 1], 20);
    let calm = Bench::new(TestRegistry { vocabulary: 500, ..TestRegistry::default() });
    let undisturbed = calm.create(asked.clone());
    calm.finish(undisturbed.id);

    let calls = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&calls);
    let meddle = move |_: &str, _: &Hash| {
        counter.fetch_add(1, Ordering::Relaxed).is_multiple_of(5).then(|| ModelError::transient("the device is busy"))
    };
    let mut bench = Bench::new(TestRegistry { vocabulary: 500, meddle: Arc::new(meddle), ..TestRegistry::default() });
    bench.options.retry.attempts_max = 50;
    let experiment = bench.create(asked);
    let (outcome, events) = bench.work(experiment.id, None).unwrap();
    assert_eq!(outcome, Outcome::Completed);
    assert_eq!(content(&bench.path(), experiment.id), content(&calm.path(), undisturbed.id));
    let recorded = failures(&bench, experiment.id);
    assert_eq!(recorded.len() as u64, calls.load(Ordering::Relaxed).div_ceil(5), "each failed attempt has a row");
    assert!(recorded.iter().all(|(_, _, attempt, error)| *attempt >= 1 && error == "the device is busy"));
    let told = events.iter().filter(|event| matches!(event, Event::Failure { retry_in_ms: Some(_), .. })).count();
    assert_eq!(told, recorded.len());
}

#[test]
fn retries_are_bounded() {
    let meddle = |model: &str, _: &Hash| (model == "Say").then(|| ModelError::transient("no answer"));
    let bench = Bench::new(TestRegistry { meddle: Arc::new(meddle), ..TestRegistry::default() });
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 20));
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    let attempts: Vec<_> =
        failures(&bench, experiment.id).into_iter().map(|(_, subject, attempt, _)| (subject, attempt)).collect();
    assert_eq!(attempts, [("Say #1".to_owned(), 1), ("Say #1".to_owned(), 2), ("Say #1".to_owned(), 3)]);
    assert_eq!(stop_reasons(&bench, experiment.id), [StopReason::Failed]);
}

#[test]
fn a_run_that_fails_stops_alone_and_resumes_where_it_was() {
    let asked = config(&[&["Paint", "Say"]], &["one", "two", "three"], &[0], 12);
    let calm = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    let undisturbed = calm.create(asked.clone());
    calm.finish(undisturbed.id);

    let cursed = paint("Paint", "two", 0).pixel_hash();
    let meddle = move |model: &str, input: &Hash| {
        (model == "Say" && *input == cursed).then(|| ModelError::permanent("cannot see that"))
    };
    let mut bench = Bench::new(TestRegistry { vocabulary: 5000, meddle: Arc::new(meddle), ..TestRegistry::default() });
    let experiment = bench.create(asked);
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    assert_eq!(stop_reasons(&bench, experiment.id), [StopReason::Length, StopReason::Failed, StopReason::Length]);
    let recorded = failures(&bench, experiment.id);
    assert_eq!(recorded, [(FailureStage::Run, "Say #1".to_owned(), 1, "cannot see that".to_owned())]);

    bench.registry.meddle = Arc::new(|_, _| None);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    assert_eq!(content(&bench.path(), experiment.id), content(&calm.path(), undisturbed.id));
    assert_eq!(failures(&bench, experiment.id), recorded, "the record of failures only grows");
}

#[test]
fn a_model_that_panics_fails_its_runs_and_nothing_else() {
    let meddle = |model: &str, input: &Hash| {
        assert!(model != "Say2" || *input != paint("Paint", "one", 0).pixel_hash(), "the model is on fire");
        None
    };
    let bench = Bench::new(TestRegistry { vocabulary: 5000, meddle: Arc::new(meddle), ..TestRegistry::default() });
    let experiment = bench.create(config(&[&["Paint", "Say"], &["Paint", "Say2"]], &["one"], &[0], 10));
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    assert_eq!(stop_reasons(&bench, experiment.id), [StopReason::Length, StopReason::Failed]);
    let recorded = failures(&bench, experiment.id);
    assert_eq!(recorded.len(), 1);
    assert!(recorded[0].3.contains("Say2 panicked: the model is on fire"), "{}", recorded[0].3);
}

#[test]
fn an_embedding_that_fails_keeps_its_run_and_leaves_its_diagram_for_later() {
    let mut bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    let meddle = |model: &str, _: &Hash| (model == "Words").then(|| ModelError::permanent("no words"));
    bench.registry.meddle = Arc::new(meddle);
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 10));
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    assert_eq!(stop_reasons(&bench, experiment.id), [StopReason::Length]);
    let store = Store::open_read(&bench.path(), &OpenOptions::default()).unwrap();
    let counts = store.counts(experiment.id).unwrap();
    assert_eq!((counts.invocations, counts.embeddings, counts.persistence_diagrams, counts.failures), (10, 5, 1, 5));
    assert!(store.experiment(experiment.id).unwrap().completed_at.is_none());
    bench.registry.meddle = Arc::new(|_, _| None);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    let counts = store.counts(experiment.id).unwrap();
    assert_eq!((counts.invocations, counts.embeddings, counts.persistence_diagrams), (10, 10, 2));
}

#[test]
fn vectors_that_are_no_vectors_are_refused_with_a_reason() {
    for (vector, reason) in [
        (vec![f32::NAN, 1.0, 0.0, 0.0], "Words: a vector holds finite numbers only, got NaN at index 0"),
        (vec![0.0; 4], "Words: a vector needs a number that is not zero, got 4 zeros"),
        (vec![], "Words: a vector needs at least one number, got none"),
    ] {
        let bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
        let mut asked = config(&[&["Paint", "Say"]], &["one"], &[0], 4);
        asked.embedding_models = loopscope_core::experiment::NonEmpty::new(vec![ModelName::new("Words")]).unwrap();
        let experiment = bench.create(asked);
        *bench.registry.bad_vector.lock().unwrap() = Some(vector);
        assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
        let recorded = failures(&bench, experiment.id);
        assert_eq!(recorded.len(), 2);
        assert!(
            recorded.iter().all(|(stage, _, _, error)| *stage == FailureStage::Embedding && error == reason),
            "{recorded:?}"
        );
    }
}

#[test]
fn a_vector_of_another_dimension_than_the_stored_ones_is_refused() {
    let bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 4));
    bench.finish(experiment.id);
    rusqlite::Connection::open(bench.path()).unwrap().execute("DELETE FROM embedding WHERE rowid = 1", []).unwrap();
    *bench.registry.bad_vector.lock().unwrap() = Some(vec![1.0; 9]);
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    let recorded = failures(&bench, experiment.id);
    assert!(recorded[0].3.contains("gave a vector of 9 numbers, expected"), "{recorded:?}");
}

#[test]
fn a_model_that_loses_a_result_fails_the_batch() {
    let bench = Bench::new(TestRegistry::default());
    bench.registry.drop_result.store(true, Ordering::Relaxed);
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 4));
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    let recorded = failures(&bench, experiment.id);
    assert_eq!(recorded[0].3, "Paint gave 0 results for 1 inputs");
}

#[test]
fn one_input_that_breaks_a_batch_ends_its_own_run_only() {
    let cursed = Hash::of(b"two");
    let meddle = move |model: &str, input: &Hash| {
        assert!(model != "Paint" || *input != cursed, "that word");
        None
    };
    let mut bench = Bench::new(TestRegistry { vocabulary: 5000, meddle: Arc::new(meddle), ..TestRegistry::default() });
    bench.options.threads = 1; // So that the four first inputs are one batch.
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one", "two", "three", "four"], &[0], 6));
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    let length = StopReason::Length;
    assert_eq!(stop_reasons(&bench, experiment.id), [length, StopReason::Failed, length, length]);
    // The batch is on record for each of the four, and the second attempt of the one that broke it.
    let mut attempts: Vec<_> = failures(&bench, experiment.id).into_iter().map(|(_, _, attempt, _)| attempt).collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 1, 1, 2]);
}

#[test]
fn a_vector_that_is_none_says_nothing_of_the_dimension() {
    let bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 4));
    *bench.registry.bad_vector.lock().unwrap() = Some(vec![f32::NAN; 2]);
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    *bench.registry.bad_vector.lock().unwrap() = None;
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
}

#[test]
fn a_diagram_that_needs_more_memory_than_it_may_have_is_on_record_and_comes_later() {
    let mut bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    bench.options.diagram_memory_bytes_max = Some(100);
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 20));
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    let recorded = failures(&bench, experiment.id);
    assert_eq!(recorded.len(), 2);
    assert!(recorded.iter().all(|(stage, ..)| *stage == FailureStage::Diagram), "{recorded:?}");
    assert!(recorded[0].3.contains("memory"), "{}", recorded[0].3);
    bench.options.diagram_memory_bytes_max = Some(1 << 30);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
}

#[test]
fn a_config_bounds_its_diagrams_and_the_engine_may_say_otherwise() {
    let mut bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    let diagrams = DiagramConfig { memory_bytes_max: Some(100), ..DiagramConfig::default() };
    let text = r#"{"diagram_memory_limit":100}"#;
    let asked = ExperimentConfig { diagrams, ..config(&[&["Paint", "Say"]], &["one"], &[0], 20) };
    let experiment = bench.create_as(asked, text);
    assert_eq!(bench.finish(experiment.id), Outcome::SomeFailed);
    assert!(failures(&bench, experiment.id)[0].3.contains("within 100 bytes"));
    bench.options.diagram_memory_bytes_max = Some(1 << 30);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
}

#[test]
fn generators_are_stored_when_the_config_asks_for_them() {
    let bench = Bench::new(TestRegistry { vocabulary: 5000, ..TestRegistry::default() });
    let diagrams = DiagramConfig { generator_count_max: 2, ..DiagramConfig::default() };
    let asked = ExperimentConfig { diagrams, ..config(&[&["Paint", "Say"]], &["one"], &[0], 40) };
    let experiment = bench.create_as(asked, r#"{"generators":2}"#);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    let store = bench.open();
    let run = store.runs(experiment.id).unwrap().remove(0).id;
    let diagram = store.diagram(run, &ModelName::new("Words")).unwrap().unwrap();
    assert_eq!(diagram.gens["gens_0_bars"].shape, [2, 2], "the two longest");
    assert_eq!(check_generators(&diagram, 20), Ok(()));
}
