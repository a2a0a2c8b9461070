//! Where an export goes: nothing is overwritten unasked, and no half file has the name of a whole one.
//!
//! A file is written beside its place under a name that begins with a dot and ends in `.loopscope.part`, and takes its own name
//! when it is whole and on the disk. What fails, or is dropped, is taken away again. A process that is killed cannot: while a
//! file is written the process holds its lock, which the kernel frees, and so the next export into that folder knows what is
//! nobody's any more.
//!
//! A folder of files remembers what an export wrote in [`OutputFolder::LIST`]. When another export replaces it, the files of
//! that list which are not written anew are taken away, and no other: a reader that takes every file of a folder would
//! otherwise mix two exports, and a folder may hold what people put there. Until there is a list, what has its name already is
//! in [`OutputFolder::UNDER_WAY`], a line each.

mod leftovers;

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use self::leftovers::{lines_of, take_leftovers};

/// Why files cannot be where they should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// A file is there already.
    #[error("{} exists", .path.display())]
    Exists {
        /// What was to be written.
        path: PathBuf,
    },
    /// A folder that is not empty.
    #[error("{} is not empty: it holds {found}", .path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// Some of what it holds.
        found: String,
    },
    /// A directory where a file should be, or the other way round.
    #[error("{} is {found}; expected {expected}", .path.display())]
    Kind {
        /// What was given.
        path: PathBuf,
        /// What it is.
        found: &'static str,
        /// What it should be.
        expected: &'static str,
    },
    /// The file system said no.
    #[error("{doing} {}", .path.display())]
    Io {
        /// What was being done.
        doing: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

fn io_error(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> PlaceError {
    let path = path.to_owned();
    move |source| PlaceError::Io { doing, path, source }
}

/// How the names of files end that are not whole yet.
const PART: &str = ".loopscope.part";

/// A file on its way: it has its name when [`finish`](Self::finish) returns, and is gone when it is dropped before.
#[derive(Debug)]
pub struct OutputFile {
    /// `None` once it has its name.
    file: Option<File>,
    temporary: PathBuf,
    path: PathBuf,
    may_replace: bool,
}

impl OutputFile {
    /// Begins a file at `path`, in a folder that is made when it is not there; `may_replace` is `--force`.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] when something is there already, or nothing can be written there.
    pub fn begin(path: &Path, may_replace: bool) -> Result<Self, PlaceError> {
        if path.is_dir() {
            return Err(PlaceError::Kind { path: path.to_owned(), found: "a directory", expected: "a file" });
        }
        if !may_replace && path.symlink_metadata().is_ok() {
            return Err(PlaceError::Exists { path: path.to_owned() });
        }
        let Some(name) = path.file_name() else {
            return Err(PlaceError::Kind { path: path.to_owned(), found: "no file name", expected: "a file" });
        };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(io_error("making", folder))?;
        }
        // Of this process, so that two exports do not write into one another.
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}{PART}", std::process::id()));
        let temporary = path.with_file_name(hidden);
        let file = File::create(&temporary).map_err(io_error("writing", path))?;
        // Where a file system knows no locks, what is left by a killed process stays.
        file.try_lock().ok();
        Ok(Self { file: Some(file), temporary, path: path.to_owned(), may_replace })
    }

    /// Returns where the file will be.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns where the file is until then, for programs that write it themselves.
    #[must_use]
    pub fn temporary_path(&self) -> &Path {
        &self.temporary
    }

    /// Puts the file on the disk and gives it its name; returns its bytes.
    ///
    /// # Errors
    ///
    /// [`PlaceError`]; the file is then not there.
    pub fn finish(self) -> Result<u64, PlaceError> {
        if let Some(file) = &self.file {
            file.sync_all().map_err(io_error("writing", &self.path))?;
        }
        self.finish_unsynced()
    }

    /// Gives the file its name without waiting for the disk, for one of many: a loss of power may take it.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub fn finish_unsynced(mut self) -> Result<u64, PlaceError> {
        let Some(file) = self.file.take() else { return Ok(0) };
        let outcome = self.put_in_place();
        if outcome.is_err() {
            // So that it is taken away.
            self.file = Some(file);
        }
        outcome
    }

    fn put_in_place(&self) -> Result<u64, PlaceError> {
        // By name: another program may have written it anew.
        let bytes = fs::metadata(&self.temporary).map_err(io_error("writing", &self.path))?.len();
        if self.may_replace {
            fs::rename(&self.temporary, &self.path).map_err(io_error("writing", &self.path))?;
            return Ok(bytes);
        }
        // A link fails where a file has come to be in the meantime; a rename would replace it.
        match fs::hard_link(&self.temporary, &self.path) {
            Ok(()) => fs::remove_file(&self.temporary).map_err(io_error("writing", &self.path))?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(PlaceError::Exists { path: self.path.clone() });
            }
            // File systems without links.
            Err(_) if self.path.symlink_metadata().is_err() => {
                fs::rename(&self.temporary, &self.path).map_err(io_error("writing", &self.path))?;
            }
            Err(_) => return Err(PlaceError::Exists { path: self.path.clone() }),
        }
        Ok(bytes)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(bytes),
            None => Err(io::Error::other("the file is finished")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), File::flush)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            // What cannot be taken away has a name that says what it is.
            fs::remove_file(&self.temporary).ok();
        }
    }
}

/// What an export wrote into a folder, so that the next one knows its own.
#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    /// Relative paths with `/`.
    files: BTreeSet<String>,
}

/// A folder of files on its way. Each file has its name when it is done; the folder is a whole export when
/// [`finish`](Self::finish) returns.
#[derive(Debug)]
pub struct OutputFolder {
    path: PathBuf,
    may_replace: bool,
    /// Whether the folder itself is this export's.
    is_new: bool,
    before: List,
    written: List,
    leftovers: Vec<PathBuf>,
    /// Lines of what has its name; begun with the first.
    under_way: Option<File>,
    /// Bytes of those lines that a killed export left.
    noted_before: u64,
    /// Those of the written files that replaced none.
    fresh: Vec<PathBuf>,
    is_finished: bool,
    bytes: u64,
}

impl OutputFolder {
    /// Where a folder keeps the list of what an export wrote.
    pub const LIST: &str = ".loopscope-export.json";
    /// Where a folder keeps the names of files that are whole while others are written.
    pub const UNDER_WAY: &str = ".loopscope-export.under-way";

    /// Begins a folder, which is made when it is not there; `may_replace` is `--force`.
    ///
    /// # Errors
    ///
    /// [`PlaceError`] when it holds anything, unless it may be replaced, or nothing can be written there.
    pub fn begin(path: &Path, may_replace: bool) -> Result<Self, PlaceError> {
        if path.is_file() {
            return Err(PlaceError::Kind { path: path.to_owned(), found: "a file", expected: "a directory" });
        }
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(io_error("making", path))?;
        let found = names_in(path)?;
        if !found.is_empty() && !may_replace {
            let is_left = found.iter().any(|name| name == Self::UNDER_WAY || name.ends_with(PART));
            let left = if is_left { " (an export into it was killed, or is under way)" } else { "" };
            return Err(PlaceError::NotEmpty { path: path.to_owned(), found: format!("{}{left}", some_of(&found)) });
        }
        let mut leftovers = Vec::new();
        take_leftovers(path, &mut leftovers)?;
        // Whether it can be written is asked now, and not after an hour.
        OutputFile::begin(&path.join(Self::LIST), true)?;
        let list = path.join(Self::LIST);
        let mut before: List = match fs::read(&list) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| io_error("reading", &list)(error.into()))?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => List::default(),
            Err(error) => return Err(io_error("reading", &list)(error)),
        };
        before.files.extend(lines_of(&path.join(Self::UNDER_WAY))?);
        Ok(Self {
            path: path.to_owned(),
            may_replace,
            is_new,
            before,
            written: List::default(),
            leftovers,
            under_way: None,
            noted_before: fs::metadata(path.join(Self::UNDER_WAY)).map_or(0, |file| file.len()),
            fresh: Vec::new(),
            is_finished: false,
            bytes: 0,
        })
    }

    /// Returns the folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the half files of exports that were killed, which are gone now; whoever exports says so.
    #[must_use]
    pub fn leftovers(&self) -> &[PathBuf] {
        &self.leftovers
    }

    /// Begins a file of the folder; `relative` uses `/`.
    ///
    /// # Errors
    ///
    /// [`PlaceError`].
    pub fn file(&self, relative: &str) -> Result<OutputFile, PlaceError> {
        OutputFile::begin(&self.path.join(relative), self.may_replace)
    }

    /// Puts a file of the folder on the disk and gives it its name; returns its bytes.
    ///
    /// # Errors
    ///
    /// [`PlaceError`].
    pub fn keep(&mut self, file: OutputFile) -> Result<u64, PlaceError> {
        self.keep_by(file, OutputFile::finish)
    }

    /// Gives a file of the folder its name without waiting for the disk, for one of many; returns its bytes.
    ///
    /// # Errors
    ///
    /// [`PlaceError`].
    pub fn keep_unsynced(&mut self, file: OutputFile) -> Result<u64, PlaceError> {
        self.keep_by(file, OutputFile::finish_unsynced)
    }

    fn keep_by(
        &mut self,
        file: OutputFile,
        finish: fn(OutputFile) -> Result<u64, PlaceError>,
    ) -> Result<u64, PlaceError> {
        let path = file.path().to_owned();
        let is_fresh = path.symlink_metadata().is_err();
        let bytes = finish(file)?;
        let relative = path.strip_prefix(&self.path).unwrap_or(&path);
        let parts: Vec<_> = relative.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        let relative = parts.join("/");
        self.remember(&relative)?;
        self.written.files.insert(relative);
        if is_fresh {
            self.fresh.push(path);
        }
        self.bytes += bytes;
        Ok(bytes)
    }

    /// Lets the notes be those of before this export, whose files are gone.
    fn forget(&mut self) {
        self.under_way = None;
        let path = self.path.join(Self::UNDER_WAY);
        let before = if self.noted_before == 0 {
            fs::remove_file(&path)
        } else {
            OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(self.noted_before))
        };
        // What cannot be taken back names files that are not there, which does no harm.
        before.ok();
    }

    /// Notes that a file has its name, for the export after one that is killed.
    fn remember(&mut self, relative: &str) -> Result<(), PlaceError> {
        let path = self.path.join(Self::UNDER_WAY);
        let file = match &mut self.under_way {
            Some(file) => file,
            // What a killed export noted stays until this one has a list.
            none => none
                .insert(OpenOptions::new().create(true).append(true).open(&path).map_err(io_error("writing", &path))?),
        };
        file.write_all(format!("{relative}\n").as_bytes()).map_err(io_error("writing", &path))
    }

    /// Takes away what the export before this one wrote and this one did not, writes the list, and returns the bytes of all files.
    ///
    /// # Errors
    ///
    /// [`PlaceError`].
    pub fn finish(mut self) -> Result<u64, PlaceError> {
        for old in self.before.files.difference(&self.written.files) {
            let path = Path::new(old);
            // A list that somebody wrote is no leave to delete elsewhere.
            if path.components().all(|part| matches!(part, Component::Normal(_))) {
                let path = self.path.join(path);
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(io_error("taking away", &path)(error));
                    }
                    _ => remove_empty_folders(&path, &self.path),
                }
            }
        }
        let mut list = OutputFile::begin(&self.path.join(Self::LIST), true)?;
        let text = serde_json::to_vec_pretty(&self.written).map_err(io::Error::other);
        text.and_then(|text| list.write_all(&text)).map_err(io_error("writing", &self.path.join(Self::LIST)))?;
        list.finish()?;
        let under_way = self.path.join(Self::UNDER_WAY);
        match fs::remove_file(&under_way) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(io_error("taking away", &under_way)(error));
            }
            _ => self.is_finished = true,
        }
        Ok(self.bytes)
    }
}

impl Drop for OutputFolder {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        // What was not there before is taken away again; what cannot be is of use as it is, a whole file.
        for path in &self.fresh {
            fs::remove_file(path).ok();
            remove_empty_folders(path, &self.path);
        }
        if self.under_way.is_some() {
            self.forget();
        }
        if self.is_new {
            remove_all_empty(&self.path);
        }
    }
}

/// Removes a folder in which there are only folders.
fn remove_all_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_all_empty(&entry.path());
        }
    }
    fs::remove_dir(folder).ok();
}

fn names_in(folder: &Path) -> Result<Vec<String>, PlaceError> {
    let failed = || io_error("looking into", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        names.push(entry.map_err(failed())?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}

/// Names some of what a folder holds, hidden files only where there is nothing else.
fn some_of(names: &[String]) -> String {
    let plain: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.starts_with('.')).collect();
    let told = if plain.is_empty() { names.iter().map(String::as_str).collect() } else { plain };
    let shown: Vec<&str> = told.iter().take(3).copied().collect();
    let more = told.len().saturating_sub(shown.len());
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

/// Removes the folders of a file that are empty now, up to the export's own.
fn remove_empty_folders(file: &Path, root: &Path) {
    let mut folder = file.parent();
    while let Some(path) = folder.filter(|path| *path != root && path.starts_with(root)) {
        if fs::remove_dir(path).is_err() {
            return;
        }
        folder = path.parent();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(folder: &mut OutputFolder, name: &str) {
        let mut file = folder.file(name).unwrap();
        file.write_all(name.as_bytes()).unwrap();
        folder.keep(file).unwrap();
    }

    #[test]
    fn a_file_has_its_name_when_it_is_whole_and_leaves_nothing_when_it_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.txt");
        let mut file = OutputFile::begin(&path, false).unwrap();
        file.write_all(b"half").unwrap();
        assert!(!path.exists());
        drop(file);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 0);

        let mut file = OutputFile::begin(&path, false).unwrap();
        file.write_all(b"whole").unwrap();
        assert_eq!(file.finish().unwrap(), 5);
        assert_eq!(fs::read(&path).unwrap(), b"whole");
        assert!(matches!(OutputFile::begin(&path, false), Err(PlaceError::Exists { .. })));
    }

    #[test]
    fn a_file_that_came_in_the_meantime_is_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let file = OutputFile::begin(&path, false).unwrap();
        fs::write(&path, "theirs").unwrap();
        assert!(matches!(file.finish(), Err(PlaceError::Exists { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the half file is gone");
    }

    #[test]
    fn a_second_export_takes_away_what_the_first_wrote_and_nothing_else() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        let mut folder = OutputFolder::begin(&path, false).unwrap();
        put(&mut folder, "data/1");
        put(&mut folder, "old/2");
        assert_eq!(folder.finish().unwrap(), 11);
        fs::write(path.join("mine"), "mine").unwrap();
        let error = OutputFolder::begin(&path, false).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is not empty: it holds data, mine, old", path.display()));

        let mut folder = OutputFolder::begin(&path, true).unwrap();
        put(&mut folder, "data/1");
        folder.finish().unwrap();
        assert!(path.join("data/1").exists() && path.join("mine").exists() && !path.join("old").exists());
    }

    #[test]
    fn a_folder_that_failed_leaves_nothing_of_its_own() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        let mut folder = OutputFolder::begin(&path, false).unwrap();
        put(&mut folder, "data/1");
        let half = folder.file("data/2").unwrap();
        drop(half);
        drop(folder);
        assert!(!path.exists());
    }

    /// What a killed process leaves: a half file without its lock, a whole one, and a note of that.
    fn kill_an_export_into(path: &Path) {
        let mut folder = OutputFolder::begin(path, true).unwrap();
        put(&mut folder, "data/1");
        let mut half = folder.file("data/2").unwrap();
        half.write_all(b"half").unwrap();
        // As the kernel closes it.
        half.file.take();
        std::mem::forget(folder);
    }

    #[test]
    fn the_next_export_takes_away_what_a_killed_one_left() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        kill_an_export_into(&path);
        let part = path.join(format!("data/.2.{}.loopscope.part", std::process::id()));
        assert!(part.exists() && path.join("data/1").exists());
        fs::write(path.join(".mine.part"), "").unwrap();
        let error = OutputFolder::begin(&path, false).unwrap_err().to_string();
        assert!(error.ends_with("it holds data (an export into it was killed, or is under way)"), "{error}");

        let mut folder = OutputFolder::begin(&path, true).unwrap();
        assert_eq!(folder.leftovers(), std::slice::from_ref(&part));
        put(&mut folder, "other");
        folder.finish().unwrap();
        assert!(!path.join("data").exists() && path.join("other").exists() && path.join(".mine.part").exists());
        assert!(!path.join(OutputFolder::UNDER_WAY).exists());
    }

    #[test]
    fn an_export_that_fails_after_a_killed_one_still_leaves_its_notes_to_the_next() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        kill_an_export_into(&path);
        let mut folder = OutputFolder::begin(&path, true).unwrap();
        put(&mut folder, "other");
        drop(folder);
        assert!(path.join("data/1").exists() && !path.join("other").exists());
        OutputFolder::begin(&path, true).unwrap().finish().unwrap();
        assert!(!path.join("data").exists());
    }

    #[test]
    fn what_another_export_is_writing_stays() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        let theirs = OutputFolder::begin(&path, false).unwrap();
        let file = theirs.file("a").unwrap();
        assert!(OutputFolder::begin(&path, true).unwrap().leftovers().is_empty());
        assert!(file.temporary_path().exists());
    }

    #[test]
    fn a_list_is_no_leave_to_delete_elsewhere() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("out");
        fs::create_dir(&path).unwrap();
        fs::write(place.path().join("theirs"), "").unwrap();
        fs::write(path.join(OutputFolder::LIST), r#"{"files":["../theirs"]}"#).unwrap();
        OutputFolder::begin(&path, true).unwrap().finish().unwrap();
        assert!(place.path().join("theirs").exists());
    }
}
