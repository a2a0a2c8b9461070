//! A new database that has its name only when it is whole.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::super::backup::{name_whole, with_suffix};
use super::super::{OpenOptions, Store, StoreError};
use super::Removed;

/// A database under way: it lies beside its target under another name, and goes when it is dropped unfinished.
pub(crate) struct NewStore {
    /// Before the file's guard: fields are dropped in this order, and the connection must be closed first.
    store: Store,
    partial: Removed,
    target: PathBuf,
}

impl NewStore {
    /// Begins a database that will be `target`, which must not be there.
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] when it is, [`StoreError`] when the place is no good.
    pub(crate) fn begin(target: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        // A link that leads nowhere is there, too.
        if std::fs::symlink_metadata(target).is_ok() {
            let message = format!("{} exists already; an export never overwrites", target.display());
            return Err(StoreError::Refused { message });
        }
        let partial = Removed(with_suffix(target, &format!(".partial-{}", std::process::id())));
        let store = Store::open_write(&partial.0, options)?;
        // Nobody else knows the file, and half of it is thrown away: it needs neither a log nor a journal, which would
        // take as much room again.
        let tell = || -> rusqlite::Result<()> {
            for mode in ["DELETE", "OFF"] {
                store.connection.pragma_update_and_check(None, "journal_mode", mode, |_| Ok(()))?;
            }
            store.connection.pragma_update(None, "synchronous", "OFF")
        };
        tell().map_err(|error| store.failed("preparing", error))?;
        Ok(Self { store, partial, target: target.to_owned() })
    }

    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// Makes the database durable and gives it its name; returns its bytes.
    ///
    /// # Errors
    ///
    /// [`StoreError`]; then no file is left.
    pub(crate) fn finish(self) -> Result<u64, StoreError> {
        let Self { store, partial, target } = self;
        close(store)?;
        let failed = |doing| {
            let path = target.clone();
            move |source| StoreError::Io { doing, path, source }
        };
        std::fs::File::open(&partial.0).and_then(|file| file.sync_all()).map_err(failed("syncing"))?;
        name_whole(&partial.0, &target).map_err(failed("naming"))?;
        // The name, too, must outlast a loss of power; what a folder cannot sync it syncs by itself.
        std::fs::File::open(super::super::place::folder_of(&target)).and_then(|folder| folder.sync_all()).ok();
        std::fs::metadata(&target).map(|status| status.len()).map_err(failed("measuring"))
    }
}

fn close(store: Store) -> Result<(), StoreError> {
    let path = store.path.clone();
    let connection: Connection = store.into_connection();
    connection.close().map_err(|(_, source)| StoreError::Sqlite { doing: "closing", path, source })
}
