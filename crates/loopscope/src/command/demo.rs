//! `demo`: the main job on a machine with nothing but this program.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context;
use loopscope_core::cluster::HdbscanParameters;
use loopscope_core::clustering::cluster_experiment;
use loopscope_core::config::{Syntax, check_config, parse_config};
use loopscope_core::engine::{Outcome, create_experiment};
use loopscope_core::experiment::{Experiment, OsEntropy, SystemClock};
use loopscope_core::store::{ExperimentLock, Store};

use super::work::{conclude, work};
use crate::args::{EngineArgs, Global};
use crate::failure::{Exit, unless_unread};
use crate::report::{Talk, one_line, print, write_filmstrip};

/// The config of the demo, which is also an example to start from.
pub(crate) const DEMO_CONFIG: &str = include_str!("../../../../examples/demo.toml");

pub(super) fn demo(global: &Global, engine: &EngineArgs, talk: &Talk) -> anyhow::Result<Exit> {
    let began = Instant::now();
    let given = parse_config(DEMO_CONFIG, Syntax::Toml)?;
    let registry = global.registry()?;
    check_config(&given.config, &registry)?;
    talk.say("four networks of dummy models: small programs that paint what words say and say what they see");
    let mut store = Store::open_write(&global.db, &global.open_options())?;
    let experiment = create_experiment(&mut store, given, "demo", &SystemClock, &OsEntropy)?;
    let outcome = work(store, experiment.id, &registry, engine, global, talk)?;
    if outcome == Outcome::Completed {
        cluster(&experiment, global, talk)?;
    }
    let strips = if outcome == Outcome::Interrupted { Vec::new() } else { filmstrips(&experiment, global)? };
    let exit = conclude(experiment.id, outcome, began, global, talk)?;
    match (outcome, global.json) {
        (Outcome::Interrupted, _) => {
            talk.say("clusters and filmstrips are made only when a demo finishes undisturbed; a resume makes neither");
        }
        (_, true) => unless_unread(print(&made(&experiment, &strips, global)?.to_string()))?,
        (_, false) => unless_unread(tell_what_next(&experiment, &strips, global))?,
    }
    Ok(exit)
}

/// Names what the demo made beside the experiment: the last event of its stream.
fn made(experiment: &Experiment, strips: &[PathBuf], global: &Global) -> anyhow::Result<serde_json::Value> {
    let clusterings = Store::open_read(&global.db, &global.open_options())?.clusterings(experiment.id)?;
    Ok(serde_json::json!({
        "event": "demo", "experiment": experiment.id, "name": experiment.name, "database": global.db,
        "filmstrips": strips, "clusterings": clusterings,
    }))
}

/// The default preset, but for one thing: everything may not be one cluster.
///
/// What the dummies say fills one cloud without gaps. Where one cluster is allowed, that cloud is the answer, and of the
/// states between which runs move nothing is to be seen.
fn parameters(row_count: usize) -> HdbscanParameters {
    HdbscanParameters::default(row_count).with_single_cluster(false)
}

fn cluster(experiment: &Experiment, global: &Global, talk: &Talk) -> anyhow::Result<()> {
    let mut store = Store::open_existing(&global.db, &global.open_options())?;
    let lock = ExperimentLock::take(store.path(), experiment.id)?;
    let count = cluster_experiment(&mut store, experiment.id, ("demo", parameters), (&SystemClock, &OsEntropy))
        .with_context(|| format!("clustering the embeddings of \"{}\"", experiment.name))?;
    store.checkpoint()?;
    drop(lock);
    talk.detail(&format!("made {count} clusterings"));
    Ok(())
}

/// Writes a filmstrip of one run of each network, beside the database.
fn filmstrips(experiment: &Experiment, global: &Global) -> anyhow::Result<Vec<PathBuf>> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    let runs = store.runs(experiment.id)?;
    let mut written = Vec::new();
    for (index, network) in experiment.config.networks.iter().enumerate() {
        let Some(run) = runs.iter().find(|run| run.key.network == *network) else { continue };
        let path = strip_path(&global.db, &experiment.name, index + 1);
        let heading = format!(
            "{network} (dummy models), seed {}, run {}: {}",
            run.key.seed,
            run.id.short(),
            one_line(&run.key.initial_prompt, 120)
        )
        .replace('→', ">");
        if write_filmstrip(&store, run.id, &heading, &path)? {
            written.push(path);
        }
    }
    Ok(written)
}

/// Names a strip after its database and experiment, so that a second demo overwrites nothing.
fn strip_path(database: &Path, experiment: &str, number: usize) -> PathBuf {
    let stem = database.file_stem().map_or_else(|| "loopscope".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let safe: String = experiment.chars().map(|letter| if letter.is_alphanumeric() { letter } else { '-' }).collect();
    database.with_file_name(format!("{stem}-{safe}-network{number}.png"))
}

fn tell_what_next(experiment: &Experiment, strips: &[PathBuf], global: &Global) -> std::io::Result<()> {
    let short = experiment.id.short();
    print("")?;
    print(&format!("database    {}", global.db.display()))?;
    for (index, strip) in strips.iter().enumerate() {
        print(&format!("{}{}", if index == 0 { "filmstrips  " } else { "            " }, strip.display()))?;
    }
    print("\nnext:")?;
    for (command, what) in [
        (global.command("run list"), "the runs, and how each ended"),
        (global.command("run show latest"), "one run, step by step"),
        (global.command(&format!("experiment show {short}")), "this summary again"),
        (
            global.command(&format!("experiment extend {short} --prompt \"a green ring\"")),
            "one more prompt, only what is new",
        ),
        (global.command("doctor"), "whether every row is whole"),
        ("loopscope config check examples/demo.toml".to_owned(), "the config to start from"),
    ] {
        print(&format!("  {command}\n      {what}"))?;
    }
    Ok(())
}
