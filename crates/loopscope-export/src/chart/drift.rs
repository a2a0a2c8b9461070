//! How far trajectories are from where they began, early to late.

use loopscope_core::analysis::detail::DriftDetail;

use super::barcode::part;
use super::density::{density, sorted};
use super::facet::{Facets, columns, finish, key_of_strand, noted, subtitle, trajectories};
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
    let from = facets.members.iter().flatten().map(|drift| drift.from).collect::<std::collections::BTreeSet<_>>();
    figure.x_label = match from.first() {
        Some(from) if facets.members.iter().flatten().all(|drift| drift.from == *from) => {
            format!("drift from the {from}: cosine distance 1 − cos")
        }
        _ => "drift: cosine distance 1 − cos".to_owned(),
    };
    figure.y_label = "turns of the network".to_owned();
    let bands = facets.members.iter().map(|members| ridges_of(members)).max().unwrap_or(1);
    figure.panel_height = Some((bands + 1) as f64 * 33.0);
    for (title, members) in titles.into_iter().zip(&facets.members) {
        let note = match members.first() {
            Some(drift) if from.len() > 1 => format!("{}, from the {}", trajectories(members.len()), drift.from),
            _ => trajectories(members.len()),
        };
        figure.panels.push(panel(noted(&title, &note), members, &x, bands));
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

fn turns_of(members: &[&DriftDetail]) -> usize {
    members.iter().map(|drift| drift.values.len()).max().unwrap_or(0).max(1)
}

fn ridges_of(members: &[&DriftDetail]) -> usize {
    RIDGES.min(turns_of(members))
}

/// Draws a panel of `bands` ridges; where it has fewer, the last are empty, so that a turn is as high in every panel.
fn panel(title: String, members: &[&DriftDetail], x: &Axis, bands: usize) -> Panel {
    let (turns, ridges) = (turns_of(members), ridges_of(members));
    let mut names = vec![String::new()];
    let (mut marks, mut medians) = (Vec::new(), Vec::new());
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
        medians.push((middle, base - 0.12));
    }
    // Over all ridges: each reaches over the foot of the one before it.
    marks.push(Mark::Dots {
        points: medians,
        radius: 3.0,
        shape: Shape::Circle,
        fill: PAPER,
        opacity: 1.0,
        outline: Some(INK),
    });
    names.resize(bands + 1, String::new());
    Panel { title, x: x.clone(), y: Axis::Band(names), marks }
}
