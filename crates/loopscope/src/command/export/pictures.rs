//! `export mosaic|timeline|grid`: pictures of many runs on one sheet.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use loopscope_core::store::Store;
use loopscope_export::mosaic::{Board, ImageFormat, SheetOptions, grid, mosaic, timeline};
use loopscope_export::{ExportError, OutputFile, Progress, Raster, Selection};

use super::export;
use crate::args::Global;
use crate::failure::{Exit, UsageError, unless_unread};
use crate::report::{Talk, bytes, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct SheetArgs {
    /// A name, an id or the beginning or end of one, or `latest`
    #[arg(default_value = "latest")]
    experiment: String,
    /// The file to make: .png, .jpg or .webp says how
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Longer side of each picture, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=2048))]
    tile: u32,
    /// Only prompts that hold this text; may be repeated
    #[arg(long = "prompt", value_name = "TEXT")]
    prompts: Vec<String>,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct MosaicArgs {
    #[command(flatten)]
    sheet: SheetArgs,
    /// Which picture of each run, from 0 [default: the last]
    #[arg(long, value_name = "N")]
    step: Option<usize>,
}

#[derive(Debug, Args)]
pub(crate) struct TimelineArgs {
    #[command(flatten)]
    sheet: SheetArgs,
    /// Pictures of each run, evenly spaced
    #[arg(long, value_name = "N", default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=400))]
    columns: u32,
}

#[derive(Debug, Args)]
pub(crate) struct GridArgs {
    /// A run: an id, the beginning or end of one, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// The file to make: .png, .jpg or .webp says how
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Longer side of each picture, in pixels
    #[arg(long, value_name = "PIXELS", default_value_t = 128, value_parser = clap::value_parser!(u32).range(16..=2048))]
    tile: u32,
    /// Pictures in a row
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=400))]
    columns: u32,
    /// Replace the file if it is there
    #[arg(long)]
    force: bool,
}

pub(super) fn mosaic_sheet(arguments: &MosaicArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let options =
        |format| SheetOptions { tile: arguments.sheet.tile as usize, step: arguments.step, columns: 1, format };
    sheet(&arguments.sheet, global, talk, |store, board, format, progress| {
        mosaic(store, board, &options(format), progress)
    })
}

pub(super) fn timeline_sheet(arguments: &TimelineArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let columns = arguments.columns as usize;
    let options = |format| SheetOptions { tile: arguments.sheet.tile as usize, step: None, columns, format };
    sheet(&arguments.sheet, global, talk, |store, board, format, progress| {
        timeline(store, board, &options(format), progress)
    })
}

fn sheet(
    arguments: &SheetArgs,
    global: &Global,
    talk: &Talk,
    draw: impl FnOnce(&Store, &Board, ImageFormat, &mut dyn Progress) -> Result<Raster, ExportError>,
) -> anyhow::Result<Exit> {
    let format = format_of(&arguments.out)?;
    write_sheet(&arguments.out, arguments.force, format, global, talk, |store, progress| {
        let selection = Selection::find(store, std::slice::from_ref(&arguments.experiment))?;
        selection.tell_unfinished(store, progress)?;
        let board = Board::load(store, &selection.experiments[0], &arguments.prompts)?;
        tell_left_out(&board, progress);
        draw(store, &board, format, progress)
    })
}

/// Says how many runs have nothing to show.
pub(super) fn tell_left_out(board: &Board, progress: &mut dyn Progress) {
    match board.without {
        0 => {}
        1 => progress.note("1 run has no picture and is left out"),
        runs => progress.note(&format!("{runs} runs have no picture and are left out")),
    }
}

pub(super) fn grid_sheet(arguments: &GridArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let format = format_of(&arguments.out)?;
    let options =
        SheetOptions { tile: arguments.tile as usize, step: None, columns: arguments.columns as usize, format };
    write_sheet(&arguments.out, arguments.force, format, global, talk, |store, progress| {
        let run = store.run(store.find_run(&arguments.run)?)?;
        let experiment = store.experiment(run.experiment_id)?;
        let board = Board::load(store, &experiment, &[])?;
        let same = |row: &&loopscope_export::mosaic::RunRow| row.id == run.id;
        let Some(row) = board.runs().find(same) else {
            return Err(ExportError::Nothing { what: format!("run {} has no picture", run.id.short()) });
        };
        grid(store, &board, row, &options, progress)
    })
}

fn write_sheet(
    path: &Path,
    may_replace: bool,
    format: ImageFormat,
    global: &Global,
    talk: &Talk,
    draw: impl FnOnce(&Store, &mut dyn Progress) -> Result<Raster, ExportError>,
) -> anyhow::Result<Exit> {
    let written = export(global, talk, |store, progress| {
        let mut file = OutputFile::begin(path, may_replace)?;
        let sheet = draw(store, progress)?;
        let failed = |source| ExportError::Write { path: path.to_owned(), source };
        file.write_all(&format.encode(&sheet)?).map_err(failed)?;
        Ok((sheet.width, sheet.height, file.finish()?))
    })?;
    let Some((width, height, size)) = written else { return Ok(Exit::Interrupted) };
    if global.json {
        print_json(&serde_json::json!({ "file": path, "width": width, "height": height, "bytes": size }))?;
        return Ok(Exit::Ok);
    }
    unless_unread(print(&format!("made {} ({width} × {height}, {})", path.display(), bytes(size))))?;
    Ok(Exit::Ok)
}

fn format_of(path: &Path) -> Result<ImageFormat, UsageError> {
    let extension = path.extension().map(|extension| extension.to_string_lossy().into_owned()).unwrap_or_default();
    ImageFormat::of_extension(&extension).ok_or_else(|| UsageError {
        message: format!("the ending of {} names no format; expected .png, .jpg or .webp", path.display()),
        hint: None,
    })
}
