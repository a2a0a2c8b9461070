//! Clusterings of embeddings: computed first, then stored whole in one transaction.
//!
//! A clustering is frozen on the embeddings that it was made from, and names every one of them. Embeddings that come
//! later change nothing in it; a new clustering is made beside it.

use loopscope_analysis::cluster::{
    ClusterError, DensityTree, Duplicates, HdbscanParameters, Resources, SelectionMethod, Vectors, Watcher,
    distance_baseline, layers, optics,
};
use serde_json::{Value, json};

use crate::causes::with_causes;
use crate::codec::canonical_json;
use crate::embedding_space::{count_spaces, told_counts};
use crate::experiment::{
    Clock, ClusteringResult, ClusteringResultId, EmbeddingCluster, EmbeddingClusterId, EmbeddingId, Entropy,
    ExperimentId, Failure, FailureId, FailureStage, ModelName,
};
use crate::store::{RecordWriter, Store, StoreError, Write};

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
    /// Vectors of one model are not equally long.
    #[error(
        "embedding {embedding} of {model} has {got} numbers, those before it {expected}: vectors of different \
         lengths do not cluster together"
    )]
    Dimension {
        /// Whose embeddings.
        model: ModelName,
        /// The first that differs, by its short id.
        embedding: String,
        /// Its length.
        got: usize,
        /// The length of those before it.
        expected: usize,
    },
    /// The system gave no randomness.
    #[error("the system gave no randomness")]
    Entropy(#[source] std::io::Error),
}

/// Vectors of one model in one matrix.
#[derive(Clone, Debug, Default)]
pub struct EmbeddingMatrix {
    /// Whose they are, row by row.
    pub ids: Vec<EmbeddingId>,
    /// Row after row.
    pub numbers: Vec<f32>,
    /// The length of a row; 0 without rows.
    pub dimension: usize,
}

impl EmbeddingMatrix {
    /// Reads the vectors of a model in the given experiments, run by run, one embedding in `one_in`.
    ///
    /// Which one of `one_in` that follow each other is drawn, the same each time: a fixed step would fall in with the
    /// cycles of runs, and see one state of many.
    ///
    /// # Errors
    ///
    /// [`ClusteringError::Dimension`], or whatever the store says.
    pub fn read(
        store: &Store,
        model: &ModelName,
        experiments: &[ExperimentId],
        one_in: usize,
    ) -> Result<Self, ClusteringError> {
        let one_in = one_in.max(1) as u64;
        let mut matrix = Self::default();
        let mut seen = 0u64;
        for &experiment in experiments {
            for run in store.runs(experiment)? {
                for stored in store.trajectory(run.id, model)? {
                    let (group, place) = (seen / one_in, seen % one_in);
                    seen += 1;
                    if mixed(group) % one_in == place {
                        matrix.push(model, stored.id, stored.vector.numbers())?;
                    }
                }
            }
        }
        Ok(matrix)
    }

    fn push(&mut self, model: &ModelName, id: EmbeddingId, numbers: &[f32]) -> Result<(), ClusteringError> {
        if self.ids.is_empty() {
            self.dimension = numbers.len();
        } else if numbers.len() != self.dimension {
            let (got, expected) = (numbers.len(), self.dimension);
            return Err(ClusteringError::Dimension { model: model.clone(), embedding: id.short(), got, expected });
        }
        self.ids.push(id);
        self.numbers.extend_from_slice(numbers);
        Ok(())
    }
}

/// Spreads the bits of a number (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut x = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// What to compute.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Algorithm {
    /// Exact HDBSCAN.
    Hdbscan,
    /// HDBSCAN at several resolutions of one tree.
    Layers,
    /// OPTICS.
    Optics(OpticsCut),
}

/// How clusters are cut from an ordering.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OpticsCut {
    /// Where reachability falls and rises by this share.
    Steepness(f64),
    /// At this distance.
    Distance(f64),
}

impl Algorithm {
    /// Returns the name in the store.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hdbscan => "hdbscan",
            Self::Layers => "layers",
            Self::Optics(_) => "optics",
        }
    }
}

/// A clustering to be made.
#[derive(Clone, Debug)]
pub struct ClusteringRequest {
    /// What to compute.
    pub algorithm: Algorithm,
    /// With which parameters.
    pub parameters: HdbscanParameters,
    /// Where they come from, for the record.
    pub preset: String,
    /// One embedding in so many was taken; at least 1.
    pub one_in: usize,
    /// Threads and memory; they change no result.
    pub resources: Resources,
}

/// What was computed.
#[derive(Clone, Debug)]
pub struct Computed {
    /// One clustering, or one for each layer, finest first.
    pub results: Vec<ClusteringResult>,
    /// How many vectors are distinct.
    pub distinct: usize,
    /// How many times the vector that is repeated most is there.
    pub copies_max: usize,
}

/// Labels of a clustering, whatever made it.
struct Labels {
    labels: Vec<Option<usize>>,
    medoids: Vec<usize>,
    probabilities: Option<Vec<f64>>,
    persistence: Vec<f64>,
    min_cluster_size: usize,
}

/// Computes the clusterings that a request asks for; nothing is stored.
///
/// # Errors
///
/// [`ClusteringError::Cluster`] or [`ClusteringError::Entropy`].
pub fn compute_clusterings(
    model: &ModelName,
    matrix: &EmbeddingMatrix,
    request: &ClusteringRequest,
    (clock, entropy): (&dyn Clock, &dyn Entropy),
    watcher: Option<&mut Watcher<'_>>,
) -> Result<Computed, ClusteringError> {
    let started_at = clock.now();
    let failed = |source| ClusteringError::Cluster { model: model.clone(), source };
    let vectors = Vectors::new(&matrix.numbers, matrix.ids.len(), matrix.dimension).map_err(failed)?;
    let (tree, layers) = cut(&vectors, request, watcher).map_err(failed)?;
    let baseline = distance_baseline(&tree.core_distances());
    let completed_at = clock.now().max(started_at);
    let result = |(layer, labels): (usize, &Labels)| -> Result<ClusteringResult, ClusteringError> {
        let persistence: serde_json::Map<String, Value> = (labels.medoids.iter().zip(&labels.persistence))
            .map(|(&medoid, &persistence)| (matrix.ids[medoid].to_string(), json!(persistence)))
            .collect();
        let mut parameters = parameters_json(request, labels.min_cluster_size);
        parameters["measured"] = json!({
            "distinct": tree.distinct_row_count(),
            "noise_by_distance": baseline.map(|baseline| baseline.noise_share),
            "noise_by_distance_above": baseline.map(|baseline| baseline.threshold),
            "persistence": persistence,
        });
        let parameters = canonical_json(&parameters).map_err(|error| StoreError::Invalid {
            object: "clustering parameters".to_owned(),
            defect: error.to_string(),
        })?;
        let member = |(row, label): (usize, &Option<usize>)| {
            Ok(EmbeddingCluster {
                id: EmbeddingClusterId::new(completed_at, entropy).map_err(ClusteringError::Entropy)?,
                embedding_id: matrix.ids[row],
                medoid_embedding_id: label.map(|cluster| matrix.ids[labels.medoids[cluster]]),
                probability: labels.probabilities.as_ref().map(|probabilities| probabilities[row]),
            })
        };
        Ok(ClusteringResult {
            id: ClusteringResultId::new(completed_at, entropy).map_err(ClusteringError::Entropy)?,
            embedding_model: model.clone(),
            algorithm: request.algorithm.name().to_owned(),
            parameters,
            layer: layer as u64,
            created_at: completed_at,
            started_at,
            completed_at: Some(completed_at),
            members: labels.labels.iter().enumerate().map(member).collect::<Result<_, ClusteringError>>()?,
        })
    };
    Ok(Computed {
        results: layers.iter().enumerate().map(result).collect::<Result<_, _>>()?,
        distinct: tree.distinct_row_count(),
        copies_max: tree.copies_max(),
    })
}

fn cut<'a>(
    vectors: &Vectors<'a>,
    request: &ClusteringRequest,
    mut watcher: Option<&mut Watcher<'_>>,
) -> Result<(DensityTree<'a>, Vec<Labels>), ClusterError> {
    let (parameters, resources) = (&request.parameters, &request.resources);
    let tree = DensityTree::new(vectors, parameters.min_samples(), resources, watcher.as_deref_mut())?;
    let of_clustering = |min_cluster_size, clustering: loopscope_analysis::cluster::Clustering| Labels {
        labels: clustering.labels,
        medoids: clustering.medoids,
        probabilities: Some(clustering.probabilities),
        persistence: clustering.persistence,
        min_cluster_size,
    };
    let size = parameters.min_cluster_size();
    let cuts = match request.algorithm {
        Algorithm::Hdbscan => vec![of_clustering(size, tree.cut(parameters, resources, watcher)?)],
        Algorithm::Layers => layers(&tree, parameters, resources, watcher)?
            .into_iter()
            .map(|layer| of_clustering(layer.min_cluster_size, layer.clustering))
            .collect(),
        Algorithm::Optics(cut) => {
            let order = optics(&tree, watcher.as_deref_mut())?;
            let clusters = match cut {
                OpticsCut::Steepness(xi) => order.at_steepness(vectors, xi, size, resources, watcher)?,
                OpticsCut::Distance(epsilon) => order.at_distance(vectors, epsilon, resources, watcher)?,
            };
            vec![Labels {
                labels: clusters.labels,
                medoids: clusters.medoids,
                probabilities: None,
                persistence: vec![],
                min_cluster_size: size,
            }]
        }
    };
    Ok((tree, cuts))
}

fn parameters_json(request: &ClusteringRequest, min_cluster_size: usize) -> Value {
    let parameters = &request.parameters;
    let mut value = json!({
        "downsample": request.one_in,
        "min_cluster_size": min_cluster_size,
        "min_samples": parameters.min_samples(),
        "preset": request.preset,
    });
    match request.algorithm {
        Algorithm::Optics(OpticsCut::Steepness(xi)) => value["xi"] = json!(xi),
        Algorithm::Optics(OpticsCut::Distance(epsilon)) => value["epsilon"] = json!(epsilon),
        Algorithm::Hdbscan | Algorithm::Layers => {
            value["allow_single_cluster"] = json!(parameters.allow_single_cluster());
            value["duplicates"] = json!(if parameters.duplicates() == Duplicates::Merge { "merge" } else { "keep" });
            value["epsilon"] = json!(parameters.epsilon());
            value["method"] = json!(if parameters.method() == SelectionMethod::ExcessOfMass { "eom" } else { "leaf" });
        }
    }
    value
}

/// Says which versions made the embeddings of a model, where several did: their vectors do not compare.
///
/// # Errors
///
/// [`StoreError`].
pub fn mixed_versions(
    store: &Store,
    model: &ModelName,
    experiments: &[ExperimentId],
) -> Result<Option<String>, StoreError> {
    let spaces = count_spaces(store, model, experiments)?;
    Ok((spaces.len() > 1).then(|| told_counts(&spaces)))
}

/// Records that the embeddings of a model were not clustered, in each experiment that has some, and says in how many.
///
/// A clustering that somebody stopped has not failed, and of a store that fails nothing can be recorded.
///
/// # Errors
///
/// [`ClusteringError::Store`] or [`ClusteringError::Entropy`]; then nothing is recorded.
pub fn record_failure(
    store: &mut Store,
    model: &ModelName,
    experiments: &[ExperimentId],
    error: &ClusteringError,
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<usize, ClusteringError> {
    let is_of_the_work = match error {
        ClusteringError::Cluster { source, .. } => *source != ClusterError::Cancelled,
        ClusteringError::Dimension { .. } | ClusteringError::Store(StoreError::Vector { .. }) => true,
        ClusteringError::Store(_) | ClusteringError::Entropy(_) => false,
    };
    if !is_of_the_work {
        return Ok(0);
    }
    let occurred_at = clock.now();
    let mut failures = Vec::new();
    for &experiment_id in experiments {
        if store.embedded_models(&[experiment_id])?.contains(model) {
            failures.push(Write::Failure(Box::new(Failure {
                id: FailureId::new(occurred_at, entropy).map_err(ClusteringError::Entropy)?,
                experiment_id,
                run_id: None,
                stage: FailureStage::Clustering,
                subject: model.to_string(),
                attempt: 1,
                error: with_causes(error),
                occurred_at,
            })));
        }
    }
    store.commit(&failures)?;
    Ok(failures.len())
}

/// Clusters the embeddings of each embedding model of an experiment by HDBSCAN, and stores each clustering in one
/// transaction. Returns how many there are; a model without embeddings has none.
///
/// `choose` gives the parameters for a number of embeddings, and `preset` is their name for the record.
///
/// # Errors
///
/// [`ClusteringError`]; the clusterings stored before stay, each whole, and what failed is recorded.
pub fn cluster_experiment(
    store: &mut Store,
    id: ExperimentId,
    (preset, choose): (&str, fn(usize) -> HdbscanParameters),
    (clock, entropy): (&dyn Clock, &dyn Entropy),
) -> Result<usize, ClusteringError> {
    let experiment = store.experiment(id)?;
    let mut count = 0;
    for model in &experiment.config.embedding_models {
        match cluster_model(store, id, model, (preset, choose), (clock, entropy)) {
            Ok(is_made) => count += usize::from(is_made),
            Err(error) => {
                record_failure(store, model, &[id], &error, (clock, entropy))?;
                return Err(error);
            }
        }
    }
    Ok(count)
}

fn cluster_model(
    store: &mut Store,
    id: ExperimentId,
    model: &ModelName,
    (preset, choose): (&str, fn(usize) -> HdbscanParameters),
    chance: (&dyn Clock, &dyn Entropy),
) -> Result<bool, ClusteringError> {
    let matrix = EmbeddingMatrix::read(store, model, &[id], 1)?;
    if matrix.ids.is_empty() {
        return Ok(false);
    }
    let request = ClusteringRequest {
        algorithm: Algorithm::Hdbscan,
        parameters: choose(matrix.ids.len()),
        preset: preset.to_owned(),
        one_in: 1,
        resources: Resources::default(),
    };
    let computed = compute_clusterings(model, &matrix, &request, chance, None)?;
    store.create_clusterings(&computed.results)?;
    Ok(true)
}
