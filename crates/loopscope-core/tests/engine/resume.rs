//! Stopping anywhere and going on gives what an undisturbed run gives; extending computes only what is new.

use loopscope_core::engine::{EngineError, Outcome};
use loopscope_core::experiment::{ModelName, OsEntropy, Seed, SystemClock};
use loopscope_core::store::{ExperimentLock, Extension, StoreError};

use crate::support::{Bench, TestRegistry, config, content};

#[test]
fn stopping_after_any_event_and_resuming_changes_nothing() {
    let asked = config(&[&["Paint", "Say"], &["Paint2", "Say2"]], &["one", "two"], &[0, 1, 1], 30);
    let undisturbed = Bench::new(TestRegistry { vocabulary: 300, ..TestRegistry::default() });
    let experiment = undisturbed.create(asked.clone());
    undisturbed.finish(experiment.id);
    let expected = content(&undisturbed.path(), experiment.id);

    let bench = Bench::new(TestRegistry { vocabulary: 300, ..TestRegistry::default() });
    let experiment = bench.create(asked);
    let mut stops = 0;
    // Stop at once, after one event, after two, …: runs stand at unequal steps each time.
    for limit in 0.. {
        let (outcome, _) = bench.work(experiment.id, Some(limit)).unwrap();
        match outcome {
            Outcome::Interrupted => stops += 1,
            Outcome::Completed => break,
            Outcome::SomeFailed | Outcome::SomeUnavailable => panic!("nothing fails here"),
        }
        assert!(limit < 1000, "it never ends");
    }
    assert!(stops >= 2, "stopped {stops} times");
    assert_eq!(content(&bench.path(), experiment.id), expected);
}

#[test]
fn a_complete_experiment_has_nothing_left_to_do() {
    let bench = Bench::new(TestRegistry::default());
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 10));
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    let calls = bench.registry.calls.lock().unwrap().clone();
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    assert_eq!(*bench.registry.calls.lock().unwrap(), calls, "no model was called again");
}

#[test]
fn what_was_taken_out_is_computed_again() {
    let bench = Bench::new(TestRegistry { vocabulary: 200, ..TestRegistry::default() });
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one", "two"], &[0, 1], 20));
    bench.finish(experiment.id);
    let expected = content(&bench.path(), experiment.id);
    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    sql.execute_batch(
        "PRAGMA foreign_keys = ON;
         DELETE FROM persistence_diagram WHERE rowid % 2 = 0;
         DELETE FROM embedding WHERE rowid % 3 = 0;
         DELETE FROM invocation WHERE sequence_number >= 15;
         DELETE FROM persistence_diagram WHERE run_id IN (SELECT run_id FROM invocation GROUP BY run_id HAVING count(*) = 15);",
    )
    .unwrap();
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    assert_eq!(content(&bench.path(), experiment.id), expected);
}

#[test]
fn a_gap_is_refused_with_the_way_out() {
    let bench = Bench::new(TestRegistry::default());
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[-1], 10));
    bench.finish(experiment.id);
    let sql = rusqlite::Connection::open(bench.path()).unwrap();
    sql.execute_batch("PRAGMA foreign_keys = OFF; DELETE FROM invocation WHERE sequence_number = 4;").unwrap();
    let error = bench.work(experiment.id, None).unwrap_err();
    assert!(error.to_string().contains("invocation 4 is missing"), "{error}");
    assert!(error.to_string().contains("doctor"), "{error}");
}

#[test]
fn extending_computes_only_what_is_new() {
    let bench = Bench::new(TestRegistry { vocabulary: 4000, ..TestRegistry::default() });
    let mut asked = config(&[&["Paint", "Say"]], &["one"], &[0], 10);
    asked.embedding_models = loopscope_core::experiment::NonEmpty::new(vec![ModelName::new("Words")]).unwrap();
    let experiment = bench.create(asked);
    bench.finish(experiment.id);
    bench.registry.calls.lock().unwrap().clear();
    let extension = Extension {
        prompts: vec!["two".to_owned()],
        seeds: vec![Seed::new(0).unwrap(), Seed::new(3).unwrap()],
        embedding_models: vec![ModelName::new("Looks")],
        max_length: std::num::NonZeroU64::new(14),
    };
    let extended = bench.open().extend(experiment.id, &extension, &SystemClock, &OsEntropy).unwrap();
    assert_eq!((extended.runs_added, extended.runs_lengthened, extended.diagrams_dropped), (5, 1, 1));
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    let calls = bench.registry.calls.lock().unwrap().clone();
    // 4 new steps of the old run, 14 of each of the 5 new ones; every picture is new to Looks.
    assert_eq!((calls["Paint"], calls["Say"], calls["Words"], calls["Looks"]), (37, 37, 37, 42));

    let whole = Bench::new(TestRegistry { vocabulary: 4000, ..TestRegistry::default() });
    let at_once = whole.create(config(&[&["Paint", "Say"]], &["one", "two"], &[0, 0, 3], 14));
    whole.finish(at_once.id);
    assert_eq!(content(&bench.path(), experiment.id), content(&whole.path(), at_once.id));
}

#[test]
fn a_second_engine_is_refused() {
    let bench = Bench::new(TestRegistry::default());
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 10));
    let held = ExperimentLock::take(&bench.path(), experiment.id).unwrap();
    let error = bench.work(experiment.id, None).unwrap_err();
    assert!(matches!(error, EngineError::Store(StoreError::Locked { .. })), "{error}");
    drop(held);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
}

#[test]
fn an_experiment_is_not_complete_while_it_is_repaired() {
    let bench = Bench::new(TestRegistry::default());
    let experiment = bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 20));
    bench.finish(experiment.id);
    let completed = || bench.open().experiment(experiment.id).unwrap().completed_at;
    let first = completed().unwrap();
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    assert_eq!(completed(), Some(first), "nothing to do leaves the time as it was");
    rusqlite::Connection::open(bench.path()).unwrap().execute("DELETE FROM embedding", []).unwrap();
    assert_eq!(bench.work(experiment.id, Some(1)).unwrap().0, Outcome::Interrupted);
    assert_eq!(completed(), None);
    assert_eq!(bench.finish(experiment.id), Outcome::Completed);
    assert!(completed().unwrap() > first);
}

#[test]
fn the_same_config_started_by_many_at_once_is_as_many_experiments() {
    let bench = Bench::new(TestRegistry::default());
    drop(bench.open());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| bench.create(config(&[&["Paint", "Say"]], &["one"], &[0], 2)));
        }
    });
    let mut names: Vec<String> = bench.open().experiments().unwrap().into_iter().map(|one| one.name).collect();
    names.sort();
    assert_eq!(names, ["test", "test-2", "test-3", "test-4", "test-5", "test-6", "test-7", "test-8"]);
}
