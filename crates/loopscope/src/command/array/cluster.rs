//! `array cluster`: clusters of the rows of a file, without a database.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, bail};
use clap::Args;
use loopscope_core::cluster::{
    Assignment, Clustering, DensityTree, DistanceBaseline, Layer, Vectors, assign, distance_baseline, layers, optics,
};
use loopscope_core::codec::{NpyArray, NpyValues};
use serde_json::{Value, json};

use super::input::{floats, matrix_shape, read_array};
use crate::args::Global;
use crate::command::clustering::{AlgorithmName, ClusterParameters, Watch, XI, usage, warn_of_copies};
use crate::failure::{Exit, UsageError};
use crate::memory;
use crate::report::{Table, Talk, bytes, count, print, print_json_line};

#[derive(Debug, Args)]
pub(crate) struct ArrayClusterArgs {
    /// Points of shape (n, d), float32 or float64
    file: PathBuf,
    #[command(flatten)]
    parameters: ClusterParameters,
    /// More points, to be assigned to the clusters of FILE, which stay as they are
    #[arg(long, value_name = "NEW.npy")]
    assign: Option<PathBuf>,
}

/// Points in one matrix.
struct Matrix {
    numbers: Vec<f32>,
    rows: usize,
    columns: usize,
}

impl Matrix {
    fn read(path: &std::path::Path) -> anyhow::Result<Self> {
        let array = read_array(path)?;
        let (rows, columns) = matrix_shape(&array).with_context(|| format!("{} holds no points", path.display()))?;
        Ok(Self { numbers: into_floats(array)?, rows, columns })
    }

    fn vectors(&self) -> anyhow::Result<Vectors<'_>> {
        Ok(Vectors::new(&self.numbers, self.rows, self.columns)?)
    }
}

/// Returns the numbers as float32, without a copy where that is what they are; a float64 is rounded.
fn into_floats(array: NpyArray) -> anyhow::Result<Vec<f32>> {
    match array.values {
        NpyValues::F32(numbers) => Ok(numbers),
        _ => floats(&array),
    }
}

pub(super) fn cluster(arguments: &ArrayClusterArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let matrix = Matrix::read(&arguments.file)?;
    let read = began.elapsed().as_secs_f64();
    let what = || format!("the clusters of {}", arguments.file.display());
    let vectors = matrix.vectors().with_context(what)?;
    let given = &arguments.parameters;
    let (parameters, _) = given.hdbscan(matrix.rows)?;
    let resources = given.resources();
    let needed = resources.memory_bytes(matrix.rows, matrix.columns, parameters.min_samples()).with_context(what)?;
    talk.detail(&format!("about {} of memory beside the vectors", bytes(needed)));
    let new = arguments.assign.as_ref().map(|path| Matrix::read(path)).transpose()?;
    if new.is_some() && given.algorithm != AlgorithmName::Hdbscan {
        let message = "--assign needs the clusters of one HDBSCAN".to_owned();
        bail!(UsageError { message, hint: Some("leave out --algorithm".to_owned()) });
    }
    let mut watch = Watch::new(talk);
    let mut see = |stage, share| watch.see(stage, share);
    let tree = DensityTree::new(&vectors, parameters.min_samples(), &resources, Some(&mut see)).with_context(what)?;
    warn_of_copies(talk, &parameters, tree.copies_max());
    let mut found = Found { baseline: distance_baseline(&tree.core_distances()), ..Found::default() };
    match given.algorithm {
        AlgorithmName::Hdbscan => found.clustering = Some(tree.cut(&parameters, &resources, Some(&mut see))?),
        AlgorithmName::Layers => found.layers = layers(&tree, &parameters, &resources, Some(&mut see))?,
        AlgorithmName::Optics => {
            let order = optics(&tree, Some(&mut see))?;
            let clusters = match given.epsilon {
                Some(epsilon) => order.at_distance(&vectors, epsilon, &resources, Some(&mut see)),
                None => {
                    let (xi, size) = (given.xi.unwrap_or(XI), parameters.min_cluster_size());
                    order.at_steepness(&vectors, xi, size, &resources, Some(&mut see))
                }
            };
            found.optics = Some((order, clusters.map_err(usage)?));
        }
    }
    if let Some(new) = &new {
        let new = new.vectors().context("the points to assign")?;
        found.assigned = Some(assign(&tree, &parameters, &new, &resources, Some(&mut see))?);
    }
    watch.finish();
    let seconds = began.elapsed().as_secs_f64();
    if global.json {
        let mut value = found.json();
        value["n"] = json!(matrix.rows);
        value["distinct"] = json!(tree.distinct_row_count());
        value["seconds"] = json!({ "reading": read, "clustering": seconds - read });
        value["peak_bytes"] = json!(memory::peak());
        print_json_line(&value)?;
    } else {
        print(&format!(
            "{} rows, {} of them distinct",
            count(matrix.rows as u64),
            count(tree.distinct_row_count() as u64)
        ))?;
        found.print()?;
        let memory = memory::peak().map_or_else(String::new, |peak| format!("; {} at most in memory", bytes(peak)));
        print(&format!("reading {read:.3} s, clustering {:.3} s{memory}", seconds - read))?;
    }
    Ok(Exit::Ok)
}

/// What there is to print.
#[derive(Default)]
struct Found {
    clustering: Option<Clustering>,
    layers: Vec<Layer>,
    optics: Option<(loopscope_core::cluster::Optics, loopscope_core::cluster::OpticsClusters)>,
    assigned: Option<Assignment>,
    baseline: Option<DistanceBaseline>,
}

impl Found {
    fn json(&self) -> Value {
        let mut value = match (&self.clustering, &self.optics) {
            (Some(clustering), _) => clustering_json(clustering),
            (None, Some((order, clusters))) => json!({
                "labels": labels_json(&clusters.labels), "medoids": clusters.medoids, "ordering": order.ordering,
                // JSON has no infinity: what is reached from nowhere has null.
                "reachability": order.reachability.iter().map(|&x| finite(x)).collect::<Vec<_>>(),
                "predecessors": order.predecessors,
                "core_distances": order.core_distances.iter().map(|&x| finite(x)).collect::<Vec<_>>(),
            }),
            (None, None) => {
                let layer = |layer: &Layer| {
                    let mut value = clustering_json(&layer.clustering);
                    value["min_cluster_size"] = json!(layer.min_cluster_size);
                    value
                };
                json!({ "layers": self.layers.iter().map(layer).collect::<Vec<_>>() })
            }
        };
        if let Some(assigned) = &self.assigned {
            value["assigned"] =
                json!({ "labels": labels_json(&assigned.labels), "probabilities": assigned.probabilities });
        }
        value["noise_by_distance"] = json!(self.baseline.map(|baseline| baseline.noise_share));
        value
    }

    fn print(&self) -> std::io::Result<()> {
        if let Some(clustering) = &self.clustering {
            print_clusters(&clustering.labels, &clustering.medoids, &clustering.persistence)?;
            print(&format!("tree weight {}", clustering.tree_weight))?;
        }
        for (number, layer) in self.layers.iter().enumerate() {
            let Layer { min_cluster_size, clustering, .. } = layer;
            print(&format!("\nlayer {number}: clusters of {min_cluster_size} rows or more"))?;
            print_clusters(&clustering.labels, &clustering.medoids, &clustering.persistence)?;
        }
        if let Some((_, clusters)) = &self.optics {
            print_clusters(&clusters.labels, &clusters.medoids, &[])?;
        }
        if let Some(baseline) = &self.baseline {
            print(&format!(
                "{:.1} % would be noise by the distance to their k-th neighbour alone (above {:.4})",
                100.0 * baseline.noise_share,
                baseline.threshold
            ))?;
        }
        if let Some(assigned) = &self.assigned {
            let noise = assigned.labels.iter().filter(|label| label.is_none()).count();
            print(&format!(
                "assigned {} new rows, {} of them as noise",
                count(assigned.labels.len() as u64),
                count(noise as u64)
            ))?;
        }
        Ok(())
    }
}

fn finite(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

/// As scikit-learn writes them: -1 is noise.
fn labels_json(labels: &[Option<usize>]) -> Value {
    labels.iter().map(|label| label.map_or(json!(-1), |label| json!(label))).collect()
}

fn clustering_json(clustering: &Clustering) -> Value {
    let noise = clustering.labels.iter().filter(|label| label.is_none()).count();
    json!({
        "labels": labels_json(&clustering.labels), "probabilities": clustering.probabilities,
        "medoids": clustering.medoids, "persistence": clustering.persistence,
        "noise": noise as f64 / clustering.labels.len().max(1) as f64,
        "tree_weight": finite(clustering.tree_weight),
    })
}

/// Clusters shown in a table, at most.
const SHOWN: usize = 20;

fn print_clusters(labels: &[Option<usize>], medoids: &[usize], persistence: &[f64]) -> std::io::Result<()> {
    let mut sizes = vec![0u64; medoids.len()];
    labels.iter().flatten().for_each(|&label| sizes[label] += 1);
    let noise = labels.iter().filter(|label| label.is_none()).count();
    print(&format!(
        "{} clusters; {} rows are noise ({:.1} %)",
        count(medoids.len() as u64),
        count(noise as u64),
        100.0 * noise as f64 / labels.len().max(1) as f64
    ))?;
    let mut order: Vec<usize> = (0..medoids.len()).collect();
    order.sort_by_key(|&cluster| std::cmp::Reverse(sizes[cluster]));
    let mut table = Table::new(&[">cluster", ">rows", ">medoid", ">persistence"]);
    for &cluster in order.iter().take(SHOWN) {
        let persistence = persistence.get(cluster).map_or_else(String::new, |persistence| format!("{persistence:.3}"));
        table.row(vec![cluster.to_string(), count(sizes[cluster]), medoids[cluster].to_string(), persistence]);
    }
    if !order.is_empty() {
        table.print()?;
    }
    match order.len().saturating_sub(SHOWN) {
        0 => Ok(()),
        more => print(&format!("… and {} smaller ones; --json has all", count(more as u64))),
    }
}
