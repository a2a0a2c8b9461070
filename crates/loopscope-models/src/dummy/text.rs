//! Text embedders: texts that share words, parts of words or meanings lie near each other.
//!
//! Every feature adds a direction of ±1 that its hash spells, times an even weight; one more direction is always
//! there with weight 1. So every coordinate is odd before it is scaled: no vector is zero, not even that of "".

use super::chance::mix;
use super::words::{concepts, words};

/// Returns the unit vector of a text, of at most 64 numbers; `salt` tells embedders apart.
pub(super) fn embed(text: &str, salt: u64, dimension: usize) -> Vec<f32> {
    let mut sums = vec![0_i64; dimension];
    let mut add = |kind: &str, feature: &str, weight: i64| {
        let bits = mix(hash(feature, hash(kind, salt)));
        for (index, sum) in sums.iter_mut().enumerate() {
            *sum += if bits >> index & 1 == 1 { weight } else { -weight };
        }
    };
    add("always", "", 1);
    let words = words(text);
    for word in &words {
        add("word", word, 6);
        for concept in concepts(word) {
            add("concept", &format!("{concept:?}"), 8);
        }
    }
    for pair in words.windows(2) {
        add("pair", &pair.join(" "), 2);
    }
    for part in trigrams(text) {
        add("part", &part, 2);
    }
    unit(&sums)
}

/// Returns all runs of three characters, in lower case; a text that has fewer gives what it has.
fn trigrams(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    match characters.len() {
        0 => vec![],
        1 | 2 => vec![characters.iter().collect()],
        _ => characters.windows(3).map(|part| part.iter().collect()).collect(),
    }
}

/// Returns 64 bits of a text (FNV-1a).
fn hash(text: &str, start: u64) -> u64 {
    let start = mix(start ^ 0xcbf2_9ce4_8422_2325);
    text.bytes().fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Scales to length 1; not all numbers are 0.
fn unit(sums: &[i64]) -> Vec<f32> {
    let length = sums.iter().map(|sum| *sum as f64 * *sum as f64).sum::<f64>().sqrt();
    sums.iter().map(|sum| (*sum as f64 / length) as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cosine(left: &str, right: &str) -> f32 {
        embed(left, 1, 64).iter().zip(embed(right, 1, 64)).map(|(l, r)| l * r).sum()
    }

    #[test]
    fn more_shared_words_are_nearer() {
        let text = "a small red circle on a blue background";
        let others = [
            "a small red circle on a green background",
            "a large red ring on a green wall",
            "nothing of the kind was ever seen here",
        ];
        let cosines = others.map(|other| cosine(text, other));
        assert!(cosines[0] > cosines[1] && cosines[1] > cosines[2], "{cosines:?}");
    }

    #[test]
    fn synonyms_are_nearer_than_strangers() {
        assert!(cosine("a crimson disc", "a red circle") > cosine("a crimson disc", "a blue ring") + 0.2);
    }

    #[test]
    fn the_empty_text_has_a_vector_of_its_own() {
        let empty = embed("", 1, 64);
        assert!(empty.iter().all(|number| number.abs() == 0.125));
        assert_ne!(empty, embed(" ", 1, 64));
        assert_ne!(empty, embed("", 2, 64));
    }
}
