//! What one call of each dummy costs.

use divan::Bencher;
use loopscope_core::backend::{LoadedModel, Registry, Request};
use loopscope_core::experiment::{ModelName, Picture};
use loopscope_models::BuiltinRegistry;

const TEXT: &str =
    "a small red circle at the left and a green ring in the top right corner on a dotted blue background";

fn main() {
    divan::main();
}

fn load(name: &str) -> LoadedModel {
    let registry = BuiltinRegistry;
    let info = registry.info(&ModelName::new(name), &serde_json::Map::new()).expect("a built-in model");
    registry.load(&info).expect("a dummy always loads")
}

fn picture(name: &str) -> Picture {
    let LoadedModel::TextToImage(mut painter) = load(name) else { panic!("{name} is no painter") };
    painter.generate(&[Request { input: TEXT, seed: 1 }]).remove(0).expect("a painter always paints")
}

#[divan::bench(args = ["DummyT2I", "DummyT2I2"])]
fn paint(bencher: Bencher<'_, '_>, name: &str) {
    let LoadedModel::TextToImage(mut painter) = load(name) else { panic!("{name} is no painter") };
    let mut seed = 0;
    bencher.bench_local(|| {
        seed += 1;
        painter.generate(&[Request { input: TEXT, seed }])
    });
}

#[divan::bench(args = ["DummyI2T", "DummyI2T2"])]
fn describe(bencher: Bencher<'_, '_>, name: &str) {
    let LoadedModel::ImageToText(mut describer) = load(name) else { panic!("{name} is no describer") };
    let picture = picture("DummyT2I");
    bencher.bench_local(|| describer.describe(&[Request { input: &picture, seed: 1 }]));
}

/// Nothing but patches: the worst that a describer can meet.
#[divan::bench(args = ["DummyI2T", "DummyI2T2"])]
fn describe_noise(bencher: Bencher<'_, '_>, name: &str) {
    let LoadedModel::ImageToText(mut describer) = load(name) else { panic!("{name} is no describer") };
    let noise = |index: u32| (index.wrapping_mul(2_654_435_761) >> 24) as u8;
    let picture = Picture::new(256, 256, (0..256 * 256 * 3).map(noise).collect()).expect("the sides fit");
    bencher.bench_local(|| describer.describe(&[Request { input: &picture, seed: 1 }]));
}

#[divan::bench(args = ["DummyText", "DummyText2"])]
fn embed_text(bencher: Bencher<'_, '_>, name: &str) {
    let LoadedModel::TextEmbedder(mut embedder) = load(name) else { panic!("{name} is no text embedder") };
    bencher.bench_local(|| embedder.embed(&[TEXT]));
}

#[divan::bench(args = ["DummyVision", "DummyVision2"])]
fn embed_picture(bencher: Bencher<'_, '_>, name: &str) {
    let LoadedModel::ImageEmbedder(mut embedder) = load(name) else { panic!("{name} is no image embedder") };
    let picture = picture("DummyT2I");
    bencher.bench_local(|| embedder.embed(&[&picture]));
}
