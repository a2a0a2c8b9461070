//! The codecs from outside: properties, damage, messages, and what NumPy itself says.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

mod diagram;
mod messages;
mod npy;
mod numpy;
mod vector;

use loopscope_core::codec::{Bar, Diagram};
use std::collections::BTreeMap;

/// Returns a diagram of these bars and nothing else.
fn diagram_of(dgms: &[&[(f64, f64)]]) -> Diagram {
    let bars = |bars: &&[(f64, f64)]| bars.iter().map(|&(birth, death)| Bar { birth, death }).collect();
    Diagram { dgms: dgms.iter().map(bars).collect(), entropy: None, metadata: BTreeMap::new(), gens: BTreeMap::new() }
}

/// Returns each diagram's number of bars (little-endian u64) and its bars (little-endian float64): equal bytes are
/// equal bits, which `==` on floats is not.
fn bits_of(diagram: &Diagram) -> Vec<u8> {
    let mut bits = Vec::new();
    for bars in &diagram.dgms {
        bits.extend((bars.len() as u64).to_le_bytes());
        bits.extend(bars.iter().flat_map(|bar| [bar.birth.to_le_bytes(), bar.death.to_le_bytes()]).flatten());
    }
    bits
}

/// Returns the archive of these members, deflated, as they are given.
fn archive_of(members: &[(&str, Vec<u8>)]) -> Vec<u8> {
    use std::io::{Cursor, Write};
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in members {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// Returns a version 1.0 `.npy` file of this header and these values, whether or not they fit.
fn npy_of(header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}
