//! What is read agrees with what raw SQL counts, and progress with a slow and obvious computation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use loopscope_core::codec::encode_image;
use loopscope_core::experiment::{
    Determinism, Failure, FailureId, FailureStage, ModelName, Output, OutputType, Run, SequenceNumber, StopReason,
    Timestamp,
};
use loopscope_core::store::{OutputRow, RecordWriter, RunProgress, Store, StoreError, StoredOutput, Write};
use proptest::prelude::*;
use rusqlite::Connection;

use super::support::{
    Bench, Planted, Stop, Versions, clustering, config, embedding, embedding_id, grow, id, invocation, invocation_id,
    picture, plant, plant_diagram, versions,
};

fn embedders() -> BTreeMap<ModelName, OutputType> {
    BTreeMap::from([(ModelName::new("Words"), OutputType::Text), (ModelName::new("Looks"), OutputType::Image)])
}

/// Two experiments with runs at unequal steps.
fn two() -> (Bench, Store, [Planted; 2], Versions) {
    let bench = Bench::new();
    let mut store = bench.store();
    let versions = versions(&mut store, Determinism::Bitwise);
    let planted = [(1, "one"), (2, "two")].map(|(number, name)| {
        let planted = plant(&mut store, number, name, config(&["p", "q"], &[1, -1], 9));
        for (run, steps) in planted.runs.iter().zip([0, 1, 4, 9]) {
            grow(&mut store, run, versions, 0, steps + number - 1);
        }
        planted
    });
    (bench, store, planted, versions)
}

fn number(raw: &Connection, sql: &str, id: &[u8; 16]) -> u64 {
    raw.query_row(sql, [id], |row| row.get(0)).unwrap()
}

#[test]
fn counts_are_those_of_raw_sql() {
    let (bench, mut store, planted, _) = two();
    plant_diagram(&bench.raw(), planted[0].runs[3].id, "Words");
    let failure = failure(&planted[0].runs[0], 1, 0, 1, "late");
    store.commit(&[Write::Failure(Box::new(failure))]).unwrap();
    let raw = bench.raw();
    for planted in &planted {
        let id = planted.id();
        let counts = store.counts(id).unwrap();
        let of = |table: &str| {
            let sql =
                format!("SELECT count(*) FROM {table} WHERE run_id IN (SELECT id FROM run WHERE experiment_id = ?1)");
            number(&raw, &sql, id.as_bytes())
        };
        assert_eq!(counts.runs, number(&raw, "SELECT count(*) FROM run WHERE experiment_id = ?1", id.as_bytes()));
        assert_eq!(counts.invocations, of("invocation"));
        assert_eq!(counts.embeddings, of("embedding JOIN invocation ON invocation.id = invocation_id"));
        assert_eq!(counts.persistence_diagrams, of("persistence_diagram"));
        assert_eq!(counts.failures, of("failure"));
        assert_eq!(counts.failures, store.failures(id).unwrap().len() as u64);
    }
    assert_eq!(store.counts(planted[0].id()).unwrap().invocations, 14);
}

#[test]
fn experiments_are_listed_oldest_first_and_runs_as_they_were_made() {
    let (_bench, store, planted, _) = two();
    let names: Vec<String> = store.experiments().unwrap().into_iter().map(|experiment| experiment.name).collect();
    assert_eq!(names, ["one", "two"]);
    for planted in &planted {
        assert_eq!(store.experiment(planted.id()).unwrap(), planted.experiment);
        assert_eq!(store.runs(planted.id()).unwrap(), planted.runs);
        for run in &planted.runs {
            assert_eq!(&store.run(run.id).unwrap(), run);
        }
    }
}

#[test]
fn steps_are_visited_in_order_with_what_was_stored() {
    let (_bench, store, planted, versions) = two();
    let run = &planted[0].runs[3];
    let base = u64::from_be_bytes(run.id.as_bytes()[8..].try_into().unwrap()) * 1_000;
    let mut next = 0;
    store
        .visit_invocations::<StoreError>(run.id, |row| {
            let expected = invocation(run, next, versions, base + next);
            assert_eq!(row.id, expected.id);
            assert_eq!(row.sequence_number, SequenceNumber(next));
            assert_eq!(row.model, expected.model);
            assert_eq!((row.started_at, row.completed_at), (expected.started_at, expected.completed_at));
            match (&row.output, &expected.output) {
                (OutputRow::Text { text }, Output::Text(expected)) => assert_eq!(text, expected),
                (OutputRow::Image { hash, pixel_hash, format, width, height }, Output::Image(image)) => {
                    assert_eq!((hash, pixel_hash), (&image.hash.to_string(), &image.pixel_hash.to_string()));
                    assert_eq!((format.as_str(), *width, *height), ("webp", 2, 1));
                    assert_eq!(store.image_bytes(image.hash)?, ("webp".to_owned(), image.bytes.clone()));
                }
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
            let output = store.output(row.id)?;
            match expected.output {
                Output::Text(text) => assert_eq!(output, StoredOutput::Text(text)),
                Output::Image(_) => assert_eq!(output, StoredOutput::Image(picture(base + next))),
            }
            next += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(next, 9);
    let stop = store.visit_invocations(run.id, |_| Err(StoreError::Refused { message: "enough".to_owned() }));
    assert_eq!(stop.unwrap_err().to_string(), "enough");
}

#[test]
fn vectors_come_back_by_run_and_number() {
    let (_bench, store, planted, versions) = two();
    let words = ModelName::new("Words");
    for planted in &planted {
        let all = store.vectors(planted.id(), &words).unwrap();
        let by_run: Vec<_> = planted.runs.iter().flat_map(|run| store.trajectory(run.id, &words).unwrap()).collect();
        let ids =
            |vectors: &[loopscope_core::store::StoredVector]| -> Vec<_> { vectors.iter().map(|v| v.id).collect() };
        assert_eq!(ids(&all), ids(&by_run));
        for stored in &all {
            let expected = embedding(stored.run_id, stored.sequence_number.0, versions);
            assert_eq!((stored.id, &stored.vector), (expected.id, &expected.vector));
            assert!(!stored.sequence_number.0.is_multiple_of(2), "words are at odd numbers");
        }
        assert_eq!(store.dimension(planted.id(), &words).unwrap(), Some(3));
        assert_eq!(store.dimension(planted.id(), &ModelName::new("Nobody")).unwrap(), None);
    }
    let numbers: Vec<u64> = store
        .trajectory(planted[0].runs[3].id, &words)
        .unwrap()
        .iter()
        .map(|stored| stored.sequence_number.0)
        .collect();
    assert_eq!(numbers, [1, 3, 5, 7]);
}

#[test]
fn clusterings_are_summed_up_and_named_by_their_hyphenated_id() {
    let (_bench, mut store, planted, _) = two();
    let run = planted[0].runs[3].id;
    let embeddings: Vec<_> = [1, 3, 5, 7].map(|number| embedding_id(invocation_id(run, number))).to_vec();
    let stored = clustering(1, &embeddings);
    store.create_clustering(&stored).unwrap();
    let found = store.clusterings(planted[0].id()).unwrap();
    assert_eq!(found.len(), 1);
    let summary = &found[0];
    assert_eq!(summary.id, stored.id.to_string());
    assert_eq!((summary.embedding_model.as_str(), summary.algorithm.as_str()), ("Words", "hdbscan"));
    assert_eq!((summary.members, summary.clusters, summary.outliers), (4, 1, 1));
    assert_eq!(store.clusterings_resting_on(planted[0].id()).unwrap(), [stored.id.to_string()]);
    assert!(store.clusterings(planted[1].id()).unwrap().is_empty());
}

#[test]
fn values_that_this_program_refuses_to_write_are_errors_with_an_address() {
    let (bench, store, planted, _) = two();
    let run = &planted[0].runs[3];
    let raw = bench.raw();
    let step = invocation_id(run.id, 1);
    let nan = [f32::NAN.to_le_bytes(), 1.0_f32.to_le_bytes()].concat();
    raw.execute("UPDATE embedding SET vector = ?1 WHERE invocation_id = ?2", (nan, step.as_bytes())).unwrap();
    let error = store.trajectory(run.id, &ModelName::new("Words")).unwrap_err();
    insta::assert_snapshot!(bench.chain(&error), @r"
    embedding 00000003 holds no vector
    a vector holds finite numbers only, got NaN at index 0
    ");
    raw.execute("UPDATE image SET bytes = x'00' WHERE rowid = (SELECT min(rowid) FROM image)", []).unwrap();
    let first = invocation_id(planted[0].runs[1].id, 0);
    insta::assert_snapshot!(bench.chain(&store.output(first).unwrap_err()), @r"
    invocation 00000001 holds no picture
    the bytes do not decode as WebP
    IO Error: failed to fill whole buffer
    failed to fill whole buffer
    ");
    raw.execute("UPDATE run SET network = '[]' WHERE id = ?1", [run.id.as_bytes()]).unwrap();
    insta::assert_snapshot!(bench.chain(&store.run(run.id).unwrap_err()), @"run 00000003: a network needs at least one model");
    raw.execute("UPDATE experiment SET seeds = '[\"1\"]' WHERE name = 'one'", []).unwrap();
    insta::assert_snapshot!(bench.chain(&store.experiment(planted[0].id()).unwrap_err()), @r#"experiment "one": seeds does not read: invalid type: string "1", expected i64 at line 1 column 4"#);
    raw.execute("UPDATE experiment SET seeds = '[-7]' WHERE name = 'one'", []).unwrap();
    insta::assert_snapshot!(bench.chain(&store.experiment(planted[0].id()).unwrap_err()), @r#"experiment "one": a seed is -1 (fresh randomness) or at least 0, got -7"#);
}

#[test]
fn a_gap_that_another_program_made_is_an_error() {
    let (bench, store, planted, _) = two();
    let run = &planted[0].runs[3];
    let careless = Connection::open(&bench.path).unwrap();
    careless.pragma_update(None, "foreign_keys", false).unwrap();
    careless.execute("DELETE FROM invocation WHERE id = ?1", [invocation_id(run.id, 3).as_bytes()]).unwrap();
    let error = store.progress(planted[0].id(), &embedders()).unwrap_err();
    insta::assert_snapshot!(error, @"run 00000003: invocation 3 is missing, though 4 is there; run `loopscope doctor`");
}

#[test]
fn progress_is_of_one_state_while_another_commits() {
    let bench = Bench::new();
    let mut store = bench.store();
    let versions = versions(&mut store, Determinism::BestEffort);
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1], 100_000));
    let reader = store.reader().unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !is_done.load(Ordering::Relaxed) {
                let step = invocation(&planted.runs[0], number, versions, number);
                store.commit(&[Write::Invocation(Box::new(step))]).unwrap();
                number += 1;
            }
        });
        let _stop = Stop(&is_done);
        for _ in 0..200 {
            let progress = &reader.progress(planted.id(), &embedders()).unwrap()[0];
            for model in embedders().into_keys() {
                // Nothing is embedded, so that all that can be is missing.
                let missing = progress.missing_embeddings.get(&model).map_or(0, Vec::len) as u64;
                assert_eq!(missing, progress.embeddable[&model], "{model} after {} steps", progress.steps);
            }
        }
    });
}

fn failure(run: &Run, number: u64, step: u64, at: i64, error: &str) -> Failure {
    Failure {
        id: FailureId::from_bytes(id('f', number, 0)),
        experiment_id: run.experiment_id,
        run_id: Some(run.id),
        stage: FailureStage::Run,
        subject: Failure::subject_of_output(run.key.network.model(SequenceNumber(step)), SequenceNumber(step)),
        attempt: 1,
        error: error.to_owned(),
        occurred_at: Timestamp::from_micros(at),
    }
}

/// A run as it is made up: its outputs by key, which of them are embedded, and what else there is.
#[derive(Clone, Debug)]
struct Sketch {
    keys: Vec<u64>,
    is_embedded: Vec<bool>,
    diagrams: Vec<bool>,
    /// Number of the step that failed, and when.
    failures: Vec<(u64, i64)>,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    (0_usize..9).prop_flat_map(|steps| {
        let keys = prop::collection::vec(0_u64..4, steps);
        let is_embedded = prop::collection::vec(any::<bool>(), steps);
        let diagrams = prop::collection::vec(any::<bool>(), 2);
        let failures = prop::collection::vec((0_u64..10, 0_i64..5), 0..3);
        (keys, is_embedded, diagrams, failures).prop_map(|(keys, is_embedded, diagrams, failures)| Sketch {
            keys,
            is_embedded,
            diagrams,
            failures,
        })
    })
}

const LENGTH: u64 = 8;

/// What progress should say, from the sketch alone.
fn check(progress: &RunProgress, sketch: &Sketch, run: &Run, repeats: bool) {
    let steps = sketch.keys.len() as u64;
    assert_eq!(progress.run, *run);
    assert_eq!(progress.steps, steps);
    assert_eq!(progress.last, steps.checked_sub(1).map(|last| invocation_id(run.id, last)));

    // The first step whose output stood before at the same place in the network.
    let came_back = (0..sketch.keys.len()).find_map(|again| {
        (0..again)
            .find(|first| (again - first) % 2 == 0 && sketch.keys[*first] == sketch.keys[again])
            .map(|first| again - first)
    });
    let cycle = if repeats && run.key.seed.value() >= 0 { came_back.map(|period| period as u64) } else { None };
    assert_eq!(progress.cycle, cycle, "{sketch:?}");

    for (model, kind) in embedders() {
        let of_kind = |number: &u64| number.is_multiple_of(2) == (kind == OutputType::Image);
        let numbers: Vec<u64> = (0..steps).filter(of_kind).collect();
        assert_eq!(progress.embeddable[&model], numbers.len() as u64);
        let missing: Vec<_> = numbers
            .into_iter()
            .filter(|&number| !sketch.is_embedded[number as usize])
            .map(|number| (SequenceNumber(number), invocation_id(run.id, number)))
            .collect();
        assert_eq!(progress.missing_embeddings.get(&model).cloned().unwrap_or_default(), missing, "{model}");
    }

    let names = ["Words", "Looks"].iter().zip(&sketch.diagrams).filter(|(_, is_there)| **is_there);
    assert_eq!(progress.diagrams, names.map(|(name, _)| ModelName::new(name)).collect::<BTreeSet<_>>());

    // The last failure of the step that comes next; of two at the same moment the one that was stored later.
    let of_next = sketch.failures.iter().enumerate().filter(|(_, (step, _))| *step == steps);
    let last = of_next.max_by_key(|(index, (_, at))| (*at, *index));
    assert_eq!(progress.failed, last.map(|(index, _)| format!("failure {index}")));

    let reason = match cycle {
        Some(period) => StopReason::Cycle { period },
        None if steps >= LENGTH => StopReason::Length,
        None if progress.failed.is_some() => StopReason::Failed,
        None => StopReason::Unfinished,
    };
    assert_eq!(progress.stop_reason(), reason);
    assert_eq!(progress.is_complete(), cycle.is_some() || steps >= LENGTH);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    #[test]
    fn progress_says_what_a_slow_count_says(
        sketches in prop::collection::vec(sketch(), 4),
        class in 0_usize..4,
    ) {
        let determinism = Determinism::ALL[class];
        let bench = Bench::new();
        let mut store = bench.store();
        let versions = versions(&mut store, determinism);
        let planted = plant(&mut store, 1, "one", config(&["p", "q"], &[5, -1], LENGTH));
        let mut failures = 0;
        for (run, sketch) in planted.runs.iter().zip(&sketches) {
            let mut group = Vec::new();
            for (number, (&key, &is_embedded)) in (0..).zip(sketch.keys.iter().zip(&sketch.is_embedded)) {
                let mut step = invocation(run, number, versions, key);
                if let Output::Image(_) = step.output {
                    step.output = Output::Image(Arc::new(encode_image(&picture(key)).unwrap()));
                }
                group.push(Write::Invocation(Box::new(step)));
                if is_embedded {
                    group.push(Write::Embedding(Box::new(embedding(run.id, number, versions))));
                }
            }
            for (index, &(step, at)) in sketch.failures.iter().enumerate() {
                failures += 1;
                group.push(Write::Failure(Box::new(failure(run, failures, step, at, &format!("failure {index}")))));
            }
            store.commit(&group).unwrap();
            for (model, is_there) in ["Words", "Looks"].iter().zip(&sketch.diagrams) {
                if *is_there {
                    plant_diagram(&bench.raw(), run.id, model);
                }
            }
        }
        let all = store.progress(planted.id(), &embedders()).unwrap();
        prop_assert_eq!(all.len(), planted.runs.len());
        let repeats = matches!(determinism, Determinism::Bitwise | Determinism::SameDevice);
        for ((progress, sketch), run) in all.iter().zip(&sketches).zip(&planted.runs) {
            check(progress, sketch, run, repeats);
            prop_assert_eq!(store.states(run.id).unwrap().len(), sketch.keys.len());
        }
    }
}
