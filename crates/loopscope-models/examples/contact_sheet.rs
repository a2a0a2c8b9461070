//! Writes a contact sheet of both painters to the PNG file of the first argument: a row of prompts and then one loop.

use std::error::Error;
use std::fs::File;

use loopscope_core::backend::{LoadedModel, Registry, Request};
use loopscope_core::experiment::{ModelName, Picture};
use loopscope_models::BuiltinRegistry;

const SIDE: usize = 256;
const GAP: usize = 8;
const COLUMNS: usize = 6;
const PROMPTS: [&str; 12] = [
    "a red circle at the left on a blue background",
    "a huge golden ring on black",
    "a green triangle and a white moon over a striped sea",
    "a small pink square in the top right corner on a pale teal wall",
    "a lighthouse in a storm",
    "a deep purple diamond beside a yellow bar on a dotted grey cloth",
    "an orange dome on a split white background",
    "a white cross in the centre on red",
    "",
    "a tree in the snow",
    "a large brown bar at the bottom and a tiny black circle at the top on yellow",
    "a sun over the meadow",
];

fn main() -> Result<(), Box<dyn Error>> {
    let path = std::env::args().nth(1).ok_or("usage: contact_sheet FILE.png")?;
    let mut pictures = Vec::new();
    for name in ["DummyT2I", "DummyT2I2"] {
        let LoadedModel::TextToImage(mut painter) = load(name)? else { return Err("not a painter".into()) };
        for prompt in PROMPTS {
            pictures.push(painter.generate(&[Request { input: prompt, seed: 5 }]).remove(0)?);
        }
    }
    for (painter, describer) in [("DummyT2I", "DummyI2T"), ("DummyT2I2", "DummyI2T2")] {
        pictures.extend(walk(painter, describer, PROMPTS[4])?);
    }
    write(&path, &pictures)
}

fn load(name: &str) -> Result<LoadedModel, Box<dyn Error>> {
    let registry = BuiltinRegistry;
    let info = registry.info(&ModelName::new(name), &serde_json::Map::new())?;
    Ok(registry.load(&info)?)
}

/// Returns the first pictures of a loop.
fn walk(painter: &str, describer: &str, prompt: &str) -> Result<Vec<Picture>, Box<dyn Error>> {
    let (LoadedModel::TextToImage(mut painter), LoadedModel::ImageToText(mut describer)) =
        (load(painter)?, load(describer)?)
    else {
        return Err("not a painter and a describer".into());
    };
    let mut text = prompt.to_owned();
    let mut pictures = Vec::new();
    for _ in 0..COLUMNS {
        let picture = painter.generate(&[Request { input: &text, seed: 5 }]).remove(0)?;
        text = describer.describe(&[Request { input: &picture, seed: 5 }]).remove(0)?;
        pictures.push(picture);
    }
    Ok(pictures)
}

fn write(path: &str, pictures: &[Picture]) -> Result<(), Box<dyn Error>> {
    let rows = pictures.len().div_ceil(COLUMNS);
    let (width, height) = (COLUMNS * (SIDE + GAP) + GAP, rows * (SIDE + GAP) + GAP);
    let mut sheet = vec![250; width * height * 3];
    for (index, picture) in pictures.iter().enumerate() {
        let (left, top) = (GAP + index % COLUMNS * (SIDE + GAP), GAP + index / COLUMNS * (SIDE + GAP));
        for (y, row) in picture.rgb().chunks_exact(SIDE * 3).enumerate() {
            sheet[((top + y) * width + left) * 3..][..SIDE * 3].copy_from_slice(row);
        }
    }
    let mut encoder = png::Encoder::new(File::create(path)?, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header()?.write_image_data(&sheet)?;
    Ok(())
}
