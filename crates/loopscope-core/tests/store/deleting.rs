//! Deleting an experiment takes what is its own, and what rests on it, and nothing else.

use loopscope_core::experiment::{Determinism, ExperimentId, RunId};
use loopscope_core::store::{Deleted, RecordWriter, Store, Write};
use rusqlite::Connection;

use super::support::{
    Bench, Planted, Versions, broken_references, clustering, config, count, dump, embedding_id, grow, invocation,
    invocation_id, plant, plant_diagram, versions,
};

fn bench() -> (Bench, Store, Versions) {
    let bench = Bench::new();
    let mut store = bench.store();
    let versions = versions(&mut store, Determinism::Bitwise);
    (bench, store, versions)
}

fn planted(store: &mut Store, versions: Versions, number: u64, name: &str, steps: u64) -> Planted {
    let planted = plant(store, number, name, config(&["p"], &[1, 2], 2_000));
    grow(store, &planted.runs[0], versions, 0, steps);
    planted
}

fn texts(run: RunId, numbers: &[u64]) -> Vec<loopscope_core::experiment::EmbeddingId> {
    numbers.iter().map(|&number| embedding_id(invocation_id(run, number))).collect()
}

#[test]
fn a_run_longer_than_sqlite_follows_references_is_deleted_whole() {
    // SQLite follows a chain of cascades at most 1,000 deep; a run is such a chain.
    let (bench, mut store, versions) = bench();
    let planted = planted(&mut store, versions, 1, "long", 1_500);
    let deleted = store.delete_experiment(planted.id()).unwrap();
    let expected = Deleted { runs: 2, invocations: 1_500, embeddings: 1_500, images: 750, ..Deleted::default() };
    assert_eq!(deleted, expected);
    let raw = bench.raw();
    for table in ["experiment", "run", "invocation", "embedding", "image"] {
        assert_eq!(count(&raw, table), 0, "{table}");
    }
    assert_eq!(count(&raw, "model_version"), 4, "what produced rows once stays known");
}

#[test]
fn pictures_that_another_experiment_shows_stay() {
    let (bench, mut store, versions) = bench();
    let [first, second] =
        [(1, "first"), (2, "second")].map(|(number, name)| plant(&mut store, number, name, config(&["p"], &[1, 2], 9)));
    let show =
        |run: usize, of: &Planted, key: u64| Write::Invocation(Box::new(invocation(&of.runs[run], 0, versions, key)));
    // Picture 1 is in both experiments, 2 twice in the first, 3 in the second alone.
    store.commit(&[show(0, &first, 1), show(0, &second, 1), show(1, &second, 3)]).unwrap();
    store.commit(&[show(1, &first, 2)]).unwrap();
    let third = plant(&mut store, 3, "third", config(&["p"], &[1], 9));
    store.commit(&[show(0, &third, 2)]).unwrap();
    assert_eq!(count(&bench.raw(), "image"), 3, "each content once");
    assert_eq!(store.delete_experiment(first.id()).unwrap().images, 0);
    assert_eq!(count(&bench.raw(), "image"), 3);
    assert_eq!(store.delete_experiment(third.id()).unwrap().images, 1);
    assert_eq!(store.delete_experiment(second.id()).unwrap().images, 2);
    assert_eq!(count(&bench.raw(), "image"), 0);
}

#[test]
fn clusterings_that_rest_on_it_go_whole_and_are_counted() {
    let (bench, mut store, versions) = bench();
    let doomed = planted(&mut store, versions, 1, "doomed", 8);
    let kept = planted(&mut store, versions, 2, "kept", 8);
    let (run, other) = (doomed.runs[0].id, kept.runs[0].id);
    let mixed = [texts(other, &[1, 3]), texts(run, &[1])].concat();
    store.create_clustering(&clustering(1, &texts(run, &[1, 3, 5]))).unwrap();
    store.create_clustering(&clustering(2, &mixed)).unwrap();
    store.create_clustering(&clustering(3, &texts(other, &[1, 3, 5]))).unwrap();
    let resting = store.clusterings_resting_on(doomed.id()).unwrap();
    assert_eq!(resting.len(), 2);
    let deleted = store.delete_experiment(doomed.id()).unwrap();
    assert_eq!(deleted.clusterings, 2);
    let raw = bench.raw();
    assert_eq!((count(&raw, "clustering_result"), count(&raw, "embedding_cluster")), (1, 3));
    assert_eq!(broken_references(&raw), 0);
}

#[test]
fn a_medoid_that_is_no_member_takes_its_clustering_along() {
    // Not what we write, but the schema allows it, and a deletion that can never go through is no answer.
    let (bench, mut store, versions) = bench();
    let doomed = planted(&mut store, versions, 1, "doomed", 4);
    let kept = planted(&mut store, versions, 2, "kept", 4);
    store.create_clustering(&clustering(1, &texts(kept.runs[0].id, &[1, 3]))).unwrap();
    let medoid = texts(doomed.runs[0].id, &[1])[0];
    bench.raw().execute("UPDATE embedding_cluster SET medoid_embedding_id = ?1", [medoid.as_bytes()]).unwrap();
    assert_eq!(store.clusterings_resting_on(doomed.id()).unwrap().len(), 1, "it is named beforehand");
    assert_eq!(store.delete_experiment(doomed.id()).unwrap().clusterings, 1);
    assert_eq!(count(&bench.raw(), "clustering_result"), 0);
}

#[test]
fn other_experiments_are_untouched() {
    let (bench, mut store, versions) = bench();
    let kept = planted(&mut store, versions, 2, "kept", 6);
    store.create_clustering(&clustering(1, &texts(kept.runs[0].id, &[1, 3]))).unwrap();
    plant_diagram(&bench.raw(), kept.runs[0].id, "Words");
    let before = dump(&bench.raw());
    let doomed = planted(&mut store, versions, 1, "doomed", 5);
    plant_diagram(&bench.raw(), doomed.runs[0].id, "Words");
    let deleted = store.delete_experiment(doomed.id()).unwrap();
    assert_eq!(deleted.persistence_diagrams, 1);
    assert_eq!(dump(&bench.raw()), before);
}

#[test]
fn a_deletion_that_fails_leaves_everything() {
    let (bench, mut store, versions) = bench();
    let doomed = planted(&mut store, versions, 1, "doomed", 6);
    store.create_clustering(&clustering(1, &texts(doomed.runs[0].id, &[1, 3]))).unwrap();
    refuse_deletion(&bench.raw());
    let before = dump(&bench.raw());
    for _ in 0..2 {
        store.delete_experiment(doomed.id()).unwrap_err();
        assert_eq!(dump(&bench.raw()), before);
    }
    bench.raw().execute_batch("DROP TRIGGER stop").unwrap();
    store.delete_experiment(doomed.id()).unwrap();
    let again = planted(&mut store, versions, 1, "doomed", 6);
    store.delete_experiment(again.id()).unwrap();
}

/// Makes the very last step of a deletion fail.
fn refuse_deletion(raw: &Connection) {
    raw.execute_batch("CREATE TRIGGER stop BEFORE DELETE ON experiment BEGIN SELECT RAISE(ABORT, 'stop'); END")
        .unwrap();
}

#[test]
fn deleting_what_is_not_there_is_an_error() {
    let (_bench, mut store, _) = bench();
    let error = store.delete_experiment(ExperimentId::from_bytes([9; 16])).unwrap_err();
    insta::assert_snapshot!(error, @r#"no experiment matches "09090909-0909-0909-0909-090909090909""#);
}
