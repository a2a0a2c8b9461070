//! What `unet/config.json` says.

use serde::Deserialize;

use super::super::attention::SCORES_MAX;

/// One number for all blocks, or one for each.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(crate) enum PerBlock {
    All(usize),
    Each(Vec<usize>),
}

impl PerBlock {
    fn at(&self, index: usize) -> Option<usize> {
        match self {
            Self::All(value) => Some(*value),
            Self::Each(values) => values.get(index).copied(),
        }
    }
}

/// Why a UNet cannot be built.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key} is {value}, which is not implemented; expected {expected}")]
pub(crate) struct UnetConfigError {
    key: &'static str,
    value: String,
    expected: &'static str,
}

/// `unet/config.json` of Stable Diffusion 1 and 2, their Turbo forms, and SDXL.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct UnetConfig {
    pub(crate) in_channels: usize,
    pub(crate) out_channels: usize,
    pub(crate) block_out_channels: Vec<usize>,
    pub(crate) down_block_types: Vec<String>,
    pub(crate) up_block_types: Vec<String>,
    #[serde(default = "UnetConfig::two")]
    pub(crate) layers_per_block: usize,
    /// Its name is a mistake of diffusers that became part of the format: it counts heads.
    #[serde(default = "UnetConfig::eight")]
    attention_head_dim: PerBlock,
    num_attention_heads: Option<PerBlock>,
    #[serde(default = "UnetConfig::one")]
    transformer_layers_per_block: PerBlock,
    pub(crate) cross_attention_dim: usize,
    #[serde(default)]
    pub(crate) use_linear_projection: bool,
    #[serde(default = "UnetConfig::groups")]
    pub(crate) norm_num_groups: usize,
    #[serde(default = "UnetConfig::epsilon")]
    pub(crate) norm_eps: f64,
    #[serde(default = "UnetConfig::yes")]
    pub(crate) flip_sin_to_cos: bool,
    #[serde(default)]
    pub(crate) freq_shift: f64,
    #[serde(default = "UnetConfig::unit")]
    pub(crate) mid_block_scale_factor: f64,
    #[serde(default = "UnetConfig::padding")]
    pub(crate) downsample_padding: usize,
    pub(crate) addition_embed_type: Option<String>,
    pub(crate) addition_time_embed_dim: Option<usize>,
    pub(crate) projection_class_embeddings_input_dim: Option<usize>,
    #[serde(default)]
    center_input_sample: bool,
    act_fn: Option<String>,
    class_embed_type: Option<String>,
    encoder_hid_dim_type: Option<String>,
    time_cond_proj_dim: Option<usize>,
    #[serde(default)]
    dual_cross_attention: bool,
    #[serde(default)]
    only_cross_attention: bool,
    resnet_time_scale_shift: Option<String>,
    mid_block_type: Option<String>,
}

impl UnetConfig {
    const fn one() -> PerBlock {
        PerBlock::All(1)
    }

    const fn two() -> usize {
        2
    }

    const fn eight() -> PerBlock {
        PerBlock::All(8)
    }

    const fn groups() -> usize {
        32
    }

    const fn epsilon() -> f64 {
        1e-5
    }

    const fn yes() -> bool {
        true
    }

    const fn unit() -> f64 {
        1.0
    }

    const fn padding() -> usize {
        1
    }

    /// Returns how many heads the attention of a block of this index has, counted from the outside.
    pub(crate) fn heads(&self, index: usize) -> usize {
        self.heads_given().at(index).unwrap_or(8)
    }

    fn heads_given(&self) -> &PerBlock {
        self.num_attention_heads.as_ref().unwrap_or(&self.attention_head_dim)
    }

    /// Returns how many transformer layers stand in a place of a block of this index, counted from the outside.
    pub(crate) fn transformer_layers(&self, index: usize) -> usize {
        self.transformer_layers_per_block.at(index).unwrap_or(1)
    }

    /// Returns whether the UNet also looks at the pooled text and the sizes of the picture.
    pub(crate) const fn has_addition(&self) -> bool {
        self.addition_embed_type.is_some()
    }

    /// Returns about how many bytes a step needs for latents of so many places: the widest convolution at full size,
    /// unrolled to its nine neighbours, or the scores of the first attention.
    pub(crate) fn working_bytes(&self, places: usize, batch: usize) -> u64 {
        let outer = self.block_out_channels.first().copied().unwrap_or(0);
        let next = self.block_out_channels.get(1).copied().unwrap_or(outer);
        let convolution = 10 * (outer + next) * places;
        let attending = self.down_block_types.iter().position(|name| name.starts_with("CrossAttn")).unwrap_or(0);
        let places = places >> (2 * attending);
        let scores = 2 * (batch * self.heads(attending) * places * places).min(SCORES_MAX);
        (4 * (batch * convolution).max(scores)) as u64
    }

    /// Refuses what would change the pictures and is not here.
    ///
    /// # Errors
    ///
    /// The first option that is not implemented, or lists of unequal length.
    pub(crate) fn check(&self) -> Result<(), UnetConfigError> {
        let blocks = self.block_out_channels.len();
        let known = |types: &[String], names: [&str; 2]| {
            types.len() == blocks && types.iter().all(|name| names.contains(&name.as_str()))
        };
        let is_default = |value: &Option<String>, default: &str| value.as_ref().is_none_or(|value| value == default);
        let show = |value: &Option<String>| value.clone().unwrap_or_default();
        let checks = [
            ("downsample_padding", self.downsample_padding <= 1, self.downsample_padding.to_string(), "0 or 1"),
            (
                "addition_time_embed_dim",
                self.addition_time_embed_dim.is_none_or(|width| width <= 1 << 16),
                self.addition_time_embed_dim.unwrap_or(0).to_string(),
                "at most 65536",
            ),
            (
                "attention_head_dim",
                (0..blocks).all(|index| self.heads_given().at(index).is_some_and(|count| count > 0)),
                "0, or a list that is too short".to_owned(),
                "a number above 0, for each block",
            ),
            ("block_out_channels", blocks > 0, "an empty list".to_owned(), "at least one block"),
            (
                "down_block_types",
                known(&self.down_block_types, ["DownBlock2D", "CrossAttnDownBlock2D"]),
                self.down_block_types.join(", "),
                "DownBlock2D or CrossAttnDownBlock2D for each block",
            ),
            (
                "up_block_types",
                known(&self.up_block_types, ["UpBlock2D", "CrossAttnUpBlock2D"]),
                self.up_block_types.join(", "),
                "UpBlock2D or CrossAttnUpBlock2D for each block",
            ),
            (
                "mid_block_type",
                is_default(&self.mid_block_type, "UNetMidBlock2DCrossAttn"),
                show(&self.mid_block_type),
                "UNetMidBlock2DCrossAttn",
            ),
            (
                "addition_embed_type",
                is_default(&self.addition_embed_type, "text_time"),
                show(&self.addition_embed_type),
                "text_time or null",
            ),
            ("act_fn", is_default(&self.act_fn, "silu"), show(&self.act_fn), "silu"),
            (
                "resnet_time_scale_shift",
                is_default(&self.resnet_time_scale_shift, "default"),
                show(&self.resnet_time_scale_shift),
                "default",
            ),
            ("class_embed_type", self.class_embed_type.is_none(), show(&self.class_embed_type), "null"),
            ("encoder_hid_dim_type", self.encoder_hid_dim_type.is_none(), show(&self.encoder_hid_dim_type), "null"),
            ("time_cond_proj_dim", self.time_cond_proj_dim.is_none(), "a number".to_owned(), "null"),
            ("dual_cross_attention", !self.dual_cross_attention, "true".to_owned(), "false"),
            ("only_cross_attention", !self.only_cross_attention, "true".to_owned(), "false"),
            ("center_input_sample", !self.center_input_sample, "true".to_owned(), "false"),
        ];
        match checks.into_iter().find(|(_, holds, ..)| !holds) {
            Some((key, _, value, expected)) => Err(UnetConfigError { key, value, expected }),
            None => Ok(()),
        }
    }
}
