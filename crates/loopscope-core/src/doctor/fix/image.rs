//! A picture whose bytes are sound, and of which the row says something else: that is read off the bytes again.
//!
//! The bytes are sound when they decode and either their hash or the hash of their pixels is what the row says: two
//! hashes do not go wrong together with the bytes. Otherwise nobody knows what the picture was.

use std::collections::BTreeSet;

use rusqlite::types::Value;
use rusqlite::{Connection, Row};

use super::super::cell::{blob, text};
use super::super::finding::{FindingKind, Place};
use super::super::image::see;
use super::Reason;
use crate::experiment::Hash;

type Cells = Vec<(&'static str, Value)>;
type Mended = Vec<(Place, Reason, Cells)>;

/// Plans how a picture's row is mended; `None` when the picture is lost.
pub(super) fn mend(
    connection: &Connection,
    rowid: i64,
    kinds: &BTreeSet<FindingKind>,
) -> rusqlite::Result<Option<Mended>> {
    let is_second = |kind: &FindingKind| matches!(kind, FindingKind::IdDuplicate | FindingKind::Duplicate);
    if kinds.iter().any(is_second) {
        return Ok(None);
    }
    let sql = "SELECT hash, pixel_hash, format, bytes FROM image WHERE rowid = ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([rowid])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let Some((hash, cells)) = said_by_bytes(row) else { return Ok(None) };
    let stored = blob(row, "hash").map(<[u8]>::to_vec);
    let mut mended = vec![(Place { table: "image", rowid }, "image_row", cells)];
    if stored.as_deref() == Some(&hash[..]) {
        return Ok(Some(mended));
    }
    if connection.prepare_cached("SELECT 1 FROM image WHERE hash = ?1")?.exists([&hash])? {
        return Ok(None); // It is there once more, under its right name.
    }
    let sql = "SELECT rowid FROM invocation WHERE output_image = ?1";
    let shown: Vec<i64> =
        connection.prepare_cached(sql)?.query_map([stored], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let link = |rowid| {
        (Place { table: "invocation", rowid }, "output_link", vec![("output_image", Value::Blob(hash.clone()))])
    };
    mended.extend(shown.into_iter().map(link));
    Ok(Some(mended))
}

/// Returns the hash of a picture's bytes, and the cells that they give, when they are what was once written.
fn said_by_bytes(row: &Row<'_>) -> Option<(Vec<u8>, Cells)> {
    let bytes = blob(row, "bytes")?;
    let seen = see(text(row, "format")?, bytes, true).ok()?;
    let (hash, pixel_hash) = (Hash::of(bytes), seen.pixel_hash?);
    let is_sound = blob(row, "hash") == Some(hash.as_bytes().as_slice())
        || blob(row, "pixel_hash") == Some(pixel_hash.as_bytes().as_slice());
    let cells = vec![
        ("hash", Value::Blob(hash.as_bytes().to_vec())),
        ("pixel_hash", Value::Blob(pixel_hash.as_bytes().to_vec())),
        ("width", Value::Integer(seen.width.into())),
        ("height", Value::Integer(seen.height.into())),
    ];
    is_sound.then(|| (hash.as_bytes().to_vec(), cells))
}
