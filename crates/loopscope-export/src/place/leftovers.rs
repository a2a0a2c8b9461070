//! What a process that was killed left of its export: half files that nobody locks, and notes of whole ones.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::{PART, PlaceError, io_error};

/// Takes away half files that nobody writes any more, and adds their names.
pub(super) fn take_leftovers(folder: &Path, taken: &mut Vec<PathBuf>) -> Result<(), PlaceError> {
    let failed = || io_error("looking into", folder);
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        let (path, kind) = (entry.path(), entry.file_type().map_err(failed())?);
        if kind.is_dir() {
            take_leftovers(&path, taken)?;
        } else if kind.is_file() && is_part(&entry.file_name().to_string_lossy()) && is_nobodys(&path) {
            fs::remove_file(&path).map_err(io_error("taking away", &path))?;
            taken.push(path);
        }
    }
    taken.sort();
    Ok(())
}

/// Returns whether a name is `.NAME.PID.loopscope.part`.
fn is_part(name: &str) -> bool {
    let of_process = name.strip_prefix('.').and_then(|name| name.strip_suffix(PART));
    let process = of_process.and_then(|name| name.rsplit_once('.')).map(|(_, process)| process);
    process.is_some_and(|process| !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Returns whether no process holds the lock of a file: another export may be writing it.
fn is_nobodys(path: &Path) -> bool {
    OpenOptions::new().write(true).open(path).is_ok_and(|file| file.try_lock().is_ok())
}

/// Returns the lines of a file, none where there is no file. Half a line, of a process that was killed, names nothing.
pub(super) fn lines_of(path: &Path) -> Result<Vec<String>, PlaceError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            Ok(text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n')).map(str::to_owned).collect())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(io_error("reading", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_files_are_known_by_their_whole_name() {
        assert!(is_part(".a.parquet.12.loopscope.part") && is_part("..12.loopscope.part"));
        for name in
            ["a.12.loopscope.part", ".a.12.part", ".a.loopscope.part", ".a.x2.loopscope.part", ".12.loopscope.part"]
        {
            assert!(!is_part(name), "{name}");
        }
    }
}
