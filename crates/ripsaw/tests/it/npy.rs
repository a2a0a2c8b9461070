//! Reads the little-endian `f32` arrays of the fixtures.

use std::fs;
use std::path::{Path, PathBuf};

pub(crate) fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tda").join(name)
}

/// Returns the numbers of a version 1 file in C order; the shape is left to the caller.
pub(crate) fn read(name: &str) -> Vec<f32> {
    let bytes = fs::read(fixture(name)).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{name}");
    let header_length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let header = std::str::from_utf8(&bytes[10..10 + header_length]).unwrap();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{name}: {header}");
    let (numbers, rest) = bytes[10 + header_length..].as_chunks::<4>();
    assert!(rest.is_empty(), "{name}");
    numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()
}
