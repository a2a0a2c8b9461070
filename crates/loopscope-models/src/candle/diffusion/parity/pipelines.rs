//! From prompt to pixels.

use super::*;

/// Checkpoint, reference, prompt, parameters.
const RUNS: [(&str, &str, usize, &str); 24] = [
    ("sd15", "guided", 0, r#"{"height":32,"width":48,"steps":5}"#),
    ("sd15", "negative", 1, r#"{"height":32,"width":32,"steps":4,"guidance":3,"negative_prompt":"blurry, grey"}"#),
    ("sd15", "unguided", 2, r#"{"height":32,"width":32,"steps":3,"guidance":1}"#),
    ("sd21", "guided", 0, r#"{"height":32,"width":32,"steps":5,"guidance":5.0}"#),
    ("sd-turbo", "one", 0, r#"{"height":32,"width":32,"steps":1}"#),
    ("sd-turbo", "four", 1, r#"{"height":32,"width":32}"#),
    ("sdxl-turbo", "turbo", 0, r#"{"height":32,"width":48}"#),
    ("sdxl-turbo", "guided", 1, r#"{"height":32,"width":32,"steps":3,"guidance":5,"negative_prompt":"blurry, grey"}"#),
    ("sdxl-turbo", "zeros", 0, r#"{"height":32,"width":32,"steps":3,"guidance":5}"#),
    ("sd35", "guided", 0, r#"{"height":32,"width":48,"steps":5}"#),
    ("sd35", "negative", 1, r#"{"height":32,"width":32,"steps":4,"guidance":3,"negative_prompt":"blurry, grey"}"#),
    ("sd35", "unguided", 2, r#"{"height":32,"width":32,"steps":3,"guidance":1}"#),
    ("sd35", "short", 3, r#"{"height":48,"width":32,"steps":3,"max_tokens":20}"#),
    (
        "sd35",
        "without",
        0,
        r#"{"height":32,"width":32,"steps":3,"negative_prompt":"blurry, grey","text_encoder_3":"none"}"#,
    ),
    ("sd3", "guided", 0, r#"{"height":32,"width":48,"steps":5}"#),
    ("sd3", "one", 1, r#"{"height":32,"width":32,"steps":1,"guidance":0}"#),
    ("flux-schnell", "first", 0, r#"{"height":32,"width":48}"#),
    ("flux-schnell", "second", 1, r#"{"height":32,"width":32,"steps":3}"#),
    ("flux-dev", "first", 0, r#"{"height":32,"width":48,"steps":4}"#),
    ("flux-dev", "second", 1, r#"{"height":32,"width":32,"steps":3}"#),
    ("z-image", "turbo", 0, r#"{"height":32,"width":48}"#),
    ("z-image", "guided", 1, r#"{"height":48,"width":16,"steps":4,"guidance":4,"negative_prompt":"blurry, grey"}"#),
    ("z-image", "against", 0, r#"{"height":16,"width":48,"steps":3,"guidance":0.75}"#),
    ("z-image", "cut", 3, r#"{"height":32,"width":16,"steps":2,"max_tokens":50}"#),
];

#[test]
fn pipelines_paint_the_pixels_of_diffusers() {
    let (mut equal, mut total) = (0, 0);
    for (name, run, prompt, given) in RUNS {
        let checkpoint = Checkpoint::open(name);
        let family = CHECKPOINTS.iter().find(|(known, _)| *known == name).unwrap().1;
        let picture = paint(&mut painter(&checkpoint, family, given), &[(&prompts()[prompt], SEED)]).remove(0);
        let expected = checkpoint.expected(&format!("pixels.{run}"));
        let (height, width, _) = expected.dims3().unwrap();
        assert_eq!((picture.width() as usize, picture.height() as usize), (width, height), "{name} {run}");
        let expected: Vec<u8> = expected.flatten_all().unwrap().to_vec1().unwrap();
        let apart = |(x, y): (&u8, &u8)| x.abs_diff(*y);
        let worst = picture.rgb().iter().zip(&expected).map(apart).max().unwrap();
        let same = picture.rgb().iter().zip(&expected).filter(|(x, y)| x == y).count();
        println!("parity | {name} | pixels.{run} | {worst} of 255 | {same} of {} equal", expected.len());
        assert!(worst <= 1, "{name} {run}: {worst}");
        equal += same;
        total += expected.len();
    }
    println!("parity | all | pixels | {equal} of {total} equal");
    assert!(equal * 1000 >= total * 995, "{equal} of {total} levels are equal");
}

#[test]
fn a_picture_depends_on_prompt_and_seed_and_on_nothing_else_in_its_batch() {
    for (name, family) in CHECKPOINTS {
        let checkpoint = Checkpoint::open(name);
        let given = r#"{"height":16,"width":32,"steps":2,"guidance":4}"#;
        let mut model = painter(&checkpoint, family, given);
        let batch = [("a red circle", 1), ("a blue ground", 2), ("a red circle", 2), ("a red circle", 1), ("", 1)];
        let together = paint(&mut model, &batch);
        for (index, one) in batch.iter().enumerate() {
            assert_eq!(paint(&mut model, &[*one])[0], together[index], "{name} {one:?}");
        }
        assert_eq!(together[0], together[3], "{name}: the same twice");
        for (left, right) in [(0, 1), (0, 2), (1, 2), (0, 4)] {
            assert_ne!(together[left], together[right], "{name}: {left} and {right}");
        }
        // Another instance, too.
        assert_eq!(paint(&mut painter(&checkpoint, family, given), &batch[..1])[0], together[0], "{name}");
    }
}

#[test]
fn what_describe_says() {
    for (name, family) in CHECKPOINTS {
        let checkpoint = Checkpoint::open(name);
        let model_name = ModelName::new(name);
        let parameters = parameters(family, ModelKind::TextToImage, &model_name, &sized(family)).unwrap();
        let directory = &checkpoint.directory;
        let kind = ModelKind::TextToImage;
        let info =
            describe(&NativeModel { name: &model_name, family, kind, directory, parameters: &parameters }).unwrap();
        assert_eq!(info.batch_max, 1);
        assert_eq!(info.dimension, None);
        // More than the weights, and not absurdly more: the scores of 128 × 128 latents come in chunks.
        assert!((1 << 20..1 << 30).contains(&info.memory_bytes), "{name}: {}", info.memory_bytes);
        assert_eq!(info.weights_hash.len(), 64, "{name}");
    }
}

#[test]
fn what_the_files_decide_is_written_down_and_loads_again() {
    let mut shown = Vec::new();
    for (name, family) in CHECKPOINTS {
        let checkpoint = Checkpoint::open(name);
        let model_name = ModelName::new(name);
        let kind = ModelKind::TextToImage;
        let complete = |given: &Map<String, Value>| parameters(family, kind, &model_name, given).unwrap();
        let settle = |parameters: &Map<String, Value>| {
            let directory = &checkpoint.directory;
            settled(&NativeModel { name: &model_name, family, kind, directory, parameters }).unwrap()
        };
        let first = settle(&complete(&sized(family)));
        assert_eq!(settle(&complete(&first)), first, "{name}: what is recorded can be given");
        shown.push(format!("{name} {}", Value::Object(first)));
    }
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn half_precision_files_are_found_by_their_name() {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixtures().join("sd15"), directory.path());
    let unet = directory.path().join("unet");
    std::fs::rename(unet.join(format!("{WEIGHTS}.safetensors")), unet.join(format!("{WEIGHTS}.fp16.safetensors")))
        .unwrap();
    let files = Files { name: "sd15", directory: directory.path() };
    assert_eq!(present(files, "unet", WEIGHTS), format!("unet/{WEIGHTS}.fp16"));
    assert_eq!(present(files, "vae", WEIGHTS), format!("vae/{WEIGHTS}"));
    let checkpoint = Checkpoint { name: "sd15", directory: directory.path().to_owned(), reference: HashMap::new() };
    let given = r#"{"height":16,"width":16,"steps":1}"#;
    assert_eq!(paint(&mut painter(&checkpoint, Family::StableDiffusion, given), &[("x", 1)]).len(), 1);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let directory = tempfile::tempdir().unwrap();
    copy(&fixtures().join("sd15"), directory.path());
    let root = directory.path().display().to_string();
    let refuse = |family, given| {
        let checkpoint = Checkpoint { name: "M", directory: directory.path().to_owned(), reference: HashMap::new() };
        try_painter(&checkpoint, family, given).err().unwrap().replace(&root, "DIR")
    };
    let edit = |file: &str, from: &str, to: &str| {
        let path = directory.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{file}: {text}");
        std::fs::write(path, text.replace(from, to)).unwrap();
    };
    let mut shown = vec![
        refuse(Family::StableDiffusion, r#"{"width":100}"#),
        refuse(Family::Flux, r#"{"height":24}"#),
        refuse(Family::StableDiffusion, r#"{"steps":0}"#),
        refuse(Family::StableDiffusion, r#"{"scheduler":"karras"}"#),
        refuse(Family::StableDiffusion, r#"{"guidance_scale":3}"#),
        refuse(Family::StableDiffusionXl, "{}"),
        refuse(Family::Flux, "{}"),
    ];
    edit("unet/config.json", "\"class_embed_type\": null", "\"class_embed_type\": \"timestep\"");
    shown.push(refuse(Family::StableDiffusion, "{}"));
    edit("unet/config.json", "\"class_embed_type\": \"timestep\"", "\"class_embed_type\": null");
    edit("unet/config.json", "\"cross_attention_dim\": 16", "\"cross_attention_dim\": 24");
    shown.push(refuse(Family::StableDiffusion, "{}"));
    edit("scheduler/scheduler_config.json", "PNDMScheduler", "LCMScheduler");
    shown.push(refuse(Family::StableDiffusion, "{}"));
    std::fs::remove_file(directory.path().join("text_encoder/model.safetensors")).unwrap();
    edit("scheduler/scheduler_config.json", "LCMScheduler", "DDIMScheduler");
    shown.push(refuse(Family::StableDiffusion, "{}"));
    std::fs::remove_file(directory.path().join("vae/config.json")).unwrap();
    shown.push(refuse(Family::StableDiffusion, "{}"));
    insta::assert_snapshot!(shown.join("\n"));
}
