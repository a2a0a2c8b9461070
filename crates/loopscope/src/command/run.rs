//! `run list|show`.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;
use loopscope_core::codec::{Bar, longest_loop};
use loopscope_core::experiment::{Hash, ModelName, OutputType, RunId, StopReason};
use loopscope_core::store::{InvocationRow, OutputRow, RunProgress, Store, StoreError};

use crate::args::{Global, RunCommand};
use crate::failure::Exit;
use crate::report::{Table, Talk, count, one_line, print, print_json, print_unresolved, unresolved_failures};

pub(super) fn execute(command: &RunCommand, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let store = Store::open_read(&global.db, &global.open_options())?;
    match command {
        RunCommand::List { experiment, named } => list(&store, named.as_ref().unwrap_or(experiment), global),
        RunCommand::Show { run, images } => show(&store, run, images.as_deref(), global, talk),
    }
}

/// Returns how a run ended, in words.
fn stop_text(stop: StopReason) -> String {
    match stop {
        StopReason::Length => "length".to_owned(),
        StopReason::Cycle { period } => format!("cycle of {period}"),
        StopReason::Failed => "failed".to_owned(),
        StopReason::Unfinished => "unfinished".to_owned(),
    }
}

fn run_json(progress: &RunProgress) -> serde_json::Value {
    let run = &progress.run;
    serde_json::json!({
        "id": run.id, "experiment_id": run.experiment_id, "network": run.key.network, "initial_prompt": run.key.initial_prompt,
        "seed": run.key.seed, "run_number": run.key.run_number, "max_length": run.max_length, "length": progress.steps,
        "stop": progress.stop_reason(), "error": progress.failed, "persistence_diagrams": progress.diagrams,
    })
}

fn list(store: &Store, typed: &str, global: &Global) -> anyhow::Result<Exit> {
    let id = store.find_experiment(typed)?;
    let runs = store.progress(id, &BTreeMap::<ModelName, OutputType>::new())?;
    if global.json {
        print_json(&runs.iter().map(run_json).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["id", "network", "prompt", ">seed", ">run", ">length", "ended by"]);
    for progress in &runs {
        let key = &progress.run.key;
        table.row(vec![
            progress.run.id.short(),
            key.network.to_string(),
            one_line(&key.initial_prompt, 40),
            key.seed.to_string(),
            key.run_number.to_string(),
            format!("{}/{}", progress.steps, progress.run.max_length),
            stop_text(progress.stop_reason()),
        ]);
    }
    table.print()?;
    Ok(Exit::Ok)
}

fn show(store: &Store, typed: &str, images: Option<&Path>, global: &Global, talk: &Talk) -> anyhow::Result<Exit> {
    let id = store.find_run(typed)?;
    let run = store.run(id)?;
    let progress = store.progress_of(run, &BTreeMap::new())?;
    let mut failures = store.failures(progress.run.experiment_id)?;
    failures.retain(|failure| failure.run_id == Some(id));
    let unresolved = unresolved_failures(store, failures, std::slice::from_ref(&progress), &[])?;
    let written = images.map(|folder| write_images(store, id, folder)).transpose()?;
    if global.json {
        let mut value = run_json(&progress);
        let mut steps = Vec::new();
        store.visit_invocations(id, |row| {
            steps.push(row);
            Ok::<(), StoreError>(())
        })?;
        value["invocations"] = serde_json::to_value(steps)?;
        value["loops"] = loops_of(store, &progress)?.iter().map(loop_json).collect();
        value["unresolved"] = serde_json::to_value(&unresolved)?;
        print_json(&value)?;
    } else {
        print_steps(store, &progress)?;
        print_loops(&loops_of(store, &progress)?)?;
        print_unresolved(&unresolved, &global.command(&format!("run show {} --json", id.short())))?;
    }
    if let (Some(written), Some(folder)) = (written, images) {
        talk.say(&format!("wrote {} pictures into {}", count(written), folder.display()));
    }
    Ok(Exit::Ok)
}

fn print_steps(store: &Store, progress: &RunProgress) -> anyhow::Result<()> {
    let key = &progress.run.key;
    print(&format!("run {} ({})", progress.run.id.short(), progress.run.id))?;
    print(&format!("  network  {}", key.network))?;
    print(&format!("  prompt   {}", one_line(&key.initial_prompt, 200)))?;
    print(&format!("  seed     {}, run {}", key.seed, key.run_number))?;
    let stop = stop_text(progress.stop_reason());
    print(&format!("  length   {} of {}, ended by: {stop}\n", progress.steps, progress.run.max_length))?;
    if let Some(error) = &progress.failed {
        print(&format!("  error    {}\n", one_line(error, 400)))?;
    }
    store.visit_invocations(progress.run.id, |row: InvocationRow| -> anyhow::Result<()> {
        let output = match &row.output {
            OutputRow::Text { text } => one_line(text, 100),
            OutputRow::Image { pixel_hash, width, height, .. } => {
                format!("[picture {width}×{height}, pixels {}]", &pixel_hash[..8])
            }
        };
        Ok(print(&format!("{:>6}  {:<12} {output}", row.sequence_number, row.model))?)
    })
}

/// Which steps of a run make its most persistent loop in the space of one embedding model.
struct Loop {
    model: ModelName,
    bar: Bar,
    /// Sequence numbers, in order around the loop.
    steps: Vec<u64>,
}

/// Returns the loops of the diagrams that have generators stored.
fn loops_of(store: &Store, progress: &RunProgress) -> anyhow::Result<Vec<Loop>> {
    let mut loops = Vec::new();
    for model in &progress.diagrams {
        let diagram = store.diagram(progress.run.id, model)?;
        let Some((bar, points)) = diagram.as_ref().and_then(longest_loop) else { continue };
        // A point is a row of the trajectory, which holds only the outputs that this model embeds.
        let trajectory = store.trajectory(progress.run.id, model)?;
        let steps = points.iter().map(|&point| trajectory.get(point).map(|stored| stored.sequence_number.0));
        let steps = steps.collect::<Option<Vec<u64>>>().with_context(|| {
            format!("the {model} diagram of run {} names more steps than it has", progress.run.id.short())
        })?;
        loops.push(Loop { model: model.clone(), bar, steps });
    }
    Ok(loops)
}

fn loop_json(around: &Loop) -> serde_json::Value {
    let Loop { model, bar, steps } = around;
    serde_json::json!({ "embedding_model": model, "birth": bar.birth, "death": bar.death, "steps": steps })
}

/// How many steps of a loop a line shows.
const SHOWN_STEPS: usize = 24;

fn print_loops(loops: &[Loop]) -> std::io::Result<()> {
    for (index, Loop { model, bar, steps }) in loops.iter().enumerate() {
        if index == 0 {
            print("\nThe most persistent loop:")?;
        }
        let shown: Vec<String> = steps.iter().take(SHOWN_STEPS).map(ToString::to_string).collect();
        let more = steps.len().saturating_sub(SHOWN_STEPS);
        let more = if more > 0 { format!(" and {more} more (--json has all)") } else { String::new() };
        print(&format!("  {model:<12} from {:.4} to {:.4}, steps {}{more}", bar.birth, bar.death, shown.join(" ")))?;
    }
    Ok(())
}

/// Writes the pictures of a run as they are stored: `seq_NNN.webp`.
fn write_images(store: &Store, run: RunId, folder: &Path) -> anyhow::Result<u64> {
    std::fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    let mut written = 0;
    store.visit_invocations(run, |row: InvocationRow| -> anyhow::Result<()> {
        let OutputRow::Image { hash, .. } = &row.output else { return Ok(()) };
        let (format, bytes) = store.image_bytes(hash_of_hex(hash)?)?;
        let path = folder.join(format!("seq_{:03}.{format}", row.sequence_number.0));
        std::fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        written += 1;
        Ok(())
    })?;
    Ok(written)
}

fn hash_of_hex(hex: &str) -> anyhow::Result<Hash> {
    let mut bytes = [0; 32];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let digits = hex.get(2 * index..2 * index + 2).context("a hash has 64 digits")?;
        *byte = u8::from_str_radix(digits, 16).context("a hash is hexadecimal")?;
    }
    Ok(Hash::from_bytes(bytes))
}
