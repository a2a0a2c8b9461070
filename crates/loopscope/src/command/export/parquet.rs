//! `export parquet`.

use std::path::PathBuf;
use std::time::Instant;

use clap::Args;
use loopscope_export::tables::{TableOptions, WrittenTable, export_tables};

use super::export;
use crate::args::Global;
use crate::failure::{Exit, unless_unread};
use crate::report::{Table, Talk, bytes, count, duration, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct ExportParquetArgs {
    /// Names, ids or the beginnings or ends of ids, or `latest`
    #[arg(required = true, value_name = "EXPERIMENT")]
    experiments: Vec<String>,
    /// Where to write the files; made when it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Only what is of this embedding model; may be repeated
    #[arg(long = "embedding-model", alias = "embedding-models", value_name = "MODEL")]
    embedding_models: Vec<String>,
    /// Add each run's prompt as a step of number -1, embedded now by the models that take text
    #[arg(long)]
    embed_prompts: bool,
    /// Write the pictures, too: a table of bytes
    #[arg(long)]
    images: bool,
    /// Replace what an earlier export wrote there
    #[arg(long)]
    force: bool,
}

pub(super) fn parquet(arguments: &ExportParquetArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let options = TableOptions {
        embedding_models: arguments.embedding_models.clone(),
        embed_prompts: arguments.embed_prompts,
        images: arguments.images,
        may_replace: arguments.force,
        program_version: env!("CARGO_PKG_VERSION"),
    };
    let began = Instant::now();
    let registry = global.registry()?;
    let written = export(global, talk, |store, reporter| {
        export_tables(store, &arguments.experiments, &arguments.out, &options, &registry, reporter)
    })?;
    let Some(written) = written else { return Ok(Exit::Interrupted) };
    if global.json {
        print_json(&serde_json::json!({ "folder": arguments.out, "written": written }))?;
        return Ok(Exit::Ok);
    }
    unless_unread(print_tables(&written.tables).and_then(|()| {
        let made = format!("{} files, {}", count(written.tables.len() as u64), bytes(written.bytes));
        print(&format!("wrote {made} into {} in {}", arguments.out.display(), duration(began.elapsed())))
    }))?;
    Ok(Exit::Ok)
}

/// Prints the files of an export.
///
/// # Errors
///
/// When stdout is closed.
pub(super) fn print_tables(tables: &[WrittenTable]) -> std::io::Result<()> {
    let mut table = Table::new(&["file", ">rows", ">size"]);
    for written in tables {
        table.row(vec![written.file.clone(), count(written.rows), bytes(written.bytes)]);
    }
    table.print()
}
