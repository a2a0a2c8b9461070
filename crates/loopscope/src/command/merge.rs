//! `merge`: one store out of several.

use std::path::{Path, PathBuf};

use clap::Args;
use loopscope_core::store::{
    LeftOut, MergeError, Merged, MergedExperiment, MergedSource, StoreError, Tallies, merge_stores,
};

use crate::args::Global;
use crate::failure::{Exit, unless_unread};
use crate::next::shell_quoted;
use crate::report::{count, print, print_json};

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Databases to take from; they are only read
    #[arg(required = true, value_name = "FILE")]
    sources: Vec<PathBuf>,
    /// Find out what would happen, and leave everything as it is
    #[arg(long)]
    dry_run: bool,
}

pub(super) fn merge(arguments: &MergeArgs, global: &Global) -> anyhow::Result<Exit> {
    let MergeArgs { sources, dry_run } = arguments;
    // What is merged stands, whether or not anybody reads it to the end.
    let mut printed = Ok(());
    let mut told = |source: &Path, experiment: &MergedExperiment| {
        if !global.json && printed.is_ok() {
            printed = unless_unread(print_experiment(source, experiment));
        }
    };
    let merged = match merge_stores(&global.db, sources, &global.open_options(), *dry_run, &mut told) {
        Ok(merged) => merged,
        Err(error) => {
            if let (true, MergeError::Differs { object, source_path, conflicts, .. }) = (global.json, &error) {
                print_json(&serde_json::json!({
                    "error": "differs", "object": object, "source": source_path, "target": global.db, "conflicts": conflicts,
                }))?;
            }
            return Err(error.into());
        }
    };
    printed?;
    if global.json {
        print_json(&serde_json::json!({ "target": global.db, "dry_run": dry_run, "sources": merged }))?;
    } else {
        print_sums(&merged, *dry_run, global)?;
    }
    Ok(Exit::Ok)
}

pub(super) fn print_experiment(source: &Path, experiment: &MergedExperiment) -> std::io::Result<()> {
    let MergedExperiment { id, name, name_in_target, merged, rows } = experiment;
    let what = match merged {
        Merged::Added => added(rows),
        Merged::Grown => format!("grown by {}", added(rows)),
        Merged::Present => "there already, and the same".to_owned(),
    };
    print(&format!("{}: \"{name}\" ({}): {what}", source.display(), id.short()))?;
    if name_in_target != name {
        let why = if *merged == Merged::Added { "that name is taken; it" } else { "it" };
        print(&format!("  {why} is called \"{name_in_target}\" there"))?;
    }
    Ok(())
}

/// Writes what came in: `4 runs, 24 outputs, …`.
fn added(rows: &Tallies) -> String {
    const WORDS: [(&str, &str, &str); 8] = [
        ("run", "run", "runs"),
        ("invocation", "output", "outputs"),
        ("embedding", "embedding", "embeddings"),
        ("persistence_diagram", "diagram", "diagrams"),
        ("failure", "failure", "failures"),
        ("image", "picture", "pictures"),
        ("model_version", "model version", "model versions"),
        ("clustering_result", "clustering", "clusterings"),
    ];
    let of = |table: &str| rows.get(table).map_or(0, |tally| tally.added);
    let parts: Vec<String> = WORDS
        .iter()
        .filter(|(table, ..)| of(table) > 0)
        .map(|(table, one, many)| format!("{} {}", count(of(table)), if of(table) == 1 { one } else { many }))
        .collect();
    if parts.is_empty() { "nothing".to_owned() } else { parts.join(", ") }
}

fn print_sums(merged: &[MergedSource], is_dry_run: bool, global: &Global) -> std::io::Result<()> {
    let (mut added, mut present) = (0, 0);
    for source in merged {
        print_clusterings(source, "the target")?;
        for tally in source.rows().values() {
            added += tally.added;
            present += tally.present;
        }
    }
    let (target, added, present) = (global.db.display(), count(added), count(present));
    if is_dry_run {
        print(&format!(
            "a dry run: {added} rows would come into {target}, {present} are there already; nothing was changed"
        ))
    } else {
        print(&format!("{added} rows came into {target}, {present} were there already"))
    }
}

/// Tells what became of the clusterings of a source: how many came, and each that did not.
pub(super) fn print_clusterings(source: &MergedSource, without: &str) -> std::io::Result<()> {
    let path = source.path.display();
    let came = source.clusterings.rows.get("clustering_result").copied().unwrap_or_default();
    if came.added > 0 {
        print(&format!("{path}: {}", added(&source.clusterings.rows)))?;
    }
    if came.present > 0 {
        print(&format!("{path}: clusterings there already, and the same: {}", count(came.present)))?;
    }
    for LeftOut { id, algorithm, embedding_model, members, missing } in &source.clusterings.left_out {
        print(&format!(
            "{path}: left out clustering {} ({algorithm} of {embedding_model}): {} of its {} embeddings are not in {without}",
            id.short(),
            count(*missing),
            count(*members)
        ))?;
    }
    Ok(())
}

/// Returns the next move when a merge or an export stopped; `None` leaves it to what is said of any store.
pub(crate) fn hint(error: &MergeError, global: &Global) -> Option<String> {
    Some(match error {
        MergeError::Differs { conflicts, .. } if conflicts.iter().any(|conflict| conflict.is_of_place) => {
            "both stores went on with it by themselves; export or delete one side's, or keep the stores apart"
                .to_owned()
        }
        MergeError::Differs { .. } => {
            "look at both; the side that is wrong can be deleted with `loopscope experiment delete`, and merged again"
                .to_owned()
        }
        MergeError::Damaged { source_path, .. } => {
            format!(
                "`loopscope doctor --db {}` looks for everything wrong",
                shell_quoted(&source_path.to_string_lossy())
            )
        }
        MergeError::Store(StoreError::DiskFull { .. } | StoreError::DiskNearlyFull { .. }) => {
            "free some space, and give the same command again; nothing is there by half".to_owned()
        }
        MergeError::LogLeft { .. } => {
            "free some space, and give the same command again: it finds everything there, and carries the log over"
                .to_owned()
        }
        MergeError::Store(StoreError::Missing { .. }) => "name databases that are there".to_owned(),
        MergeError::Store(StoreError::NotADatabase { .. }) => "name another file; this one was not touched".to_owned(),
        MergeError::Store(StoreError::Older { path, .. }) => {
            format!("`loopscope migrate --db {}`", shell_quoted(&path.to_string_lossy()))
        }
        MergeError::Store(StoreError::Locked { .. }) => {
            format!(
                "an engine works on it in {}; wait for it, or stop it: it saves its work on Ctrl-C",
                global.db.display()
            )
        }
        _ => return None,
    })
}
