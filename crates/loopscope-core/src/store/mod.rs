//! The store: one SQLite file that cannot hold an incomplete object.
//!
//! Objects go in whole, in groups that are one transaction each; nothing is inserted empty and filled in later. What
//! is missing is derived from what is there. Everything that talks to SQLite is in this module, so that another store
//! can stand behind the same calls; nothing outside it sees a row.
//!
//! A write that fails stops the experiment, because the store is the result. A read never writes: readers open the
//! file read-only.

mod again;
mod backup;
mod clusterings;
mod delete;
mod error;
mod extend;
mod find;
mod import;
mod inspect;
mod label;
mod lock;
mod merge;
mod migrate;
mod open;
mod place;
mod progress;
mod read;
mod tables;
mod write;

pub(crate) use again::{CallRow, StoredCall, StoredDiagram};
pub use backup::BackupReport;
pub use clusterings::{ClusterRow, ClusteringRow};
pub use delete::Deleted;
pub use error::StoreError;
pub use extend::{Extended, Extension};
pub use import::{Arrival, Arrived, DiagramAsGiven};
pub use label::StoredLabel;
pub use lock::{ExperimentLock, ImportLock};
pub use merge::{
    Conflict, LeftOut, MergeError, Merged, MergedClusterings, MergedExperiment, MergedSource, Tallies, Tally,
    merge_stores,
};
pub(crate) use merge::{NewStore, merge_source};
pub use migrate::{MIGRATIONS, Migration, MigrationError, migrate_with, schema_of};
pub use open::{OpenOptions, Store, sqlite_version};
pub use place::{FREE_BYTES_MIN, free_bytes};
pub use progress::{RunProgress, TrajectoryState};
pub use read::{
    ClusteringSummary, ExperimentCounts, InvocationRow, OutputRow, StoredOutput, StoredVector, VisitedText,
};
pub use tables::{Snapshot, StoredClustering, StoredEmbedding, StoredInvocation};
pub use write::{RecordWriter, Write};
