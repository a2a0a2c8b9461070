//! What stops a merge, in words that name both sides.

use std::path::PathBuf;

use rusqlite::types::ValueRef;
use serde::Serialize;

use super::super::StoreError;
use super::table::Table;
use crate::experiment::{Hash, RunId, Timestamp};

/// Differences that a report lists; with the last of them the comparison stops.
pub(super) const CONFLICTS_MAX: usize = 10;
/// Characters of a value that a report shows.
const SHOWN_MAX: usize = 48;
/// Characters shown before the first difference.
const SHOWN_BEFORE: usize = 12;

/// One thing that two stores say differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The table.
    pub table: &'static str,
    /// The row's id as hyphenated text, an image's hash as hexadecimal digits.
    pub id: String,
    /// The column; or, where two rows stand in one place, the columns of the place.
    pub column: String,
    /// The value in the source, shortened; or the id that stands in the place there.
    pub in_source: String,
    /// The value in the target, shortened; or the id that stands in the place there.
    pub in_target: String,
    /// Whether the two rows have different ids and stand where only one can.
    pub is_of_place: bool,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { table, id, column, in_source, in_target, is_of_place } = self;
        if *is_of_place {
            write!(f, "{table} {in_source} of the source stands where the target has {in_target}: equal {column}")
        } else {
            write!(f, "{table} {id}: {column} is {in_source} in the source and {in_target} in the target")
        }
    }
}

/// Why a merge stopped. The transaction that was under way was rolled back; those before it stand.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MergeError {
    /// A store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something of one id, or in one place, is not the same in both stores.
    #[error("{object} of {} is not the same in {}; nothing of it was merged{}", .source_path.display(), .target_path.display(), lines(.conflicts))]
    Differs {
        /// The experiment or the clustering.
        object: String,
        /// The store that was to be merged.
        source_path: PathBuf,
        /// The store that it was to be merged into.
        target_path: PathBuf,
        /// The first differences, at most ten.
        conflicts: Vec<Conflict>,
    },
    /// All was merged, and stays; only the log could not be carried over into the file.
    #[error(
        "everything was merged, but its log was not carried over into {}: the file and the one named -wal belong together ({})",
        .path.display(), no_room_or(.because)
    )]
    LogLeft {
        /// The target.
        path: PathBuf,
        /// Why not; no source, because what a full disk means elsewhere is not so here.
        because: StoreError,
    },
    /// A row of the source that the schema does not take: the source was written with its checks or keys off.
    #[error("{table} {id} of {} cannot be merged: {defect}", .source_path.display())]
    Damaged {
        /// The table.
        table: &'static str,
        /// The row's id.
        id: String,
        /// The store with the row.
        source_path: PathBuf,
        /// What SQLite says of it.
        defect: String,
    },
}

fn no_room_or(because: &StoreError) -> String {
    match because {
        StoreError::DiskFull { .. } => "the disk is full".to_owned(),
        other => other.to_string(),
    }
}

fn lines(conflicts: &[Conflict]) -> String {
    let mut text: String = conflicts.iter().map(|conflict| format!("\n  {conflict}")).collect();
    if conflicts.len() >= CONFLICTS_MAX {
        text += "\n  … and no further: the comparison stopped here";
    }
    text
}

/// Shows the key of a row.
pub(super) fn key_text(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Blob(bytes) => match <[u8; 16]>::try_from(bytes) {
            Ok(id) => RunId::from_bytes(id).to_string(),
            Err(_) => hex(bytes, usize::MAX),
        },
        other => plain(other),
    }
}

/// Shows two different values of a column, short and so that the difference is seen.
pub(super) fn value_texts(
    table: &Table,
    column: &str,
    source: &[ValueRef<'_>],
    target: &[ValueRef<'_>],
) -> (String, String) {
    let Some(index) = table.index(column) else { return (String::new(), String::new()) };
    match (source[index], target[index]) {
        (ValueRef::Blob(left), ValueRef::Blob(right)) if (table.name, column) == ("image", "bytes") => {
            let told = |bytes: &[u8]| {
                let has = matches!(source[0], ValueRef::Blob(key) if Hash::of(bytes).as_bytes() == key);
                let verb = if has { "that have" } else { "that do not have" };
                format!("{} bytes {verb} this hash", bytes.len())
            };
            (told(left), told(right))
        }
        (ValueRef::Blob(left), ValueRef::Blob(right)) => blob_texts(left, right),
        (ValueRef::Text(left), ValueRef::Text(right)) => text_texts(left, right),
        (ValueRef::Integer(left), ValueRef::Integer(right)) if column.ends_with("_at") => {
            (Timestamp::from_micros(left).to_string(), Timestamp::from_micros(right).to_string())
        }
        (left, right) => (plain(left), plain(right)),
    }
}

fn plain(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Real(number) => number.to_string(),
        ValueRef::Text(text) => window(&String::from_utf8_lossy(text).chars().collect::<Vec<_>>(), 0),
        ValueRef::Blob(bytes) if bytes.len() == 16 => key_text(value),
        ValueRef::Blob(bytes) => hex(bytes, 8),
    }
}

fn text_texts(left: &[u8], right: &[u8]) -> (String, String) {
    let (left, right) = (String::from_utf8_lossy(left), String::from_utf8_lossy(right));
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let equal = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let from = if equal + SHOWN_BEFORE < SHOWN_MAX { 0 } else { equal - SHOWN_BEFORE };
    (window(&left, from), window(&right, from))
}

/// Quotes what is seen of a text from a character on.
fn window(text: &[char], from: usize) -> String {
    let shown: String = text.iter().skip(from).take(SHOWN_MAX).flat_map(|letter| letter.escape_debug()).collect();
    let before = if from > 0 { "…" } else { "" };
    let after = if text.len() > from + SHOWN_MAX { "…" } else { "" };
    format!("\"{before}{shown}{after}\"")
}

fn blob_texts(left: &[u8], right: &[u8]) -> (String, String) {
    if left.len() <= 32 && right.len() <= 32 {
        return (plain(ValueRef::Blob(left)), plain(ValueRef::Blob(right)));
    }
    let equal = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let told = |bytes: &[u8]| format!("{} bytes, from byte {equal} {}", bytes.len(), hex(&bytes[equal..], 8));
    (told(left), told(right))
}

fn hex(bytes: &[u8], shown_max: usize) -> String {
    let digits: String = bytes.iter().take(shown_max).map(|byte| format!("{byte:02x}")).collect();
    if bytes.len() > shown_max { format!("{digits}…") } else { digits }
}

#[cfg(test)]
mod tests {
    use super::super::table::{EMBEDDING, INVOCATION};
    use super::*;

    fn texts(table: &Table, column: &str, left: ValueRef<'_>, right: ValueRef<'_>) -> (String, String) {
        let index = table.index(column).unwrap();
        let mut rows = [vec![ValueRef::Null; table.columns.len()], vec![ValueRef::Null; table.columns.len()]];
        rows[0][index] = left;
        rows[1][index] = right;
        value_texts(table, column, &rows[0], &rows[1])
    }

    #[test]
    fn long_values_show_where_they_differ() {
        let long = "a".repeat(200);
        let (left, right) = (format!("{long}b\n{long}"), format!("{long}c"));
        let shown =
            texts(&INVOCATION, "output_text", ValueRef::Text(left.as_bytes()), ValueRef::Text(right.as_bytes()));
        let expected = format!("\"…aaaaaaaaaaaab\\n{}…\"", "a".repeat(34));
        assert_eq!(shown, (expected, "\"…aaaaaaaaaaaac\"".to_owned()));
        let (left, right) = (vec![1; 40], [vec![1; 39], vec![2]].concat());
        let shown = texts(&EMBEDDING, "vector", ValueRef::Blob(&left), ValueRef::Blob(&right));
        assert_eq!(shown, ("40 bytes, from byte 39 01".to_owned(), "40 bytes, from byte 39 02".to_owned()));
        let shown = texts(&EMBEDDING, "completed_at", ValueRef::Null, ValueRef::Integer(0));
        assert_eq!(shown, ("NULL".to_owned(), "0".to_owned()));
        let shown = texts(&EMBEDDING, "started_at", ValueRef::Integer(1), ValueRef::Integer(0));
        assert_eq!(shown.0, "1970-01-01T00:00:00.000001Z");
        let shown = texts(&INVOCATION, "output_text", ValueRef::Text(b""), ValueRef::Text(b"\xff"));
        assert_eq!(shown, ("\"\"".to_owned(), "\"\u{fffd}\"".to_owned()));
    }
}
