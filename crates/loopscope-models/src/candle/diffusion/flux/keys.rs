//! The names of FLUX.1's weights in its two published layouts.
//!
//! The authors' own file and every GGUF made of it hold query, key and value as one matrix; diffusers' layout holds them
//! apart and calls everything otherwise. The transformer asks by the authors' names.

/// What makes up a weight of the authors' layout in that of diffusers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Names in diffusers' layout, to be stacked along the outputs.
    pub(crate) names: Vec<String>,
    /// Whether the two halves of the outputs stand in the other order: scale and shift, not shift and scale.
    pub(crate) swapped: bool,
}

/// Returns the parts of a layer, such as `double_blocks.3.img_attn.qkv`; `None` for one that does not exist.
pub(crate) fn parts(layer: &str) -> Option<Parts> {
    let whole = |name: String| Some(Parts { names: vec![name], swapped: false });
    match layer {
        "img_in" => return whole("x_embedder".to_owned()),
        "txt_in" => return whole("context_embedder".to_owned()),
        "final_layer.linear" => return whole("proj_out".to_owned()),
        "final_layer.adaLN_modulation.1" => {
            return Some(Parts { names: vec!["norm_out.linear".to_owned()], swapped: true });
        }
        _ => {}
    }
    let (block, rest) = layer.split_once('.')?;
    match block {
        "time_in" => whole(format!("time_text_embed.timestep_embedder.{}", embedder(rest)?)),
        "guidance_in" => whole(format!("time_text_embed.guidance_embedder.{}", embedder(rest)?)),
        "vector_in" => whole(format!("time_text_embed.text_embedder.{}", embedder(rest)?)),
        "double_blocks" => {
            let (index, rest) = rest.split_once('.')?;
            Some(double(&format!("transformer_blocks.{index}"), rest)?)
        }
        "single_blocks" => {
            let (index, rest) = rest.split_once('.')?;
            Some(single(&format!("single_transformer_blocks.{index}"), rest)?)
        }
        _ => None,
    }
}

fn embedder(rest: &str) -> Option<&'static str> {
    match rest {
        "in_layer" => Some("linear_1"),
        "out_layer" => Some("linear_2"),
        _ => None,
    }
}

fn stacked(block: &str, names: &[&str]) -> Parts {
    Parts { names: names.iter().map(|name| format!("{block}.{name}")).collect(), swapped: false }
}

fn double(block: &str, rest: &str) -> Option<Parts> {
    let names: &[&str] = match rest {
        "img_mod.lin" => &["norm1.linear"],
        "txt_mod.lin" => &["norm1_context.linear"],
        "img_attn.qkv" => &["attn.to_q", "attn.to_k", "attn.to_v"],
        "txt_attn.qkv" => &["attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"],
        "img_attn.norm.query_norm" => &["attn.norm_q"],
        "img_attn.norm.key_norm" => &["attn.norm_k"],
        "txt_attn.norm.query_norm" => &["attn.norm_added_q"],
        "txt_attn.norm.key_norm" => &["attn.norm_added_k"],
        "img_attn.proj" => &["attn.to_out.0"],
        "txt_attn.proj" => &["attn.to_add_out"],
        "img_mlp.0" => &["ff.net.0.proj"],
        "img_mlp.2" => &["ff.net.2"],
        "txt_mlp.0" => &["ff_context.net.0.proj"],
        "txt_mlp.2" => &["ff_context.net.2"],
        _ => return None,
    };
    Some(stacked(block, names))
}

fn single(block: &str, rest: &str) -> Option<Parts> {
    let names: &[&str] = match rest {
        "modulation.lin" => &["norm.linear"],
        "linear1" => &["attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"],
        "linear2" => &["proj_out"],
        "norm.query_norm" => &["attn.norm_q"],
        "norm.key_norm" => &["attn.norm_k"],
        _ => return None,
    };
    Some(stacked(block, names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_have_their_parts() {
        let names = |layer: &str| parts(layer).unwrap().names.join(" ");
        assert_eq!(names("img_in"), "x_embedder");
        assert_eq!(names("guidance_in.out_layer"), "time_text_embed.guidance_embedder.linear_2");
        assert_eq!(
            names("double_blocks.3.txt_attn.qkv"),
            "transformer_blocks.3.attn.add_q_proj transformer_blocks.3.attn.add_k_proj transformer_blocks.3.attn.add_v_proj"
        );
        assert_eq!(names("single_blocks.11.norm.key_norm"), "single_transformer_blocks.11.attn.norm_k");
        assert!(parts("final_layer.adaLN_modulation.1").unwrap().swapped);
        assert!(!parts("single_blocks.0.modulation.lin").unwrap().swapped);
        assert_eq!(parts("single_blocks.0.linear3"), None);
        assert_eq!(parts("vae"), None);
    }
}
