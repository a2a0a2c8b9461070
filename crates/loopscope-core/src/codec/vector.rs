//! Vectors as raw little-endian float32, which `numpy.frombuffer(blob, "<f4")` reads.

use crate::experiment::{Vector, VectorError};

/// Why bytes are no vector.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum VectorCodecError {
    /// Not a whole number of float32.
    #[error("a vector is a positive multiple of 4 bytes, got {got}")]
    Length {
        /// The bytes given.
        got: usize,
    },
    /// Numbers that are no vector.
    #[error(transparent)]
    Vector(#[from] VectorError),
}

/// Returns the vector as little-endian float32, 4 bytes a number.
#[must_use]
pub fn encode_vector(vector: &Vector) -> Vec<u8> {
    vector.numbers().iter().flat_map(|number| number.to_le_bytes()).collect()
}

/// Returns the vector of these bytes.
///
/// # Errors
///
/// [`VectorCodecError`] when the length is not a positive multiple of 4 or the numbers are no vector.
pub fn decode_vector(bytes: &[u8]) -> Result<Vector, VectorCodecError> {
    let mut numbers = Vec::new();
    read_numbers(bytes, &mut numbers)?;
    Ok(Vector::new(numbers)?)
}

/// Puts the numbers of a vector where those of the one before it were, for those who read millions.
///
/// # Errors
///
/// As [`decode_vector`].
pub(crate) fn decode_vector_into(bytes: &[u8], numbers: &mut Vec<f32>) -> Result<(), VectorCodecError> {
    read_numbers(bytes, numbers)?;
    Ok(Vector::check(numbers)?)
}

fn read_numbers(bytes: &[u8], numbers: &mut Vec<f32>) -> Result<(), VectorCodecError> {
    let (chunks, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() || chunks.is_empty() {
        return Err(VectorCodecError::Length { got: bytes.len() });
    }
    numbers.clear();
    numbers.extend(chunks.iter().map(|&number| f32::from_le_bytes(number)));
    Ok(())
}

/// Returns the bytes of a vector for a column that may be NULL: `None` is NULL.
#[must_use]
pub fn encode_optional_vector(vector: Option<&Vector>) -> Option<Vec<u8>> {
    vector.map(encode_vector)
}

/// Returns the vector of a column that may be NULL: NULL is `None`, and no bytes at all are an error.
///
/// # Errors
///
/// As [`decode_vector`].
pub fn decode_optional_vector(bytes: Option<&[u8]>) -> Result<Option<Vector>, VectorCodecError> {
    bytes.map(decode_vector).transpose()
}
