//! `export charts`: what analyses found, drawn.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use loopscope_core::analysis::Options;
use loopscope_core::backend::Registry;
use loopscope_core::store::Store;
use loopscope_export::chart::{Format, Kind, Source, draw};
use loopscope_export::{ExportError, OutputFolder, Part, Progress, Selection};

use super::export;
use crate::args::Global;
use crate::failure::{Exit, UsageError, unless_unread};
use crate::report::{Talk, bytes, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct ChartsArgs {
    /// A name, an id or the beginning or end of one, or `latest`
    #[arg(default_value = "latest")]
    experiment: String,
    /// Only this kind; may be repeated. `--kind list` names them
    #[arg(long = "kind", value_name = "KIND", value_delimiter = ',')]
    kinds: Vec<String>,
    /// What to write: SVG keeps text as text, PDF has it as outlines, PNG has 192 dots to the inch; may be repeated
    #[arg(long = "format", value_enum, value_delimiter = ',', default_value = "svg")]
    formats: Vec<FormatArg>,
    /// The folder to write into
    #[arg(long, value_name = "DIR", default_value = "charts")]
    out: PathBuf,
    /// Replace the charts of an earlier export
    #[arg(long)]
    force: bool,
    /// A clustering by id, or the beginning or end of one [default: the newest of each embedder]
    #[arg(long, value_name = "ID")]
    clustering: Option<String>,
    /// The run that charts of single runs show [default: the first of each network and prompt]
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Clusters of cluster-histogram-top
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=60))]
    top: u16,
    /// Lag of the Markov graph and of transitions in it, in turns
    #[arg(long, value_name = "TURNS", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    lag: u32,
    /// Cosine distance up to which two outputs are the same place, for recurrence plots
    #[arg(long, value_name = "DISTANCE", default_value_t = 0.08)]
    epsilon: f64,
}

/// A format, as people type it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatArg {
    Svg,
    Png,
    Pdf,
}

impl From<FormatArg> for Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Svg => Self::Svg,
            FormatArg::Png => Self::Png,
            FormatArg::Pdf => Self::Pdf,
        }
    }
}

pub(super) fn charts(arguments: &ChartsArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    if arguments.kinds.iter().any(|kind| kind == "list") {
        unless_unread(Kind::ALL.into_iter().try_for_each(|kind| print(kind.name())))?;
        return Ok(Exit::Ok);
    }
    let kinds = kinds_of(&arguments.kinds)?;
    let registry = global.registry()?;
    if !(arguments.epsilon > 0.0 && arguments.epsilon <= 2.0) {
        let message = format!("--epsilon is a cosine distance above 0 and at most 2, got {}", arguments.epsilon);
        return Err(UsageError { message, hint: None }.into());
    }
    let options = Options {
        clustering: arguments.clustering.clone(),
        top: usize::from(arguments.top),
        lag: arguments.lag as usize,
        epsilon: arguments.epsilon,
        ..Options::default()
    };
    let drawn =
        export(global, talk, |store, progress| draw_all(store, arguments, &kinds, &options, &registry, progress))?;
    let Some(Drawn { name: experiment, written, skipped, is_unfinished, bytes: total, boxes }) = drawn else {
        return Ok(Exit::Interrupted);
    };
    if global.json {
        let charts: Vec<_> = written
            .iter()
            .map(|(kind, name, bytes)| serde_json::json!({ "kind": kind.name(), "file": arguments.out.join(name), "bytes": bytes }))
            .collect();
        let skipped: Vec<_> =
            skipped.iter().map(|(kind, why)| serde_json::json!({ "kind": kind.name(), "why": why })).collect();
        print_json(
            &serde_json::json!({ "charts": charts, "skipped": skipped, "unfinished": is_unfinished, "letters_without_font": boxes }),
        )?;
        return Ok(Exit::Ok);
    }
    unless_unread(print(&format!(
        "drew {} charts of \"{}\" into {} ({})",
        written.len(),
        experiment,
        arguments.out.display(),
        bytes(total)
    )))?;
    Ok(Exit::Ok)
}

/// What was drawn, and what was not.
struct Drawn {
    name: String,
    written: Vec<(Kind, String, u64)>,
    skipped: Vec<(Kind, String)>,
    is_unfinished: bool,
    bytes: u64,
    /// Letters that no font here has.
    boxes: Vec<String>,
}

/// Says that boxes stand for letters, how many, and for which.
fn note_on_boxes(letters: &BTreeSet<char>, charts: usize) -> Option<String> {
    const NAMED: usize = 8;
    if letters.is_empty() {
        return None;
    }
    let named: Vec<String> =
        letters.iter().take(NAMED).map(|&letter| format!("{letter} (U+{:04X})", u32::from(letter))).collect();
    let more = match letters.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (letter, chart) =
        (if letters.len() == 1 { "letter" } else { "letters" }, if charts == 1 { "chart" } else { "charts" });
    Some(format!(
        "no font here has {} {letter} of {charts} {chart}: boxes stand for {}{more}; install a font that has them, such as Noto, or take --format svg, \
         which is drawn with the fonts of whoever opens it",
        letters.len(),
        named.join(", "),
    ))
}

fn draw_all(
    store: &Store,
    arguments: &ChartsArgs,
    kinds: &[Kind],
    options: &Options,
    registry: &dyn Registry,
    progress: &mut dyn Progress,
) -> Result<Drawn, ExportError> {
    let selection = Selection::find(store, std::slice::from_ref(&arguments.experiment))?;
    let is_unfinished = !selection.tell_unfinished(store, progress)?.is_empty();
    let run = arguments.run.as_deref().map(|typed| store.find_run(typed)).transpose()?;
    let experiment = &selection.experiments[0];
    let source = Source::load(store, experiment.id, options, run, registry)?;
    source.tell_left_out(progress)?;
    let mut folder = OutputFolder::begin(&arguments.out, arguments.force)?;
    progress.tell_leftovers(&folder);
    let formats = each_once(&arguments.formats);
    let (mut written, mut skipped) = (Vec::new(), Vec::new());
    let (mut boxes, mut charts_with_boxes) = (BTreeSet::new(), 0);
    progress.begin(Part { name: "charts", total: kinds.len() as u64, unit: "kinds" });
    for (done, &kind) in (1..).zip(kinds) {
        progress.check()?;
        match draw(kind, &source)? {
            Err(skip) => {
                progress.note(&format!("{}: not drawn: {}", kind.name(), skip.why));
                skipped.push((kind, skip.why));
            }
            Ok(charts) => {
                for chart in charts.iter().filter(|_| formats.iter().any(|format| *format != FormatArg::Svg)) {
                    let letters = chart.letters_without_font();
                    charts_with_boxes += usize::from(!letters.is_empty());
                    boxes.extend(letters);
                }
                for (chart, &format) in
                    charts.iter().flat_map(|chart| formats.iter().map(move |format| (chart, format)))
                {
                    let format = Format::from(format);
                    let name = format!("{}.{}", chart.file_stem(kind), format.extension());
                    let mut file = folder.file(&name)?;
                    let path = arguments.out.join(&name);
                    file.write_all(&chart.to_bytes(format)?).map_err(|source| ExportError::Write { path, source })?;
                    let bytes = folder.keep(file)?;
                    written.push((kind, name, bytes));
                }
            }
        }
        progress.advance(done);
    }
    if written.is_empty() {
        let what = skipped.iter().map(|(kind, why)| format!("{}: {why}", kind.name())).collect::<Vec<_>>().join("; ");
        return Err(ExportError::Nothing { what });
    }
    if let Some(note) = note_on_boxes(&boxes, charts_with_boxes) {
        progress.note(&note);
    }
    let boxes = boxes.into_iter().map(String::from).collect();
    Ok(Drawn { name: experiment.name.clone(), boxes, written, skipped, is_unfinished, bytes: folder.finish()? })
}

fn kinds_of(typed: &[String]) -> Result<Vec<Kind>, UsageError> {
    if typed.is_empty() {
        return Ok(Kind::ALL.to_vec());
    }
    let find = |name: &String| {
        Kind::from_name(name).ok_or_else(|| {
            let names = Kind::ALL.iter().map(|kind| kind.name());
            let nearest = loopscope_core::backend::nearest_name(name, names);
            UsageError {
                message: format!("there is no kind of chart \"{name}\""),
                hint: Some(match nearest {
                    Some(nearest) => format!("did you mean \"{nearest}\"? `--kind list` names all"),
                    None => "`loopscope export charts --kind list` names all".to_owned(),
                }),
            }
        })
    };
    Ok(each_once(&typed.iter().map(find).collect::<Result<Vec<_>, _>>()?))
}

/// What is asked for twice is drawn once.
fn each_once<T: Copy + PartialEq>(items: &[T]) -> Vec<T> {
    let mut kept = Vec::new();
    items.iter().for_each(|item| {
        if !kept.contains(item) {
            kept.push(*item)
        }
    });
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_without_a_font_are_counted_and_named() {
        assert_eq!(note_on_boxes(&BTreeSet::new(), 0), None);
        let one = note_on_boxes(&['漢'].into(), 1).unwrap();
        assert!(one.starts_with("no font here has 1 letter of 1 chart: boxes stand for 漢 (U+6F22); install"), "{one}");
        let many = note_on_boxes(&('ア'..='ン').collect(), 3).unwrap();
        assert!(
            many.contains("letters of 3 charts: boxes stand for ア (U+30A2)") && many.contains(" more; install"),
            "{many}"
        );
    }
}
