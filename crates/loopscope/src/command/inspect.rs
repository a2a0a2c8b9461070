//! `inspect`: where an exported picture comes from.

use std::path::PathBuf;

use clap::Args;
use loopscope_export::images::{Inspected, inspect as read};

use crate::args::Global;
use crate::failure::{Exit, UsageError, unless_unread};
use crate::report::{Talk, one_line, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// Pictures that `export images` wrote
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

const HINT: &str = "`loopscope export images` writes pictures that say it, unless --no-metadata is given; programs that convert \
                    pictures often take it out";

pub(super) fn inspect(arguments: &InspectArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let (mut told, mut failed) = (Vec::new(), Vec::new());
    for file in &arguments.files {
        match read(file) {
            Ok(inspected) => told.push(inspected),
            Err(error) => failed.push(error),
        }
    }
    if global.json {
        let shown = |one: &Inspected| {
            let mut value = serde_json::to_value(one)?;
            value["command"] = command_for(one, global).into();
            Ok(value)
        };
        print_json(&told.iter().map(shown).collect::<serde_json::Result<Vec<_>>>()?)?;
    } else {
        unless_unread(told.iter().enumerate().try_for_each(|(index, one)| print_one(index, one, global)))?;
    }
    let Some(last) = failed.pop() else { return Ok(Exit::Ok) };
    for error in failed {
        talk.error("error", &one_line(&format!("{:#}", anyhow::Error::from(error)), 400));
    }
    // The last one ends the command, with the hint.
    let is_silent = matches!(last, loopscope_export::images::InspectError::Silent { .. });
    let error = anyhow::Error::from(last);
    Err(if is_silent {
        error.context(UsageError {
            message: "not every picture says where it comes from".to_owned(),
            hint: Some(HINT.to_owned()),
        })
    } else {
        error
    })
}

fn command_for(one: &Inspected, global: &Global) -> String {
    let short = one.metadata.run_id.rsplit('-').next().and_then(|last| last.get(4..)).unwrap_or(&one.metadata.run_id);
    global.command(&format!("run show {short}"))
}

fn print_one(index: usize, one: &Inspected, global: &Global) -> std::io::Result<()> {
    let about = &one.metadata;
    if index > 0 {
        print("")?;
    }
    let seed = |seed: i64| if seed < 0 { "not recorded".to_owned() } else { seed.to_string() };
    let run_seed = if about.run_seed < 0 { "fresh randomness".to_owned() } else { format!("seed {}", about.run_seed) };
    print(&one.file.display().to_string())?;
    print(&format!("  experiment  {} ({})", one_line(&about.experiment_name, 100), about.experiment_id))?;
    print(&format!("  run         {}, {run_seed}, number {}", about.run_id, about.run_number))?;
    print(&format!("  step        {} ({})", about.sequence_number, about.invocation_id))?;
    print(&format!("  prompt      {}", one_line(&about.initial_prompt, 400)))?;
    print(&format!("  network     {}", one_line(&about.network.join(" → "), 400)))?;
    print(&format!("  model       {}", one_line(&about.model, 100)))?;
    print(&format!("  seed        {}", seed(about.seed)))?;
    print(&format!("  made        {}", about.started_at))?;
    print(&format!("  written by  {}", one_line(&about.program, 100)))?;
    print(&format!("`{}` shows its run", command_for(one, global)))
}
