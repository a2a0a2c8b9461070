//! What each command does.

mod analyse;
mod array;
mod cluster;
mod clustering;
mod config;
mod demo;
mod doctor;
mod experiment;
pub(crate) mod export;
pub(crate) mod import;
#[cfg(feature = "images")]
mod inspect;
pub(crate) mod merge;
mod model;
mod run;
mod verify;
mod work;

pub(crate) use analyse::AnalyseCommand;
pub(crate) use array::ArrayCommand;
pub(crate) use cluster::ClusterCommand;
pub(crate) use export::ExportCommand;
pub(crate) use import::ImportCommand;
#[cfg(feature = "images")]
pub(crate) use inspect::InspectArgs;
pub(crate) use merge::MergeArgs;
pub(crate) use verify::VerifyArgs;

use anyhow::Context;
use clap::CommandFactory;
use loopscope_core::store::Store;

use crate::args::{Cli, Command, ExperimentCommand, Global, RunCommand};
use crate::failure::Exit;
use crate::report::{Talk, bytes, print, print_json};

/// Does what the command line asks for.
///
/// # Errors
///
/// Whatever stopped the command; `failure` tells it and knows the exit code.
pub(crate) fn execute(cli: Cli, talk: &Talk) -> anyhow::Result<Exit> {
    let global = &cli.global;
    let Some(command) = cli.command else {
        print(&Cli::command().render_help().to_string())?;
        return Ok(Exit::Ok);
    };
    match command {
        Command::Demo(engine) => demo::demo(global, &engine, talk),
        Command::Config(command) => config::execute(&command, global),
        Command::Experiment { command } => {
            experiment::execute(command.unwrap_or(ExperimentCommand::List), global, talk)
        }
        Command::Run { command } => run::execute(
            &command.unwrap_or(RunCommand::List { experiment: "latest".to_owned(), named: None }),
            global,
            talk,
        ),
        Command::Model(command) => model::execute(&command, global, talk),
        Command::Analyse(command) => analyse::execute(&command, global, talk),
        Command::Doctor(arguments) => doctor::doctor(&arguments, global, talk),
        Command::Verify(arguments) => verify::execute(&arguments, global, talk),
        Command::Merge(arguments) => merge::merge(&arguments, global),
        Command::Export(command) => export::execute(&command, global, talk),
        #[cfg(feature = "images")]
        Command::Inspect(arguments) => inspect::inspect(&arguments, global, talk),
        Command::Import(command) => import::execute(&command, global, talk),
        Command::Array(command) => array::execute(&command, global, talk),
        Command::Cluster { command } => cluster::execute(command.unwrap_or(ClusterCommand::List), global, talk),
        Command::Backup { file } => backup(&file, global, talk),
        Command::Migrate => migrate(global),
        Command::Completions { shell } => completions(shell),
        Command::Man { out } => man(out.as_deref()),
    }
}

fn backup(file: &std::path::Path, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let mut told = 0;
    let report = Store::backup(&global.db, file, &global.open_options(), |done, total| {
        let percent = done * 100 / total.max(1);
        if percent >= told + 10 {
            told = percent;
            talk.detail(&format!("copied {percent} %"));
        }
    })?;
    if global.json {
        print_json(&serde_json::json!({ "file": file, "bytes": report.bytes }))?;
    } else {
        print(&format!("copied {} to {} ({})", global.db.display(), file.display(), bytes(report.bytes)))?;
    }
    Ok(Exit::Ok)
}

fn migrate(global: &Global) -> anyhow::Result<Exit> {
    let store = Store::open_existing(&global.db, &global.open_options())?;
    store.checkpoint()?;
    if global.json {
        print_json(&serde_json::json!({ "file": global.db, "is_up_to_date": true }))?;
    } else {
        print(&format!("{} is up to date", global.db.display()))?;
    }
    Ok(Exit::Ok)
}

fn completions(shell: clap_complete::Shell) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "loopscope", &mut script);
    print(String::from_utf8_lossy(&script).trim_end())?;
    Ok(Exit::Ok)
}

fn man(out: Option<&std::path::Path>) -> anyhow::Result<Exit> {
    match out {
        Some(folder) => {
            std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
            clap_mangen::generate_to(Cli::command(), folder)
                .with_context(|| format!("writing manual pages into {}", folder.display()))?;
        }
        None => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            print(String::from_utf8_lossy(&page).trim_end())?;
        }
    }
    Ok(Exit::Ok)
}
