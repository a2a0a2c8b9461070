//! From a file to a config.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use super::{ConfigError, GivenConfig, Syntax, parse_config};

/// The most bytes that a config may have; a longer file is something else.
const BYTES_MAX: u64 = 64 << 20;

/// Reads the config in a file.
///
/// The extension `.json` or `.toml` says what it is; with another one, or none, a text that starts with `{` is JSON
/// and any other is TOML.
///
/// # Errors
///
/// [`ConfigError`] with the path, whatever is wrong.
pub fn read_config(path: &Path) -> Result<GivenConfig, ConfigError> {
    let text = read_text(path, BYTES_MAX)?;
    parse_config(&text, syntax_of(path, &text)).map_err(|error| error.in_file(path))
}

pub(super) fn read_text(path: &Path, bytes_max: u64) -> Result<String, ConfigError> {
    let mut bytes = Vec::new();
    let unreadable = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound => ConfigError::Missing { path: path.to_owned() },
        io::ErrorKind::IsADirectory => ConfigError::Directory { path: path.to_owned() },
        _ => ConfigError::Unreadable { path: path.to_owned(), source },
    };
    if path.is_dir() {
        return Err(ConfigError::Directory { path: path.to_owned() });
    }
    // One byte more than allowed tells a longer file, and a pipe without end cannot fill the memory.
    File::open(path).and_then(|file| file.take(bytes_max + 1).read_to_end(&mut bytes)).map_err(unreadable)?;
    if bytes.len() as u64 > bytes_max {
        return Err(ConfigError::TooLarge { path: path.to_owned(), bytes_max });
    }
    String::from_utf8(bytes)
        .map_err(|error| ConfigError::NotUtf8 { path: path.to_owned(), offset: error.utf8_error().valid_up_to() })
}

fn syntax_of(path: &Path, text: &str) -> Syntax {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    let text = text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace());
    match extension.as_deref() {
        Some("json") => Syntax::Json,
        Some("toml") => Syntax::Toml,
        _ if text.starts_with('{') => Syntax::Json,
        _ => Syntax::Toml,
    }
}
