//! Each model by itself.

use crate::{describe, paint};

#[test]
#[ignore]
fn probe() {
    for (p, d) in
        [("DummyT2I", "DummyI2T"), ("DummyT2I", "DummyI2T2"), ("DummyT2I2", "DummyI2T"), ("DummyT2I2", "DummyI2T2")]
    {
        let mut n = [0; 5];
        for seed in 0..200 {
            let text = describe(d, &paint(p, "a red circle at the left on a blue background", seed), seed);
            if seed < 8 {
                println!("{p} {d} {text}");
            }
            let has = |words: &[&str]| words.iter().any(|w| text.contains(w));
            let all = [
                has(&["red", "crimson"]),
                has(&["circle", "disc"]),
                has(&["left", "west"]),
                has(&["blue back", "indigo sky"]),
            ];
            for (i, a) in all.iter().enumerate() {
                n[i] += *a as u32;
            }
            n[4] += all.iter().all(|a| *a) as u32;
        }
        println!("{n:?}");
    }
}
