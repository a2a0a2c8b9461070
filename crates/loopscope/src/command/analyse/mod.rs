//! `analyse …`: what an experiment's trajectories do, as tables.

mod args;
mod show;

pub(crate) use args::{AnalyseCommand, CostArg, parse_penalty};

use std::path::{Path, PathBuf};

use anyhow::Context;
use loopscope_core::analysis::{Analysis, analyse};
use loopscope_core::store::Store;

use crate::args::Global;
use crate::failure::{Exit, UsageError};
use crate::report::{Talk, print_json};

pub(super) fn execute(command: &AnalyseCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let request = command.request();
    let store = Store::open_read(&global.db, &global.open_options())?;
    let id = store.find_experiment(&request.common.experiment)?;
    let analysis = analyse(&store, id, request.kind, &request.options, &global.registry()?).map_err(told)?;
    if let Some(file) = &request.common.csv {
        for path in write_csv(&analysis, file)? {
            talk.say(&format!("wrote {}", path.display()));
        }
    }
    if global.json {
        print_json(&analysis.to_json())?;
    } else {
        show::print_analysis(&analysis)?;
    }
    Ok(Exit::Ok)
}

/// A clustering that is not there is a slip of the hand.
pub(super) fn told(error: loopscope_core::analysis::AnalysisError) -> anyhow::Error {
    match error {
        loopscope_core::analysis::AnalysisError::UnknownClustering { .. } => UsageError {
            message: error.to_string(),
            hint: Some("leave out --clustering to take the newest of each embedder".to_owned()),
        }
        .into(),
        loopscope_core::analysis::AnalysisError::Store(error) => error.into(),
        error => error.into(),
    }
}

/// Writes the main table to a file and every other one beside it, and returns what was written.
fn write_csv(analysis: &Analysis, file: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    for (place, table) in analysis.tables.iter().enumerate() {
        let path = if place == 0 { file.to_owned() } else { beside(file, table.name) };
        std::fs::write(&path, table.to_csv()).with_context(|| format!("writing {}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// Returns the name of a further table: `drift.csv` becomes `drift.recoverability.csv`.
fn beside(file: &Path, name: &str) -> PathBuf {
    let extension = file.extension().map_or_else(|| "csv".into(), |end| end.to_string_lossy().into_owned());
    file.with_extension(format!("{name}.{extension}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_tables_lie_beside_the_first() {
        assert_eq!(beside(Path::new("a/drift.csv"), "x"), Path::new("a/drift.x.csv"));
        assert_eq!(beside(Path::new("drift"), "x"), Path::new("drift.x.csv"));
    }
}
