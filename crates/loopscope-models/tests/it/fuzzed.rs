//! The functions of the fuzz targets over their committed seeds, and over seeds that are cut and bent.

use std::path::{Path, PathBuf};

use proptest::prelude::*;

use crate::entries;

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn bent(seed: &[u8], changes: &[(usize, u8)], length: usize) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for (place, byte) in changes {
        let place = place % bytes.len();
        bytes[place] = *byte;
    }
    bytes.truncate(length % (seed.len() + 1));
    bytes
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        changes in proptest::collection::vec((any::<usize>(), any::<u8>()), 0..8),
        length in any::<usize>(),
    ) {
        for (target, entry) in [("answer", entries::answer as fn(&[u8])), ("models_file", entries::models_file)] {
            for seed in seeds(target) {
                entry(&seed);
                entry(&bent(&seed, &changes, length));
                entry(&bent(&seed, &changes, seed.len()));
            }
        }
    }
}
