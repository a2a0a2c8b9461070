//! Every paper that the documentation names by its key is in the list that comes with the crate.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn sources(folder: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// Returns the words between backticks that are a name and a year.
fn keys(text: &str) -> BTreeSet<String> {
    let is_key = |word: &&str| {
        let name = word.trim_end_matches(|letter: char| letter.is_ascii_digit());
        word.len() == name.len() + 4 && name.len() > 2 && name.bytes().all(|letter| letter.is_ascii_lowercase())
    };
    text.split('`').filter(is_key).map(str::to_owned).collect()
}

#[test]
fn every_key_has_its_reference() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed = keys(&fs::read_to_string(root.join("REFERENCES.md")).unwrap());
    let used: BTreeSet<String> =
        sources(&root.join("src")).iter().flat_map(|path| keys(&fs::read_to_string(path).unwrap())).collect();
    assert!(used.len() > 15, "{used:?}");
    let missing: Vec<_> = used.difference(&listed).collect();
    assert!(missing.is_empty(), "not in REFERENCES.md: {missing:?}");
}
