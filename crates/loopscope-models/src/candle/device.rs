//! Where a model computes, and in which numbers.

use candle_core::{DType, Device};
use loopscope_core::backend::{Lane, ModelError};
use loopscope_core::experiment::Determinism;

use super::{NativeModel, options};

/// What a device name looks like, for messages.
pub(crate) const EXPECTED: &str = "cpu, cuda:N or metal:N";

/// The kinds of device that candle knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cpu,
    Cuda(usize),
    Metal(usize),
}

impl Place {
    fn parse(name: &str) -> Option<Self> {
        if name == "cpu" {
            return Some(Self::Cpu);
        }
        let (kind, number) = name.split_once(':')?;
        let number = number.parse().ok()?;
        match kind {
            "cuda" => Some(Self::Cuda(number)),
            "metal" => Some(Self::Metal(number)),
            _ => None,
        }
    }
}

/// Whether this is the name of a device, present or not.
pub(crate) fn is_name(name: &str) -> bool {
    Place::parse(name).is_some()
}

/// Where a model runs, as its parameters say.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    /// The device.
    pub(crate) device: Device,
    /// The numbers that its weights are held in.
    pub(crate) dtype: DType,
}

/// Opens the device that the parameters name.
///
/// # Errors
///
/// [`ModelError`] when this build has no support for it, or it is not there.
pub(crate) fn open(model: &NativeModel<'_>) -> Result<Placement, ModelError> {
    let name = options::text(model.parameters, "device").unwrap_or("cpu");
    let opened = match Place::parse(name) {
        Some(Place::Cpu) | None => Ok(Device::Cpu),
        Some(Place::Cuda(_)) if !cfg!(feature = "cuda") => return Err(not_built(model, name, "cuda")),
        Some(Place::Metal(_)) if !cfg!(feature = "metal") => return Err(not_built(model, name, "metal")),
        Some(Place::Cuda(number)) => Device::new_cuda(number),
        Some(Place::Metal(number)) => Device::new_metal(number),
    };
    let device = opened
        .map_err(|error| ModelError::permanent(format!("{}: device {name} cannot be opened: {error}", model.name)))?;
    Ok(Placement { device, dtype: dtype(model) })
}

fn not_built(model: &NativeModel<'_>, device: &str, feature: &str) -> ModelError {
    ModelError::permanent(format!(
        "{}: this program was built without device {device}; build it with --features {feature}, or set device = \"cpu\"",
        model.name
    ))
}

/// Returns the numbers that the weights are held in.
pub(crate) fn dtype(model: &NativeModel<'_>) -> DType {
    match options::text(model.parameters, "dtype") {
        Some("f16") => DType::F16,
        Some("bf16") => DType::BF16,
        _ => DType::F32,
    }
}

/// Returns the most memory that weights of this many bytes on disk can take: as if they were written in 16-bit numbers.
pub(crate) fn memory(model: &NativeModel<'_>, bytes: u64) -> u64 {
    bytes * dtype(model).size_in_bytes() as u64 / 2
}

/// Returns the lane of the device: one thread owns all models on it, and candle spreads one call over the cores.
pub(crate) fn lane(model: &NativeModel<'_>) -> Lane {
    Lane::Named { name: options::text(model.parameters, "device").unwrap_or("cpu").to_owned(), threads: 1 }
}

/// Returns how far a call repeats: the kernels that run depend on the processor, so bits repeat on one machine only;
/// on a GPU the order of a sum is the driver's.
pub(crate) fn determinism(model: &NativeModel<'_>) -> Determinism {
    match options::text(model.parameters, "device") {
        Some("cpu") | None => Determinism::SameDevice,
        Some(_) => Determinism::BestEffort,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_devices() {
        for name in ["cpu", "cuda:0", "cuda:7", "metal:0"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "gpu", "cuda", "cuda:", "cuda:-1", "tpu:0", "CPU"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
