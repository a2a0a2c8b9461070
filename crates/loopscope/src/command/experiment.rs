//! `experiment run|resume|extend|list|show|delete`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use loopscope_core::config::{check_config, read_config};
use loopscope_core::engine::create_experiment;
use loopscope_core::experiment::{ModelName, OsEntropy, Seed, SystemClock};
use loopscope_core::store::{ExperimentLock, Extension, Store};
use loopscope_models::BuiltinRegistry;

use super::work::{conclude, work};
use crate::args::{EngineArgs, ExperimentCommand, Global};
use crate::failure::{Exit, UsageError};
use crate::report::{Table, Talk, confirm, count, one_line, print, print_json, print_summary, summarise};

/// How often `show --watch` looks again.
const WATCH_EVERY: Duration = Duration::from_secs(2);

pub(super) fn execute(command: ExperimentCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    match command {
        ExperimentCommand::Run { file, name, engine } => run(&file, name, &engine, global, talk),
        ExperimentCommand::Resume { experiment, engine } => resume(&experiment, &engine, global, talk),
        ExperimentCommand::Extend { experiment, prompts, seeds, embedding_models, max_length, engine } => {
            let seeds = seeds.into_iter().map(Seed::new).collect::<Result<Vec<_>, _>>();
            let seeds = seeds.map_err(|error| UsageError { message: format!("--seed: {error}"), hint: None })?;
            let embedding_models = embedding_models.iter().map(|name| ModelName::new(name)).collect();
            let extension = Extension { prompts, seeds, embedding_models, max_length };
            extend(&experiment, &extension, &engine, global, talk)
        }
        ExperimentCommand::List => list(global),
        ExperimentCommand::Show { experiment, watch } => show(&experiment, watch, global),
        ExperimentCommand::Delete { experiment, yes } => delete(&experiment, yes, global, talk),
    }
}

fn run(file: &Path, name: Option<String>, engine: &EngineArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let mut given = read_config(file)?;
    check_config(&given.config, &BuiltinRegistry).map_err(|error| error.in_file(file))?;
    if name.is_some() {
        given.config.name = name;
    }
    let fallback = file.file_stem().map_or_else(|| "experiment".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let mut store = Store::open_write(&global.db, &global.open_options())?;
    let experiment = create_experiment(&mut store, given, &fallback, &SystemClock, &OsEntropy)?;
    talk.detail(&format!("made experiment {} ({})", experiment.name, experiment.id.short()));
    let outcome = work(store, experiment.id, engine, global, talk)?;
    conclude(experiment.id, outcome, began, global, talk)
}

fn resume(typed: &str, engine: &EngineArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let store = Store::open_existing(&global.db, &global.open_options())?;
    let id = store.find_experiment(typed)?;
    let outcome = work(store, id, engine, global, talk)?;
    conclude(id, outcome, began, global, talk)
}

fn extend(
    typed: &str,
    extension: &Extension,
    engine: &EngineArgs,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let mut store = Store::open_existing(&global.db, &global.open_options())?;
    let id = store.find_experiment(typed)?;
    // The lock is taken for the change and again for the work: in between nothing is half done.
    let lock = ExperimentLock::take(store.path(), id)?;
    let mut config = store.experiment(id)?.config;
    for model in &extension.embedding_models {
        config.embedding_models.push(model.clone());
    }
    if !extension.embedding_models.is_empty() && !has_duplicates(&config.embedding_models) {
        check_config(&config, &BuiltinRegistry)?;
    }
    let extended = store.extend(id, extension, &SystemClock, &OsEntropy)?;
    drop(lock);
    talk.say(&format!(
        "extended: {} runs added, {} runs may grow, {} diagrams of growing runs are computed anew",
        count(extended.runs_added),
        count(extended.runs_lengthened),
        count(extended.diagrams_dropped)
    ));
    let outcome = work(store, id, engine, global, talk)?;
    conclude(id, outcome, began, global, talk)
}

fn has_duplicates(models: &[ModelName]) -> bool {
    models.iter().enumerate().any(|(index, model)| models[..index].contains(model))
}

fn list(global: &Global) -> anyhow::Result<Exit> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    let mut rows = Vec::new();
    let mut table = Table::new(&["id", "name", ">runs", ">outputs", ">embeddings", ">diagrams", "state", "created"]);
    for experiment in store.experiments()? {
        let counts = store.counts(experiment.id)?;
        let holder = ExperimentLock::holder(store.path(), experiment.id);
        let state = match (&holder, experiment.completed_at, experiment.started_at) {
            (Some(_), _, _) => "running",
            (None, Some(_), _) => "complete",
            (None, None, Some(_)) => "not complete",
            (None, None, None) => "not begun",
        };
        table.row(vec![
            experiment.id.short(),
            one_line(&experiment.name, 40),
            count(counts.runs),
            count(counts.invocations),
            count(counts.embeddings),
            count(counts.persistence_diagrams),
            state.to_owned(),
            experiment.created_at.to_string()[..16].replace('T', " "),
        ]);
        rows.push(serde_json::json!({
            "id": experiment.id, "name": experiment.name, "state": state, "origin": experiment.origin, "counts": counts,
            "created_at": experiment.created_at, "started_at": experiment.started_at, "completed_at": experiment.completed_at,
        }));
    }
    if global.json {
        print_json(&rows)?;
    } else if rows.is_empty() {
        print("there are no experiments; `loopscope demo` makes one")?;
    } else {
        table.print()?;
    }
    Ok(Exit::Ok)
}

fn show(typed: &str, watch: bool, global: &Global) -> anyhow::Result<Exit> {
    loop {
        let store = Store::open_read(&global.db, &global.open_options())?;
        let experiment = store.experiment(store.find_experiment(typed)?)?;
        let summary = summarise(&store, &experiment)?;
        if global.json {
            print_json(&summary)?;
        } else {
            if watch && std::io::stdout().is_terminal() {
                // Clear the screen and go to its top left corner.
                write!(std::io::stdout().lock(), "\u{1b}[2J\u{1b}[H")?;
            }
            print_summary(&summary)?;
        }
        if !watch || experiment.completed_at.is_some() {
            return Ok(Exit::Ok);
        }
        std::thread::sleep(WATCH_EVERY);
    }
}

fn delete(typed: &str, yes: bool, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let mut store = Store::open_existing(&global.db, &global.open_options())?;
    let id = store.find_experiment(typed)?;
    let lock = ExperimentLock::take(store.path(), id)?;
    let experiment = store.experiment(id)?;
    let counts = store.counts(id)?;
    let clusterings = store.clusterings_resting_on(id)?;
    if !yes {
        if !std::io::stdin().is_terminal() {
            let message = format!("deleting \"{}\" needs a yes, and nobody is there to ask", experiment.name);
            return Err(UsageError { message, hint: Some("say it with --yes".to_owned()) }.into());
        }
        let question = format!(
            "Delete experiment \"{}\" ({}) with {} runs, {} outputs, {} embeddings and {} clusterings that rest on them?",
            experiment.name,
            id.short(),
            count(counts.runs),
            count(counts.invocations),
            count(counts.embeddings),
            clusterings.len()
        );
        if !confirm(&question)? {
            talk.say("nothing was deleted");
            return Ok(Exit::Ok);
        }
    }
    let deleted = store.delete_experiment(id)?;
    store.checkpoint()?;
    drop(lock);
    if global.json {
        print_json(&serde_json::json!({
            "experiment": id, "name": experiment.name, "runs": deleted.runs, "invocations": deleted.invocations,
            "embeddings": deleted.embeddings, "persistence_diagrams": deleted.persistence_diagrams,
            "clustering_results": clusterings, "images": deleted.images,
        }))?;
    } else {
        print(&format!(
            "deleted \"{}\": {} runs, {} outputs, {} embeddings, {} diagrams, {} clusterings, {} pictures",
            experiment.name,
            count(deleted.runs),
            count(deleted.invocations),
            count(deleted.embeddings),
            count(deleted.persistence_diagrams),
            count(deleted.clusterings),
            count(deleted.images)
        ))?;
        for clustering in &clusterings {
            print(&format!("  clustering {clustering} rested on it"))?;
        }
    }
    Ok(Exit::Ok)
}
