//! The parameters that a native model takes, with what fits them and what they are when nobody says.

use loopscope_core::backend::RegistryError;
use loopscope_core::experiment::{ModelKind, ModelName};
use serde_json::{Map, Value};

use super::{device, diffusion, moondream};
use crate::family::Family;

/// What a parameter may be.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fits {
    /// An integer in a range, both ends included.
    Integer(u64, u64),
    /// A multiple of the first number, above zero and at most the second.
    Multiple(u64, u64),
    /// A number in a range, both ends included.
    Number(f64, f64),
    /// Any text.
    Text,
    /// A device: `cpu`, `cuda:0`, ….
    Device,
    /// One of these words.
    OneOf(&'static [&'static str]),
}

/// A parameter: its key, what fits, and its default; `None` where the files of the model decide.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Parameter {
    pub(crate) key: &'static str,
    pub(crate) fits: Fits,
    pub(crate) default: Option<Value>,
}

impl Parameter {
    /// Returns a parameter with a default.
    pub(crate) fn new(key: &'static str, fits: Fits, default: impl Into<Value>) -> Self {
        Self { key, fits, default: Some(default.into()) }
    }

    /// Returns a parameter that the files decide when nobody gives it.
    pub(crate) const fn unset(key: &'static str, fits: Fits) -> Self {
        Self { key, fits, default: None }
    }
}

/// Longest text that a tokens limit may name.
const TOKENS_MAX: u64 = 1 << 20;

/// Returns the parameters of a family.
pub(crate) fn table(family: Family, kind: ModelKind) -> Vec<Parameter> {
    let mut table = vec![
        Parameter::new("device", Fits::Device, "cpu"),
        Parameter::new("dtype", Fits::OneOf(&["f32", "f16", "bf16"]), "f32"),
    ];
    match family {
        Family::StableDiffusion
        | Family::StableDiffusionXl
        | Family::StableDiffusion3
        | Family::Flux
        | Family::ZImage => {
            table.extend(diffusion::parameters(family));
        }
        Family::Blip => {
            table.push(Parameter::new("prompt", Fits::Text, ""));
            table.push(Parameter::new("max_tokens", Fits::Integer(1, 512), 20));
        }
        Family::Moondream => table.extend(moondream::parameters()),
        Family::Bert
        | Family::Mpnet
        | Family::Roberta
        | Family::NomicBert
        | Family::Qwen3Embed
        | Family::ModernBert => table.extend(text_embedder(family)),
        Family::Clip if kind == ModelKind::TextEmbedder => {
            table.push(Parameter::new("prefix", Fits::Text, ""));
            table.push(Parameter::unset("max_tokens", Fits::Integer(2, TOKENS_MAX)));
        }
        Family::Clip | Family::Siglip | Family::Dinov2 => {}
    }
    table
}

fn text_embedder(family: Family) -> [Parameter; 3] {
    // Nomic's vectors are made for a task that every text must name; ours is telling trajectories apart.
    let prefix = if family == Family::NomicBert { "clustering: " } else { "" };
    let fits_dimension = Fits::Integer(1, 1 << 16);
    let dimension = match family {
        Family::Qwen3Embed => Parameter::new("dimension", fits_dimension, 256),
        _ => Parameter::unset("dimension", fits_dimension),
    };
    [
        dimension,
        Parameter::new("prefix", Fits::Text, prefix),
        Parameter::unset("max_tokens", Fits::Integer(2, TOKENS_MAX)),
    ]
}

/// Returns the parameters with defaults for those that were not given.
///
/// # Errors
///
/// [`RegistryError`] for a key that is not in the table, or a value that does not fit.
pub(crate) fn complete(
    name: &ModelName,
    table: &[Parameter],
    given: &Map<String, Value>,
) -> Result<Map<String, Value>, RegistryError> {
    let mut complete: Map<String, Value> =
        table.iter().filter_map(|parameter| Some((parameter.key.to_owned(), parameter.default.clone()?))).collect();
    for (key, value) in given {
        let Some(parameter) = table.iter().find(|parameter| parameter.key == key) else {
            let known = table.iter().map(|parameter| parameter.key.to_owned()).collect();
            return Err(RegistryError::UnknownParameter { name: name.clone(), key: key.clone(), known });
        };
        if let Err(expected) = parameter.fits.check(value) {
            let (name, key, got) = (name.clone(), key.clone(), value.to_string());
            return Err(RegistryError::InvalidParameter { name, key, expected, got });
        }
        complete.insert(key.clone(), value.clone());
    }
    Ok(complete)
}

impl Fits {
    /// Returns what was expected when the value does not fit.
    fn check(&self, value: &Value) -> Result<(), String> {
        let (fits, expected) = match self {
            Self::Integer(min, max) => (
                value.as_u64().is_some_and(|got| (*min..=*max).contains(&got)),
                format!("an integer from {min} to {max}"),
            ),
            Self::Multiple(step, max) => (
                value.as_u64().is_some_and(|got| got > 0 && got <= *max && got % step == 0),
                format!("a multiple of {step} from {step} to {max}"),
            ),
            Self::Number(min, max) => (
                value.as_f64().is_some_and(|got| (*min..=*max).contains(&got)),
                format!("a number from {min} to {max}"),
            ),
            Self::Text => (value.is_string(), "a text".to_owned()),
            Self::Device => (value.as_str().is_some_and(device::is_name), device::EXPECTED.to_owned()),
            Self::OneOf(words) => {
                (value.as_str().is_some_and(|got| words.contains(&got)), format!("one of {}", words.join(", ")))
            }
        };
        if fits { Ok(()) } else { Err(expected) }
    }
}

/// Returns a text among complete parameters.
pub(crate) fn text<'a>(parameters: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    parameters.get(key).and_then(Value::as_str)
}

/// Returns an integer among complete parameters.
pub(crate) fn integer(parameters: &Map<String, Value>, key: &str) -> Option<usize> {
    parameters.get(key).and_then(Value::as_u64).and_then(|value| usize::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(family: Family, kind: ModelKind, given: &str) -> Result<String, String> {
        let given: Map<String, Value> = serde_json::from_str(given).expect("an object");
        complete(&ModelName::new("M"), &table(family, kind), &given)
            .map(|complete| Value::Object(complete).to_string())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn defaults_are_recorded_and_what_the_files_decide_is_left_out() {
        let minilm = check(Family::Bert, ModelKind::TextEmbedder, "{}").expect("nothing given");
        assert_eq!(minilm, r#"{"device":"cpu","dtype":"f32","prefix":""}"#);
        let qwen = check(Family::Qwen3Embed, ModelKind::TextEmbedder, r#"{"max_tokens":64}"#).expect("fits");
        assert_eq!(qwen, r#"{"device":"cpu","dimension":256,"dtype":"f32","max_tokens":64,"prefix":""}"#);
    }

    #[test]
    fn what_does_not_fit_is_named_with_what_would() {
        let refused = |given| check(Family::Bert, ModelKind::TextEmbedder, given).expect_err("does not fit");
        assert_eq!(
            refused(r#"{"width":3}"#),
            "model M has no parameter \"width\"; it has device, dtype, dimension, prefix, max_tokens"
        );
        assert_eq!(
            refused(r#"{"device":"gpu"}"#),
            "parameter \"device\" of model M: expected cpu, cuda:N or metal:N, got \"gpu\""
        );
        assert_eq!(
            refused(r#"{"dtype":"f8"}"#),
            "parameter \"dtype\" of model M: expected one of f32, f16, bf16, got \"f8\""
        );
        assert_eq!(
            refused(r#"{"max_tokens":1}"#),
            "parameter \"max_tokens\" of model M: expected an integer from 2 to 1048576, got 1"
        );
    }
}
