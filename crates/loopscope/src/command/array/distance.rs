//! `array distance`: how far apart two diagrams in files are.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, ValueEnum};
use loopscope_core::codec::{Bar, decode_diagram};
use ripsaw::{DistanceOptions, GroundNorm, InfiniteBars, WassersteinOrder};

use crate::args::Global;
use crate::failure::{Exit, UsageError};
use crate::report::{Table, print_json};

#[derive(Debug, Args)]
pub(crate) struct DistanceArgs {
    /// A diagram as .npz
    a: PathBuf,
    /// Another
    b: PathBuf,
    /// Which distance
    #[arg(long, value_enum, default_value_t)]
    metric: DistanceName,
    /// Order of the Wasserstein distance
    #[arg(long, value_name = "1|2", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    order: u8,
    /// Norm between two bars
    #[arg(long, value_enum, default_value_t)]
    ground: GroundName,
    /// What to do with bars that never die
    #[arg(long, value_enum, default_value_t)]
    infinite: InfiniteName,
    /// Allow this relative error
    #[arg(long, value_name = "DELTA", default_value_t = 0.0)]
    relative_error: f64,
    /// Only this dimension [default: all that both have]
    #[arg(long, value_name = "N")]
    dim: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum DistanceName {
    #[default]
    Wasserstein,
    Bottleneck,
    /// The earlier tool's number, which ignores births: no Wasserstein distance
    LegacySortedL1,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum GroundName {
    #[default]
    Linf,
    L2,
}

#[derive(Clone, Copy, Debug, Default, ValueEnum)]
enum InfiniteName {
    /// Matched to each other; unequal counts are infinitely far apart
    #[default]
    Match,
    /// Left out
    Drop,
}

pub(super) fn distance(arguments: &DistanceArgs, global: &Global) -> anyhow::Result<Exit> {
    let (a, b) = (read_diagram(&arguments.a)?, read_diagram(&arguments.b)?);
    let dimensions: Vec<usize> = match arguments.dim {
        Some(dimension) => vec![dimension],
        None => (0..a.len().min(b.len())).collect(),
    };
    let mut distances = Vec::new();
    for dimension in dimensions {
        let bars = |diagram: &[Vec<ripsaw::Bar>], path: &Path| {
            diagram.get(dimension).cloned().ok_or_else(|| UsageError {
                message: format!(
                    "{} has dimensions 0 to {}, got --dim {dimension}",
                    path.display(),
                    diagram.len().max(1) - 1
                ),
                hint: None,
            })
        };
        let value = distance_of(&bars(&a, &arguments.a)?, &bars(&b, &arguments.b)?, arguments)
            .with_context(|| format!("the distance in dimension {dimension}"))?;
        distances.push((dimension, value));
    }
    if global.json {
        let values: Vec<serde_json::Value> = distances
            .iter()
            .map(|(dimension, value)| serde_json::json!({"dimension": dimension, "distance": value.is_finite().then_some(value)}))
            .collect();
        print_json(&serde_json::json!({ "metric": metric_name(arguments.metric), "distances": values }))?;
    } else {
        let mut table = Table::new(&[">dimension", ">distance"]);
        for (dimension, value) in distances {
            table.row(vec![dimension.to_string(), format!("{value}")]);
        }
        table.print()?;
    }
    Ok(Exit::Ok)
}

/// Returns the name that is typed for a distance.
fn metric_name(metric: DistanceName) -> String {
    metric.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn distance_of(a: &[ripsaw::Bar], b: &[ripsaw::Bar], arguments: &DistanceArgs) -> anyhow::Result<f64> {
    let infinite = match arguments.infinite {
        InfiniteName::Match => InfiniteBars::Match,
        InfiniteName::Drop => InfiniteBars::Drop,
    };
    let ground = match arguments.ground {
        GroundName::Linf => GroundNorm::LInfinity,
        GroundName::L2 => GroundNorm::L2,
    };
    let order = if arguments.order == 1 { WassersteinOrder::One } else { WassersteinOrder::Two };
    let options = DistanceOptions::default().with_infinite_bars(infinite).with_relative_error(arguments.relative_error);
    Ok(match arguments.metric {
        DistanceName::Wasserstein => ripsaw::wasserstein(a, b, order, ground, &options)?,
        DistanceName::Bottleneck => ripsaw::bottleneck(a, b, &options)?,
        DistanceName::LegacySortedL1 => ripsaw::legacy_sorted_l1(a, b)?,
    })
}

fn read_diagram(path: &Path) -> anyhow::Result<Vec<Vec<ripsaw::Bar>>> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let diagram = decode_diagram(&bytes).with_context(|| format!("{} holds no diagram", path.display()))?;
    let bar = |bar: &Bar| ripsaw::Bar { birth: bar.birth, death: bar.death };
    Ok(diagram.dgms.iter().map(|bars| bars.iter().map(bar).collect()).collect())
}
