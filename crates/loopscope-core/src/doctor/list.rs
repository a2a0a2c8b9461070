//! The lists of an experiment, read from their JSON columns.

use serde::de::DeserializeOwned;

/// Reads a JSON array with at least one item.
fn items<T: DeserializeOwned>(text: &str, expected: &str) -> Result<Vec<T>, String> {
    let items: Vec<T> =
        serde_json::from_str(text).map_err(|error| format!("expected a JSON array of {expected}, got {error}"))?;
    if items.is_empty() { Err(format!("expected a JSON array of {expected}, got an empty one")) } else { Ok(items) }
}

/// Reads a list of texts that is not empty.
pub(super) fn texts(text: &str) -> Result<Vec<String>, String> {
    items(text, "texts")
}

/// Reads a list of model names that is not empty; a name may be, as some imported ones are.
pub(super) fn network(text: &str) -> Result<Vec<String>, String> {
    items(text, "model names")
}

/// Reads a list of networks, each with at least one model, whose name may be empty.
pub(super) fn networks(text: &str) -> Result<Vec<Vec<String>>, String> {
    let networks: Vec<Vec<String>> = items(text, "networks, each an array of model names")?;
    if networks.iter().any(Vec::is_empty) {
        return Err("expected at least one model in each network, got a network without any".to_owned());
    }
    Ok(networks)
}

/// Reads a list of seeds, each at least −1.
pub(super) fn seeds(text: &str) -> Result<Vec<i64>, String> {
    let seeds: Vec<i64> = items(text, "seeds, each a whole number")?;
    match seeds.iter().find(|&&seed| seed < -1) {
        Some(seed) => Err(format!("expected seeds of -1 or more, got {seed}")),
        None => Ok(seeds),
    }
}

/// Checks that no model of a list has an empty name.
pub(super) fn check_names(models: &[String]) -> Result<(), String> {
    if models.iter().any(String::is_empty) { Err("expected model names, got an empty text".to_owned()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_of_their_items_and_never_empty() {
        assert_eq!(networks(r#"[["A","B"]]"#).unwrap(), [["A", "B"]]);
        assert_eq!(seeds("[-1,0]").unwrap(), [-1, 0]);
        assert_eq!(texts(r#"[""]"#).unwrap(), [""], "the empty prompt is one");
        for wrong in ["", "[]", "{}", "[1]", "null", "[[]]", "[[1]]", r#"["A"]"#] {
            assert!(networks(wrong).is_err(), "{wrong}");
        }
        for text in [r#"["A",""]"#, r#"[""]"#] {
            assert!(check_names(&network(text).unwrap()).is_err(), "{text}");
        }
        for wrong in ["[-2]", "[1.5]", r#"["1"]"#, "[]", "[9223372036854775808]"] {
            assert!(seeds(wrong).is_err(), "{wrong}");
        }
    }
}
