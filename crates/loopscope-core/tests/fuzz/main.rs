//! The fuzz targets over their committed seeds, and over every input that once broke something (`fuzz/found`).
//!
//! Each seed is also cut short at every length and has every bit of its first bytes turned, which costs nothing and keeps
//! the targets honest on a toolchain without sanitizers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../../../../fuzz/entries.rs"]
mod entries;

use std::path::Path;

type Target = fn(&[u8]);

const TARGETS: [(&str, Target); 8] = [
    ("config_json", entries::config_json),
    ("config_toml", entries::config_toml),
    ("npy", entries::npy),
    ("diagram", entries::diagram),
    ("picture", entries::picture),
    ("vector", entries::vector),
    ("foreign_picture", entries::foreign_picture),
    ("legacy_cell", entries::legacy_cell),
];

/// How many bytes from the start have each of their bits turned.
const BITS_TURNED_OF: usize = 128;

fn inputs(folder: &str, target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder).join(target);
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

#[test]
fn no_seed_and_no_neighbour_of_a_seed_breaks_a_parser() {
    for (name, target) in TARGETS {
        let seeds = inputs("seeds", name);
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            target(&seed);
            // Of a long seed, every seventh length: the ends of its parts are met all the same.
            for length in (0..seed.len()).step_by(if seed.len() > 512 { 7 } else { 1 }) {
                target(&seed[..length]);
            }
            for bit in 0..8 * seed.len().min(BITS_TURNED_OF) {
                let mut turned = seed.clone();
                turned[bit / 8] ^= 1 << (bit % 8);
                target(&turned);
            }
        }
    }
}

#[test]
fn what_fuzzing_found_stays_found() {
    for (name, target) in TARGETS {
        inputs("found", name).iter().for_each(|input| target(input));
    }
}
