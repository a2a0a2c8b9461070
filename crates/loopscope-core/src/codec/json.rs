//! One canonical JSON writer for every JSON column: compact, object keys sorted, text as UTF-8.

use serde::Serialize;
use serde_json::Value;

/// Returns `value` as canonical JSON: no spaces, object keys in order of their code points, nothing escaped that need
/// not be, whole numbers as digits and other numbers in the shortest form that reads back equal.
///
/// # Errors
///
/// When `value` cannot be JSON, such as a map with keys that are no text.
pub fn canonical_json(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut value = serde_json::to_value(value)?;
    sort_keys(&mut value);
    serde_json::to_string(&value)
}

/// Sorts the keys of every object: serde_json sorts by itself only while no crate of a build asks it to keep order.
fn sort_keys(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<(String, Value)> = std::mem::take(map).into_iter().collect();
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            for (key, mut item) in entries {
                sort_keys(&mut item);
                map.insert(key, item);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(sort_keys),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_compact_sorted_and_keeps_text_and_numbers() {
        let value = serde_json::json!({"b": [1, -1, 9_007_199_254_740_993_i64, 0.1], "a": {"z": "é\n\"", "y": null}});
        let text = canonical_json(&value).unwrap();
        assert_eq!(text, r#"{"a":{"y":null,"z":"é\n\""},"b":[1,-1,9007199254740993,0.1]}"#);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
