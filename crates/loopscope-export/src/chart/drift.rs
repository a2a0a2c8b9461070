//! How far trajectories are from where they began, early to late.

use loopscope_core::analysis::detail::DriftDetail;

use super::barcode::part;
use super::density::{density, sorted};
use super::facet::{Facets, columns, finish, key_of_strand, subtitle, trajectories};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{INK, Map, PAPER, mix};
use crate::figure::{Axis, Figure, Mark, Panel, Shape, Stroke};

/// Ridges of a panel: an eighth of the run each.
const RIDGES: usize = 8;
/// How far a ridge may reach over those above it, in ridges.
const REACH: f64 = 1.9;

pub(super) fn ridgeline(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let drifts = source.details().drift(source.registry())?;
    if drifts.is_empty() {
        return Ok(Err(Skip::new("no embedding is stored; `loopscope experiment resume` computes them")));
    }
    let mut charts = Vec::new();
    for embedder in source.details().embedders() {
        let own: Vec<&DriftDetail> = drifts.iter().filter(|drift| drift.key.embedder == embedder).collect();
        if !own.is_empty() {
            charts.push(Chart::of(part(source, embedder.as_str()), &figure(source, &own)));
        }
    }
    Ok(Ok(charts))
}

fn figure(source: &Source<'_>, drifts: &[&DriftDetail]) -> Figure {
    let mut facets = Facets::of(drifts.iter().copied(), |drift| key_of_strand(source, &drift.key));
    let (titles, shared) = facets.titles();
    let left_out = facets.limit();
    let x = Axis::from_zero(drifts.iter().flat_map(|drift| drift.values.iter().copied()));
    let mut figure = Figure::new("Semantic drift, early to late");
    figure.subtitle = subtitle(source, &shared);
    figure.columns = columns(facets.members.len()).min(3);
    figure.is_shared = false;
    figure.x_label = "drift: cosine distance 1 − cos".to_owned();
    figure.y_label = "turns of the network".to_owned();
    figure.panel_height = Some(300.0);
    for (title, members) in titles.into_iter().zip(&facets.members) {
        let from = members.first().map_or("", |drift| drift.from);
        let panel = panel(title, members, &x);
        figure.panels.push(Panel { title: joined(&panel.title, &format!("from the {from}")), ..panel });
    }
    let continued: usize = drifts.iter().filter(|drift| drift.values.len() > drift.stored).count();
    figure.caption.push(format!(
        "Each ridge is the distribution of drift over all runs of the panel in an eighth of their turns, every ridge to its own height; white dot: median. n = {}.{}",
        trajectories(drifts.len()),
        if continued > 0 {
            format!(" {continued} stopped early because their state came back; they are continued round their cycle.")
        } else {
            String::new()
        }
    ));
    figure.caption.push(
        "Measured from the prompt's embedding where the embedder takes texts and can be called here, otherwise from the first output.".to_owned(),
    );
    finish(source, &mut figure, left_out);
    figure
}

fn joined(title: &str, rest: &str) -> String {
    if title.is_empty() { rest.to_owned() } else { format!("{title} · {rest}") }
}

fn panel(title: String, members: &[&DriftDetail], x: &Axis) -> Panel {
    let turns = members.iter().map(|drift| drift.values.len()).max().unwrap_or(0).max(1);
    let ridges = RIDGES.min(turns);
    let mut names = vec![String::new()];
    let mut marks = Vec::new();
    for ridge in 0..ridges {
        let range = ridge * turns / ridges..(ridge + 1) * turns / ridges;
        names.push(if range.len() == 1 {
            range.start.to_string()
        } else {
            format!("{}–{}", range.start, range.end - 1)
        });
        let values: Vec<f64> = members
            .iter()
            .flat_map(|drift| drift.values.get(range.start..range.end.min(drift.values.len())).unwrap_or_default())
            .copied()
            .collect();
        let color = mix(Map::Cividis.color(0.12 + 0.7 * ridge as f64 / RIDGES as f64), PAPER, 0.1);
        // The band of a ridge is one below its name's top: the first has room to reach up.
        let base = ridge as f64 + 2.0;
        let sorted = sorted(&values);
        let Some(middle) = sorted.get(sorted.len() / 2).copied() else { continue };
        if let Some(density) = density(&sorted) {
            let top = density.height.iter().copied().fold(0.0, f64::max);
            let mut points = vec![(density.at[0], base)];
            points
                .extend(density.at.iter().zip(&density.height).map(|(&at, height)| (at, base - REACH * height / top)));
            points.push((density.at[density.at.len() - 1], base));
            marks.push(Mark::Area { points: points.clone(), fill: color, opacity: 0.82, outline: None });
            marks.push(Mark::Line { points, stroke: Stroke::new(PAPER, 1.2) });
        } else {
            marks.push(Mark::Line {
                points: vec![(middle, base), (middle, base - 0.9)],
                stroke: Stroke::new(color, 3.0),
            });
        }
        marks.push(Mark::Dots {
            points: vec![(middle, base - 0.12)],
            radius: 3.0,
            shape: Shape::Circle,
            fill: PAPER,
            opacity: 1.0,
            outline: Some(INK),
        });
    }
    Panel { title, x: x.clone(), y: Axis::Band(names), marks }
}
