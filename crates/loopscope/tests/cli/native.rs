//! Loops of native models through the program: tiny checkpoints in the layout of real ones, and MiniLM where it is.

use std::path::{Path, PathBuf};

use crate::support::{Place, content};

/// Painters, captioners and embedders of the parity tests, by name: family, folder, and what else their section says.
const MODELS: [(&str, &str, &str, &str); 12] = [
    ("TinySD", "stable-diffusion", "fixtures/diffusion/sd15", "parameters = { width = 48, height = 32, steps = 2 }"),
    ("TinyXL", "stable-diffusion-xl", "fixtures/diffusion/sdxl-turbo", "parameters = { width = 32, height = 32 }"),
    ("TinySD3", "stable-diffusion-3", "fixtures/diffusion/sd35", "parameters = { width = 32, height = 48, steps = 2 }"),
    ("TinyFlux", "flux", "fixtures/diffusion/flux-schnell", "parameters = { width = 32, height = 32, steps = 2 }"),
    (
        "TinyZ",
        "z-image",
        "fixtures/diffusion/z-image",
        "parameters = { width = 32, height = 16, steps = 2, guidance = 2, negative_prompt = \"grey\" }",
    ),
    ("TinyBlip", "blip", "parity/blip", ""),
    ("TinyMoon", "moondream", "parity/moondream", "parameters = { max_tokens = 8 }"),
    ("TinyMoon25", "moondream", "parity/moondream-2025", "parameters = { max_tokens = 8 }"),
    ("TinyQwen", "qwen3-embed", "parity/qwen3-embed", "parameters = { dimension = 32 }"),
    ("TinyBert", "bert", "parity/bert", ""),
    ("TinyClip", "clip", "parity/clip", "kind = \"image_embedder\""),
    ("TinyDino", "dinov2", "parity/dinov2", ""),
];

fn section(name: &str, family: &str, directory: &Path, more: &str) -> String {
    format!("[models.{name}]\nfamily = {family:?}\ndirectory = {directory:?}\n{more}\n")
}

fn checkpoint(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../loopscope-models/tests").join(folder)
}

fn place() -> Place {
    let place = Place::new();
    let sections = MODELS.iter().map(|(name, family, folder, more)| section(name, family, &checkpoint(folder), more));
    place.write("models.toml", &sections.collect::<String>());
    place.write(
        "native.toml",
        r#"
name = "native"
networks = [
    ["TinySD", "TinyBlip"], ["TinyXL", "TinyMoon"], ["TinyFlux", "DummyI2T"], ["DummyT2I", "TinyMoon25"], ["TinySD3", "TinyBlip"],
    ["TinyZ", "TinyMoon"],
]
prompts = ["a red circle", "ein blauer Grund"]
seeds = [7]
embedding_models = ["TinyQwen", "TinyBert", "TinyClip", "TinyDino"]
max_length = 6
"#,
    );
    place
}

#[test]
fn loops_of_native_models_are_the_same_on_any_threads_and_after_a_kill() {
    let (one, two, killed) = (place(), place(), place());
    one.ok(&["experiment", "run", "native.toml", "--threads", "1"]);
    one.ok(&["doctor", "--strict", "--decode-images"]);
    let expected = content(&one.path("loopscope.sqlite"));
    assert_eq!(expected.len(), 12, "six networks by two prompts");
    two.ok(&["experiment", "run", "native.toml", "--threads", "3"]);
    assert_eq!(content(&two.path("loopscope.sqlite")), expected);

    let mut child = killed.command(&["experiment", "run", "native.toml", "--threads", "1"]).spawn().unwrap();
    let outputs = || {
        let sql = rusqlite::Connection::open(killed.path("loopscope.sqlite")).ok()?;
        sql.query_row("SELECT count(*) FROM invocation", [], |row| row.get::<_, i64>(0)).ok()
    };
    while child.try_wait().unwrap().is_none() && outputs().unwrap_or(0) < 5 {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(outputs().unwrap() >= 5);
    killed.ok(&["experiment", "resume", "native"]);
    killed.ok(&["doctor", "--strict"]);
    assert_eq!(content(&killed.path("loopscope.sqlite")), expected);
}

#[test]
fn every_native_model_is_shown_tested_and_timed() {
    let place = place();
    for (name, ..) in MODELS {
        assert!(place.ok(&["model", "show", name]).contains("state       ready"), "{name}");
        let tested = place.json(&["model", "test", name, "--json"]);
        assert_eq!((&tested["repeats"], &tested["results"].as_array().unwrap().len()), (&true.into(), &3), "{name}");
    }
    let benched = place.json(&["model", "bench", "TinyClip", "--seconds", "0", "--json"]);
    assert_eq!((&benched["largest"]["batch"], &benched["largest"]["limit"]), (&64.into(), &"model".into()));
}

#[test]
fn a_checkpoint_that_is_not_whole_is_named_before_anything_runs() {
    let place = place();
    let folder = place.path("half");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(checkpoint("parity/bert/config.json"), folder.join("config.json")).unwrap();
    place.write("models.toml", &section("Half", "bert", &folder, ""));
    place.write(
        "half.toml",
        "networks = [[\"DummyT2I\", \"DummyI2T\"]]\nprompts = [\"a\"]\nseeds = [1]\nembedding_models = [\"Half\"]\nmax_length = 2",
    );
    insta::assert_snapshot!(place.complaint(&["experiment", "run", "half.toml"]));
    assert!(!place.path("loopscope.sqlite").exists(), "no database for what cannot run");
}

/// An experiment whose embedder is MiniLM with its real weights, where `LOOPSCOPE_MINILM` says they are.
#[test]
fn an_experiment_is_embedded_by_minilm() {
    let Some(directory) = std::env::var_os("LOOPSCOPE_MINILM") else { return };
    let place = Place::new();
    place.write("models.toml", &section("MiniLM", "bert", Path::new(&directory), ""));
    place.write(
        "minilm.toml",
        r#"
networks = [["DummyT2I", "DummyI2T"]]
prompts = ["a red circle", "a field of poppies under a grey sky"]
seeds = [1, -1]
embedding_models = ["MiniLM"]
max_length = 40
"#,
    );
    place.ok(&["experiment", "run", "minilm.toml"]);
    place.ok(&["doctor", "--strict"]);
    let sql = rusqlite::Connection::open(place.path("loopscope.sqlite")).unwrap();
    let query = "SELECT count(*), min(length(vector)) / 4, max(length(vector)) / 4 FROM embedding WHERE embedding_model = 'MiniLM'";
    let (count, least, most): (i64, i64, i64) =
        sql.query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    assert!(count > 20, "{count} vectors");
    assert_eq!((least, most), (384, 384));
    assert!(place.ok(&["analyse", "drift", "latest"]).contains("MiniLM"));
}
