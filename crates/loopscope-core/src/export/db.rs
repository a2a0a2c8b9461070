//! A subset of a store as a store of its own.

use std::path::Path;

use serde::Serialize;

use crate::experiment::ExperimentId;
use crate::store::{MergeError, MergedExperiment, MergedSource, NewStore, OpenOptions, Store, merge_source};

/// What an export holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExportedDb {
    /// What was carried, and which clusterings were not.
    #[serde(flatten)]
    pub carried: MergedSource,
    /// Bytes of the file.
    pub bytes: u64,
}

/// Writes experiments of a store into a new database, with all below them and all that they refer to: pictures, model
/// versions, failures, and each clustering whose embeddings are all among theirs. Ids, names and times are kept, so
/// that merging the file back changes nothing.
///
/// A clustering that rests on some of their embeddings and on others, too, is named in the report and left out: half a
/// clustering says nothing true. The file gets its name when it is whole and on the disk; nothing is overwritten, and
/// what fails leaves no file. `told` hears of each experiment when it is done.
///
/// # Errors
///
/// [`MergeError`], among others when `target` exists.
pub fn export_db(
    source: &Store,
    experiments: &[ExperimentId],
    target: &Path,
    options: &OpenOptions,
    told: &mut dyn FnMut(&MergedExperiment),
) -> Result<ExportedDb, MergeError> {
    let mut once: Vec<ExperimentId> = Vec::new();
    for id in experiments {
        if !once.contains(id) {
            once.push(*id);
        }
    }
    let new = NewStore::begin(target, options)?;
    let carried = merge_source(source, new.store(), Some(&once), false, told)?;
    let bytes = new.finish()?;
    Ok(ExportedDb { carried, bytes })
}
