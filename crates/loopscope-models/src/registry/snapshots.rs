//! The cache of the model hub, as Python's tools and the downloads of this program leave it.
//!
//! Reading it takes no hub and no network: `models--OWNER--NAME/refs/REVISION` holds a commit, and
//! `models--OWNER--NAME/snapshots/COMMIT` the files. Which folder it is follows the hub's own variables.

use std::path::{Path, PathBuf};

/// What the mark of a download that is not finished is called, before its commit.
const UNFINISHED: &str = ".loopscope-unfinished-";

/// The files of a repository at a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    pub(crate) directory: PathBuf,
    pub(crate) commit: String,
}

/// Returns the folder of the cache: `HF_HUB_CACHE`, `HF_HOME/hub`, or `huggingface/hub` below the user's cache.
pub(crate) fn cache_directory(variable: &dyn Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("HF_HUB_CACHE")
        .or_else(|| set("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/huggingface/hub")))
}

fn folder_of(cache: &Path, repository: &str) -> PathBuf {
    cache.join(format!("models--{}", repository.replace('/', "--")))
}

/// Returns the file that lies in the cache from the start of a download by this program to its end.
pub(crate) fn unfinished_mark(cache: &Path, repository: &str, commit: &str) -> PathBuf {
    folder_of(cache, repository).join(format!("{UNFINISHED}{commit}"))
}

/// Returns the snapshot of a revision: a commit, or the name of a branch, tag or reference. One whose download broke
/// off is none.
pub(crate) fn find(cache: &Path, repository: &str, revision: &str) -> Option<Snapshot> {
    let folder = folder_of(cache, repository);
    let commit = match std::fs::read_to_string(folder.join("refs").join(revision)) {
        Ok(commit) => commit.trim().to_owned(),
        Err(_) => revision.to_owned(),
    };
    // A reference file is not ours; what it holds is only used as the name of a folder.
    if commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let directory = folder.join("snapshots").join(&commit);
    let is_whole = directory.is_dir() && !unfinished_mark(cache, repository, &commit).exists();
    is_whole.then_some(Snapshot { directory, commit })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_commits_find_their_folder() {
        let cache = std::env::temp_dir().join(format!("loopscope-snapshots-{}", std::process::id()));
        let folder = cache.join("models--a--b");
        std::fs::create_dir_all(folder.join("snapshots/0f")).unwrap();
        std::fs::create_dir_all(folder.join("refs/refs/pr")).unwrap();
        std::fs::write(folder.join("refs/main"), "0f\n").unwrap();
        std::fs::write(folder.join("refs/refs/pr/15"), "0f").unwrap();
        std::fs::write(folder.join("refs/bad"), "../../..").unwrap();
        for revision in ["main", "0f", "refs/pr/15"] {
            assert_eq!(find(&cache, "a/b", revision).unwrap().commit, "0f", "{revision}");
        }
        assert_eq!(find(&cache, "a/b", "bad"), None);
        std::fs::write(unfinished_mark(&cache, "a/b", "0f"), "").unwrap();
        assert_eq!(find(&cache, "a/b", "main"), None, "its download broke off");
        assert_eq!(find(&cache, "a/b", "1234"), None);
        assert_eq!(find(&cache, "a/c", "main"), None);
        std::fs::remove_dir_all(&cache).unwrap();
    }

    #[test]
    fn the_hubs_own_variables_say_where_it_is() {
        let with = |set: &'static [(&str, &str)]| {
            let variable =
                move |name: &str| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
            cache_directory(&variable).map(|path| path.display().to_string())
        };
        assert_eq!(with(&[("HOME", "/h")]).unwrap(), "/h/.cache/huggingface/hub");
        assert_eq!(with(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]).unwrap(), "/c/huggingface/hub");
        assert_eq!(with(&[("HF_HOME", "/f"), ("HOME", "/h")]).unwrap(), "/f/hub");
        assert_eq!(with(&[("HF_HUB_CACHE", "/k"), ("HF_HOME", "/f")]).unwrap(), "/k");
        assert_eq!(with(&[]), None);
    }
}
