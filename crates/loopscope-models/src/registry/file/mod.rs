//! `models.toml`: a user's own names for models, and where they are.
//!
//! A name is one of three things: a model at an endpoint, a directory with a checkpoint, or a repository of the model hub
//! that is in the hub's cache. Reading is strict: a key that nobody knows, a value of another type, a name that is two
//! things at once are errors with their address, and all of them come at once. Keys for servers are never in the file;
//! it names the environment variables that hold them.

mod parse;
mod section;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use loopscope_core::experiment::{ModelKind, ModelName};
use serde_json::{Map, Value};

use super::dialect::Dialect;
use super::url::BaseUrl;
use crate::family::Family;

/// The longest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Why `models.toml` cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelsFileError {
    /// The file that was asked for is not there.
    #[error("no models file {}", .path.display())]
    Missing {
        /// What was asked for.
        path: PathBuf,
    },
    /// The system does not let us read it.
    #[error("cannot read the models file {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Longer than any such file.
    #[error("{} is larger than {bytes_max} bytes, the most a models file may have", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        bytes_max: u64,
    },
    /// The text is no TOML.
    #[error("{}: not TOML: line {line}, column {column}: {message}", .path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It says something that no registry can be made of.
    #[error("{}: {}", .path.display(), listed(.problems))]
    Invalid {
        /// The file.
        path: PathBuf,
        /// Each with its address, in the order of the file's tables; at least one.
        problems: Vec<String>,
    },
}

fn listed(problems: &[String]) -> String {
    match problems {
        [problem] => problem.clone(),
        problems => format!("{} problems\n{}", problems.len(), problems.join("\n")),
    }
}

/// What a file says.
#[derive(Clone, Debug, Default)]
pub(crate) struct ModelsFile {
    pub(crate) endpoints: BTreeMap<String, EndpointConfig>,
    pub(crate) models: BTreeMap<ModelName, GivenModel>,
}

/// A server, and how it is to be called.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct EndpointConfig {
    pub(crate) name: String,
    pub(crate) dialect: Dialect,
    pub(crate) url: BaseUrl,
    /// The environment variable that holds the key.
    pub(crate) key_env: Option<String>,
    /// The header that takes the key, when it is not `Authorization: Bearer`.
    pub(crate) key_header: Option<String>,
    /// Calls at once; at least 1.
    pub(crate) concurrency: usize,
    /// The most calls in a minute.
    pub(crate) requests_per_minute: Option<f64>,
    pub(crate) connect_timeout: Duration,
    /// How long the server may say nothing.
    pub(crate) idle_timeout: Duration,
    /// How long a call may take in all.
    pub(crate) timeout: Duration,
    /// The longest answer that is read.
    pub(crate) body_bytes_max: u64,
    /// What prices are in.
    pub(crate) currency: String,
}

/// A name of the file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct GivenModel {
    pub(crate) kind: ModelKind,
    /// Defaults for the parameters of configs.
    pub(crate) parameters: Map<String, Value>,
    pub(crate) place: Place,
}

/// Where a named model is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Place {
    Remote(RemoteModel),
    Directory { directory: PathBuf, family: Family, revision: Option<String> },
    Repository { repository: String, revision: String, family: Family },
}

/// A model at an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RemoteModel {
    /// One of the file's endpoints.
    pub(crate) endpoint: String,
    /// What the server calls it.
    pub(crate) model: String,
    /// What the user knows of its weights.
    pub(crate) revision: Option<String>,
    /// Numbers in a vector, for embedders.
    pub(crate) dimension: Option<usize>,
    /// Texts in a call, for text embedders.
    pub(crate) batch_max: usize,
    /// The most pixels of a picture that is taken from the server.
    pub(crate) pixels_max: Option<u64>,
    /// Fields that are added to every request, over those that the dialect makes.
    pub(crate) extra: Map<String, Value>,
    /// Fields of the dialect that this server does not take.
    pub(crate) omit: Vec<String>,
    pub(crate) prices: Prices,
}

/// What a call costs, as far as the user says.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Prices {
    pub(crate) per_call: Option<f64>,
    pub(crate) per_million_input_tokens: Option<f64>,
    pub(crate) per_million_output_tokens: Option<f64>,
}

impl ModelsFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// [`ModelsFileError`], with every problem at once.
    pub(crate) fn read(path: &Path) -> Result<Self, ModelsFileError> {
        let unreadable = |source| ModelsFileError::Unreadable { path: path.to_owned(), source };
        let length = match std::fs::metadata(path) {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(ModelsFileError::Missing { path: path.to_owned() });
            }
            Err(error) => return Err(unreadable(error)),
        };
        if length > FILE_BYTES_MAX {
            return Err(ModelsFileError::TooLarge { path: path.to_owned(), bytes_max: FILE_BYTES_MAX });
        }
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        Self::parse(&text, path)
    }

    /// Reads the text of a file; directories in it are relative to that of `path`.
    ///
    /// # Errors
    ///
    /// [`ModelsFileError::Syntax`] or [`ModelsFileError::Invalid`].
    pub(crate) fn parse(text: &str, path: &Path) -> Result<Self, ModelsFileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
            let offset = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = String::from_utf8_lossy(&text.as_bytes()[..offset]);
            ModelsFileError::Syntax {
                path: path.to_owned(),
                line: before.matches('\n').count() + 1,
                column: before.rsplit('\n').next().unwrap_or_default().chars().count() + 1,
                message: error.message().lines().collect::<Vec<_>>().join("; "),
            }
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        parse::file_of(&table, folder).map_err(|problems| ModelsFileError::Invalid { path: path.to_owned(), problems })
    }
}
