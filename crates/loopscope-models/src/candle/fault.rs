//! Errors of the tensor library, as errors of a model.

use candle_core::Error;
use loopscope_core::backend::ModelError;

/// Returns an error of candle as one of the model `what`, in one line.
///
/// Running out of a device's memory may pass, when others give theirs back; nothing else that a device says does.
pub(crate) fn failed(what: &str, error: &Error) -> ModelError {
    let text = error.to_string();
    // With RUST_BACKTRACE, candle's errors go on for pages.
    let line = text.lines().next().unwrap_or_default();
    // Errors of weights name the model themselves.
    let message = if line.starts_with(&format!("{what}: ")) { line.to_owned() } else { format!("{what}: {line}") };
    let lower = text.to_lowercase();
    if lower.contains("out of memory") || lower.contains("out_of_memory") {
        ModelError::transient(message)
    } else {
        ModelError::permanent(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_full_device_may_pass_and_a_message_is_one_line() {
        let full = failed("M", &Error::Msg("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")".to_owned()));
        assert!(matches!(full, ModelError::Transient { .. }), "{full}");
        let other = failed("M", &Error::Msg("shapes differ".to_owned()).bt());
        assert!(matches!(other, ModelError::Permanent { .. }), "{other}");
        assert_eq!(other.to_string(), "M: shapes differ");
        assert_eq!(failed("M", &Error::Msg("M: a file: gone\n  at line 3".to_owned())).to_string(), "M: a file: gone");
    }
}
