//! Stored and computed, compared bit for bit; and a difference in words short enough to read.

use crate::codec::{Diagram, Scalar};
use crate::engine::Gave;
use crate::experiment::{Hash, ModelKind, OutputType, Picture};
use crate::store::{StoredCall, StoredOutput};

/// Characters of a text that are shown, from a little before the difference on.
const SHOWN_MAX: usize = 60;
const SHOWN_BEFORE: usize = 20;

/// In what the stored and the computed differ.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Difference {
    pub expected: String,
    pub got: String,
}

fn difference(expected: impl Into<String>, got: impl Into<String>) -> Option<Difference> {
    Some(Difference { expected: expected.into(), got: got.into() })
}

/// Returns whether a model of this kind takes such an input.
pub(super) fn takes(kind: ModelKind, input: &StoredOutput) -> bool {
    let is_text = matches!(input, StoredOutput::Text(_));
    is_text == (kind.input() == OutputType::Text)
}

/// Compares a text or a vector with what is stored.
pub(super) fn call(stored: &StoredCall, gave: &Gave) -> Option<Difference> {
    match (stored, gave) {
        (StoredCall { text: Some(stored), .. }, Gave::Text(text)) => texts(stored, text),
        (StoredCall { vector: Some(stored), .. }, Gave::Vector(numbers)) => vectors(stored, numbers),
        (StoredCall { text, vector, .. }, gave) => {
            let kind_of = |has_text: bool, has_vector: bool| match (has_text, has_vector) {
                (true, _) => "a text",
                (_, true) => "a vector",
                _ => "a picture",
            };
            let got = match gave {
                Gave::Text(_) => "a text",
                Gave::Vector(_) => "a vector",
                Gave::Picture(_) => "a picture",
            };
            difference(kind_of(text.is_some(), vector.is_some()), got)
        }
    }
}

/// Compares a picture with the pixel hash that is stored and with the pixels that are.
pub(super) fn pictures(
    pixel_hash: Option<Hash>,
    stored: Result<Hash, String>,
    picture: &Picture,
) -> Option<Difference> {
    let computed = picture.pixel_hash();
    let shown = |hash: Hash| format!("pixels {}…", &hash.to_string()[..16]);
    match (pixel_hash, stored) {
        (Some(noted), Ok(_)) if noted != computed => difference(shown(noted), shown(computed)),
        (Some(_), Ok(pixels)) if pixels != computed => {
            difference(format!("{} in the stored bytes", shown(pixels)), shown(computed))
        }
        (Some(_), Ok(_)) => None,
        (None, Ok(_)) => difference("no picture", shown(computed)),
        (_, Err(defect)) => difference(defect, shown(computed)),
    }
}

fn texts(stored: &str, computed: &str) -> Option<Difference> {
    if stored == computed {
        return None;
    }
    let (left, right): (Vec<char>, Vec<char>) = (stored.chars().collect(), computed.chars().collect());
    let equal = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let from = if equal < SHOWN_MAX - SHOWN_BEFORE { 0 } else { equal - SHOWN_BEFORE };
    let shown = |text: &[char]| {
        let part: String = text.iter().skip(from).take(SHOWN_MAX).flat_map(|letter| letter.escape_debug()).collect();
        let (before, after) = (if from > 0 { "…" } else { "" }, if text.len() > from + SHOWN_MAX { "…" } else { "" });
        format!("\"{before}{part}{after}\"")
    };
    difference(shown(&left), shown(&right))
}

/// Compares the bytes of a vector with numbers, as bits.
fn vectors(stored: &[u8], computed: &[f32]) -> Option<Difference> {
    let (numbers, rest) = stored.as_chunks::<4>();
    if !rest.is_empty() || numbers.len() != computed.len() {
        return difference(format!("{} bytes", stored.len()), format!("{} numbers", computed.len()));
    }
    let stored: Vec<f32> = numbers.iter().map(|&number| f32::from_le_bytes(number)).collect();
    let differing: Vec<usize> =
        (0..stored.len()).filter(|&index| stored[index].to_bits() != computed[index].to_bits()).collect();
    let first = *differing.first()?;
    let of = format!("at index {first} ({} of {} numbers differ)", differing.len(), stored.len());
    difference(format!("{:?} {of}", stored[first]), format!("{:?}", computed[first]))
}

/// Returns the highest dimension that a stored diagram was computed to, or why it cannot be computed again here.
pub(super) fn max_dimension(diagram: &Diagram) -> Result<usize, String> {
    let Some(Scalar::Text(_)) = diagram.metadata.get("program_version") else {
        return Err("it does not say what program computed it".to_owned());
    };
    match diagram.metadata.get("metric") {
        Some(Scalar::Text(metric)) if metric == "euclidean" => {}
        Some(Scalar::Text(metric)) => return Err(format!("metric \"{metric}\", here \"euclidean\"")),
        _ => return Err("it does not say by what metric".to_owned()),
    }
    match diagram.metadata.get("max_dim") {
        // What is computed here goes to dimension 2; a higher one is nobody's that this program knows.
        Some(Scalar::Integer(number @ 0..=16)) => Ok(number.unsigned_abs() as usize),
        _ => Err("it does not say to what dimension".to_owned()),
    }
}

/// Compares two diagrams: their bars in order, their entropies, and the threshold, as bits.
pub(super) fn diagrams(stored: &Diagram, computed: &Diagram) -> Option<Difference> {
    let counts = |diagram: &Diagram| {
        let of = |(dimension, bars): (usize, &Vec<_>)| format!("{} bars in H{dimension}", bars.len());
        diagram.dgms.iter().enumerate().map(of).collect::<Vec<_>>().join(", ")
    };
    if counts(stored) != counts(computed) {
        return difference(counts(stored), counts(computed));
    }
    for (dimension, (left, right)) in stored.dgms.iter().zip(&computed.dgms).enumerate() {
        for (index, (left, right)) in left.iter().zip(right).enumerate() {
            let bits = |bar: &crate::codec::Bar| (bar.birth.to_bits(), bar.death.to_bits());
            if bits(left) != bits(right) {
                let shown = |bar: &crate::codec::Bar| format!("({:?}, {:?})", bar.birth, bar.death);
                return difference(format!("bar {index} of H{dimension} {}", shown(left)), shown(right));
            }
        }
    }
    let bits = |entropy: &Option<Vec<f64>>| entropy.iter().flatten().map(|value| value.to_bits()).collect::<Vec<_>>();
    if stored.entropy.is_some() && bits(&stored.entropy) != bits(&computed.entropy) {
        let shown = |entropy: &Option<Vec<f64>>| format!("entropy {:?}", entropy.as_deref().unwrap_or_default());
        return difference(shown(&stored.entropy), shown(&computed.entropy));
    }
    let threshold = |diagram: &Diagram| match diagram.metadata.get("threshold") {
        Some(Scalar::Float(value)) => Some(*value),
        _ => None,
    };
    match (threshold(stored), threshold(computed)) {
        (Some(left), Some(right)) if left.to_bits() != right.to_bits() => {
            difference(format!("threshold {left:?}"), format!("threshold {right:?}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_show_where() {
        assert_eq!(texts("a", "a"), None);
        let found = texts(&format!("{}x", "a".repeat(100)), &"a".repeat(100)).unwrap();
        assert_eq!(found.expected, format!("\"…{}x\"", "a".repeat(20)));
        assert_eq!(found.got, format!("\"…{}\"", "a".repeat(20)));
        let bytes: Vec<u8> = [1.0_f32, 0.0, 2.0].iter().flat_map(|number| number.to_le_bytes()).collect();
        assert_eq!(vectors(&bytes, &[1.0, 0.0, 2.0]), None);
        let found = vectors(&bytes, &[1.0, -0.0, 2.5]).unwrap();
        assert_eq!((&found.expected[..], &found.got[..]), ("0.0 at index 1 (2 of 3 numbers differ)", "-0.0"));
        assert_eq!(vectors(&bytes, &[1.0]).unwrap().got, "1 numbers");
    }
}
