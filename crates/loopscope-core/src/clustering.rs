//! Clusterings of an experiment's embeddings: computed first, then stored whole in one transaction.

use loopscope_analysis::cluster::{ClusterError, Duplicates, HdbscanParameters, Vectors, hdbscan};

use crate::codec::canonical_json;
use crate::experiment::{
    Clock, ClusteringResult, ClusteringResultId, EmbeddingCluster, EmbeddingClusterId, Entropy, ExperimentId, ModelName,
};
use crate::store::{Store, StoreError, StoredVector};

/// Why embeddings were not clustered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusteringError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The vectors do not cluster.
    #[error("the embeddings of {model} do not cluster")]
    Cluster {
        /// Whose embeddings.
        model: ModelName,
        /// Why not.
        #[source]
        source: ClusterError,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Entropy(#[source] std::io::Error),
}

/// Clusters the embeddings of each embedding model of an experiment by HDBSCAN with the default preset, and stores each
/// clustering in one transaction. Returns how many there are; a model without embeddings has none.
///
/// # Errors
///
/// [`ClusteringError`]; the clusterings stored before stay, each whole.
pub fn cluster_experiment(
    store: &mut Store,
    id: ExperimentId,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<usize, ClusteringError> {
    let experiment = store.experiment(id)?;
    let mut count = 0;
    for model in &experiment.config.embedding_models {
        let vectors = store.vectors(id, model)?;
        if !vectors.is_empty() {
            let clustering = cluster_vectors(model, &vectors, clock, entropy)?;
            store.create_clustering(&clustering)?;
            count += 1;
        }
    }
    Ok(count)
}

/// Clusters vectors of one embedding model; the result names every vector.
fn cluster_vectors(
    model: &ModelName,
    stored: &[StoredVector],
    clock: &dyn Clock,
    entropy: &dyn Entropy,
) -> Result<ClusteringResult, ClusteringError> {
    let started_at = clock.now();
    let dimension = stored.first().map_or(0, |stored| stored.vector.dimension());
    let values: Vec<f32> = stored.iter().flat_map(|stored| stored.vector.numbers()).copied().collect();
    let parameters = HdbscanParameters::default(stored.len());
    let clustering = Vectors::new(&values, stored.len(), dimension)
        .and_then(|vectors| hdbscan(&vectors, &parameters))
        .map_err(|source| ClusteringError::Cluster { model: model.clone(), source })?;
    let completed_at = clock.now().max(started_at);
    let stored_ids: Vec<_> = stored.iter().map(|stored| stored.id).collect();
    let members = stored.iter().zip(&clustering.labels).zip(&clustering.probabilities);
    let member = |((stored, label), &probability): ((&StoredVector, &Option<usize>), &f64)| {
        Ok(EmbeddingCluster {
            id: EmbeddingClusterId::new(completed_at, entropy).map_err(ClusteringError::Entropy)?,
            embedding_id: stored.id,
            medoid_embedding_id: label.map(|cluster| stored_ids[clustering.medoids[cluster]]),
            probability: Some(probability),
        })
    };
    let members = members.map(member).collect::<Result<Vec<_>, ClusteringError>>()?;
    Ok(ClusteringResult {
        id: ClusteringResultId::new(completed_at, entropy).map_err(ClusteringError::Entropy)?,
        embedding_model: model.clone(),
        algorithm: "hdbscan".to_owned(),
        parameters: parameters_json(&parameters)?,
        layer: 0,
        created_at: completed_at,
        started_at,
        completed_at: Some(completed_at),
        members,
    })
}

fn parameters_json(parameters: &HdbscanParameters) -> Result<String, StoreError> {
    let value = serde_json::json!({
        "allow_single_cluster": parameters.allow_single_cluster(),
        "duplicates": if parameters.duplicates() == Duplicates::Merge { "merge" } else { "keep" },
        "epsilon": parameters.epsilon(),
        "method": "eom",
        "min_cluster_size": parameters.min_cluster_size(),
        "min_samples": parameters.min_samples(),
        "preset": "default",
    });
    canonical_json(&value)
        .map_err(|error| StoreError::Invalid { object: "clustering parameters".to_owned(), defect: error.to_string() })
}
