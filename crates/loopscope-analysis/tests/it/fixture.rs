//! Reads `tests/fixtures`; see the README there.

use std::fs;
use std::path::PathBuf;

use loopscope_analysis::cluster::Vectors;
use serde_json::Value;

pub(crate) struct Matrix {
    values: Vec<f32>,
    row_count: usize,
    dimension: usize,
}

impl Matrix {
    pub(crate) fn vectors(&self) -> Vectors<'_> {
        Vectors::new(&self.values, self.row_count, self.dimension).unwrap()
    }
}

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

pub(crate) fn read_matrix(name: &str) -> Matrix {
    let (values, row_count, dimension) = read_npy(&format!("cluster/{name}.npy"));
    Matrix { values, row_count, dimension }
}

/// Reads a little-endian float32 matrix in C order, npy format 1.0: its numbers, rows and columns.
pub(crate) fn read_npy(name: &str) -> (Vec<f32>, usize, usize) {
    let bytes = fs::read(path(name)).unwrap();
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\x00", "{name} is npy 1.0");
    let header_length = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (header, body) = bytes[10..].split_at(header_length);
    let header = str::from_utf8(header).unwrap();
    assert!(header.contains("'<f4'") && header.contains("'fortran_order': False"), "{name}: {header}");
    let shape = header.split(['(', ')']).nth(1).unwrap();
    let shape: Vec<usize> = shape.split(',').map(|extent| extent.trim().parse().unwrap()).collect();
    let values = body.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value)).collect();
    (values, shape[0], shape[1])
}

pub(crate) fn read_json(name: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(path(name)).unwrap()).unwrap()
}

pub(crate) fn read_reference(name: &str) -> Value {
    read_json("cluster/reference.json")[name].take()
}
