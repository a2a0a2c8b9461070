//! Why a text is no config, or a config asks for what cannot be.

use std::fmt::{self, Write as _};
use std::io;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Syntax;
use super::parse::KEYS;
use crate::backend::RegistryError;
use crate::experiment::ModelName;

/// How many problems one error holds at most; the rest is counted.
pub const PROBLEMS_MAX: usize = 20;

/// How many characters of a value a message shows.
const SHOWN_CHARACTERS: usize = 60;

/// How many models a message lists.
const LISTED_MODELS: usize = 12;

/// Why a config cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no such file.
    #[error("no config file {}", .path.display())]
    Missing {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// A directory where a file is expected.
    #[error("{} is a directory, expected a config file", .path.display())]
    Directory {
        /// The path that was asked for.
        path: PathBuf,
    },
    /// The file is longer than any config.
    #[error("{} is larger than {bytes_max} bytes, the most a config may have", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most bytes that are read.
        bytes_max: u64,
    },
    /// The file is no text.
    #[error("{} is not UTF-8 text: the first bad byte is at offset {offset}", .path.display())]
    NotUtf8 {
        /// The file.
        path: PathBuf,
        /// How many bytes before it are good.
        offset: usize,
    },
    /// The system does not let us read the file.
    #[error("cannot read the config {}", .path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The text is not of its syntax.
    #[error("{}not {syntax}: line {line}, column {column}: {message}", prefix(.path.as_deref()))]
    Syntax {
        /// The file, when the text came from one.
        path: Option<PathBuf>,
        /// What the text was read as.
        syntax: Syntax,
        /// From 1.
        line: usize,
        /// In characters, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// The document says something that no experiment can be made of.
    #[error("{}{}", prefix(.path.as_deref()), listed(.problems, *.left_out))]
    Invalid {
        /// The file, when the text came from one.
        path: Option<PathBuf>,
        /// What is wrong, at least one and at most [`PROBLEMS_MAX`], in the order of the keys.
        problems: Vec<Problem>,
        /// How many more there are.
        left_out: usize,
    },
}

impl ConfigError {
    /// Returns the error with the file that the text came from.
    #[must_use]
    pub fn in_file(mut self, file: &Path) -> Self {
        if let Self::Syntax { path, .. } | Self::Invalid { path, .. } = &mut self {
            *path = Some(file.to_owned());
        }
        self
    }
}

fn prefix(path: Option<&Path>) -> String {
    path.map_or_else(String::new, |path| format!("{}: ", path.display()))
}

/// One problem on its own line; several below a line that counts them.
fn listed(problems: &[Problem], left_out: usize) -> String {
    if let ([problem], 0) = (problems, left_out) {
        return problem.to_string();
    }
    let mut text = format!("{} problems", problems.len() + left_out);
    for problem in problems {
        // Writing to a string cannot fail.
        write!(text, "\n{problem}").unwrap_or_default();
    }
    if left_out > 0 {
        write!(text, "\nand {left_out} more").unwrap_or_default();
    }
    text
}

/// One thing that is wrong with a config.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key}: {defect}")]
pub struct Problem {
    /// Where: a key with indices, such as `networks[1][0]`.
    pub key: String,
    /// What.
    pub defect: Defect,
}

/// What is wrong at a key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum Defect {
    /// No config has this key.
    #[error("unknown key; the keys are {}{}", key_list(), did_you_mean(*.nearest))]
    UnknownKey {
        /// The key that is spelt most alike, when one is near.
        nearest: Option<&'static str>,
    },
    /// A key that has to be there is not.
    #[error("missing; expected {expected}")]
    Missing {
        /// What would fit.
        expected: String,
    },
    /// Keys of which exactly one says how it is to be.
    #[error("expected exactly one of {}, got {}", .keys.join(", "), got_keys(.given))]
    NotOne {
        /// The keys to choose from.
        keys: &'static [&'static str],
        /// Those that are there: none, or more than one.
        given: Vec<&'static str>,
    },
    /// A value of the wrong type or out of range.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// What would fit.
        expected: String,
        /// What came, as JSON, cut when long.
        got: String,
    },
    /// An item that stands in a list a second time.
    #[error("{got} is already at {first}; each is used once")]
    Repeated {
        /// The item, as JSON.
        got: String,
        /// Where it stands first.
        first: String,
    },
    /// A model or parameter that the registry does not give.
    #[error("{error}{}", when_far(.error, .fitting))]
    Registry {
        /// What the registry says.
        error: RegistryError,
        /// The models that would fit there.
        fitting: Vec<ModelName>,
    },
    /// A model that cannot stand where it does.
    #[error("{reason}{}", would_fit(.fitting))]
    Misfit {
        /// What it does, and what is needed there.
        reason: String,
        /// The models that would fit there.
        fitting: Vec<ModelName>,
    },
    /// Parameters of a model that the config does not use.
    #[error("the config does not use this model; it uses {}", model_list(.used))]
    UnusedModel {
        /// The models that it uses.
        used: Vec<ModelName>,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean \"{key}\"?"))
}

fn key_list() -> String {
    KEYS.map(|(key, _)| key).join(", ")
}

fn got_keys(given: &[&str]) -> String {
    if given.is_empty() { "none".to_owned() } else { given.join(" and ") }
}

fn would_fit(fitting: &[ModelName]) -> String {
    if fitting.is_empty() {
        "; no model that we know would fit".to_owned()
    } else {
        format!("; models that would fit: {}", model_list(fitting))
    }
}

/// A near name is the better hint; without one the list is the only one.
fn when_far(error: &RegistryError, fitting: &[ModelName]) -> String {
    match error {
        RegistryError::UnknownModel { nearest: None, .. } => would_fit(fitting),
        _ => String::new(),
    }
}

fn model_list(models: &[ModelName]) -> String {
    let names: Vec<&str> = models.iter().take(LISTED_MODELS).map(ModelName::as_str).collect();
    let more = models.len().saturating_sub(LISTED_MODELS);
    if more > 0 { format!("{} and {more} more", names.join(", ")) } else { names.join(", ") }
}

/// Collects problems, so that one look at the message is enough to mend them all.
#[derive(Debug, Default)]
pub(super) struct Problems {
    kept: Vec<Problem>,
    left_out: usize,
}

impl Problems {
    pub(super) fn push(&mut self, key: impl Into<String>, defect: Defect) {
        if self.kept.len() < PROBLEMS_MAX {
            self.kept.push(Problem { key: key.into(), defect });
        } else {
            self.left_out += 1;
        }
    }

    /// Notes that `expected` was needed at `key` and `got` came.
    pub(super) fn unexpected(&mut self, key: impl Into<String>, expected: impl Into<String>, got: &Value) {
        self.push(key, Defect::Unexpected { expected: expected.into(), got: short_json(got) });
    }

    pub(super) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Returns the error of the problems, which are at least one.
    pub(super) fn into_error(self) -> ConfigError {
        ConfigError::Invalid { path: None, problems: self.kept, left_out: self.left_out }
    }
}

/// Returns `value` as JSON of at most 60 characters; a longer text ends in an ellipsis.
pub(super) fn short_json(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        None => text,
        Some(_) => text.chars().take(SHOWN_CHARACTERS - 1).chain(['…']).collect(),
    }
}

/// Returns the address of `name` below `parent`, quoted where a dot or a space would mislead.
pub(super) fn member(parent: &str, name: &str) -> String {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    let name = if is_plain { name.to_owned() } else { Value::from(name).to_string() };
    if parent.is_empty() { name } else { format!("{parent}.{name}") }
}

impl fmt::Display for Syntax {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json => "JSON",
            Self::Toml => "TOML",
        })
    }
}
