//! When runs come back to where they were.

use super::barcode::{note_on_runs, part, shown_runs};
use super::facet::{
    Facets, Names, PANELS_MAX, columns, finish, noted, prompt_of_runs, prompts, run_name, subtitle, trajectories,
};
use super::{Chart, Outcome, Skip, Source};
use crate::ExportError;
use crate::figure::color::{FRAME, INK};
use crate::figure::{Axis, Figure, Mark, Panel, Stroke, brief};

pub(super) fn plot(source: &Source<'_>) -> Result<Outcome, ExportError> {
    let runs = shown_runs(source);
    let found = source.details().recurrence(|key| runs.contains(&key.run))?;
    if found.iter().all(|one| one.size < 2) {
        return Ok(Err(Skip::new(
            "no run has two embeddings of one place; `loopscope experiment resume` computes what is missing",
        )));
    }
    let prompts = prompts(source);
    let (names, prompt_of) = (Names::of("Prompts", &prompts), prompt_of_runs(source, &prompts));
    let epsilon = source.details().options().epsilon;
    let mut charts = Vec::new();
    for embedder in source.details().embedders() {
        let own: Vec<_> = found.iter().filter(|one| one.key.embedder == embedder && one.size >= 2).collect();
        if own.is_empty() {
            continue;
        }
        let mut figure = Figure::new("Recurrence plots");
        figure.columns = columns(own.len().min(PANELS_MAX));
        figure.panel_height = None;
        figure.panel_width_max = 400.0;
        figure.is_shared = false;
        figure.x_label = "turn of the network".to_owned();
        figure.y_label = "turn of the network".to_owned();
        let facets = Facets::of(own.iter(), |one| {
            vec![
                names.short[prompt_of[one.key.run]].clone(),
                source.network(one.key.run).to_owned(),
                run_name(source, one.key.run),
                one.key.place.clone(),
            ]
        });
        let (titles, shared) = facets.titles();
        figure.subtitle = subtitle(source, &format!("{embedder} · {shared}"));
        for (title, one) in titles.into_iter().zip(facets.members.iter().map(|members| members[0])).take(PANELS_MAX) {
            let end = one.size as f64;
            let both = one.pairs.iter().flat_map(|&(i, j)| [(i as f64, j as f64), (j as f64, i as f64)]);
            let cells = both.map(|(i, j)| (i, i + 1.0, j, j + 1.0)).collect();
            let marks = vec![
                Mark::Line { points: vec![(0.0, 0.0), (end, end)], stroke: Stroke::new(FRAME, 1.0) },
                Mark::Cells { cells, fill: INK, opacity: 1.0, gap: 0.0 },
            ];
            let measures = one.measures.map_or_else(String::new, |measures| {
                let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), brief);
                format!("RR {}, DET {}", brief(measures.recurrence_rate), share(measures.determinism))
            });
            let title = noted(&title, &measures);
            let axis = Axis::Linear { low: 0.0, high: end };
            figure.panels.push(Panel { title, x: axis.clone(), y: axis, marks });
        }
        figure.caption.push(format!(
            "Black: the embeddings of two turns lie within ε = {} (cosine distance); the main diagonal, where a turn meets itself, is left out. RR: share of such pairs; DET: \
             share of them on diagonals of at least 2. Runs that stopped in a cycle are drawn as stored. n = {}.",
            brief(epsilon),
            trajectories(own.len())
        ));
        figure.caption.extend(names.key.clone());
        figure.caption.extend(note_on_runs(source));
        finish(source, &mut figure, own.len().saturating_sub(PANELS_MAX));
        charts.push(Chart::of(part(source, embedder.as_str()), &figure));
    }
    Ok(Ok(charts))
}
