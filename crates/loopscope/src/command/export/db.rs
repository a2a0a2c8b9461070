//! `export db`: parts of the record in files of their own.

use std::path::PathBuf;

use clap::Args;
use loopscope_core::experiment::ExperimentId;
use loopscope_core::export::export_db;
use loopscope_core::store::{MergedExperiment, Store, StoreError};

use crate::args::Global;
use crate::command::merge::{print_clusterings, print_experiment};
use crate::failure::{Exit, unless_unread};
use crate::report::{Talk, bytes, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct ExportDbArgs {
    /// Names, ids or the beginnings or ends of ids, or `latest`
    #[arg(required = true, value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// The file to make; it must not exist
    #[arg(required = true)]
    target: PathBuf,
}

pub(super) fn db(arguments: &ExportDbArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let options = global.open_options();
    let store = Store::open_read(&global.db, &options)?;
    let experiments = arguments
        .experiments
        .iter()
        .map(|typed| store.find_experiment(typed))
        .collect::<Result<Vec<ExperimentId>, StoreError>>()?;
    let mut told = |experiment: &MergedExperiment| talk.detail(&format!("carried \"{}\"", experiment.name));
    let exported = export_db(&store, &experiments, &arguments.target, &options, &mut told)?;
    if global.json {
        print_json(&serde_json::json!({ "file": arguments.target, "exported": exported }))?;
        return Ok(Exit::Ok);
    }
    let tell = || -> std::io::Result<()> {
        for experiment in &exported.carried.experiments {
            print_experiment(&exported.carried.path, experiment)?;
        }
        print_clusterings(&exported.carried, "the export")?;
        print(&format!("made {} ({})", arguments.target.display(), bytes(exported.bytes)))
    };
    unless_unread(tell())?;
    Ok(Exit::Ok)
}
