//! Loops of dummies drift before they lock, and lock in different ways.

use std::collections::{BTreeMap, BTreeSet};

use loopscope_core::backend::{ImageToText, LoadedModel, Request, TextToImage};

use crate::load;

const PAIRS: [(&str, &str); 4] =
    [("DummyT2I", "DummyI2T"), ("DummyT2I", "DummyI2T2"), ("DummyT2I2", "DummyI2T"), ("DummyT2I2", "DummyI2T2")];
/// Invocations in a run; every other one is a text.
const INVOCATIONS: usize = 100;

const PROMPTS: [&str; 40] = [
    "a red circle at the left on a blue background",
    "a lighthouse in a storm",
    "a sun over the sea",
    "two swans asleep",
    "a tree in the snow",
    "a huge golden ring on black",
    "a moon over the meadow",
    "the sound of rain",
    "a small pink square in the top right corner",
    "a bridge at night",
    "a green triangle and a white moon over a striped sea",
    "an old map of a city that never was",
    "",
    "a violet kite in the east",
    "a letter from my grandmother",
    "stripes",
    "a tiny black dot on white paper",
    "a wooden house beside a lake",
    "mathematics",
    "a crowd at a railway station",
    "a deep purple diamond beside a yellow bar",
    "a cat on a wall",
    "an empty room",
    "a teal dome at the bottom on a pale orange background",
    "a white cross in the centre on red",
    "the horizon",
    "a bowl of lemons",
    "fire",
    "a large brown bar at the bottom and a tiny black circle at the top on yellow",
    "a portrait of nobody",
    "a field of rust under a silver sky",
    "a dance",
    "a vast emerald hill over a starry indigo sky",
    "seven bells",
    "a grey hoop in the north",
    "machines that dream",
    "a rose",
    "an orange on a dotted grey cloth",
    "the last train home",
    "a mountain, dark, in winter",
];

/// How a run ended: when it first stood where it stands again, and how long a round takes, both in invocations.
struct Orbit {
    transient: usize,
    period: usize,
    /// The texts of the cycle, least first: its name.
    attractor: String,
}

fn orbit(painter: &mut dyn TextToImage, describer: &mut dyn ImageToText, prompt: &str, seed: u64) -> Option<Orbit> {
    // A picture is a function of the text before it, and different texts give different pictures: texts suffice.
    let mut seen = BTreeMap::new();
    let mut texts = vec![prompt.to_owned()];
    for step in 0..=INVOCATIONS / 2 {
        let text = texts[step].clone();
        if let Some(first) = seen.insert(text.clone(), step) {
            let attractor = texts[first..step].iter().min().cloned().unwrap_or_default();
            return Some(Orbit { transient: first * 2, period: (step - first) * 2, attractor });
        }
        let picture = painter.generate(&[Request { input: &text, seed }]).remove(0).unwrap();
        texts.push(describer.describe(&[Request { input: &picture, seed }]).remove(0).unwrap());
    }
    None
}

/// Set LOOPSCOPE_DUMMY_TABLE to see the figures.
#[test]
fn loops_drift_and_lock_in_different_ways() {
    let (mut transients, mut late, mut runs) = (vec![], 0, 0);
    let mut periods = BTreeMap::new();
    let mut attractors = BTreeSet::new();
    for (painter_name, describer_name) in PAIRS {
        let (LoadedModel::TextToImage(mut painter), LoadedModel::ImageToText(mut describer)) =
            (load(painter_name), load(describer_name))
        else {
            panic!("{painter_name} or {describer_name} is of another kind")
        };
        for prompt in PROMPTS {
            for seed in 0..4 {
                runs += 1;
                let orbit = orbit(painter.as_mut(), describer.as_mut(), prompt, seed);
                if std::env::var_os("LOOPSCOPE_DUMMY_TABLE").is_some() {
                    let shown = orbit.as_ref().map(|orbit| (orbit.transient, orbit.period));
                    println!("{painter_name} {describer_name} {seed} {prompt:?} {shown:?}");
                }
                transients.push(orbit.as_ref().map_or(usize::MAX, |orbit| orbit.transient));
                late += usize::from(orbit.as_ref().is_none_or(|orbit| orbit.transient + orbit.period > 60));
                if let Some(orbit) = orbit {
                    *periods.entry(orbit.period).or_insert(0) += 1;
                    attractors.insert((painter_name, describer_name, seed, orbit.attractor));
                }
            }
        }
    }
    transients.sort_unstable();
    let median = transients[runs / 2];
    let summary = format!(
        "{runs} runs, {} attractors, median transient {median}, {late} later than 60, periods {periods:?}",
        attractors.len()
    );
    println!("{summary}");
    assert!(periods.len() >= 5, "{summary}");
    assert!(attractors.len() >= 15, "{summary}");
    assert!(median >= 4, "{summary}");
    assert!(late * 10 >= runs, "{summary}");
    // And yet they do lock.
    assert!(periods.values().sum::<usize>() * 2 >= runs, "{summary}");
}
