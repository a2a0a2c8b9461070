//! Which cluster follows which, and how long each lasts.

use std::collections::BTreeMap;

use loopscope_analysis::symbolic::{bigrams, dwell_times};

use super::estimate::bootstrap_cell;
use super::group::{Group, columns};
use super::labels::{Labels, each_labelled_group};
use super::material::Material;
use super::report::{Analysis, Cell, Estimate, ResultTable};
use super::survey::Survey;
use super::{AnalysisError, Options};

pub(super) fn transitions(material: &Material<'_>, options: &Options) -> Result<Analysis, AnalysisError> {
    let mut follow = ResultTable::new(
        "transitions",
        "Transitions between clusters, a turn apart",
        &columns(
            options.by,
            &[
                ("from", "from"),
                ("to", "to"),
                ("count", "times"),
                ("runs", "runs"),
                ("probability", "share of departures"),
            ],
        ),
    );
    let mut dwell = ResultTable::new(
        "dwell_times",
        "Dwell times of clusters, in turns",
        &columns(
            options.by,
            &[
                ("cluster", "cluster"),
                ("visits", "visits"),
                ("cut", "cut by the end"),
                ("mean", "mean dwell (turns)"),
                ("longest", "longest"),
                ("share", "share of turns"),
            ],
        ),
    );
    let mut analysis =
        material.analysis("transitions", vec![("lag", Cell::Count(1)), bootstrap_cell(&options.bootstrap)]);
    let mut survey = Survey::default();
    each_labelled_group(material, options, (&mut analysis, &mut survey), |group, sequences, labels| {
        follow_rows(group, &sequences, labels, options, &mut follow);
        dwell_rows(group, &sequences, labels, options, &mut dwell);
        Ok(())
    })?;
    analysis.tables.extend([follow, dwell]);
    analysis.notes.push(
        "No transition bridges an outlier or joins two runs. The mean dwell is all time in a cluster over the number of times it was left: visits that the \
         end of a run cuts off count with the time they lasted. Clusters are named by their medoids."
            .to_owned(),
    );
    survey.note(&mut analysis);
    Ok(analysis)
}

fn follow_rows(
    group: &Group,
    sequences: &[Vec<Option<usize>>],
    labels: &Labels,
    options: &Options,
    table: &mut ResultTable,
) {
    let found = bigrams(sequences);
    table.rows_left_out += found.len().saturating_sub(options.top);
    // How often each run makes each transition, and leaves or stays in each state at all.
    let by_run: Vec<BTreeMap<(usize, usize), f64>> = sequences
        .iter()
        .map(|sequence| {
            let mut counts = BTreeMap::new();
            for pair in sequence.windows(2) {
                if let [Some(from), Some(to)] = pair {
                    *counts.entry((*from, *to)).or_default() += 1.0;
                }
            }
            counts
        })
        .collect();
    let of_run = |run: usize, from: usize, to: Option<usize>| -> f64 {
        let counts = &by_run[run];
        match to {
            Some(to) => counts.get(&(from, to)).copied().unwrap_or(0.0),
            None => counts.range((from, 0)..=(from, usize::MAX)).map(|(_, count)| count).sum(),
        }
    };
    for bigram in found.iter().take(options.top) {
        let departures: Vec<(f64, f64)> = (0..sequences.len())
            .map(|run| (of_run(run, bigram.from, Some(bigram.to)), of_run(run, bigram.from, None)))
            .collect();
        let share = |runs: &[usize]| {
            let (taken, all) =
                runs.iter().fold((0.0, 0.0), |(taken, all), &run| (taken + departures[run].0, all + departures[run].1));
            (all > 0.0).then(|| taken / all)
        };
        let every: Vec<usize> = (0..sequences.len()).collect();
        let interval = options.bootstrap.interval(sequences.len(), share);
        let mut row = group.cells();
        row.extend([
            Cell::text(&labels.names[bigram.from]),
            Cell::text(&labels.names[bigram.to]),
            Cell::count(bigram.count),
            Cell::count(bigram.sequence_count),
            Cell::Estimate(Estimate { value: share(&every), interval }),
        ]);
        table.row(row);
    }
}

fn dwell_rows(
    group: &Group,
    sequences: &[Vec<Option<usize>>],
    labels: &Labels,
    options: &Options,
    table: &mut ResultTable,
) {
    let turns: usize = sequences.iter().map(Vec::len).sum();
    let mut times = dwell_times(sequences);
    let time_in = |lengths: &[usize]| lengths.iter().sum::<usize>();
    times.sort_by_key(|dwell| (std::cmp::Reverse(time_in(&dwell.complete) + time_in(&dwell.cut)), dwell.state));
    table.rows_left_out += times.len().saturating_sub(options.top);
    for dwell in times.iter().take(options.top) {
        // The same numbers for each run alone, so that runs can be drawn again.
        let by_run: Vec<(f64, f64)> = sequences
            .iter()
            .map(|sequence| {
                let alone = dwell_times(std::slice::from_ref(sequence));
                let of_state = alone.iter().find(|other| other.state == dwell.state);
                of_state.map_or((0.0, 0.0), |own| {
                    ((time_in(&own.complete) + time_in(&own.cut)) as f64, own.complete.len() as f64)
                })
            })
            .collect();
        let mean = |runs: &[usize]| {
            let (time, left) =
                runs.iter().fold((0.0, 0.0), |(time, left), &run| (time + by_run[run].0, left + by_run[run].1));
            (left > 0.0).then(|| time / left)
        };
        let interval = options.bootstrap.interval(sequences.len(), mean);
        let longest = dwell.complete.iter().chain(&dwell.cut).max().copied().unwrap_or(0);
        let time = time_in(&dwell.complete) + time_in(&dwell.cut);
        let mut row = group.cells();
        row.extend([
            Cell::text(&labels.names[dwell.state]),
            Cell::count(dwell.visits()),
            Cell::count(dwell.cut.len()),
            Cell::Estimate(Estimate { value: dwell.mean(), interval: dwell.mean().and(interval) }),
            Cell::count(longest),
            Cell::Number(Some(time as f64 / turns.max(1) as f64)),
        ]);
        table.row(row);
    }
}
