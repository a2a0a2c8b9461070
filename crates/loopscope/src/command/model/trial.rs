//! `model test`: a few calls, and whether they repeat.

use std::time::Instant;

use anyhow::{Context, bail};
use loopscope_core::backend::{LoadedModel, Registry, Request};
use loopscope_core::experiment::{Determinism, ModelName, Picture, Vector};
use loopscope_models::ModelRegistry;

use super::{info_json, info_of};
use crate::args::Global;
use crate::failure::Exit;
use crate::report::{bytes, duration, one_line, print, print_json};

/// Inputs that every model of a kind should cope with.
const TEXTS: [&str; 3] = ["a small red circle at the left on a blue background", "zwei Äpfel 🍏", ""];

fn pictures() -> anyhow::Result<Vec<Picture>> {
    let flat = Picture::new(64, 64, [200, 40, 40].repeat(64 * 64))?;
    let halves = Picture::new(64, 32, [[240, 240, 240].repeat(32), [20, 30, 160].repeat(32)].concat().repeat(32))?;
    Ok(vec![flat, halves, Picture::new(1, 1, vec![0, 0, 0])?])
}

pub(super) fn test(registry: &ModelRegistry, name: &str, global: &Global) -> anyhow::Result<Exit> {
    let name = ModelName::new(name);
    let info = info_of(registry, &name)?;
    let began = Instant::now();
    let mut model = registry.load(&info).with_context(|| format!("{name} could not be loaded"))?;
    let loaded_in = began.elapsed();
    let began = Instant::now();
    let first = call(&mut model)?;
    let took = began.elapsed();
    let repeats = first == call(&mut model)?;
    if info.determinism == Determinism::Bitwise && !repeats {
        bail!("{name} is listed as bitwise deterministic, and gave something else the second time");
    }
    if global.json {
        let seconds = (loaded_in.as_secs_f64(), took.as_secs_f64());
        print_json(&serde_json::json!({
            "model": info_json(&info), "results": first, "repeats": repeats, "load_seconds": seconds.0, "call_seconds": seconds.1,
        }))?;
        return Ok(Exit::Ok);
    }
    print(&format!("{name}: {}, backend {}, {}", info.kind, info.backend, info.about))?;
    print(&format!("  loaded in {}, {} in memory at most", duration(loaded_in), bytes(info.memory_bytes)))?;
    // What a server says may hold what a terminal obeys.
    first.iter().try_for_each(|line| print(&format!("  {}", one_line(line, 400))))?;
    let again = if repeats { "the same again" } else { "something else the second time" };
    print(&format!("  {} results in {:.1} ms; {again}", first.len(), took.as_secs_f64() * 1e3))?;
    Ok(Exit::Ok)
}

/// Calls a model with the inputs above and returns a line for each result; the same line means the same result.
fn call(model: &mut LoadedModel) -> anyhow::Result<Vec<String>> {
    let pictures = pictures()?;
    let vector_line = |numbers: Vec<f32>| -> anyhow::Result<String> {
        let vector = Vector::new(numbers)?;
        let shown: Vec<String> = vector.numbers().iter().take(4).map(|number| format!("{number:.4}")).collect();
        let hash = loopscope_core::experiment::Hash::of(&loopscope_core::codec::encode_vector(&vector)).to_string();
        Ok(format!("{} numbers: {}, … (hash {})", vector.dimension(), shown.join(", "), &hash[..8]))
    };
    let lines: Vec<(String, anyhow::Result<String>)> = match model {
        LoadedModel::TextToImage(model) => {
            let batch = TEXTS.map(|input| Request { input, seed: 1 });
            let line = |picture: Picture| {
                Ok(format!(
                    "{}×{} picture {}",
                    picture.width(),
                    picture.height(),
                    &picture.pixel_hash().to_string()[..8]
                ))
            };
            let results =
                model.generate(&batch).into_iter().map(|result| result.map_err(anyhow::Error::from).and_then(line));
            TEXTS.iter().map(|text| format!("\"{}\"", one_line(text, 60))).zip(results).collect()
        }
        LoadedModel::ImageToText(model) => {
            let batch: Vec<Request<'_, Picture>> = pictures.iter().map(|input| Request { input, seed: 1 }).collect();
            let results = model.describe(&batch).into_iter().map(|result| result.map_err(anyhow::Error::from));
            pictures.iter().map(name_of).zip(results.map(|result| result.map(|text| format!("\"{text}\"")))).collect()
        }
        LoadedModel::TextEmbedder(model) => {
            let results =
                model.embed(&TEXTS).into_iter().map(|result| result.map_err(anyhow::Error::from).and_then(vector_line));
            TEXTS.iter().map(|text| format!("\"{}\"", one_line(text, 60))).zip(results).collect()
        }
        LoadedModel::ImageEmbedder(model) => {
            let batch: Vec<&Picture> = pictures.iter().collect();
            let results =
                model.embed(&batch).into_iter().map(|result| result.map_err(anyhow::Error::from).and_then(vector_line));
            pictures.iter().map(name_of).zip(results).collect()
        }
    };
    lines.into_iter().map(|(input, result)| Ok(format!("{input} → {}", result?))).collect()
}

fn name_of(picture: &Picture) -> String {
    format!("[picture {}×{}]", picture.width(), picture.height())
}
