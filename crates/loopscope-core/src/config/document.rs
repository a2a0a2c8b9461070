//! From text to a JSON value, strictly: a key given twice is an error in both syntaxes.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::error::{Defect, Problems, member, short_json};
use super::{ConfigError, Syntax};

/// Reads `text` as a JSON value.
pub(super) fn read_document(text: &str, syntax: Syntax) -> Result<Value, ConfigError> {
    // Editors of one system put it first; it says nothing.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match syntax {
        Syntax::Json => read_json(text),
        Syntax::Toml => read_toml(text),
    }
}

fn read_json(text: &str) -> Result<Value, ConfigError> {
    let Strict(value) = serde_json::from_str(text).map_err(|error| {
        let place = format!(" at line {} column {}", error.line(), error.column());
        let full = error.to_string();
        let message = full.strip_suffix(&place).unwrap_or(&full).to_owned();
        ConfigError::Syntax {
            path: None,
            syntax: Syntax::Json,
            line: error.line().max(1),
            column: column_in_characters(text, error.line(), error.column()),
            message,
        }
    })?;
    Ok(value)
}

/// The parser counts bytes; people count characters.
fn column_in_characters(text: &str, line: usize, column: usize) -> usize {
    let line = text.split('\n').nth(line.saturating_sub(1)).unwrap_or_default();
    let before = &line.as_bytes()[..column.saturating_sub(1).min(line.len())];
    String::from_utf8_lossy(before).chars().count() + 1
}

fn read_toml(text: &str) -> Result<Value, ConfigError> {
    let table: toml::Table = toml::from_str(text).map_err(|error: toml::de::Error| {
        let offset = error.span().map_or(0, |span| span.start.min(text.len()));
        let before = String::from_utf8_lossy(&text.as_bytes()[..offset]);
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        ConfigError::Syntax {
            path: None,
            syntax: Syntax::Toml,
            line: before.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
            message: error.message().lines().collect::<Vec<_>>().join("; "),
        }
    })?;
    let mut problems = Problems::default();
    let value = json_of_toml("", toml::Value::Table(table), &mut problems);
    if problems.is_empty() { Ok(value) } else { Err(problems.into_error()) }
}

/// TOML has values that JSON has not: moments, NaN and the infinities.
fn json_of_toml(key: &str, value: toml::Value, problems: &mut Problems) -> Value {
    let mut no_json = |got: String| {
        problems.push(key, Defect::Unexpected { expected: "a value that JSON has, too".to_owned(), got });
        Value::Null
    };
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) if number.is_finite() => Value::from(number),
        toml::Value::Float(number) => no_json(number.to_string().to_lowercase()),
        toml::Value::Boolean(flag) => Value::Bool(flag),
        toml::Value::Datetime(moment) => no_json(format!("the date or time {moment}")),
        toml::Value::Array(items) => {
            let items = items.into_iter().enumerate();
            items.map(|(index, item)| json_of_toml(&format!("{key}[{index}]"), item, problems)).collect()
        }
        toml::Value::Table(table) => {
            let entries = table.into_iter();
            let converted = entries.map(|(name, item)| {
                let item = json_of_toml(&member(key, &name), item, problems);
                (name, item)
            });
            Value::Object(converted.collect())
        }
    }
}

/// A JSON value of which no object has a key twice; serde_json alone would keep the last and say nothing.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Self)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Strict(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("the key {} is here twice", short_json(&Value::from(key)))));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(Value::Object(map))
    }
}
