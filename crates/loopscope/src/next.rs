//! Commands that people are told to type next.

use std::path::Path;

use crate::args::Global;

/// The database where nothing names another.
pub(crate) const DEFAULT_DATABASE: &str = "loopscope.sqlite";

impl Global {
    /// Returns a command of this program as people type it here: with the database, where it would not be found.
    pub(crate) fn command(&self, command: &str) -> String {
        let named = std::env::var_os("LOOPSCOPE_DB").filter(|name| !name.is_empty());
        let found = named.as_deref().map_or(Path::new(DEFAULT_DATABASE), Path::new);
        let command = command_with(command, &self.db, found);
        let models = std::env::var_os("LOOPSCOPE_MODELS").filter(|name| !name.is_empty());
        match &self.models {
            Some(path) if models.as_deref() != Some(path.as_os_str()) => {
                format!("{command} --models {}", shell_quoted(&path.to_string_lossy()))
            }
            _ => command,
        }
    }
}

fn command_with(command: &str, database: &Path, found: &Path) -> String {
    if database == found {
        return format!("loopscope {command}");
    }
    format!("loopscope {command} --db {}", shell_quoted(&database.to_string_lossy()))
}

/// Returns a word that every shell reads as the text.
pub(crate) fn shell_quoted(text: &str) -> String {
    let is_plain = |letter: char| letter.is_alphanumeric() || "_./-+,:@%=".contains(letter);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_names_the_database_unless_it_is_found_anyway() {
        let command = |database, found| command_with("doctor", Path::new(database), Path::new(found));
        assert_eq!(command("loopscope.sqlite", "loopscope.sqlite"), "loopscope doctor");
        assert_eq!(command("/data/x.sqlite", "/data/x.sqlite"), "loopscope doctor");
        assert_eq!(command("/data/x.sqlite", "loopscope.sqlite"), "loopscope doctor --db /data/x.sqlite");
        assert_eq!(command("loopscope.sqlite", "/data/x.sqlite"), "loopscope doctor --db loopscope.sqlite");
        assert_eq!(command("my $x.sqlite", "loopscope.sqlite"), "loopscope doctor --db 'my $x.sqlite'");
        assert_eq!(command("it's", "loopscope.sqlite"), r"loopscope doctor --db 'it'\''s'");
    }
}
