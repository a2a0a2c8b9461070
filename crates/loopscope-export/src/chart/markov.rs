//! The chain of clusters: as a graph, and its timescales against its lag.

use loopscope_core::analysis::detail::{ChainDetail, ClusterDetail, TimescaleDetail};

use super::barcode::part;
use super::clusters::color_of;
use super::facet::{Facets, Names, columns, counted, finish, noted, subtitle, trajectories};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{INK, NEUTRAL, category, ink_on};
use crate::figure::font;
use crate::figure::{Anchor, Axis, Dash, Figure, LegendItem, Mark, Panel, Shape, Stroke, Swatch};

/// States of a graph: the likeliest.
const STATES_MAX: usize = 12;
/// Size of their names, in pixels.
const NAME: f64 = 11.5;
/// Rarer transitions than this are not drawn.
const PROBABILITY_MIN: f64 = 0.03;
/// Radii of states, in pixels.
const RADIUS: (f64, f64) = (9.0, 30.0);
/// The lags of timescales, in turns; longer ones than a quarter of the runs are left out.
const LAGS: [usize; 10] = [1, 2, 3, 4, 5, 7, 10, 14, 20, 30];

pub(super) fn graph(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let found = match source.clusters()? {
        Ok(found) => found,
        Err(skip) => return Ok(Err(skip)),
    };
    let mut charts = Vec::new();
    for clusters in found {
        let chains: Vec<ChainDetail> =
            source.details().chains(clusters)?.into_iter().filter(|c| c.active.len() > 1).collect();
        if chains.is_empty() {
            continue;
        }
        let names = Names::of("Clusters, by the output in their middle", &clusters.names);
        let facets =
            Facets::of(&chains, |chain| vec![source.short_network(&chain.network).to_owned(), place(source, chain)]);
        let (titles, shared) = facets.titles();
        let mut figure = Figure::new("Chain of clusters");
        figure.subtitle = subtitle(source, &joined(clusters.embedder.as_str(), &shared));
        figure.columns = chains.len().clamp(1, 2);
        figure.panel_height = Some(if chains.len() == 1 { 560.0 } else { 470.0 });
        for (title, chain) in titles.into_iter().zip(facets.members.iter().map(|members| members[0])) {
            let kept =
                format!("{}, {:.0} % of transitions", counted(chain.active.len(), "state"), chain.share_kept * 100.0);
            let title = noted(&title, &kept);
            let bare = Axis::Bare { low: 0.0, high: 1.0 };
            figure.panels.push(Panel {
                title,
                x: bare.clone(),
                y: bare,
                marks: graph_marks(chain, &names, chains.len()),
            });
        }
        let undrawn = chains.iter().map(|chain| chain.active.len().saturating_sub(STATES_MAX)).max().unwrap_or(0);
        figure.caption.push(format!(
            "Circles: clusters of the active set (all reach each other), their area the stationary probability; arrows: probability of going there a lag of {} later, wider and darker \
             the likelier, from {} % on. Maximum likelihood, not made reversible; no transition bridges an outlier. n = {}.{}",
            counted(source.details().options().lag, "turn"),
            PROBABILITY_MIN * 100.0,
            trajectories(chains.iter().map(|chain| chain.runs).sum()),
            if undrawn > 0 { format!(" The {STATES_MAX} likeliest states are drawn.") } else { String::new() }
        ));
        let named = chains.iter().flat_map(|chain| chain.active.iter().copied()).max().map_or(0, |last| last + 1);
        figure.caption.extend(names.key_of(named));
        finish(source, &mut figure, 0);
        charts.push(Chart::of(part(source, clusters.embedder.as_str()), &figure));
    }
    if charts.is_empty() {
        return Ok(Err(Skip::new(
            "no chain has two clusters that reach each other; `loopscope analyse markov` shows what there is",
        )));
    }
    Ok(Ok(charts))
}

fn place(source: &Source<'_>, chain: &ChainDetail) -> String {
    let has_one = source.details().runs().all(|run| run.run.key.network.len() <= 2);
    if has_one { String::new() } else { format!("of {}", chain.place) }
}

fn joined(first: &str, rest: &str) -> String {
    if rest.is_empty() { first.to_owned() } else { format!("{first} · {rest}") }
}

fn graph_marks(chain: &ChainDetail, names: &Names, panels: usize) -> Vec<Mark> {
    let mut order: Vec<usize> = (0..chain.active.len()).collect();
    order.sort_by(|&a, &b| chain.stationary[b].total_cmp(&chain.stationary[a]).then(a.cmp(&b)));
    order.truncate(STATES_MAX);
    let count = order.len();
    let largest = chain.stationary.iter().copied().fold(0.0, f64::max).max(1e-12);
    let radius = |state: usize| RADIUS.0 + (RADIUS.1 - RADIUS.0) * (chain.stationary[state] / largest).sqrt();
    // A panel is wider than high; the circle of states leaves room for their names on both sides.
    let across = if panels == 1 { 0.24 } else { 0.22 };
    let at = |place: usize| {
        let angle = std::f64::consts::TAU * place as f64 / count as f64 - std::f64::consts::FRAC_PI_2;
        (0.5 + across * angle.cos(), 0.5 - 0.34 * angle.sin())
    };
    let mut marks = Vec::new();
    for (from_place, &from) in order.iter().enumerate() {
        for (to_place, &to) in order.iter().enumerate() {
            let probability = chain.probabilities[from][to];
            if probability >= PROBABILITY_MIN {
                let stroke = Stroke::new(INK, 0.7 + 4.0 * probability).faded(0.25 + 0.6 * probability);
                marks.push(Mark::Arrow {
                    from: at(from_place),
                    to: at(to_place),
                    radii: (radius(from), radius(to)),
                    stroke,
                });
            }
        }
    }
    for (place, &state) in order.iter().enumerate() {
        let cluster = chain.active[state];
        let fill = color_of(Some(cluster));
        let (x, y) = at(place);
        let points = vec![(x, y)];
        marks.push(Mark::Dots {
            points,
            radius: radius(state),
            shape: Shape::Circle,
            fill,
            opacity: 1.0,
            outline: Some(INK),
        });
        let share = format!("{:.0} %", chain.stationary[state] * 100.0);
        if radius(state) > 15.0 {
            marks.push(text((x, y), &share, 11.0, true, ink_on(fill), Anchor::Middle, (0.0, 4.0), 60.0));
        }
        // Names stand outside, beyond the loop of a state that stays.
        let stays = chain.probabilities[state][state] >= PROBABILITY_MIN;
        let beyond = radius(state) + if stays { 20.0 } else { 6.0 };
        let angle = std::f64::consts::TAU * place as f64 / count as f64 - std::f64::consts::FRAC_PI_2;
        let (dx, dy) = (angle.cos(), angle.sin());
        let anchor = match dx {
            dx if dx > 0.25 => Anchor::Start,
            dx if dx < -0.25 => Anchor::End,
            _ => Anchor::Middle,
        };
        let name = names.short.get(cluster).map_or("", String::as_str);
        // Half of a panel, less what lies between its middle and the name.
        let half = if panels == 1 { 448.0 } else { 222.0 };
        let room = match anchor {
            Anchor::Middle => 1.6 * half,
            _ => half * (1.0 - 2.0 * across * dx.abs()) - dx.abs() * beyond - 6.0,
        };
        let lines = font::wrap(name, NAME, false, room, 2);
        let above = match dy {
            dy if dy < -0.5 => -2.0 - (lines.len() as f64 - 1.0) * NAME * 1.15,
            dy if dy > 0.5 => 11.0,
            _ => 4.0 - (lines.len() as f64 - 1.0) * NAME * 0.575,
        };
        for (line, words) in lines.iter().enumerate() {
            let shift = (dx * beyond, dy * beyond + above + line as f64 * NAME * 1.15);
            marks.push(text((x, y), words, NAME, false, INK, anchor, shift, f64::INFINITY));
        }
    }
    marks
}

#[expect(clippy::too_many_arguments, reason = "a text has as many properties, and two calls name them all")]
fn text(
    at: (f64, f64),
    text: &str,
    size: f64,
    is_bold: bool,
    color: crate::figure::Color,
    anchor: Anchor,
    shift: (f64, f64),
    width_max: f64,
) -> Mark {
    Mark::Text { at, text: text.to_owned(), size, is_bold, color, anchor, shift, width_max }
}

pub(super) fn timescales(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let found = match source.clusters()? {
        Ok(found) => found,
        Err(skip) => return Ok(Err(skip)),
    };
    let mut all: Vec<TimescaleDetail> = Vec::new();
    for clusters in found {
        let lags = lags(clusters);
        all.extend(source.details().timescales(clusters, &lags)?);
    }
    let mut facets = Facets::of(&all, |one| {
        vec![one.embedder.to_string(), source.short_network(&one.network).to_owned(), format!("of {}", one.place)]
    });
    // A line needs two lags.
    let drawable: Vec<bool> = facets.members.iter().map(|members| members.len() > 1).collect();
    if !drawable.contains(&true) {
        let why = "no chain has two states that reach each other at two lags; longer runs or a coarser clustering may have them";
        return Ok(Err(Skip::new(why)));
    }
    let (titles, shared) = facets.titles();
    let left_out = facets.limit();
    let finite = |values: &mut dyn Iterator<Item = f64>| {
        values.filter(|value| value.is_finite() && *value > 0.0).collect::<Vec<f64>>()
    };
    let times = finite(&mut all.iter().flat_map(|one| one.times.iter().take(3).copied()));
    let ends = finite(&mut all.iter().flat_map(|one| one.intervals.iter().flatten().flat_map(|i| [i.low, i.high])));
    let lag_max = all.iter().map(|one| one.lag).max().unwrap_or(1) as f64;
    // An interval that reaches to infinity, or to nothing, is cut at the frame.
    let top = times.iter().copied().fold(lag_max, f64::max);
    let bottom = times.iter().copied().fold(1.0, f64::min).max(top * 1e-4);
    let y = Axis::log_of(
        [bottom * 0.8, top * 3.0].into_iter().chain(ends.into_iter().filter(|e| (bottom..top * 10.0).contains(e))),
    );
    let x = Axis::Linear { low: 0.0, high: lag_max * 1.04 };
    let (floor, ceiling) = y.ends();
    let mut figure = Figure::new("Implied timescales");
    figure.subtitle = subtitle(source, &shared);
    figure.columns = columns(facets.members.len()).min(3);
    figure.x_label = "lag τ (turns)".to_owned();
    figure.y_label = "implied timescale (turns), logarithmic".to_owned();
    figure.legend = (0..3)
        .map(|place| LegendItem::new(Swatch::Line(category(place), DASHES[place]), format!("t{}", place + 2)))
        .chain([LegendItem::new(Swatch::Square([236, 236, 240]), "shorter than the lag: cannot be seen")])
        .collect();
    let mut infinite = 0;
    for (title, members) in titles.into_iter().zip(&facets.members) {
        let mut marks = Vec::new();
        let steps: Vec<f64> = (0..=60)
            .map(|i| floor.min(lag_max) + (lag_max * 1.04 - floor.min(lag_max)) * f64::from(i) / 60.0)
            .collect();
        let mut shade = vec![(steps[0], floor)];
        shade.extend(steps.iter().map(|&lag| (lag, lag.clamp(floor, ceiling))));
        shade.push((lag_max * 1.04, floor));
        marks.push(Mark::Area { points: shade, fill: NEUTRAL, opacity: 0.28, outline: None });
        for (place, dash) in DASHES.into_iter().enumerate() {
            let color = category(place);
            let bands: Vec<(f64, f64, f64)> = members
                .iter()
                .filter_map(|one| {
                    one.intervals.get(place).copied().flatten().map(|interval| (one.lag as f64, interval))
                })
                .map(|(lag, i)| (lag, i.low.clamp(floor, ceiling), i.high.clamp(floor, ceiling)))
                .collect();
            if bands.len() > 1 {
                let lower = bands.iter().map(|band| (band.0, band.1));
                let points = lower.chain(bands.iter().rev().map(|band| (band.0, band.2))).collect();
                marks.push(Mark::Area { points, fill: color, opacity: 0.16, outline: None });
            }
            let line: Vec<(f64, f64)> = members
                .iter()
                .filter_map(|one| one.times.get(place).map(|&time| (one.lag as f64, time)))
                .filter(|(_, time)| *time > 0.0)
                .inspect(|(_, time)| infinite += usize::from(time.is_infinite()))
                .map(|(lag, time)| (lag, time.clamp(floor, ceiling)))
                .collect();
            marks.push(Mark::Line { points: line.clone(), stroke: Stroke::new(color, 2.0).dashed(dash) });
            let shape = Shape::of(place);
            marks.push(Mark::Dots { points: line, radius: 3.2, shape, fill: color, opacity: 1.0, outline: None });
        }
        let runs = members.first().map_or(0, |one| one.runs);
        let title = noted(&title, &counted(runs, "run"));
        figure.panels.push(Panel { title, x: x.clone(), y: y.clone(), marks });
    }
    let bootstrap = source.details().options().bootstrap;
    figure.caption.push(format!(
        "−τ / ln |λ| of the chain of clusters estimated at each lag τ, the slowest three. Where a line is level the chain forgets as a Markov chain does. Bands of t2 and t3: {} % \
         bootstrap intervals over runs ({} resamples). n = {}.{}",
        (bootstrap.level * 100.0).round(),
        bootstrap.resamples,
        counted(source.details().runs().len(), "run"),
        if infinite > 0 { " Infinite timescales are drawn at the upper edge." } else { "" }
    ));
    finish(source, &mut figure, left_out);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

const DASHES: [Dash; 3] = [Dash::Solid, Dash::Dashed, Dash::Dotted];

fn lags(clusters: &ClusterDetail) -> Vec<usize> {
    let turns = clusters.sequences.iter().map(|sequence| sequence.labels.len()).max().unwrap_or(0);
    LAGS.into_iter().filter(|&lag| lag == 1 || lag * 4 <= turns).collect()
}
