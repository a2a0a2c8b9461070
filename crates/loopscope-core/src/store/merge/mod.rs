//! Merging stores: what one has and the other has not is carried over, what both have must be the same.
//!
//! A source is read in one state of it and never written. Each experiment, with all below it and all that it refers
//! to, is one transaction; so is each clustering. What is there already is compared column by column and counted, so
//! that a merge that was stopped is finished by the same command again. Nothing is mended and nothing is chosen: two
//! rows of one id that differ stop the merge, with both values in the message. `docs/design/merge.md` says what counts
//! as the same.

mod clustering;
mod conflict;
mod copier;
mod experiment;
mod subset;
mod table;

use std::path::{Path, PathBuf};

use rusqlite::{Transaction, TransactionBehavior};
use serde::Serialize;

pub use clustering::{LeftOut, MergedClusterings};
pub use conflict::{Conflict, MergeError};
pub use copier::{Tallies, Tally};
pub use experiment::{Merged, MergedExperiment};

pub(crate) use subset::NewStore;

use super::backup::with_suffix;
use super::{OpenOptions, Store, StoreError};
use crate::experiment::ExperimentId;
use clustering::Clusterings;

/// What became of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MergedSource {
    /// The file.
    pub path: PathBuf,
    /// Its experiments, oldest first.
    pub experiments: Vec<MergedExperiment>,
    /// Its clusterings.
    pub clusterings: MergedClusterings,
}

impl MergedSource {
    /// Returns the sums of its rows by table.
    #[must_use]
    pub fn rows(&self) -> Tallies {
        let mut sums = Tallies::new();
        let of_experiments = self.experiments.iter().map(|experiment| &experiment.rows);
        for (table, tally) in of_experiments.chain([&self.clusterings.rows]).flatten() {
            let sum = sums.entry(table).or_default();
            sum.added += tally.added;
            sum.present += tally.present;
        }
        sums
    }
}

/// Merges `sources`, in order, into the store `target`, which is made when it is not there.
///
/// With `is_dry_run` all of it is done in one transaction that is rolled back at the end (a target that is not there is
/// made under another name and removed), so that what would happen is found by the code that does it; that takes the
/// write lock and as much room for a while. `told` hears of each experiment when it is done.
///
/// # Errors
///
/// [`MergeError`]: then the experiment under way is as it was, and the experiments before it are merged. All sources are
/// opened before the target is touched, so that one that cannot be read stops the merge before it begins.
pub fn merge_stores(
    target: &Path,
    sources: &[PathBuf],
    options: &OpenOptions,
    is_dry_run: bool,
    told: &mut dyn FnMut(&Path, &MergedExperiment),
) -> Result<Vec<MergedSource>, MergeError> {
    for source in sources {
        Store::open_read(source, options)?;
        refuse_itself(source, target)?;
    }
    if !is_dry_run {
        let store = Store::open_write(target, options)?;
        // With nothing left to carry over, a merge that fills the disk gives back all that it took when it ends.
        store.checkpoint()?;
        let merged = merge_all(&store, sources, options, false, told)?;
        store.checkpoint().map_err(|because| MergeError::LogLeft { path: target.to_owned(), because })?;
        return Ok(merged);
    }
    if target.exists() {
        Store::open_read(target, options)?; // Of the present version: a rehearsal migrates nothing.
        return rehearse(target, sources, options, told);
    }
    let rehearsal = Removed(with_suffix(target, &format!(".dry-run-{}", std::process::id())));
    rehearse(&rehearsal.0, sources, options, told)
}

fn rehearse(
    target: &Path,
    sources: &[PathBuf],
    options: &OpenOptions,
    told: &mut dyn FnMut(&Path, &MergedExperiment),
) -> Result<Vec<MergedSource>, MergeError> {
    let store = Store::open_write(target, options)?;
    let transaction = begin(&store)?;
    let merged = merge_all(&store, sources, options, true, told)?;
    transaction.rollback().map_err(|error| store.failed("leaving", error))?;
    Ok(merged)
}

fn merge_all(
    target: &Store,
    sources: &[PathBuf],
    options: &OpenOptions,
    is_dry_run: bool,
    told: &mut dyn FnMut(&Path, &MergedExperiment),
) -> Result<Vec<MergedSource>, MergeError> {
    let mut merged = Vec::new();
    for path in sources {
        let source = Store::open_read(path, options)?;
        merged.push(merge_source(&source, target, None, is_dry_run, &mut |experiment| told(path, experiment))?);
    }
    Ok(merged)
}

/// Carries experiments of one store into another: all of them, or `only` these in this order.
pub(crate) fn merge_source(
    source: &Store,
    target: &Store,
    only: Option<&[ExperimentId]>,
    is_dry_run: bool,
    told: &mut dyn FnMut(&MergedExperiment),
) -> Result<MergedSource, MergeError> {
    let _state = source.hold_state()?;
    let experiments = match only {
        Some(only) => only.to_vec(),
        None => source.collect("SELECT id FROM experiment ORDER BY created_at, rowid", [], |row| {
            row.get(0).map(ExperimentId::from_bytes)
        })?,
    };
    let mut merged =
        MergedSource { path: source.path.clone(), experiments: Vec::new(), clusterings: MergedClusterings::default() };
    for id in experiments {
        let experiment = experiment::merge_experiment(source, target, id, is_dry_run)?;
        told(&experiment);
        merged.experiments.push(experiment);
    }
    let which = if only.is_some() { Clusterings::Touching } else { Clusterings::All };
    merged.clusterings = clustering::merge_clusterings(source, target, which, is_dry_run)?;
    Ok(merged)
}

/// Runs `body` in one transaction of the target; in a dry run within the one that is rolled back at the end.
fn in_transaction<T>(
    target: &Store,
    is_dry_run: bool,
    body: impl FnOnce() -> Result<T, MergeError>,
) -> Result<T, MergeError> {
    if is_dry_run {
        return body();
    }
    let transaction = begin(target)?;
    let value = body()?; // Dropped on an error, the transaction is rolled back.
    transaction.commit().map_err(|error| target.failed("merging into", error))?;
    Ok(value)
}

fn begin(target: &Store) -> Result<Transaction<'_>, StoreError> {
    Transaction::new_unchecked(&target.connection, TransactionBehavior::Immediate)
        .map_err(|error| target.failed("merging into", error))
}

fn refuse_itself(source: &Path, target: &Path) -> Result<(), StoreError> {
    use std::os::unix::fs::MetadataExt;
    let (Ok(left), Ok(right)) = (std::fs::metadata(source), std::fs::metadata(target)) else { return Ok(()) };
    if (left.dev(), left.ino()) == (right.dev(), right.ino()) {
        let message = format!("{} is the database that is merged into; a store has itself already", source.display());
        return Err(StoreError::Refused { message });
    }
    Ok(())
}

/// A database that goes with this value, with the files that SQLite keeps beside it.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        for suffix in ["", "-wal", "-shm", "-journal"] {
            // What is not there need not be removed.
            std::fs::remove_file(with_suffix(&self.0, suffix)).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A store with one experiment of 200 steps, made by SQL: what it says is nobody's matter here.
    fn source(path: &Path) -> Store {
        let store = Store::open_write(path, &OpenOptions::default()).unwrap();
        let steps = "INSERT INTO experiment VALUES (zeroblob(16), 'x', '[[\"A\"]]', '[\"p\"]', '[1]', '[\"E\"]', 200, '{}', 'native', 1, NULL, NULL); \
             INSERT INTO run VALUES (zeroblob(16), zeroblob(16), '[\"A\"]', 'p', 1, 0, 200); \
             INSERT INTO model_version VALUES (zeroblob(16), 'A', 'image_to_text', 'b', 'r', 'w', '{}', 'bitwise', '0'); \
             WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 199) \
             INSERT INTO invocation (id, run_id, sequence_number, input_invocation_id, model, model_version_id, type, seed, \
               started_at, output_text) \
             SELECT CAST(printf('%016d', i) AS BLOB), zeroblob(16), i, CASE WHEN i > 0 THEN CAST(printf('%016d', i - 1) AS BLOB) END, \
               'A', zeroblob(16), 'text', 1, 1, printf('%01000d', i) FROM n";
        store.connection.execute_batch(steps).unwrap();
        store
    }

    #[test]
    fn a_full_disk_rolls_the_experiment_back_and_room_lets_it_in() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(&folder.path().join("source.sqlite"));
        let target = Store::open_write(&folder.path().join("target.sqlite"), &OpenOptions::default()).unwrap();
        let merge = |pages: u32| {
            target.connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).unwrap();
            merge_source(&source, &target, None, false, &mut |_| {})
        };
        let used: u32 = target.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let count = |table: &str| -> u64 {
            target.connection.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        for more in 0..20 {
            let error = merge(used + more).unwrap_err();
            assert!(matches!(error, MergeError::Store(StoreError::DiskFull { .. })), "{error}");
            assert_eq!(count("experiment") + count("invocation") + count("model_version"), 0);
        }
        let merged = merge(1 << 20).unwrap();
        assert_eq!((merged.experiments[0].merged, count("invocation")), (Merged::Added, 200));
    }
}
