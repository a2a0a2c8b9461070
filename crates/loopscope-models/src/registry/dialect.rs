//! What servers differ in, though all of them call it OpenAI's API.

use std::fmt;

use loopscope_core::experiment::ModelKind;

/// Whose reading of the API a server follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Dialect {
    /// OpenAI itself.
    OpenAi,
    /// vLLM, and vLLM-Omni for pictures.
    Vllm,
    /// SGLang, and SGLang Diffusion for pictures.
    Sglang,
    /// LocalAI.
    LocalAi,
    /// Ollama.
    Ollama,
    /// OpenRouter.
    OpenRouter,
}

impl Dialect {
    /// All dialects, in the order in which lists show them.
    pub(crate) const ALL: [Self; 6] =
        [Self::OpenAi, Self::Vllm, Self::Sglang, Self::LocalAi, Self::Ollama, Self::OpenRouter];

    /// Returns the word in `models.toml`.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LocalAi => "localai",
            Self::Ollama => "ollama",
            Self::OpenRouter => "openrouter",
        }
    }

    /// Returns the dialect of a word.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.as_str() == word)
    }

    /// Returns the server's own name, for what it does with models of this kind.
    pub(crate) const fn server(self, kind: ModelKind) -> &'static str {
        let paints = matches!(kind, ModelKind::TextToImage);
        match self {
            Self::OpenAi => "OpenAI",
            Self::Vllm if paints => "vLLM-Omni",
            Self::Vllm => "vLLM",
            Self::Sglang if paints => "SGLang Diffusion",
            Self::Sglang => "SGLang",
            Self::LocalAi => "LocalAI",
            Self::Ollama => "Ollama",
            Self::OpenRouter => "OpenRouter",
        }
    }

    /// Returns where the server answers unless told otherwise.
    pub(crate) const fn usual_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Vllm => "http://127.0.0.1:8000/v1",
            Self::Sglang => "http://127.0.0.1:30000/v1",
            Self::LocalAi => "http://127.0.0.1:8080/v1",
            Self::Ollama => "http://127.0.0.1:11434/v1",
            Self::OpenRouter => "https://openrouter.ai/api/v1",
        }
    }

    /// Returns the environment variable that usually holds the key, for servers that want one.
    pub(crate) const fn usual_key(self) -> Option<&'static str> {
        match self {
            Self::OpenAi => Some("OPENAI_API_KEY"),
            Self::OpenRouter => Some("OPENROUTER_API_KEY"),
            Self::Vllm | Self::Sglang | Self::LocalAi | Self::Ollama => None,
        }
    }

    /// Returns whether the program can ask such a server for a model of this kind.
    pub(crate) const fn serves(self, kind: ModelKind) -> bool {
        match kind {
            ModelKind::TextToImage | ModelKind::ImageToText | ModelKind::TextEmbedder => true,
            // Of pictures, the API has no embeddings; these two servers have them all the same, each its own way.
            ModelKind::ImageEmbedder => matches!(self, Self::Vllm | Self::Sglang),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
