//! `array topology`: the persistent homology of points or distances in a file.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use loopscope_core::codec::{
    Bar, Diagram, NpyArray, Scalar, SparseMatrix, encode_diagram, generator_arrays, is_npz, read_npy, read_sparse_npz,
};
use loopscope_core::experiment::parse_size;
use ripsaw::{
    Collapse, CondensedDistances, Generator, GeneratorOptions, Metric, Options, Persistence, PointCloud,
    SparseDistances, Stage,
};

use super::input::floats;
use crate::args::Global;
use crate::failure::{Exit, UsageError};
use crate::memory;
use crate::report::{Table, bytes, count, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct TopologyArgs {
    /// Points of shape (n, d), float32 or float64; with --distances a square or condensed matrix, or a sparse one
    file: PathBuf,
    /// FILE holds distances: .npy, or .npz of scipy.sparse.save_npz (COO or CSR), where no entry means no edge
    #[arg(long)]
    distances: bool,
    /// How to measure points
    #[arg(long, value_enum, default_value_t, conflicts_with = "distances")]
    metric: MetricName,
    /// Highest dimension of the diagrams
    #[arg(long, value_name = "N", default_value_t = 2)]
    max_dim: usize,
    /// Longest edge [default: the enclosing radius, beyond which nothing happens]
    #[arg(long, value_name = "X")]
    threshold: Option<f64>,
    /// Whether to take out edges that change no bar
    #[arg(long, value_enum, default_value_t)]
    collapse: CollapseName,
    /// Threads; the diagrams are the same for any number
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: u16,
    /// Stop with an error rather than take more memory, such as 4GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory_limit: Option<u64>,
    /// Say which points make the longest bars of each dimension that die, N of them [without N: 16]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "16")]
    generators: Option<usize>,
    /// Write the diagrams as NumPy .npz, the generators with them
    #[arg(long, value_name = "OUT")]
    npz: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum MetricName {
    #[default]
    Euclidean,
    Cosine,
    Angular,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum CollapseName {
    /// When it pays
    #[default]
    Auto,
    On,
    Off,
}

/// How long each stage took.
#[derive(Default)]
struct Seconds {
    distances: Duration,
    collapse: Duration,
    reduction: Duration,
}

impl Seconds {
    fn of(&mut self, stage: Option<Stage>) -> &mut Duration {
        match stage {
            None | Some(Stage::Distances) => &mut self.distances,
            Some(Stage::Collapse) => &mut self.collapse,
            Some(_) => &mut self.reduction,
        }
    }
}

pub(super) fn topology(arguments: &TopologyArgs, global: &Global) -> anyhow::Result<Exit> {
    let input = read_input(&arguments.file)?;
    let mut options = Options::default()
        .with_max_dimension(arguments.max_dim)
        .with_threads(usize::from(arguments.threads))
        .with_collapse(match arguments.collapse {
            CollapseName::Auto => Collapse::Auto,
            CollapseName::On => Collapse::On,
            CollapseName::Off => Collapse::Off,
        });
    if let Some(threshold) = arguments.threshold {
        options = options.with_threshold(threshold);
    }
    if let Some(limit) = arguments.memory_limit {
        options = options.with_memory_bytes_max(limit);
    }
    let Answer { persistence, generators, seconds } = compute(&input, arguments, &options)
        .with_context(|| format!("the topology of {}", arguments.file.display()))?;
    let entropy = persistence
        .diagrams
        .iter()
        .map(|bars| ripsaw::persistent_entropy(bars))
        .collect::<Result<Vec<f64>, _>>()
        .context("the entropy of the diagrams")?;
    if let Some(out) = &arguments.npz {
        let diagram = stored_diagram(&persistence, &entropy, &generators, arguments);
        std::fs::write(out, encode_diagram(&diagram)?).with_context(|| format!("writing {}", out.display()))?;
    }
    if global.json {
        let mut value = topology_json(&persistence, &entropy, &seconds);
        if arguments.generators.is_some() {
            value["generators"] = generators.iter().map(generator_json).collect();
        }
        print_json(&value)?;
    } else {
        print_topology(&persistence, &entropy, &seconds)?;
        print_generators(&generators)?;
    }
    Ok(Exit::Ok)
}

/// What a file holds.
enum Input {
    Array(NpyArray),
    Sparse(SparseMatrix),
}

/// What is computed of it; no generators unless asked for.
struct Answer {
    persistence: Persistence,
    generators: Vec<Generator>,
    seconds: Seconds,
}

fn compute(input: &Input, arguments: &TopologyArgs, options: &Options) -> anyhow::Result<Answer> {
    let mut seconds = Seconds::default();
    let (mut stage, mut since) = (None, Instant::now());
    let mut watcher = |now: Stage, _: f64| {
        if stage != Some(now) {
            *seconds.of(stage) += since.elapsed();
            (stage, since) = (Some(now), Instant::now());
        }
        ControlFlow::Continue(())
    };
    let wanted = arguments.generators.map(|count| GeneratorOptions::default().with_count_max(count));
    let (persistence, generators) = if let Input::Sparse(matrix) = input {
        if !arguments.distances {
            bail!(UsageError {
                message: "expected points, got a sparse matrix".to_owned(),
                hint: Some("give --distances if these are distances".to_owned()),
            });
        }
        let distances = sparse(matrix)?;
        let persistence = ripsaw::persistence_of_sparse_distances_watched(&distances, options, &mut watcher)?;
        let found = wanted.map(|wanted| ripsaw::generators_of_sparse_distances(&distances, options, &wanted));
        (persistence, found.transpose()?)
    } else if let (Input::Array(array), true) = (input, arguments.distances) {
        let distances = condensed(array, floats(array)?)?;
        let persistence = ripsaw::persistence_of_distances_watched(&distances, options, &mut watcher)?;
        let found = wanted.map(|wanted| ripsaw::generators_of_distances(&distances, options, &wanted));
        (persistence, found.transpose()?)
    } else {
        let Input::Array(array) = input else { bail!("expected points") };
        let numbers = floats(array)?;
        let &[rows, columns] = array.shape.as_slice() else {
            bail!(UsageError {
                message: format!("expected points of shape (n, d), got an array of shape {:?}", array.shape),
                hint: Some("give --distances if these are distances".to_owned()),
            });
        };
        let cloud = PointCloud::new(&numbers, rows, columns)?;
        let metric = match arguments.metric {
            MetricName::Euclidean => Metric::Euclidean,
            MetricName::Cosine => Metric::Cosine,
            MetricName::Angular => Metric::Angular,
        };
        let persistence = ripsaw::persistence_of_points_watched(&cloud, metric, options, &mut watcher)?;
        let found = wanted.map(|wanted| ripsaw::generators_of_points(&cloud, metric, options, &wanted));
        (persistence, found.transpose()?)
    };
    *seconds.of(stage) += since.elapsed();
    Ok(Answer { persistence, generators: generators.unwrap_or_default(), seconds })
}

fn read_input(path: &Path) -> anyhow::Result<Input> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    if is_npz(&bytes) {
        let matrix = read_sparse_npz(&bytes);
        return matrix
            .map(Input::Sparse)
            .with_context(|| format!("{} holds no sparse matrix that this program reads", path.display()));
    }
    let array = read_npy(&bytes).and_then(NpyArray::into_c_order);
    array.map(Input::Array).with_context(|| format!("{} is no NumPy array that this program reads", path.display()))
}

/// Returns the entries of a sparse matrix as float32; both halves may be given, or one.
fn sparse(matrix: &SparseMatrix) -> anyhow::Result<SparseDistances> {
    if let Some(entry) = matrix.entries.iter().position(|entry| entry.2.is_finite() && !(entry.2 as f32).is_finite()) {
        bail!("entry {entry} is {}, which float32 cannot hold", matrix.entries[entry].2);
    }
    let entries = matrix.entries.iter().map(|&(i, j, distance)| (i, j, distance as f32));
    Ok(SparseDistances::from_entries(matrix.size, entries)?)
}

/// Returns distances from a square or a condensed matrix.
fn condensed(array: &NpyArray, numbers: Vec<f32>) -> anyhow::Result<CondensedDistances> {
    match *array.shape.as_slice() {
        [rows, columns] if rows == columns => Ok(CondensedDistances::from_square(&numbers, rows)?),
        [length] => {
            // n (n − 1) / 2 = length, solved for n; checked because few lengths have one.
            let points = usize::midpoint(1, (1 + 8 * length).isqrt());
            if points * (points - 1) / 2 != length {
                bail!("a condensed matrix has n (n - 1) / 2 distances, got {length}, which fits no n");
            }
            Ok(CondensedDistances::from_condensed(numbers, points)?)
        }
        _ => bail!(UsageError {
            message: format!("expected distances of shape (n, n) or (n (n - 1) / 2,), got {:?}", array.shape),
            hint: Some("leave out --distances if these are points".to_owned()),
        }),
    }
}

fn stored_diagram(
    persistence: &Persistence,
    entropy: &[f64],
    generators: &[Generator],
    arguments: &TopologyArgs,
) -> Diagram {
    let metric =
        if arguments.distances { "precomputed".to_owned() } else { format!("{:?}", arguments.metric).to_lowercase() };
    let metadata = [
        ("metric", Scalar::Text(metric)),
        ("max_dim", Scalar::Integer(arguments.max_dim as i64)),
        ("threshold", Scalar::Float(persistence.threshold)),
        ("program_version", Scalar::Text(env!("CARGO_PKG_VERSION").to_owned())),
    ];
    let bar = |bar: &ripsaw::Bar| Bar { birth: bar.birth, death: bar.death };
    Diagram {
        dgms: persistence.diagrams.iter().map(|bars| bars.iter().map(bar).collect()).collect(),
        entropy: Some(entropy.to_vec()),
        metadata: metadata.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        gens: generator_arrays(generators),
    }
}

fn topology_json(persistence: &Persistence, entropy: &[f64], seconds: &Seconds) -> serde_json::Value {
    // JSON has no infinity: a bar that never dies has null for its death.
    let bar = |bar: &ripsaw::Bar| serde_json::json!([bar.birth, bar.death.is_finite().then_some(bar.death)]);
    let diagrams: Vec<Vec<serde_json::Value>> =
        persistence.diagrams.iter().map(|bars| bars.iter().map(bar).collect()).collect();
    serde_json::json!({
        "n": persistence.point_count,
        "distinct": persistence.distinct_point_count,
        "threshold": persistence.threshold,
        "dgms": diagrams,
        "entropy": entropy,
        "num_edges": persistence.edge_count,
        "seconds": {
            "distances": seconds.distances.as_secs_f64(),
            "collapse": seconds.collapse.as_secs_f64(),
            "reduction": seconds.reduction.as_secs_f64(),
        },
        "peak_bytes": memory::peak(),
    })
}

fn print_topology(persistence: &Persistence, entropy: &[f64], seconds: &Seconds) -> std::io::Result<()> {
    print(&format!(
        "{} points, {} of them distinct; {} edges up to {}",
        count(persistence.point_count as u64),
        count(persistence.distinct_point_count as u64),
        count(persistence.edge_count),
        persistence.threshold
    ))?;
    let mut table = Table::new(&[">dimension", ">bars", ">that never die", ">longest", ">entropy (nats)"]);
    for (dimension, (bars, entropy)) in persistence.diagrams.iter().zip(entropy).enumerate() {
        let longest = bars.iter().map(ripsaw::Bar::length).filter(|length| length.is_finite()).fold(0.0, f64::max);
        let infinite = bars.iter().filter(|bar| bar.is_infinite()).count();
        table.row(vec![
            dimension.to_string(),
            count(bars.len() as u64),
            count(infinite as u64),
            format!("{longest:.4}"),
            format!("{entropy:.4}"),
        ]);
    }
    table.print()?;
    let memory = memory::peak().map_or_else(String::new, |peak| format!("; {} at most in memory", bytes(peak)));
    print(&format!(
        "distances {:.3} s, collapse {:.3} s, reduction {:.3} s{memory}",
        seconds.distances.as_secs_f64(),
        seconds.collapse.as_secs_f64(),
        seconds.reduction.as_secs_f64()
    ))
}

fn generator_json(generator: &Generator) -> serde_json::Value {
    serde_json::json!({
        "dimension": generator.dimension,
        "bar": [generator.bar.birth, generator.bar.death],
        "birth_simplex": generator.birth_simplex,
        "death_simplex": generator.death_simplex,
        "birth_edge": generator.birth_edge,
        "death_edge": generator.death_edge,
        "cycle": generator.cycle,
        "loop": generator.loop_vertices,
    })
}

/// How many points of a cycle a line shows.
const SHOWN_POINTS: usize = 24;

/// Says which points make the longest bars above dimension 0; those of components are in the JSON.
fn print_generators(generators: &[Generator]) -> std::io::Result<()> {
    for generator in generators.iter().filter(|generator| generator.dimension > 0) {
        let points: Vec<usize> = generator.loop_vertices.clone().unwrap_or_else(|| {
            let mut points = generator.cycle.concat();
            points.sort_unstable();
            points.dedup();
            points
        });
        let shown: Vec<String> = points.iter().take(SHOWN_POINTS).map(ToString::to_string).collect();
        let more = points.len().saturating_sub(SHOWN_POINTS);
        let more = if more > 0 { format!(" and {more} more (--json has all)") } else { String::new() };
        let (what, bar) = (if generator.loop_vertices.is_some() { "loop" } else { "cycle" }, generator.bar);
        let (dimension, points) = (generator.dimension, shown.join(" "));
        print(&format!("H{dimension} [{:.4}, {:.4}): {what} of points {points}{more}", bar.birth, bar.death))?;
    }
    Ok(())
}
