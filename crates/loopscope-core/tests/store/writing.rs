//! Objects go in whole, in groups that are there or not.

use loopscope_core::experiment::{
    Determinism, ExperimentId, Failure, FailureId, FailureStage, ModelKind, Seed, Timestamp,
};
use loopscope_core::store::{RecordWriter, Store, StoreError, Write};

use super::support::{
    Bench, Planted, Versions, clustering, config, count, dump, embedding, embedding_id, grow, id, invocation,
    invocation_id, model_version, plant, versions,
};

fn bench() -> (Bench, Store, Planted, Versions) {
    let bench = Bench::new();
    let mut store = bench.store();
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1, 2], 10));
    let versions = versions(&mut store, Determinism::Bitwise);
    (bench, store, planted, versions)
}

fn failure(planted: &Planted, number: u64) -> Failure {
    Failure {
        id: FailureId::from_bytes(id('f', number, 0)),
        experiment_id: planted.id(),
        run_id: Some(planted.runs[0].id),
        stage: FailureStage::Run,
        subject: "Paint #0".to_owned(),
        attempt: 1,
        error: "it rained".to_owned(),
        occurred_at: Timestamp::from_micros(1),
    }
}

#[test]
fn a_group_whose_last_object_is_refused_leaves_nothing() {
    let (bench, mut store, planted, versions) = bench();
    let step = |number| Write::Invocation(Box::new(invocation(&planted.runs[0], number, versions, number)));
    let vector = |number| Write::Embedding(Box::new(embedding(planted.runs[0].id, number, versions)));
    store.commit(&[step(0), vector(0)]).unwrap();
    let before = dump(&bench.raw());
    let good = [step(1), vector(1), Write::Failure(Box::new(failure(&planted, 1))), step(2)];
    let at = Timestamp::from_micros(1);
    let stranger = Write::Failure(Box::new(Failure {
        experiment_id: ExperimentId::from_bytes([9; 16]),
        run_id: None,
        ..failure(&planted, 2)
    }));
    for (bad, why) in [
        (vec![step(1)], "there already"),
        (vec![step(4)], "the step before is missing"),
        (vec![vector(0)], "a vector twice"),
        (vec![vector(9)], "a vector of nothing"),
        (vec![stranger], "of an experiment that is not there"),
        (vec![Write::ExperimentStarted(planted.id(), at), vector(0)], "after a change of times"),
    ] {
        let group = [&good[..], &bad].concat();
        let error = store.commit(&group).unwrap_err();
        assert!(matches!(error, StoreError::Sqlite { .. }), "{why}: {error}");
        assert_eq!(dump(&bench.raw()), before, "{why}");
    }
    store.commit(&good).unwrap();
    assert_eq!(count(&bench.raw(), "invocation"), 3);
}

#[test]
fn an_empty_group_is_nothing_and_a_commit_is_seen_by_others_at_once() {
    let (bench, mut store, planted, versions) = bench();
    let before = dump(&bench.raw());
    store.commit(&[]).unwrap();
    assert_eq!(dump(&bench.raw()), before);
    let reader = store.reader().unwrap();
    grow(&mut store, &planted.runs[0], versions, 0, 3);
    assert_eq!(reader.counts(planted.id()).unwrap().invocations, 3);
}

#[test]
fn a_refused_write_names_the_database_and_the_reason() {
    let (bench, mut store, planted, versions) = bench();
    grow(&mut store, &planted.runs[0], versions, 0, 1);
    let again = Write::Invocation(Box::new(invocation(&planted.runs[0], 0, versions, 5)));
    insta::assert_snapshot!(bench.chain(&store.commit(&[again]).unwrap_err()), @r"
    writing to [folder]/a.sqlite
    UNIQUE constraint failed: invocation.run_id, invocation.sequence_number, invocation.id
    Error code 2067: constraint failed
    ");
}

#[test]
fn the_first_start_and_the_first_end_stay() {
    let (_bench, mut store, planted, _) = bench();
    let at = Timestamp::from_micros;
    let id = planted.id();
    store.commit(&[Write::ExperimentStarted(id, at(5))]).unwrap();
    store.commit(&[Write::ExperimentStarted(id, at(6)), Write::ExperimentCompleted(id, at(7))]).unwrap();
    store.commit(&[Write::ExperimentCompleted(id, at(8))]).unwrap();
    let experiment = store.experiment(id).unwrap();
    assert_eq!((experiment.started_at, experiment.completed_at), (Some(at(5)), Some(at(7))));
}

#[test]
fn an_experiment_and_its_runs_are_stored_together_or_not_at_all() {
    let (bench, mut store, planted, _) = bench();
    assert_eq!(store.experiment(planted.id()).unwrap(), planted.experiment);
    assert_eq!(store.runs(planted.id()).unwrap(), planted.runs);
    let before = dump(&bench.raw());
    let mut other = planted.experiment.clone();
    other.id = ExperimentId::from_bytes(id('e', 2, 0));
    store.create_experiment(&other, &[]).unwrap_err(); // The name is taken.
    other.name = "two".to_owned();
    store.create_experiment(&other, &planted.runs).unwrap_err(); // These runs are another's.
    assert_eq!(dump(&bench.raw()), before);
}

#[test]
fn a_taken_name_gets_the_first_free_suffix() {
    let bench = Bench::new();
    let mut store = bench.store();
    let mut names = Vec::new();
    for number in 1..=4 {
        names.push(store.free_name("walk").unwrap());
        plant(&mut store, number, &names[names.len() - 1], config(&["p"], &[1], 1));
    }
    assert_eq!(names, ["walk", "walk-2", "walk-3", "walk-4"]);
    assert_eq!(store.free_name("walk-2").unwrap(), "walk-2-2");
    assert_eq!(store.free_name("Walk").unwrap(), "Walk", "names differ by case");
    store.delete_experiment(ExperimentId::from_bytes(id('e', 2, 0))).unwrap();
    assert_eq!(store.free_name("walk").unwrap(), "walk-2");
}

#[test]
fn a_model_version_is_stored_once() {
    let bench = Bench::new();
    let mut store = bench.store();
    let [paint, words] = [(1, "Paint", ModelKind::TextToImage), (2, "Words", ModelKind::TextEmbedder)]
        .map(|(number, name, kind)| model_version(number, name, kind, Determinism::Bitwise));
    let first = store.ensure_model_versions(&[paint.clone(), words.clone(), paint.clone()]).unwrap();
    assert_eq!(first, [paint.id, words.id, paint.id]);
    // Another process draws another id for the same version.
    let again = model_version(7, "Paint", ModelKind::TextToImage, Determinism::Bitwise);
    assert_eq!(store.ensure_model_versions(&[words.clone(), again]).unwrap(), [words.id, paint.id]);
    assert_eq!(count(&bench.raw(), "model_version"), 2);
    let mut changed = paint.clone();
    changed.id = model_version(8, "Paint", ModelKind::TextToImage, Determinism::Bitwise).id;
    changed.parameters = r#"{"steps":4}"#.to_owned();
    assert_eq!(store.ensure_model_versions(&[changed.clone()]).unwrap(), [changed.id]);
    assert_eq!(count(&bench.raw(), "model_version"), 3);
    assert!(store.ensure_model_versions(&[]).unwrap().is_empty());
}

#[test]
fn a_picture_is_stored_once_per_content() {
    let (bench, mut store, planted, versions) = bench();
    let group: Vec<Write> =
        planted.runs.iter().map(|run| Write::Invocation(Box::new(invocation(run, 0, versions, 3)))).collect();
    store.commit(&group).unwrap();
    assert_eq!((count(&bench.raw(), "invocation"), count(&bench.raw(), "image")), (2, 1));
}

#[test]
fn a_clustering_is_stored_whole_or_not_at_all() {
    let (bench, mut store, planted, versions) = bench();
    let run = &planted.runs[0];
    grow(&mut store, run, versions, 0, 6);
    let embeddings: Vec<_> = [1, 3, 5].map(|number| embedding_id(invocation_id(run.id, number))).to_vec();
    let nobody = embedding_id(invocation_id(run.id, 99));
    store.create_clustering(&clustering(1, &[embeddings.clone(), vec![nobody]].concat())).unwrap_err();
    assert_eq!(count(&bench.raw(), "clustering_result") + count(&bench.raw(), "embedding_cluster"), 0);
    store.create_clustering(&clustering(1, &embeddings)).unwrap();
    assert_eq!(count(&bench.raw(), "embedding_cluster"), 3);
}

#[test]
fn numbers_that_the_file_cannot_hold_are_refused() {
    let (bench, mut store, planted, _) = bench();
    let mut late = failure(&planted, 3);
    late.attempt = u64::MAX;
    store.commit(&[Write::Failure(Box::new(late))]).unwrap_err();
    assert_eq!(count(&bench.raw(), "failure"), 0);
    let greatest = plant(&mut store, 5, "greatest", config(&["p"], &[i64::MAX], i64::MAX as u64));
    assert_eq!(store.runs(greatest.id()).unwrap()[0].key.seed, Seed::new(i64::MAX).unwrap());
}

#[test]
fn text_of_every_kind_comes_back() {
    let bench = Bench::new();
    let mut store = bench.store();
    let prompts = ["", " ", "é 猫 🐈", "\"quoted\"\\ \n\t\r", "nul \0 inside", "[1]", "NULL"];
    let planted = plant(&mut store, 1, "'; --", config(&prompts, &[1], 1));
    assert_eq!(store.runs(planted.id()).unwrap(), planted.runs);
    assert_eq!(store.experiment(planted.id()).unwrap(), planted.experiment);
}
