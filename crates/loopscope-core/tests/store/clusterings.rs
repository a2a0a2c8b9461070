//! Clusterings are there whole or not at all, and what is told of them is what is there.

use loopscope_core::experiment::{ClusteringResultId, Determinism, EmbeddingId, ModelName};
use loopscope_core::store::{Store, StoreError};

use super::support::{
    Bench, Planted, broken_references, clustering, config, count, dump, embedding_id, grow, id, invocation_id, plant,
    versions,
};

/// Two runs, of which the first has eight steps.
fn planted() -> (Bench, Store, Planted) {
    let bench = Bench::new();
    let mut store = bench.store();
    let versions = versions(&mut store, Determinism::Bitwise);
    let planted = plant(&mut store, 1, "planted", config(&["p"], &[1, 2], 99));
    grow(&mut store, &planted.runs[0], versions, 0, 8);
    (bench, store, planted)
}

fn texts(planted: &Planted, numbers: &[u64]) -> Vec<EmbeddingId> {
    numbers.iter().map(|&number| embedding_id(invocation_id(planted.runs[0].id, number))).collect()
}

#[test]
fn what_was_stored_is_told() {
    let (_bench, mut store, planted) = planted();
    let mut stored = clustering(1, &texts(&planted, &[1, 3, 5, 7]));
    stored.parameters = r#"{"epsilon":0.4}"#.to_owned();
    store.create_clusterings(std::slice::from_ref(&stored)).unwrap();
    let rows = store.all_clusterings().unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!((rows[0].id, rows[0].members, rows[0].clusters, rows[0].outliers), (stored.id, 4, 1, 1));
    assert_eq!(rows[0].parameters["epsilon"], 0.4);
    let clusters = store.clusters(stored.id).unwrap();
    assert_eq!(clusters.len(), 1);
    assert_eq!((clusters[0].medoid, clusters[0].members, clusters[0].runs), (texts(&planted, &[1])[0], 3, 1));
    assert_eq!(clusters[0].mean_probability, Some(1.0));
    assert_eq!(store.experiments_of_clustering(stored.id).unwrap(), [(planted.id(), "planted".to_owned())]);
    assert!(store.embedded_models(&[planted.id()]).unwrap().contains(&ModelName::new("Words")));
}

#[test]
fn of_clusterings_of_which_one_is_refused_none_is_stored() {
    let (bench, mut store, planted) = planted();
    let before = dump(&bench.raw());
    let whole = clustering(1, &texts(&planted, &[1, 3, 5]));
    // Its last member is an embedding that is not there.
    let half = clustering(2, &[texts(&planted, &[1, 3]), vec![EmbeddingId::from_bytes(id('m', 9, 9))]].concat());
    store.create_clusterings(&[whole.clone(), half]).unwrap_err();
    assert_eq!(dump(&bench.raw()), before);
    store.create_clusterings(&[whole]).unwrap();
    assert_eq!(count(&bench.raw(), "embedding_cluster"), 3);
}

#[test]
fn clusterings_are_deleted_all_or_none() {
    let (bench, mut store, planted) = planted();
    let pair = [1, 2].map(|number| clustering(number, &texts(&planted, &[1, 3, 5])));
    store.create_clusterings(&pair).unwrap();
    let unknown = ClusteringResultId::from_bytes(id('c', 9, 0));
    let refused = store.delete_clusterings(&[pair[0].id, unknown]).unwrap_err();
    assert!(matches!(refused, StoreError::NotFound { noun: "clustering", .. }), "{refused}");
    assert_eq!(store.all_clusterings().unwrap().len(), 2);
    assert_eq!(store.delete_clusterings(&[pair[0].id]).unwrap(), 1);
    let raw = bench.raw();
    assert_eq!((count(&raw, "clustering_result"), count(&raw, "embedding_cluster")), (1, 3));
    assert_eq!((count(&raw, "embedding"), broken_references(&raw)), (8, 0), "what was clustered stays");
    assert_eq!(store.delete_clusterings(&[]).unwrap(), 0);
}
