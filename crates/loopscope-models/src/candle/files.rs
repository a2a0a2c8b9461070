//! The files of a model: found, parsed with messages that name file and key, and hashed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::SystemTime;

use loopscope_core::backend::ModelError;
use serde::de::DeserializeOwned;

/// The directory of a model's files, with the model's name for messages.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Files<'a> {
    pub(crate) name: &'a str,
    pub(crate) directory: &'a Path,
}

impl Files<'_> {
    /// Returns the path of a file, whether or not it is there.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.join(file)
    }

    /// Whether a file is there.
    pub(crate) fn has(&self, file: &str) -> bool {
        self.path(file).is_file()
    }

    /// Returns an error about a file.
    pub(crate) fn error(&self, file: &str, what: impl std::fmt::Display) -> ModelError {
        ModelError::permanent(format!("{}: {}: {what}", self.name, self.path(file).display()))
    }

    /// Returns the bytes of a file.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file when it cannot be read.
    pub(crate) fn read(&self, file: &str) -> Result<Vec<u8>, ModelError> {
        std::fs::read(self.path(file)).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => self.error(file, "the model needs this file, and it is not there"),
            _ => self.error(file, format!("cannot be read: {error}")),
        })
    }

    /// Returns the config in a JSON file.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file, the key and what was expected of it.
    pub(crate) fn json<T: DeserializeOwned>(&self, file: &str) -> Result<T, ModelError> {
        let bytes = self.read(file)?;
        serde_json::from_slice(&bytes).map_err(|error| self.error(file, error))
    }

    /// Returns the config in a JSON file, or `None` when there is no such file.
    ///
    /// # Errors
    ///
    /// As for [`json`](Self::json), when the file is there.
    pub(crate) fn json_if_there<T: DeserializeOwned>(&self, file: &str) -> Result<Option<T>, ModelError> {
        if self.has(file) { self.json(file).map(Some) } else { Ok(None) }
    }

    /// Returns one hash of these files, whatever their order here: BLAKE3 over names and contents.
    ///
    /// A file that has not changed since it was last hashed in this process, by length and time of change, is not read
    /// again.
    ///
    /// # Errors
    ///
    /// [`ModelError`] that names the file that cannot be read.
    pub(crate) fn hash(&self, files: &[String]) -> Result<String, ModelError> {
        let mut sorted: Vec<&String> = files.iter().collect();
        sorted.sort_unstable();
        sorted.dedup();
        let mut hasher = blake3::Hasher::new();
        for file in sorted {
            let hash = self.hash_of(file)?;
            hasher.update(file.as_bytes()).update(&[0]).update(hash.as_bytes());
        }
        Ok(hasher.finalize().to_hex().to_string())
    }

    fn hash_of(&self, file: &str) -> Result<blake3::Hash, ModelError> {
        let path = self.path(file);
        let cannot = |error: std::io::Error| self.error(file, format!("cannot be read: {error}"));
        let metadata = std::fs::metadata(&path).map_err(cannot)?;
        let stamp = Stamp { length: metadata.len(), changed: metadata.modified().ok() };
        let known = HASHES.lock().unwrap_or_else(PoisonError::into_inner).get(&path).copied();
        if let Some((known_stamp, hash)) = known
            && known_stamp == stamp
            && stamp.changed.is_some()
        {
            return Ok(hash);
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update_mmap_rayon(&path).map_err(cannot)?;
        let hash = hasher.finalize();
        HASHES.lock().unwrap_or_else(PoisonError::into_inner).insert(path, (stamp, hash));
        Ok(hash)
    }

    /// Returns the length of these files together, in bytes; a file that is not there counts nothing.
    pub(crate) fn bytes(&self, files: &[String]) -> u64 {
        files.iter().filter_map(|file| std::fs::metadata(self.path(file)).ok()).map(|metadata| metadata.len()).sum()
    }
}

/// What says that a file is the one that was hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    length: u64,
    changed: Option<SystemTime>,
}

/// Hashes of this process, by path: some weights take a minute to read, and a model is described many times.
static HASHES: LazyLock<Mutex<BTreeMap<PathBuf, (Stamp, blake3::Hash)>>> = LazyLock::new(Mutex::default);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, serde::Deserialize)]
    struct Config {
        #[expect(dead_code, reason = "only the parse is looked at")]
        hidden_size: usize,
    }

    #[test]
    fn messages_name_the_file_and_the_key() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { name: "M", directory: directory.path() };
        let path = directory.path().join("config.json");
        let missing = files.json::<Config>("config.json").expect_err("not there").to_string();
        assert_eq!(missing, format!("M: {}: the model needs this file, and it is not there", path.display()));
        std::fs::write(&path, "{\"layers\": 2}").expect("written");
        let no_key = files.json::<Config>("config.json").expect_err("no key").to_string();
        assert_eq!(no_key, format!("M: {}: missing field `hidden_size` at line 1 column 13", path.display()));
        assert!(files.json_if_there::<Config>("other.json").expect("not there is fine").is_none());
    }

    #[test]
    fn a_hash_is_of_names_and_contents_whatever_the_order() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { name: "M", directory: directory.path() };
        for (file, content) in [("a", "1"), ("b", "2")] {
            std::fs::write(directory.path().join(file), content).expect("written");
        }
        let hash = |names: &[&str]| files.hash(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        let both = hash(&["a", "b"]).expect("there");
        assert_eq!(both, hash(&["b", "a", "b"]).expect("there"));
        assert_ne!(both, hash(&["a"]).expect("there"));
        std::fs::write(directory.path().join("b"), "22").expect("written");
        assert_ne!(both, hash(&["a", "b"]).expect("there"), "another length is another file");
        assert!(hash(&["c"]).is_err());
    }
}
