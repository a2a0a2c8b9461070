//! What only Stable Diffusion 3 has: a third text encoder that may be left out.

use super::*;

/// The table of places of the tiny checkpoints ends before the default size.
const SIZED: &str = r#"{"width":48,"height":32}"#;

/// A copy of a checkpoint that a test may spoil.
fn spoilt(name: &'static str) -> (tempfile::TempDir, Checkpoint) {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixtures().join(name), directory.path());
    let checkpoint = Checkpoint { name, directory: directory.path().to_owned(), reference: HashMap::new() };
    (directory, checkpoint)
}

/// What is recorded of the third encoder.
fn recorded(checkpoint: &Checkpoint, given: &str) -> String {
    let name = ModelName::new(checkpoint.name);
    let (family, kind, directory) = (Family::StableDiffusion3, ModelKind::TextToImage, &checkpoint.directory);
    let given: Map<String, Value> = serde_json::from_str(given).unwrap();
    let parameters = parameters(family, kind, &name, &given).unwrap();
    let settled = settled(&NativeModel { name: &name, family, kind, directory, parameters: &parameters }).unwrap();
    settled["text_encoder_3"].as_str().unwrap().to_owned()
}

#[test]
fn t5_is_left_out_where_the_index_or_the_parameter_says_so_and_never_in_silence() {
    let (directory, checkpoint) = spoilt("sd35");
    let small = |more: &str| format!(r#"{{"height":16,"width":16,"steps":2{more}}}"#);
    let picture = |more: &str| {
        paint(&mut painter(&checkpoint, Family::StableDiffusion3, &small(more)), &[("a red circle", 1)]).remove(0)
    };
    let none = r#","text_encoder_3":"none""#;
    let (with, without) = (picture(""), picture(none));
    assert_ne!(with, without);
    assert_eq!(recorded(&checkpoint, SIZED), "t5");
    assert_eq!(recorded(&checkpoint, &small(none)), "none");
    assert_ne!(picture(r#","max_tokens":9"#), with, "words of T5 are cut");
    assert_ne!(picture(&format!("{none},\"max_tokens\":9")), without, "zeros are attended to, however many there are");

    // The index names it, and it is not there.
    std::fs::rename(directory.path().join("text_encoder_3"), directory.path().join("elsewhere")).unwrap();
    let message = try_painter(&checkpoint, Family::StableDiffusion3, SIZED).err().unwrap();
    let place = directory.path().join("text_encoder_3/config.json").display().to_string();
    let what = "the model needs this file, and it is not there; text_encoder_3 = \"none\" paints without T5";
    assert_eq!(message, format!("sd35: {place}: {what}"));
    assert_eq!(picture(none), without);

    // The index says that there is none, or says nothing.
    let index = directory.path().join("model_index.json");
    let mut parts: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(&index).unwrap()).unwrap();
    parts.insert("text_encoder_3".to_owned(), serde_json::json!([null, null]));
    std::fs::write(&index, Value::Object(parts).to_string()).unwrap();
    assert_eq!(recorded(&checkpoint, SIZED), "none");
    assert_eq!(picture(""), without);
    std::fs::remove_file(&index).unwrap();
    assert_eq!(recorded(&checkpoint, SIZED), "none");
    std::fs::rename(directory.path().join("elsewhere"), directory.path().join("text_encoder_3")).unwrap();
    assert_eq!(recorded(&checkpoint, SIZED), "t5");
    assert_eq!(picture(""), with);
}

#[test]
fn shards_in_half_precision_are_found_by_the_name_of_their_index() {
    let (directory, checkpoint) = spoilt("sd35");
    let given = r#"{"height":16,"width":16,"steps":1}"#;
    let picture =
        || paint(&mut painter(&checkpoint, Family::StableDiffusion3, given), &[("a red circle", 1)]).remove(0);
    let whole = picture();
    let folder = directory.path().join("text_encoder_3");
    let tensors = candle_core::safetensors::load(folder.join("model.safetensors"), &CPU).unwrap();
    let mut map = Map::new();
    for half in [0, 1] {
        let file = format!("model.fp16-0000{}-of-00002.safetensors", half + 1);
        let part: HashMap<_, _> = tensors.iter().filter(|(name, _)| name.len() % 2 == half).collect();
        map.extend(part.keys().map(|name| ((*name).clone(), file.clone().into())));
        let part: HashMap<String, Tensor> =
            part.into_iter().map(|(name, tensor)| (name.clone(), tensor.clone())).collect();
        assert!(!part.is_empty());
        candle_core::safetensors::save(&part, folder.join(file)).unwrap();
    }
    let index = serde_json::json!({ "weight_map": map });
    std::fs::write(folder.join("model.safetensors.index.fp16.json"), index.to_string()).unwrap();
    std::fs::remove_file(folder.join("model.safetensors")).unwrap();
    assert_eq!(picture(), whole);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let (directory, checkpoint) = spoilt("sd35");
    let root = directory.path().display().to_string();
    let refuse = |family, given| try_painter(&checkpoint, family, given).err().unwrap().replace(&root, "DIR");
    let sd3 = Family::StableDiffusion3;
    let spoil = |file: &str, from: &str, to: &str| {
        let path = directory.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let message = refuse(sd3, SIZED);
        std::fs::write(path, text).unwrap();
        message
    };
    let mut shown = vec![
        refuse(sd3, r#"{"width":24}"#),
        refuse(sd3, r#"{"max_tokens":513}"#),
        refuse(sd3, r#"{"text_encoder_3":"clip"}"#),
        refuse(sd3, r#"{"scheduler":"euler"}"#),
        refuse(sd3, r#"{"width":64}"#),
        refuse(Family::Flux, "{}"),
        refuse(Family::StableDiffusionXl, "{}"),
        spoil("transformer/config.json", "\"rms_norm\"", "\"l2\""),
        spoil("vae/config.json", "\"latent_channels\": 16", "\"latent_channels\": 4"),
        spoil("transformer/config.json", "\"pooled_projection_dim\": 40", "\"pooled_projection_dim\": 48"),
        spoil("transformer/config.json", "\"joint_attention_dim\": 40", "\"joint_attention_dim\": 24"),
        spoil("transformer/config.json", "\"joint_attention_dim\": 40", "\"joint_attention_dim\": 64"),
        spoil("transformer/config.json", "\"num_layers\": 3", "\"num_layers\": 4"),
        spoil("scheduler/scheduler_config.json", "FlowMatchEulerDiscreteScheduler", "EulerDiscreteScheduler"),
        spoil("scheduler/scheduler_config.json", "\"shift_terminal\": null", "\"shift_terminal\": 0.1"),
        spoil("text_encoder_2/config.json", "\"projection_dim\": 24", "\"projection_dim\": 16"),
    ];
    // The CLIP of FLUX.1 has no projection.
    let plain = fixtures().join("flux-schnell/text_encoder/model.safetensors");
    std::fs::copy(plain, directory.path().join("text_encoder/model.safetensors")).unwrap();
    shown.push(refuse(sd3, r#"{"width":16,"height":16}"#));
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn half_precision_paints_nearly_the_same() {
    let none = r#","text_encoder_3":"none""#;
    for (name, dtype, more, most) in
        [("sd35", "f16", "", 6), ("sd35", "f16", none, 6), ("sd35", "bf16", "", 24), ("sd3", "bf16", "", 24)]
    {
        let checkpoint = Checkpoint::open(name);
        let picture = |dtype: &str| {
            let given = format!(r#"{{"height":32,"width":48,"steps":4,"dtype":"{dtype}"{more}}}"#);
            paint(&mut painter(&checkpoint, Family::StableDiffusion3, &given), &[("a red circle", 1)]).remove(0)
        };
        let (half, single) = (picture(dtype), picture("f32"));
        let apart = half.rgb().iter().zip(single.rgb()).map(|(x, y)| x.abs_diff(*y)).max().unwrap();
        println!("parity | {name} | {dtype}{more} | {apart} of 255");
        assert!((1..=most).contains(&apart), "{name} {dtype}: {apart}");
    }
}
