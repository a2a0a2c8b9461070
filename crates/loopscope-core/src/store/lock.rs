//! One engine at a time on an experiment.
//!
//! The lock is the operating system's, on a file beside the database, and the kernel frees it when the process dies,
//! however it dies. The file holds the owner's process id for the message that a second engine gets. The owner removes
//! it at the end; whoever has locked a file looks whether it is still the one that the path names, so that two
//! processes never hold locks on two files of one name. A file that a killed process left is taken over.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::StoreError;
use crate::experiment::ExperimentId;

/// How often a refused lock is tried again, and how long apart: [`ExperimentLock::holder`] holds it for a moment only.
const TRIES: u32 = 20;
const TRY_AGAIN_AFTER: Duration = Duration::from_millis(5);

/// Held while an engine works on an experiment; dropping it frees the lock.
#[derive(Debug)]
pub struct ExperimentLock {
    /// Locked for as long as it is open.
    _file: File,
    path: PathBuf,
}

impl ExperimentLock {
    /// Takes the lock of an experiment, or says who holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process holds it, [`StoreError::Io`] when the file cannot be made.
    pub fn take(database: &Path, experiment: ExperimentId) -> Result<Self, StoreError> {
        if let Some(holder) = holder_of(&lock_path(database, IMPORT)) {
            return Err(StoreError::Importing { holder });
        }
        let path = lock_path(database, experiment);
        match take(&path)? {
            Ok(file) => Ok(Self { _file: file, path }),
            Err(holder) => Err(StoreError::Locked { experiment: experiment.short(), holder }),
        }
    }

    /// Returns the process that holds an experiment, if any does.
    #[must_use]
    pub fn holder(database: &Path, experiment: ExperimentId) -> Option<String> {
        holder_of(&lock_path(database, experiment))
    }
}

/// What the lock of an import has in place of an experiment's id.
const IMPORT: &str = "import";

/// Held while rows are imported: no other import and no engine begins on what is only half there.
#[derive(Debug)]
pub struct ImportLock {
    _file: File,
    path: PathBuf,
}

impl ImportLock {
    /// Takes the lock of a database's imports, or says who holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Importing`] when another process holds it, [`StoreError::Io`] when the file cannot be made.
    pub fn take(database: &Path) -> Result<Self, StoreError> {
        let path = lock_path(database, IMPORT);
        match take(&path)? {
            Ok(file) => Ok(Self { _file: file, path }),
            Err(holder) => Err(StoreError::Importing { holder }),
        }
    }
}

impl Drop for ImportLock {
    fn drop(&mut self) {
        // As for an experiment's.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Takes the lock at `path`, or returns who holds it.
fn take(path: &Path) -> Result<Result<File, String>, StoreError> {
    let failed = |doing, source| StoreError::Io { doing, path: path.to_owned(), source };
    loop {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(path).map_err(|source| failed("opening the lock", source))?;
        match try_for_a_moment(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy: the refusal stands without it.
                let read = file.read_to_string(&mut holder);
                let holder = if read.is_ok() && !holder.trim().is_empty() { holder.trim() } else { "unknown" };
                return Ok(Err(holder.to_owned()));
            }
            Err(TryLockError::Error(source)) => return Err(failed("locking", source)),
        }
        if !is_named(&file, path) {
            continue; // Its last owner removed it between our opening and our locking.
        }
        let mut note_owner = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        note_owner().map_err(|source| failed("writing the lock", source))?;
        return Ok(Ok(file));
    }
}

/// Returns the process that holds the lock at `path`, if any does.
fn holder_of(path: &Path) -> Option<String> {
    let mut file = File::open(path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            file.read_to_string(&mut holder).ok()?;
            Some(holder.trim().to_owned())
        }
        _ => None,
    }
}

impl Drop for ExperimentLock {
    fn drop(&mut self) {
        // Still locked here, so that nobody else can have made it theirs. A file that stays is taken over by the next.
        std::fs::remove_file(&self.path).ok();
    }
}

/// Returns whether `path` still names the open `file`.
fn is_named(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

/// Takes the lock; who asks for its holder holds it too, for a moment, and must not be taken for an engine.
fn try_for_a_moment(file: &File) -> Result<(), TryLockError> {
    for _ in 1..TRIES {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(TRY_AGAIN_AFTER),
            outcome => return outcome,
        }
    }
    file.try_lock()
}

/// Returns where the lock of an experiment lies: beside the database, named by both. Links are followed, as SQLite
/// follows them: one database has one lock, however it is named.
fn lock_path(database: &Path, experiment: impl std::fmt::Display) -> PathBuf {
    let database = std::fs::canonicalize(database).unwrap_or_else(|_| database.to_owned());
    let mut name = database.into_os_string();
    name.push(format!(".{experiment}.lock"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_lock_is_refused_with_the_holder_and_freed_by_drop() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.sqlite");
        let id = ExperimentId::from_bytes([7; 16]);
        let first = ExperimentLock::take(&database, id).unwrap();
        let error = ExperimentLock::take(&database, id).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("experiment 07070707 is being worked on by process {}", std::process::id())
        );
        assert_eq!(ExperimentLock::holder(&database, id), Some(std::process::id().to_string()));
        ExperimentLock::take(&database, ExperimentId::from_bytes([8; 16])).unwrap();
        drop(first);
        assert_eq!(ExperimentLock::holder(&database, id), None);
        ExperimentLock::take(&database, id).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a freed lock leaves no file");
    }

    #[test]
    fn a_database_behind_a_link_has_the_same_lock() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.sqlite");
        std::fs::write(&database, "").unwrap();
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        let link = folder.path().join("sub/link.sqlite");
        std::os::unix::fs::symlink("../a.sqlite", &link).unwrap();
        let id = ExperimentId::from_bytes([7; 16]);
        let held = ExperimentLock::take(&database, id).unwrap();
        assert!(ExperimentLock::take(&link, id).is_err());
        assert!(ExperimentLock::holder(&link, id).is_some());
        drop(held);
    }

    #[test]
    fn many_threads_never_hold_one_lock_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("a.sqlite");
        let id = ExperimentId::from_bytes([7; 16]);
        let (held, taken) = (std::sync::atomic::AtomicBool::new(false), std::sync::atomic::AtomicU64::new(0));
        let order = std::sync::atomic::Ordering::SeqCst;
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        if let Ok(lock) = ExperimentLock::take(&database, id) {
                            assert!(!held.swap(true, order), "two held it at once");
                            taken.fetch_add(1, order);
                            held.store(false, order);
                            drop(lock);
                        }
                    }
                });
            }
        });
        assert!(taken.load(order) >= 50);
    }
}
