//! EXIF: what every viewer shows, and everything once more as JSON in the user comment, exactly.

use std::io::Cursor;

use exif::experimental::Writer;
use exif::{Field, In, Tag, Value};

use super::PictureMetadata;

/// How a user comment says that ASCII follows.
const ASCII: &[u8; 8] = b"ASCII\0\0\0";
/// How our comments begin.
const OURS: &str = "loopscope ";

/// Returns the EXIF block, from its TIFF header.
pub(super) fn exif_of(metadata: &PictureMetadata) -> Result<Vec<u8>, exif::Error> {
    let mut fields = vec![
        ascii(Tag::ImageDescription, &metadata.initial_prompt),
        ascii(Tag::Software, &metadata.program),
        ascii(Tag::ImageUniqueID, &metadata.invocation_id.replace('-', "")),
        Field { tag: Tag::UserComment, ifd_num: In::PRIMARY, value: Value::Undefined(comment_of(metadata), 0) },
        Field { tag: Tag::ExifVersion, ifd_num: In::PRIMARY, value: Value::Undefined(b"0232".to_vec(), 0) },
    ];
    if let Some((moment, fraction)) = exif_time(&metadata.started_at) {
        fields.push(ascii(Tag::DateTimeOriginal, &moment));
        fields.push(ascii(Tag::OffsetTimeOriginal, "+00:00"));
        fields.push(ascii(Tag::SubSecTimeOriginal, &fraction));
    }
    let mut writer = Writer::new();
    fields.iter().for_each(|field| writer.push_field(field));
    let mut bytes = Cursor::new(Vec::new());
    writer.write(&mut bytes, false)?;
    Ok(bytes.into_inner())
}

/// Returns what an EXIF block says, when it is of this program.
pub(super) fn metadata_of_exif(block: Vec<u8>) -> Option<PictureMetadata> {
    let read = exif::Reader::new().read_raw(block).ok()?;
    let field = read.get_field(Tag::UserComment, In::PRIMARY)?;
    let Value::Undefined(bytes, _) = &field.value else { return None };
    let text = std::str::from_utf8(bytes.strip_prefix(ASCII)?).ok()?;
    serde_json::from_str(text.strip_prefix(OURS)?.trim_end_matches('\0')).ok()
}

/// A text of EXIF ends at a NUL, so that one within it is shown as what cannot be shown.
fn ascii(tag: Tag, text: &str) -> Field {
    Field { tag, ifd_num: In::PRIMARY, value: Value::Ascii(vec![text.replace('\0', "\u{FFFD}").into_bytes()]) }
}

fn comment_of(metadata: &PictureMetadata) -> Vec<u8> {
    let mut comment = ASCII.to_vec();
    comment.extend_from_slice(OURS.as_bytes());
    // Texts and numbers are always JSON.
    let json = serde_json::to_string(metadata).unwrap_or_default();
    for letter in json.chars() {
        if letter.is_ascii() {
            comment.push(letter as u8);
        } else {
            for unit in letter.encode_utf16(&mut [0; 2]) {
                comment.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
            }
        }
    }
    comment
}

/// Returns `2023:11:14 22:13:20` and `000001` of `2023-11-14T22:13:20.000001Z`; nothing of a year that has not four digits.
fn exif_time(moment: &str) -> Option<(String, String)> {
    let (date, time) = moment.strip_suffix('Z')?.split_once('T')?;
    let (time, fraction) = time.split_once('.')?;
    (date.len() == 10 && time.len() == 8).then(|| (format!("{} {time}", date.replace('-', ":")), fraction.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_cameras_write_them() {
        let moment = ("2023:11:14 22:13:20".to_owned(), "000001".to_owned());
        assert_eq!(exif_time("2023-11-14T22:13:20.000001Z"), Some(moment));
        assert_eq!(exif_time("9223372036854775807 µs"), None);
    }
}
