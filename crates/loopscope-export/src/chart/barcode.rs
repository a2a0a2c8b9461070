//! The bars of single runs.

use super::facet::{Facets, Names, PANELS_MAX, columns, counted, finish, prompt_of_runs, prompts, run_name, subtitle};
use super::persistence::{dimensions_legend, look};
use super::{Chart, Outcome, Source};
use crate::ExportError;
use crate::figure::color::FRAME;
use crate::figure::{Axis, Dash, Figure, Mark, Panel, Stroke};

/// Bars of one dimension that are drawn; the shorter ones are counted.
const BARS_MAX: usize = 40;

pub(super) fn barcode(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let diagrams = match source.diagrams()? {
        Ok(diagrams) => diagrams,
        Err(skip) => return Ok(Err(skip)),
    };
    let runs = shown_runs(source);
    let prompts = prompts(source);
    let (names, prompt_of) = (Names::of("Prompts", &prompts), prompt_of_runs(source, &prompts));
    let mut charts = Vec::new();
    for embedder in source.details().embedders() {
        let shown = diagrams.iter().filter(|d| d.embedder == embedder && runs.contains(&d.run));
        let mut facets = Facets::of(shown, |diagram| {
            vec![
                names.short[prompt_of[diagram.run]].clone(),
                source.network(diagram.run).to_owned(),
                run_name(source, diagram.run),
            ]
        });
        if facets.members.is_empty() {
            continue;
        }
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        let largest = facets.members.iter().flatten().flat_map(|d| d.bars.iter().flatten()).map(|bar| bar.1);
        let largest = largest.filter(|death| death.is_finite()).fold(0.0, f64::max);
        let largest = if largest > 0.0 { largest } else { 1.0 };
        let mut figure = Figure::new("Barcodes");
        figure.subtitle = subtitle(source, &format!("{embedder} · {shared}"));
        figure.legend = dimensions_legend(diagrams);
        figure.columns = columns(facets.members.len()).min(3);
        figure.x_label = "distance".to_owned();
        figure.panel_height = Some(230.0);
        let (mut drawn, mut short) = (0, 0);
        for (title, members) in titles.into_iter().zip(&facets.members) {
            let diagram = members[0];
            let mut bars: Vec<(usize, f64, f64)> = Vec::new();
            for (dimension, of_dimension) in diagram.bars.iter().enumerate() {
                let mut longest: Vec<(f64, f64)> = of_dimension.clone();
                longest.sort_by(|a, b| (b.1 - b.0).total_cmp(&(a.1 - a.0)).then(a.0.total_cmp(&b.0)));
                short += longest.len().saturating_sub(BARS_MAX);
                longest.truncate(BARS_MAX);
                longest.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
                bars.extend(longest.into_iter().map(|(birth, death)| (dimension, birth, death)));
            }
            drawn += bars.len();
            let end = largest * 1.06;
            let count = bars.len().max(1) as f64;
            let width = (150.0 / count).clamp(1.0, 4.0);
            let mut marks = Vec::new();
            for pair in (1..bars.len()).filter(|&i| bars[i].0 != bars[i - 1].0) {
                let y = count - pair as f64;
                marks.push(Mark::Line {
                    points: vec![(0.0, y), (end, y)],
                    stroke: Stroke::new(FRAME, 0.8).dashed(Dash::Dotted),
                });
            }
            for (place, &(dimension, birth, death)) in bars.iter().enumerate() {
                let y = count - place as f64 - 0.5;
                let death = if death.is_finite() { death } else { end };
                marks.push(Mark::Line {
                    points: vec![(birth, y), (death, y)],
                    stroke: Stroke::new(look(dimension).0, width),
                });
            }
            let x = Axis::Linear { low: 0.0, high: end };
            figure.panels.push(Panel { title, x, y: Axis::Bare { low: 0.0, high: count }, marks });
        }
        figure.caption.push(format!(
            "A bar is a component (H0), a loop (H1) or a void (H2) of a run's trajectory, from the distance at which it appears to that at which it is gone; by birth, from \
             the top. Bars to the right edge never die. n = {}: {} drawn{}.",
            counted(facets.members.len(), "run"),
            counted(drawn, "bar"),
            if short > 0 { format!(", the {short} shortest not (at most {BARS_MAX} of a dimension)") } else { String::new() },
        ));
        figure.caption.extend(names.key.clone());
        figure.caption.extend(note_on_runs(source));
        finish(source, &mut figure, left_out);
        charts.push(Chart::of(part(source, embedder.as_str()), &figure));
    }
    Ok(Ok(charts))
}

/// Returns the part of a file's name: the embedder, where there are several.
pub(super) fn part(source: &Source<'_>, embedder: &str) -> String {
    if source.details().embedders().len() > 1 { embedder.to_owned() } else { String::new() }
}

/// Returns the runs that charts of single runs show: the one that was asked for, or the first of each network and prompt.
pub(super) fn shown_runs(source: &Source<'_>) -> Vec<usize> {
    if let Some(run) = source.chosen_run() {
        return vec![run];
    }
    let mut seen = Vec::new();
    let mut shown = Vec::new();
    for (index, run) in source.details().runs().enumerate() {
        let key = (run.run.key.network.clone(), run.run.key.initial_prompt.clone());
        if !seen.contains(&key) && shown.len() < PANELS_MAX {
            seen.push(key);
            shown.push(index);
        }
    }
    shown
}

/// Says which runs are shown, where others are not.
pub(super) fn note_on_runs(source: &Source<'_>) -> Option<String> {
    let (shown, all) = (shown_runs(source).len(), source.details().runs().len());
    let which = match source.chosen_run() {
        Some(_) => "the one that was asked for",
        None => "the first of each network and prompt; --run ID shows another",
    };
    (shown < all).then(|| format!("Shown: {} of {all}: {which}.", counted(shown, "run")))
}
