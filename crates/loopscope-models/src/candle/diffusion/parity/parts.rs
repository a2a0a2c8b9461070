//! Part by part.

use super::*;

#[test]
fn noise_is_what_another_implementation_draws() {
    #[derive(Deserialize)]
    struct Case {
        seed: u64,
        stream: usize,
        numbers: Vec<f32>,
    }
    let text = std::fs::read_to_string(fixtures().join("noise.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 3);
    for Case { seed, stream, numbers } in cases {
        let draw = stream.checked_sub(1).map_or(Draw::Initial, Draw::Step);
        // The other one has the platform's logarithm and cosine: the last bit may differ.
        for (x, y) in normals(seed, draw, numbers.len()).iter().zip(&numbers) {
            assert!((x - y).abs() <= f32::EPSILON * x.abs().max(1e-3), "{seed} {stream}: {x} {y}");
        }
    }
}

#[test]
fn tokens_are_those_of_transformers() {
    let mut count = 0;
    for (name, _) in CHECKPOINTS {
        let checkpoint = Checkpoint::open(name);
        let clips = checkpoint.clips().into_iter().map(|(key, tokenizer, _)| {
            (format!("{key}.ids"), FixedTokenizer::clip(checkpoint.files(), tokenizer).unwrap())
        });
        let mut sides: Vec<_> = clips.collect();
        if let Some((tokenizer, _)) = checkpoint.t5() {
            sides.push(("t5.ids".to_owned(), FixedTokenizer::t5(checkpoint.files(), tokenizer).unwrap()));
        }
        count += sides.len();
        for (key, tokenizer) in sides {
            let length = checkpoint.expected(&key).dim(1).unwrap();
            for (row, prompt) in prompts().iter().enumerate() {
                assert_eq!(
                    tokenizer.encode(prompt, length).unwrap(),
                    checkpoint.ids(&key, row),
                    "{name} {key} {prompt:?}"
                );
            }
        }
    }
    assert_eq!(count, 14, "eight first encoders, three second ones of CLIP, three of T5");
}

#[test]
fn clip_text_encoders_agree() {
    for (name, _) in CHECKPOINTS {
        let checkpoint = Checkpoint::open(name);
        for (key, _, directory) in checkpoint.clips() {
            let config = checkpoint.files().json(&format!("{directory}/config.json")).unwrap();
            let encoder = ClipTextEncoder::new(&config, checkpoint.weights(directory, "model")).unwrap();
            for row in 0..2 {
                let text = encoder.encode(&checkpoint.ids(&format!("{key}.ids"), row), &CPU).unwrap();
                checkpoint.check(&format!("{key}.last"), Some(row), &text.last, 1e-5);
                checkpoint.check(&format!("{key}.penultimate"), Some(row), &text.penultimate, 1e-5);
                checkpoint.check(&format!("{key}.pooled"), Some(row), &text.pooled, 1e-5);
            }
        }
    }
}

#[test]
fn t5_encoders_agree() {
    for name in ["flux-schnell", "flux-dev", "sd35"] {
        let checkpoint = Checkpoint::open(name);
        let (_, directory) = checkpoint.t5().unwrap();
        let config = checkpoint.files().json(&format!("{directory}/config.json")).unwrap();
        let mut encoder = T5Encoder::new(&config, checkpoint.weights(directory, "model")).unwrap();
        let words = encoder.encode(&checkpoint.ids("t5.ids", 0), &CPU).unwrap();
        checkpoint.check("t5.out", None, &words, 1e-5);
    }
}

#[test]
fn unets_agree_at_odd_sizes_and_as_a_batch() {
    for name in ["sd15", "sd21", "sd-turbo", "sdxl-turbo"] {
        let checkpoint = Checkpoint::open(name);
        let config = checkpoint.files().json("unet/config.json").unwrap();
        let unet = Unet::new(&config, checkpoint.weights("unet", WEIGHTS)).unwrap();
        let [sample, text] = ["unet.sample", "unet.text"].map(|key| checkpoint.expected(key));
        let addition = checkpoint
            .reference
            .get("unet.pooled")
            .map(|pooled| Addition { pooled: pooled.clone(), sizes: checkpoint.expected("unet.sizes").clone() });
        for (key, timestep) in [("unet.out.999", 999.0), ("unet.out.321.5", 321.5), ("unet.out.1", 1.0)] {
            let out = unet.forward(sample, timestep, text, addition.as_ref()).unwrap();
            checkpoint.check(key, None, &out, 1e-4);
        }
    }
}

#[test]
fn autoencoders_agree() {
    for (name, _) in CHECKPOINTS {
        let checkpoint = Checkpoint::open(name);
        let config = checkpoint.files().json("vae/config.json").unwrap();
        let decoder = VaeDecoder::new(&config, checkpoint.weights("vae", WEIGHTS)).unwrap();
        checkpoint.check("vae.out", None, &decoder.decode(checkpoint.expected("vae.latents")).unwrap(), 1e-5);
    }
}

/// candle 0.11.1 multiplies a transposed matrix of one item by that of another, without a word.
#[test]
fn a_batch_of_two_decodes_as_two_batches_of_one() {
    let checkpoint = Checkpoint::open("sd15");
    let config = checkpoint.files().json("vae/config.json").unwrap();
    let decoder = VaeDecoder::new(&config, checkpoint.weights("vae", WEIGHTS)).unwrap();
    let first = checkpoint.expected("vae.latents").clone();
    let second = (&first * -0.5).unwrap();
    let both = decoder.decode(&Tensor::cat(&[&first, &second], 0).unwrap()).unwrap();
    for (index, alone) in [first, second].iter().enumerate() {
        let difference = (both.narrow(0, index, 1).unwrap() - decoder.decode(alone).unwrap()).unwrap();
        assert!(largest(&difference) < 1e-5, "{index}: {}", largest(&difference));
    }
}

#[test]
fn flux_transformers_agree() {
    for name in ["flux-schnell", "flux-dev"] {
        let checkpoint = Checkpoint::open(name);
        let source = Source::Diffusers(checkpoint.weights("transformer", WEIGHTS));
        assert_eq!(source.has_guidance(), name == "flux-dev");
        for (key, level) in [("flux.out.1.0", 1.0), ("flux.out.0.3217", 0.3217)] {
            checkpoint.check(key, None, &flux(&checkpoint, &source, level), 1e-4);
        }
    }
}

#[test]
fn sd3_transformers_agree_at_odd_sizes_and_as_a_batch() {
    for name in ["sd35", "sd3"] {
        let checkpoint = Checkpoint::open(name);
        let config: Sd3Config = checkpoint.files().json("transformer/config.json").unwrap();
        let sample = checkpoint.expected("mmdit.sample");
        let (_, _, height, width) = sample.dims4().unwrap();
        let size = [height / PATCH, width / PATCH];
        assert_eq!(size, [3, 7]);
        let load = |size| Sd3Transformer::new(&config, checkpoint.weights("transformer", WEIGHTS), size);
        let transformer = load(size).unwrap();
        let conditioning = sd3::Conditioning {
            words: checkpoint.expected("mmdit.text").clone(),
            pooled: checkpoint.expected("mmdit.pooled").clone(),
        };
        for (key, timestep) in [("mmdit.out.1000", 1000.0), ("mmdit.out.321.5", 321.5), ("mmdit.out.8.9", 8.9)] {
            let out = transformer.forward(sample, timestep, &conditioning).unwrap();
            checkpoint.check(key, None, &out, 1e-4);
        }
        assert!(load([1, 14]).is_ok());
        let message = load([1, 15]).err().unwrap().to_string();
        assert!(message.contains("pos_embed_max_size is 14: a picture of 15 × 1 places is too large"), "{message}");
    }
}
