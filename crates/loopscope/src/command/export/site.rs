//! `export site`: an experiment as a folder that opens from disk.

use std::path::PathBuf;

use clap::Args;
use loopscope_export::Selection;
use loopscope_export::site::export_site;

use super::export;
use crate::args::Global;
use crate::failure::{Exit, unless_unread};
use crate::report::{Talk, bytes, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct SiteArgs {
    /// A name, an id or the beginning or end of one, or `latest`
    experiment: String,
    /// The folder to make; index.html in it opens in any browser
    dir: PathBuf,
    /// Replace what an earlier export wrote there
    #[arg(long)]
    force: bool,
}

pub(super) fn site(arguments: &SiteArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let registry = global.registry()?;
    let written = export(global, talk, |store, progress| {
        let selection = Selection::find(store, std::slice::from_ref(&arguments.experiment))?;
        selection.tell_unfinished(store, progress)?;
        let experiment = &selection.experiments[0];
        export_site(store, experiment, &arguments.dir, arguments.force, &registry, progress)
    })?;
    let Some(written) = written else { return Ok(Exit::Interrupted) };
    if global.json {
        print_json(&serde_json::json!({ "folder": arguments.dir, "written": written }))?;
        return Ok(Exit::Ok);
    }
    unless_unread(print(&format!(
        "made {} ({} charts, {} filmstrips, {}); open it in a browser",
        arguments.dir.join("index.html").display(),
        written.charts,
        written.filmstrips,
        bytes(written.bytes)
    )))?;
    Ok(Exit::Ok)
}
