//! `export`: parts of the record in files of their own.

#[cfg(feature = "charts")]
mod charts;
mod db;
#[cfg(feature = "parquet")]
mod hf;
#[cfg(feature = "images")]
mod images;
#[cfg(feature = "parquet")]
mod parquet;
#[cfg(feature = "charts")]
mod pictures;
#[cfg(feature = "charts")]
mod site;
#[cfg(feature = "video")]
mod video;

use clap::Subcommand;
use loopscope_core::store::Store;
#[cfg(feature = "video")]
use loopscope_export::video::VideoError;
use loopscope_export::{ExportError, PlaceError};

use crate::args::Global;
use crate::failure::Exit;
use crate::report::{ExportReporter, Talk};
use crate::signals::stop_on_signal;

/// Ways out of the store.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write experiments into a database of their own, with everything that they refer to
    Db(db::ExportDbArgs),
    /// Draw what analyses find: 26 kinds of charts as SVG, PNG or PDF
    #[cfg(feature = "charts")]
    Charts(charts::ChartsArgs),
    /// Make one sheet of all runs: a row a prompt, a column a network and seed
    #[cfg(feature = "charts")]
    Mosaic(pictures::MosaicArgs),
    /// Make one sheet of runs over time: a row a run, its pictures from left to right
    #[cfg(feature = "charts")]
    Timeline(pictures::TimelineArgs),
    /// Make one sheet of all pictures of a run
    #[cfg(feature = "charts")]
    Grid(pictures::GridArgs),
    /// Make a video of all runs side by side, turn by turn
    #[cfg(feature = "video")]
    Video(video::VideoArgs),
    #[cfg(not(feature = "video"))]
    #[command(hide = true)]
    Video(NoVideo),
    /// Write a folder with summary, charts and filmstrips that opens in a browser from disk
    #[cfg(feature = "charts")]
    Site(site::SiteArgs),
    /// Write every table as a Parquet file, for polars, DuckDB, pandas
    #[cfg(feature = "parquet")]
    Parquet(parquet::ExportParquetArgs),
    /// Write a Hugging Face data set: `datasets.load_dataset` gives every step with its picture or text
    #[cfg(feature = "parquet")]
    Hf(hf::ExportHfArgs),
    /// Write the pictures as files that say where they come from
    #[cfg(feature = "images")]
    Images(images::ExportImagesArgs),
}

/// What was typed for a video, in a build that makes none.
#[cfg(not(feature = "video"))]
#[derive(Debug, clap::Args)]
pub(crate) struct NoVideo {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, num_args = 0.., value_name = "ANY")]
    rest: Vec<String>,
}

pub(super) fn execute(command: &ExportCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ExportCommand::Db(arguments) => db::db(arguments, global, talk),
        #[cfg(feature = "charts")]
        ExportCommand::Charts(arguments) => charts::charts(arguments, global, talk),
        #[cfg(feature = "charts")]
        ExportCommand::Mosaic(arguments) => pictures::mosaic_sheet(arguments, global, talk),
        #[cfg(feature = "charts")]
        ExportCommand::Timeline(arguments) => pictures::timeline_sheet(arguments, global, talk),
        #[cfg(feature = "charts")]
        ExportCommand::Grid(arguments) => pictures::grid_sheet(arguments, global, talk),
        #[cfg(feature = "video")]
        ExportCommand::Video(arguments) => video::video(arguments, global, talk),
        #[cfg(not(feature = "video"))]
        ExportCommand::Video(NoVideo { .. }) => Err(crate::failure::UsageError {
            message: "this build makes no videos".to_owned(),
            hint: Some("build it with `cargo build --release --features video`".to_owned()),
        }
        .into()),
        #[cfg(feature = "charts")]
        ExportCommand::Site(arguments) => site::site(arguments, global, talk),
        #[cfg(feature = "parquet")]
        ExportCommand::Parquet(arguments) => parquet::parquet(arguments, global, talk),
        #[cfg(feature = "parquet")]
        ExportCommand::Hf(arguments) => hf::hf(arguments, global, talk),
        #[cfg(feature = "images")]
        ExportCommand::Images(arguments) => images::images(arguments, global, talk),
    }
}

/// Exports from the database, while bars show how far it is; `None` when it was stopped.
///
/// # Errors
///
/// Whatever stopped it, but for the one who waits for it.
pub(super) fn export<T>(
    global: &Global,
    talk: &Talk,
    work: impl FnOnce(&Store, &mut ExportReporter) -> Result<T, ExportError>,
) -> anyhow::Result<Option<T>> {
    let stop = stop_on_signal()?;
    let store = Store::open_read(&global.db, &global.open_options())?;
    // Whatever an engine writes meanwhile, all of an export is of one state.
    let _state = store.snapshot()?;
    let mut reporter = ExportReporter::new(talk, stop);
    let outcome = work(&store, &mut reporter);
    reporter.end();
    match outcome {
        Ok(written) => Ok(Some(written)),
        Err(error @ ExportError::Stopped) => {
            talk.say_anyway(&error.to_string());
            Ok(None)
        }
        Err(ExportError::Analysis(error)) => Err(crate::command::analyse::told(error)),
        Err(error) => Err(error.into()),
    }
}

/// Returns the next move where an export was refused.
pub(crate) fn hint(error: &ExportError, global: &Global) -> Option<String> {
    match error {
        ExportError::Place(PlaceError::Exists { .. } | PlaceError::NotEmpty { .. }) => {
            Some("name another place, or --force to replace what an earlier export wrote there".to_owned())
        }
        ExportError::Place(PlaceError::Io { .. }) => Some("name a place that can be written".to_owned()),
        ExportError::UnknownModel { known, .. } => Some(format!("there are: {}", known.join(", "))),
        ExportError::Nothing { .. } => {
            Some(format!("`{}` computes what is missing", global.command("experiment resume latest")))
        }
        #[cfg(feature = "video")]
        ExportError::Video(VideoError::NoFfmpeg { .. }) => {
            Some("install ffmpeg, or leave out --encoder, --resolution and --codec: AV1 in HD needs nothing; `--encoder builtin` makes larger ones, slowly".to_owned())
        }
        #[cfg(feature = "video")]
        ExportError::Video(VideoError::NotBuiltIn { .. }) => Some("leave out --encoder, or --codec".to_owned()),
        #[cfg(feature = "video")]
        ExportError::Video(VideoError::NoEncoder { .. }) => Some("choose another --codec".to_owned()),
        _ => None,
    }
}
