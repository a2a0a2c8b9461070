//! Carries rows from one store into another: what is new is inserted, what is there is compared.
//!
//! Rows stream from the source, one in memory at a time. A row whose key and place are free goes in; one whose key is
//! there must be the same in every column; anything else is a conflict. A model version that the target has under
//! another id is the same version, and rows that refer to it are compared and stored with the target's id.

use std::collections::{BTreeMap, HashSet};

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{ErrorCode, Params, Row};
use serde::Serialize;

use super::super::{Store, StoreError};
use super::conflict::{CONFLICTS_MAX, Conflict, MergeError, key_text, value_texts};
use super::table::{IMAGE, MODEL_VERSION, Table};

/// Rows between two looks at the free space of the disk.
const ROWS_PER_LOOK: u64 = 1_000;
/// Pictures that are remembered as carried, 32 bytes each; beyond that they are compared again.
const IMAGES_REMEMBERED_MAX: usize = 1 << 20;

/// How many rows of a table came in, and how many were there already, equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Inserted.
    pub added: u64,
    /// There already, and the same.
    pub present: u64,
}

/// Rows by table.
pub type Tallies = BTreeMap<&'static str, Tally>;

/// The work of one transaction, from one source into one target.
pub(super) struct Copier<'a> {
    pub source: &'a Store,
    pub target: &'a Store,
    pub tallies: Tallies,
    pub conflicts: Vec<Conflict>,
    /// What the report calls that which is merged.
    object: String,
    /// Model versions of the source that were met, and the ids that they have in the target.
    versions: BTreeMap<[u8; 16], [u8; 16]>,
    images: HashSet<[u8; 32]>,
    rows: u64,
}

impl<'a> Copier<'a> {
    pub(super) fn new(source: &'a Store, target: &'a Store, object: String) -> Self {
        Self {
            source,
            target,
            tallies: Tallies::new(),
            conflicts: Vec::new(),
            object,
            versions: BTreeMap::new(),
            images: HashSet::new(),
            rows: 0,
        }
    }

    /// Carries the rows of `t` that `rows` (`FROM … t …`) names, in its order.
    pub(super) fn copy(&mut self, table: &Table, rows: &str, parameters: impl Params) -> Result<(), MergeError> {
        let source = self.source;
        let failed = |error| source.failed("reading", error);
        let mut statement = source.connection.prepare_cached(&table.select(rows)).map_err(failed)?;
        let mut found = statement.query(parameters).map_err(failed)?;
        let insert = table.insert();
        while let Some(row) = found.next().map_err(failed)? {
            self.copy_row(table, &insert, row)?;
        }
        Ok(())
    }

    fn copy_row(&mut self, table: &Table, insert: &str, row: &Row<'_>) -> Result<(), MergeError> {
        self.rows += 1;
        if self.rows.is_multiple_of(ROWS_PER_LOOK) {
            self.target.refuse_full_disk()?;
        }
        let mut values = values_of(row, table).map_err(|error| self.source.failed("reading", error))?;
        let version = match table.index("model_version_id") {
            Some(index) => Some((index, self.version(id_of(values[index]))?)),
            None => None,
        };
        if let Some((index, id)) = &version {
            values[*index] = ValueRef::Blob(id);
        }
        if let Some(ValueRef::Blob(hash)) = table.index("output_image").map(|index| values[index]) {
            self.image(hash)?;
        }
        self.put(table, insert, &values)
    }

    /// Inserts a row, or compares it with the one that is there.
    pub(super) fn put(&mut self, table: &Table, insert: &str, values: &[ValueRef<'_>]) -> Result<(), MergeError> {
        let is_new = self.insert(table, insert, values)?;
        if !is_new {
            self.compare(table, values)?;
        }
        let tally = self.tallies.entry(table.name).or_default();
        *(if is_new { &mut tally.added } else { &mut tally.present }) += 1;
        Ok(())
    }

    fn insert(&self, table: &Table, insert: &str, values: &[ValueRef<'_>]) -> Result<bool, MergeError> {
        let run = || -> rusqlite::Result<usize> {
            let mut statement = self.target.connection.prepare_cached(insert)?;
            for (value, number) in values.iter().zip(1..) {
                statement.raw_bind_parameter(number, ToSqlOutput::Borrowed(*value))?;
            }
            statement.raw_execute()
        };
        match run() {
            Ok(count) => Ok(count == 1),
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                // What conflicts above it explains a row that finds nothing to refer to.
                self.refuse_conflicts()?;
                Err(self.damaged(table, values[0], error.to_string()))
            }
            Err(error) => Err(self.target.failed("merging into", error).into()),
        }
    }

    /// Compares a row with the one of its key in the target, or names the row that stands in its place.
    fn compare(&mut self, table: &Table, values: &[ValueRef<'_>]) -> Result<(), MergeError> {
        let target = self.target;
        let failed = |error| target.failed("reading", error);
        let mut statement = target.connection.prepare_cached(&table.select_by_key()).map_err(failed)?;
        let mut found = statement.query([ToSqlOutput::Borrowed(values[0])]).map_err(failed)?;
        let Some(row) = found.next().map_err(failed)? else {
            return self.conflict_of_place(table, values);
        };
        let there = values_of(row, table).map_err(failed)?;
        for (index, column) in table.columns.iter().enumerate() {
            if !is_same(values[index], there[index]) && !table.of_store.contains(column) {
                let (in_source, in_target) = value_texts(table, column, values, &there);
                self.conflict(Conflict {
                    table: table.name,
                    id: key_text(values[0]),
                    column: (*column).to_owned(),
                    in_source,
                    in_target,
                    is_of_place: false,
                })?;
            }
        }
        Ok(())
    }

    fn conflict_of_place(&mut self, table: &Table, values: &[ValueRef<'_>]) -> Result<(), MergeError> {
        let other = self.key_in_place(table, values)?;
        let key = key_text(values[0]);
        self.conflict(Conflict {
            table: table.name,
            id: key.clone(),
            column: table.place.join(", "),
            in_source: key,
            in_target: other.map_or_else(|| "another".to_owned(), |id| key_text(ValueRef::Blob(&id))),
            is_of_place: true,
        })
    }

    /// Returns the key of the target's row that stands in the place of these values.
    fn key_in_place(&self, table: &Table, values: &[ValueRef<'_>]) -> Result<Option<[u8; 16]>, MergeError> {
        let place: Vec<ToSqlOutput<'_>> = table
            .place
            .iter()
            .filter_map(|column| table.index(column))
            .map(|index| ToSqlOutput::Borrowed(values[index]))
            .collect();
        let found = self.target.collect(&table.select_by_place(), rusqlite::params_from_iter(place), |row| row.get(0));
        Ok(found?.pop())
    }

    /// Notes a conflict; with the last that a report lists the merge stops.
    pub(super) fn conflict(&mut self, conflict: Conflict) -> Result<(), MergeError> {
        self.conflicts.push(conflict);
        if self.conflicts.len() < CONFLICTS_MAX { Ok(()) } else { self.refuse_conflicts() }
    }

    /// Stops the merge when there are conflicts.
    pub(super) fn refuse_conflicts(&self) -> Result<(), MergeError> {
        if self.conflicts.is_empty() {
            return Ok(());
        }
        Err(MergeError::Differs {
            object: self.object.clone(),
            source_path: self.source.path.clone(),
            target_path: self.target.path.clone(),
            conflicts: self.conflicts.clone(),
        })
    }

    fn damaged(&self, table: &Table, key: ValueRef<'_>, defect: String) -> MergeError {
        MergeError::Damaged { table: table.name, id: key_text(key), source_path: self.source.path.clone(), defect }
    }

    /// Returns the target's id of a model version of the source; carries it over when the target has none like it.
    pub(super) fn version(&mut self, id: [u8; 16]) -> Result<[u8; 16], MergeError> {
        if let Some(known) = self.versions.get(&id) {
            return Ok(*known);
        }
        let source = self.source;
        let failed = |error| source.failed("reading", error);
        let mut statement = source.connection.prepare_cached(&MODEL_VERSION.select_by_key()).map_err(failed)?;
        let mut found = statement.query([id]).map_err(failed)?;
        let Some(row) = found.next().map_err(failed)? else {
            let defect = "rows refer to it, and it is not there".to_owned();
            return Err(self.damaged(&MODEL_VERSION, ValueRef::Blob(&id), defect));
        };
        let mut values = values_of(row, &MODEL_VERSION).map_err(failed)?;
        let has_id = !self.target.collect("SELECT 1 FROM model_version WHERE id = ?1", [id], |_| Ok(()))?.is_empty();
        let mapped = if has_id { id } else { self.key_in_place(&MODEL_VERSION, &values)?.unwrap_or(id) };
        values[0] = ValueRef::Blob(&mapped);
        self.put(&MODEL_VERSION, &MODEL_VERSION.insert(), &values)?;
        self.versions.insert(id, mapped);
        Ok(mapped)
    }

    /// Carries a picture over, once.
    fn image(&mut self, hash: &[u8]) -> Result<(), MergeError> {
        let key = <[u8; 32]>::try_from(hash).ok();
        if key.is_some_and(|key| self.images.contains(&key)) {
            return Ok(());
        }
        let before = self.tallies.get(IMAGE.name).map_or(0, |tally| tally.added + tally.present);
        self.copy(&IMAGE, "FROM image t WHERE t.hash = ?1", [hash])?;
        if self.tallies.get(IMAGE.name).map_or(0, |tally| tally.added + tally.present) == before {
            let defect = "an invocation refers to it, and it is not there".to_owned();
            return Err(self.damaged(&IMAGE, ValueRef::Blob(hash), defect));
        }
        if self.images.len() >= IMAGES_REMEMBERED_MAX {
            self.images.clear();
        }
        self.images.extend(key);
        Ok(())
    }
}

fn values_of<'row>(row: &'row Row<'_>, table: &Table) -> rusqlite::Result<Vec<ValueRef<'row>>> {
    (0..table.columns.len()).map(|index| row.get_ref(index)).collect()
}

fn id_of(value: ValueRef<'_>) -> [u8; 16] {
    match value {
        // A key of another length is in no table, and is told so.
        ValueRef::Blob(bytes) => bytes.try_into().unwrap_or_default(),
        _ => [0; 16],
    }
}

/// Returns whether two values are the same bits of the same type.
fn is_same(left: ValueRef<'_>, right: ValueRef<'_>) -> bool {
    match (left, right) {
        (ValueRef::Real(left), ValueRef::Real(right)) => left.to_bits() == right.to_bits(),
        (left, right) => left == right,
    }
}

/// A failure of the source where it is read.
pub(super) fn unreadable(source: &Store) -> impl Fn(rusqlite::Error) -> StoreError + '_ {
    |error| source.failed("reading", error)
}
