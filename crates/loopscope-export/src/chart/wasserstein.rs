//! Distances between diagrams: are runs of one prompt more alike than others?

use loopscope_core::analysis::detail::{DistanceDetail, DistanceKind};

use super::density::{bin_count, bins};
use super::facet::{Facets, counted, finish, subtitle};
use super::violin::{EXPLAINED, violin};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::category;
use crate::figure::{Axis, Dash, Figure, LegendItem, Mark, Panel, Stroke, Swatch};

const KINDS: [DistanceKind; 3] = [DistanceKind::SamePrompt, DistanceKind::OtherPrompt, DistanceKind::OtherNetwork];
const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];

/// Panels by embedder and dimension, without marks.
fn figure<'s>(
    source: &'s Source<'_>,
    title: &str,
) -> Result<Result<(Figure, Facets<&'s DistanceDetail>), Skip>, ExportError> {
    if let Err(skip) = source.diagrams()? {
        return Ok(Err(skip));
    }
    let (distances, left_out) = source.distances()?;
    if distances.is_empty() {
        return Ok(Err(Skip::new(
            "there is one run with a diagram, and a distance needs two; `loopscope experiment extend --seed N` makes more",
        )));
    }
    let facets = Facets::of(distances, |one| vec![one.embedder.to_string(), format!("H{}", one.dimension)]);
    let (titles, shared) = facets.titles();
    let mut figure = Figure::new(title);
    figure.subtitle = subtitle(source, &shared);
    figure.is_shared = false;
    figure.columns = facets.columns();
    figure.x_label = "Wasserstein distance (order 1, L∞ ground norm)".to_owned();
    for (title, members) in titles.into_iter().zip(&facets.members) {
        let x = Axis::from_zero(members.iter().map(|one| one.distance));
        figure.panels.push(Panel { title, x, y: Axis::Band(Vec::new()), marks: Vec::new() });
    }
    figure.caption.push(format!(
        "Distances between all pairs of diagrams of one embedder; bars that never die are left out. n = {}{}.",
        counted(distances.len(), "distance"),
        if *left_out > 0 {
            format!("; {left_out} runs were left out by chance, as `analyse topology` does")
        } else {
            String::new()
        }
    ));
    Ok(Ok((figure, facets)))
}

pub(super) fn histogram(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let (mut figure, facets) = match figure(source, "Distances between persistence diagrams")? {
        Ok(found) => found,
        Err(skip) => return Ok(Err(skip)),
    };
    figure.y_label = "density".to_owned();
    let mut seen = [false; 3];
    for (panel, members) in figure.panels.iter_mut().zip(&facets.members) {
        let (low, high) = panel.x.ends();
        let fewest = KINDS.map(|kind| members.iter().filter(|one| one.kind == kind).count());
        let fewest = fewest.into_iter().filter(|count| *count > 0).min().unwrap_or(1);
        let count = bin_count(fewest).clamp(8, 24);
        let mut tallest = 0.0_f64;
        for (place, kind) in KINDS.into_iter().enumerate() {
            let values: Vec<f64> = members.iter().filter(|one| one.kind == kind).map(|one| one.distance).collect();
            if values.is_empty() {
                continue;
            }
            seen[place] = true;
            let found = bins(&values, low, high, count);
            let width = (high - low) / count as f64;
            let density = |count: usize| count as f64 / (values.len() as f64 * width);
            let mut points = vec![(found.edges[0], 0.0)];
            for (bin, &count) in found.counts.iter().enumerate() {
                points.push((found.edges[bin], density(count)));
                points.push((found.edges[bin + 1], density(count)));
                tallest = tallest.max(density(count));
            }
            points.push((high, 0.0));
            let color = category(place);
            panel.marks.push(Mark::Area { points: points.clone(), fill: color, opacity: 0.18, outline: None });
            panel.marks.push(Mark::Line { points, stroke: Stroke::new(color, 1.8).dashed(DASHES[place]) });
        }
        panel.y = Axis::from_zero([tallest]);
    }
    figure.legend = (0..3)
        .filter(|&place| seen[place])
        .map(|place| LegendItem::new(Swatch::Line(category(place), DASHES[place]), KINDS[place].title()))
        .collect();
    figure.caption.push("Each curve has the area 1, so that kinds with many pairs do not hide the others.".to_owned());
    finish(source, &mut figure, 0);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

pub(super) fn violin_figure(source: &Source<'_>) -> Result<Result<Figure, Skip>, ExportError> {
    let (mut figure, facets) = match figure(source, "Distances between persistence diagrams, by what runs share")? {
        Ok(found) => found,
        Err(skip) => return Ok(Err(skip)),
    };
    let used: Vec<usize> =
        (0..3).filter(|&place| facets.members.iter().flatten().any(|one| one.kind == KINDS[place])).collect();
    figure.columns = figure.columns.min(2);
    figure.panel_height = Some(used.len() as f64 * 62.0 + 20.0);
    for (panel, members) in figure.panels.iter_mut().zip(&facets.members) {
        let mut names = Vec::new();
        for (row, &place) in used.iter().enumerate() {
            let values: Vec<f64> =
                members.iter().filter(|one| one.kind == KINDS[place]).map(|one| one.distance).collect();
            names.push(format!("{} ({})", KINDS[place].title(), values.len()));
            panel.marks.extend(violin(&values, row, &panel.x, category(place)));
        }
        panel.y = Axis::Band(names);
    }
    figure.caption.push(EXPLAINED.to_owned());
    finish(source, &mut figure, 0);
    Ok(Ok(figure))
}

pub(super) fn violin_chart(source: &Source<'_>) -> Result<Outcome, ExportError> {
    Ok(violin_figure(source)?.map(|figure| vec![Chart::of("", &figure)]))
}
