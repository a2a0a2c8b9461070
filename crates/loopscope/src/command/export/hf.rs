//! `export hf`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use loopscope_export::tables::{HfOptions, export_hf};

use super::export;
use super::parquet::print_tables;
use crate::args::Global;
use crate::failure::{Exit, unless_unread};
use crate::report::{Talk, bytes, duration, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct ExportHfArgs {
    /// Where to write the data set; made when it is not there
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// Names, ids or the beginnings or ends of ids, or `latest`
    #[arg(value_name = "EXPERIMENT", default_value = "latest")]
    experiments: Vec<String>,
    /// Only the vectors of this embedding model; may be repeated
    #[arg(long = "embedding-model", alias = "embedding-models", value_name = "MODEL")]
    embedding_models: Vec<String>,
    /// Replace what an earlier export wrote there, its card too
    #[arg(long)]
    force: bool,
}

pub(super) fn hf(arguments: &ExportHfArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let options = HfOptions { embedding_models: arguments.embedding_models.clone(), may_replace: arguments.force };
    let began = Instant::now();
    let written = export(global, talk, |store, reporter| {
        export_hf(store, &arguments.experiments, &arguments.folder, &options, reporter)
    })?;
    let Some(written) = written else { return Ok(Exit::Interrupted) };
    if global.json {
        print_json(&serde_json::json!({ "folder": arguments.folder, "written": written }))?;
        return Ok(Exit::Ok);
    }
    unless_unread(print_tables(&written.tables).and_then(|()| {
        let folder = arguments.folder.display();
        print(&format!("wrote a data set of {} into {folder} in {}", bytes(written.bytes), duration(began.elapsed())))?;
        print(&format!("In Python: datasets.load_dataset({:?})", arguments.folder.to_string_lossy()))
    }))?;
    Ok(Exit::Ok)
}
