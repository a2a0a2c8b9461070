//! Pictures as lossless WebP.
//!
//! `image-webp` is pure Rust and takes under a millisecond for 256 × 256, where libwebp's default takes up to 50.

use crate::experiment::{Hash, ImageRecord, Picture, PictureError};
use std::io::Cursor;

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
    /// A format that this program does not read.
    #[error("image format \"{format}\" is not read by this program; expected \"webp\"")]
    Format {
        /// What the row says.
        format: String,
    },
    /// What came out is no picture.
    #[error(transparent)]
    Picture(#[from] PictureError),
}

/// Encodes a picture as lossless WebP and hashes both.
///
/// # Errors
///
/// [`ImageCodecError::Encode`].
pub fn encode_image(picture: &Picture) -> Result<ImageRecord, ImageCodecError> {
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

/// Decodes a stored picture; transparency, which only an imported one can have, is dropped with the alpha channel.
///
/// # Errors
///
/// [`ImageCodecError`] when the format is unknown or the bytes do not decode in full.
pub fn decode_image(format: &str, bytes: &[u8]) -> Result<Picture, ImageCodecError> {
    if format != "webp" {
        return Err(ImageCodecError::Format { format: format.to_owned() });
    }
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).map_err(ImageCodecError::Decode)?;
    let (width, height) = decoder.dimensions();
    if width > Picture::SIDE_MAX || height > Picture::SIDE_MAX {
        return Err(PictureError::Size { width, height }.into());
    }
    let channels: usize = if decoder.has_alpha() { 4 } else { 3 };
    let mut pixels = vec![0; width as usize * height as usize * channels];
    decoder.read_image(&mut pixels).map_err(ImageCodecError::Decode)?;
    if channels == 4 {
        pixels = pixels.as_chunks::<4>().0.iter().flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    }
    Ok(Picture::new(width, height, pixels)?)
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
