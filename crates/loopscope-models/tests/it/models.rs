//! Each model by itself: what it promises for every input, and the results that its revision stands for.

use loopscope_core::backend::{LoadedModel, Registry, RegistryError, Request};
use loopscope_core::experiment::{Hash, ModelKind, ModelName, Picture};
use loopscope_models::BuiltinRegistry;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{all, describe, embed_pictures, embed_texts, load, paint, paint_with};

const PAINTERS: [&str; 2] = ["DummyT2I", "DummyT2I2"];
const DESCRIBERS: [&str; 2] = ["DummyI2T", "DummyI2T2"];
const TEXT_EMBEDDERS: [(&str, usize); 2] = [("DummyText", 64), ("DummyText2", 48)];
const IMAGE_EMBEDDERS: [(&str, usize); 2] = [("DummyVision", 64), ("DummyVision2", 48)];
const TEXTS: [&str; 5] = ["a red circle at the left on a blue background", "", " ", "a lighthouse in a storm", "Ünï ☂"];

fn info_error(name: &str, parameters: Value) -> String {
    let Value::Object(parameters) = parameters else { panic!("parameters are an object") };
    BuiltinRegistry.info(&ModelName::new(name), &parameters).unwrap_err().to_string()
}

#[test]
fn models_are_listed_by_kind() {
    let registry = BuiltinRegistry;
    let kinds: Vec<ModelKind> = registry
        .names()
        .iter()
        .map(|name| {
            let info = registry.info(name, &serde_json::Map::new()).unwrap();
            assert_eq!(registry.load(&info).unwrap().kind(), info.kind);
            assert!(info.about.contains("dummy") && info.batch_max == 32 && info.revision == "1", "{info:?}");
            info.kind
        })
        .collect();
    let expected: Vec<ModelKind> = ModelKind::ALL.into_iter().flat_map(|kind| [kind; 2]).collect();
    assert_eq!(kinds, expected);
}

#[test]
fn what_does_not_fit_is_told() {
    assert_eq!(info_error("DumyT2I", json!({})), "unknown model \"DumyT2I\"; did you mean \"DummyT2I\"?");
    assert!(matches!(
        BuiltinRegistry.info(&ModelName::new("Flux"), &serde_json::Map::new()),
        Err(RegistryError::UnknownModel { nearest: None, .. })
    ));
    assert_eq!(
        info_error("DummyT2I", json!({ "size": 64 })),
        "model DummyT2I has no parameter \"size\"; it has height, width"
    );
    assert_eq!(
        info_error("DummyI2T", json!({ "width": 64 })),
        "model DummyI2T has no parameter \"width\"; it has none"
    );
    for (value, got) in [(json!(7), "7"), (json!(2049), "2049"), (json!(64.0), "64.0"), (json!("64"), "\"64\"")] {
        assert_eq!(
            info_error("DummyT2I2", json!({ "width": value })),
            format!("parameter \"width\" of model DummyT2I2: expected an integer from 8 to 2048, got {got}")
        );
    }
}

#[test]
fn defaults_are_part_of_the_parameters() {
    let given = json!({ "width": 64 }).as_object().cloned().unwrap();
    let info = BuiltinRegistry.info(&ModelName::new("DummyT2I"), &given).unwrap();
    assert_eq!(Value::Object(info.parameters), json!({ "height": 256, "width": 64 }));
    for (width, height) in [(8, 8), (8, 2048), (2048, 8), (31, 77)] {
        for name in PAINTERS {
            let picture = paint_with(name, json!({ "width": width, "height": height }), TEXTS[0], 1);
            assert_eq!((picture.width(), picture.height()), (width, height));
        }
    }
}

/// Returns the start of the hash of everything that a model makes of the test texts, or of their pictures.
fn fingerprint(name: &str) -> String {
    let mut bytes = Vec::new();
    let pictures: Vec<Picture> = TEXTS.iter().map(|text| paint("DummyT2I", text, 7)).collect();
    match load(name) {
        LoadedModel::TextToImage(_) => {
            for (text, seed) in TEXTS.iter().flat_map(|text| (0..20).map(move |seed| (text, seed))) {
                bytes.extend_from_slice(paint(name, text, seed).rgb());
            }
        }
        LoadedModel::ImageToText(_) => {
            for (picture, seed) in pictures.iter().flat_map(|picture| (0..20).map(move |seed| (picture, seed))) {
                bytes.extend_from_slice(describe(name, picture, seed).as_bytes());
            }
        }
        LoadedModel::TextEmbedder(_) => {
            bytes.extend(embed_texts(name, &TEXTS).into_iter().flatten().flat_map(f32::to_le_bytes));
        }
        LoadedModel::ImageEmbedder(_) => {
            bytes.extend(embed_pictures(name, &pictures).into_iter().flatten().flat_map(f32::to_le_bytes));
        }
    }
    Hash::of(&bytes).to_string()[..16].to_owned()
}

/// A changed hash is a changed revision: raise `REVISION` with it. (The describers' and image embedders' hashes
/// change with the first painter's, too.)
#[test]
fn results_are_those_of_this_revision() {
    let names = BuiltinRegistry.names();
    let found: Vec<String> = names.iter().map(|name| format!("{name} {}", fingerprint(name.as_str()))).collect();
    let pinned = [
        "DummyT2I d9551af55518032a",
        "DummyT2I2 b02845a130a2b250",
        "DummyI2T 789214962830edf1",
        "DummyI2T2 becaa0acf5879c5d",
        "DummyText 9d283b7f07f51a61",
        "DummyText2 0440f7e8919e0fce",
        "DummyVision 70080b944cf888e1",
        "DummyVision2 634557486d0512f2",
    ];
    assert_eq!(found, pinned);
}

#[test]
fn pictures_of_different_texts_and_seeds_differ() {
    for name in PAINTERS {
        let pictures: Vec<Picture> = TEXTS.iter().flat_map(|text| [0, 1].map(|seed| paint(name, text, seed))).collect();
        for (index, picture) in pictures.iter().enumerate() {
            assert!(!pictures[..index].contains(picture), "{name}, {index}");
        }
    }
}

#[test]
fn pictures_are_small_in_a_store() {
    for name in PAINTERS {
        let sizes = (0..100).map(|seed| {
            let picture = paint(name, TEXTS[seed as usize % TEXTS.len()], seed);
            let mut webp = Vec::new();
            let encoder = image_webp::WebPEncoder::new(&mut webp);
            encoder.encode(picture.rgb(), picture.width(), picture.height(), image_webp::ColorType::Rgb8).unwrap();
            webp.len()
        });
        let largest = sizes.max().unwrap();
        assert!(largest <= 3 * 1024, "{name}: {largest} bytes");
    }
}

#[test]
fn a_red_circle_at_the_left_on_blue_is_mostly_called_one() {
    for (painter, describer, words) in [
        ("DummyT2I", "DummyI2T", ["red", "circle", "left", "blue background"]),
        ("DummyT2I2", "DummyI2T2", ["crimson", "disc", "west", "indigo sky"]),
    ] {
        let texts: Vec<String> =
            (0..200).map(|seed| describe(describer, &paint(painter, TEXTS[0], seed), seed)).collect();
        for word in words {
            let count = texts.iter().filter(|text| text.contains(word)).count();
            assert!(count > 140, "{painter}, {describer}: {word} {count} times of 200");
        }
        let whole = texts.iter().filter(|text| words.iter().all(|word| text.contains(word))).count();
        assert!(whole > 100, "{painter}, {describer}: all {whole} times of 200");
    }
}

#[test]
fn describers_speak_of_every_picture_within_their_vocabulary() {
    const VOCABULARY: &str = "a an nothing on over and beside in at the top bottom left right centre corner heart \
        north south east west north-west north-east south-west south-east background sky \
        red orange yellow green teal blue purple pink brown black grey white \
        crimson amber golden emerald jade indigo violet rose umber ink silver ivory \
        circle square triangle ring cross diamond bar dome disc tile peak hoop star kite beam hill \
        tiny small large huge minute little great vast pale dark faded deep \
        striped lined dotted split banded fluted starry halved";
    let known: Vec<&str> = VOCABULARY.split_whitespace().collect();
    let flat = |value: u8| Picture::new(3, 5, vec![value; 45]).unwrap();
    let mut pictures = vec![flat(0), flat(128), flat(255), Picture::new(1, 1, vec![255, 0, 0]).unwrap()];
    pictures.extend((0..50).map(|seed| paint(PAINTERS[seed as usize % 2], TEXTS[3], seed)));
    for (describer, picture) in DESCRIBERS.iter().flat_map(|name| pictures.iter().map(move |picture| (name, picture))) {
        let text = describe(describer, picture, 3);
        assert!(text.split_whitespace().all(|word| known.contains(&word)), "{text}");
        assert!(text.split_whitespace().count() <= 27, "{text}");
    }
    assert_eq!(describe("DummyI2T", &flat(0), 0), "nothing on a black background");
}

#[test]
fn pictures_spread_and_near_ones_stay_near() {
    let cosine = |left: &[f32], right: &[f32]| left.iter().zip(right).map(|(l, r)| l * r).sum::<f32>();
    let picture = paint("DummyT2I", TEXTS[0], 0);
    let near = picture.rgb().iter().map(|channel| channel.saturating_add(4)).collect();
    let near = Picture::new(256, 256, near).unwrap();
    let black = Picture::new(256, 256, vec![0; 256 * 256 * 3]).unwrap();
    let far = paint("DummyT2I", "a huge golden ring on black", 0);
    for (name, dimension) in IMAGE_EMBEDDERS {
        let vectors = embed_pictures(name, &[picture.clone(), near.clone(), far.clone(), black.clone()]);
        assert!(vectors.iter().all(|vector| vector.len() == dimension));
        assert!(cosine(&vectors[0], &vectors[1]) > 0.98, "{name}");
        assert!(cosine(&vectors[0], &vectors[2]) < 0.8, "{name}: {}", cosine(&vectors[0], &vectors[2]));
        assert!((cosine(&vectors[3], &vectors[3]) - 1.0).abs() < 1e-5, "{name}");
    }
}

#[test]
fn a_result_does_not_depend_on_its_batch() {
    let pictures: Vec<Picture> = TEXTS.iter().map(|text| paint("DummyT2I", text, 7)).collect();
    let seeds = 0..TEXTS.len() as u64;
    let requests: Vec<_> =
        TEXTS.iter().zip(seeds.clone()).map(|(input, seed)| Request { input: *input, seed }).collect();
    let views: Vec<_> = pictures.iter().zip(seeds).map(|(input, seed)| Request { input, seed }).collect();
    for name in BuiltinRegistry.names() {
        match load(name.as_str()) {
            LoadedModel::TextToImage(mut model) => {
                let alone: Vec<_> =
                    requests.iter().flat_map(|request| all(model.generate(std::slice::from_ref(request)))).collect();
                assert_eq!(all(model.generate(&requests)), alone);
            }
            LoadedModel::ImageToText(mut model) => {
                let alone: Vec<_> =
                    views.iter().flat_map(|request| all(model.describe(std::slice::from_ref(request)))).collect();
                assert_eq!(all(model.describe(&views)), alone);
            }
            LoadedModel::TextEmbedder(mut model) => {
                let alone: Vec<_> = TEXTS.iter().flat_map(|text| all(model.embed(&[*text]))).collect();
                assert_eq!(all(model.embed(&TEXTS)), alone);
            }
            LoadedModel::ImageEmbedder(mut model) => {
                let alone: Vec<_> = pictures.iter().flat_map(|picture| all(model.embed(&[picture]))).collect();
                assert_eq!(all(model.embed(&pictures.iter().collect::<Vec<_>>())), alone);
            }
        }
    }
}

fn any_picture() -> impl Strategy<Value = Picture> {
    (1..90_u32, 1..90_u32).prop_flat_map(|(width, height)| {
        let bytes = (width * height * 3) as usize;
        prop::collection::vec(any::<u8>(), bytes).prop_map(move |rgb| Picture::new(width, height, rgb).unwrap())
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn different_texts_and_seeds_give_different_pictures(left in ".{0,40}", right in ".{0,40}", seed in 0..u64::MAX) {
        for name in PAINTERS {
            let picture = paint(name, &left, seed);
            prop_assert_eq!(&picture, &paint(name, &left, seed));
            prop_assert_eq!(picture == paint(name, &right, seed), left == right);
            prop_assert_ne!(picture, paint(name, &left, seed + 1));
        }
    }

    #[test]
    fn every_picture_has_a_description_and_a_place(picture in any_picture(), seed in any::<u64>()) {
        for name in DESCRIBERS {
            let text = describe(name, &picture, seed);
            prop_assert!(text.starts_with(['a', 'n']) && text.len() < 200, "{}", text);
        }
        for (name, dimension) in IMAGE_EMBEDDERS {
            let vector = embed_pictures(name, std::slice::from_ref(&picture)).remove(0);
            prop_assert_eq!(vector.len(), dimension);
            prop_assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }

    #[test]
    fn every_text_has_a_place(text in ".{0,200}") {
        for (name, dimension) in TEXT_EMBEDDERS {
            let vector = embed_texts(name, &[&text]).remove(0);
            prop_assert_eq!(vector.len(), dimension);
            prop_assert!((vector.iter().map(|x| x * x).sum::<f32>() - 1.0).abs() < 1e-5);
        }
    }
}
