//! Where the store calls the system, and what can go wrong there.

use std::collections::BTreeMap;
use std::ffi::c_int;
use std::path::Path;

use rusqlite::ffi;

/// A call that SQLite makes of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Operation {
    Open,
    Read,
    Write,
    Truncate,
    Sync,
    FileSize,
    Lock,
    SharedMap,
    SharedLock,
    Delete,
    Access,
}

impl Operation {
    /// What the system may say; the second is what it says of a disk that is full, or a file that is held.
    pub(crate) fn codes(self) -> &'static [c_int] {
        match self {
            Self::Open => &[ffi::SQLITE_CANTOPEN],
            Self::Read => &[ffi::SQLITE_IOERR_READ],
            Self::Write => &[ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_FULL],
            Self::Truncate => &[ffi::SQLITE_IOERR_TRUNCATE],
            Self::Sync => &[ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_FULL],
            Self::FileSize => &[ffi::SQLITE_IOERR_FSTAT],
            Self::Lock => &[ffi::SQLITE_IOERR_LOCK, ffi::SQLITE_BUSY],
            Self::SharedMap => &[ffi::SQLITE_IOERR_SHMMAP],
            Self::SharedLock => &[ffi::SQLITE_IOERR_SHMLOCK, ffi::SQLITE_BUSY],
            Self::Delete => &[ffi::SQLITE_IOERR_DELETE],
            Self::Access => &[ffi::SQLITE_IOERR_ACCESS],
        }
    }
}

/// Which of the store's files a call is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum FileKind {
    Database,
    /// The write-ahead log.
    Log,
    /// The log's index, which is shared memory.
    Index,
    /// The rollback journal, which a database has before it has a log.
    Journal,
    /// A file of SQLite's own, for a sort that does not fit the memory.
    Temporary,
}

impl FileKind {
    pub(crate) fn of_flags(flags: c_int) -> Self {
        if flags & ffi::SQLITE_OPEN_MAIN_DB != 0 {
            Self::Database
        } else if flags & ffi::SQLITE_OPEN_WAL != 0 {
            Self::Log
        } else if flags & (ffi::SQLITE_OPEN_MAIN_JOURNAL | ffi::SQLITE_OPEN_SUPER_JOURNAL) != 0 {
            Self::Journal
        } else {
            Self::Temporary
        }
    }

    pub(crate) fn of_path(path: Option<&Path>) -> Self {
        let name = path.map_or(String::new(), |path| path.to_string_lossy().into_owned());
        match () {
            () if name.ends_with("-wal") => Self::Log,
            () if name.ends_with("-shm") => Self::Index,
            () if name.ends_with("-journal") => Self::Journal,
            () if name.is_empty() => Self::Temporary,
            () => Self::Database,
        }
    }
}

/// A place from which the store calls the system.
pub(crate) type Site = (Operation, FileKind);

/// When a call fails: before it did anything, half way (a torn write), or after it did everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    Before,
    Midway,
    After,
}

/// Calls that are to fail.
#[derive(Clone, Debug)]
pub(crate) struct StoreFault {
    pub(crate) site: Site,
    /// Which call of this site, from 0.
    pub(crate) call: u64,
    /// How many calls in a row.
    pub(crate) times: u64,
    pub(crate) when: When,
    /// Which of the site's codes.
    pub(crate) code: usize,
}

/// Counts the calls of every site, and makes those fail that were asked to.
#[derive(Default)]
pub(crate) struct StoreFaults {
    pub(crate) planned: Vec<StoreFault>,
    pub(crate) calls: BTreeMap<Site, u64>,
    /// How many calls failed because of us.
    pub(crate) met: BTreeMap<Site, u64>,
}

impl StoreFaults {
    pub(crate) fn meet(&mut self, operation: Operation, kind: FileKind) -> Option<(When, c_int)> {
        let calls = self.calls.entry((operation, kind)).or_default();
        let call = *calls;
        *calls += 1;
        let is_it = |fault: &&StoreFault| {
            fault.site == (operation, kind) && (fault.call..fault.call.saturating_add(fault.times)).contains(&call)
        };
        let fault = self.planned.iter().find(is_it)?;
        *self.met.entry((operation, kind)).or_default() += 1;
        let codes = operation.codes();
        Some((fault.when, codes[fault.code % codes.len()]))
    }
}
