//! `experiment run|resume|extend|list|show|delete`.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use loopscope_core::config::{ConfigError, Syntax, check_config, parse_config, read_config};
use loopscope_core::engine::create_experiment;
use loopscope_core::experiment::{ExperimentConfig, ExperimentId, ModelName, Network, OsEntropy, Seed, SystemClock};
use loopscope_core::store::{ExperimentLock, Extension, Store};
use loopscope_models::ModelRegistry;

use super::work::{conclude, work};
use crate::args::{EngineArgs, ExperimentCommand, Global};
use crate::failure::{Exit, UsageError};
use crate::report::{
    Table, Talk, confirm, count, one_line, print, print_compact, print_json, print_json_line, print_summary, summarise,
};

/// What must be free to delete: room for the log of the change.
const DELETE_FREE_BYTES_MIN: u64 = 8 << 20;
/// How often `show --watch` looks again.
const WATCH_EVERY: Duration = Duration::from_secs(2);
/// How long nobody may hold an experiment that is still worked on: `extend` lets go before it begins to work.
const WATCH_GRACE: Duration = Duration::from_millis(500);

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
        ExperimentCommand::Show { experiment, watch, compact } => show(&experiment, watch, compact, global, talk),
        ExperimentCommand::Delete { experiment, yes } => delete(&experiment, yes, global, talk),
    }
}

fn run(file: &Path, name: Option<String>, engine: &EngineArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let mut given = read_config(file)?;
    let registry = global.registry()?;
    check_config(&given.config, &registry).map_err(|error| error.in_file(file))?;
    if name.is_some() {
        given.config.name = name;
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let fallback = match stem.trim() {
        "" | "latest" => "experiment",
        stem => stem,
    };
    let mut store = Store::open_write(&global.db, &global.open_options())?;
    let experiment = create_experiment(&mut store, given, fallback, &SystemClock, &OsEntropy)?;
    talk.detail(&format!("made experiment {} ({})", experiment.name, experiment.id.short()));
    let outcome = work(store, experiment.id, &registry, engine, global, talk)?;
    conclude(experiment.id, outcome, began, global, talk)
}

fn resume(typed: &str, engine: &EngineArgs, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let store = Store::open_existing(&global.db, &global.open_options())?;
    let id = store.find_experiment(typed)?;
    let outcome = work(store, id, &global.registry()?, engine, global, talk)?;
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
    let registry = global.registry()?;
    let mut store = Store::open_existing(&global.db, &global.open_options())?;
    let id = store.find_experiment(typed)?;
    // The lock is taken for the change and again for the work: in between nothing is half done.
    let lock = ExperimentLock::take(store.path(), id)?;
    check_extension(store.experiment(id)?.config, extension, &registry)?;
    let extended = store.extend(id, extension, &SystemClock, &OsEntropy)?;
    drop(lock);
    talk.say(&format!(
        "extended: {} runs added, {} runs may grow, {} diagrams of growing runs are computed anew",
        count(extended.runs_added),
        count(extended.runs_lengthened),
        count(extended.diagrams_dropped)
    ));
    let outcome = work(store, id, &registry, engine, global, talk)?;
    conclude(id, outcome, began, global, talk)
}

/// Checks what an experiment would ask for with an extension, as a config that says so would be checked.
///
/// The store itself refuses what no config can say: a model that is there already, a length that shrinks, nothing new.
fn check_extension(
    mut config: ExperimentConfig,
    extension: &Extension,
    registry: &ModelRegistry,
) -> Result<(), ConfigError> {
    for model in &extension.embedding_models {
        config.embedding_models.push(model.clone());
    }
    if has_duplicates(&config.embedding_models) {
        return Ok(());
    }
    extension.prompts.iter().for_each(|prompt| config.prompts.push(prompt.clone()));
    extension.seeds.iter().for_each(|&seed| config.seeds.push(seed));
    if let Some(length) = extension.max_length {
        config.max_length = length.max(config.max_length);
    }
    let networks: Vec<_> = config.networks.iter().map(Network::models).collect();
    let document = serde_json::json!({
        "networks": networks, "prompts": config.prompts, "seeds": config.seeds,
        "embedding_models": config.embedding_models, "max_length": config.max_length, "parameters": config.parameters,
    });
    check_config(&parse_config(&document.to_string(), Syntax::Json)?.config, registry)?;
    Ok(())
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

fn show(typed: &str, watch: bool, compact: bool, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    // Once: while we watch, `latest` stays what it was.
    let id = Store::open_read(&global.db, &global.open_options())?.find_experiment(typed)?;
    loop {
        let is_over = look(id, watch, compact, global)?;
        if !watch || is_over {
            return Ok(Exit::Ok);
        }
        match watched(id, global)? {
            Watched::Worked => std::thread::sleep(WATCH_EVERY),
            Watched::Complete => {}
            Watched::Left => {
                let resume = global.command(&format!("experiment resume {}", id.short()));
                talk.say(&format!("it is not complete, and nobody works on it; `{resume}` goes on"));
                return Ok(Exit::Ok);
            }
        }
    }
}

/// Shows an experiment once, and returns whether it is complete.
fn look(id: ExperimentId, watch: bool, compact: bool, global: &Global) -> anyhow::Result<bool> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    let experiment = store.experiment(id)?;
    let summary = summarise(&store, &experiment)?;
    match (global.json, watch) {
        (true, true) => print_json_line(&summary)?,
        (true, false) => print_json(&summary)?,
        (false, _) => {
            if watch && std::io::stdout().is_terminal() {
                // Clear the screen and go to its top left corner.
                write!(std::io::stdout().lock(), "\u{1b}[2J\u{1b}[H")?;
            }
            if compact {
                print_compact(&summary)?;
            } else {
                print_summary(&summary, global)?;
            }
        }
    }
    Ok(experiment.completed_at.is_some())
}

/// What becomes of an experiment that was not complete a moment ago.
enum Watched {
    /// A process works on it.
    Worked,
    /// It is complete by now.
    Complete,
    /// Nobody works on it, and it is not complete.
    Left,
}

fn watched(id: ExperimentId, global: &Global) -> anyhow::Result<Watched> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    let is_held = || ExperimentLock::holder(store.path(), id).is_some();
    if is_held() {
        return Ok(Watched::Worked);
    }
    std::thread::sleep(WATCH_GRACE);
    if is_held() {
        return Ok(Watched::Worked);
    }
    Ok(if store.experiment(id)?.completed_at.is_some() { Watched::Complete } else { Watched::Left })
}

fn delete(typed: &str, yes: bool, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    // Deleting is what makes room: it must work on a disk that is too full for an engine.
    let mut options = global.open_options();
    options.free_bytes_min = options.free_bytes_min.min(DELETE_FREE_BYTES_MIN);
    let mut store = Store::open_existing(&global.db, &options)?;
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
