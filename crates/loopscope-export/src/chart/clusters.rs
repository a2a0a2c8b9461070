//! Clusters: which, how many, how long, and what follows what.

mod stays;

use std::collections::BTreeMap;

use loopscope_analysis::symbolic::{Bigram, DwellTimes, bigrams, dwell_times, run_lengths as lengths_of_runs};
use loopscope_core::analysis::detail::{ClusterDetail, LabelSequence};

use super::facet::{
    Facets, Names, columns, counted, finish, key_of_strand, noted, prompt_of_runs, prompts, rows_of_clusters, run_name,
    subtitle,
};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{CATEGORIES, FAINT, FRAME, INK, Map, NEUTRAL, category, ink_on, mix};
use crate::figure::{Anchor, Axis, Color, ColorBar, Figure, LegendItem, Mark, Panel, Shape, Stroke, Swatch};

pub(super) use stays::{run_length_violin, run_lengths};

/// Clusters of a chart that has a row for each.
const CLUSTERS_MAX: usize = 14;
/// Rows of a histogram of all clusters.
const BARS_MAX: usize = 60;
/// The largest radius of a bubble, in pixels.
const BUBBLE_MAX: f64 = 17.0;

const REST: Color = [120, 120, 130];
const OUTLIER: Color = [226, 226, 231];

/// Returns the colour of a cluster: the largest have their own.
pub(super) fn color_of(cluster: Option<usize>) -> Color {
    match cluster {
        None => OUTLIER,
        Some(cluster) if cluster < CATEGORIES.len() => category(cluster),
        Some(_) => REST,
    }
}

/// What charts of one clustering begin with.
struct Sheet<'s> {
    clusters: &'s ClusterDetail,
    names: Names,
}

impl<'s> Sheet<'s> {
    fn all(source: &'s Source<'_>) -> Result<Result<Vec<Self>, Skip>, ExportError> {
        let found = match source.clusters()? {
            Ok(found) => found,
            Err(skip) => return Ok(Err(skip)),
        };
        let sheets: Vec<Self> = found
            .iter()
            .filter(|clusters| !clusters.names.is_empty())
            .map(|clusters| {
                let shown: Vec<String> = clusters.names.iter().take(BARS_MAX).cloned().collect();
                Self { clusters, names: Names::of("Clusters, by the output in their middle", &shown) }
            })
            .collect();
        if sheets.is_empty() {
            let why = "the clustering has no cluster of this experiment, only outliers; `loopscope cluster run --preset reference` is less strict";
            return Ok(Err(Skip::new(why)));
        }
        Ok(Ok(sheets))
    }

    fn facets(&self, source: &Source<'_>) -> Facets<&'s LabelSequence> {
        Facets::of(&self.clusters.sequences, |sequence| key_of_strand(source, &sequence.key))
    }

    fn labels(members: &[&LabelSequence]) -> Vec<Vec<Option<usize>>> {
        members.iter().map(|sequence| sequence.labels.clone()).collect()
    }

    /// Says which clustering it is, and what time means.
    fn caption(&self, figure: &mut Figure) {
        let clustering = &self.clusters.clustering;
        let id = &clustering.id[clustering.id.len().saturating_sub(8)..];
        let continued = self.clusters.sequences.iter().filter(|s| s.labels.len() > s.stored).count();
        let mut text = format!(
            "{} clustering {id} of {}: {}, {} of {} outliers{}. n = {} trajectories.",
            clustering.algorithm,
            clustering.embedding_model,
            counted(clustering.clusters as usize, "cluster"),
            clustering.outliers,
            counted(clustering.members as usize, "embedding"),
            match self.clusters.uncovered {
                0 => String::new(),
                more => format!("; {more} outputs are not in it and count as outliers"),
            },
            self.clusters.sequences.len()
        );
        if continued > 0 {
            text += &format!(
                " {continued} stopped early because their state came back; they are continued round their cycle."
            );
        }
        figure.caption.push(text);
    }

    /// Ends a chart that names the first `shown` clusters.
    fn finish(&self, source: &Source<'_>, mut figure: Figure, shown: usize, left_out: usize) -> Chart {
        self.caption(&mut figure);
        figure.caption.extend(self.names.key_of(shown));
        finish(source, &mut figure, left_out);
        Chart::of(super::barcode::part(source, self.clusters.embedder.as_str()), &figure)
    }
}

fn each(
    source: &Source<'_>,
    mut make: impl FnMut(&Sheet<'_>) -> Result<Result<Chart, Skip>, ExportError>,
) -> Result<Outcome, ExportError> {
    let sheets = match Sheet::all(source)? {
        Ok(sheets) => sheets,
        Err(skip) => return Ok(Err(skip)),
    };
    let (mut charts, mut skipped) = (Vec::new(), None);
    for sheet in &sheets {
        match make(sheet)? {
            Ok(chart) => charts.push(chart),
            Err(skip) => skipped = Some(skip),
        }
    }
    Ok(match (charts.is_empty(), skipped) {
        (true, Some(skip)) => Err(skip),
        _ => Ok(charts),
    })
}

pub(super) fn timelines(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let prompts = prompts(source);
    let (prompt_names, prompt_of) = (Names::of("Prompts", &prompts), prompt_of_runs(source, &prompts));
    each(source, |sheet| {
        let mut facets = sheet.facets(source);
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        let turns = facets.members.iter().flatten().map(|sequence| sequence.labels.len()).max().unwrap_or(1).max(1);
        let mut figure = Figure::new("Cluster timelines");
        figure.subtitle = subtitle(source, &shared);
        figure.columns = columns(facets.members.len()).min(2);
        figure.is_shared = false;
        figure.x_label = "turn of the network".to_owned();
        let rows = facets.members.iter().map(Vec::len).max().unwrap_or(1);
        // Many panels have low rows, and name prompts rather than runs.
        let highest = if facets.members.len() > 6 { 8.0 } else { 24.0 };
        let row_height = (620.0 / rows as f64).clamp(4.0, highest);
        figure.panel_height = Some(rows as f64 * row_height);
        let shown = sheet.names.short.len().min(CATEGORIES.len());
        figure.legend = (0..shown)
            .map(|cluster| LegendItem::new(Swatch::Square(color_of(Some(cluster))), &*sheet.names.short[cluster]))
            .collect();
        if sheet.clusters.names.len() > shown {
            let rest = sheet.clusters.names.len() - shown;
            figure.legend.push(LegendItem::new(Swatch::Square(REST), format!("{rest} smaller clusters")));
        }
        figure.legend.push(LegendItem::new(Swatch::Square(OUTLIER), "outlier"));
        for (title, members) in titles.into_iter().zip(&facets.members) {
            let mut rows: Vec<&LabelSequence> = members.clone();
            rows.sort_by_key(|sequence| (prompt_of[sequence.key.run], sequence.key.run));
            let mut cells: BTreeMap<Color, Vec<(f64, f64, f64, f64)>> = BTreeMap::new();
            let mut marks = Vec::new();
            for (row, sequence) in rows.iter().enumerate() {
                let mut turn = 0.0;
                for (label, length) in lengths_of_runs(&sequence.labels) {
                    let end = turn + length as f64;
                    cells.entry(color_of(label)).or_default().push((turn, end, row as f64, row as f64 + 1.0));
                    turn = end;
                }
            }
            let gap = if row_height >= 7.0 { 1.0 } else { 0.0 };
            for (fill, cells) in cells {
                marks.push(Mark::Cells { cells, fill, opacity: 1.0, gap });
            }
            for (row, sequence) in rows.iter().enumerate() {
                // What continues a cycle was not computed: a line over it says so.
                if sequence.labels.len() > sequence.stored {
                    let y = row as f64 + 0.5;
                    marks.push(Mark::Line {
                        points: vec![(sequence.stored as f64, y), (sequence.labels.len() as f64, y)],
                        stroke: Stroke::new([255; 3], 1.4).faded(0.8),
                    });
                }
            }
            for row in 1..rows.len() {
                if prompt_of[rows[row].key.run] != prompt_of[rows[row - 1].key.run] {
                    marks.push(Mark::Line {
                        points: vec![(0.0, row as f64), (turns as f64, row as f64)],
                        stroke: Stroke::new(INK, 1.2),
                    });
                }
            }
            let x = Axis::Linear { low: 0.0, high: turns as f64 };
            let y = Axis::Band(row_names(source, &rows, &prompt_of, &prompt_names, row_height));
            figure.panels.push(Panel { title, x, y, marks });
        }
        // Where all panels have the same rows, those beside each other share their names.
        figure.is_shared = figure.panels.iter().all(|panel| panel.y == figure.panels[0].y);
        if figure.is_shared {
            figure.columns = columns(facets.members.len()).min(3);
        }
        figure
            .caption
            .push("One row a run, by prompt; a white line: the run stopped in a cycle, which is continued.".to_owned());
        figure.caption.extend(prompt_names.key.clone());
        Ok(Ok(sheet.finish(source, figure, shown, left_out)))
    })
}

/// Names rows: each run where there is room, otherwise each prompt in the middle of its rows.
fn row_names(
    source: &Source<'_>,
    rows: &[&LabelSequence],
    prompt_of: &[usize],
    prompts: &Names,
    row_height: f64,
) -> Vec<String> {
    let prompt = |row: usize| prompt_of[rows[row].key.run];
    let mut names = vec![String::new(); rows.len()];
    let mut first = 0;
    for row in 1..=rows.len() {
        if row < rows.len() && prompt(row) == prompt(first) {
            continue;
        }
        if row_height >= 12.5 {
            for place in first..row {
                let name = run_name(source, rows[place].key.run);
                names[place] =
                    if place == first { format!("{} · {name}", prompts.short[prompt(first)]) } else { name };
            }
        } else {
            names[first + (row - first - 1) / 2].clone_from(&prompts.short[prompt(first)]);
        }
        first = row;
    }
    names
}

pub(super) fn histogram(source: &Source<'_>, top: Option<usize>) -> Result<Outcome, ExportError> {
    each(source, |sheet| {
        let mut facets = sheet.facets(source);
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        let most = top.unwrap_or_else(|| (4 * BARS_MAX / facets.members.len().max(4)).max(8));
        let shown = sheet.names.short.len().min(most).max(1);
        let title = if top.is_some() {
            format!("The {} largest clusters", shown)
        } else {
            "Outputs of each cluster".to_owned()
        };
        let mut figure = Figure::new(title);
        figure.subtitle = subtitle(source, &shared);
        figure.columns = columns(facets.members.len()).min(3);
        figure.x_label = "outputs, as stored".to_owned();
        let counts: Vec<(Vec<usize>, usize)> =
            facets.members.iter().map(|members| stored_counts(members, sheet)).collect();
        let largest = counts.iter().flat_map(|(counts, outliers)| {
            let rest: usize = counts[shown..].iter().sum();
            counts[..shown].iter().copied().chain([rest, *outliers])
        });
        let x = Axis::from_zero([largest.max().unwrap_or(1) as f64 * 1.12]);
        let mut names: Vec<String> = sheet.names.short[..shown].to_vec();
        let rest = sheet.clusters.names.len() - shown;
        if rest > 0 {
            names.push(format!("{rest} smaller clusters"));
        }
        names.push("outliers".to_owned());
        figure.panel_height = Some((names.len() as f64 * 19.0).max(90.0));
        for (title, (counts, outliers)) in titles.into_iter().zip(&counts) {
            let mut marks = Vec::new();
            let mut bar = |row: usize, count: usize, fill: Color| {
                let y = row as f64;
                if count > 0 {
                    marks.push(Mark::Cells {
                        cells: vec![(0.0, count as f64, y + 0.16, y + 0.84)],
                        fill,
                        opacity: 1.0,
                        gap: 0.0,
                    });
                }
                marks.push(number_beside(count as f64, y + 0.5, &count.to_string()));
            };
            (0..shown).for_each(|row| bar(row, counts[row], color_of(Some(row))));
            if rest > 0 {
                bar(shown, counts[shown..].iter().sum(), REST);
            }
            bar(names.len() - 1, *outliers, NEUTRAL);
            figure.panels.push(Panel { title, x: x.clone(), y: Axis::Band(names.clone()), marks });
        }
        Ok(Ok(sheet.finish(source, figure, shown, left_out)))
    })
}

fn number_beside(x: f64, y: f64, text: &str) -> Mark {
    Mark::Text {
        at: (x, y),
        text: text.to_owned(),
        size: 10.5,
        is_bold: false,
        color: FAINT,
        anchor: Anchor::Start,
        shift: (5.0, 3.8),
        width_max: 80.0,
    }
}

/// Counts stored outputs by cluster, and outliers.
fn stored_counts(members: &[&LabelSequence], sheet: &Sheet<'_>) -> (Vec<usize>, usize) {
    let (mut counts, mut outliers) = (vec![0; sheet.clusters.names.len()], 0);
    for label in members.iter().flat_map(|sequence| &sequence.labels[..sequence.stored]) {
        match label {
            Some(cluster) => counts[*cluster] += 1,
            None => outliers += 1,
        }
    }
    (counts, outliers)
}

pub(super) fn bubble_grid(source: &Source<'_>) -> Result<Outcome, ExportError> {
    grid(source, "Clusters by prompt", "share of the prompt's outputs", |members, cluster, _| {
        let all: usize = members.iter().map(|sequence| sequence.stored).sum();
        let labels = members.iter().flat_map(|sequence| &sequence.labels[..sequence.stored]);
        let inside = labels.filter(|label| **label == Some(cluster)).count();
        (inside > 0).then(|| (inside as f64 / all as f64, inside))
    })
}

pub(super) fn run_length_bubble_grid(source: &Source<'_>) -> Result<Outcome, ExportError> {
    grid(source, "Mean run length of clusters by prompt", "mean run length (turns)", |_, cluster, dwells| {
        let dwell = dwells.iter().find(|dwell| dwell.state == cluster)?;
        let lengths: Vec<usize> = dwell.complete.iter().chain(&dwell.cut).copied().collect();
        Some((lengths.iter().sum::<usize>() as f64 / lengths.len() as f64, lengths.len()))
    })
}

/// Bubbles of clusters (rows) and prompts (columns): the area is what `value` returns, with how many it rests on.
fn grid(
    source: &Source<'_>,
    title: &str,
    meaning: &str,
    value: impl Fn(&[&LabelSequence], usize, &[DwellTimes<usize>]) -> Option<(f64, usize)>,
) -> Result<Outcome, ExportError> {
    let prompts = prompts(source);
    let (prompt_names, prompt_of) = (Names::of("Prompts", &prompts), prompt_of_runs(source, &prompts));
    each(source, |sheet| {
        let mut facets = sheet.facets(source);
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        let shown = sheet.names.short.len().min(rows_of_clusters(CLUSTERS_MAX, facets.members.len()));
        let values: Vec<Vec<(usize, usize, f64, usize)>> = facets
            .members
            .iter()
            .map(|members| {
                let mut cells = Vec::new();
                for prompt in 0..prompts.len() {
                    let of_prompt: Vec<&LabelSequence> =
                        members.iter().filter(|s| prompt_of[s.key.run] == prompt).copied().collect();
                    let dwells = dwell_times(&Sheet::labels(&of_prompt));
                    for cluster in 0..shown {
                        if let Some((value, count)) = value(&of_prompt, cluster, &dwells) {
                            cells.push((prompt, cluster, value, count));
                        }
                    }
                }
                cells
            })
            .collect();
        let largest = values.iter().flatten().map(|cell| cell.2).fold(0.0, f64::max).max(1e-9);
        let mut figure = Figure::new(title);
        figure.subtitle = subtitle(source, &shared);
        figure.columns = if prompts.len() > 12 { 1 } else { columns(facets.members.len()).min(2) };
        // In many panels the numbers of prompts stand for their names, which the caption has.
        let numbers = prompt_names.numbers().filter(|_| facets.members.len() > 2);
        let below = numbers.unwrap_or_else(|| prompt_names.short.clone());
        let columns = figure.columns.min(facets.members.len()).max(1) as f64;
        // Neighbours must not touch, however many prompts share the width.
        let radius_max = BUBBLE_MAX.min(700.0 / columns / prompts.len() as f64 / 2.2).max(4.0);
        let radius = |value: f64| radius_max * (value / largest).sqrt();
        figure.panel_height = Some((shown as f64 * (2.0 * radius_max + 3.0)).max(70.0));
        figure.legend = [1.0, 0.25]
            .iter()
            .map(|share| {
                let text = format!("{} {meaning}", crate::figure::brief(largest * share));
                LegendItem::new(Swatch::Size(radius(largest * share)), text)
            })
            .collect();
        for (title, cells) in titles.into_iter().zip(&values) {
            let mut marks = Vec::new();
            for row in 0..shown {
                let y = row as f64 + 0.5;
                marks.push(Mark::Line {
                    points: vec![(0.0, y), (prompts.len() as f64, y)],
                    stroke: Stroke::new([235; 3], 1.0),
                });
            }
            for &(prompt, cluster, value, _) in cells {
                let fill = mix(color_of(Some(cluster)), [255; 3], 0.1);
                marks.push(Mark::Dots {
                    points: vec![(prompt as f64 + 0.5, cluster as f64 + 0.5)],
                    radius: radius(value).max(1.0),
                    shape: Shape::Circle,
                    fill,
                    opacity: 0.9,
                    outline: None,
                });
            }
            let (x, y) = (Axis::Band(below.clone()), Axis::Band(sheet.names.short[..shown].to_vec()));
            figure.panels.push(Panel { title, x, y, marks });
        }
        let rest = sheet.clusters.names.len() - shown;
        figure.caption.push(format!(
            "The area of a bubble is the {meaning}.{}",
            if rest > 0 { format!(" {rest} smaller clusters are not drawn.") } else { String::new() }
        ));
        figure.caption.extend(prompt_names.key.clone());
        Ok(Ok(sheet.finish(source, figure, shown, left_out)))
    })
}

pub(super) fn transitions(source: &Source<'_>) -> Result<Outcome, ExportError> {
    each(source, |sheet| {
        let mut facets = sheet.facets(source);
        let (titles, shared) = facets.titles();
        let left_out = facets.limit();
        // A panel without a transition says nothing.
        let kept: Vec<(String, Vec<Bigram<usize>>)> = titles
            .into_iter()
            .zip(&facets.members)
            .map(|(title, members)| (title, bigrams(&Sheet::labels(members))))
            .filter(|(_, found)| !found.is_empty())
            .collect();
        let blank = facets.members.len() - kept.len();
        let shown = sheet.names.short.len().min(rows_of_clusters(CLUSTERS_MAX, kept.len()));
        let mut figure = Figure::new("Transitions between clusters");
        figure.subtitle = subtitle(source, &shared);
        figure.columns = columns(kept.len()).min(if shown > 8 {
            1
        } else if shown > 3 {
            2
        } else {
            3
        });
        figure.color_bar =
            Some(ColorBar { title: "share of departures".to_owned(), map: Map::Cividis, low: 0.0, high: 1.0 });
        figure.x_label = "to".to_owned();
        figure.y_label = "from".to_owned();
        figure.panel_height = Some((shown as f64 * 34.0).max(90.0));
        figure.panel_width_max = (shown as f64 * 62.0).max(200.0);
        let mut total = 0;
        // Below a matrix the numbers of clusters do, since their names stand beside it.
        let below = sheet.names.numbers().unwrap_or_else(|| sheet.names.short.clone());
        for (title, found) in kept {
            // Below the cells, lest it crosses their numbers.
            let mut marks = vec![Mark::Line {
                points: vec![(0.0, 0.0), (shown as f64, shown as f64)],
                stroke: Stroke::new(FRAME, 0.8),
            }];
            for from in 0..shown {
                let departures: usize =
                    found.iter().filter(|bigram| bigram.from == from).map(|bigram| bigram.count).sum();
                for bigram in found.iter().filter(|bigram| bigram.from == from && bigram.to < shown) {
                    let share = bigram.count as f64 / departures as f64;
                    let fill = Map::Cividis.color(share);
                    let (x, y) = (bigram.to as f64, from as f64);
                    marks.push(Mark::Cells { cells: vec![(x, x + 1.0, y, y + 1.0)], fill, opacity: 1.0, gap: 1.0 });
                    marks.push(Mark::Text {
                        at: (x + 0.5, y + 0.5),
                        text: bigram.count.to_string(),
                        size: 11.0,
                        is_bold: false,
                        color: ink_on(fill),
                        anchor: Anchor::Middle,
                        shift: (0.0, 4.0),
                        width_max: 60.0,
                    });
                }
            }
            let count: usize = found.iter().map(|bigram| bigram.count).sum();
            total += count;
            let (x, y) = (Axis::Band(below[..shown].to_vec()), Axis::Band(sheet.names.short[..shown].to_vec()));
            figure.panels.push(Panel { title: noted(&title, &counted(count, "transition")), x, y, marks });
        }
        if total == 0 {
            return Ok(Err(Skip::new(
                "no two neighbouring turns are in clusters; `loopscope analyse transitions` says how many outputs are outliers",
            )));
        }
        let rest = sheet.clusters.names.len() - shown;
        figure.caption.push(format!(
            "Numbers: how often the row's cluster was followed by the column's a turn later; colour: their share of all departures of the row. No transition bridges an \
             outlier or joins two runs.{}{}",
            match blank {
                0 => String::new(),
                _ => format!(" {} without a transition {} not drawn.", counted(blank, "panel"), if blank == 1 { "is" } else { "are" }),
            },
            if rest > 0 { format!(" {rest} smaller clusters are counted in the shares and not drawn.") } else { String::new() }
        ));
        Ok(Ok(sheet.finish(source, figure, shown, left_out)))
    })
}
