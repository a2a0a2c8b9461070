//! Embeddings in a plane, with the way that each run took.

use loopscope_core::analysis::detail::StrandKey;

use super::barcode::part;
use super::facet::{Names, PANELS_MAX, columns, finish, noted, prompt_of_runs, prompts, subtitle, trajectories};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{INK, NEUTRAL, PAPER, category};
use crate::figure::{Axis, Color, Figure, LegendItem, Mark, Panel, Shape, Stroke, Swatch};

/// Trajectories of a panel that are drawn in colours of their own; the rest are grey like all others.
const TRAJECTORIES_MAX: usize = 5;

pub(super) fn map(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let prompts = prompts(source);
    let (names, prompt_of) = (Names::of("Prompts", &prompts), prompt_of_runs(source, &prompts));
    let mut charts = Vec::new();
    for plane in source.details().projections()? {
        let every: Vec<(f64, f64)> =
            plane.strands.iter().flat_map(|(_, points)| points.iter().map(|point| (point[0], point[1]))).collect();
        let (x, y) = (margin(every.iter().map(|point| point.0)), margin(every.iter().map(|point| point.1)));
        let mut figure = Figure::new("Map of embeddings");
        figure.subtitle = subtitle(source, plane.embedder.as_str());
        let panels = prompts.len().min(PANELS_MAX);
        figure.columns = columns(panels);
        figure.panel_height = Some(if panels == 1 { 520.0 } else { 960.0 / figure.columns as f64 * 0.72 });
        let percent = |share: f64| format!("{:.0} %", share * 100.0);
        figure.x_label = format!("principal component 1 ({} of the variance)", percent(plane.shares[0]));
        figure.y_label = format!("component 2 ({})", percent(plane.shares[1]));
        figure.legend = (0..TRAJECTORIES_MAX.min(most_runs(&plane.strands, &prompt_of, prompts.len())))
            .map(|place| {
                LegendItem::new(
                    Swatch::Line(category(place), crate::figure::Dash::Solid),
                    format!("trajectory {}", place + 1),
                )
            })
            .collect();
        figure.legend.push(LegendItem::new(Swatch::Ring(INK), "first output"));
        figure.legend.push(LegendItem::new(Swatch::Dot(INK, Shape::Diamond), "last output"));
        figure.legend.push(LegendItem::new(Swatch::Dot(NEUTRAL, Shape::Circle), "all outputs"));
        let mut grey = 0;
        for prompt in 0..panels {
            let opacity = (400.0 / every.len() as f64).clamp(0.15, 0.6);
            let (shape, fill) = (Shape::Circle, NEUTRAL);
            let mut marks =
                vec![Mark::Dots { points: every.clone(), radius: 1.8, shape, fill, opacity, outline: None }];
            let own: Vec<_> = plane.strands.iter().filter(|(key, _)| prompt_of[key.run] == prompt).collect();
            grey += own.len().saturating_sub(TRAJECTORIES_MAX);
            for (place, (_, points)) in own.iter().take(TRAJECTORIES_MAX).enumerate() {
                let points: Vec<(f64, f64)> = points.iter().map(|point| (point[0], point[1])).collect();
                marks.extend(trajectory(&points, category(place)));
            }
            let title = noted(&names.short[prompt], &trajectories(own.len()));
            figure.panels.push(Panel { title, x: x.clone(), y: y.clone(), marks });
        }
        figure.caption.push(format!(
            "Linear projection of all embeddings, n = {}, onto their first two principal components, which keep {} of the variance: what lies apart here is apart, what lies together may not \
             be. Every panel has the same axes.{}",
            every.len(),
            percent(plane.shares[0] + plane.shares[1]),
            if grey > 0 { format!(" The first {TRAJECTORIES_MAX} trajectories of a prompt have their way drawn, {grey} are points only.") } else { String::new() }
        ));
        figure.caption.extend(names.key.clone());
        finish(source, &mut figure, prompts.len() - panels);
        charts.push(Chart::of(part(source, plane.embedder.as_str()), &figure));
    }
    if charts.is_empty() {
        return Ok(Err(Skip::new(
            "no embedder has three embeddings that differ; `loopscope experiment resume` computes what is missing",
        )));
    }
    Ok(Ok(charts))
}

fn most_runs(strands: &[(StrandKey, Vec<[f64; 2]>)], prompt_of: &[usize], prompts: usize) -> usize {
    let count = |prompt: usize| strands.iter().filter(|(key, _)| prompt_of[key.run] == prompt).count();
    (0..prompts).map(count).max().unwrap_or(0)
}

/// Draws a way: the line, its points, where it begins and where it ends.
fn trajectory(points: &[(f64, f64)], color: Color) -> Vec<Mark> {
    let (Some(&first), Some(&last)) = (points.first(), points.last()) else { return Vec::new() };
    let one = |at, radius, shape, fill, outline| Mark::Dots {
        points: vec![at],
        radius,
        shape,
        fill,
        opacity: 1.0,
        outline: Some(outline),
    };
    vec![
        // A long way crosses itself until nothing under it shows: the longer, the fainter.
        Mark::Line {
            points: points.to_vec(),
            stroke: Stroke::new(color, 1.3).faded((40.0 / points.len() as f64).clamp(0.2, 0.75)),
        },
        Mark::Dots {
            points: points.to_vec(),
            radius: 1.7,
            shape: Shape::Circle,
            fill: color,
            opacity: 0.9,
            outline: None,
        },
        one(first, 4.0, Shape::Circle, PAPER, color),
        one(last, 4.2, Shape::Diamond, color, INK),
    ]
}

/// Returns an axis with room round its values.
fn margin(values: impl Iterator<Item = f64> + Clone) -> Axis {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let room = ((high - low) * 0.06).max(1e-6);
    Axis::Linear { low: low - room, high: high + room }
}
