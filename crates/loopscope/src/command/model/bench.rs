//! `model bench`: how long a model takes for an item, by the size of a batch.

use std::time::{Duration, Instant};

use anyhow::Context;
use loopscope_core::backend::{LoadedModel, ModelInfo, Registry, Request};
use loopscope_core::experiment::{ModelKind, ModelName, Picture};
use loopscope_models::ModelRegistry;
use serde::Serialize;

use super::{info_json, info_of};
use crate::args::Global;
use crate::failure::Exit;
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
    let inputs = Inputs::of(info.kind)?;
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
    let largest = timed.last().map_or(0, |timed| timed.batch);
    if global.json {
        let fault = fault.map(|(batch, error)| serde_json::json!({ "batch": batch, "error": format!("{error:#}") }));
        print_json(&serde_json::json!({
            "model": info_json(&info), "load_seconds": load.as_secs_f64(), "first_call_seconds": first.as_secs_f64(),
            "batches": timed, "largest_batch": largest, "failed": fault,
        }))?;
        return Ok(Exit::Ok);
    }
    show(&info, (load, first), &timed, largest)?;
    if let Some((batch, error)) = fault {
        print(&format!("a batch of {batch} failed: {error:#}"))?;
    }
    Ok(Exit::Ok)
}

fn show(info: &ModelInfo, (load, first): (Duration, Duration), timed: &[Timed], largest: usize) -> std::io::Result<()> {
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
    let limit = info.batch_max;
    let memory = bytes(info.memory_bytes);
    print(&format!(
        "  largest batch that went through: {largest}; the model takes at most {limit} ({memory} of memory, estimated)"
    ))
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

/// As many different inputs as the largest batch has.
enum Inputs {
    Texts(Vec<String>),
    Pictures(Vec<Picture>),
}

impl Inputs {
    fn of(kind: ModelKind) -> anyhow::Result<Self> {
        let largest = SIZES[SIZES.len() - 1];
        if matches!(kind, ModelKind::TextToImage | ModelKind::TextEmbedder) {
            let places = ["left", "right", "top", "bottom"];
            let text = |number: usize| {
                format!("a photograph of {} red apples at the {} of a wooden table", number + 2, places[number % 4])
            };
            return Ok(Self::Texts((0..largest).map(text).collect()));
        }
        let picture = |number: usize| {
            let pixel = |place: usize| [(place / 256) as u8, (place % 256) as u8, (number * 30) as u8];
            Picture::new(256, 256, (0..256 * 256).flat_map(pixel).collect())
        };
        Ok(Self::Pictures((0..largest).map(picture).collect::<Result<_, _>>()?))
    }

    /// Calls the model once; any item that fails fails the call.
    fn call(&self, model: &mut LoadedModel, batch: usize) -> anyhow::Result<()> {
        match (model, self) {
            (LoadedModel::TextToImage(model), Self::Texts(texts)) => {
                let requests: Vec<_> =
                    texts[..batch].iter().map(|input| Request { input: input.as_str(), seed: 1 }).collect();
                model.generate(&requests).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            (LoadedModel::TextEmbedder(model), Self::Texts(texts)) => {
                let texts: Vec<&str> = texts[..batch].iter().map(String::as_str).collect();
                model.embed(&texts).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            (LoadedModel::ImageToText(model), Self::Pictures(pictures)) => {
                let requests: Vec<_> = pictures[..batch].iter().map(|input| Request { input, seed: 1 }).collect();
                model.describe(&requests).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            (LoadedModel::ImageEmbedder(model), Self::Pictures(pictures)) => {
                let pictures: Vec<&Picture> = pictures[..batch].iter().collect();
                model.embed(&pictures).into_iter().collect::<Result<Vec<_>, _>>()?;
            }
            _ => anyhow::bail!("the model is of another kind than it is listed with"),
        }
        Ok(())
    }
}
