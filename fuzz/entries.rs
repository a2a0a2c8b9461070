//! What each fuzz target calls: bytes in, a panic when a promise is broken.
//!
//! The same functions run over the committed seeds and over every input that once broke something, in the ordinary
//! tests of `loopscope-core`, so that what fuzzing found stays found on a stable toolchain.
//!
//! A parser keeps three promises: it never panics, it takes memory in proportion to what it is given, and what it takes
//! in comes out again the same.
#![allow(dead_code, clippy::allow_attributes, reason = "each target uses one of them")]

use loopscope_core::codec::{
    decode_diagram, decode_image, decode_vector, encode_diagram, encode_image, encode_vector, image_format, read_npy,
    record_of_foreign_image, write_npy,
};
use loopscope_core::config::{Syntax, parse_config};
use loopscope_core::import::legacy::Zone;
use loopscope_core::import::legacy::parse::{parse_id, parse_networks, parse_seeds, parse_strings, parse_time};

/// A config in JSON; what was accepted is accepted again as it is stored.
pub(crate) fn config_json(bytes: &[u8]) {
    config(bytes, Syntax::Json);
}

/// A config in TOML.
pub(crate) fn config_toml(bytes: &[u8]) {
    config(bytes, Syntax::Toml);
}

fn config(bytes: &[u8], syntax: Syntax) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    match parse_config(text, syntax) {
        Ok(given) => {
            let again = parse_config(&given.as_given, Syntax::Json);
            let again = again.unwrap_or_else(|error| panic!("stored as {}: {error}", given.as_given));
            assert_eq!(again, given);
        }
        // A message is made whatever the text is.
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// One `.npy` file.
pub(crate) fn npy(bytes: &[u8]) {
    match read_npy(bytes) {
        Ok(array) => {
            let order = array.clone().into_c_order();
            order.unwrap_or_else(|error| panic!("it was read, and has no C order: {error}"));
            // Bits, not numbers: a NaN is not equal to itself.
            let written = write_npy(&array).unwrap_or_else(|error| panic!("it was read, and is not written: {error}"));
            let again = read_npy(&written).unwrap_or_else(|error| panic!("it was written, and is not read: {error}"));
            assert_eq!(write_npy(&again).ok(), Some(written));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A persistence diagram, an `.npz` archive.
pub(crate) fn diagram(bytes: &[u8]) {
    match decode_diagram(bytes) {
        Ok(diagram) => {
            assert_eq!(diagram.check().err().map(|error| error.to_string()), None);
            let written = encode_diagram(&diagram).unwrap_or_else(|error| panic!("read, and not written: {error}"));
            let again = decode_diagram(&written).unwrap_or_else(|error| panic!("written, and not read: {error}"));
            assert_eq!(encode_diagram(&again).ok(), Some(written));
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A picture: the first byte says in which format the row claims it to be.
pub(crate) fn picture(bytes: &[u8]) {
    let Some((format, bytes)) = bytes.split_first() else { return };
    let format = ["webp", "png", "jpeg", "gif"][usize::from(*format) % 4];
    match decode_image(format, bytes) {
        Ok(picture) => {
            assert_eq!(picture.rgb().len(), picture.width() as usize * picture.height() as usize * 3);
            // Encoding megapixels tells nothing more of the decoder, and takes seconds.
            if picture.rgb().len() <= 1 << 16 {
                let record = encode_image(&picture).unwrap_or_else(|error| panic!("decoded, and not encoded: {error}"));
                assert_eq!(decode_image("webp", &record.bytes).ok(), Some(picture));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A picture of an old database: its own first bytes say what it is.
pub(crate) fn foreign_picture(bytes: &[u8]) {
    match record_of_foreign_image(bytes.to_vec()) {
        Ok(record) => {
            assert_eq!(record.bytes, bytes, "kept as it is");
            assert_eq!(Some(record.format.as_str()), image_format(bytes));
            let picture = decode_image(&record.format, &record.bytes);
            let picture = picture.unwrap_or_else(|error| panic!("taken in, and not decoded: {error}"));
            assert_eq!((picture.width(), picture.height()), (record.width, record.height));
            assert_eq!(picture.pixel_hash(), record.pixel_hash);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A cell of an old database; the first byte says of which column.
pub(crate) fn legacy_cell(bytes: &[u8]) {
    let Some((column, bytes)) = bytes.split_first() else { return };
    let text = std::str::from_utf8(bytes);
    match column % 5 {
        0 => {
            if let Some(id) = parse_id(bytes) {
                let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
                assert_eq!(parse_id(hex.as_bytes()), Some(id), "an id is the same however it is written");
            }
        }
        1 => {
            if let Some(time) = parse_time(bytes) {
                for zone in ["UTC", "Europe/Berlin", "America/New_York", "Pacific/Apia"] {
                    let zone = Zone::named(zone).unwrap_or_else(|error| panic!("{error}"));
                    assert_eq!(time.in_zone(&zone), time.in_zone(&zone));
                }
            }
        }
        2 => drop(text.ok().and_then(parse_strings)),
        3 => drop(text.ok().and_then(parse_networks)),
        _ => drop(text.ok().and_then(parse_seeds)),
    }
}

/// A stored vector.
pub(crate) fn vector(bytes: &[u8]) {
    match decode_vector(bytes) {
        Ok(vector) => assert_eq!(encode_vector(&vector), bytes),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
