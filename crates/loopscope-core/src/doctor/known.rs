//! What the pass over the rows learns once, for the walk over the runs: model versions, and one entry an embedding.
//!
//! An embedding is read once, where it lies, in the order of the file: a vector is 3 KiB or more, and to come back to
//! it run by run would be a seek for each. What the walk asks of it later is 16 bytes (24 in a table with gaps), which
//! are kept: 8 M embeddings take 128 MiB. Beyond [`ENTRIES_MAX`] an entry is made again from its row, which is slower
//! and takes no memory.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row};

use super::cell::{self, blob, is_null, text};
use crate::experiment::{Determinism, ModelKind};

/// Entries that are kept: at most 288 MiB.
const ENTRIES_MAX: usize = 12 << 20;

/// A model version, as far as rows are held against it.
#[derive(Clone, Debug)]
pub(super) struct Version {
    pub name: Option<String>,
    pub kind: Option<ModelKind>,
    pub repeats: bool,
}

/// All model versions by id. There are few.
#[derive(Debug, Default)]
pub(super) struct Versions {
    index: BTreeMap<[u8; 16], u32>,
    versions: Vec<Version>,
}

impl Versions {
    pub(super) fn read(connection: &Connection) -> rusqlite::Result<Self> {
        let mut all = Self::default();
        let mut statement = connection.prepare("SELECT id, name, kind, determinism FROM model_version")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let Some(id) = cell::bytes::<16>(row, "id") else { continue };
            let repeats = text(row, "determinism").and_then(Determinism::from_word).is_some_and(Determinism::repeats);
            let kind = text(row, "kind").and_then(ModelKind::from_word);
            all.index.entry(id).or_insert(all.versions.len() as u32);
            all.versions.push(Version { name: text(row, "name").map(str::to_owned), kind, repeats });
        }
        Ok(all)
    }

    pub(super) fn index_of(&self, id: Option<[u8; 16]>) -> Option<u32> {
        self.index.get(&id?).copied()
    }

    pub(super) fn of(&self, id: Option<[u8; 16]>) -> Option<&Version> {
        self.at(self.index_of(id)?)
    }

    pub(super) fn at(&self, index: u32) -> Option<&Version> {
        self.versions.get(index as usize)
    }
}

/// What the walk asks of an embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// Equal for equal vectors; a zero is a zero whatever its sign.
    pub hash: u64,
    /// How many numbers; 0 when it is no vector.
    pub dimension: u32,
    /// The version's index in the lowest bits, and whether there is no end in the highest.
    version: u32,
}

const NO_END: u32 = 1 << 31;
const NO_VERSION: u32 = NO_END - 1;

impl Entry {
    /// Makes the entry of a row with `vector`, `model_version_id` and `completed_at`.
    pub(super) fn of_row(row: &Row<'_>, versions: &Versions) -> Self {
        let bytes = blob(row, "vector").unwrap_or_default();
        let version = versions.index_of(cell::bytes(row, "model_version_id")).unwrap_or(NO_VERSION);
        Self::new(bytes, version, is_null(row, "completed_at"))
    }

    fn new(vector: &[u8], version: u32, has_no_end: bool) -> Self {
        let is_whole = !vector.is_empty() && vector.len().is_multiple_of(4);
        Self {
            hash: hash_of(vector),
            dimension: if is_whole { (vector.len() / 4).min(u32::MAX as usize) as u32 } else { 0 },
            version: version | if has_no_end { NO_END } else { 0 },
        }
    }

    pub(super) const fn version(self) -> u32 {
        self.version & NO_VERSION
    }

    pub(super) const fn has_no_end(self) -> bool {
        self.version & NO_END != 0
    }
}

/// Hashes a vector so that equal numbers give equal hashes: among 10⁵ vectors of a run two others meet once in 10⁹ runs.
fn hash_of(vector: &[u8]) -> u64 {
    let is_negative_zero = |number: &[u8; 4]| u32::from_le_bytes(*number) == 0x8000_0000;
    let numbers = vector.as_chunks::<4>().0;
    // Without a branch, so that it is done many numbers at a time.
    let has_negative_zero = numbers.iter().fold(false, |found, number| found | is_negative_zero(number));
    let hash = if has_negative_zero {
        let zeroed: Vec<u8> =
            numbers.iter().flat_map(|number| if is_negative_zero(number) { [0; 4] } else { *number }).collect();
        blake3::hash(&zeroed)
    } else {
        blake3::hash(vector)
    };
    let (first, _) = hash.as_bytes().split_at(8);
    first.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}

/// The entries of all embeddings that were read, by rowid.
#[derive(Debug, Default)]
pub(super) struct Entries {
    entries: Vec<Entry>,
    first: i64,
    /// The rowids, in order; empty while they count up by one from the first.
    rowids: Vec<i64>,
}

impl Entries {
    pub(super) fn push(&mut self, rowid: i64, entry: Entry) {
        if self.entries.len() >= ENTRIES_MAX {
            return;
        }
        if self.entries.is_empty() {
            self.first = rowid;
        }
        let next = self.first.checked_add(self.entries.len() as i64);
        if self.rowids.is_empty() && next != Some(rowid) {
            self.rowids = (self.first..).take(self.entries.len()).collect();
        }
        if !self.rowids.is_empty() || next != Some(rowid) {
            self.rowids.push(rowid);
        }
        self.entries.push(entry);
    }

    /// Puts them in order, if they did not come in it.
    pub(super) fn sort(&mut self) {
        if self.rowids.is_sorted() {
            return;
        }
        let mut pairs: Vec<(i64, Entry)> = self.rowids.drain(..).zip(self.entries.drain(..)).collect();
        pairs.sort_unstable_by_key(|pair| pair.0);
        (self.rowids, self.entries) = pairs.into_iter().unzip();
    }

    fn kept(&self, rowid: i64) -> Option<Entry> {
        if self.rowids.is_empty() {
            let place = usize::try_from(rowid.checked_sub(self.first)?).ok()?;
            return self.entries.get(place).copied();
        }
        self.rowids.binary_search(&rowid).ok().and_then(|place| self.entries.get(place).copied())
    }

    /// Returns the entry of an embedding, read anew when it was not kept; `None` when there is no such row.
    pub(super) fn get(
        &self,
        connection: &Connection,
        versions: &Versions,
        rowid: i64,
    ) -> rusqlite::Result<Option<Entry>> {
        if let Some(entry) = self.kept(rowid) {
            return Ok(Some(entry));
        }
        let sql = "SELECT vector, model_version_id, completed_at FROM embedding WHERE rowid = ?1";
        let mut statement = connection.prepare_cached(sql)?;
        let mut rows = statement.query([rowid])?;
        Ok(rows.next()?.map(|row| Entry::of_row(row, versions)))
    }
}

/// What the passes before the walk know, and what the walk found on its way.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub versions: Versions,
    pub entries: Entries,
    pub walked: Walk,
}

/// What the walk has seen, to tell whether every row hangs where it should without asking SQLite for each.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub runs: u64,
    pub invocations: u64,
    pub embeddings: u64,
    /// Rows that refer to nothing, or to another row than they should, or could not be read.
    pub broken: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(number: u64) -> Entry {
        Entry { hash: number, dimension: 1, version: 0 }
    }

    #[test]
    fn entries_are_found_with_gaps_and_without_in_any_order() {
        for rowids in [vec![5, 6, 7], vec![5, 6, 9, 12], vec![9, 2, 4], vec![-3, -2, 8], vec![4]] {
            let mut entries = Entries::default();
            rowids.iter().for_each(|&rowid| entries.push(rowid, entry(rowid as u64)));
            entries.sort();
            for rowid in -5..20 {
                let expected = rowids.contains(&rowid).then(|| entry(rowid as u64));
                assert_eq!(entries.kept(rowid), expected, "{rowid} of {rowids:?}");
            }
        }
        assert_eq!(Entries::default().kept(0), None);
    }

    #[test]
    fn a_zero_is_a_zero_whatever_its_sign() {
        let bytes = |numbers: &[f32]| numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>();
        assert_eq!(hash_of(&bytes(&[0.0, 1.0])), hash_of(&bytes(&[-0.0, 1.0])));
        assert_ne!(hash_of(&bytes(&[1.0, 0.0])), hash_of(&bytes(&[0.0, 1.0])));
    }

    #[test]
    fn an_entry_keeps_version_and_end_apart() {
        let entry = Entry::new(&[0; 8], 7, true);
        assert_eq!((entry.version(), entry.has_no_end(), entry.dimension), (7, true, 2));
        let entry = Entry::new(&[0; 7], NO_VERSION, false);
        assert_eq!((entry.has_no_end(), entry.dimension), (false, 0));
        assert!(Versions::default().at(entry.version()).is_none());
    }
}
