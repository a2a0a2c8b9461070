//! Pictures: the hash of their bytes, their sides, and, when asked, their pixels.
//!
//! They are read in blocks, and each block is looked at by all cores; findings come in the order of the rows.

use std::io::Cursor;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use image_webp::WebPDecoder;
use rusqlite::Row;

use super::cell::{self, Subject, blob, integer, text};
use super::finding::{Decoding, FindingKind, Ledger, Severity};
use crate::codec::{ImageCodecError, decode_image};
use crate::experiment::Hash;

/// A block is looked at when it has so many pictures or bytes.
const BLOCK_PICTURES: usize = 512;
const BLOCK_BYTES: usize = 32 << 20;

/// Pictures of more pixels are decoded one at a time, whatever the number of cores: memory is bounded.
const PIXELS_SIDE_BY_SIDE: i64 = 1 << 22;

type Defect = (Severity, FindingKind, String);

/// The rows of a block.
pub(super) struct Pictures {
    rows: Vec<PictureRow>,
    bytes: usize,
    decodes: bool,
    decoding: Decoding,
    began: Instant,
}

struct PictureRow {
    subject: Subject,
    hash: Option<Vec<u8>>,
    pixel_hash: Option<Vec<u8>>,
    format: String,
    sides: (Option<i64>, Option<i64>),
    bytes: Vec<u8>,
}

impl Pictures {
    pub(super) fn new(decodes: bool) -> Self {
        // How fast pictures decode is measured and told, and never stored.
        Self { rows: Vec::new(), bytes: 0, decodes, decoding: Decoding::default(), began: Instant::now() }
    }

    /// Takes a row in, and looks at the block when it is full.
    pub(super) fn push(&mut self, ledger: &mut Ledger<'_>, row: &Row<'_>) {
        let Some(bytes) = blob(row, "bytes") else { return };
        self.bytes += bytes.len();
        self.rows.push(PictureRow {
            subject: Subject::of_row("image", row, "hash"),
            hash: blob(row, "hash").map(<[u8]>::to_vec),
            pixel_hash: blob(row, "pixel_hash").map(<[u8]>::to_vec),
            format: text(row, "format").unwrap_or_default().to_owned(),
            sides: (integer(row, "width"), integer(row, "height")),
            bytes: bytes.to_vec(),
        });
        if self.rows.len() >= BLOCK_PICTURES || self.bytes >= BLOCK_BYTES {
            self.look(ledger);
        }
    }

    /// Looks at what is left, and tells how much was decoded.
    pub(super) fn finish(mut self, ledger: &mut Ledger<'_>) {
        self.look(ledger);
        if self.decodes {
            self.decoding.micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            ledger.diagnosis.decoding = Some(self.decoding);
        }
    }

    fn look(&mut self, ledger: &mut Ledger<'_>) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let (rows, decodes, alone) = (&self.rows, self.decodes, Mutex::new(()));
        let defects: Vec<Vec<Defect>> = std::thread::scope(|scope| {
            let defects_of =
                |rows: &[PictureRow]| rows.iter().map(|row| row.defects(decodes, &alone)).collect::<Vec<_>>();
            let share = rows.len().div_ceil(threads).max(1);
            let workers: Vec<_> = rows.chunks(share).map(|rows| scope.spawn(move || defects_of(rows))).collect();
            workers.into_iter().flat_map(|worker| worker.join().unwrap_or_default()).collect()
        });
        for (row, defects) in self.rows.iter().zip(defects) {
            for (severity, kind, defect) in defects {
                ledger.add_of(severity, kind, &row.subject, None, defect);
            }
        }
        self.decoding.pictures += self.rows.len() as u64;
        self.rows.clear();
        self.bytes = 0;
    }
}

impl PictureRow {
    fn defects(&self, decodes: bool, alone: &Mutex<()>) -> Vec<Defect> {
        let mut defects = Vec::new();
        let mut violation = |kind, defect| defects.push((Severity::Violation, kind, defect));
        if self.bytes.is_empty() {
            violation(FindingKind::ImageUnreadable, "column bytes: expected at least one byte, got none".to_owned());
            return defects;
        }
        let hash = Hash::of(&self.bytes);
        if let Some(stored) = &self.hash
            && stored != hash.as_bytes()
        {
            violation(FindingKind::ImageHash, format!("its hash is {}, that of its bytes {hash}", cell::hex(stored)));
        }
        let seen = {
            // A decoder that panicked on another picture leaves nothing behind that could be wrong.
            let _alone = (decodes && self.is_large()).then(|| alone.lock().unwrap_or_else(PoisonError::into_inner));
            see(&self.format, &self.bytes, decodes)
        };
        match seen {
            Ok(seen) => self.compare(&seen, &mut violation),
            Err(Unseen::Format(defect)) => {
                defects.push((Severity::Note, FindingKind::ImageFormatUnknown, defect));
            }
            Err(Unseen::Broken(defect)) => violation(FindingKind::ImageUnreadable, defect),
        }
        defects
    }

    /// Returns whether the picture says that it is large, or for want of its word the row.
    fn is_large(&self) -> bool {
        let sides = match see(&self.format, &self.bytes, false) {
            Ok(seen) => Some((i64::from(seen.width), i64::from(seen.height))),
            Err(_) => self.sides.0.zip(self.sides.1),
        };
        sides.is_some_and(|(width, height)| width.saturating_mul(height) > PIXELS_SIDE_BY_SIDE)
    }

    fn compare(&self, seen: &Seen, violation: &mut impl FnMut(FindingKind, String)) {
        if self.sides != (Some(i64::from(seen.width)), Some(i64::from(seen.height))) {
            let side = |side: Option<i64>| side.map_or_else(|| "?".to_owned(), |side| side.to_string());
            let (width, height) = (side(self.sides.0), side(self.sides.1));
            let defect = format!("the row says {width} × {height}, the picture is {} × {}", seen.width, seen.height);
            violation(FindingKind::ImageSize, defect);
        }
        if let (Some(stored), Some(found)) = (&self.pixel_hash, seen.pixel_hash)
            && stored != found.as_bytes()
        {
            let defect = format!("its pixel_hash is {}, that of its pixels {found}", cell::hex(stored));
            violation(FindingKind::ImagePixelHash, defect);
        }
    }
}

/// What was seen of a picture.
pub(super) struct Seen {
    pub width: u32,
    pub height: u32,
    /// Known when it was decoded in full.
    pub pixel_hash: Option<Hash>,
}

/// Why nothing was seen.
pub(super) enum Unseen {
    /// A format that this program does not read.
    Format(String),
    /// Bytes that are no picture.
    Broken(String),
}

/// Reads the header of a picture, or all of it. A decoder may have a bug, and the file may be anybody's.
pub(super) fn see(format: &str, bytes: &[u8], decodes: bool) -> Result<Seen, Unseen> {
    let read = || if decodes { pixels_of(format, bytes) } else { header_of(format, bytes) };
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error @ ImageCodecError::Format { .. })) => Err(Unseen::Format(error.to_string())),
        Ok(Err(error)) => Err(Unseen::Broken(crate::causes::with_causes(&error))),
        Err(_) => Err(Unseen::Broken("the bytes do not decode: the decoder panicked".to_owned())),
    }
}

fn pixels_of(format: &str, bytes: &[u8]) -> Result<Seen, ImageCodecError> {
    let picture = decode_image(format, bytes)?;
    Ok(Seen { width: picture.width(), height: picture.height(), pixel_hash: Some(picture.pixel_hash()) })
}

fn header_of(format: &str, bytes: &[u8]) -> Result<Seen, ImageCodecError> {
    if format != "webp" {
        return Err(ImageCodecError::Format { format: format.to_owned() });
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(ImageCodecError::Decode)?;
    let (width, height) = decoder.dimensions();
    Ok(Seen { width, height, pixel_hash: None })
}
