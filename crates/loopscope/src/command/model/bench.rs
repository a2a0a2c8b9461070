//! `model bench`: how long a model takes for an item, by the size of a batch.

use std::time::{Duration, Instant};

use anyhow::Context;
use loopscope_core::backend::{LoadedModel, ModelInfo, Registry};
use loopscope_core::experiment::ModelName;
use loopscope_models::ModelRegistry;
use serde::Serialize;

use super::inputs::Inputs;
use super::search::{End, Largest, search, watched};
use super::{info_json, info_of};
use crate::args::Global;
use crate::failure::Exit;
use crate::memory;
use crate::report::{Table, Talk, bytes, duration, print, print_json};

const SIZES: [usize; 4] = [1, 2, 4, 8];

/// What a size of batch came to.
#[derive(Serialize)]
struct Timed {
    batch: usize,
    calls: usize,
    seconds_per_call: f64,
    seconds_per_item: f64,
}

pub(super) fn bench(
    registry: &ModelRegistry,
    name: &ModelName,
    seconds: f64,
    global: &Global,
    talk: &Talk,
) -> anyhow::Result<Exit> {
    let info = info_of(registry, name)?;
    if registry.price(name).is_some() {
        talk.say(&format!("{name} has a price in the models file: these calls are paid for"));
    }
    let began = Instant::now();
    let mut model = registry.load(&info).with_context(|| format!("{name} could not be loaded"))?;
    let load = began.elapsed();
    let inputs = Inputs::of(info.kind, info.batch_max)?;
    // The first call is another than the rest: memory is taken, files are read.
    let began = Instant::now();
    inputs.call(&mut model, 1).with_context(|| format!("{name}: the first call"))?;
    let first = began.elapsed();
    let mut timed = Vec::new();
    let mut fault = None;
    for batch in SIZES.into_iter().filter(|size| *size <= info.batch_max) {
        match time(&mut model, &inputs, batch, Duration::from_secs_f64(seconds)) {
            Ok(one) => timed.push(one),
            Err(error) => {
                fault = Some((batch, error));
                break;
            }
        }
    }
    let through = timed.last().map_or(0, |timed| timed.batch);
    let largest = match fault {
        Some((next, error)) => Largest { batch: through, end: End::Failed { next, error: format!("{error:#}") } },
        None if info.backend == "http" => Largest { batch: through, end: End::Server },
        None => search(through, info.batch_max, patience(seconds), memory::free, |batch| {
            watched(|| inputs.call(&mut model, batch))
        }),
    };
    if global.json {
        print_json(&serde_json::json!({
            "model": info_json(&info), "load_seconds": load.as_secs_f64(), "first_call_seconds": first.as_secs_f64(),
            "batches": timed, "largest": largest,
        }))?;
        return Ok(Exit::Ok);
    }
    show(&info, (load, first), &timed, &largest)?;
    Ok(Exit::Ok)
}

/// Returns how long a call may take in the search for the largest batch.
fn patience(seconds: f64) -> Duration {
    Duration::from_secs_f64(1.0 + 10.0 * seconds)
}

fn show(
    info: &ModelInfo,
    (load, first): (Duration, Duration),
    timed: &[Timed],
    largest: &Largest,
) -> std::io::Result<()> {
    print(&format!("{}: {}, backend {}, {}", info.name, info.kind, info.backend, info.about))?;
    print(&format!("  loaded in {}, first call {}", duration(load), duration(first)))?;
    let mut table = Table::new(&["  batch", ">calls", ">s a call", ">s an item", ">items a second"]);
    for one in timed {
        table.row(vec![
            format!("  {}", one.batch),
            one.calls.to_string(),
            format!("{:.6}", one.seconds_per_call),
            format!("{:.6}", one.seconds_per_item),
            format!("{:.1}", 1.0 / one.seconds_per_item),
        ]);
    }
    table.print()?;
    print(&format!("  {}", largest.told()))?;
    let memory = bytes(info.memory_bytes);
    print(&format!("  the model takes batches of at most {}, and {memory} of memory, estimated", info.batch_max))
}

/// Calls with one size until so much time has passed, at least twice.
fn time(model: &mut LoadedModel, inputs: &Inputs, batch: usize, least: Duration) -> anyhow::Result<Timed> {
    let began = Instant::now();
    let mut calls = 0;
    while calls < 2 || began.elapsed() < least {
        inputs.call(model, batch)?;
        calls += 1;
    }
    let seconds_per_call = began.elapsed().as_secs_f64() / calls as f64;
    Ok(Timed { batch, calls, seconds_per_call, seconds_per_item: seconds_per_call / batch as f64 })
}
