//! One experiment with all below it, in one transaction.

use rusqlite::params;
use rusqlite::types::{ToSqlOutput, Value, ValueRef};
use serde::Serialize;

use super::super::{ExperimentLock, Store, StoreError};
use super::conflict::{Conflict, MergeError, value_texts};
use super::copier::{Copier, Tallies, unreadable};
use super::in_transaction;
use super::table::{DIAGRAM, EMBEDDING, EXPERIMENT, FAILURE, INVOCATION, RUN};
use crate::experiment::ExperimentId;

/// What became of an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Merged {
    /// It is new in the target.
    Added,
    /// The target had some of it, and has more now.
    Grown,
    /// The target had all of it.
    Present,
}

/// What became of an experiment, in figures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergedExperiment {
    /// Its id.
    pub id: ExperimentId,
    /// Its name in the source.
    pub name: String,
    /// Its name in the target: another when that was taken, or when it was carried there before.
    pub name_in_target: String,
    /// What became of it.
    pub merged: Merged,
    /// Rows by table, with the pictures and model versions that it refers to.
    pub rows: Tallies,
}

/// Carries one experiment over, and returns what became of it.
pub(super) fn merge_experiment(
    source: &Store,
    target: &Store,
    id: ExperimentId,
    is_dry_run: bool,
) -> Result<MergedExperiment, MergeError> {
    let lock = ExperimentLock::take(&target.path, id)?;
    let merged = in_transaction(target, is_dry_run, || {
        let name = name_of(source, id)?;
        let mut copier = Copier::new(source, target, format!("experiment \"{name}\" ({})", id.short()));
        let (name_in_target, is_new) = merge_row(&mut copier, id)?;
        merge_versions_by_name(&mut copier, id)?;
        copier.copy(&RUN, "FROM run t WHERE t.experiment_id = ?1 ORDER BY t.rowid", params![id.as_bytes()])?;
        merge_runs(&mut copier, id)?;
        let failures = "FROM failure t WHERE t.experiment_id = ?1 ORDER BY t.occurred_at, t.rowid";
        copier.copy(&FAILURE, failures, params![id.as_bytes()])?;
        copier.refuse_conflicts()?;
        let merged = match copier.tallies.values().any(|tally| tally.added > 0) {
            _ if is_new => Merged::Added,
            true => Merged::Grown,
            false => Merged::Present,
        };
        Ok(MergedExperiment { id, name, name_in_target, merged, rows: copier.tallies })
    })?;
    drop(lock);
    Ok(merged)
}

fn name_of(store: &Store, id: ExperimentId) -> Result<String, StoreError> {
    let mut found = store.collect("SELECT name FROM experiment WHERE id = ?1", [id.as_bytes()], |row| row.get(0))?;
    found.pop().ok_or_else(|| StoreError::NotFound { noun: "experiment", typed: id.to_string(), nearest: None })
}

/// Merges the row of an experiment. Returns its name in the target, and whether it is new there.
///
/// Of one that is there already, what it asks for must be the same. Its name is the target's. Its times become those
/// of the whole: made and begun at the earlier, complete at the later.
fn merge_row(copier: &mut Copier<'_>, id: ExperimentId) -> Result<(String, bool), MergeError> {
    let read = |store: &Store| -> Result<Option<Vec<Value>>, StoreError> {
        let columns = 0..EXPERIMENT.columns.len();
        let read = |row: &rusqlite::Row<'_>| columns.clone().map(|index| row.get(index)).collect();
        Ok(store.collect(&EXPERIMENT.select_by_key(), [id.as_bytes()], read)?.pop())
    };
    let mut row = read(copier.source)?.ok_or_else(|| StoreError::NotFound {
        noun: "experiment",
        typed: id.to_string(),
        nearest: None,
    })?;
    let Some(there) = read(copier.target)? else {
        let name = match &row[1] {
            Value::Text(name) => copier.target.free_name(name)?,
            _ => String::new(),
        };
        row[1] = Value::Text(name.clone());
        let values: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
        copier.put(&EXPERIMENT, &EXPERIMENT.insert(), &values)?;
        return Ok((name, true));
    };
    for (index, column) in EXPERIMENT.columns.iter().enumerate() {
        if row[index] != there[index] && !EXPERIMENT.of_store.contains(column) {
            let source: Vec<ValueRef<'_>> = row.iter().map(ValueRef::from).collect();
            let target: Vec<ValueRef<'_>> = there.iter().map(ValueRef::from).collect();
            let (in_source, in_target) = value_texts(&EXPERIMENT, column, &source, &target);
            let (table, column) = (EXPERIMENT.name, (*column).to_owned());
            copier.conflict(Conflict {
                table,
                id: id.to_string(),
                column,
                in_source,
                in_target,
                is_of_place: false,
            })?;
        }
    }
    copier.tallies.entry(EXPERIMENT.name).or_default().present += 1;
    merge_times(copier.target, id, &row[9..12])?;
    Ok((name_of(copier.target, id)?, false))
}

/// Widens the times of an experiment to those of both stores; writes nothing when they are so already.
fn merge_times(target: &Store, id: ExperimentId, times: &[Value]) -> Result<(), MergeError> {
    // min and max of SQLite are NULL when an argument is.
    let sql = "UPDATE experiment SET created_at = min(created_at, ?2), \
               started_at = coalesce(min(started_at, ?3), started_at, ?3), \
               completed_at = coalesce(max(completed_at, ?4), completed_at, ?4) \
               WHERE id = ?1 AND (created_at > ?2 OR coalesce(started_at > ?3, started_at IS NULL AND ?3 IS NOT NULL) \
               OR coalesce(completed_at < ?4, completed_at IS NULL AND ?4 IS NOT NULL))";
    let update = || -> rusqlite::Result<usize> {
        let [created, started, completed] = [&times[0], &times[1], &times[2]].map(ToSqlOutput::from);
        target.connection.prepare_cached(sql)?.execute(params![id.as_bytes(), created, started, completed])
    };
    update().map_err(|error| target.failed("merging into", error))?;
    Ok(())
}

/// Carries the versions of the models that an experiment names, also those that made no row yet: they say what its
/// embedding models take.
fn merge_versions_by_name(copier: &mut Copier<'_>, id: ExperimentId) -> Result<(), MergeError> {
    let sql = "SELECT v.id FROM experiment x JOIN model_version v WHERE x.id = ?1 AND v.name IN \
               (SELECT value FROM json_each(x.embedding_models) UNION SELECT model.value FROM json_each(x.networks) network, \
               json_each(network.value) model) ORDER BY v.rowid";
    for version in copier.source.collect(sql, [id.as_bytes()], |row| row.get::<_, [u8; 16]>(0))? {
        copier.version(version)?;
    }
    Ok(())
}

/// Carries what is below the runs, run by run; invocations in order, because each refers to the one before it.
fn merge_runs(copier: &mut Copier<'_>, id: ExperimentId) -> Result<(), MergeError> {
    let source = copier.source;
    let sql = "SELECT id FROM run WHERE experiment_id = ?1 ORDER BY rowid";
    let mut statement = source.connection.prepare_cached(sql).map_err(unreadable(source))?;
    let mut runs = statement.query([id.as_bytes()]).map_err(unreadable(source))?;
    while let Some(row) = runs.next().map_err(unreadable(source))? {
        let run: [u8; 16] = row.get(0).map_err(unreadable(source))?;
        copier.copy(&INVOCATION, "FROM invocation t WHERE t.run_id = ?1 ORDER BY t.sequence_number", [run])?;
        let embeddings = "FROM invocation i JOIN embedding t ON t.invocation_id = i.id WHERE i.run_id = ?1 \
                          ORDER BY i.sequence_number, t.rowid";
        copier.copy(&EMBEDDING, embeddings, [run])?;
        copier.copy(&DIAGRAM, "FROM persistence_diagram t WHERE t.run_id = ?1 ORDER BY t.rowid", [run])?;
    }
    Ok(())
}
