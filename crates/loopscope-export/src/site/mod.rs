//! An experiment as a folder that opens from disk: config, summary, charts, filmstrips.
//!
//! One page, its pictures beside it; no script, no font and no request to anywhere, so that it can be put on any server, into
//! an archive or on a stick, and reads the same in ten years.

mod page;
mod strip;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use loopscope_core::analysis::Options;
use loopscope_core::backend::Registry;
use loopscope_core::experiment::Experiment;
use loopscope_core::store::Store;
use serde::Serialize;

use crate::chart::{Format, Kind, Source, draw, slug};
use crate::{ExportError, OutputFolder, Part, Progress};
use page::{DrawnChart, Page, RunSection};

/// Runs with a filmstrip, at most; the page says how many more there are.
const RUNS_MAX: usize = 200;

/// What was made.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenSite {
    /// Files, the page included.
    pub files: usize,
    /// Charts drawn.
    pub charts: usize,
    /// Kinds of chart that do not apply.
    pub skipped: usize,
    /// Filmstrips.
    pub filmstrips: usize,
    /// Of all files.
    pub bytes: u64,
}

/// Writes the folder of an experiment.
///
/// # Errors
///
/// [`ExportError`].
pub fn export_site(
    store: &Store,
    experiment: &Experiment,
    folder: &Path,
    may_replace: bool,
    registry: &dyn Registry,
    progress: &mut dyn Progress,
) -> Result<WrittenSite, ExportError> {
    let runs = store.progress(experiment.id, &BTreeMap::new())?;
    if runs.iter().all(|run| run.steps == 0) {
        let what = format!("experiment \"{}\" has no output yet", experiment.name);
        return Err(ExportError::Nothing { what });
    }
    let source = Source::load(store, experiment.id, &Options::default(), None, registry)?;
    source.tell_left_out(progress)?;
    let mut target = OutputFolder::begin(folder, may_replace)?;
    progress.tell_leftovers(&target);
    let mut page = Page::of(store, experiment, &runs)?;
    let mut files = 0;
    let mut write = |target: &mut OutputFolder, name: &str, bytes: &[u8]| -> Result<(), ExportError> {
        let mut file = target.file(name)?;
        file.write_all(bytes).map_err(|source| ExportError::Write { path: folder.join(name), source })?;
        target.keep(file)?;
        files += 1;
        Ok(())
    };
    progress.begin(Part { name: "charts", total: Kind::ALL.len() as u64, unit: "kinds" });
    for (done, kind) in (1..).zip(Kind::ALL) {
        progress.check()?;
        match draw(kind, &source)? {
            Err(skip) => page.skipped.push((kind.name(), skip.why)),
            Ok(charts) => {
                for chart in charts {
                    let name = format!("charts/{}.svg", chart.file_stem(kind));
                    write(&mut target, &name, &chart.to_bytes(Format::Svg)?)?;
                    page.charts.push(DrawnChart {
                        kind,
                        file: name,
                        title: chart.title,
                        description: chart.description,
                    });
                }
            }
        }
        progress.advance(done);
    }
    let shown = runs.len().min(RUNS_MAX);
    progress.begin(Part { name: "filmstrips", total: shown as u64, unit: "runs" });
    let mut filmstrips = 0;
    for (done, run) in (1..).zip(runs.iter().take(RUNS_MAX)) {
        progress.check()?;
        let steps = strip::steps(store, run.run.id)?;
        let file = match strip::filmstrip(store, &steps)? {
            None => None,
            Some(bytes) => {
                let name = format!(
                    "runs/{}-{}.jpg",
                    slug(&run.run.key.initial_prompt.chars().take(30).collect::<String>()),
                    run.run.id.short()
                );
                write(&mut target, &name, &bytes)?;
                filmstrips += 1;
                Some(name)
            }
        };
        page.runs.push(RunSection::of(run, steps, file));
        progress.advance(done);
    }
    page.runs_left_out = runs.len() - shown;
    write(&mut target, "config.json", pretty(&experiment.config_as_given).as_bytes())?;
    write(&mut target, "index.html", page.to_html().as_bytes())?;
    let (charts, skipped) = (page.charts.len(), page.skipped.len());
    let bytes = target.finish()?;
    Ok(WrittenSite { files, charts, skipped, filmstrips, bytes })
}

/// Returns JSON with line breaks; what is no JSON stays as it is.
fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(json);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| json.to_owned())
}
