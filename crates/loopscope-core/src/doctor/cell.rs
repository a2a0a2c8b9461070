//! Values as they lie in a row, whatever they are: a reader that wants a type gets `None` for another one.

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};

use super::finding::Place;
use super::table::{TABLES, Table};
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
    pub place: Option<Place>,
}

impl Subject {
    /// Names the object of a row by the id in its column `key`, or, when that is no id, by its rowid.
    pub(super) fn of_row(noun: &str, row: &Row<'_>, key: &str) -> Self {
        let rowid = integer(row, "rowid");
        let table = TABLES.iter().find(|table| table.noun == noun);
        let place = table.zip(rowid).map(|(table, rowid)| Place { table: table.name, rowid });
        match blob(row, key) {
            Some(id) if id.len() == 16 || id.len() == 32 => {
                let (object, id) = named(noun, id);
                Self { object, id: Some(id), place }
            }
            _ => {
                let rowid = rowid.map_or_else(|| "unknown".to_owned(), |rowid| rowid.to_string());
                Self { object: format!("{noun} at rowid {rowid}"), id: None, place }
            }
        }
    }

    /// Names the row with this rowid, which is read for it.
    pub(super) fn at(connection: &Connection, table: &Table, rowid: i64) -> Self {
        let (name, key) = (table.name, table.key());
        let sql = format!("SELECT rowid AS rowid, {key} AS {key} FROM {name} WHERE rowid = ?1");
        let read = || connection.prepare_cached(&sql)?.query_row([rowid], |row| Ok(Self::of_row(table.noun, row, key)));
        read().unwrap_or_else(|_| Self {
            object: format!("{} at rowid {rowid}", table.noun),
            id: None,
            place: Some(Place { table: name, rowid }),
        })
    }
}

/// Returns the short and the long name of an object by its id, of 16 bytes, or its hash.
fn named(noun: &str, id: &[u8]) -> (String, String) {
    match <[u8; 16]>::try_from(id) {
        Ok(id) => (format!("{noun} {}", short(id)), hyphenated(id)),
        Err(_) => {
            let digits = hex(id);
            (format!("{noun} {}", &digits[..8]), digits)
        }
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
