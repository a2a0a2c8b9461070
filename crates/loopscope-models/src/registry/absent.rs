//! Models that are known and not here: why, who serves them, and what to write to have them.

use loopscope_core::backend::RegistryError;
use loopscope_core::experiment::{ModelKind, ModelName};

use super::catalogue::Known;
use super::dialect::Dialect;

/// Why a name cannot be called here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Absence {
    /// Only servers run it.
    NotNative,
    /// It is native, but this build has no native models.
    NotInThisBuild,
    /// It is native, and its files are not here.
    NotDownloaded,
    /// Its files are here, and something is wrong with them.
    Broken(String),
    /// The variable that holds its server's key is not set.
    NoKey { variable: String },
    /// It is at a server, and this build calls none.
    NoRemote,
}

/// What is known of an absent model.
pub(crate) struct Absent<'a> {
    pub(crate) name: &'a ModelName,
    pub(crate) kind: ModelKind,
    /// What the catalogue says of the name.
    pub(crate) known: Option<&'static Known>,
    pub(crate) absence: Absence,
}

impl Absent<'_> {
    pub(crate) fn into_error(self) -> RegistryError {
        RegistryError::NotHere {
            name: self.name.clone(),
            kind: self.kind,
            reason: self.reason(),
            remedy: self.remedy(),
        }
    }

    /// Returns why, in one line.
    pub(crate) fn reason(&self) -> String {
        let why = match &self.absence {
            Absence::NotNative => match self.known {
                Some(known) => known.why_not_native.to_owned(),
                None => "it has no backend".to_owned(),
            },
            Absence::NotInThisBuild => "this build has no native models".to_owned(),
            Absence::NotDownloaded => "its files are not downloaded".to_owned(),
            Absence::Broken(error) => error.clone(),
            Absence::NoKey { variable } => return format!("the environment variable {variable}, its key, is not set"),
            Absence::NoRemote => return "this build calls no servers; build it with the feature `http`".to_owned(),
        };
        match self.known {
            Some(known) => format!("{why}; {}", served(known)),
            None => why,
        }
    }

    /// Returns what to type or to write.
    pub(crate) fn remedy(&self) -> String {
        let mut lines = Vec::new();
        match &self.absence {
            Absence::NoKey { variable } => lines.push(format!("export {variable}=… and try again")),
            Absence::NoRemote => lines.push("cargo build --release --features http".to_owned()),
            Absence::NotInThisBuild => {
                lines.push("build it with `cargo build --release --features candle,hub`".to_owned());
            }
            Absence::NotDownloaded => lines.push(format!("`loopscope model pull {}` downloads it", self.name)),
            Absence::Broken(_) if self.known.is_some_and(|known| known.family.is_some()) => {
                lines.push(format!("`loopscope model pull {}` downloads it", self.name));
            }
            Absence::NotNative | Absence::Broken(_) => {}
        }
        if let Some(known) = self.known
            && let Some(dialect) = known.servers.first()
            && !matches!(self.absence, Absence::NoKey { .. } | Absence::NoRemote)
        {
            let before = if lines.is_empty() { "" } else { "or " };
            lines.push(format!("{before}have a server run it, and write into models.toml:"));
            lines.push(remote_lines(known, *dialect));
        }
        if lines.is_empty() {
            lines.push("`loopscope model list --installed` shows what is here".to_owned());
        }
        lines.join("\n")
    }
}

/// Says which servers run a model.
pub(crate) fn served(known: &Known) -> String {
    let names: Vec<&str> = known.servers.iter().map(|dialect| dialect.server(known.kind)).collect();
    match names.as_slice() {
        [] => "no server that this program speaks with is known to run it".to_owned(),
        [one] => format!("{one} serves it"),
        [rest @ .., last] => format!("{} and {last} serve it", rest.join(", ")),
    }
}

/// Returns the lines of `models.toml` that put a name at a server.
pub(crate) fn remote_lines(known: &Known, dialect: Dialect) -> String {
    let (word, url, name) = (dialect.as_str(), dialect.usual_url(), known.name);
    let key = dialect.usual_key().map(|key| format!("\n  key_env = \"{key}\"")).unwrap_or_default();
    // Servers of checkpoints call a model by its repository; the others have names of their own.
    let model = match dialect {
        Dialect::Vllm | Dialect::Sglang => format!("\"{}\"", known.repository),
        _ => format!("\"{}\"  # whatever the server calls it", known.repository),
    };
    format!(
        "  [endpoints.{word}]\n  dialect = \"{word}\"\n  url = \"{url}\"{key}\n\n  [models.{name}]\n  endpoint = \"{word}\"\n  model = {model}"
    )
}
