//! `export`: parts of the record in files of their own.

mod db;

use clap::Subcommand;

use crate::args::Global;
use crate::failure::Exit;
use crate::report::Talk;

/// Ways out of the store.
#[derive(Debug, Subcommand)]
pub(crate) enum ExportCommand {
    /// Write experiments into a database of their own, with everything that they refer to
    Db(db::ExportDbArgs),
}

pub(super) fn execute(command: &ExportCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ExportCommand::Db(arguments) => db::db(arguments, global, talk),
    }
}
