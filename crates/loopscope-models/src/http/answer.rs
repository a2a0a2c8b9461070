//! What servers answer, as types of bounded size.
//!
//! An answer of 64 MiB can describe a document that takes many times as much: lists are read up to a number of items,
//! and what is not asked for is skipped, not kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::endpoint::Endpoint;
use super::fault::{Fault, of_status, one_line};

/// The most numbers of a vector.
pub(super) const NUMBERS_MAX: usize = 65_536;
/// How much of an answer is looked at for an error.
const ERROR_BYTES: usize = 16 << 10;

/// A list of at most `MAX` items.
pub(super) struct Bounded<T, const MAX: usize>(pub(super) Vec<T>);

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T, const MAX: usize>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const MAX: usize> Visitor<'de> for Items<T, MAX> {
            type Value = Vec<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a list of at most {MAX} items")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut kept = Vec::new();
                while let Some(item) = items.next_element()? {
                    if kept.len() == MAX {
                        return Err(A::Error::custom(format!("a list of more than {MAX} items")));
                    }
                    kept.push(item);
                }
                Ok(kept)
            }
        }
        deserializer.deserialize_seq(Items::<T, MAX>(PhantomData)).map(Self)
    }
}

/// The answer to a request for pictures.
#[derive(serde::Deserialize)]
pub(super) struct Pictures {
    pub(super) data: Option<Bounded<PictureItem, 16>>,
}

/// A picture, in one of two ways.
#[derive(serde::Deserialize)]
pub(super) struct PictureItem {
    pub(super) b64_json: Option<String>,
    pub(super) url: Option<String>,
}

/// The answer to a request for vectors.
#[derive(serde::Deserialize)]
pub(super) struct Vectors {
    pub(super) data: Option<Bounded<VectorItem, 2048>>,
}

/// A vector, with the place of its input.
#[derive(serde::Deserialize)]
pub(super) struct VectorItem {
    pub(super) index: Option<u64>,
    pub(super) embedding: Bounded<f32, NUMBERS_MAX>,
}

/// The answer of a chat.
#[derive(serde::Deserialize)]
pub(super) struct Chat {
    pub(super) choices: Option<Bounded<Choice, 16>>,
}

#[derive(serde::Deserialize)]
pub(super) struct Choice {
    pub(super) message: Option<Message>,
}

#[derive(serde::Deserialize)]
pub(super) struct Message {
    pub(super) content: Option<Content>,
    pub(super) refusal: Option<String>,
    pub(super) images: Option<Bounded<ChatPicture, 16>>,
}

#[derive(serde::Deserialize)]
pub(super) struct ChatPicture {
    pub(super) image_url: Option<Address>,
}

/// An address, as itself or as the member `url` of an object.
pub(super) struct Address(pub(super) String);

/// What is said in a chat: a text, or parts of which some are texts.
pub(super) struct Content(pub(super) String);

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Member("url")).map(Self)
    }
}

/// Reads a text, or the member of that name of an object.
struct Member(&'static str);

impl<'de> Visitor<'de> for Member {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a text, or an object with \"{}\"", self.0)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<String, A::Error> {
        let mut found = None;
        while let Some(key) = members.next_key::<String>()? {
            if key == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        found.ok_or_else(|| A::Error::custom(format!("an object without \"{}\"", self.0)))
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts;
        impl<'de> Visitor<'de> for Parts {
            type Value = String;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, or a list of parts")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<String, E> {
                Ok(text.to_owned())
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<String, A::Error> {
                #[derive(serde::Deserialize)]
                struct Part {
                    text: Option<String>,
                }
                let mut text = String::new();
                while let Some(part) = parts.next_element::<Part>()? {
                    text.push_str(part.text.as_deref().unwrap_or_default());
                }
                Ok(text)
            }
        }
        deserializer.deserialize_any(Parts).map(Self)
    }
}

/// Reads an answer.
///
/// # Errors
///
/// [`Fault`]: one that may pass for an answer that ends early, since that is how a lost connection looks.
pub(super) fn parse<'de, T: Deserialize<'de>>(endpoint: &Endpoint, bytes: &'de [u8]) -> Result<T, Fault> {
    serde_json::from_slice(bytes).map_err(|error| {
        if error.is_eof() {
            let message = format!("ended its answer early, after {} bytes", bytes.len());
            let fault = endpoint.fault(&message);
            return Fault::transient(fault.error.to_string(), None);
        }
        let reason = one_line(&endpoint.redact(&error.to_string()));
        let start = bytes.trim_ascii_start();
        // A page says what it is; a document of another form would be noise.
        let shown = if start.starts_with(b"{") || start.starts_with(b"[") {
            String::new()
        } else {
            let start = endpoint.redact(&String::from_utf8_lossy(&start[..start.len().min(ERROR_BYTES)]));
            format!(": {}", one_line(&start).chars().take(80).collect::<String>())
        };
        endpoint.fault(&format!("answered with what is no answer of its API ({reason}){shown}"))
    })
}

/// Reads the one message of a chat's answer, of which `what` there may be one.
///
/// # Errors
///
/// [`Fault`], also when the model refused.
pub(super) fn message_of(endpoint: &Endpoint, bytes: &[u8], what: &str) -> Result<Message, Fault> {
    let chat: Chat = parse(endpoint, bytes)?;
    let mut choices = chat.choices.ok_or_else(|| lacking(endpoint, "choices", bytes))?.0;
    if choices.len() > 1 {
        return Err(endpoint.fault(&format!("gave {} {what}", choices.len())));
    }
    let message = choices.pop().and_then(|choice| choice.message);
    let message = message.ok_or_else(|| lacking(endpoint, "a message", bytes))?;
    match message.refusal.as_ref().filter(|refusal| !refusal.is_empty()) {
        Some(refusal) => Err(endpoint.fault(&format!("refused: {}", one_line(&endpoint.redact(refusal))))),
        None => Ok(message),
    }
}

/// Returns the fault of an answer that lacks `what`: the error that it holds instead, or that it is missing.
pub(super) fn lacking(endpoint: &Endpoint, what: &str, bytes: &[u8]) -> Fault {
    let start = &bytes[..bytes.len().min(ERROR_BYTES)];
    let holds_error = serde_json::from_slice::<serde_json::Value>(start)
        .is_ok_and(|document| document.get("error").is_some_and(|error| !error.is_null()));
    if !holds_error {
        return endpoint.fault(&format!("answered without {what}"));
    }
    let said = endpoint.said(start);
    // Some give the status of whoever they asked in place of their own.
    let fault = match said.code.parse::<u16>() {
        Ok(status @ 400..=599) => of_status(status, None, &said),
        _ => Fault::of_input(format!("answered with an error: {}", said.message)),
    };
    fault.reworded(|message| endpoint.fault(message).error.to_string())
}
