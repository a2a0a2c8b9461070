//! Opening the file: what is refused, and what every connection is told.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::migrate::{APPLICATION_ID, MIGRATIONS, migrate_with, version_of};
use super::place::{FREE_BYTES_MIN, folder_of, free_bytes, refuse_full_disk, refuse_network_disk};
use super::{StoreError, backup};
use crate::experiment::{Clock, SystemClock};

/// The first SQLite without the bug that could reset a write-ahead log that was still needed.
const SQLITE_VERSION_MIN: i32 = 3_051_003;

/// Returns the version of the SQLite in this program, such as `3.51.3`.
#[must_use]
pub fn sqlite_version() -> &'static str {
    rusqlite::version()
}

/// How to open a database.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    /// How long to wait for another process's transaction.
    pub busy_timeout: Duration,
    /// What must stay free on the disk.
    pub free_bytes_min: u64,
    /// The SQLite file layer to open with, by the name that it is registered under; `None` is the system's. A test puts
    /// one between the store and the disk that loses power or fails (`docs/reliability.md`).
    pub vfs: Option<String>,
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self { busy_timeout: Duration::from_secs(30), free_bytes_min: FREE_BYTES_MIN, vfs: None }
    }
}

/// An open database. One connection; one thread at a time.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) options: OpenOptions,
    /// After the connection: fields are dropped in this order.
    _tidy: Option<TidyAfterReader>,
}

impl Store {
    /// Opens a database for reading. Nothing is written to it.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when it is missing, no database of ours, or of another schema version.
    pub fn open_read(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        let store = Self::open_unchecked(path, options)?;
        match store.version()? {
            found if found < newest() => Err(StoreError::Older { path: store.path, found, known: newest() }),
            _ => Ok(store),
        }
    }

    /// Opens a database of ours for reading, whatever older schema it has.
    pub(super) fn open_unchecked(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        refuse_old_sqlite()?;
        refuse_what_is_no_file(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = open_connection(path, flags, options)?;
        let tidy = Some(TidyAfterReader { path: path.to_owned(), vfs: options.vfs.clone() });
        let store = Self { connection, path: path.to_owned(), options: options.clone(), _tidy: tidy };
        let store = match version_of(&store.connection) {
            Err(source) if cannot_make_log(&source) && has_log(path) => return Err(unreadable_log(path)),
            Err(source) if cannot_make_log(&source) => store.reopened_immutable()?,
            _ => store,
        };
        if store.is_still_empty("reading")? {
            let found = "it is empty".to_owned();
            return Err(StoreError::NotADatabase { path: store.path, found });
        }
        store.remember_pages()?;
        Ok(store)
    }

    /// Opens a database for writing; makes it when it is not there, and migrates it, after a backup, when it is older.
    ///
    /// # Errors
    ///
    /// [`StoreError`] when the place is no good, the file is no database of ours, or it is of a newer program.
    pub fn open_write(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        refuse_old_sqlite()?;
        if path.is_dir() {
            return Err(StoreError::Directory { path: path.to_owned() });
        }
        refuse_missing_folder(folder_of(path))?;
        refuse_network_disk(path)?;
        refuse_full_disk(path, options.free_bytes_min)?;
        refuse_foreign_unopened(path, options)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = open_connection(path, flags, options)?;
        let mut store = Self { connection, path: path.to_owned(), options: options.clone(), _tidy: None };
        store.refuse_read_only()?;
        store.is_still_empty("opening")?;
        store.tell_connection()?;
        store.migrate(&SystemClock)?;
        Ok(store)
    }

    /// Opens an existing database for writing, and does not make one.
    ///
    /// # Errors
    ///
    /// As [`open_write`](Self::open_write), and [`StoreError::Missing`].
    pub fn open_existing(path: &Path, options: &OpenOptions) -> Result<Self, StoreError> {
        refuse_what_is_no_file(path)?;
        Self::open_write(path, options)
    }

    /// Gives up the store for its connection, to be closed with an answer.
    pub(super) fn into_connection(self) -> Connection {
        self.connection
    }

    /// Returns the path that was opened.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns how the database was opened.
    #[must_use]
    pub fn options(&self) -> &OpenOptions {
        &self.options
    }

    /// Returns a second connection to the same file, for reading.
    ///
    /// # Errors
    ///
    /// As [`open_read`](Self::open_read).
    pub fn reader(&self) -> Result<Self, StoreError> {
        Self::open_read(&self.path, &self.options)
    }

    /// Carries the write-ahead log over into the file, so that the file can be copied alone.
    ///
    /// Other processes may still be reading; then the log stays, which loses nothing.
    ///
    /// # Errors
    ///
    /// [`StoreError::Sqlite`].
    pub fn checkpoint(&self) -> Result<(), StoreError> {
        let result = self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        result.map_err(|source| self.failed("carrying over the log of", source))
    }

    /// Refuses to go on when the disk is nearly full.
    ///
    /// # Errors
    ///
    /// [`StoreError::DiskNearlyFull`].
    pub fn refuse_full_disk(&self) -> Result<(), StoreError> {
        refuse_full_disk(&self.path, self.options.free_bytes_min)
    }

    /// Returns the schema version of the file.
    pub(super) fn version(&self) -> Result<u32, StoreError> {
        version_of(&self.connection).map_err(|source| self.failed("reading", source))
    }

    /// Names what was being done when SQLite failed, and what kind of failure it was.
    pub(super) fn failed(&self, doing: &'static str, source: rusqlite::Error) -> StoreError {
        classify(&self.path, &self.options, doing, source)
    }

    fn migrate(&mut self, clock: &dyn Clock) -> Result<(), StoreError> {
        let path = self.path.clone();
        let outcome = migrate_with(&mut self.connection, MIGRATIONS, |connection, from| {
            backup::before_migration(connection, &path, from, clock)
        });
        outcome.map_err(|source| match source {
            super::MigrationError::Sqlite(source) => self.failed("preparing", source),
            source => StoreError::Migration { path: self.path.clone(), source },
        })
    }

    fn refuse_read_only(&self) -> Result<(), StoreError> {
        match self.connection.is_readonly("main") {
            Ok(false) => Ok(()),
            Ok(true) => Err(StoreError::ReadOnly {
                path: self.path.clone(),
                reason: "the file, its folder or its disk is read-only".to_owned(),
            }),
            Err(source) => Err(self.failed("opening", source)),
        }
    }

    /// Refuses a file that is no database, is another program's, or is of a newer loopscope; says whether it is empty.
    ///
    /// Empty is also what a process leaves that is killed before it has committed the tables, or has not come to it yet.
    fn is_still_empty(&self, doing: &'static str) -> Result<bool, StoreError> {
        let read = || -> rusqlite::Result<(i32, u32, bool)> {
            // One state for all three: another process may be making the database just now.
            let snapshot = self.connection.unchecked_transaction()?;
            let application = snapshot.pragma_query_value(None, "application_id", |row| row.get(0))?;
            let has_schema = snapshot.query_row("SELECT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get(0))?;
            Ok((application, version_of(&snapshot)?, has_schema))
        };
        let (application, found, has_schema) = read().map_err(|source| self.failed(doing, source))?;
        if (application, found, has_schema) == (0, 0, false) {
            return Ok(true);
        }
        if application != APPLICATION_ID {
            let found = "it is a SQLite database of another program".to_owned();
            return Err(StoreError::NotADatabase { path: self.path.clone(), found });
        }
        if found > newest() {
            return Err(StoreError::Newer { path: self.path.clone(), found, known: newest() });
        }
        Ok(false)
    }

    /// What a writing connection is told: a log, every commit on the disk before it is acknowledged, keys enforced.
    fn tell_connection(&self) -> Result<(), StoreError> {
        let tell = || -> rusqlite::Result<()> {
            let connection = &self.connection;
            self.ask_for_log()?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", true)?;
            // A log of up to 16 MiB between two carry-overs: each one costs two more waits for the disk.
            connection.pragma_update(None, "wal_autocheckpoint", 4096)?;
            connection.pragma_update(None, "cache_size", -65_536)?;
            connection.set_prepared_statement_cache_capacity(64);
            Ok(())
        };
        tell().map_err(|source| self.failed("preparing", source))
    }

    /// Asks for the write-ahead log. SQLite does not wait while another process asks for it too, so that we do.
    fn ask_for_log(&self) -> rusqlite::Result<()> {
        let deadline = Instant::now() + self.options.busy_timeout;
        loop {
            match self.connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())) {
                Err(error) if is_busy(&error) && Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                outcome => return outcome,
            }
        }
    }

    /// A read-only folder cannot hold the log's index; a file without a log can then be read as it lies.
    fn reopened_immutable(self) -> Result<Self, StoreError> {
        let mut uri = "file://".to_owned();
        for &byte in as_file_name(&self.path)?.as_os_str().as_encoded_bytes() {
            match byte {
                b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => uri.push(char::from(byte)),
                _ => uri.push_str(&format!("%{byte:02x}")),
            }
        }
        uri.push_str("?immutable=1");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let connection = connect(Path::new(&uri), &self.path, flags, &self.options)?;
        Ok(Self { connection, ..self })
    }

    /// Lets a reader keep 32 MiB of pages, so that the inner pages of the trees of a large store are read once: SQLite's own
    /// 2 MiB are full of vectors by the time that the next one is looked up.
    fn remember_pages(&self) -> Result<(), StoreError> {
        let told = self.connection.pragma_update(None, "cache_size", -32_768);
        told.map_err(|source| self.failed("opening", source))
    }
}

/// Takes away the empty log and its index that SQLite makes for a reader, which may not remove them itself.
///
/// A writing connection that closes removes them when it is the last one; it is opened for nothing else, and only
/// while the log is empty, so that nothing is carried over. Where that is not allowed they stay, which loses nothing.
#[derive(Debug)]
struct TidyAfterReader {
    path: PathBuf,
    vfs: Option<String>,
}

impl Drop for TidyAfterReader {
    fn drop(&mut self) {
        if log_bytes(&self.path) != Some(0) {
            return;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let Ok(name) = as_file_name(&self.path) else { return };
        let Ok(connection) = open_named(&name, flags, self.vfs.as_deref()) else { return };
        // The log is opened by the first read; a failure leaves what is there.
        drop(version_of(&connection));
    }
}

fn newest() -> u32 {
    MIGRATIONS.last().map_or(0, |migration| migration.version)
}

fn refuse_old_sqlite() -> Result<(), StoreError> {
    if rusqlite::version_number() < SQLITE_VERSION_MIN {
        return Err(StoreError::SqliteTooOld { found: sqlite_version().to_owned() });
    }
    Ok(())
}

fn refuse_what_is_no_file(path: &Path) -> Result<(), StoreError> {
    match std::fs::metadata(path) {
        Ok(status) if status.is_dir() => Err(StoreError::Directory { path: path.to_owned() }),
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(StoreError::Missing { path: path.to_owned() })
        }
        Err(source) => Err(StoreError::Io { doing: "opening", path: path.to_owned(), source }),
    }
}

/// Refuses another program's database before it is opened for writing, which alone would carry its log over; and a file
/// of two names, because SQLite names its log after one of them.
fn refuse_foreign_unopened(path: &Path, options: &OpenOptions) -> Result<(), StoreError> {
    let Ok(status) = std::fs::metadata(path) else { return Ok(()) };
    if std::os::unix::fs::MetadataExt::nlink(&status) > 1 {
        let message =
            format!("{} has a second name (a hard link); a database with two names loses its log", path.display());
        return Err(StoreError::Refused { message });
    }
    if status.len() == 0 {
        return Ok(());
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let Ok(connection) = open_connection(path, flags, options) else { return Ok(()) };
    let read = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    let tables = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0));
    match (read("application_id"), tables) {
        (Ok(application), Ok(tables)) if application != APPLICATION_ID && tables > 0 => {
            let found = "it is a SQLite database of another program".to_owned();
            Err(StoreError::NotADatabase { path: path.to_owned(), found })
        }
        // Whatever else is wrong is told when it is opened for writing.
        _ => Ok(()),
    }
}

fn refuse_missing_folder(folder: &Path) -> Result<(), StoreError> {
    let outcome = std::fs::metadata(folder)
        .and_then(|status| if status.is_dir() { Ok(()) } else { Err(std::io::ErrorKind::NotADirectory.into()) });
    outcome.map_err(|source| StoreError::Io { doing: "opening the folder", path: folder.to_owned(), source })
}

/// Returns a path that SQLite reads as one: to it, `:memory:`, an empty name and `file:…` mean something else.
fn as_file_name(path: &Path) -> Result<PathBuf, StoreError> {
    std::path::absolute(path).map_err(|source| StoreError::Io { doing: "opening", path: path.to_owned(), source })
}

fn open_connection(path: &Path, flags: OpenFlags, options: &OpenOptions) -> Result<Connection, StoreError> {
    connect(&as_file_name(path)?, path, flags, options)
}

/// Opens what SQLite calls `name` and people call `path`.
fn connect(name: &Path, path: &Path, flags: OpenFlags, options: &OpenOptions) -> Result<Connection, StoreError> {
    let connection =
        open_named(name, flags, options.vfs.as_deref()).map_err(|source| classify(path, options, "opening", source))?;
    connection.busy_timeout(options.busy_timeout).map_err(|source| classify(path, options, "opening", source))?;
    connection
        .pragma_update(None, "foreign_keys", true)
        .map_err(|source| classify(path, options, "opening", source))?;
    Ok(connection)
}

fn open_named(name: &Path, flags: OpenFlags, vfs: Option<&str>) -> rusqlite::Result<Connection> {
    match vfs {
        Some(vfs) => Connection::open_with_flags_and_vfs(name, flags, vfs),
        None => Connection::open_with_flags(name, flags),
    }
}

fn cannot_make_log(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn has_log(path: &Path) -> bool {
    log_bytes(path).is_some_and(|bytes| bytes > 0)
}

fn log_bytes(path: &Path) -> Option<u64> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(log).ok().map(|status| status.len())
}

/// What was committed last is in a log that can only be read with an index, for which there is no place.
fn unreadable_log(path: &Path) -> StoreError {
    let message = format!(
        "{} has a log that was not carried over, and its folder is read-only; copy both to a folder that is not",
        path.display()
    );
    StoreError::Refused { message }
}

/// Returns whether not even the smallest of SQLite's files fits the disk any more.
fn has_no_room(path: &Path) -> bool {
    free_bytes(path).is_ok_and(|free| free < 64 * 1024)
}

/// Turns the failures that people meet into messages of their own.
fn classify(path: &Path, options: &OpenOptions, doing: &'static str, source: rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match source.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => {
            StoreError::NotADatabase { path, found: "its first bytes are not those of SQLite".to_owned() }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            StoreError::Busy { path, waited_s: options.busy_timeout.as_secs() }
        }
        Some(ErrorCode::DiskFull) => StoreError::DiskFull { path },
        // Where there is no room for the log's index or a journal, SQLite speaks of an error of the disk.
        Some(ErrorCode::SystemIoFailure) if has_no_room(&path) => StoreError::DiskFull { path },
        Some(ErrorCode::ReadOnly) => StoreError::ReadOnly { path, reason: source.to_string() },
        Some(ErrorCode::CannotOpen) if doing == "opening" => StoreError::ReadOnly { path, reason: source.to_string() },
        _ => StoreError::Sqlite { doing, path, source },
    }
}
