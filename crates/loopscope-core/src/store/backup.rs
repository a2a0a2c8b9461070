//! Consistent copies, made while others write.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::place::folder_of;
use super::{OpenOptions, Store, StoreError};
use crate::experiment::Clock;

/// What a backup copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackupReport {
    /// Bytes of the copy.
    pub bytes: u64,
}

impl Store {
    /// Copies a database into a new file: one consistent state of it, whatever others write meanwhile.
    ///
    /// The copy is written beside `target` under another name and renamed when it is whole, so that `target` is never
    /// half a database. `progress` gets (pages copied, pages in all).
    ///
    /// # Errors
    ///
    /// [`StoreError::Refused`] when `target` exists; [`StoreError`] when reading or writing fails.
    pub fn backup(
        source: &Path,
        target: &Path,
        options: &OpenOptions,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<BackupReport, StoreError> {
        let store = Self::open_unchecked(source, options)?;
        if target.exists() {
            let message = format!("{} exists already; a backup never overwrites", target.display());
            return Err(StoreError::Refused { message });
        }
        let partial = with_suffix(target, &format!(".partial-{}", std::process::id()));
        let failed = |source| StoreError::Sqlite { doing: "copying into", path: partial.clone(), source };
        let outcome = copy_pages(&store.connection, &partial, &mut progress).map_err(failed).and_then(|()| {
            let io = |doing| move |source| StoreError::Io { doing, path: target.to_owned(), source };
            std::fs::File::open(&partial).and_then(|file| file.sync_all()).map_err(io("syncing the copy for"))?;
            name_whole(&partial, target).map_err(io("naming the copy"))?;
            sync_folder(target).map_err(io("syncing the folder of"))
        });
        if partial.exists() {
            let removed = std::fs::remove_file(&partial);
            removed.map_err(|source| StoreError::Io { doing: "removing", path: partial.clone(), source })?;
        }
        outcome?;
        let bytes = std::fs::metadata(target).map_or(0, |status| status.len());
        Ok(BackupReport { bytes })
    }
}

/// Copies a database that is about to be migrated, and returns where the copy lies.
pub(super) fn before_migration(
    connection: &Connection,
    path: &Path,
    version: u32,
    clock: &dyn Clock,
) -> std::io::Result<PathBuf> {
    let target = with_suffix(path, &format!(".v{version}-backup-{}", clock.now().micros()));
    let copy = || {
        copy_pages(connection, &target, &mut |_, _| {}).map_err(std::io::Error::other)?;
        std::fs::File::open(&target)?.sync_all()?;
        sync_folder(&target)
    };
    match copy() {
        Ok(()) => Ok(target),
        Err(error) => {
            // Half a copy under this name would pass for a backup. The first error is the one to tell.
            std::fs::remove_file(&target).ok();
            Err(error)
        }
    }
}

/// Gives the whole copy its name. A link, because it refuses a file that appeared meanwhile, which is not ours to
/// replace; a rename where the file system has no links, as on many USB disks.
pub(super) fn name_whole(partial: &Path, target: &Path) -> std::io::Result<()> {
    match std::fs::hard_link(partial, target) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => std::fs::rename(partial, target),
        outcome => outcome,
    }
}

/// Makes a new name outlast a loss of power: a synced file whose name is not on the disk cannot be found.
fn sync_folder(file: &Path) -> std::io::Result<()> {
    std::fs::File::open(folder_of(file))?.sync_all()
}

pub(super) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Copies all pages in one read transaction, so that writers elsewhere do not start the copy anew.
fn copy_pages(source: &Connection, target: &Path, progress: &mut dyn FnMut(u64, u64)) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut copy = Connection::open_with_flags(target, flags)?;
    let snapshot = source.unchecked_transaction()?;
    // A deferred transaction holds its state from its first read on.
    snapshot.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
    let backup = Backup::new(&snapshot, &mut copy)?;
    loop {
        let step = backup.step(4096)?;
        let now = backup.progress();
        let total = u64::try_from(now.pagecount).unwrap_or(0);
        progress(total.saturating_sub(u64::try_from(now.remaining).unwrap_or(0)), total);
        match step {
            StepResult::Done => break,
            StepResult::More => {}
            _ => std::thread::sleep(Duration::from_millis(20)),
        }
    }
    drop(backup);
    drop(snapshot);
    // The copy is a file alone: no log beside it.
    copy.pragma_update_and_check(None, "journal_mode", "DELETE", |_| Ok(()))?;
    copy.close().map_err(|(_, error)| error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::SystemClock;

    #[test]
    fn a_backup_before_a_migration_is_whole_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sqlite");
        drop(Store::open_write(&path, &OpenOptions::default()).unwrap());
        let names = || std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let copy = before_migration(&Connection::open(&path).unwrap(), &path, 1, &SystemClock).unwrap();
        Store::open_read(&copy, &OpenOptions::default()).unwrap();
        std::fs::remove_file(copy).unwrap();

        // A file that ends before its last page: the copy fails half way.
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let connection = Connection::open(&path).unwrap();
        before_migration(&connection, &path, 1, &SystemClock).unwrap_err();
        drop(connection);
        assert_eq!(names(), [path]);
    }
}
