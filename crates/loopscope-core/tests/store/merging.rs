//! Merging: whatever stores a record is split over, and in whatever order they are merged, the same record comes out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use loopscope_core::experiment::{
    Determinism, Failure, FailureId, FailureStage, ModelKind, ModelVersion, ModelVersionId, Run, Timestamp,
};
use loopscope_core::export::export_db;
use loopscope_core::store::{
    ExperimentLock, MergeError, Merged, MergedSource, OpenOptions, RecordWriter, Store, StoreError, Write, merge_stores,
};
use proptest::prelude::*;
use rusqlite::Connection;
use rusqlite::types::Value;

use super::support::{
    Bench, Versions, broken_references, clustering, config, count, dump, embedding_id, grow, id, invocation_id,
    model_version, plant, plant_diagram, versions,
};

/// Of one experiment in one store: the lengths of its runs, 4 of them, and its own times.
#[derive(Clone, Debug)]
struct Part {
    lengths: [u64; 4],
    started_at: Option<i64>,
    completed_at: Option<i64>,
}

/// The experiments of a store by number, and which ids its model versions have.
#[derive(Clone, Debug)]
struct Split {
    parts: BTreeMap<u64, Part>,
    versions: u64,
}

fn versions_with_ids(store: &mut Store, shift: u64) -> Versions {
    let version = |number: u64, name: &str, kind| ModelVersion {
        id: ModelVersionId::from_bytes(id('v', number + 100 * shift, 0)),
        ..model_version(number, name, kind, Determinism::Bitwise)
    };
    let ids = store
        .ensure_model_versions(&[
            version(0, "Paint", ModelKind::TextToImage),
            version(1, "Tell", ModelKind::ImageToText),
            version(2, "Words", ModelKind::TextEmbedder),
            version(3, "Looks", ModelKind::ImageEmbedder),
        ])
        .unwrap();
    Versions { paint: ids[0], tell: ids[1], words: ids[2], looks: ids[3] }
}

/// Makes a store of a split. What has the same number is the same object in every store.
fn build(path: &std::path::Path, split: &Split) {
    let mut store = Store::open_write(path, &OpenOptions::default()).unwrap();
    let versions = versions_with_ids(&mut store, split.versions);
    for (&number, part) in &split.parts {
        let planted = plant(&mut store, number, &format!("experiment {number}"), config(&["p", "q"], &[1, 2], 9));
        for (run, &length) in planted.runs.iter().zip(&part.lengths) {
            grow(&mut store, run, versions, 0, length);
            if length > 2 {
                plant_failure(&mut store, run, length.min(4));
            }
            if length == 9 {
                plant_diagram(&Connection::open(path).unwrap(), run.id, "Words");
            }
        }
        let raw = Connection::open(path).unwrap();
        let times = (part.started_at, part.completed_at, planted.id().as_bytes().to_vec());
        raw.execute("UPDATE experiment SET started_at = ?1, completed_at = ?2 WHERE id = ?3", times).unwrap();
    }
    // One clustering of the first steps of all runs of each experiment, one that spans the first two experiments.
    let first_steps = |number: u64| -> Option<Vec<_>> {
        let part = split.parts.get(&number)?;
        let run = |index| loopscope_core::experiment::RunId::from_bytes(id('r', number, index));
        let has_all = part.lengths.iter().all(|&length| length > 1);
        has_all.then(|| (0..4).map(|index| embedding_id(invocation_id(run(index), 1))).collect())
    };
    for number in 1..4 {
        if let Some(embeddings) = first_steps(number) {
            store.create_clustering(&clustering(number, &embeddings)).unwrap();
        }
    }
    if let (Some(one), Some(two)) = (first_steps(1), first_steps(2)) {
        store.create_clustering(&clustering(9, &[one, two].concat())).unwrap();
    }
}

fn plant_failure(store: &mut Store, run: &Run, number: u64) {
    let mut bytes = *run.id.as_bytes();
    bytes[0] = b'f';
    let failure = Failure {
        id: FailureId::from_bytes(bytes),
        experiment_id: run.experiment_id,
        run_id: Some(run.id),
        stage: FailureStage::Run,
        subject: "Paint #2".to_owned(),
        attempt: 1,
        error: "no answer".to_owned(),
        occurred_at: Timestamp::from_micros(5),
    };
    // Only those who came far enough have met it.
    if number > 2 {
        store.commit(&[Write::Failure(Box::new(failure))]).unwrap();
    }
}

/// Every row, with model versions named by what they are: their ids depend on which store was merged first.
fn content(path: &std::path::Path) -> Vec<Vec<Value>> {
    let raw = Connection::open(path).unwrap();
    let sql = "SELECT id, name || '|' || kind || '|' || revision || '|' || parameters || '|' || program_version FROM model_version";
    let mut statement = raw.prepare(sql).unwrap();
    let names: BTreeMap<Vec<u8>, String> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, rusqlite::Error>>()
        .unwrap();
    let named = |value: Value| match value {
        Value::Blob(bytes) => names.get(&bytes).map_or(Value::Blob(bytes), |name| Value::Text(name.clone())),
        value => value,
    };
    let mut rows: Vec<Vec<Value>> = dump(&raw).into_iter().map(|row| row.into_iter().map(named).collect()).collect();
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

fn merge(target: &std::path::Path, sources: &[PathBuf]) -> Result<Vec<MergedSource>, MergeError> {
    merge_stores(target, sources, &OpenOptions::default(), false, &mut |_, _| {})
}

fn rehearse(target: &std::path::Path, sources: &[PathBuf]) -> Result<Vec<MergedSource>, MergeError> {
    merge_stores(target, sources, &OpenOptions::default(), true, &mut |_, _| {})
}

/// The record that all splits are of: the longest of each run, the times of the whole.
fn union(splits: &[Split]) -> Split {
    let mut whole = Split { parts: BTreeMap::new(), versions: 0 };
    for part in splits.iter().flat_map(|split| &split.parts) {
        let sum = whole.parts.entry(*part.0).or_insert_with(|| part.1.clone());
        for (length, other) in sum.lengths.iter_mut().zip(part.1.lengths) {
            *length = other.max(*length);
        }
        sum.started_at = [sum.started_at, part.1.started_at].into_iter().flatten().min();
        sum.completed_at = sum.completed_at.max(part.1.completed_at);
    }
    whole
}

fn part() -> impl Strategy<Value = Part> {
    let time = || proptest::option::of(1_i64..100);
    (proptest::array::uniform4(0_u64..=9), time(), time()).prop_map(|(lengths, started_at, completed_at)| Part {
        lengths,
        started_at,
        completed_at,
    })
}

fn split() -> impl Strategy<Value = Split> {
    (proptest::collection::btree_map(1_u64..4, part(), 0..4), 0_u64..3)
        .prop_map(|(parts, versions)| Split { parts, versions })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_split_merged_in_any_order_is_the_record(
        splits in proptest::collection::vec(split(), 1..4),
        order in Just((0..3_usize).collect::<Vec<_>>()).prop_shuffle(),
    ) {
        let bench = Bench::new();
        let path = |name: &str| bench.folder.path().join(name);
        let sources: Vec<PathBuf> = order.iter().filter(|&&index| index < splits.len()).map(|&index| {
            let source = path(&format!("part{index}.sqlite"));
            build(&source, &splits[index]);
            source
        }).collect();
        let before: Vec<Vec<u8>> = sources.iter().map(|source| std::fs::read(source).unwrap()).collect();
        // Clusterings of the union that no single store holds whole are in none, and so not in the whole.
        let whole = path("whole.sqlite");
        build(&whole, &union(&splits));
        let raw = Connection::open(&whole).unwrap();
        let held: Vec<Vec<u8>> = sources.iter().flat_map(|source| {
            let part = Connection::open(source).unwrap();
            let mut statement = part.prepare("SELECT id FROM clustering_result").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<Vec<Vec<u8>>, _>>().unwrap()
        }).collect();
        let mut statement = raw.prepare("SELECT id FROM clustering_result").unwrap();
        let all: Vec<Vec<u8>> = statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
        for clustering in all.iter().filter(|clustering| !held.contains(clustering)) {
            raw.execute("DELETE FROM embedding_cluster WHERE clustering_result_id = ?1", [clustering]).unwrap();
            raw.execute("DELETE FROM clustering_result WHERE id = ?1", [clustering]).unwrap();
        }
        // A store without experiments gives its model versions to none.
        if splits.iter().all(|split| split.parts.is_empty()) {
            raw.execute("DELETE FROM model_version", []).unwrap();
        }

        let target = path("target.sqlite");
        let rehearsed = rehearse(&target, &sources).unwrap();
        prop_assert!(!target.exists());
        // As if the first merge had been stopped: some of it is there already.
        merge(&target, &sources[..1]).unwrap();
        let merged = merge(&target, &sources).unwrap();
        prop_assert_eq!(content(&target), content(&whole));
        let again = merge(&target, &sources).unwrap();
        for source in &again {
            prop_assert!(source.rows().values().all(|tally| tally.added == 0), "{:?}", again);
            prop_assert!(source.experiments.iter().all(|experiment| experiment.merged == Merged::Present));
        }
        prop_assert_eq!(content(&target), content(&whole));
        prop_assert_eq!(broken_references(&Connection::open(&target).unwrap()), 0);
        let fresh = path("fresh.sqlite");
        prop_assert_eq!(merge(&fresh, &sources).unwrap(), rehearsed, "a rehearsal says what happens");
        prop_assert_eq!(content(&fresh), content(&whole));
        drop(merged);

        // Out and in again is the identity.
        let store = Store::open_read(&target, &OpenOptions::default()).unwrap();
        let experiments: Vec<_> = store.experiments().unwrap().iter().map(|experiment| experiment.id).collect();
        let out = path("out.sqlite");
        export_db(&store, &experiments, &out, &OpenOptions::default(), &mut |_| {}).unwrap();
        prop_assert_eq!(content(&out), content(&target));
        let back = merge(&target, std::slice::from_ref(&out)).unwrap();
        prop_assert!(back[0].rows().values().all(|tally| tally.added == 0));
        prop_assert_eq!(dump(&Connection::open(&out).unwrap()), dump(&Connection::open(&target).unwrap()));

        let after: Vec<Vec<u8>> = sources.iter().map(|source| std::fs::read(source).unwrap()).collect();
        prop_assert!(before == after, "a source was written");
        drop((store, statement));
        drop(raw);
        prop_assert!(bench.listing().iter().all(|name| name.ends_with(".sqlite")), "{:?}", bench.listing());
    }
}

/// A store with a row in every table, and a second one with the same bytes.
fn twins(bench: &Bench) -> [PathBuf; 2] {
    let paths = ["one", "two"].map(|name| bench.folder.path().join(format!("{name}.sqlite")));
    let part = Part { lengths: [9, 4, 2, 2], started_at: Some(1), completed_at: None };
    build(&paths[0], &Split { parts: [(1, part)].into(), versions: 0 });
    std::fs::copy(&paths[0], &paths[1]).unwrap();
    paths
}

/// What merging says of twins after the source was changed by raw SQL, with the keys off.
fn complaint(sql: &str) -> String {
    let bench = Bench::new();
    let [target, source] = twins(&bench);
    let raw = Connection::open(&source).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute_batch(sql).unwrap();
    drop(raw);
    let before = content(&target);
    let error = merge(&target, std::slice::from_ref(&source)).expect_err(sql);
    assert_eq!(content(&target), before, "{sql}");
    assert_eq!(rehearse(&target, &[source]).unwrap_err().to_string(), error.to_string());
    bench.chain(&error)
}

#[test]
fn a_difference_in_any_table_stops_the_merge_and_is_named() {
    let complaints: Vec<String> = [
        "UPDATE experiment SET max_length = 10",
        "UPDATE experiment SET config = '{\"a\":1}', origin = 'legacy'",
        "UPDATE run SET max_length = 8 WHERE seed = 2",
        "UPDATE model_version SET determinism = 'best_effort' WHERE name = 'Paint'",
        "UPDATE model_version SET revision = '2' WHERE name = 'Tell'",
        "UPDATE image SET bytes = x'0102' WHERE rowid = 1",
        "UPDATE image SET width = 7 WHERE rowid = 1",
        "UPDATE invocation SET output_text = output_text || ' and more' WHERE sequence_number = 1 AND run_id = (SELECT id FROM run WHERE rowid = 1)",
        "UPDATE invocation SET completed_at = NULL WHERE sequence_number = 1 AND run_id = (SELECT id FROM run WHERE rowid = 1)",
        "UPDATE embedding SET vector = x'0000803f0000803f0000003f' WHERE rowid = 1",
        "UPDATE persistence_diagram SET diagram_data = x'02'",
        "UPDATE failure SET error = 'another' WHERE rowid = 1",
        "UPDATE clustering_result SET algorithm = 'kmeans'",
        "UPDATE embedding_cluster SET probability = 0.5 WHERE rowid = 1",
        "DELETE FROM embedding_cluster WHERE rowid = 2",
        "UPDATE run SET run_number = 3 WHERE rowid = 1",
        "UPDATE run SET id = x'02020202020202020202020202020202' WHERE rowid = 4",
        "UPDATE embedding SET id = x'01010101010101010101010101010101' WHERE rowid = 17",
        "UPDATE persistence_diagram SET id = x'01010101010101010101010101010101'",
        "UPDATE invocation SET started_at = 11",
    ]
    .map(|sql| format!("{sql}\n{}\n", complaint(sql)))
    .into();
    insta::assert_snapshot!("differences", complaints.concat());
}

#[test]
fn what_only_foreign_keys_off_can_make_is_refused_and_named() {
    let complaints: Vec<String> = [
        "DELETE FROM model_version WHERE name = 'Tell'",
        "DELETE FROM image WHERE rowid = 1",
        "UPDATE embedding SET model_version_id = (SELECT id FROM model_version WHERE name = 'Words'), \
         id = x'01010101010101010101010101010101' WHERE rowid = 1",
    ]
    .map(|sql| {
        let bench = Bench::new();
        let [source, _] = twins(&bench);
        let raw = Connection::open(&source).unwrap();
        raw.pragma_update(None, "foreign_keys", false).unwrap();
        raw.execute_batch(sql).unwrap();
        drop(raw);
        let error = merge(&bench.path, &[source]).unwrap_err();
        assert_eq!(count(&bench.raw(), "experiment"), 0, "nothing of it came");
        format!("{sql}\n{}\n", bench.chain(&error))
    })
    .into();
    insta::assert_snapshot!("damaged_sources", complaints.concat());
}

#[test]
fn a_name_that_is_taken_gets_a_suffix_and_keeps_it() {
    let bench = Bench::new();
    let other = bench.folder.path().join("other.sqlite");
    plant(&mut bench.store(), 1, "circles", config(&["p"], &[1], 3));
    let planted =
        plant(&mut Store::open_write(&other, &OpenOptions::default()).unwrap(), 2, "circles", config(&["p"], &[1], 3));
    for merged in [Merged::Added, Merged::Present] {
        let report = merge(&bench.path, std::slice::from_ref(&other)).unwrap();
        let experiment = &report[0].experiments[0];
        assert_eq!((experiment.merged, &experiment.name_in_target[..]), (merged, "circles-2"));
    }
    assert_eq!(bench.store().experiment(planted.id()).unwrap().name, "circles-2");
}

#[test]
fn an_experiment_that_an_engine_works_on_is_refused_in_the_target_and_read_in_the_source() {
    let bench = Bench::new();
    let [target, source] = twins(&bench);
    let id = Store::open_read(&source, &OpenOptions::default()).unwrap().experiments().unwrap()[0].id;
    let held = ExperimentLock::take(&source, id).unwrap();
    merge(&target, std::slice::from_ref(&source)).unwrap();
    drop(held);
    let held = ExperimentLock::take(&target, id).unwrap();
    let error = merge(&target, &[source]).unwrap_err();
    assert!(matches!(error, MergeError::Store(StoreError::Locked { .. })), "{error}");
    drop(held);
}

#[test]
fn a_source_that_grows_meanwhile_is_merged_as_of_one_moment() {
    let bench = Bench::new();
    let source = bench.folder.path().join("source.sqlite");
    let mut store = Store::open_write(&source, &OpenOptions::default()).unwrap();
    let planted = plant(&mut store, 1, "one", config(&["p"], &[1], 1_000_000));
    let versions = versions(&mut store, Determinism::Bitwise);
    const GROUP: u64 = 16;
    std::thread::scope(|scope| {
        let (done, stop) = std::sync::mpsc::channel::<()>();
        let writer = scope.spawn(move || {
            let mut number = 0;
            while stop.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                grow(&mut store, &planted.runs[0], versions, number, number + GROUP);
                number += GROUP;
            }
        });
        let mut sizes = Vec::new();
        for _ in 0..10 {
            merge(&bench.path, std::slice::from_ref(&source)).unwrap();
            let raw = bench.raw();
            assert_eq!(count(&raw, "invocation") % GROUP, 0, "a group is there whole or not at all");
            assert_eq!(count(&raw, "embedding"), count(&raw, "invocation"));
            assert_eq!(broken_references(&raw), 0);
            sizes.push(count(&raw, "invocation"));
        }
        drop(done);
        writer.join().unwrap();
        assert!(sizes.is_sorted() && sizes[0] < sizes[9], "it grew: {sizes:?}");
    });
}

#[test]
fn an_export_leaves_out_a_clustering_that_is_not_whole_in_it_and_says_so() {
    let bench = Bench::new();
    let part = Part { lengths: [4; 4], started_at: None, completed_at: None };
    let split = Split { parts: [(1, part.clone()), (2, part.clone()), (3, part)].into(), versions: 0 };
    build(&bench.path, &split);
    let store = Store::open_read(&bench.path, &OpenOptions::default()).unwrap();
    let ids: Vec<_> = store.experiments().unwrap().iter().map(|experiment| experiment.id).collect();
    let target = bench.folder.path().join("out.sqlite");
    let export = |ids: &[_]| export_db(&store, ids, &target, &OpenOptions::default(), &mut |_| {});
    let exported = export(&[ids[0], ids[0]]).unwrap().carried;
    assert_eq!(exported.experiments.len(), 1, "named twice is once");
    let [left_out] = &exported.clusterings.left_out[..] else { panic!("{:?}", exported.clusterings) };
    assert_eq!((left_out.members, left_out.missing), (8, 4));
    let raw = Connection::open(&target).unwrap();
    assert_eq!((count(&raw, "clustering_result"), count(&raw, "experiment"), count(&raw, "run")), (1, 1, 4));
    assert_eq!(broken_references(&raw), 0);
    drop(raw);
    let before = std::fs::read(&target).unwrap();
    insta::assert_snapshot!(bench.chain(&export(&ids).unwrap_err()), @"[folder]/out.sqlite exists already; an export never overwrites");
    assert_eq!(std::fs::read(&target).unwrap(), before);
    std::fs::remove_file(&target).unwrap();
    let exported = export(&ids[..2]).unwrap().carried;
    assert!(exported.clusterings.left_out.is_empty());
    assert_eq!(count(&Connection::open(&target).unwrap(), "clustering_result"), 3);
    drop(store);
    assert_eq!(bench.listing(), ["a.sqlite", "out.sqlite"]);
}

#[test]
fn stores_that_cannot_be_merged_are_refused_before_anything_is_written() {
    let bench = Bench::new();
    let [good, old] = twins(&bench);
    let link = bench.folder.path().join("link.sqlite");
    std::os::unix::fs::symlink(&good, &link).unwrap();
    let refused = |target: &std::path::Path, sources: &[PathBuf]| bench.chain(&merge(target, sources).unwrap_err());
    insta::assert_snapshot!(refused(&good, std::slice::from_ref(&link)), @"[folder]/link.sqlite is the database that is merged into; a store has itself already");
    let missing = bench.folder.path().join("nowhere.sqlite");
    insta::assert_snapshot!(refused(&bench.path, &[good.clone(), missing]), @"there is no database at [folder]/nowhere.sqlite");
    Connection::open(&old).unwrap().pragma_update(None, "user_version", 0).unwrap();
    insta::assert_snapshot!(refused(&bench.path, &[good, old]), @"[folder]/two.sqlite has schema version 0, and this program reads version 1; `loopscope migrate` brings it up to date, after a backup");
    assert!(!bench.path.exists());
}
