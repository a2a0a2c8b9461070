//! What a list says of each model, whether or not it is here.

use loopscope_core::experiment::{ModelKind, ModelName};

/// Whether a model can be called here, and if not, what is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It can be called.
    Ready,
    /// It runs in this process once its files are downloaded.
    NotDownloaded,
    /// It runs in this process of another build.
    NotInThisBuild,
    /// Its server wants a key that is not set.
    NoKey,
    /// Its files are here, and do not read.
    Broken,
    /// Only a server can run it, and none is named for it.
    NeedsServer,
    /// Nothing that this program knows of runs it.
    NoBackend,
}

impl State {
    /// Returns the word for lists and JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::NotDownloaded => "not downloaded",
            Self::NotInThisBuild => "not in this build",
            Self::NoKey => "no key",
            Self::Broken => "broken",
            Self::NeedsServer => "needs a server",
            Self::NoBackend => "no backend",
        }
    }
}

/// A model of the registry.
#[derive(Clone, Debug, PartialEq)]
pub struct Listing {
    /// Its name in configs.
    pub name: ModelName,
    /// What it takes and gives.
    pub kind: ModelKind,
    /// Whether it can be called.
    pub state: State,
    /// Why not, in one line; empty when it can.
    pub reason: String,
    /// What to do about it; empty when nothing is to be done.
    pub remedy: String,
    /// `dummy`, `candle` or `http`; what would run it where it is not here.
    pub backend: &'static str,
    /// The native architecture, if it has one.
    pub family: Option<&'static str>,
    /// The model hub's repository, where one is known.
    pub repository: Option<String>,
    /// The revision that is asked for.
    pub revision: Option<String>,
    /// Whether that revision is a commit, which cannot move.
    pub is_pinned: bool,
    /// The terms, in the words of the model card.
    pub licence: Option<&'static str>,
    /// Whether the terms must be accepted before a download.
    pub is_gated: bool,
    /// Estimated bytes of a download.
    pub download_bytes: Option<u64>,
    /// Estimated bytes of memory in this process; next to nothing for a model at a server.
    pub memory_bytes: u64,
    /// Servers that run it.
    pub servers: Vec<&'static str>,
    /// One line for people.
    pub about: String,
}

/// What a model costs, as the models file says.
#[derive(Clone, Debug, PartialEq)]
pub struct Price {
    /// A call, whatever it is.
    pub per_call: Option<f64>,
    /// A million tokens of input.
    pub per_million_input_tokens: Option<f64>,
    /// A million tokens of output.
    pub per_million_output_tokens: Option<f64>,
    /// The currency of all of them.
    pub currency: String,
}
