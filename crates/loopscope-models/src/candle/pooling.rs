//! From the rows of a text to its vector, as sentence-transformers does: pooling, dense layers, length 1.
//!
//! Which steps there are stands in `modules.json`; a model without that file gives the mean of its rows.

use std::ops::Range;

use candle_core::{DType, Device, Tensor};
use loopscope_core::backend::ModelError;
use serde::Deserialize;

use super::device::Placement;
use super::encoder::Parts;
use super::files::Files;
use super::kernels::{Activation, Threads};
use super::ops::{self, Linear};
use super::weights::{Weights, as_stored, shards};

/// The file that lists the steps.
pub(crate) const MODULES: &str = "modules.json";

/// A way to make one row of many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Pooling {
    #[serde(rename = "cls")]
    First,
    #[serde(rename = "max")]
    Largest,
    #[serde(rename = "mean")]
    Mean,
    #[serde(rename = "mean_sqrt_len_tokens")]
    MeanOfRoot,
    #[serde(rename = "weightedmean")]
    Weighted,
    #[serde(rename = "lasttoken")]
    Last,
}

/// What is done after the transformer.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Pool(Vec<Pooling>),
    Dense(Linear, Activation),
    Normalize,
}

#[derive(Deserialize)]
struct Module {
    path: String,
    #[serde(rename = "type")]
    class: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Modes {
    One(Pooling),
    Many(Vec<Pooling>),
}

/// Keys of sentence-transformers 6 and of those before it.
#[derive(Deserialize)]
struct PoolingConfig {
    pooling_mode: Option<Modes>,
    #[serde(default)]
    pooling_mode_cls_token: bool,
    #[serde(default)]
    pooling_mode_max_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_tokens: bool,
    #[serde(default)]
    pooling_mode_mean_sqrt_len_tokens: bool,
    #[serde(default)]
    pooling_mode_weightedmean_tokens: bool,
    #[serde(default)]
    pooling_mode_lasttoken: bool,
    #[serde(default = "yes")]
    include_prompt: bool,
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
struct DenseConfig {
    in_features: usize,
    out_features: usize,
    #[serde(default = "yes")]
    bias: bool,
    #[serde(default)]
    activation_function: String,
    #[serde(default)]
    use_residual: bool,
}

impl PoolingConfig {
    fn modes(self) -> Vec<Pooling> {
        match self.pooling_mode {
            Some(Modes::One(mode)) => return vec![mode],
            Some(Modes::Many(modes)) => return modes,
            None => {}
        }
        let flags = [
            (self.pooling_mode_cls_token, Pooling::First),
            (self.pooling_mode_max_tokens, Pooling::Largest),
            (self.pooling_mode_mean_tokens, Pooling::Mean),
            (self.pooling_mode_mean_sqrt_len_tokens, Pooling::MeanOfRoot),
            (self.pooling_mode_weightedmean_tokens, Pooling::Weighted),
            (self.pooling_mode_lasttoken, Pooling::Last),
        ];
        let modes: Vec<Pooling> = flags.into_iter().filter_map(|(is_on, mode)| is_on.then_some(mode)).collect();
        if modes.is_empty() { vec![Pooling::Mean] } else { modes }
    }
}

/// The steps of a model, and the files that they were read from.
pub(crate) struct Steps {
    pub(crate) steps: Vec<Step>,
    pub(crate) files: Vec<String>,
    /// Numbers in the vector after the last step.
    pub(crate) dimension: usize,
}

/// Reads the steps after the transformer, whose rows have `width` numbers.
///
/// # Errors
///
/// [`ModelError`] that names the file, and the module when it is one that we do not have.
pub(crate) fn read(files: &Files<'_>, width: usize) -> Result<Steps, ModelError> {
    let Some(modules) = files.json_if_there::<Vec<Module>>(MODULES)? else {
        return Ok(Steps { steps: vec![Step::Pool(vec![Pooling::Mean])], files: Vec::new(), dimension: width });
    };
    let mut read = Steps { steps: Vec::new(), files: vec![MODULES.to_owned()], dimension: width };
    for module in &modules {
        let class = module.class.rsplit('.').next().unwrap_or(&module.class);
        let config = format!("{}/config.json", module.path);
        match class {
            "Transformer" if module.path.is_empty() => {}
            "Transformer" => {
                return Err(
                    files.error(MODULES, format!("its transformer lies in {}, expected beside it", module.path))
                );
            }
            "Pooling" | "Dense" | "Normalize" if (class == "Pooling") != read.steps.is_empty() => {
                let what =
                    format!("module {} is out of place: expected one Pooling, then Dense and Normalize", module.class);
                return Err(files.error(MODULES, what));
            }
            "Pooling" => {
                let pooling: PoolingConfig = files.json(&config)?;
                if !pooling.include_prompt {
                    return Err(files.error(&config, "include_prompt is false, which is not supported"));
                }
                let modes = pooling.modes();
                read.dimension = width * modes.len();
                read.steps.push(Step::Pool(modes));
                read.files.push(config);
            }
            "Dense" => read.dense(files, &module.path, &config)?,
            "Normalize" => read.steps.push(Step::Normalize),
            _ => return Err(files.error(MODULES, format!("module {} is not supported", module.class))),
        }
    }
    if read.steps.is_empty() {
        return Err(files.error(MODULES, "no module pools the rows of a text into one"));
    }
    Ok(read)
}

impl Steps {
    fn dense(&mut self, files: &Files<'_>, path: &str, config_file: &str) -> Result<(), ModelError> {
        let config: DenseConfig = files.json(config_file)?;
        if config.use_residual {
            return Err(files.error(config_file, "use_residual is true, which is not supported"));
        }
        if config.in_features != self.dimension {
            let (expected, got) = (self.dimension, config.in_features);
            let what = format!("in_features: expected {expected}, as the step before gives, got {got}");
            return Err(files.error(config_file, what));
        }
        let activation = match config.activation_function.rsplit('.').next().unwrap_or("") {
            "Identity" => Activation::Identity,
            "Tanh" => Activation::Tanh,
            "GELU" => Activation::Gelu,
            "ReLU" => Activation::Relu,
            "SiLU" => Activation::Silu,
            other => {
                let what = format!("activation_function: expected Identity, Tanh, GELU, ReLU or SiLU, got {other:?}");
                return Err(files.error(config_file, what));
            }
        };
        // One vector a text: not worth a trip to a device.
        let placement = Placement { device: Device::Cpu, dtype: DType::F32 };
        let weights = Weights::open(files, &format!("{path}/model"), &placement, as_stored)?;
        let linear = Parts(&weights).linear("linear", [config.in_features, config.out_features], config.bias)?;
        self.dimension = config.out_features;
        self.steps.push(Step::Dense(linear, activation));
        self.files.push(config_file.to_owned());
        self.files.extend(shards(files, &format!("{path}/model"))?);
        Ok(())
    }
}

/// Returns the vectors of sequences from their rows of `width` numbers.
///
/// # Errors
///
/// When a dense layer fails.
pub(crate) fn apply(
    steps: &[Step],
    rows: &[f32],
    width: usize,
    sequences: &[Range<usize>],
) -> candle_core::Result<Vec<Vec<f32>>> {
    let mut vectors: Vec<Vec<f32>> = Vec::new();
    for step in steps {
        match step {
            Step::Pool(modes) => {
                let of = |sequence: &Range<usize>| {
                    let rows = &rows[sequence.start * width..sequence.end * width];
                    modes.iter().flat_map(|mode| pool(rows, width, *mode)).collect()
                };
                vectors = sequences.iter().map(of).collect();
            }
            Step::Dense(linear, activation) => {
                for vector in &mut vectors {
                    let row = Tensor::from_slice(vector.as_slice(), (1, vector.len()), &Device::Cpu)?;
                    let dense = linear.forward(&row, Threads::One)?;
                    *vector = ops::activate(&dense, *activation, false)?.flatten_all()?.to_vec1()?;
                }
            }
            Step::Normalize => vectors.iter_mut().for_each(|vector| normalize(vector)),
        }
    }
    Ok(vectors)
}

/// Returns one row of the rows of a sequence.
fn pool(rows: &[f32], width: usize, mode: Pooling) -> Vec<f32> {
    let count = rows.len() / width;
    let weighted = |weight: &dyn Fn(usize) -> f32, divisor: f32| {
        let mut sum = vec![0.0_f32; width];
        for (index, row) in rows.chunks_exact(width).enumerate() {
            let weight = weight(index);
            for (sum, value) in sum.iter_mut().zip(row) {
                *sum += weight * value;
            }
        }
        sum.iter().map(|sum| sum / divisor).collect()
    };
    match mode {
        Pooling::First => rows[..width].to_vec(),
        Pooling::Last => rows[rows.len() - width..].to_vec(),
        Pooling::Largest => rows.chunks_exact(width).fold(vec![f32::NEG_INFINITY; width], |largest, row| {
            largest.iter().zip(row).map(|(largest, value)| largest.max(*value)).collect()
        }),
        Pooling::Mean => weighted(&|_| 1.0, count as f32),
        Pooling::MeanOfRoot => weighted(&|_| 1.0, (count as f32).sqrt()),
        Pooling::Weighted => weighted(&|index| (index + 1) as f32, (count * (count + 1) / 2) as f32),
    }
}

/// Scales a vector to length 1; one shorter than 10⁻¹² is divided by that, as the reference does.
pub(crate) fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
    for value in vector {
        *value /= length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_to_pool() {
        let rows = [1.0, 4.0, 3.0, 0.0, 5.0, 2.0];
        let of = |mode| pool(&rows, 2, mode);
        assert_eq!(of(Pooling::First), [1.0, 4.0]);
        assert_eq!(of(Pooling::Last), [5.0, 2.0]);
        assert_eq!(of(Pooling::Largest), [5.0, 4.0]);
        assert_eq!(of(Pooling::Mean), [3.0, 2.0]);
        assert_eq!(of(Pooling::Weighted), [22.0 / 6.0, 10.0 / 6.0]);
        assert_eq!(of(Pooling::MeanOfRoot), [9.0 / 3.0_f32.sqrt(), 6.0 / 3.0_f32.sqrt()]);
    }

    #[test]
    fn modules_that_we_do_not_have_are_named() {
        let directory = tempfile::tempdir().expect("a directory");
        let files = Files { name: "M", directory: directory.path() };
        let path = directory.path().join(MODULES);
        let check = |modules: &str| {
            std::fs::write(&path, modules).expect("written");
            read(&files, 4).map(|read| read.dimension).map_err(|error| error.to_string())
        };
        assert_eq!(read(&files, 4).map(|read| read.dimension).ok(), Some(4), "no file is the mean");
        let transformer = r#"{"path": "", "type": "sentence_transformers.models.Transformer"}"#;
        assert_eq!(
            check(&format!("[{transformer}]")),
            Err(format!("M: {}: no module pools the rows of a text into one", path.display()))
        );
        let lstm = r#"{"path": "1_LSTM", "type": "sentence_transformers.models.LSTM"}"#;
        assert_eq!(
            check(&format!("[{transformer}, {lstm}]")),
            Err(format!("M: {}: module sentence_transformers.models.LSTM is not supported", path.display()))
        );
    }
}
