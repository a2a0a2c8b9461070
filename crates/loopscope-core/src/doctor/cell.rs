//! Values as they lie in a row, whatever they are: a reader that wants a type gets `None` for another one.

use rusqlite::Row;
use rusqlite::types::ValueRef;

use crate::experiment::ExperimentId;

/// Returns a value by the name of its column; NULL when there is no such column.
pub(super) fn value<'r>(row: &'r Row<'_>, column: &str) -> ValueRef<'r> {
    row.get_ref(column).unwrap_or(ValueRef::Null)
}

pub(super) fn is_null(row: &Row<'_>, column: &str) -> bool {
    matches!(value(row, column), ValueRef::Null)
}

pub(super) fn blob<'r>(row: &'r Row<'_>, column: &str) -> Option<&'r [u8]> {
    if let ValueRef::Blob(bytes) = value(row, column) { Some(bytes) } else { None }
}

/// Returns a BLOB of exactly `N` bytes.
pub(super) fn bytes<const N: usize>(row: &Row<'_>, column: &str) -> Option<[u8; N]> {
    blob(row, column)?.try_into().ok()
}

pub(super) fn text<'r>(row: &'r Row<'_>, column: &str) -> Option<&'r str> {
    if let ValueRef::Text(bytes) = value(row, column) { std::str::from_utf8(bytes).ok() } else { None }
}

pub(super) fn integer(row: &Row<'_>, column: &str) -> Option<i64> {
    if let ValueRef::Integer(number) = value(row, column) { Some(number) } else { None }
}

/// Describes a value by storage class and, when it is short, what it is.
pub(super) fn describe(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Null => "NULL".to_owned(),
        ValueRef::Integer(number) => format!("INTEGER {number}"),
        ValueRef::Real(number) => format!("REAL {number}"),
        ValueRef::Text(bytes) => format!("TEXT {}", quoted(&String::from_utf8_lossy(bytes))),
        ValueRef::Blob(bytes) => format!("BLOB of {} bytes", bytes.len()),
    }
}

/// Returns a text in quotes, its end left out when it is long.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

/// Returns bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns an id as hyphenated text; every kind of id shows alike.
pub(super) fn hyphenated(id: [u8; 16]) -> String {
    ExperimentId::from_bytes(id).to_string()
}

/// Returns the short form of an id.
pub(super) fn short(id: [u8; 16]) -> String {
    ExperimentId::from_bytes(id).short()
}

/// The object that a finding is about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    pub object: String,
    pub id: Option<String>,
}

impl Subject {
    /// Names the object of a row by the id in its column `key`, or, when that is no id, by its rowid.
    pub(super) fn of_row(noun: &str, row: &Row<'_>, key: &str) -> Self {
        match blob(row, key) {
            Some(id) if id.len() == 16 => bytes(row, key).map_or_else(
                || Self::at_rowid(noun, row),
                |id| Self { object: format!("{noun} {}", short(id)), id: Some(hyphenated(id)) },
            ),
            Some(hash) if hash.len() == 32 => {
                let digits = hex(hash);
                Self { object: format!("{noun} {}", &digits[..8]), id: Some(digits) }
            }
            _ => Self::at_rowid(noun, row),
        }
    }

    fn at_rowid(noun: &str, row: &Row<'_>) -> Self {
        let rowid = integer(row, "rowid").map_or_else(|| "unknown".to_owned(), |rowid| rowid.to_string());
        Self { object: format!("{noun} at rowid {rowid}"), id: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters() {
        let text = "é".repeat(61);
        assert_eq!(quoted(&text), format!("\"{}\"…", "é".repeat(60)));
        assert_eq!(quoted("a\"b"), r#""a\"b""#);
    }
}
