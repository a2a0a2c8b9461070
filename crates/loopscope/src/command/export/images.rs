//! `export images`.

use std::path::PathBuf;
use std::time::Instant;

use clap::{Args, ValueEnum};
use loopscope_export::images::{ImageFormat, ImageOptions, export_images};

use super::export;
use crate::args::Global;
use crate::failure::{Exit, unless_unread};
use crate::report::{Talk, bytes, count, duration, print, print_json};

/// A format of picture files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As stored, without loss
    Webp,
    /// Without loss, for programs that do not read WebP
    Png,
}

#[derive(Debug, Args)]
pub(crate) struct ExportImagesArgs {
    /// Names, ids or the beginnings or ends of ids, or `latest`
    #[arg(required = true, value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// Where to write the files; made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The format of the files
    #[arg(long, value_enum, default_value = "webp")]
    format: Format,
    /// Let the files say nothing of where they come from
    #[arg(long)]
    no_metadata: bool,
    /// Replace what an earlier export wrote there
    #[arg(long)]
    force: bool,
}

pub(super) fn images(arguments: &ExportImagesArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let options = ImageOptions {
        format: match arguments.format {
            Format::Webp => ImageFormat::WebP,
            Format::Png => ImageFormat::Png,
        },
        without_metadata: arguments.no_metadata,
        may_replace: arguments.force,
        program_version: env!("CARGO_PKG_VERSION"),
    };
    let began = Instant::now();
    let written = export(global, talk, |store, reporter| {
        export_images(store, &arguments.experiments, &arguments.out, &options, reporter)
    })?;
    let Some(written) = written else { return Ok(Exit::Interrupted) };
    if global.json {
        print_json(&serde_json::json!({ "folder": arguments.out, "written": written }))?;
        return Ok(Exit::Ok);
    }
    let pictures = format!("{} pictures, {}", count(written.pictures), bytes(written.bytes));
    let converted = match written.converted {
        0 => String::new(),
        all => format!("; {} of them converted to {}, without loss", count(all), options.format.as_str()),
    };
    let folder = arguments.out.display();
    unless_unread(print(&format!("wrote {pictures}, into {folder} in {}{converted}", duration(began.elapsed()))))?;
    Ok(Exit::Ok)
}
