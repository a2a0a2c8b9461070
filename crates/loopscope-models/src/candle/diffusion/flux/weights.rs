//! Layers of FLUX.1 from any of its published forms.

use std::sync::Arc;

use candle_core::quantized::QMatMul;
use candle_core::{DType, Device, Module, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::quantized_var_builder::VarBuilder as GgufBuilder;

use super::keys;

/// Where weights come from; asked by the authors' names.
#[derive(Clone)]
pub(crate) enum Source<'a> {
    /// `transformer/` of a published pipeline.
    Diffusers(VarBuilder<'a>),
    /// The authors' single file.
    Original(VarBuilder<'a>),
    /// A GGUF file of the authors' names; its matrices stay quantized, and everything is computed in single precision.
    Gguf(GgufBuilder),
}

/// A linear map, quantized or not.
pub(crate) struct Layer {
    weight: Weight,
    bias: Option<Tensor>,
}

enum Weight {
    /// Transposed and contiguous: (inputs, outputs).
    Dense(Tensor),
    Quantized(QMatMul),
}

impl Source<'_> {
    /// Returns what the transformer computes in.
    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Diffusers(weights) | Self::Original(weights) => weights.dtype(),
            Self::Gguf(_) => DType::F32,
        }
    }

    /// Returns whether there is a guidance embedder, which only the dev model has.
    pub(crate) fn has_guidance(&self) -> bool {
        match self {
            Self::Diffusers(weights) => weights.contains_tensor("time_text_embed.guidance_embedder.linear_1.weight"),
            Self::Original(weights) => weights.contains_tensor("guidance_in.in_layer.weight"),
            Self::Gguf(weights) => weights.get_no_shape("guidance_in.in_layer.weight").is_ok(),
        }
    }

    /// Returns a linear map.
    ///
    /// # Errors
    ///
    /// A weight that is missing, or a shape that is not (`outputs`, `inputs`).
    pub(crate) fn linear(&self, name: &str, inputs: usize, outputs: usize) -> Result<Layer> {
        let (weight, bias) = match self {
            Self::Diffusers(weights) => {
                let weight = stacked(weights, name, "weight", Some(inputs))?;
                let bias = stacked(weights, name, "bias", None)?;
                expect_shape(name, &weight, &[outputs, inputs])?;
                (weight, bias)
            }
            Self::Original(weights) => {
                let layer = weights.pp(name);
                (layer.get((outputs, inputs), "weight")?, layer.get(outputs, "bias")?)
            }
            Self::Gguf(weights) => {
                let weight = weights.get((outputs, inputs), &format!("{name}.weight"))?;
                let bias = dequantized(weights.get(outputs, &format!("{name}.bias"))?, weights.device())?;
                return Ok(Layer { weight: Weight::Quantized(QMatMul::from_arc(weight)?), bias: Some(bias) });
            }
        };
        Ok(Layer { weight: Weight::Dense(weight.t()?.contiguous()?), bias: Some(bias) })
    }

    /// Returns the scale of a norm, such as `double_blocks.0.img_attn.norm.query_norm`.
    pub(crate) fn scale(&self, name: &str, width: usize) -> Result<Tensor> {
        match self {
            Self::Diffusers(weights) => {
                let scale = stacked(weights, name, "weight", None)?;
                expect_shape(name, &scale, &[width])?;
                Ok(scale)
            }
            Self::Original(weights) => weights.pp(name).get(width, "scale"),
            Self::Gguf(weights) => dequantized(weights.get(width, &format!("{name}.scale"))?, weights.device()),
        }
    }
}

impl Layer {
    /// `states` (batch, n, inputs) or (batch, inputs).
    pub(crate) fn forward(&self, states: &Tensor) -> Result<Tensor> {
        let product = match &self.weight {
            Weight::Quantized(weight) => weight.forward(&states.contiguous()?)?,
            Weight::Dense(weight) => {
                let (inputs, outputs) = weight.dims2()?;
                let mut shape = states.dims().to_vec();
                shape.pop();
                let rows = shape.iter().product::<usize>();
                shape.push(outputs);
                states.contiguous()?.reshape((rows, inputs))?.matmul(weight)?.reshape(shape)?
            }
        };
        match &self.bias {
            Some(bias) => product.broadcast_add(bias),
            None => Ok(product),
        }
    }
}

fn dequantized(tensor: Arc<candle_core::quantized::QTensor>, device: &Device) -> Result<Tensor> {
    tensor.dequantize(device)
}

/// Returns a weight of the authors' layout from that of diffusers.
pub(crate) fn stacked(weights: &VarBuilder<'_>, layer: &str, kind: &str, inputs: Option<usize>) -> Result<Tensor> {
    let Some(parts) = keys::parts(layer) else { candle_core::bail!("FLUX.1 has no layer {layer}") };
    let one = |name: &String| {
        let tensor = weights.get_unchecked(&format!("{name}.{kind}"))?;
        let fits = inputs.is_none_or(|inputs| tensor.dims().get(1) == Some(&inputs));
        if !fits {
            candle_core::bail!("{name}.{kind}: expected {inputs:?} inputs, got shape {:?}", tensor.dims());
        }
        Ok(tensor)
    };
    let tensors = parts.names.iter().map(one).collect::<Result<Vec<_>>>()?;
    let whole = if tensors.len() == 1 { tensors[0].clone() } else { Tensor::cat(&tensors, 0)? };
    if !parts.swapped {
        return Ok(whole);
    }
    let halves = whole.chunk(2, 0)?;
    Tensor::cat(&[&halves[1], &halves[0]], 0)
}

fn expect_shape(name: &str, tensor: &Tensor, shape: &[usize]) -> Result<()> {
    if tensor.dims() != shape {
        candle_core::bail!("{name}: expected shape {shape:?}, got {:?}", tensor.dims());
    }
    Ok(())
}

/// Returns the layers of a transformer in the authors' layout, and what each has.
#[cfg(test)]
pub(crate) fn original_names(config: &super::FluxConfig) -> Vec<(String, &'static [&'static str])> {
    const LINEAR: &[&str] = &["weight", "bias"];
    const NORM: &[&str] = &["scale"];
    let mut names = vec!["img_in", "txt_in", "final_layer.linear", "final_layer.adaLN_modulation.1"]
        .into_iter()
        .map(str::to_owned)
        .collect::<Vec<_>>();
    for embedder in ["time_in", "vector_in", "guidance_in"] {
        if embedder != "guidance_in" || config.guidance_embeds {
            names.extend(["in_layer", "out_layer"].map(|layer| format!("{embedder}.{layer}")));
        }
    }
    let mut norms = Vec::new();
    for index in 0..config.num_layers {
        for side in ["img", "txt"] {
            let block = format!("double_blocks.{index}.{side}");
            names
                .extend(["mod.lin", "attn.qkv", "attn.proj", "mlp.0", "mlp.2"].map(|layer| format!("{block}_{layer}")));
            norms.extend(["query_norm", "key_norm"].map(|norm| format!("{block}_attn.norm.{norm}")));
        }
    }
    for index in 0..config.num_single_layers {
        let block = format!("single_blocks.{index}");
        names.extend(["modulation.lin", "linear1", "linear2"].map(|layer| format!("{block}.{layer}")));
        norms.extend(["query_norm", "key_norm"].map(|norm| format!("{block}.norm.{norm}")));
    }
    let linear = names.into_iter().map(|name| (name, LINEAR));
    linear.chain(norms.into_iter().map(|name| (name, NORM))).collect()
}
