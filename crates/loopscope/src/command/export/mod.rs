//! `export`: parts of the record in files of their own.

#[cfg(feature = "charts")]
mod charts;
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
    /// Draw what analyses find: 26 kinds of charts as SVG, PNG or PDF
    #[cfg(feature = "charts")]
    Charts(charts::ChartsArgs),
}

pub(super) fn execute(command: &ExportCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ExportCommand::Db(arguments) => db::db(arguments, global, talk),
        #[cfg(feature = "charts")]
        ExportCommand::Charts(arguments) => charts::charts(arguments, global, talk),
    }
}
