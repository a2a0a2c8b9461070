//! How fast runs of one network and prompt part.

use loopscope_analysis::bootstrap::quantile;
use loopscope_core::analysis::detail::{DivergenceDetail, StrandKey};

use super::barcode::part;
use super::density::sorted;
use super::facet::{Facets, Names, columns, counted, finish, key_of_strand, noted, prompt_of_runs, prompts, subtitle};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{CATEGORIES, FAINT, Map, ink_on};
use crate::figure::font;
use crate::figure::{Anchor, Axis, ColorBar, Figure, LegendItem, Mark, Panel, Shape, Stroke, Swatch};

/// Curves of a panel that are drawn one by one; the median is of all.
const CURVES_MAX: usize = 150;

pub(super) fn curves(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let pairs = match source.divergence()? {
        Ok(pairs) => pairs,
        Err(skip) => return Ok(Err(skip)),
    };
    let mut charts = Vec::new();
    for embedder in source.details().embedders() {
        let own: Vec<&DivergenceDetail> = pairs.iter().filter(|pair| pair.key.embedder == embedder).collect();
        if !own.is_empty() {
            charts.push(Chart::of(part(source, embedder.as_str()), &curves_figure(source, &own)));
        }
    }
    Ok(Ok(charts))
}

fn curves_figure(source: &Source<'_>, pairs: &[&DivergenceDetail]) -> Figure {
    let mut facets = Facets::of(pairs.iter().copied(), |pair| key_of_strand(source, &pair.key));
    let (titles, shared) = facets.titles();
    let left_out = facets.limit();
    let turns = pairs.iter().map(|pair| pair.distances.len()).max().unwrap_or(1);
    let x = Axis::Linear { low: 0.0, high: (turns.saturating_sub(1)).max(1) as f64 };
    let y = Axis::from_zero(pairs.iter().flat_map(|pair| pair.distances.iter().copied()));
    let color = CATEGORIES[0];
    let mut figure = Figure::new("Divergence of runs of one network and prompt");
    figure.subtitle = subtitle(source, &shared);
    figure.columns = columns(facets.members.len()).min(3);
    figure.x_label = "turn of the network".to_owned();
    figure.y_label = "Euclidean distance at the same turn".to_owned();
    figure.legend = vec![
        LegendItem::new(Swatch::Line(color, crate::figure::Dash::Solid), "median of pairs"),
        LegendItem::new(Swatch::Square(crate::figure::color::mix(color, [255; 3], 0.7)), "middle half of pairs"),
        LegendItem::new(Swatch::Line(FAINT, crate::figure::Dash::Solid), "one pair"),
    ];
    let mut undrawn = 0;
    for (title, members) in titles.into_iter().zip(&facets.members) {
        let mut marks = Vec::new();
        undrawn += members.len().saturating_sub(CURVES_MAX);
        let opacity = (12.0 / members.len() as f64).clamp(0.06, 0.4);
        // Evenly chosen where there are too many.
        let shown = members.len().min(CURVES_MAX);
        for place in 0..shown {
            let pair = members[place * members.len() / shown];
            let points: Vec<(f64, f64)> = (0..).map(f64::from).zip(pair.distances.iter().copied()).collect();
            let look = if points.len() == 1 {
                Mark::Dots { points, radius: 2.0, shape: Shape::Circle, fill: FAINT, opacity, outline: None }
            } else {
                Mark::Line { points, stroke: Stroke::new(FAINT, 1.0).faded(opacity) }
            };
            marks.push(look);
        }
        let (mut low, mut middle, mut high) = (Vec::new(), Vec::new(), Vec::new());
        for turn in 0..turns {
            let values =
                sorted(&members.iter().filter_map(|pair| pair.distances.get(turn).copied()).collect::<Vec<f64>>());
            if !values.is_empty() {
                low.push((turn as f64, quantile(&values, 0.25)));
                middle.push((turn as f64, quantile(&values, 0.5)));
                high.push((turn as f64, quantile(&values, 0.75)));
            }
        }
        let band = low.into_iter().chain(high.into_iter().rev()).collect();
        marks.push(Mark::Area { points: band, fill: color, opacity: 0.28, outline: None });
        marks.push(Mark::Line { points: middle, stroke: Stroke::new(color, 2.4) });
        let title = noted(&title, &counted(members.len(), "pair"));
        figure.panels.push(Panel { title, x: x.clone(), y: y.clone(), marks });
    }
    let continued = source.details().runs().filter(|run| run.cycle.is_some()).count();
    figure.caption.push(format!(
        "Distances between embeddings as stored, of pairs of runs with the same network and prompt and other seeds. n = {}{}.{}",
        counted(pairs.len(), "pair"),
        if undrawn > 0 { format!("; {undrawn} are in the median and not drawn") } else { String::new() },
        if continued > 0 {
            format!(" {} stopped early because their state came back; they are continued round their cycle.", counted(continued, "run"))
        } else {
            String::new()
        }
    ));
    finish(source, &mut figure, left_out);
    figure
}

pub(super) fn heatmap(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let pairs = match source.divergence()? {
        Ok(pairs) => pairs,
        Err(skip) => return Ok(Err(skip)),
    };
    if pairs.iter().all(|pair| pair.exponent.is_none()) {
        return Ok(Err(Skip::new(
            "no pair of runs has two distances above 0, so that there is no exponent: they never part",
        )));
    }
    let prompts = prompts(source);
    let (names, prompt_of) = (Names::of("Prompts", &prompts), prompt_of_runs(source, &prompts));
    let facets = Facets::of(pairs, |pair| vec![pair.key.embedder.to_string()]);
    let (titles, shared) = facets.titles();
    // Networks and places are the columns of an embedder's panel.
    let mut cells: Vec<Vec<(usize, usize, Cell)>> = Vec::new();
    let mut names_of_columns = Vec::new();
    for members in &facets.members {
        let mut columns: Vec<(usize, usize)> = members.iter().map(|pair| column_key(source, pair)).collect();
        columns.sort_unstable();
        columns.dedup();
        let named = columns.iter().map(|column| {
            let pair = members.iter().find(|pair| column_key(source, pair) == *column);
            pair.map_or_else(String::new, |pair| column_name(source, &pair.key))
        });
        names_of_columns.push(named.collect::<Vec<String>>());
        let column_of = |pair: &DivergenceDetail| columns.binary_search(&column_key(source, pair)).unwrap_or_default();
        let mut by_cell: std::collections::BTreeMap<(usize, usize), Vec<&DivergenceDetail>> =
            std::collections::BTreeMap::new();
        for pair in members {
            by_cell.entry((column_of(pair), prompt_of[pair.key.run])).or_default().push(pair);
        }
        cells.push(by_cell.into_iter().map(|((column, row), pairs)| (column, row, Cell::of(&pairs))).collect());
    }
    let largest =
        cells.iter().flatten().filter_map(|(_, _, cell)| cell.rate).map(f64::abs).fold(0.0, f64::max).max(1e-9);
    let mut figure = Figure::new("Finite-time Lyapunov exponents");
    figure.subtitle = subtitle(source, &shared);
    let widest = names_of_columns.iter().map(Vec::len).max().unwrap_or(1);
    figure.columns = if widest > 2 { 1 } else { facets.members.len().clamp(1, 3) };
    figure.is_shared = names_of_columns.iter().all(|names| *names == names_of_columns[0]);
    figure.panel_height = Some((prompts.len() as f64 * 42.0).clamp(60.0, 1200.0));
    // Small exponents have the digits that tell them apart.
    let digits = if largest < 0.02 { ((1.5 - largest.log10()).ceil() as usize).clamp(3, 6) } else { 3 };
    // What a cell has room for: beside all of them stand the names of prompts.
    let room = (700.0 / figure.columns as f64 / widest as f64).min(150.0) - 4.0;
    figure.panel_width_max = 130.0 * widest as f64 + 120.0;
    figure.color_bar =
        Some(ColorBar { title: "λ (nats a turn)".to_owned(), map: Map::Signed, low: -largest, high: largest });
    for ((title, cells), column_names) in titles.into_iter().zip(&cells).zip(names_of_columns) {
        let mut marks = Vec::new();
        for (column, row, cell) in cells {
            let (left, top) = (*column as f64, *row as f64);
            let fill = cell.rate.map_or([236, 236, 240], |rate| Map::Signed.color(0.5 + 0.5 * rate / largest));
            marks.push(Mark::Cells { cells: vec![(left, left + 1.0, top, top + 1.0)], fill, opacity: 1.0, gap: 2.0 });
            let mut write = |text: String, size: f64, shift: f64, is_bold: bool| {
                marks.push(Mark::Text {
                    at: (left + 0.5, top + 0.5),
                    text,
                    size,
                    is_bold,
                    color: ink_on(fill),
                    anchor: Anchor::Middle,
                    shift: (0.0, shift),
                    width_max: room,
                });
            };
            let size = if room >= 44.0 { 12.5 } else { 10.0 };
            write(cell.headline(digits), size, -1.0, true);
            if let Some(detail) = cell.details().into_iter().find(|text| font::width(text, 10.0, false) <= room) {
                write(detail, 10.0, 12.0, false);
            }
        }
        let (x, y) = (Axis::Band(column_names), Axis::Band(names.short.clone()));
        figure.panels.push(Panel { title, x, y, marks });
    }
    figure.caption.push(format!(
        "λ, in nats a turn: slope of the logarithm of the distance between two runs over all their turns, mean over pairs; R²: mean of the fits. * more than half of the pairs are saturated: \
         there λ says how large the space is and is no exponent. n = {}.",
        counted(pairs.len(), "pair")
    ));
    figure.caption.extend(names.key);
    finish(source, &mut figure, 0);
    Ok(Ok(vec![Chart::of("", &figure)]))
}

/// Orders columns as the experiment has its networks, so that all panels have one order.
fn column_key(source: &Source<'_>, pair: &DivergenceDetail) -> (usize, usize) {
    (source.network_place(pair.key.run), pair.key.position)
}

/// Names a network, and the place first where it has several: a long network must not cut it off.
fn column_name(source: &Source<'_>, key: &StrandKey) -> String {
    let parts = key_of_strand(source, key);
    match parts[2].strip_prefix("of ") {
        Some(place) => format!("{place} in {}", parts[1]),
        None => parts[1].clone(),
    }
}

/// What is written of one prompt and network.
struct Cell {
    rate: Option<f64>,
    r_squared: f64,
    is_saturated: bool,
    pairs: usize,
}

impl Cell {
    fn of(pairs: &[&DivergenceDetail]) -> Self {
        let fits: Vec<_> = pairs.iter().filter_map(|pair| pair.exponent).collect();
        let mean = |of: fn(&loopscope_analysis::dynamics::FiniteTimeLyapunov) -> f64| {
            fits.iter().map(of).sum::<f64>() / fits.len() as f64
        };
        let saturated = fits.iter().filter(|fit| fit.saturated > 0.5).count();
        Self {
            rate: (!fits.is_empty()).then(|| mean(|fit| fit.rate)),
            r_squared: if fits.is_empty() { 0.0 } else { mean(|fit| fit.r_squared) },
            is_saturated: 2 * saturated > pairs.len(),
            pairs: pairs.len(),
        }
    }

    fn headline(&self, digits: usize) -> String {
        match self.rate {
            Some(rate) => {
                let text = format!("{rate:.digits$}");
                // No minus before nothing.
                let is_zero = text.chars().all(|letter| matches!(letter, '-' | '0' | '.'));
                let text = if is_zero { text.replace('-', "") } else { text.replace('-', "−") };
                format!("{text}{}", if self.is_saturated { "*" } else { "" })
            }
            None => "together".to_owned(),
        }
    }

    /// Returns what the rate rests on, the longest first.
    fn details(&self) -> Vec<String> {
        let pairs = counted(self.pairs, "pair");
        match self.rate {
            Some(_) => vec![format!("R² {:.2}, {pairs}", self.r_squared), format!("R² {:.2}", self.r_squared)],
            None => vec![pairs],
        }
    }
}
