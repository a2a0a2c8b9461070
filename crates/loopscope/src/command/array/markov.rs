//! `array markov`: the chain of labelled sequences.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Args;
use loopscope_analysis::linear::SquareMatrix;
use loopscope_analysis::markov::{
    TransitionCounts, active_set, communicating_classes, eigenvalues, entropy_production, implied_timescales,
    last_core, maximum_likelihood, reversible_maximum_likelihood, stationary_distribution,
};
use loopscope_core::codec::{NpyArray, NpyValues};

use super::input::read_array;
use crate::args::Global;
use crate::failure::{Exit, UsageError};
use crate::report::{Table, count, print, print_json};

/// More states than this are a slip: labels are small numbers.
const STATES_MAX: usize = 4_096;

#[derive(Debug, Args)]
pub(crate) struct MarkovArgs {
    /// Labels as whole numbers from 0, -1 for an outlier: one sequence of shape (n,), or one a row of shape (runs, n)
    file: PathBuf,
    /// Steps from one state to the next
    #[arg(long, value_name = "STEPS", default_value = "1")]
    lag: NonZeroUsize,
    /// Estimate in detailed balance
    #[arg(long)]
    reversible: bool,
    /// Count outliers as the state visited last
    #[arg(long)]
    milestoning: bool,
}

/// What a chain came to.
struct Chain {
    counts: SquareMatrix,
    active: Vec<usize>,
    share_kept: f64,
    matrix: SquareMatrix,
    stationary: Vec<f64>,
    eigenvalues: Vec<[f64; 2]>,
    timescales: Vec<f64>,
    two_way_rate: f64,
    one_way_pairs: usize,
    classes: Vec<(Vec<usize>, bool)>,
}

pub(super) fn execute(arguments: &MarkovArgs, global: &Global) -> anyhow::Result<Exit> {
    let array = read_array(&arguments.file)?;
    let sequences = sequences(&array)?;
    let chain = chain(&sequences, arguments).with_context(|| format!("the chain of {}", arguments.file.display()))?;
    if global.json {
        print_json(&json_of(&chain, arguments))?;
    } else {
        show(&chain, arguments)?;
    }
    Ok(Exit::Ok)
}

/// Returns the sequences of an array of labels, `None` for −1.
fn sequences(array: &NpyArray) -> anyhow::Result<Vec<Vec<Option<usize>>>> {
    let usage = |message: String| UsageError {
        message,
        hint: Some("labels are whole numbers from 0, and -1 for an outlier".to_owned()),
    };
    let labels: Vec<i64> = match &array.values {
        NpyValues::I64(labels) => labels.clone(),
        NpyValues::U64(labels) => labels.iter().map(|&label| i64::try_from(label).unwrap_or(i64::MAX)).collect(),
        other => bail!(usage(format!("expected whole numbers, got {}", other.kind()))),
    };
    let of = |(index, &label): (usize, &i64)| match usize::try_from(label) {
        _ if label == -1 => Ok(None),
        Ok(label) if label < STATES_MAX => Ok(Some(label)),
        _ => Err(usage(format!("label {index} is {label}, expected -1 to {}", STATES_MAX - 1))),
    };
    let labels = labels.iter().enumerate().map(of).collect::<Result<Vec<_>, _>>()?;
    match *array.shape.as_slice() {
        [_] => Ok(vec![labels]),
        [_, 0] => Ok(Vec::new()),
        [_, columns] => Ok(labels.chunks(columns).map(<[_]>::to_vec).collect()),
        _ => bail!(usage(format!("expected labels of shape (n,) or (runs, n), got {:?}", array.shape))),
    }
}

fn chain(sequences: &[Vec<Option<usize>>], arguments: &MarkovArgs) -> anyhow::Result<Chain> {
    let state_count = sequences.iter().flatten().flatten().max().map_or(0, |largest| largest + 1);
    let sequences: Vec<Vec<Option<usize>>> = sequences
        .iter()
        .map(|sequence| if arguments.milestoning { last_core(sequence) } else { sequence.clone() })
        .collect();
    let counts = TransitionCounts::of(sequences.iter().map(Vec::as_slice), state_count, arguments.lag.get())?;
    let active = active_set(&counts);
    let kept = counts.matrix().restricted(&active.states);
    let matrix = match arguments.reversible && !active.states.is_empty() {
        true => reversible_maximum_likelihood(&kept)?.0,
        false => maximum_likelihood(&kept)?.0,
    };
    let stationary = if active.states.is_empty() { Vec::new() } else { stationary_distribution(&matrix)? };
    let values = eigenvalues(&matrix)?;
    let production = entropy_production(&matrix, &stationary);
    let classes = communicating_classes(counts.matrix());
    Ok(Chain {
        timescales: implied_timescales(&values, arguments.lag.get()),
        eigenvalues: values.iter().map(|value| [value.re, value.im]).collect(),
        two_way_rate: production.two_way_rate,
        one_way_pairs: production.one_way_pairs,
        classes: classes.into_iter().map(|class| (class.states, class.is_closed)).collect(),
        counts: counts.matrix().clone(),
        active: active.states,
        share_kept: active.share_kept,
        matrix: matrix.matrix().clone(),
        stationary,
    })
}

fn json_of(chain: &Chain, arguments: &MarkovArgs) -> serde_json::Value {
    let finite = |value: &f64| value.is_finite().then_some(*value);
    let rows = |matrix: &SquareMatrix| matrix.rows().map(<[f64]>::to_vec).collect::<Vec<_>>();
    let classes: Vec<serde_json::Value> = chain
        .classes
        .iter()
        .map(|(states, is_closed)| serde_json::json!({ "states": states, "is_closed": is_closed }))
        .collect();
    serde_json::json!({
        "lag": arguments.lag, "reversible": arguments.reversible, "milestoning": arguments.milestoning,
        "counts": rows(&chain.counts), "active_set": chain.active, "share_kept": chain.share_kept,
        "matrix": rows(&chain.matrix), "stationary": chain.stationary, "eigenvalues": chain.eigenvalues,
        "timescales": chain.timescales.iter().map(finite).collect::<Vec<_>>(),
        "entropy_production": (chain.one_way_pairs == 0).then_some(chain.two_way_rate),
        "entropy_production_two_way": chain.two_way_rate, "one_way_pairs": chain.one_way_pairs, "classes": classes,
    })
}

fn show(chain: &Chain, arguments: &MarkovArgs) -> std::io::Result<()> {
    print(&format!(
        "{} transitions between {} states at lag {}; {} of them reach each other and keep {:.1} % of the transitions",
        count(chain.counts.total() as u64),
        chain.counts.size(),
        arguments.lag,
        chain.active.len(),
        100.0 * chain.share_kept
    ))?;
    let mut table = Table::new(&[">state", ">stationary", ">return (lags)", ">timescale (steps)"]);
    for (place, state) in chain.active.iter().enumerate() {
        let timescale = place.checked_sub(1).and_then(|index| chain.timescales.get(index));
        table.row(vec![
            state.to_string(),
            format!("{:.4}", chain.stationary[place]),
            format!("{:.2}", 1.0 / chain.stationary[place]),
            timescale.map_or_else(String::new, |time| format!("{time:.3}")),
        ]);
    }
    table.print()?;
    print(&format!(
        "entropy production at least {:.4} nats a lag; {} pairs were seen one way only",
        chain.two_way_rate, chain.one_way_pairs
    ))?;
    for (states, is_closed) in chain.classes.iter().filter(|(states, _)| *states != chain.active) {
        let what = if *is_closed { "never left" } else { "left for good" };
        print(&format!("not in the active set: {states:?}, {what}"))?;
    }
    Ok(())
}
