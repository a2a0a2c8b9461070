//! Metadata in WebP, PNG and JPEG files, beside the picture, whose own bytes stay as they are.

use img_parts::jpeg::{Jpeg, markers};
use img_parts::png::{Png, PngChunk};
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::{CHUNK_EXIF, CHUNK_VP8X, CHUNK_XMP, WebP};
use img_parts::{Bytes, Error, ImageEXIF};

use super::ImageFormat;

/// The keyword of XMP in a PNG, with what says that it is plain text in no language.
const PNG_XMP: &[u8] = b"XML:com.adobe.xmp\0\0\0\0\0";
/// How a JPEG segment says that XMP follows.
const JPEG_XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Bits of the header of an extended WebP.
const WEBP_HAS_EXIF: u8 = 0b1000;
const WEBP_HAS_XMP: u8 = 0b0100;

/// Returns the file of a picture with this EXIF block and XMP packet and no other, or with none.
pub(super) fn with_metadata(
    format: ImageFormat,
    bytes: Vec<u8>,
    about: Option<(Vec<u8>, String)>,
) -> Result<Vec<u8>, Error> {
    match format {
        ImageFormat::WebP => webp(bytes, about),
        ImageFormat::Png => png(bytes, about),
    }
}

fn webp(bytes: Vec<u8>, about: Option<(Vec<u8>, String)>) -> Result<Vec<u8>, Error> {
    let mut file = WebP::from_bytes(bytes.into())?;
    let is_plain = !file.has_chunk(CHUNK_EXIF) && !file.has_chunk(CHUNK_XMP);
    let Some((exif, xmp)) = about else {
        if !is_plain {
            file.remove_chunks_by_id(CHUNK_EXIF);
            file.remove_chunks_by_id(CHUNK_XMP);
            set_webp_flags(&mut file, 0);
        }
        return Ok(file.encoder().bytes().to_vec());
    };
    file.remove_chunks_by_id(CHUNK_XMP);
    // Adds the header of an extended file where there is none.
    file.set_exif(Some(exif.into()));
    file.chunks_mut().push(RiffChunk::new(CHUNK_XMP, RiffContent::Data(xmp.into_bytes().into())));
    set_webp_flags(&mut file, WEBP_HAS_EXIF | WEBP_HAS_XMP);
    Ok(file.encoder().bytes().to_vec())
}

fn set_webp_flags(file: &mut WebP, flags: u8) {
    let header = file.chunks_mut().iter_mut().find(|chunk| chunk.id() == CHUNK_VP8X);
    if let Some(RiffContent::Data(data)) = header.map(RiffChunk::content_mut) {
        let mut changed = data.to_vec();
        if let Some(first) = changed.first_mut() {
            *first = *first & !(WEBP_HAS_EXIF | WEBP_HAS_XMP) | flags;
        }
        *data = changed.into();
    }
}

fn is_xmp(chunk: &PngChunk) -> bool {
    chunk.kind() == *b"iTXt" && chunk.contents().starts_with(b"XML:com.adobe.xmp\0")
}

fn png(bytes: Vec<u8>, about: Option<(Vec<u8>, String)>) -> Result<Vec<u8>, Error> {
    let mut file = Png::from_bytes(bytes.into())?;
    file.chunks_mut().retain(|chunk| !is_xmp(chunk));
    let (exif, xmp) = about.map_or((None, None), |(exif, xmp)| (Some(Bytes::from(exif)), Some(xmp)));
    file.set_exif(exif);
    if let Some(xmp) = xmp {
        let contents = [PNG_XMP, xmp.as_bytes()].concat();
        // Right after the header: before the pixels, where every reader looks.
        file.chunks_mut().insert(1, PngChunk::new(*b"iTXt", contents.into()));
    }
    Ok(file.encoder().bytes().to_vec())
}

/// The EXIF block and the XMP packet of a file, as far as it has them.
#[derive(Default)]
pub(super) struct Found {
    pub(super) exif: Option<Vec<u8>>,
    pub(super) xmp: Option<Vec<u8>>,
}

/// Reads what a WebP, PNG or JPEG file has; `None` for bytes of another kind.
pub(super) fn find(format: &str, bytes: Vec<u8>) -> Result<Found, Error> {
    let bytes = Bytes::from(bytes);
    let plain = |bytes: Bytes| bytes.to_vec();
    Ok(match format {
        "webp" => {
            let file = WebP::from_bytes(bytes)?;
            let xmp = file.chunk_by_id(CHUNK_XMP).and_then(|chunk| chunk.content().data()).map(|data| data.to_vec());
            Found { exif: file.exif().map(plain), xmp }
        }
        "png" => {
            let file = Png::from_bytes(bytes)?;
            let packet = |chunk: &PngChunk| chunk.contents().strip_prefix(PNG_XMP).map(<[u8]>::to_vec);
            Found {
                exif: file.exif().map(plain),
                xmp: file.chunks().iter().filter(|chunk| is_xmp(chunk)).find_map(packet),
            }
        }
        _ => {
            let file = Jpeg::from_bytes(bytes)?;
            let xmp = file
                .segments_by_marker(markers::APP1)
                .find_map(|segment| segment.contents().strip_prefix(JPEG_XMP).map(<[u8]>::to_vec));
            Found { exif: file.exif().map(plain), xmp }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use loopscope_core::codec::{decode_image, encode_image};
    use loopscope_core::experiment::Picture;

    fn picture() -> Picture {
        let rgb: Vec<u8> = (0..31 * 17 * 3).map(|index| (index * index / 5 % 256) as u8).collect();
        Picture::new(31, 17, rgb).unwrap()
    }

    fn stream_of(webp: &[u8]) -> Vec<u8> {
        let file = WebP::from_bytes(webp.to_vec().into()).unwrap();
        file.chunk_by_id(*b"VP8L").unwrap().content().data().unwrap().to_vec()
    }

    #[test]
    fn metadata_changes_no_bit_of_a_webp_stream_and_can_be_taken_out_again() {
        let plain = encode_image(&picture()).unwrap().bytes;
        let about = || Some((b"II*\0\x08\0\0\0\0\0\0\0\0\0".to_vec(), "<x/>".to_owned()));
        let told = with_metadata(ImageFormat::WebP, plain.clone(), about()).unwrap();
        assert_eq!(stream_of(&told), stream_of(&plain));
        assert_eq!(decode_image("webp", &told).unwrap(), picture());
        let header = WebP::from_bytes(told.clone().into()).unwrap();
        let flags = header.chunk_by_id(CHUNK_VP8X).unwrap().content().data().unwrap()[0];
        assert_eq!(flags, WEBP_HAS_EXIF | WEBP_HAS_XMP);

        let again = with_metadata(ImageFormat::WebP, told.clone(), about()).unwrap();
        assert_eq!(again, told, "metadata is replaced, not added");
        let silent = with_metadata(ImageFormat::WebP, told, None).unwrap();
        let found = find("webp", silent.clone()).unwrap();
        assert!(found.exif.is_none() && found.xmp.is_none());
        assert_eq!(decode_image("webp", &silent).unwrap(), picture());
        assert_eq!(with_metadata(ImageFormat::WebP, plain.clone(), None).unwrap(), plain);
    }

    #[test]
    fn png_files_carry_both() {
        let plain = super::super::png_of(&picture()).unwrap();
        let exif = b"II*\0\x08\0\0\0\0\0\0\0\0\0".to_vec();
        let told = with_metadata(ImageFormat::Png, plain.clone(), Some((exif.clone(), "<x/>".to_owned()))).unwrap();
        let found = find("png", told.clone()).unwrap();
        assert_eq!((found.exif, found.xmp), (Some(exif), Some(b"<x/>".to_vec())));
        assert_eq!(decode_image("png", &told).unwrap(), picture());
        assert_eq!(with_metadata(ImageFormat::Png, told, None).unwrap(), plain);
    }
}
