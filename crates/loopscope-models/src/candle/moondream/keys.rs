//! The names of Moondream's weights: those of 2025 are what we ask for, and those of 2024 are read as them.

use std::borrow::Cow;

/// A name of 2024, and the part that stands for it since 2025; the first that fits counts.
const BEGINNINGS: [(&str, &str); 9] = [
    ("vision_encoder.encoder.model.visual.patch_embed.linear.", "vision.patch_emb."),
    ("vision_encoder.encoder.model.visual.pos_embed", "vision.pos_emb"),
    ("vision_encoder.encoder.model.visual.norm.", "vision.post_ln."),
    ("vision_encoder.encoder.model.visual.blocks.", "vision.blocks."),
    ("vision_encoder.projection.mlp.", "vision.proj_mlp."),
    ("text_model.transformer.embd.wte.weight", "text.wte"),
    ("text_model.transformer.h.", "text.blocks."),
    ("text_model.lm_head.ln.", "text.post_ln."),
    ("text_model.lm_head.linear.", "text.lm_head."),
];

/// Parts of a block that were renamed.
const PARTS: [(&str, &str); 4] =
    [(".norm1.", ".ln1."), (".norm2.", ".ln2."), (".mixer.Wqkv.", ".attn.qkv."), (".mixer.out_proj.", ".attn.proj.")];

/// Returns what we call a stored tensor; `None` for those that find places in a picture, which captions do not need.
pub(super) fn ours(stored: &str) -> Option<Cow<'_, str>> {
    if let Some(name) = stored.strip_prefix("model.") {
        return (!name.starts_with("region.")).then_some(Cow::Borrowed(name));
    }
    if stored.starts_with("region_model.") || stored.starts_with("region.") {
        return None;
    }
    let Some((old, new)) = BEGINNINGS.iter().find(|(old, _)| stored.starts_with(old)) else {
        return Some(Cow::Borrowed(stored));
    };
    let mut name = stored.replacen(old, new, 1);
    for (old, new) in PARTS {
        name = name.replacen(old, new, 1);
    }
    Some(Cow::Owned(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_have_one_set_of_names() {
        for (old, new) in [
            ("vision_encoder.encoder.model.visual.patch_embed.linear.bias", "vision.patch_emb.bias"),
            ("vision_encoder.encoder.model.visual.pos_embed", "vision.pos_emb"),
            ("vision_encoder.encoder.model.visual.norm.weight", "vision.post_ln.weight"),
            ("vision_encoder.encoder.model.visual.blocks.26.norm2.bias", "vision.blocks.26.ln2.bias"),
            ("vision_encoder.encoder.model.visual.blocks.0.attn.proj.weight", "vision.blocks.0.attn.proj.weight"),
            ("vision_encoder.projection.mlp.fc2.weight", "vision.proj_mlp.fc2.weight"),
            ("text_model.transformer.embd.wte.weight", "text.wte"),
            ("text_model.transformer.h.7.mixer.Wqkv.bias", "text.blocks.7.attn.qkv.bias"),
            ("text_model.transformer.h.7.mixer.out_proj.bias", "text.blocks.7.attn.proj.bias"),
            ("text_model.lm_head.ln.weight", "text.post_ln.weight"),
            ("text_model.lm_head.linear.weight", "text.lm_head.weight"),
        ] {
            assert_eq!(ours(old).unwrap(), new);
            assert_eq!(ours(&format!("model.{new}")).unwrap(), new);
            assert_eq!(ours(new).unwrap(), new);
        }
        for unused in ["model.region.coord_encoder.weight", "region_model.size_encoder.bias", "region.coord_features"] {
            assert_eq!(ours(unused), None);
        }
    }
}
