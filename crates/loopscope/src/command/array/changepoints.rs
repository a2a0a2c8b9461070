//! `array changepoints`: where a series of vectors changes.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use loopscope_analysis::change_points::{Cost, default_penalty, pelt};
use loopscope_analysis::series::Series;

use super::input::{floats, matrix_shape, read_array};
use crate::args::Global;
use crate::command::analyse::{CostArg, parse_penalty};
use crate::failure::Exit;
use crate::report::{Table, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct ChangepointsArgs {
    /// Vectors of shape (n, d) in the order of time, float32 or float64
    file: PathBuf,
    /// How the scatter of a segment is measured
    #[arg(long, value_enum, default_value_t)]
    cost: CostArg,
    /// What a break costs [default: 2 v ln n, v being half the mean squared step]
    #[arg(long, value_name = "X", value_parser = parse_penalty)]
    penalty: Option<f64>,
    /// The shortest segment
    #[arg(long, value_name = "N", default_value = "5")]
    min_size: std::num::NonZeroUsize,
    /// Width of the rbf kernel, e^(-gamma |x - y|²)
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    gamma: f64,
}

pub(super) fn execute(arguments: &ChangepointsArgs, global: &Global) -> anyhow::Result<Exit> {
    let array = read_array(&arguments.file)?;
    let (length, dimension) = matrix_shape(&array)?;
    let numbers = floats(&array)?;
    let cost = match arguments.cost {
        CostArg::Cosine => Cost::Cosine,
        CostArg::L2 => Cost::L2,
        CostArg::Rbf => Cost::Rbf { gamma: arguments.gamma },
    };
    let found = (|| -> anyhow::Result<(Vec<usize>, f64)> {
        let series = Series::new(&numbers, length, dimension)?;
        let penalty = match arguments.penalty {
            Some(penalty) => penalty,
            None => default_penalty(&series, cost)?,
        };
        Ok((pelt(&series, cost, penalty, arguments.min_size.get())?, penalty))
    })();
    let (breakpoints, penalty) = found.with_context(|| format!("the change points of {}", arguments.file.display()))?;
    if global.json {
        print_json(&serde_json::json!({
            "breakpoints": breakpoints, "n": length, "cost": cost.as_str(), "penalty": penalty,
            "min_size": arguments.min_size,
        }))?;
        return Ok(Exit::Ok);
    }
    print(&format!(
        "{length} vectors, cost {}, penalty {penalty:.4}, segments of at least {}",
        cost.as_str(),
        arguments.min_size
    ))?;
    let mut table = Table::new(&[">segment", ">from", ">to before"]);
    let mut from = 0;
    for (segment, &to) in (1..).zip(&breakpoints) {
        let segment: usize = segment;
        table.row(vec![segment.to_string(), from.to_string(), to.to_string()]);
        from = to;
    }
    table.print()?;
    Ok(Exit::Ok)
}
