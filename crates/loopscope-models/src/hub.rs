//! Downloads of checkpoints from the model hub, into its own cache, where Python's tools find them too.
//!
//! Only the files that the program reads are taken: configs, tokenizers, and weights as safetensors; of weights that are
//! there in full and in half precision, the half. What is downloaded is a commit, whatever name led to it.

use std::path::PathBuf;

use loopscope_core::experiment::ModelName;

use crate::registry::ModelRegistry;

/// What a download came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pulled {
    /// Owner and name at the hub.
    pub repository: String,
    /// The commit whose files these are.
    pub commit: String,
    /// Where they are.
    pub directory: PathBuf,
    /// How many files the program needs.
    pub file_count: usize,
    /// How many of them were not there before.
    pub downloaded_count: usize,
}

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PullEvent {
    /// What will be downloaded.
    Planned {
        /// The commit.
        commit: String,
        /// Files that are not there yet.
        files: usize,
    },
    /// A file begins, or goes on where an earlier download broke off.
    File {
        /// Its path in the repository.
        name: String,
        /// Its bytes.
        bytes: u64,
    },
    /// So many more bytes of the file are here.
    Bytes(u64),
}

/// Why a model was not downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The name has no files to download.
    #[error("{name} has nothing to download: {reason}")]
    Nothing {
        /// The model.
        name: ModelName,
        /// Why.
        reason: String,
    },
    /// The build cannot download.
    #[error("this build downloads nothing")]
    NotInThisBuild {
        /// What to type instead.
        remedy: String,
    },
    /// `HF_HUB_OFFLINE` forbids it.
    #[error("HF_HUB_OFFLINE is set, and {repository} is not in the cache")]
    Offline {
        /// The repository.
        repository: String,
    },
    /// The hub does not hand the files out to us.
    #[error("the hub answered {status} for {repository}: {}", refusal(*.status))]
    Refused {
        /// The repository.
        repository: String,
        /// 401, 403 or 404.
        status: u16,
        /// What to do about it.
        remedy: String,
    },
    /// The hub could not be asked, or broke off.
    #[error("downloading {what} of {repository}: {message}")]
    Failed {
        /// The repository.
        repository: String,
        /// A file, or the list of them.
        what: String,
        /// What happened.
        message: String,
    },
}

const fn refusal(status: u16) -> &'static str {
    match status {
        401 => "it wants a token, or a better one",
        403 => "the token's owner has not accepted its terms",
        _ => "there is no such repository or revision, or it is hidden from us",
    }
}

/// Downloads the files of a model that are not in the cache yet.
///
/// # Errors
///
/// [`PullError`], with the next move where there is one. Files that were downloaded before stay.
pub fn pull(
    registry: &ModelRegistry,
    name: &ModelName,
    report: &mut dyn FnMut(PullEvent),
) -> Result<Pulled, PullError> {
    let Some((repository, revision, _)) = registry.source(name) else {
        let reason = match registry.listing(name) {
            None => "no model has this name".to_owned(),
            Some(listing) if listing.backend == "dummy" => "it is built in".to_owned(),
            Some(listing) if listing.reason.is_empty() => "it is where models.toml says".to_owned(),
            Some(listing) => listing.reason,
        };
        return Err(PullError::Nothing { name: name.clone(), reason });
    };
    download(registry, &repository, &revision, report)
}

#[cfg(not(feature = "hub"))]
fn download(
    _: &ModelRegistry,
    repository: &str,
    revision: &str,
    _: &mut dyn FnMut(PullEvent),
) -> Result<Pulled, PullError> {
    let remedy = format!(
        "build it with `cargo build --release --features hub`, or download with the hub's own tool, whose cache is read as \
         it is: `hf download {repository} --revision {revision}`"
    );
    Err(PullError::NotInThisBuild { remedy })
}

#[cfg(feature = "hub")]
use self::client::download;

#[cfg(feature = "hub")]
mod client {
    use hf_hub::api::Progress;
    use hf_hub::api::sync::{ApiBuilder, ApiError};
    use hf_hub::{Cache, Repo, RepoType};

    use super::{PullError, PullEvent, Pulled, wanted};
    use crate::registry::{ModelRegistry, unfinished_mark};

    /// How often a download that breaks off goes on where it was.
    const RETRIES: usize = 5;

    pub(super) fn download(
        registry: &ModelRegistry,
        repository: &str,
        revision: &str,
        report: &mut dyn FnMut(PullEvent),
    ) -> Result<Pulled, PullError> {
        let failed = |what: &str, message: String| PullError::Failed {
            repository: repository.to_owned(),
            what: what.to_owned(),
            message,
        };
        let folder = registry.cache_directory();
        let folder = folder.ok_or_else(|| failed("files", "no folder for its cache: HOME is not set".to_owned()))?;
        let is_set = |name: &str| registry.variable(name).is_some_and(|value| !["", "0", "false"].contains(&&*value));
        if is_set("HF_HUB_OFFLINE") {
            return registry
                .cached(repository, revision)
                .ok_or_else(|| PullError::Offline { repository: repository.to_owned() });
        }
        let set = |name: &str| registry.variable(name).filter(|value| !value.trim().is_empty());
        let endpoint = set("HF_ENDPOINT").unwrap_or_else(|| "https://huggingface.co".to_owned());
        let endpoint = endpoint.trim_end_matches('/').to_owned();
        let cache = Cache::new(folder.clone());
        let token = set("HF_TOKEN").map(|token| token.trim().to_owned()).or_else(|| cache.token());
        let redact = |text: String| match &token {
            Some(token) if token.len() > 5 => text.replace(token.as_str(), "[token]"),
            _ => text,
        };
        let told = |what: &str, error: &ApiError| match status_of(error) {
            Some(status @ (401 | 403 | 404)) => PullError::Refused {
                repository: repository.to_owned(),
                status,
                remedy: remedy(status, &endpoint, repository, revision),
            },
            _ => failed(what, redact(error.to_string())),
        };
        let builder = ApiBuilder::from_cache(cache.clone())
            .with_endpoint(endpoint.clone())
            .with_token(token.clone())
            .with_progress(false)
            .with_retries(RETRIES)
            .with_user_agent("loopscope", env!("CARGO_PKG_VERSION"));
        let api = builder.build().map_err(|error| told("the list of files", &error))?;
        let asked = Repo::with_revision(repository.to_owned(), RepoType::Model, revision.to_owned());
        let info = api.repo(asked.clone()).info().map_err(|error| told("the list of files", &error))?;
        let commit = info.sha;
        // What the hub names as a commit becomes the name of a folder.
        if commit.is_empty() || !commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(failed("the list of files", "the hub named no commit".to_owned()));
        }
        let names: Vec<String> = info.siblings.into_iter().map(|sibling| sibling.rfilename).collect();
        let files = wanted(&names);
        let pinned = Repo::with_revision(repository.to_owned(), RepoType::Model, commit.clone());
        let directory = cache.repo(pinned.clone()).pointer_path(&commit);
        let missing: Vec<&String> = files.iter().filter(|file| !directory.join(file).is_file()).collect();
        report(PullEvent::Planned { commit: commit.clone(), files: missing.len() });
        let hub = api.repo(pinned);
        let noting = |error: std::io::Error| failed("files", format!("noting the commit in the cache: {error}"));
        // A name that is a commit finds its folder from the first file on, so the folder is marked until all is there.
        let mark = unfinished_mark(&folder, repository, &commit);
        if !missing.is_empty() {
            mark.parent()
                .map_or(Ok(()), std::fs::create_dir_all)
                .and_then(|()| std::fs::write(&mark, ""))
                .map_err(noting)?;
        }
        for file in &missing {
            hub.download_with_progress(file, Shown { report: &mut *report }).map_err(|error| told(file, &error))?;
        }
        cache.repo(asked).create_ref(&commit).map_err(noting)?;
        match std::fs::remove_file(&mark) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(noting(error)),
            _ => {}
        }
        Ok(Pulled {
            repository: repository.to_owned(),
            commit,
            directory,
            file_count: files.len(),
            downloaded_count: missing.len(),
        })
    }

    fn status_of(error: &ApiError) -> Option<u16> {
        match error {
            ApiError::RequestError(error) => match **error {
                ureq::Error::StatusCode(status) => Some(status),
                _ => None,
            },
            ApiError::TooManyRetries(error) => status_of(error),
            _ => None,
        }
    }

    fn remedy(status: u16, endpoint: &str, repository: &str, revision: &str) -> String {
        match status {
            401 => format!(
                "make a token at {endpoint}/settings/tokens and `export HF_TOKEN=…`; if {endpoint}/{repository} shows terms, accept \
                 them there first"
            ),
            403 => format!("accept the terms at {endpoint}/{repository}, with the account of the token, and try again"),
            _ => format!("look at {endpoint}/{repository}/tree/{revision}; a hidden repository wants HF_TOKEN"),
        }
    }

    struct Shown<'a> {
        report: &'a mut dyn FnMut(PullEvent),
    }

    impl Progress for Shown<'_> {
        fn init(&mut self, size: usize, name: &str) {
            (self.report)(PullEvent::File { name: name.to_owned(), bytes: size as u64 });
        }

        fn update(&mut self, size: usize) {
            (self.report)(PullEvent::Bytes(size as u64));
        }

        fn finish(&mut self) {}
    }
}

/// Returns the files of a repository that a native model is read from.
#[cfg_attr(not(feature = "hub"), expect(dead_code, reason = "without downloads nothing is chosen"))]
fn wanted(names: &[String]) -> Vec<String> {
    let is_pipeline = names.iter().any(|name| name == "model_index.json");
    let has = |name: String| names.contains(&name);
    let is_wanted = |name: &&String| {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name.as_str()));
        // A path that leaves the repository's folder is nobody's file.
        if name.starts_with('/')
            || name.contains('\\')
            || name.split('/').any(|part| part.is_empty() || part == ".." || part == ".")
        {
            return false;
        }
        // Other programs' forms of the same weights, and a filter that no native model has.
        if ["onnx", "openvino", "safety_checker", "coreml", "flax", "text_encoders"]
            .iter()
            .any(|other| folder.split('/').any(|part| part == *other))
        {
            return false;
        }
        if let Some(stem) = file.strip_suffix(".safetensors") {
            let beside = |name: String| if folder.is_empty() { name } else { format!("{folder}/{name}") };
            // At the root of a pipeline lie the same weights in one piece.
            let is_again = stem.contains("non_ema") || (is_pipeline && folder.is_empty());
            // Of shards, the precision stands before their number.
            let half = match stem.rsplit_once("-of-").and_then(|(start, count)| Some((start.rsplit_once('-')?, count)))
            {
                Some(((stem, number), count)) => format!("{stem}.fp16-{number}-of-{count}.safetensors"),
                None => format!("{stem}.fp16.safetensors"),
            };
            return !is_again && !has(beside(half));
        }
        if let Some(stem) = name.strip_suffix(".safetensors.index.json") {
            return !has(format!("{stem}.safetensors.index.fp16.json"));
        }
        let extension = file.rsplit_once('.').map_or("", |(_, extension)| extension);
        matches!(extension, "json" | "txt" | "model") && !file.starts_with('.') && !file.contains("README")
    };
    names.iter().filter(is_wanted).cloned().collect()
}

#[cfg(all(test, feature = "hub"))]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_what_the_program_reads() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        let pipeline = names(&[
            "README.md",
            "model_index.json",
            "v1-5-pruned.safetensors",
            "unet/config.json",
            "unet/diffusion_pytorch_model.safetensors",
            "unet/diffusion_pytorch_model.fp16.safetensors",
            "unet/diffusion_pytorch_model.non_ema.safetensors",
            "unet/diffusion_pytorch_model.bin",
            "vae/diffusion_pytorch_model.safetensors",
            "safety_checker/model.safetensors",
            "tokenizer/merges.txt",
            "../evil.json",
        ]);
        assert_eq!(
            wanted(&pipeline),
            [
                "model_index.json",
                "unet/config.json",
                "unet/diffusion_pytorch_model.fp16.safetensors",
                "vae/diffusion_pytorch_model.safetensors",
                "tokenizer/merges.txt"
            ]
        );
        let sharded = names(&[
            "model_index.json",
            "sd3.5_medium.safetensors",
            "text_encoders/t5xxl_fp16.safetensors",
            "text_encoder_3/config.json",
            "text_encoder_3/model-00001-of-00002.safetensors",
            "text_encoder_3/model-00002-of-00002.safetensors",
            "text_encoder_3/model.fp16-00001-of-00002.safetensors",
            "text_encoder_3/model.fp16-00002-of-00002.safetensors",
            "text_encoder_3/model.safetensors.index.fp16.json",
            "text_encoder_3/model.safetensors.index.json",
            "tokenizer_3/spiece.model",
            "tokenizer_3/tokenizer.json",
            "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
            "transformer/diffusion_pytorch_model.safetensors.index.json",
        ]);
        assert_eq!(
            wanted(&sharded),
            [
                "model_index.json",
                "text_encoder_3/config.json",
                "text_encoder_3/model.fp16-00001-of-00002.safetensors",
                "text_encoder_3/model.fp16-00002-of-00002.safetensors",
                "text_encoder_3/model.safetensors.index.fp16.json",
                "tokenizer_3/spiece.model",
                "tokenizer_3/tokenizer.json",
                "transformer/diffusion_pytorch_model-00001-of-00002.safetensors",
                "transformer/diffusion_pytorch_model.safetensors.index.json"
            ]
        );
        let whole = names(&[
            "assets/showcase.jpg",
            "model_index.json",
            "scheduler/scheduler_config.json",
            "text_encoder/generation_config.json",
            "text_encoder/model-00001-of-00003.safetensors",
            "text_encoder/model.safetensors.index.json",
            "tokenizer/merges.txt",
            "tokenizer/tokenizer.json",
            "transformer/diffusion_pytorch_model-00002-of-00003.safetensors",
            "transformer/diffusion_pytorch_model.safetensors.index.json",
        ]);
        assert_eq!(wanted(&whole), whole[1..]);
        let embedder = names(&[
            "model.safetensors",
            "config.json",
            "1_Pooling/config.json",
            "onnx/config.json",
            "spiece.model",
            "pytorch_model.bin",
        ]);
        assert_eq!(wanted(&embedder), ["model.safetensors", "config.json", "1_Pooling/config.json", "spiece.model"]);
    }
}
