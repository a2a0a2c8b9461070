//! Embeds lines of text by a text embedder of this machine, a few times over, and prints the seconds of each time.
//!
//! `embed DIRECTORY [REPEATS [FAMILY]] < lines`; what `bench/embedding.py` runs. The first time is not counted. Built
//! without the feature `candle` it says that it cannot.
#![expect(clippy::print_stdout, reason = "an example's output is its purpose")]

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use loopscope_core::backend::{LoadedModel, Registry};
use loopscope_core::experiment::ModelName;
use loopscope_models::ModelRegistry;
use serde_json::Map;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let directory = arguments.next().ok_or("expected the directory of a model")?;
    let repeats: usize = arguments.next().map_or(Ok(3), |repeats| repeats.parse())?;
    let family = arguments.next().unwrap_or_else(|| "bert".to_owned());
    let input = std::io::read_to_string(std::io::stdin())?;
    let texts: Vec<&str> = input.lines().collect();

    let file = format!("[models.Bench]\nfamily = {family:?}\ndirectory = {directory:?}\n");
    let registry = ModelRegistry::of_text(&file, Path::new("models.toml"))?;
    let info = registry.info(&ModelName::new("Bench"), &Map::new())?;
    let LoadedModel::TextEmbedder(mut model) = registry.load(&info)? else {
        return Err("expected a text embedder".into());
    };
    for repeat in 0..=repeats {
        let start = Instant::now();
        for batch in texts.chunks(info.batch_max) {
            black_box(model.embed(batch).into_iter().collect::<Result<Vec<_>, _>>()?);
        }
        if repeat > 0 {
            println!("{:.6}", start.elapsed().as_secs_f64());
        }
    }
    Ok(())
}
