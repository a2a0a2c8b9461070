//! Z-Image part by part, and what its files may not say.

use super::super::super::weights::Weights;
use super::super::zimage::{TextEncoder, ZImageTransformer, text_weights, transformer_weights};
use super::*;

const NAME: &str = "z-image";

fn placement() -> Placement {
    Placement { device: CPU, dtype: DType::F32 }
}

fn text_encoder(checkpoint: &Checkpoint, length: usize) -> TextEncoder {
    let weights = text_weights(checkpoint.files(), &placement()).unwrap();
    TextEncoder::new(checkpoint.files(), &weights, length).unwrap()
}

#[test]
fn a_text_is_framed_and_cut_as_the_chat_template_of_its_tokenizer_does() {
    let checkpoint = Checkpoint::open(NAME);
    let encoder = text_encoder(&checkpoint, 512);
    for (index, prompt) in prompts().iter().enumerate() {
        let expected = checkpoint.ids(&format!("z.ids.{index}"), 0);
        assert_eq!(encoder.tokens(prompt).unwrap(), expected, "{prompt:?}");
        let cut = text_encoder(&checkpoint, 7).tokens(prompt).unwrap();
        assert_eq!(cut, expected[..7], "{prompt:?}");
    }
}

#[test]
fn rows_of_text_are_those_before_the_last_layer() {
    let checkpoint = Checkpoint::open(NAME);
    let encoder = text_encoder(&checkpoint, 512);
    for index in 0..3 {
        let rows = encoder.encode(&checkpoint.ids(&format!("z.ids.{index}"), 0), &CPU).unwrap();
        checkpoint.check(&format!("z.rows.{index}"), None, &rows, 1e-5);
    }
}

#[test]
fn the_transformer_agrees_with_filling_and_without() {
    let checkpoint = Checkpoint::open(NAME);
    let config = checkpoint.files().json("transformer/config.json").unwrap();
    let weights: Weights = transformer_weights(checkpoint.files(), &placement()).unwrap();
    let transformer = ZImageTransformer::new(&config, &weights).unwrap();
    for (case, time) in [("both", 0.0), ("neither", 0.6783), ("text", 0.97)] {
        let [sample, text] = ["sample", "text"].map(|part| checkpoint.expected(&format!("z.{part}.{case}")));
        let (_, _, height, width) = sample.dims4().unwrap();
        let context = transformer.context(text, [height / 2, width / 2]).unwrap();
        let out = transformer.forward(sample, time, &context).unwrap();
        checkpoint.check(&format!("z.out.{case}"), None, &out, 1e-4);
    }
}

#[test]
fn what_does_not_fit_z_image_is_named() {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixtures().join(NAME), directory.path());
    let root = directory.path().display().to_string();
    let refuse = |given| {
        let checkpoint = Checkpoint { name: "M", directory: directory.path().to_owned(), reference: HashMap::new() };
        try_painter(&checkpoint, Family::ZImage, given).err().unwrap().replace(&root, "DIR")
    };
    // Spoils a file, keeps what is said of it, and mends it.
    let spoil = |file: &str, from: &str, to: &str| {
        let path = directory.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let shown = refuse("{}");
        std::fs::write(&path, text).unwrap();
        shown
    };
    let transformer = |from, to| spoil("transformer/config.json", from, to);
    let mut shown = vec![
        refuse(r#"{"height":24}"#),
        refuse(r#"{"scheduler":"euler"}"#),
        refuse(r#"{"max_tokens":513}"#),
        transformer("ZImageTransformer2DModel", "FluxTransformer2DModel"),
        transformer("\"siglip_feat_dim\": null", "\"siglip_feat_dim\": 1152"),
        transformer("\"cap_feat_dim\": 24", "\"cap_feat_dim\": 32"),
        transformer("\"n_kv_heads\": 2", "\"n_kv_heads\": 1"),
        transformer("    2\n", "    4\n"),
        transformer("\"qk_norm\": true", "\"qk_norm\": false"),
        spoil("text_encoder/config.json", "\"use_sliding_window\": false", "\"use_sliding_window\": true"),
        transformer("    4,\n", "    6,\n"),
        transformer("    600,\n", "    500,\n"),
        transformer("\"dim\": 32", "\"dim\": 0"),
        transformer("\"n_layers\": 2", "\"n_layers\": 3"),
        spoil("vae/config.json", "\"latent_channels\": 16", "\"latent_channels\": 4"),
        spoil("text_encoder/config.json", "\"num_hidden_layers\": 3", "\"num_hidden_layers\": 5"),
        spoil("scheduler/scheduler_config.json", "FlowMatchEulerDiscreteScheduler", "DDIMScheduler"),
        spoil("tokenizer/tokenizer.json", "<|im_start|>", "<|begin|>"),
    ];
    std::fs::remove_file(directory.path().join("transformer/diffusion_pytorch_model-00002-of-00002.safetensors"))
        .unwrap();
    shown.push(refuse("{}"));
    std::fs::remove_file(directory.path().join("text_encoder/config.json")).unwrap();
    shown.push(refuse("{}"));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn a_text_may_be_cut_to_one_token() {
    let checkpoint = Checkpoint::open(NAME);
    let given = r#"{"height":16,"width":16,"steps":1,"max_tokens":1}"#;
    let pictures =
        paint(&mut painter(&checkpoint, Family::ZImage, given), &[("a red circle", 1), ("a blue ground", 1)]);
    // What is left is the mark that a turn begins.
    assert_eq!(pictures[0], pictures[1]);
}

/// On a CPU as on a GPU, half precision goes through candle's operations and not through ours.
#[test]
fn half_precision_paints_nearly_the_same() {
    let checkpoint = Checkpoint::open(NAME);
    let picture = |dtype: &str| {
        let given = format!(r#"{{"height":32,"width":48,"steps":3,"guidance":1,"dtype":"{dtype}"}}"#);
        paint(&mut painter(&checkpoint, Family::ZImage, &given), &[("a red circle", 1)]).remove(0)
    };
    let single = picture("f32");
    for (dtype, tolerance) in [("bf16", 2.0), ("f16", 0.5)] {
        let half = picture(dtype);
        let apart: u32 = half.rgb().iter().zip(single.rgb()).map(|(x, y)| u32::from(x.abs_diff(*y))).sum();
        let apart = f64::from(apart) / half.rgb().len() as f64;
        println!("parity | {NAME} | {dtype} | {apart:.2} of 255 on average");
        assert!(apart > 0.0 && apart < tolerance, "{dtype}: {apart}");
    }
}
