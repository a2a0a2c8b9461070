//! One engine at a time on an experiment.
//!
//! The lock is the operating system's, on a file beside the database, and the kernel frees it when the process dies,
//! however it dies. The file holds the owner's process id for the message that a second engine gets; it stays behind,
//! empty of meaning, because removing it would race with the next owner.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
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
    file: File,
}

impl ExperimentLock {
    /// Takes the lock of an experiment, or says who holds it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Locked`] when another process holds it, [`StoreError::Io`] when the file cannot be made.
    pub fn take(database: &Path, experiment: ExperimentId) -> Result<Self, StoreError> {
        let path = lock_path(database, experiment);
        let failed = |doing, source| StoreError::Io { doing, path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| failed("opening the lock", source))?;
        match try_for_a_moment(&file) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who holds it is a courtesy: the refusal stands without it.
                let read = file.read_to_string(&mut holder);
                let holder = if read.is_ok() && !holder.trim().is_empty() { holder.trim() } else { "unknown" };
                return Err(StoreError::Locked { experiment: experiment.short(), holder: holder.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(failed("locking", source)),
        }
        let mut note_owner = || -> std::io::Result<()> {
            file.set_len(0)?;
            file.rewind()?;
            write!(file, "{}", std::process::id())
        };
        note_owner().map_err(|source| failed("writing the lock", source))?;
        Ok(Self { file })
    }

    /// Returns the process that holds an experiment, if any does.
    #[must_use]
    pub fn holder(database: &Path, experiment: ExperimentId) -> Option<String> {
        let mut file = File::open(lock_path(database, experiment)).ok()?;
        match file.try_lock_shared() {
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).ok()?;
                Some(holder.trim().to_owned())
            }
            _ => None,
        }
    }
}

impl Drop for ExperimentLock {
    fn drop(&mut self) {
        // An empty file names nobody; a pid that stays in it is stale, and never read while the lock is free.
        self.file.set_len(0).ok();
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

/// Returns where the lock of an experiment lies: beside the database, named by both.
fn lock_path(database: &Path, experiment: ExperimentId) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(format!(".{}.lock", experiment.short()));
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
    }
}
