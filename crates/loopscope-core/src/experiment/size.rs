//! Sizes as people write them.

use serde_json::Value;

/// Reads a size such as `4GiB`, `500MB` or a number of bytes.
///
/// # Errors
///
/// What is wrong with it, in words.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit: u64 = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        other => return Err(format!("\"{other}\" is no unit; expected KiB, MiB, GiB, KB, MB or GB")),
    };
    let number: f64 =
        digits.trim().parse().map_err(|_| format!("\"{digits}\" is no number; expected a size such as 4GiB"))?;
    let size = number * unit as f64;
    if size.is_finite() && size >= 1.0 {
        Ok(size as u64)
    } else {
        Err("expected a size of at least one byte".to_owned())
    }
}

/// Reads a size from a config: a text as [`parse_size`] takes, or a number of bytes from 1.
pub(crate) fn size_of_value(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => parse_size(text).ok(),
        other => other.as_u64().filter(|&bytes| bytes > 0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("4GiB"), Ok(4 << 30));
        assert_eq!(parse_size("1.5 MiB"), Ok(3 << 19));
        assert_eq!(parse_size("500"), Ok(500));
        assert!(parse_size("4 parsecs").unwrap_err().contains("no unit"));
        assert!(parse_size("GiB").unwrap_err().contains("no number"));
        assert!(parse_size("0").is_err());
        assert_eq!(size_of_value(&Value::from(7)), Some(7));
        assert_eq!(size_of_value(&Value::from("2KiB")), Some(2048));
        assert_eq!([Value::from(0), Value::from(1.5), Value::Null].map(|value| size_of_value(&value)), [None; 3]);
    }
}
