//! Persistence diagrams, and the entropy of their bars.

use loopscope_analysis::bootstrap::Interval;
use loopscope_core::analysis::detail::DiagramDetail;

use super::facet::{Facets, Names, counted, finish, name_with_count, noted, prompt_of_runs, prompts, subtitle};
use super::violin::{EXPLAINED, violin};
use super::{Chart, Outcome, Source};
use crate::ExportError;
use crate::figure::color::{FAINT, FRAME, INK, category};
use crate::figure::{Anchor, Axis, Color, Dash, Figure, LegendItem, Mark, Panel, Shape, Stroke, Swatch};

/// What is drawn of one dimension.
pub(super) const fn look(dimension: usize) -> (Color, Shape) {
    match dimension {
        0 => ([0, 114, 178], Shape::Circle),
        1 => ([213, 94, 0], Shape::Triangle),
        _ => ([0, 158, 115], Shape::Square),
    }
}

/// Returns the legend of the dimensions that diagrams have.
pub(super) fn dimensions_legend(diagrams: &[DiagramDetail]) -> Vec<LegendItem> {
    let dimensions = diagrams.iter().map(|diagram| diagram.bars.len()).max().unwrap_or(0);
    let words = ["components", "loops", "voids"];
    (0..dimensions)
        .map(|dimension| {
            let (color, shape) = look(dimension);
            let word = words.get(dimension).map(|word| format!(" ({word})")).unwrap_or_default();
            LegendItem::new(Swatch::Dot(color, shape), format!("H{dimension}{word}"))
        })
        .collect()
}

pub(super) fn plain(source: &Source<'_>) -> Result<Outcome, ExportError> {
    diagram(source, "Persistence diagrams", |diagram| vec![diagram.embedder.to_string()])
}

pub(super) fn faceted(source: &Source<'_>) -> Result<Outcome, ExportError> {
    diagram(source, "Persistence diagrams by embedder and network", |diagram| {
        vec![diagram.embedder.to_string(), source.network(diagram.run).to_owned()]
    })
}

pub(super) fn by_prompt(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let names = Names::of("Prompts", &prompts(source));
    let prompt_of = prompt_of_runs(source, &prompts(source));
    diagram(source, "Persistence diagrams by prompt", |diagram| {
        vec![diagram.embedder.to_string(), names.short[prompt_of[diagram.run]].clone()]
    })
}

fn diagram(
    source: &Source<'_>,
    title: &str,
    key: impl Fn(&DiagramDetail) -> Vec<String>,
) -> Result<Outcome, ExportError> {
    let diagrams = match source.diagrams()? {
        Ok(diagrams) => diagrams,
        Err(skip) => return Ok(Err(skip)),
    };
    let mut facets = Facets::of(diagrams, |diagram| key(diagram));
    let (titles, shared) = facets.titles();
    let left_out = facets.limit();
    let finite = diagrams.iter().flat_map(|diagram| diagram.bars.iter().flatten()).map(|bar| bar.1);
    let largest = finite.filter(|death| death.is_finite()).fold(0.0, f64::max);
    let largest = if largest > 0.0 { largest } else { 1.0 };
    let infinity = largest * 1.1;
    let axis = Axis::Linear { low: 0.0, high: largest * 1.16 };
    let mut figure = Figure::new(title);
    figure.subtitle = subtitle(source, &shared);
    figure.legend = dimensions_legend(diagrams);
    figure.columns = facets.columns();
    figure.panel_height = None;
    figure.panel_width_max = 430.0;
    figure.x_label = "birth (distance)".to_owned();
    figure.y_label = "death (distance)".to_owned();
    let mut immortal = 0;
    for (title, members) in titles.into_iter().zip(&facets.members) {
        let mut marks = vec![
            Mark::Line { points: vec![(0.0, 0.0), (largest * 1.16, largest * 1.16)], stroke: Stroke::new(FRAME, 1.0) },
            Mark::Line {
                points: vec![(0.0, infinity), (largest * 1.16, infinity)],
                stroke: Stroke::new(FRAME, 1.0).dashed(Dash::Dashed),
            },
            Mark::Text {
                // Below its line, beside the column of those that do not die: elsewhere it would cross the frame or the diagonal.
                at: (0.0, infinity),
                text: "never dies".to_owned(),
                size: 10.5,
                is_bold: false,
                color: FAINT,
                anchor: Anchor::Start,
                shift: (9.0, 12.0),
                width_max: 80.0,
            },
        ];
        let dimensions = members.iter().map(|diagram| diagram.bars.len()).max().unwrap_or(0);
        let count: usize = members.iter().flat_map(|diagram| &diagram.bars).map(Vec::len).sum();
        let opacity = if count > 2_000 {
            0.25
        } else if count > 300 {
            0.4
        } else {
            0.65
        };
        for dimension in 0..dimensions {
            let bars = members.iter().filter_map(|diagram| diagram.bars.get(dimension)).flatten();
            let points = bars
                .map(|&(birth, death)| (birth, if death.is_finite() { death } else { infinity }))
                .collect::<Vec<_>>();
            immortal += points.iter().filter(|point| point.1 == infinity).count();
            let (fill, shape) = look(dimension);
            marks.push(Mark::Dots { points, radius: 2.8, shape, fill, opacity, outline: None });
        }
        let title = noted(&title, &counted(members.len(), "run"));
        figure.panels.push(Panel { title, x: axis.clone(), y: axis.clone(), marks });
    }
    let bars: usize = diagrams.iter().flat_map(|diagram| &diagram.bars).map(Vec::len).sum();
    figure.caption.push(format!(
        "Vietoris–Rips persistence of trajectories, Euclidean distance between embeddings as stored, filtration value = diameter. n = {} of {} with {}, \
         of which {immortal} drawn never die.",
        counted(diagrams.len(), "diagram"),
        counted(source.details().runs().len(), "run"),
        counted(bars, "bar"),
    ));
    let names = Names::of("Prompts", &prompts(source));
    if title.ends_with("prompt") {
        figure.caption.extend(names.key);
    }
    finish(source, &mut figure, left_out);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

pub(super) fn entropy_violin(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let diagrams = match source.diagrams()? {
        Ok(diagrams) => diagrams,
        Err(skip) => return Ok(Err(skip)),
    };
    let facets =
        Facets::of(diagrams, |diagram| vec![diagram.embedder.to_string(), source.network(diagram.run).to_owned()]);
    let (titles, shared) = facets.titles();
    let mut figure = entropy_figure(source, diagrams, "Persistent entropy", &shared);
    let dimensions = figure.panels.len();
    for dimension in 0..dimensions {
        let panel = &mut figure.panels[dimension];
        panel.y = Axis::Band(names_with_counts(&titles, &facets.members));
        for (row, members) in facets.members.iter().enumerate() {
            let values: Vec<f64> =
                members.iter().filter_map(|diagram| diagram.entropy.get(dimension)).copied().collect();
            panel.marks.extend(violin(&values, row, &panel.x, look(dimension).0));
        }
    }
    figure.panel_height = Some((facets.members.len() as f64 * 44.0).clamp(110.0, 900.0));
    figure.caption.push(EXPLAINED.to_owned());
    finish(source, &mut figure, 0);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

fn names_with_counts(titles: &[String], members: &[Vec<&DiagramDetail>]) -> Vec<String> {
    let named = titles.iter().zip(members).map(|(title, members)| match title.is_empty() {
        true => counted(members.len(), "run"),
        false => name_with_count(title, members.len()),
    });
    named.collect()
}

pub(super) fn entropy_by_prompt(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let diagrams = match source.diagrams()? {
        Ok(diagrams) => diagrams,
        Err(skip) => return Ok(Err(skip)),
    };
    let prompts = prompts(source);
    let prompt_of = prompt_of_runs(source, &prompts);
    let names = Names::of("Prompts", &prompts);
    let embedders = source.details().embedders();
    let bootstrap = source.details().options().bootstrap;
    let mut figure = entropy_figure(source, diagrams, "Persistent entropy by prompt", "");
    for (dimension, panel) in figure.panels.iter_mut().enumerate() {
        panel.y = Axis::Band(names.short.clone());
        for (place, embedder) in embedders.iter().enumerate() {
            let color = category(place);
            // Embedders stand one below the other within a prompt.
            let offset = 0.5 + 0.6 * ((place as f64 + 0.5) / embedders.len() as f64 - 0.5);
            for row in 0..prompts.len() {
                let of_prompt = diagrams.iter().filter(|d| d.embedder == *embedder && prompt_of[d.run] == row);
                let values: Vec<f64> = of_prompt.filter_map(|d| d.entropy.get(dimension)).copied().collect();
                if values.is_empty() {
                    continue;
                }
                let y = row as f64 + offset;
                let mean = |runs: &[usize]| Some(runs.iter().map(|&run| values[run]).sum::<f64>() / runs.len() as f64);
                let every: Vec<usize> = (0..values.len()).collect();
                if let Some(Interval { low, high }) = bootstrap.interval(values.len(), mean) {
                    panel.marks.push(Mark::Line { points: vec![(low, y), (high, y)], stroke: Stroke::new(INK, 2.2) });
                }
                let points = values.iter().map(|&value| (value, y)).collect();
                let shape = Shape::of(place);
                panel.marks.push(Mark::Dots { points, radius: 2.6, shape, fill: color, opacity: 0.55, outline: None });
                let points = mean(&every).map(|mean| (mean, y)).into_iter().collect();
                panel.marks.push(Mark::Dots {
                    points,
                    radius: 4.2,
                    shape,
                    fill: color,
                    opacity: 1.0,
                    outline: Some(INK),
                });
            }
        }
    }
    if embedders.len() > 1 {
        figure.legend = (0..)
            .zip(&embedders)
            .map(|(place, embedder)| LegendItem::new(Swatch::Dot(category(place), Shape::of(place)), embedder.as_str()))
            .collect();
    } else {
        figure.subtitle = subtitle(source, embedders.first().map_or("", |embedder| embedder.as_str()));
        figure.legend.clear();
    }
    figure.panel_height = Some((prompts.len() as f64 * (22.0 + 12.0 * embedders.len() as f64)).clamp(110.0, 1400.0));
    figure.caption.push(format!(
        "Small marks: runs; large: their mean; bar: {} % bootstrap interval over runs ({} resamples).",
        (bootstrap.level * 100.0).round(),
        bootstrap.resamples
    ));
    figure.caption.extend(names.key);
    finish(source, &mut figure, 0);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

/// Returns a figure with an empty panel for each dimension.
fn entropy_figure(source: &Source<'_>, diagrams: &[DiagramDetail], title: &str, shared: &str) -> Figure {
    let dimensions = diagrams.iter().map(|diagram| diagram.entropy.len()).max().unwrap_or(0).max(1);
    let mut figure = Figure::new(title);
    figure.subtitle = subtitle(source, shared);
    figure.columns = dimensions;
    figure.x_label = "persistent entropy (nats)".to_owned();
    let every = diagrams.iter().flat_map(|diagram| diagram.entropy.iter().copied());
    let axis = Axis::from_zero(every);
    for dimension in 0..dimensions {
        let words = ["H0: components", "H1: loops", "H2: voids"];
        let title = words.get(dimension).map_or_else(|| format!("H{dimension}"), |word| (*word).to_owned());
        figure.panels.push(Panel { title, x: axis.clone(), y: Axis::Band(Vec::new()), marks: Vec::new() });
    }
    figure.caption.push(format!(
        "Shannon entropy of the lengths of a run's bars, in nats, from 0 to the logarithm of their number; bars that never die are left out. n = {} of {}.",
        counted(diagrams.len(), "diagram"),
        counted(source.details().runs().len(), "run")
    ));
    figure
}
