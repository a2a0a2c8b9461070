//! `config check|schema`.

use loopscope_core::config::{CONFIG_SCHEMA, check_config, read_config};
use loopscope_core::plan::plan_summary;
use loopscope_models::BuiltinRegistry;

use crate::args::{ConfigCommand, Global};
use crate::failure::Exit;
use crate::report::{Table, bytes, count, print, print_json};

pub(super) fn execute(command: &ConfigCommand, global: &Global) -> anyhow::Result<Exit> {
    match command {
        ConfigCommand::Check { file } => {
            let given = read_config(file)?;
            let models = check_config(&given.config, &BuiltinRegistry).map_err(|error| error.in_file(file))?;
            let plan = plan_summary(&given.config, &models);
            if global.json {
                print_json(&plan)?;
                return Ok(Exit::Ok);
            }
            print(&format!("{} is a good config. It asks for, at most:", file.display()))?;
            let mut table = Table::new(&["", ">"]);
            table.row(vec!["  runs".to_owned(), count(plan.runs)]);
            table.row(vec!["  invocations".to_owned(), count(plan.invocations_max)]);
            table.row(vec!["  embeddings".to_owned(), count(plan.embeddings_max)]);
            table.row(vec!["  diagrams".to_owned(), count(plan.persistence_diagrams_max)]);
            table.row(vec!["  disk, estimated".to_owned(), bytes(plan.disk_bytes_estimate)]);
            table.row(vec!["  largest model in memory".to_owned(), bytes(plan.model_memory_bytes_max)]);
            for (model, calls) in &plan.calls_max {
                let backend =
                    models.iter().find(|(name, _)| name.as_str() == model).map_or("", |(_, info)| &info.backend);
                table.row(vec![format!("  calls of {model} ({backend})"), count(*calls)]);
            }
            table.lines().iter().skip(1).try_for_each(|line| print(line))?;
            print("Runs with a seed of their own end early when their state comes back.")?;
        }
        ConfigCommand::Schema => print(CONFIG_SCHEMA.trim_end())?,
    }
    Ok(Exit::Ok)
}
