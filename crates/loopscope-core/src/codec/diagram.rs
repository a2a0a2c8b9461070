//! Persistence diagrams as NumPy `.npz` archives.

use std::collections::BTreeMap;

/// A bar of a diagram: when a class is born and when it dies; `death` may be infinite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Filtration value of birth.
    pub birth: f64,
    /// Filtration value of death; `f64::INFINITY` when it never dies.
    pub death: f64,
}

/// A scalar stored beside the bars as a one-element array.
#[derive(Clone, Debug, PartialEq)]
pub enum Scalar {
    /// A whole number.
    Integer(i64),
    /// A float64.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
}

/// A persistence diagram as the store holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagram {
    /// The bars of each dimension from 0, shape (n, 2) each; possibly none.
    pub dgms: Vec<Vec<Bar>>,
    /// The persistent entropy of each dimension, when it was stored.
    pub entropy: Option<Vec<f64>>,
    /// What it took: metric, `max_dim`, threshold, program version; whatever scalars an older file has.
    pub metadata: BTreeMap<String, Scalar>,
}

/// Why bytes are no diagram.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiagramCodecError {}

/// Encodes.
pub fn encode_diagram(_diagram: &Diagram) -> Result<Vec<u8>, DiagramCodecError> {
    Ok(Vec::new())
}

/// Decodes.
///
/// # Errors
///
/// When the bytes are no diagram.
pub fn decode_diagram(_bytes: &[u8]) -> Result<Diagram, DiagramCodecError> {
    Ok(Diagram { dgms: vec![], entropy: None, metadata: BTreeMap::new() })
}
