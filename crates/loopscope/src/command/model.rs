//! `model list|test`.

use std::time::Instant;

use anyhow::{Context, bail};
use loopscope_core::backend::{LoadedModel, ModelInfo, Registry, Request};
use loopscope_core::experiment::{Determinism, ModelKind, ModelName, Picture, Vector};
use loopscope_models::BuiltinRegistry;

use crate::args::{Global, Kind, ModelCommand};
use crate::failure::{Exit, UsageError};
use crate::report::{Table, bytes, duration, one_line, print, print_json};

pub(super) fn execute(command: &ModelCommand, global: &Global) -> anyhow::Result<Exit> {
    let registry = BuiltinRegistry;
    match command {
        ModelCommand::List { kind } => list(&registry, *kind, global),
        ModelCommand::Test { name } => test(&registry, name, global),
    }
}

fn infos(registry: &dyn Registry) -> anyhow::Result<Vec<ModelInfo>> {
    let info =
        |name: ModelName| registry.info(&name, &serde_json::Map::new()).with_context(|| format!("describing {name}"));
    registry.names().into_iter().map(info).collect()
}

fn info_json(info: &ModelInfo) -> serde_json::Value {
    serde_json::json!({
        "name": info.name, "kind": info.kind, "backend": info.backend, "revision": info.revision,
        "weights_hash": info.weights_hash, "parameters": info.parameters, "determinism": info.determinism,
        "dimension": info.dimension, "batch_max": info.batch_max, "memory_bytes": info.memory_bytes, "about": info.about,
    })
}

fn list(registry: &dyn Registry, kind: Option<Kind>, global: &Global) -> anyhow::Result<Exit> {
    let wanted = kind.map(|kind| match kind {
        Kind::TextToImage => ModelKind::TextToImage,
        Kind::ImageToText => ModelKind::ImageToText,
        Kind::TextEmbedder => ModelKind::TextEmbedder,
        Kind::ImageEmbedder => ModelKind::ImageEmbedder,
    });
    let infos: Vec<ModelInfo> =
        infos(registry)?.into_iter().filter(|info| wanted.is_none_or(|wanted| info.kind == wanted)).collect();
    if global.json {
        print_json(&infos.iter().map(info_json).collect::<Vec<_>>())?;
        return Ok(Exit::Ok);
    }
    let mut table = Table::new(&["name", "kind", "backend", ">numbers", "about"]);
    for info in &infos {
        let numbers = info.dimension.map_or_else(String::new, |numbers| numbers.to_string());
        table.row(vec![
            info.name.to_string(),
            info.kind.to_string(),
            info.backend.clone(),
            numbers,
            info.about.clone(),
        ]);
    }
    table.print()?;
    Ok(Exit::Ok)
}

/// Inputs that every model of a kind should cope with.
const TEXTS: [&str; 3] = ["a small red circle at the left on a blue background", "zwei Äpfel 🍏", ""];

fn pictures() -> anyhow::Result<Vec<Picture>> {
    let flat = Picture::new(64, 64, [200, 40, 40].repeat(64 * 64))?;
    let halves = Picture::new(64, 32, [[240, 240, 240].repeat(32), [20, 30, 160].repeat(32)].concat().repeat(32))?;
    Ok(vec![flat, halves, Picture::new(1, 1, vec![0, 0, 0])?])
}

fn test(registry: &dyn Registry, name: &str, global: &Global) -> anyhow::Result<Exit> {
    let name = ModelName::new(name);
    let info = registry.info(&name, &serde_json::Map::new()).map_err(|error| UsageError {
        message: error.to_string(),
        hint: Some("`loopscope model list` shows all names".to_owned()),
    })?;
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
    first.iter().try_for_each(|line| print(&format!("  {line}")))?;
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
