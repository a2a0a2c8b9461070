//! The architectures that run natively, by the name that a registry line gives.
//!
//! A family is a way of reading a checkpoint: which files, which keys, which parts in which order. It is known to every
//! build, so that a program without native inference can still say what a name would need.

use std::fmt;

use loopscope_core::experiment::ModelKind;

/// A native architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Family {
    /// Stable Diffusion 1.x, 2.x and SD-Turbo.
    StableDiffusion,
    /// Stable Diffusion XL and SDXL-Turbo.
    StableDiffusionXl,
    /// Stable Diffusion 3 and 3.5.
    StableDiffusion3,
    /// FLUX.1 schnell and dev.
    Flux,
    /// Z-Image and Z-Image-Turbo.
    ZImage,
    /// BLIP captioning.
    Blip,
    /// Moondream 2, in the layouts of early 2024 and of 2025.
    Moondream,
    /// BERT sentence embedders, such as MiniLM.
    Bert,
    /// MPNet sentence embedders.
    Mpnet,
    /// RoBERTa and XLM-RoBERTa sentence embedders.
    Roberta,
    /// Nomic Embed Text 1.5.
    NomicBert,
    /// Qwen3 Embedding.
    Qwen3Embed,
    /// ModernBERT sentence embedders.
    ModernBert,
    /// CLIP, its image side or its text side.
    Clip,
    /// SigLIP, its image side.
    Siglip,
    /// DINOv2.
    Dinov2,
}

impl Family {
    /// All families, captioners after painters, embedders last.
    pub(crate) const ALL: [Self; 16] = [
        Self::StableDiffusion,
        Self::StableDiffusionXl,
        Self::StableDiffusion3,
        Self::Flux,
        Self::ZImage,
        Self::Blip,
        Self::Moondream,
        Self::Bert,
        Self::Mpnet,
        Self::Roberta,
        Self::NomicBert,
        Self::Qwen3Embed,
        Self::ModernBert,
        Self::Clip,
        Self::Siglip,
        Self::Dinov2,
    ];

    /// Returns the word for the family in a registry file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::StableDiffusion => "stable-diffusion",
            Self::StableDiffusionXl => "stable-diffusion-xl",
            Self::StableDiffusion3 => "stable-diffusion-3",
            Self::Flux => "flux",
            Self::ZImage => "z-image",
            Self::Blip => "blip",
            Self::Moondream => "moondream",
            Self::Bert => "bert",
            Self::Mpnet => "mpnet",
            Self::Roberta => "roberta",
            Self::NomicBert => "nomic-bert",
            Self::Qwen3Embed => "qwen3-embed",
            Self::ModernBert => "modernbert",
            Self::Clip => "clip",
            Self::Siglip => "siglip",
            Self::Dinov2 => "dinov2",
        }
    }

    /// Returns the family of the word that [`as_str`](Self::as_str) gives.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.as_str() == word)
    }

    /// Returns the kinds of model that a checkpoint of this family can be, the usual one first; never empty.
    pub(crate) const fn kinds(self) -> &'static [ModelKind] {
        match self {
            Self::StableDiffusion | Self::StableDiffusionXl | Self::StableDiffusion3 | Self::Flux | Self::ZImage => {
                &[ModelKind::TextToImage]
            }
            Self::Blip | Self::Moondream => &[ModelKind::ImageToText],
            Self::Bert | Self::Mpnet | Self::Roberta | Self::NomicBert | Self::Qwen3Embed | Self::ModernBert => {
                &[ModelKind::TextEmbedder]
            }
            Self::Clip => &[ModelKind::ImageEmbedder, ModelKind::TextEmbedder],
            Self::Siglip | Self::Dinov2 => &[ModelKind::ImageEmbedder],
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back_and_every_family_is_a_kind() {
        for family in Family::ALL {
            assert_eq!(Family::from_word(family.as_str()), Some(family));
            assert!(!family.kinds().is_empty());
        }
        assert_eq!(Family::from_word("Bert"), None);
    }
}
