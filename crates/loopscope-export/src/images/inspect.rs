//! Reading back what a picture says of itself.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use loopscope_core::codec::image_format;
use serde::Serialize;

use super::PictureMetadata;
use super::container::find;
use super::exif_fields::metadata_of_exif;
use super::xmp::metadata_of_xmp;

/// More bytes than a picture of ours has.
const BYTES_MAX: u64 = 1 << 30;

/// Why a file does not say where it comes from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InspectError {
    /// It cannot be read.
    #[error("reading {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It is no picture of a kind that is read.
    #[error("{} is no WebP, PNG or JPEG file", .path.display())]
    Format {
        /// The file.
        path: PathBuf,
    },
    /// Its container is damaged.
    #[error("{} begins as {format}, and does not go on as one", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What it begins as.
        format: &'static str,
        /// What is wrong.
        #[source]
        source: img_parts::Error,
    },
    /// It has no metadata of this program.
    #[error("{} does not say where it comes from: {found}", .path.display())]
    Silent {
        /// The file.
        path: PathBuf,
        /// What it has instead.
        found: &'static str,
    },
}

/// What a file says.
#[derive(Clone, Debug, Serialize)]
pub struct Inspected {
    /// The file.
    pub file: PathBuf,
    /// `webp`, `png` or `jpeg`.
    pub format: &'static str,
    /// Where the picture comes from.
    #[serde(flatten)]
    pub metadata: PictureMetadata,
}

/// Reads where a picture comes from: its EXIF, which has it exactly, or else its XMP.
///
/// # Errors
///
/// [`InspectError`].
pub fn inspect(path: &Path) -> Result<Inspected, InspectError> {
    let failed = |source| InspectError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(failed)?.take(BYTES_MAX).read_to_end(&mut bytes).map_err(failed)?;
    let format = image_format(&bytes).ok_or_else(|| InspectError::Format { path: path.to_owned() })?;
    let found =
        find(format, bytes).map_err(|source| InspectError::Damaged { path: path.to_owned(), format, source })?;
    let has_any = found.exif.is_some() || found.xmp.is_some();
    let metadata = found.exif.and_then(metadata_of_exif).or_else(|| found.xmp.as_deref().and_then(metadata_of_xmp));
    match metadata {
        Some(metadata) => Ok(Inspected { file: path.to_owned(), format, metadata }),
        None => {
            let found = if has_any { "its EXIF and XMP are not of loopscope" } else { "it has neither EXIF nor XMP" };
            Err(InspectError::Silent { path: path.to_owned(), found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{exif_fields::exif_of, xmp::xmp_of};
    use super::*;
    use proptest::prelude::*;

    fn metadata(prompt: &str, name: &str) -> PictureMetadata {
        PictureMetadata {
            experiment_id: "0198c0de-0000-7000-8000-000000000001".to_owned(),
            experiment_name: name.to_owned(),
            run_id: "0198c0de-0000-7000-8000-000000000002".to_owned(),
            invocation_id: "0198c0de-0000-7000-8000-000000000003".to_owned(),
            model_version_id: "0198c0de-0000-7000-8000-000000000004".to_owned(),
            network: vec!["DummyT2I".to_owned(), "Dummy <&> I2T".to_owned()],
            initial_prompt: prompt.to_owned(),
            model: "DummyT2I".to_owned(),
            sequence_number: 12,
            seed: 7,
            run_seed: -1,
            run_number: 2,
            started_at: "2023-11-14T22:13:20.000001Z".to_owned(),
            program: "loopscope 0.0.0".to_owned(),
        }
    }

    proptest! {
        #[test]
        fn exif_holds_every_text_exactly(prompt in ".{0,60}|\\PC{0,60}", name in ".{1,20}", control in any::<[char; 4]>()) {
            let prompt = format!("{prompt}{}", control.iter().collect::<String>());
            let told = metadata(&prompt, &name);
            prop_assert_eq!(metadata_of_exif(exif_of(&told).unwrap()), Some(told));
        }

        #[test]
        fn xmp_holds_every_text_that_can_be_shown(prompt in "[ -~äöü火🔥]{0,60}", name in "[ -~]{1,20}") {
            let told = metadata(&prompt, &name);
            prop_assert_eq!(metadata_of_xmp(xmp_of(&told).as_bytes()), Some(told));
        }

        #[test]
        fn whatever_a_packet_holds_is_read_or_not_and_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            metadata_of_xmp(&bytes);
            metadata_of_exif(bytes);
        }
    }
}
