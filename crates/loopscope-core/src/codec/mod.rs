//! How values become columns and come back: canonical JSON, vectors, pictures, diagrams.
//!
//! A codec maps bytes to a checked value or an error that says what is wrong with them; it never mends.

mod diagram;
mod generators;
mod image;
mod json;
mod npy;
mod sparse;
mod vector;

pub use diagram::{
    Bar, DIAGRAM_BYTES_MAX, DIAGRAM_MEMBERS_MAX, Diagram, DiagramCodecError, Scalar, decode_diagram,
    decode_optional_diagram, encode_diagram, encode_optional_diagram,
};
pub use generators::{check_generators, generator_arrays, longest_loop};
pub use image::{
    ImageCodecError, PIXELS_MAX, decode_foreign_image, decode_image, encode_image, image_format,
    record_of_foreign_image,
};
pub use json::canonical_json;
pub use npy::{NPY_BYTES_MAX, NPY_HEADER_BYTES_MAX, NpyArray, NpyError, NpyValues, read_npy, write_npy};
pub use sparse::{SparseCodecError, SparseMatrix, is_npz, read_sparse_npz};
pub(crate) use vector::decode_vector_into;
pub use vector::{VectorCodecError, decode_optional_vector, decode_vector, encode_optional_vector, encode_vector};
