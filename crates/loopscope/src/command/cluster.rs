//! `cluster run|list|show|delete|reset`.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use loopscope_core::backend::nearest_name;
use loopscope_core::clustering::{
    Algorithm, ClusteringError, ClusteringRequest, EmbeddingMatrix, OpticsCut, compute_clusterings, mixed_versions,
    record_failure,
};
use loopscope_core::experiment::{Clock, ClusteringResultId, Entropy, ExperimentId, ModelName, OsEntropy, SystemClock};
use loopscope_core::store::{ClusterRow, ClusteringRow, Store, StoredOutput};
use serde_json::{Value, json};

use super::clustering::{AlgorithmName, ClusterParameters, Watch, XI, warn_of_copies};
use crate::args::Global;
use crate::failure::{Exit, UsageError, tell};
use crate::report::{Table, Talk, bytes, confirm, count, one_line, print, print_json};

/// Clusters of embeddings.
#[derive(Debug, Subcommand)]
pub(crate) enum ClusterCommand {
    /// Cluster the embeddings of a model, and store the clusters
    Run(RunArgs),
    /// List clusterings, newest first
    List,
    /// Show a clustering: its clusters, largest first, each by the output in its middle
    Show {
        /// An id, the beginning or end of one, or `latest`
        #[arg(default_value = "latest")]
        clustering: String,
        /// Write the pictures in the middle of clusters into a directory, as stored
        #[arg(long, value_name = "DIR")]
        images: Option<PathBuf>,
        /// Show at most this many clusters
        #[arg(long, value_name = "N", default_value_t = 20)]
        limit: usize,
    },
    /// Delete a clustering; what was clustered stays
    Delete {
        /// An id, the beginning or end of one, or `latest`
        clustering: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Delete all clusterings, or those of one model
    Reset {
        /// An embedding model
        #[arg(default_value = "all")]
        model: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// An embedding model, or `all`: each by itself
    #[arg(default_value = "all")]
    model: String,
    /// Only the embeddings of this experiment; may be repeated [default: of all]
    #[arg(long = "experiment", value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// Take one embedding in N, drawn the same each time
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    downsample: u32,
    #[command(flatten)]
    parameters: ClusterParameters,
}

pub(super) fn execute(command: ClusterCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ClusterCommand::Run(arguments) => run(&arguments, global, talk),
        ClusterCommand::List => list(global),
        ClusterCommand::Show { clustering, images, limit } => show(&clustering, images.as_deref(), limit, global),
        ClusterCommand::Delete { clustering, yes } => {
            let store = Store::open_existing(&global.db, &global.open_options())?;
            let id = store.find_clustering(&clustering)?;
            delete(store, &[id], yes, global, talk)
        }
        ClusterCommand::Reset { model, yes } => {
            let store = Store::open_existing(&global.db, &global.open_options())?;
            let rows = store.all_clusterings()?;
            check_model(&store, &rows, &model)?;
            let is_meant = |row: &&ClusteringRow| model == "all" || row.embedding_model.as_str() == model;
            let ids: Vec<_> = rows.iter().filter(is_meant).map(|row| row.id).collect();
            delete(store, &ids, yes, global, talk)
        }
    }
}

/// Refuses a model that has neither clusterings nor embeddings: a name mistyped must not pass for nothing to delete.
fn check_model(store: &Store, rows: &[ClusteringRow], typed: &str) -> anyhow::Result<()> {
    let experiments: Vec<ExperimentId> = store.experiments()?.iter().map(|experiment| experiment.id).collect();
    let mut there = store.embedded_models(&experiments)?;
    there.extend(rows.iter().map(|row| row.embedding_model.clone()));
    there.sort();
    there.dedup();
    if typed == "all" || there.iter().any(|model| model.as_str() == typed) {
        Ok(())
    } else {
        bail!(unknown(typed, &there))
    }
}

/// No embeddings are of this model; names the one spelt most alike, and all there are.
fn unknown(typed: &str, there: &[ModelName]) -> UsageError {
    if there.is_empty() {
        let message = "there are no embeddings to cluster".to_owned();
        return UsageError { message, hint: Some("run an experiment first".to_owned()) };
    }
    let names: Vec<&str> = there.iter().map(ModelName::as_str).collect();
    let nearest = nearest_name(typed, names.iter().copied());
    let guess = nearest.map_or_else(String::new, |name| format!("; did you mean \"{name}\"?"));
    let message = format!("no embeddings are of model \"{typed}\"{guess}");
    UsageError { message, hint: Some(format!("there are some of {}", names.join(", "))) }
}

fn run(arguments: &RunArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let mut store = Store::open_existing(&global.db, &global.open_options())?;
    let experiments: Vec<ExperimentId> = if arguments.experiments.is_empty() {
        store.experiments()?.iter().map(|experiment| experiment.id).collect()
    } else {
        arguments.experiments.iter().map(|typed| store.find_experiment(typed)).collect::<Result<_, _>>()?
    };
    // A number that means nothing fails no embedder: it is refused before any work.
    arguments.parameters.hdbscan(0)?;
    let models = models(&store, &arguments.model, &experiments)?;
    let (mut made, mut failed) = (Vec::new(), Vec::new());
    for model in &models {
        match run_model(&mut store, model, &experiments, arguments, talk) {
            Ok(ids) => made.extend(ids),
            Err(error) => {
                let Some(of_the_work) = error.downcast_ref::<ClusteringError>() else { return Err(error) };
                let clock_and_chance: (&dyn Clock, &dyn Entropy) = (&SystemClock, &OsEntropy);
                // Of what is not of the work, such as a store that fails or somebody who stops it, nothing goes on.
                if record_failure(&mut store, model, &experiments, of_the_work, clock_and_chance)? == 0 {
                    return Err(error);
                }
                failed.push(error);
            }
        }
    }
    store.checkpoint()?;
    // With nothing to show, the last error is the answer.
    let last = if made.is_empty() { failed.pop() } else { None };
    failed.iter().for_each(|error| {
        tell(error, global, talk);
    });
    if let Some(last) = last {
        return Err(last);
    }
    let rows: Vec<ClusteringRow> = store.all_clusterings()?.into_iter().filter(|row| made.contains(&row.id)).collect();
    if global.json {
        print_json(&rows.iter().map(row_json).collect::<Vec<_>>())?;
    } else {
        print_rows(&rows)?;
        print(&format!("\n`{}` shows one", global.command("cluster show latest")))?;
    }
    Ok(if failed.is_empty() { Exit::Ok } else { Exit::SomeFailed })
}

fn models(store: &Store, typed: &str, experiments: &[ExperimentId]) -> anyhow::Result<Vec<ModelName>> {
    let there = store.embedded_models(experiments)?;
    if typed == "all" && !there.is_empty() {
        return Ok(there);
    }
    if let Some(model) = there.iter().find(|model| model.as_str() == typed) {
        return Ok(vec![model.clone()]);
    }
    bail!(unknown(typed, &there))
}

fn run_model(
    store: &mut Store,
    model: &ModelName,
    experiments: &[ExperimentId],
    arguments: &RunArgs,
    talk: &Talk,
) -> anyhow::Result<Vec<ClusteringResultId>> {
    let matrix = EmbeddingMatrix::read(store, model, experiments, arguments.downsample as usize)?;
    if let Some(versions) = mixed_versions(store, model, experiments)? {
        talk.say_anyway(&format!(
            "warning: the embeddings of {model} are of several versions ({versions}), whose vectors do not compare: \
             clusters may tell versions apart"
        ));
    }
    let given = &arguments.parameters;
    let (parameters, preset) = given.hdbscan(matrix.ids.len())?;
    let algorithm = match given.algorithm {
        AlgorithmName::Hdbscan => Algorithm::Hdbscan,
        AlgorithmName::Layers => Algorithm::Layers,
        AlgorithmName::Optics => Algorithm::Optics(match given.epsilon {
            Some(epsilon) => OpticsCut::Distance(epsilon),
            None => OpticsCut::Steepness(given.xi.unwrap_or(XI)),
        }),
    };
    let resources = given.resources();
    let needed = resources
        .memory_bytes(matrix.ids.len(), matrix.dimension, parameters.min_samples())
        .map_err(|source| ClusteringError::Cluster { model: model.clone(), source })?;
    talk.detail(&format!(
        "{model}: {} embeddings of {} numbers, about {} of memory beside them",
        count(matrix.ids.len() as u64),
        matrix.dimension,
        bytes(needed)
    ));
    let one_in = arguments.downsample as usize;
    let request = ClusteringRequest { algorithm, parameters, preset: preset.to_owned(), one_in, resources };
    let mut watch = Watch::new(talk);
    let mut see = |stage, share| watch.see(stage, share);
    let computed = compute_clusterings(model, &matrix, &request, (&SystemClock, &OsEntropy), Some(&mut see))?;
    watch.finish();
    warn_of_copies(talk, &parameters, computed.copies_max);
    store.create_clusterings(&computed.results)?;
    Ok(computed.results.iter().map(|result| result.id).collect())
}

fn list(global: &Global) -> anyhow::Result<Exit> {
    let rows = Store::open_read(&global.db, &global.open_options())?.all_clusterings()?;
    if global.json {
        print_json(&rows.iter().map(row_json).collect::<Vec<_>>())?;
    } else if rows.is_empty() {
        print(&format!("there are no clusterings; `{}` makes one", global.command("cluster run")))?;
    } else {
        print_rows(&rows)?;
    }
    Ok(Exit::Ok)
}

fn row_json(row: &ClusteringRow) -> Value {
    json!({
        "id": row.id, "embedding_model": row.embedding_model, "algorithm": row.algorithm, "layer": row.layer,
        "parameters": row.parameters, "created_at": row.created_at, "started_at": row.started_at,
        "completed_at": row.completed_at, "members": row.members, "clusters": row.clusters, "outliers": row.outliers,
        "noise": row.outliers as f64 / row.members.max(1) as f64,
    })
}

fn share(part: u64, whole: u64) -> String {
    format!("{:.1} %", 100.0 * part as f64 / whole.max(1) as f64)
}

/// The noise that a threshold on distances alone would find, as measured when the clustering was made.
fn noise_by_distance(row: &ClusteringRow) -> String {
    let measured = row.parameters["measured"]["noise_by_distance"].as_f64();
    measured.map_or_else(|| "–".to_owned(), |share| format!("{:.1} %", 100.0 * share))
}

fn print_rows(rows: &[ClusteringRow]) -> std::io::Result<()> {
    let headings =
        ["id", "model", "algorithm", ">layer", ">embeddings", ">clusters", ">noise", ">by distance", "created"];
    let mut table = Table::new(&headings);
    for row in rows {
        table.row(vec![
            row.id.short(),
            one_line(row.embedding_model.as_str(), 30),
            row.algorithm.clone(),
            row.layer.to_string(),
            count(row.members),
            count(row.clusters),
            share(row.outliers, row.members),
            noise_by_distance(row),
            row.created_at.to_string()[..16].replace('T', " "),
        ]);
    }
    table.print()
}

fn show(typed: &str, images: Option<&Path>, limit: usize, global: &Global) -> anyhow::Result<Exit> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    let id = store.find_clustering(typed)?;
    let rows = store.all_clusterings()?;
    let Some(row) = rows.iter().find(|row| row.id == id) else { bail!("clustering {typed} has just been deleted") };
    let clusters = store.clusters(id)?;
    let experiments = store.experiments_of_clustering(id)?;
    if let Some(folder) = images {
        std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    }
    let shown = if global.json { clusters.len() } else { limit };
    let mut medoids = Vec::new();
    for (number, cluster) in clusters.iter().take(shown).enumerate() {
        medoids.push(medoid(&store, number, cluster, images)?);
    }
    let persistence =
        |cluster: &ClusterRow| row.parameters["measured"]["persistence"][cluster.medoid.to_string()].as_f64();
    if global.json {
        let mut value = row_json(row);
        value["experiments"] = experiments.iter().map(|(id, name)| json!({ "id": id, "name": name })).collect();
        let cluster = |(cluster, medoid): (&ClusterRow, &String)| {
            let mut value = serde_json::to_value(cluster)?;
            value["persistence"] = json!(persistence(cluster));
            value["output"] = json!(medoid);
            Ok(value)
        };
        let clusters: Vec<Value> =
            clusters.iter().zip(&medoids).map(cluster).collect::<Result<_, serde_json::Error>>()?;
        value["clusters_by_size"] = json!(clusters);
        print_json(&value)?;
        return Ok(Exit::Ok);
    }
    let names: Vec<&str> = experiments.iter().map(|(_, name)| name.as_str()).collect();
    print(&format!("clustering {} ({id})", id.short()))?;
    print(&format!("  model        {}", row.embedding_model))?;
    print(&format!("  experiments  {}", one_line(&names.join(", "), 100)))?;
    print(&format!("  algorithm    {}, layer {}", row.algorithm, row.layer))?;
    let mut parameters = row.parameters.clone();
    if let Some(parameters) = parameters.as_object_mut() {
        parameters.remove("measured");
    }
    print(&format!("  parameters   {parameters}"))?;
    print(&format!(
        "  noise        {} of {} ({}); by the distance to the k-th neighbour alone {}\n",
        count(row.outliers),
        count(row.members),
        share(row.outliers, row.members),
        noise_by_distance(row)
    ))?;
    let mut table = Table::new(&[">", ">embeddings", ">runs", ">probability", ">persistence", "in its middle"]);
    let number_or_dash = |number: Option<f64>| number.map_or_else(|| "–".to_owned(), |number| format!("{number:.2}"));
    for (number, (cluster, medoid)) in clusters.iter().zip(&medoids).enumerate() {
        table.row(vec![
            (number + 1).to_string(),
            count(cluster.members),
            count(cluster.runs),
            number_or_dash(cluster.mean_probability),
            number_or_dash(persistence(cluster)),
            one_line(medoid, 70),
        ]);
    }
    if medoids.is_empty() {
        print("no clusters")?;
    } else {
        table.print()?;
    }
    match clusters.len().saturating_sub(medoids.len()) {
        0 => {}
        more => print(&format!("… and {} smaller ones (--limit, --json)", count(more as u64)))?,
    }
    Ok(Exit::Ok)
}

/// What is in the middle of a cluster: its text, or its picture's name; the picture is written where that is asked for.
fn medoid(store: &Store, number: usize, cluster: &ClusterRow, images: Option<&Path>) -> anyhow::Result<String> {
    let id = cluster.medoid_invocation;
    let Some(hash) = store.picture_of(id)? else {
        return Ok(match store.output(id)? {
            StoredOutput::Text(text) => text,
            StoredOutput::Image(_) => "[picture]".to_owned(),
        });
    };
    let Some(folder) = images else { return Ok(format!("[picture {}]", &hash.to_string()[..8])) };
    let (format, bytes) = store.image_bytes(hash)?;
    let path = folder.join(format!("cluster_{:03}.{format}", number + 1));
    std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
    Ok(path.display().to_string())
}

fn delete(
    mut store: Store,
    ids: &[ClusteringResultId],
    yes: bool,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    if !yes && !ids.is_empty() {
        if !std::io::stdin().is_terminal() {
            let message = format!("deleting {} needs a yes, and nobody is there to ask", clusterings(ids.len()));
            bail!(UsageError { message, hint: Some("say it with --yes".to_owned()) });
        }
        if !confirm(&format!("Delete {}? What was clustered stays.", clusterings(ids.len())))? {
            talk.say("nothing was deleted");
            return Ok(Exit::Ok);
        }
    }
    let deleted = store.delete_clusterings(ids)?;
    store.checkpoint()?;
    if global.json {
        print_json(&json!({ "deleted": ids }))?;
    } else {
        print(&format!("deleted {}", clusterings(deleted)))?;
    }
    Ok(Exit::Ok)
}

/// `1 clustering`, `2 clusterings`.
fn clusterings(how_many: usize) -> String {
    format!("{} clustering{}", count(how_many as u64), if how_many == 1 { "" } else { "s" })
}
