//! How values become columns and come back: canonical JSON, vectors, pictures, diagrams.
//!
//! A codec maps bytes to a checked value or an error that says what is wrong with them; it never mends.

mod diagram;
mod image;
mod json;
mod vector;

pub use diagram::{Bar, Diagram, DiagramCodecError, Scalar, decode_diagram, encode_diagram};
pub use image::{ImageCodecError, decode_image, encode_image};
pub use json::canonical_json;
pub use vector::{VectorCodecError, decode_vector, encode_vector};
