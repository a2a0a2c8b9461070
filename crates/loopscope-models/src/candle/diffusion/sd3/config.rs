//! What `transformer/config.json` says of a model of Stable Diffusion 3, and what its sizes give away.

use serde::Deserialize;

/// What diffusers calls the transformer of this family.
const CLASS: &str = "SD3Transformer2DModel";
/// Latents of a place, along each side.
pub(crate) const PATCH: usize = 2;

/// `transformer/config.json`; what it leaves out is as diffusers has it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Sd3Config {
    #[serde(rename = "_class_name")]
    class_name: String,
    patch_size: usize,
    pub(crate) in_channels: usize,
    out_channels: Option<usize>,
    pub(crate) num_layers: usize,
    pub(crate) attention_head_dim: usize,
    pub(crate) num_attention_heads: usize,
    pub(crate) joint_attention_dim: usize,
    caption_projection_dim: usize,
    pub(crate) pooled_projection_dim: usize,
    pos_embed_max_size: Option<usize>,
    dual_attention_layers: Vec<usize>,
    qk_norm: Option<String>,
}

impl Default for Sd3Config {
    fn default() -> Self {
        Self {
            class_name: CLASS.to_owned(),
            patch_size: PATCH,
            in_channels: 16,
            out_channels: Some(16),
            num_layers: 18,
            attention_head_dim: 64,
            num_attention_heads: 18,
            joint_attention_dim: 4096,
            caption_projection_dim: 1152,
            pooled_projection_dim: 2048,
            pos_embed_max_size: Some(96),
            dual_attention_layers: Vec::new(),
            qk_norm: None,
        }
    }
}

impl Sd3Config {
    /// Refuses what is not implemented, and what contradicts itself; the message names the key, what it is and what
    /// would do.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.class_name != CLASS {
            return Err(format!("this is a {}, and family stable-diffusion-3 reads a {CLASS}", self.class_name));
        }
        let norm = self.qk_norm.as_deref().unwrap_or("rms_norm");
        let out_channels = self.out_channels.unwrap_or(self.in_channels);
        let implemented = [
            ("patch_size", self.patch_size == PATCH, self.patch_size.to_string(), PATCH.to_string()),
            ("out_channels", out_channels == self.in_channels, out_channels.to_string(), self.in_channels.to_string()),
            ("qk_norm", norm == "rms_norm", norm.to_owned(), "rms_norm or null".to_owned()),
            ("pos_embed_max_size", self.pos_embed_max_size.is_some(), "null".to_owned(), "a number".to_owned()),
        ];
        if let Some((key, _, value, expected)) = implemented.into_iter().find(|(_, holds, ..)| !holds) {
            return Err(format!("{key} is {value}, which is not implemented; expected {expected}"));
        }
        let width = self.width();
        if width == 0 || self.num_layers == 0 {
            let (layers, heads, head) = (self.num_layers, self.num_attention_heads, self.attention_head_dim);
            return Err(format!(
                "expected layers, and heads of some width, got num_layers {layers}, num_attention_heads {heads}, attention_head_dim {head}"
            ));
        }
        if self.caption_projection_dim != width {
            let got = self.caption_projection_dim;
            return Err(format!(
                "caption_projection_dim: expected {width}, the width of the heads together, got {got}"
            ));
        }
        match self.dual_attention_layers.iter().find(|layer| **layer >= self.num_layers) {
            Some(layer) => Err(format!(
                "dual_attention_layers: expected layers below {}, the num_layers, got {layer}",
                self.num_layers
            )),
            None => Ok(()),
        }
    }

    /// Returns steps and guidance of the model with these sizes, as its authors' card gives them.
    ///
    /// Medium of 3.5 has layers of dual attention, Large has norms of query and key only, and the first 3 Medium
    /// has neither. Large Turbo, distilled to 4 steps without guidance, has the same configuration as Large: nothing in
    /// the files tells, so whoever uses it says so.
    pub(crate) fn defaults(&self) -> (usize, f64) {
        match (self.dual_attention_layers.is_empty(), self.is_normed()) {
            (false, _) => (40, 4.5),
            (true, true) => (28, 3.5),
            (true, false) => (28, 7.0),
        }
    }

    /// Returns how many numbers a place has inside.
    pub(crate) const fn width(&self) -> usize {
        self.num_attention_heads * self.attention_head_dim
    }

    /// Returns how many places there are, along each side, for the largest picture; 0 where the file says none.
    pub(crate) fn places_max(&self) -> usize {
        self.pos_embed_max_size.unwrap_or(0)
    }

    /// Returns whether queries and keys are normed.
    pub(crate) const fn is_normed(&self) -> bool {
        self.qk_norm.is_some()
    }

    /// Returns whether the places of this layer also attend among themselves.
    pub(crate) fn is_dual(&self, layer: usize) -> bool {
        self.dual_attention_layers.contains(&layer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Sd3Config {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn steps_and_guidance_are_those_of_the_card_of_each_size() {
        let medium35 = r#"{"qk_norm": "rms_norm", "dual_attention_layers": [0, 1, 2]}"#;
        for (text, expected) in [(medium35, (40, 4.5)), (r#"{"qk_norm": "rms_norm"}"#, (28, 3.5)), ("{}", (28, 7.0))] {
            let config = config(text);
            assert_eq!(config.check(), Ok(()), "{text}");
            assert_eq!(config.defaults(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_not_implemented_is_refused_by_key() {
        let refuse = |text: &str| config(text).check().unwrap_err();
        let shown = [
            refuse(r#"{"_class_name": "FluxTransformer2DModel"}"#),
            refuse(r#"{"patch_size": 4}"#),
            refuse(r#"{"num_layers": 0}"#),
            refuse(r#"{"num_attention_heads": 0}"#),
            refuse(r#"{"out_channels": 32}"#),
            refuse(r#"{"qk_norm": "layer_norm"}"#),
            refuse(r#"{"caption_projection_dim": 1536}"#),
            refuse(r#"{"num_layers": 4, "dual_attention_layers": [0, 4]}"#),
            refuse(r#"{"pos_embed_max_size": null}"#),
        ];
        insta::assert_snapshot!(shown.join("\n"));
    }
}
