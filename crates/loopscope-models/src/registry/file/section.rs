//! One table of the file, read strictly: each key is asked for with what is expected of it.

use std::collections::BTreeSet;

use loopscope_core::backend::nearest_name;
use serde_json::{Map, Value};
use toml::Value as Toml;

/// The most characters of a value that a message shows.
const SHOWN_CHARACTERS: usize = 40;

/// A table with its address; whatever is wrong in it goes to `problems`.
pub(super) struct Section<'a, 'p> {
    path: String,
    table: &'a toml::Table,
    pub(super) problems: &'p mut Vec<String>,
}

impl<'a, 'p> Section<'a, 'p> {
    /// Takes up a table, and notes every key of it that is not among `known`.
    pub(super) fn new(
        path: &str,
        table: &'a toml::Table,
        known: &[&'static str],
        problems: &'p mut Vec<String>,
    ) -> Self {
        for key in table.keys().filter(|key| !known.contains(&key.as_str())) {
            let hint = match nearest_name(key, known.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("the keys are {}", known.join(", ")),
            };
            problems.push(format!("{}: unknown key; {hint}", address(path, key)));
        }
        Self { path: path.to_owned(), table, problems }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes a problem of a key, or of this table as a whole where `key` is empty.
    pub(super) fn wrong(&mut self, key: &str, problem: &str) {
        let dot = if key.is_empty() { "" } else { "." };
        self.problems.push(format!("{}{dot}{key}: {problem}", self.path));
    }

    /// Notes that a key has not what is expected of it.
    pub(super) fn unexpected(&mut self, key: &str, expected: &str) {
        let got = self.table.get(key).map_or_else(|| "nothing".to_owned(), shown);
        self.problems.push(format!("{}: expected {expected}, got {got}", address(&self.path, key)));
    }

    /// Returns what `read` makes of a value; notes what was expected when it makes nothing of it.
    pub(super) fn read<T>(&mut self, key: &str, expected: &str, read: impl FnOnce(&'a Toml) -> Option<T>) -> Option<T> {
        let value = self.table.get(key)?;
        let made = read(value);
        if made.is_none() {
            self.unexpected(key, expected);
        }
        made
    }

    /// The same of a key that has to be there.
    pub(super) fn required<T>(
        &mut self,
        key: &str,
        expected: &str,
        read: impl FnOnce(&'a Toml) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            self.problems.push(format!("{}: missing; expected {expected}", address(&self.path, key)));
        }
        self.read(key, expected, read)
    }

    pub(super) fn text(&mut self, key: &str) -> Option<String> {
        self.read(key, "a string that is not empty", text)
    }

    /// Reads one of a few words, and names the nearest when it is none of them.
    pub(super) fn word<T>(
        &mut self,
        key: &str,
        words: &[&'static str],
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let near =
            self.table.get(key).and_then(Toml::as_str).and_then(|word| nearest_name(word, words.iter().copied()));
        let expected = match near {
            Some(near) => format!("one of {} (did you mean \"{near}\"?)", words.join(", ")),
            None => format!("one of {}", words.join(", ")),
        };
        self.read(key, &expected, |value| value.as_str().and_then(read))
    }

    pub(super) fn integer(&mut self, key: &str, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        self.read(key, &expected, |value| {
            value.as_integer().and_then(|number| u64::try_from(number).ok()).filter(|number| range.contains(number))
        })
    }

    /// Reads a number within a range, whole or not.
    pub(super) fn number(&mut self, key: &str, least: f64, most: f64) -> Option<f64> {
        self.read(key, &format!("a number from {least} to {most}"), |value| {
            let number = value.as_float().or_else(|| value.as_integer().map(|number| number as f64));
            number.filter(|number| (least..=most).contains(number))
        })
    }

    /// Reads a table of free form as JSON.
    pub(super) fn free(&mut self, key: &str) -> Map<String, Value> {
        let read = |value: &Toml| match json_of(value) {
            Some(Value::Object(map)) => Some(map),
            _ => None,
        };
        self.read(key, "a table of strings, numbers, booleans, lists and tables", read).unwrap_or_default()
    }

    pub(super) fn words(&mut self, key: &str) -> Vec<String> {
        let read = |value: &Toml| {
            let items = value.as_array()?.iter().map(text);
            items.collect::<Option<BTreeSet<String>>>().map(|set| set.into_iter().collect())
        };
        self.read(key, "a list of strings", read).unwrap_or_default()
    }
}

pub(super) fn text(value: &Toml) -> Option<String> {
    value.as_str().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Returns the address of a key, quoted where a dot or a blank would mislead.
pub(super) fn address(path: &str, key: &str) -> String {
    let is_plain = !key.is_empty() && key.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-".contains(letter));
    let key = if is_plain { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

fn shown(value: &Toml) -> String {
    let text = match value {
        Toml::Table(_) => "a table".to_owned(),
        Toml::Array(_) => "a list".to_owned(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text;
    }
    text.chars().take(SHOWN_CHARACTERS - 1).chain(['…']).collect()
}

/// Returns the value as JSON; a date, and a number that JSON has not, is none.
fn json_of(value: &Toml) -> Option<Value> {
    Some(match value {
        Toml::String(text) => Value::from(text.as_str()),
        Toml::Integer(number) => Value::from(*number),
        Toml::Float(number) => Value::Number(serde_json::Number::from_f64(*number)?),
        Toml::Boolean(flag) => Value::from(*flag),
        Toml::Datetime(_) => return None,
        Toml::Array(items) => Value::Array(items.iter().map(json_of).collect::<Option<_>>()?),
        Toml::Table(table) => {
            let entries = table.iter().map(|(key, value)| Some((key.clone(), json_of(value)?)));
            Value::Object(entries.collect::<Option<_>>()?)
        }
    })
}
