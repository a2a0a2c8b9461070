//! Pictures as bytes: lossless WebP where we write, and WebP, PNG and JPEG where we read.
//!
//! `image-webp` is pure Rust and takes under a millisecond for 256 × 256, where libwebp's default takes up to 50. PNG and
//! JPEG come with imported records only. Decoding is strict: a file that ends early is no picture. Memory is bounded by
//! a limit on the pixels that the header declares, which is asked before anything is decoded.

use crate::experiment::{Hash, ImageRecord, Picture, PictureError};
use std::io::Cursor;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// The most pixels of a picture that is stored, whoever made it: 8192 × 4096. A model's picture has a thirtieth of that.
///
/// One bound for what is written, imported and read: to decode that much takes less than 400 MiB.
pub const PIXELS_MAX: u64 = 1 << 25;

/// Why a picture could not be encoded, or bytes are no picture.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageCodecError {
    /// The encoder refused.
    #[error("the picture could not be encoded as WebP")]
    Encode(#[source] image_webp::EncodingError),
    /// The bytes are no WebP, or a broken one.
    #[error("the bytes do not decode as WebP")]
    Decode(#[source] image_webp::DecodingError),
    /// The bytes are no PNG, or a broken one.
    #[error("the bytes do not decode as PNG")]
    Png(#[source] png::DecodingError),
    /// The bytes are no JPEG, or a broken one.
    #[error("the bytes do not decode as JPEG")]
    Jpeg(#[source] zune_jpeg::errors::DecodeErrors),
    /// More pixels than are decoded.
    #[error("the picture has {width} × {height} pixels, expected at most {max} in all")]
    TooLarge {
        /// Declared width.
        width: u32,
        /// Declared height.
        height: u32,
        /// The limit.
        max: u64,
    },
    /// A format that this program does not read.
    #[error("image format \"{format}\" is not read by this program; expected \"webp\", \"png\" or \"jpeg\"")]
    Format {
        /// What the row says.
        format: String,
    },
    /// Bytes of none of the formats that this program reads.
    #[error("the bytes begin as no WebP, PNG or JPEG does")]
    UnknownFormat,
    /// What came out is no picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Encodes a picture as lossless WebP and hashes both.
///
/// # Errors
///
/// [`ImageCodecError::TooLarge`] for more than [`PIXELS_MAX`] pixels, which nobody would read back;
/// [`ImageCodecError::Encode`].
pub fn encode_image(picture: &Picture) -> Result<ImageRecord, ImageCodecError> {
    check_size(picture.width(), picture.height(), PIXELS_MAX)?;
    let mut bytes = Vec::new();
    image_webp::WebPEncoder::new(&mut bytes)
        .encode(picture.rgb(), picture.width(), picture.height(), image_webp::ColorType::Rgb8)
        .map_err(ImageCodecError::Encode)?;
    Ok(ImageRecord {
        hash: Hash::of(&bytes),
        pixel_hash: picture.pixel_hash(),
        format: "webp".to_owned(),
        width: picture.width(),
        height: picture.height(),
        bytes,
    })
}

/// Returns the format that the first bytes of a picture name, as the store has it: `webp`, `png` or `jpeg`.
#[must_use]
pub fn image_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Some("webp"),
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Some("png"),
        [0xFF, 0xD8, 0xFF, ..] => Some("jpeg"),
        _ => None,
    }
}

/// Decodes a stored picture; transparency, which only an imported one can have, is dropped with the alpha channel.
///
/// # Errors
///
/// [`ImageCodecError`] when the format is unknown, there are more than [`PIXELS_MAX`] pixels, or the bytes do not decode
/// in full.
pub fn decode_image(format: &str, bytes: &[u8]) -> Result<Picture, ImageCodecError> {
    decode_within(format, bytes, PIXELS_MAX)
}

/// Decodes a picture that a server sent: WebP, PNG or JPEG, whichever its first bytes say.
///
/// # Errors
///
/// [`ImageCodecError`] when the bytes are of no format that is read, declare more than `pixels_max` or [`PIXELS_MAX`] pixels, or do not
/// decode in full.
pub fn decode_foreign_image(bytes: &[u8], pixels_max: u64) -> Result<Picture, ImageCodecError> {
    let format = image_format(bytes).ok_or(ImageCodecError::UnknownFormat)?;
    decode_within(format, bytes, pixels_max.min(PIXELS_MAX))
}

/// Decodes a picture that comes from elsewhere, and returns it as the store has it: with its bytes as they are.
///
/// # Errors
///
/// [`ImageCodecError`] when the bytes are of no format that is read, have more than [`PIXELS_MAX`] pixels, or do
/// not decode in full.
pub fn record_of_foreign_image(bytes: Vec<u8>) -> Result<ImageRecord, ImageCodecError> {
    let format = image_format(&bytes).ok_or(ImageCodecError::UnknownFormat)?;
    let picture = decode_image(format, &bytes)?;
    Ok(ImageRecord {
        hash: Hash::of(&bytes),
        pixel_hash: picture.pixel_hash(),
        format: format.to_owned(),
        width: picture.width(),
        height: picture.height(),
        bytes,
    })
}

fn decode_within(format: &str, bytes: &[u8], pixels_max: u64) -> Result<Picture, ImageCodecError> {
    match format {
        "webp" => decode_webp(bytes, pixels_max),
        "png" => decode_png(bytes, pixels_max),
        "jpeg" => decode_jpeg(bytes, pixels_max),
        _ => Err(ImageCodecError::Format { format: format.to_owned() }),
    }
}

/// Refuses a picture for its size before anything of it is decoded.
fn check_size(width: u32, height: u32, pixels_max: u64) -> Result<(), ImageCodecError> {
    let sides = 1..=Picture::SIDE_MAX;
    if !sides.contains(&width) || !sides.contains(&height) {
        return Err(PictureError::Size { width, height }.into());
    }
    if u64::from(width) * u64::from(height) > pixels_max {
        return Err(ImageCodecError::TooLarge { width, height, max: pixels_max });
    }
    Ok(())
}

fn decode_webp(bytes: &[u8], pixels_max: u64) -> Result<Picture, ImageCodecError> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(ImageCodecError::Decode)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, pixels_max)?;
    let channels: usize = if decoder.has_alpha() { 4 } else { 3 };
    let mut pixels = vec![0; width as usize * height as usize * channels];
    decoder.read_image(&mut pixels).map_err(ImageCodecError::Decode)?;
    Ok(Picture::new(width, height, as_rgb(pixels, channels))?)
}

fn decode_png(bytes: &[u8], pixels_max: u64) -> Result<Picture, ImageCodecError> {
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    // Palettes become colours, 16 bits the upper 8; grey and transparency are seen to below.
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    decoder.set_ignore_text_chunk(true);
    let mut reader = decoder.read_info().map_err(ImageCodecError::Png)?;
    let (width, height) = reader.info().size();
    check_size(width, height, pixels_max)?;
    let (color, _) = reader.output_color_type();
    let length = width as usize * height as usize * color.samples();
    let mut pixels = vec![0; length];
    reader.next_frame(&mut pixels).map_err(ImageCodecError::Png)?;
    // To the end of the file: whether it is there, and whole, is only seen there.
    reader.finish().map_err(ImageCodecError::Png)?;
    Ok(Picture::new(width, height, as_rgb(pixels, color.samples()))?)
}

fn decode_jpeg(bytes: &[u8], pixels_max: u64) -> Result<Picture, ImageCodecError> {
    let side = Picture::SIDE_MAX as usize;
    let options = DecoderOptions::new_safe()
        .set_strict_mode(true)
        .set_max_width(side)
        .set_max_height(side)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(ImageCodecError::Jpeg)?;
    let (width, height) = decoder.info().map_or((0, 0), |info| (u32::from(info.width), u32::from(info.height)));
    check_size(width, height, pixels_max)?;
    let pixels = decoder.decode().map_err(ImageCodecError::Jpeg)?;
    Ok(Picture::new(width, height, pixels)?)
}

/// Returns the red, green and blue of pixels with one (grey), two (grey, alpha), three or four (with alpha) channels.
fn as_rgb(pixels: Vec<u8>, channels: usize) -> Vec<u8> {
    match channels {
        1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        2 => pixels.as_chunks::<2>().0.iter().flat_map(|&[grey, _]| [grey; 3]).collect(),
        4 => pixels.as_chunks::<4>().0.iter().flat_map(|&[red, green, blue, _]| [red, green, blue]).collect(),
        _ => pixels,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_come_back_pixel_for_pixel() {
        let rgb: Vec<u8> = (0..37 * 21 * 3).map(|index| (index * index / 7 % 256) as u8).collect();
        let picture = Picture::new(37, 21, rgb).unwrap();
        let record = encode_image(&picture).unwrap();
        assert_eq!(record.hash, Hash::of(&record.bytes));
        assert_eq!(decode_image("webp", &record.bytes).unwrap(), picture);
    }

    #[test]
    fn what_cannot_be_read_back_is_not_written() {
        let side = 8192;
        let picture = Picture::new(side, side, vec![7; 3 * side as usize * side as usize]).unwrap();
        assert!(matches!(encode_image(&picture), Err(ImageCodecError::TooLarge { width: 8192, height: 8192, .. })));
        let mut bytes = Vec::new();
        let encoder = image_webp::WebPEncoder::new(&mut bytes);
        encoder.encode(picture.rgb(), side, side, image_webp::ColorType::Rgb8).unwrap();
        let refused = decode_image("webp", &bytes).unwrap_err().to_string();
        assert_eq!(refused, "the picture has 8192 × 8192 pixels, expected at most 33554432 in all");
    }

    #[test]
    fn damaged_pictures_are_errors() {
        let picture = Picture::new(8, 8, vec![200; 192]).unwrap();
        let record = encode_image(&picture).unwrap();
        for length in 0..record.bytes.len() {
            // The last byte may be padding, without which every pixel is still there.
            assert!(decode_image("webp", &record.bytes[..length]).map_or(true, |got| got == picture), "{length} bytes");
        }
        assert!(decode_image("webp", &record.bytes[..record.bytes.len() / 2]).is_err());
        assert!(decode_image("gif", &record.bytes).unwrap_err().to_string().contains("gif"));
    }
}
