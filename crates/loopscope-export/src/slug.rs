//! Names for files and folders that every file system takes, made of what people typed.

use std::collections::BTreeSet;

use loopscope_core::experiment::Hash;

/// Most characters of a slug, before what makes it unique.
const LENGTH_MAX: usize = 60;
/// Most bytes of it: with the rest of a name it stays below the 255 that file systems take.
const BYTES_MAX: usize = 160;
/// Names of devices, which Windows takes for no file whatever their case and ending.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];

/// Gives names to texts, another one to each text.
#[derive(Debug, Default)]
pub(crate) struct Slugs {
    /// In small letters: many file systems do not tell them from capitals.
    taken: BTreeSet<String>,
}

impl Slugs {
    /// Returns a name for a text that was not named before.
    ///
    /// Letters and digits stay, of every script; the rest becomes hyphens. Where something was cut off, or is not ASCII, so that
    /// two texts could differ only in what file systems see as equal, digits of the text's hash follow.
    pub(crate) fn name(&mut self, text: &str) -> String {
        let (slug, is_whole) = slug_of(text);
        let digits = &Hash::of(text.as_bytes()).to_string()[..8];
        let mut name = if is_whole { slug.clone() } else { format!("{slug}-{digits}") };
        let mut attempt = 1;
        while !self.taken.insert(name.to_lowercase()) {
            name = if attempt == 1 { format!("{slug}-{digits}") } else { format!("{slug}-{digits}-{attempt}") };
            attempt += 1;
        }
        name
    }
}

/// Returns the slug of a text, and whether it says all that texts with the same slug need.
fn slug_of(text: &str) -> (String, bool) {
    let mut slug = String::new();
    let mut count = 0;
    let mut is_whole = text.is_ascii();
    for letter in text.chars() {
        if count == LENGTH_MAX || slug.len() + letter.len_utf8() > BYTES_MAX {
            is_whole = false;
            break;
        }
        if letter.is_alphanumeric() || letter == '_' {
            slug.push(letter);
            count += 1;
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
            count += 1;
        }
    }
    let trimmed = slug.trim_end_matches('-');
    if trimmed.is_empty() {
        return ("text".to_owned(), false);
    }
    if is_reserved(trimmed) {
        return (format!("{trimmed}_"), is_whole);
    }
    (trimmed.to_owned(), is_whole)
}

fn is_reserved(name: &str) -> bool {
    let name = name.to_lowercase();
    let is_port = |word: &str| {
        let rest = name.strip_prefix(word);
        rest.is_some_and(|rest| rest.chars().count() == 1 && rest.chars().all(|digit| digit.is_numeric()))
    };
    RESERVED.contains(&name.as_str()) || is_port("com") || is_port("lpt")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(texts: &[&str]) -> Vec<String> {
        let mut slugs = Slugs::default();
        texts.iter().map(|text| slugs.name(text)).collect()
    }

    #[test]
    fn slugs_are_readable_and_never_the_same_twice() {
        assert_eq!(names(&["a red circle, at the left!"]), ["a-red-circle-at-the-left"]);
        assert_eq!(names(&["CON", "com1", "aux.txt"]), ["CON_", "com1_", "aux-txt"]);
        let collide = names(&["a b", "a-b", "A B"]);
        assert_eq!(collide[0], "a-b");
        assert!(collide[1].starts_with("a-b-") && collide[2].starts_with("A-B-"), "{collide:?}");
        let other = names(&["", "...", "火"]);
        assert!(
            other[0].starts_with("text-") && other[1].starts_with("text-") && other[2].starts_with("火-"),
            "{other:?}"
        );
        assert!(names(&[&"word ".repeat(100)])[0].len() < 80);
    }

    proptest! {
        #[test]
        fn every_text_gets_a_name_that_file_systems_take(texts in proptest::collection::vec(".{0,80}", 1..8)) {
            let mut slugs = Slugs::default();
            let names: Vec<String> = texts.iter().map(|text| slugs.name(text)).collect();
            let folded: BTreeSet<String> = names.iter().map(|name| name.to_lowercase()).collect();
            prop_assert_eq!(folded.len(), texts.len());
            for name in &names {
                prop_assert!(!name.is_empty() && name.len() <= 200 && !is_reserved(name));
                let is_plain = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
                prop_assert!(name.chars().all(is_plain), "{}", name);
            }
        }
    }
}
