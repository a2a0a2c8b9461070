//! How long runs stay in a cluster.

use std::collections::BTreeMap;

use loopscope_analysis::symbolic::{DwellTimes, dwell_times};
use loopscope_core::analysis::detail::LabelSequence;

use super::{CLUSTERS_MAX, Sheet, color_of, each};
use crate::ExportError;
use crate::chart::facet::{columns, counted, noted, rows_of_clusters, subtitle};
use crate::chart::violin::{EXPLAINED, violin};
use crate::chart::{Outcome, Skip, Source};
use crate::figure::color::CATEGORIES;
use crate::figure::{Axis, Figure, LegendItem, Mark, Panel, Shape, Stroke, Swatch};

pub(in crate::chart) fn run_lengths(source: &Source<'_>) -> Result<Outcome, ExportError> {
    each(source, |sheet| {
        let mut facets = sheet.facets(source);
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        let tallies: Vec<BTreeMap<usize, (usize, usize)>> =
            facets.members.iter().map(|members| tally(members)).collect();
        let longest = tallies.iter().filter_map(|tally| tally.keys().next_back()).max().copied().unwrap_or(1);
        let mut figure = Figure::new("Run lengths of clusters");
        figure.subtitle = subtitle(source, &shared);
        figure.columns = columns(facets.members.len()).min(3);
        figure.x_label = "turns that a run stays in a cluster".to_owned();
        figure.y_label = "share of stays of at least so many turns".to_owned();
        figure.legend = vec![
            LegendItem::new(
                Swatch::Line(CATEGORIES[0], crate::figure::Dash::Solid),
                "stays, those cut off by the end as seen",
            ),
            LegendItem::new(Swatch::Line(CATEGORIES[1], crate::figure::Dash::Dashed), "stays that were seen to end"),
        ];
        let x = Axis::log_of([1.0, longest as f64]);
        let smallest =
            tallies.iter().map(|tally| 1.0 / tally.values().map(|(a, b)| a + b).sum::<usize>().max(1) as f64);
        let y = Axis::log_of([smallest.fold(0.5, f64::min), 1.0]);
        let mut stays = 0;
        for (title, tally) in titles.into_iter().zip(&tallies) {
            let all: usize = tally.values().map(|(ended, cut)| ended + cut).sum();
            let ended: usize = tally.values().map(|(ended, _)| ended).sum();
            stays += all;
            let survival = |of: &dyn Fn(&(usize, usize)) -> usize, total: usize| {
                let (mut left, mut points) = (total, Vec::new());
                let mut before = 1.0;
                for (&length, counts) in tally {
                    if of(counts) > 0 && left > 0 {
                        let share = left as f64 / total as f64;
                        points.push((before, share));
                        points.push((length as f64, share));
                        left -= of(counts);
                        before = length as f64;
                    }
                }
                points
            };
            let mut marks = Vec::new();
            if ended > 0 {
                let points = survival(&|counts| counts.0, ended);
                let stroke = Stroke::new(CATEGORIES[1], 2.0).dashed(crate::figure::Dash::Dashed);
                marks.push(Mark::Line { points, stroke });
            }
            if all > 0 {
                let points = survival(&|counts| counts.0 + counts.1, all);
                marks.insert(0, Mark::Line { points: points.clone(), stroke: Stroke::new(CATEGORIES[0], 2.2) });
                let ends = points.iter().skip(1).step_by(2).copied().collect();
                let (shape, fill) = (Shape::Circle, CATEGORIES[0]);
                marks.push(Mark::Dots { points: ends, radius: 2.6, shape, fill, opacity: 1.0, outline: None });
            }
            let title = noted(&title, &counted(all, "stay"));
            figure.panels.push(Panel { title, x: x.clone(), y: y.clone(), marks });
        }
        if stays == 0 {
            return Ok(Err(Skip::new("no run is ever in a cluster: all outputs of this experiment are outliers")));
        }
        figure.caption.push(
            "Both axes are logarithmic: a straight line is a power law, a curve that bends down an exponential."
                .to_owned(),
        );
        Ok(Ok(sheet.finish(source, figure, 0, left_out)))
    })
}

/// Counts stays by length: seen to end, and cut off.
fn tally(members: &[&LabelSequence]) -> BTreeMap<usize, (usize, usize)> {
    let mut tally: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for dwell in dwell_times(&Sheet::labels(members)) {
        dwell.complete.iter().for_each(|&length| tally.entry(length).or_default().0 += 1);
        dwell.cut.iter().for_each(|&length| tally.entry(length).or_default().1 += 1);
    }
    tally
}

pub(in crate::chart) fn run_length_violin(source: &Source<'_>) -> Result<Outcome, ExportError> {
    each(source, |sheet| {
        let mut facets = sheet.facets(source);
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        let shown = sheet.names.short.len().min(rows_of_clusters(CLUSTERS_MAX, facets.members.len()));
        let dwells: Vec<Vec<DwellTimes<usize>>> =
            facets.members.iter().map(|members| dwell_times(&Sheet::labels(members))).collect();
        let all = |dwell: &DwellTimes<usize>| -> Vec<f64> {
            dwell.complete.iter().chain(&dwell.cut).map(|&length| length as f64).collect()
        };
        let x = Axis::log_of(dwells.iter().flatten().flat_map(all));
        let mut figure = Figure::new("Run lengths by cluster");
        figure.subtitle = subtitle(source, &shared);
        figure.columns = columns(facets.members.len()).min(2);
        figure.x_label = "turns that a run stays in the cluster".to_owned();
        figure.panel_height = Some((shown as f64 * 34.0).max(80.0));
        for (title, dwells) in titles.into_iter().zip(&dwells) {
            let mut marks = Vec::new();
            for dwell in dwells.iter().filter(|dwell| dwell.state < shown) {
                marks.extend(violin(&all(dwell), dwell.state, &x, color_of(Some(dwell.state))));
            }
            figure.panels.push(Panel {
                title,
                x: x.clone(),
                y: Axis::Band(sheet.names.short[..shown].to_vec()),
                marks,
            });
        }
        let rest = sheet.clusters.names.len() - shown;
        figure.caption.push(format!(
            "{EXPLAINED} Stays that the end of a run cuts off count as long as they were seen.{}",
            if rest > 0 { format!(" {rest} smaller clusters are not drawn.") } else { String::new() }
        ));
        Ok(Ok(sheet.finish(source, figure, shown, left_out)))
    })
}
