//! Where carried rows go: in groups to a thread that owns the store, or nowhere in a dry run.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use super::ImportOptions;
use super::error::ImportError;
use super::report::Table;
use crate::experiment::{
    ClusteringResult, Determinism, EmbeddingCluster, Entropy, Hash, ImageRecord, ModelKind, ModelName, ModelVersion,
    ModelVersionId, Timestamp,
};
use crate::store::{Arrival, ImportLock, RecordWriter, Store, StoreError};

/// Bytes and objects of a group: one wait for the disk.
const GROUP_BYTES_MAX: usize = 12 << 20;
const GROUP_OBJECTS_MAX: usize = 8192;
/// Groups that may wait for the writer.
const GROUPS_WAITING_MAX: usize = 2;
/// Members of a clustering that go to the writer together.
pub(super) const MEMBERS_MAX: usize = 8192;
/// Versions of models that are kept at hand.
const VERSIONS_MAX: usize = 4096;

/// What the writer is given.
enum Job {
    Group(Table, Vec<Arrival>),
    Clustering(Box<ClusteringResult>, Receiver<Members>),
}

/// A list of members, or the end of them; a sender that goes without an end means that the rest does not come.
enum Members {
    List(Vec<EmbeddingCluster>),
    End,
}

/// Carried rows of each table that the store had already.
pub(super) type There = BTreeMap<Table, u64>;

/// Where carried rows go.
pub(super) enum Sink {
    /// Nowhere.
    Dry,
    /// Into a store.
    Store(Box<StoreSink>),
}

/// A store with its writer.
pub(super) struct StoreSink {
    /// For the versions of models, and for pictures that are there already.
    store: Store,
    jobs: SyncSender<Job>,
    writer: JoinHandle<Result<There, StoreError>>,
    group: (Table, Vec<Arrival>, usize),
    versions: HashMap<(String, ModelKind), ModelVersionId>,
    now: Timestamp,
    /// Held until the end: no engine begins on what is only half here.
    _lock: ImportLock,
}

impl Sink {
    /// Opens the target, or makes it.
    pub(super) fn open(target: Option<&Path>, options: &ImportOptions<'_>) -> Result<Self, ImportError> {
        let Some(target) = target else { return Ok(Self::Dry) };
        let mut own = Store::open_write(target, &options.open)?;
        let lock = ImportLock::take(target)?;
        let store = Store::open_existing(target, &options.open)?;
        let (jobs, incoming) = sync_channel(GROUPS_WAITING_MAX);
        let writer = std::thread::Builder::new()
            .name("writer".to_owned())
            .spawn(move || write_all(&mut own, &incoming))
            .map_err(|source| ImportError::System { what: "thread", source })?;
        let group = (Table::Experiment, Vec::new(), 0);
        let now = options.clock.now();
        Ok(Self::Store(Box::new(StoreSink { store, jobs, writer, group, versions: HashMap::new(), now, _lock: lock })))
    }

    /// Hands in an object of about this many bytes; `make` is called only when it goes somewhere.
    pub(super) fn push(
        &mut self,
        table: Table,
        bytes: usize,
        make: impl FnOnce(&mut StoreSink) -> Result<Arrival, ImportError>,
    ) -> Result<(), ImportError> {
        let Self::Store(sink) = self else { return Ok(()) };
        if sink.group.0 != table {
            sink.flush()?;
            sink.group.0 = table;
        }
        let arrival = make(sink)?;
        sink.group.1.push(arrival);
        sink.group.2 += bytes + 256;
        if sink.group.1.len() >= GROUP_OBJECTS_MAX || sink.group.2 >= GROUP_BYTES_MAX { sink.flush() } else { Ok(()) }
    }

    /// Returns the picture with these bytes as the store has it, or the bytes.
    pub(super) fn known_image(&self, bytes: Vec<u8>) -> Result<Result<ImageRecord, Vec<u8>>, ImportError> {
        match self {
            Self::Dry => Ok(Err(bytes)),
            Self::Store(sink) => Ok(sink.store.known_image(Hash::of(&bytes), bytes)?),
        }
    }

    /// Writes what is left, waits for the writer, and returns how much was there already.
    pub(super) fn close(self) -> Result<There, ImportError> {
        let Self::Store(mut sink) = self else { return Ok(There::new()) };
        let flushed = sink.flush();
        let StoreSink { jobs, writer, store, _lock, .. } = *sink;
        drop(jobs);
        // Why the writer ended is what stopped the flush.
        let there = writer.join().map_err(|_| ImportError::ThreadLost)??;
        flushed?;
        store.checkpoint()?;
        Ok(there)
    }
}

impl StoreSink {
    /// Hands the group to the writer.
    pub(super) fn flush(&mut self) -> Result<(), ImportError> {
        if self.group.1.is_empty() {
            return Ok(());
        }
        let arrivals = std::mem::take(&mut self.group.1);
        self.group.2 = 0;
        self.jobs.send(Job::Group(self.group.0, arrivals)).map_err(|_| ImportError::ThreadLost)
    }

    /// Returns when the import began.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    /// Returns the version that stands for what the earlier tool called by this name.
    pub(super) fn version(
        &mut self,
        name: &str,
        kind: ModelKind,
        entropy: &dyn Entropy,
    ) -> Result<ModelVersionId, ImportError> {
        let key = (name.to_owned(), kind);
        if let Some(&id) = self.versions.get(&key) {
            return Ok(id);
        }
        let id = ModelVersionId::new(self.now, entropy)
            .map_err(|source| ImportError::System { what: "randomness", source })?;
        let unknown = || "unknown".to_owned();
        let version = ModelVersion {
            id,
            name: ModelName::new(name),
            kind,
            backend: "legacy".to_owned(),
            revision: unknown(),
            weights_hash: unknown(),
            parameters: "{}".to_owned(),
            determinism: Determinism::Unknown,
            program_version: unknown(),
        };
        let ids = self.store.ensure_model_versions(std::slice::from_ref(&version))?;
        let id = ids.first().copied().unwrap_or(id);
        if self.versions.len() >= VERSIONS_MAX {
            self.versions.clear();
        }
        self.versions.insert(key, id);
        Ok(id)
    }

    /// Hands in a clustering and then its members, which `next` gives in lists until there are none.
    pub(super) fn clustering(
        &mut self,
        row: ClusteringResult,
        next: &mut dyn FnMut() -> Result<Vec<EmbeddingCluster>, ImportError>,
    ) -> Result<(), ImportError> {
        self.flush()?;
        let (members, coming) = sync_channel(GROUPS_WAITING_MAX);
        self.jobs.send(Job::Clustering(Box::new(row), coming)).map_err(|_| ImportError::ThreadLost)?;
        loop {
            let list = next()?;
            if list.is_empty() {
                return members.send(Members::End).map_err(|_| ImportError::ThreadLost);
            }
            members.send(Members::List(list)).map_err(|_| ImportError::ThreadLost)?;
        }
    }
}

fn write_all(store: &mut Store, incoming: &Receiver<Job>) -> Result<There, StoreError> {
    let mut there = There::new();
    for job in incoming {
        store.check()?;
        match job {
            Job::Group(table, group) => *there.entry(table).or_default() += store.import_group(&group)?.there,
            Job::Clustering(row, members) => {
                let mut next = || match members.recv() {
                    Ok(Members::List(list)) => Ok(Some(list)),
                    Ok(Members::End) => Ok(None),
                    // Whoever sends them was stopped: the clustering is whole or not there.
                    Err(_) => Err(StoreError::Refused { message: "the import was stopped".to_owned() }),
                };
                match store.import_clustering(&row, &mut next) {
                    Ok((is_new, arrived)) => {
                        *there.entry(Table::ClusteringResult).or_default() += u64::from(!is_new);
                        *there.entry(Table::EmbeddingCluster).or_default() += arrived.there;
                    }
                    Err(StoreError::Refused { .. }) => return Ok(there),
                    Err(error) => return Err(error),
                }
            }
        }
    }
    Ok(there)
}
