//! The steps of a transformer on tensors: by our own loops for `f32` on the CPU, by candle's for anything else.
//!
//! Every tensor here is a matrix of rows, one row a token (or a patch), sequences one after another without padding.

use std::ops::{Deref, Range};

use candle_core::{D, DType, Device, Layout, Result, Storage, Tensor};

use super::kernels::{self, Activation, Heads, Masking, Rotary, Strided, Threads};

/// Whether our own loops take this tensor.
fn is_ours(tensor: &Tensor) -> bool {
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// A tensor's numbers, held for as long as they are read.
struct Held<'a, G> {
    storage: G,
    layout: &'a Layout,
}

/// Holds a tensor's numbers.
fn held(tensor: &Tensor) -> Held<'_, impl Deref<Target = Storage>> {
    let (storage, layout) = tensor.storage_and_layout();
    Held { storage, layout }
}

impl<G: Deref<Target = Storage>> Held<'_, G> {
    fn numbers(&self) -> Result<&[f32]> {
        let Storage::Cpu(cpu) = &*self.storage else {
            candle_core::bail!("expected a tensor on the CPU");
        };
        let Some((start, end)) = self.layout.contiguous_offsets() else {
            candle_core::bail!("expected a tensor that lies in one piece, got strides {:?}", self.layout.stride());
        };
        Ok(&cpu.as_slice::<f32>()?[start..end])
    }
}

/// Returns a tensor of these rows on the CPU.
fn rows_of(numbers: Vec<f32>, width: usize) -> Result<Tensor> {
    let rows = numbers.len() / width;
    Tensor::from_vec(numbers, (rows, width), &Device::Cpu)
}

/// A matrix of weights with an optional bias.
#[derive(Clone, Debug)]
pub(crate) struct Linear {
    /// Inputs by outputs: the files hold it the other way round, and our products read it in this order.
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// Returns the layer of a weight as files hold it (outputs by inputs) and its bias.
    ///
    /// # Errors
    ///
    /// When the weight is not a matrix.
    pub(crate) fn new(weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        Ok(Self { weight: weight.t()?.contiguous()?, bias })
    }

    /// Returns the layer whose results are multiplied by `scale`, one number for each output.
    ///
    /// # Errors
    ///
    /// When there are not as many.
    pub(crate) fn scaled(&self, scale: &Tensor) -> Result<Self> {
        let bias = self.bias.as_ref().map(|bias| bias * scale).transpose()?;
        Ok(Self { weight: self.weight.broadcast_mul(scale)?, bias })
    }

    /// Returns `x` times the weight, plus the bias.
    ///
    /// # Errors
    ///
    /// When `x` does not have rows of the right length, or the device fails.
    pub(crate) fn forward(&self, x: &Tensor, threads: Threads) -> Result<Tensor> {
        self.onto(x, None, threads)
    }

    /// Returns `residual` plus `x` times the weight, plus the bias.
    ///
    /// # Errors
    ///
    /// As for [`forward`](Self::forward).
    pub(crate) fn forward_onto(&self, x: &Tensor, residual: &Tensor, threads: Threads) -> Result<Tensor> {
        self.onto(x, Some(residual), threads)
    }

    fn onto(&self, x: &Tensor, residual: Option<&Tensor>, threads: Threads) -> Result<Tensor> {
        if is_ours(x) {
            return self.onto_ours(x, residual, threads);
        }
        // Contiguous, since candle's product of a turned left side is wrong in some cases (huggingface/candle 3744).
        let mut y = x.contiguous()?.matmul(&self.weight)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        match residual {
            Some(residual) => y + residual,
            None => Ok(y),
        }
    }

    fn onto_ours(&self, x: &Tensor, residual: Option<&Tensor>, threads: Threads) -> Result<Tensor> {
        let (inner, columns) = self.weight.dims2()?;
        let (rows, width) = x.dims2()?;
        if width != inner {
            candle_core::bail!("rows of {width} numbers by a matrix for rows of {inner}");
        }
        let mut y = match residual {
            Some(residual) => held(residual).numbers()?.to_vec(),
            None => vec![0.0; rows * columns],
        };
        if let Some(bias) = &self.bias {
            let bias = held(bias);
            let bias = bias.numbers()?;
            for row in y.chunks_exact_mut(columns) {
                for (value, bias) in row.iter_mut().zip(bias) {
                    *value += bias;
                }
            }
        }
        let (x, weight) = (held(x), held(&self.weight));
        kernels::multiply(x.numbers()?, weight.numbers()?, &mut y, inner, columns, true, threads);
        rows_of(y, columns)
    }
}

/// A norm of rows.
#[derive(Clone, Debug)]
pub(crate) enum Norm {
    /// Mean 0, variance 1.
    Layer {
        /// Multiplied by.
        weight: Tensor,
        /// Added.
        bias: Option<Tensor>,
        /// Added to the variance.
        epsilon: f64,
    },
    /// Root mean square 1.
    RootMeanSquare {
        /// Multiplied by.
        weight: Tensor,
        /// Added to the mean square.
        epsilon: f64,
    },
}

impl Norm {
    /// Returns the normed rows.
    ///
    /// # Errors
    ///
    /// When the rows are of another length, or the device fails.
    pub(crate) fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if is_ours(x) {
            return self.forward_ours(x);
        }
        match self {
            Self::Layer { weight, bias, epsilon } => {
                let bias = match bias {
                    Some(bias) => bias.clone(),
                    None => weight.zeros_like()?,
                };
                candle_nn::ops::layer_norm(&x.contiguous()?, weight, &bias, *epsilon as f32)
            }
            Self::RootMeanSquare { weight, epsilon } => {
                candle_nn::ops::rms_norm(&x.contiguous()?, weight, *epsilon as f32)
            }
        }
    }

    fn forward_ours(&self, x: &Tensor) -> Result<Tensor> {
        let mut rows = held(x).numbers()?.to_vec();
        let width = x.dims2()?.1;
        match self {
            Self::Layer { weight, bias, epsilon } => {
                let (weight, bias) = (held(weight), bias.as_ref().map(held));
                let bias = bias.as_ref().map(|held| held.numbers()).transpose()?;
                kernels::layer_norm(&mut rows, weight.numbers()?, bias, *epsilon as f32);
            }
            Self::RootMeanSquare { weight, epsilon } => {
                kernels::rms_norm(&mut rows, held(weight).numbers()?, *epsilon as f32);
            }
        }
        rows_of(rows, width)
    }
}

/// Returns the activated numbers; when `gated`, the activated first half of each row times its second half.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn activate(x: &Tensor, activation: Activation, gated: bool) -> Result<Tensor> {
    let width = x.dims2()?.1;
    if is_ours(x) {
        let x = held(x);
        if gated {
            return rows_of(kernels::activate_gated(x.numbers()?, width, activation), width / 2);
        }
        let mut rows = x.numbers()?.to_vec();
        kernels::activate(&mut rows, activation);
        return rows_of(rows, width);
    }
    if gated {
        let activated = plain(&x.narrow(D::Minus1, 0, width / 2)?.contiguous()?, activation)?;
        return activated * x.narrow(D::Minus1, width / 2, width / 2)?;
    }
    plain(x, activation)
}

fn plain(x: &Tensor, activation: Activation) -> Result<Tensor> {
    match activation {
        Activation::Gelu => x.gelu_erf(),
        Activation::GeluTanh => x.gelu(),
        Activation::QuickGelu => x * candle_nn::ops::sigmoid(&(x * 1.702)?)?,
        Activation::Silu => x.silu(),
        Activation::Relu => x.relu(),
        Activation::Tanh => x.tanh(),
        Activation::Identity => Ok(x.clone()),
    }
}

/// What decides the scores of an attention besides queries and keys, for a whole layer.
#[derive(Clone, Debug)]
pub(crate) struct Attention {
    pub(crate) heads: Heads,
    pub(crate) causal: bool,
    pub(crate) window: Option<usize>,
    /// Weights of a root-mean-square norm over each head of queries and of keys, and its epsilon.
    pub(crate) norms: Option<(Tensor, Tensor, f64)>,
}

/// What is the same for all layers in one call: it depends on the longest sequence only.
#[derive(Clone, Debug, Default)]
pub(crate) struct Positions {
    /// Rotations for at least as many positions as the longest sequence.
    pub(crate) rotary: Option<std::sync::Arc<Rotary>>,
    /// A bias by `[head, query, key]`.
    pub(crate) bias: Option<Tensor>,
}

impl Attention {
    /// Returns what each row gathers from the rows of its own sequence.
    ///
    /// `qkv` holds rows of all heads of queries, then of keys, then of values. `sequences` are the rows of each.
    ///
    /// # Errors
    ///
    /// When the device fails.
    pub(crate) fn forward(&self, qkv: &Tensor, sequences: &[Range<usize>], positions: &Positions) -> Result<Tensor> {
        if is_ours(qkv) {
            return self.forward_ours(qkv, sequences, positions);
        }
        // Neighbours of one length go together: on a GPU the number of calls is what costs.
        let gathered: Vec<Tensor> = sequences
            .chunk_by(|left, right| left.len() == right.len())
            .map(|alike| self.forward_alike(qkv, alike, positions))
            .collect::<Result<_>>()?;
        Tensor::cat(&gathered, 0)
    }

    fn forward_ours(&self, qkv: &Tensor, sequences: &[Range<usize>], positions: &Positions) -> Result<Tensor> {
        let Heads { count, shared, width, .. } = self.heads;
        let (rows, stride) = qkv.dims2()?;
        let bias = positions.bias.as_ref().map(held);
        let norms = self.norms.as_ref().map(|(q, k, epsilon)| (held(q), held(k), *epsilon as f32));
        let masking = Masking {
            causal: self.causal,
            window: self.window,
            bias: match (&bias, &positions.bias) {
                (Some(held), Some(bias)) => Some((held.numbers()?, bias.dims3()?.1)),
                _ => None,
            },
            rotary: positions.rotary.as_deref(),
            norms: match &norms {
                Some((q, k, epsilon)) => Some((q.numbers()?, k.numbers()?, *epsilon)),
                None => None,
            },
        };
        let qkv = held(qkv);
        let data = qkv.numbers()?;
        let mut out = vec![0.0; rows * count * width];
        for sequence in sequences {
            let part = |start| Strided { data, start: sequence.start * stride + start, stride };
            let parts = [part(0), part(count * width), part((count + shared) * width)];
            let out = &mut out[sequence.start * count * width..sequence.end * count * width];
            kernels::attend(parts, [sequence.len(); 2], self.heads, &masking, out);
        }
        rows_of(out, count * width)
    }

    fn forward_alike(&self, qkv: &Tensor, sequences: &[Range<usize>], positions: &Positions) -> Result<Tensor> {
        let Heads { count, shared, width, scale } = self.heads;
        let (Some(first), Some(last)) = (sequences.first(), sequences.last()) else {
            candle_core::bail!("attention over no sequence");
        };
        let (batch, length) = (sequences.len(), first.len());
        let rows = qkv.narrow(0, first.start, last.end - first.start)?;
        let part = |start: usize, heads: usize| {
            rows.narrow(1, start * width, heads * width)?
                .reshape((batch, length, heads, width))?
                .transpose(1, 2)?
                .contiguous()
        };
        let (mut q, mut k, v) = (part(0, count)?, part(count, shared)?, part(count + shared, shared)?);
        if let Some((q_norm, k_norm, epsilon)) = &self.norms {
            q = candle_nn::ops::rms_norm_slow(&q, q_norm, *epsilon as f32)?;
            k = candle_nn::ops::rms_norm_slow(&k, k_norm, *epsilon as f32)?;
        }
        if let Some(rotary) = &positions.rotary {
            (q, k) = (turned(&q, rotary, 0)?, turned(&k, rotary, 0)?);
        }
        let (k, v) = (repeat(&k, count / shared)?, repeat(&v, count / shared)?);
        let mut scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * f64::from(scale))?;
        if let Some(bias) = &positions.bias {
            let bias = bias.narrow(1, 0, length)?.narrow(2, 0, length)?;
            scores = scores.broadcast_add(&bias.to_dtype(scores.dtype())?)?;
        }
        if let Some(hidden) = self.hidden(length, scores.device(), scores.dtype())? {
            scores = scores.broadcast_add(&hidden)?;
        }
        let gathered = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)?;
        gathered.transpose(1, 2)?.reshape((batch * length, count * width))
    }

    /// Returns −∞ where a query does not see a key, when there is such a place.
    fn hidden(&self, length: usize, device: &Device, dtype: DType) -> Result<Option<Tensor>> {
        if !self.causal && self.window.is_none_or(|window| window >= length) {
            return Ok(None);
        }
        let sees = |query: usize, key: usize| {
            (!self.causal || key <= query) && self.window.is_none_or(|window| query.abs_diff(key) <= window)
        };
        let places =
            (0..length * length).map(|at| if sees(at / length, at % length) { 0.0 } else { f32::NEG_INFINITY });
        Tensor::from_vec(places.collect::<Vec<f32>>(), (length, length), device)?.to_dtype(dtype).map(Some)
    }
}

/// Returns each head `times` times in a row: `(batch, heads, length, width)`.
fn repeat(heads: &Tensor, times: usize) -> Result<Tensor> {
    if times == 1 {
        return Ok(heads.clone());
    }
    let (batch, count, length, width) = heads.dims4()?;
    heads.unsqueeze(2)?.expand((batch, count, times, length, width))?.reshape((batch, count * times, length, width))
}

/// Returns what each row of `q` gathers from the rows of `k` and `v`: attention across two sequences, or over a past
/// that was kept; the queries are the last of the keys' positions when `causal` or rotated.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn attend_across(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    heads: Heads,
    causal: bool,
    rotary: Option<&Rotary>,
) -> Result<Tensor> {
    let (queries, keys) = (q.dim(0)?, k.dim(0)?);
    let Heads { count, shared, width, scale } = heads;
    if is_ours(q) {
        let [q, k, v] = [q, k, v].map(held);
        let whole = |data, heads| Strided { data, start: 0, stride: heads * width };
        let parts = [whole(q.numbers()?, count), whole(k.numbers()?, shared), whole(v.numbers()?, shared)];
        let mut out = vec![0.0; queries * count * width];
        let masking = Masking { causal, rotary, ..Masking::default() };
        kernels::attend(parts, [queries, keys], heads, &masking, &mut out);
        return rows_of(out, count * width);
    }
    let part = |rows: &Tensor, length: usize, heads: usize| {
        rows.reshape((1, length, heads, width))?.transpose(1, 2)?.contiguous()
    };
    let (mut q, mut k, v) = (part(q, queries, count)?, part(k, keys, shared)?, part(v, keys, shared)?);
    if let Some(rotary) = rotary {
        (q, k) = (turned(&q, rotary, keys - queries)?, turned(&k, rotary, 0)?);
    }
    let (k, v) = (repeat(&k, count / shared)?, repeat(&v, count / shared)?);
    let mut scores = (q.matmul(&k.transpose(2, 3)?.contiguous()?)? * f64::from(scale))?;
    if causal && queries > 1 {
        let sees = |query: usize, key: usize| key <= keys - queries + query;
        let places = (0..queries * keys).map(|at| if sees(at / keys, at % keys) { 0.0 } else { f32::NEG_INFINITY });
        let hidden = Tensor::from_vec(places.collect::<Vec<f32>>(), (queries, keys), q.device())?;
        scores = scores.broadcast_add(&hidden.to_dtype(scores.dtype())?)?;
    }
    let gathered = candle_nn::ops::softmax_last_dim(&scores)?.matmul(&v)?;
    gathered.transpose(1, 2)?.reshape((queries, count * width))
}

/// Returns heads `(batch, heads, length, width)` turned by the rotations from a position on; what a rotation does not
/// reach stays.
fn turned(heads: &Tensor, rotary: &Rotary, from: usize) -> Result<Tensor> {
    let (length, width, half) = (heads.dim(2)?, heads.dim(3)?, rotary.half);
    let table = |values: &[f32]| {
        let values = values[from * half..(from + length) * half].to_vec();
        Tensor::from_vec(values, (length, half), heads.device())?.to_dtype(heads.dtype())
    };
    let reached = heads.narrow(3, 0, 2 * half)?.contiguous()?;
    let reached = candle_nn::rotary_emb::rope(&reached, &table(&rotary.cosines)?, &table(&rotary.sines)?)?;
    if 2 * half == width {
        return Ok(reached);
    }
    Tensor::cat(&[reached, heads.narrow(3, 2 * half, width - 2 * half)?], 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(rows: usize, width: usize, seed: u32) -> Tensor {
        let numbers: Vec<f32> =
            (0..(rows * width) as u32).map(|index| ((index * 37 + seed * 11) % 29) as f32 / 14.5 - 1.0).collect();
        Tensor::from_vec(numbers, (rows, width), &Device::Cpu).expect("a tensor")
    }

    fn near(ours: &Tensor, candles: &Tensor) {
        let difference = (ours.to_dtype(DType::F64).expect("numbers") - candles)
            .and_then(|d| d.abs()?.max_all()?.to_scalar::<f64>());
        let difference = difference.expect("of one shape");
        assert!(difference < 1e-5, "our loops and candle's differ by {difference}");
    }

    fn wide(tensor: &Tensor) -> Tensor {
        tensor.to_dtype(DType::F64).expect("numbers")
    }

    /// In 64 bits candle's loops run, in 32 ours: what stands for a GPU where there is none.
    #[test]
    fn our_loops_agree_with_candles() {
        let (x, weight, bias) = (numbers(11, 16, 1), numbers(24, 16, 2), numbers(1, 24, 3).squeeze(0).expect("a row"));
        let ours = Linear::new(&weight, Some(bias.clone())).expect("a layer");
        let candles = Linear::new(&wide(&weight), Some(wide(&bias))).expect("a layer");
        let residual = numbers(11, 24, 4);
        let y = ours.forward_onto(&x, &residual, Threads::One).expect("a product");
        near(&y, &candles.forward_onto(&wide(&x), &wide(&residual), Threads::One).expect("a product"));
        for activation in
            [Activation::Gelu, Activation::GeluTanh, Activation::QuickGelu, Activation::Silu, Activation::Tanh]
        {
            for gated in [false, true] {
                let activated = activate(&y, activation, gated).expect("numbers");
                near(&activated, &activate(&wide(&y), activation, gated).expect("numbers"));
            }
        }
    }

    #[test]
    fn our_attention_agrees_with_candles() {
        let heads = Heads { count: 4, shared: 2, width: 6, scale: 0.4 };
        let qkv = numbers(23, (4 + 2 + 2) * 6, 5);
        let sequences = [0..7, 7..14, 14..15, 15..23];
        let norm = |seed| (numbers(1, 6, seed).squeeze(0).expect("a row") + 1.5).expect("numbers");
        for (causal, window) in [(false, None), (true, None), (false, Some(2)), (true, Some(3))] {
            let rotary = Some(std::sync::Arc::new(Rotary::new(8, 6, 10_000.0)));
            let bias = numbers(4 * 8, 8, 6).reshape((4, 8, 8)).expect("a bias");
            let ours = Attention { heads, causal, window, norms: Some((norm(1), norm(2), 1e-6)) };
            let candles = Attention { norms: Some((wide(&norm(1)), wide(&norm(2)), 1e-6)), ..ours.clone() };
            let positions = Positions { rotary, bias: Some(bias) };
            let y = ours.forward(&qkv, &sequences, &positions).expect("rows");
            near(&y, &candles.forward(&wide(&qkv), &sequences, &positions).expect("rows"));
        }
    }

    #[test]
    fn attention_across_agrees_with_candles() {
        let heads = Heads { count: 3, shared: 3, width: 4, scale: 0.5 };
        for (queries, keys, causal) in [(2, 9, false), (9, 2, false), (2, 5, true), (1, 5, true)] {
            let (q, k, v) = (numbers(queries, 12, 1), numbers(keys, 12, 2), numbers(keys, 12, 3));
            // Two of four numbers of a head are turned; across two sequences nothing is.
            let rotary = causal.then(|| Rotary::new(keys, 2, 100.0));
            let of = |q: &Tensor, k: &Tensor, v: &Tensor| attend_across(q, k, v, heads, causal, rotary.as_ref());
            let y = of(&q, &k, &v).expect("rows");
            near(&y, &of(&wide(&q), &wide(&k), &wide(&v)).expect("rows"));
        }
    }
}
