//! A server's key, which nobody sees.

use std::fmt;

/// What stands in a message where a key was.
const TAKEN_OUT: &str = "[key]";
/// Keys that are shorter are none: servers that want none are given words such as "none".
const LENGTH_MIN: usize = 6;

/// A key. It is not shown, not compared and not copied.
pub(super) struct Secret {
    key: String,
    /// As it would stand in an address.
    encoded: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(TAKEN_OUT)
    }
}

impl Secret {
    /// Takes a key from its variable; the blanks around it are not part of it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without it.
    pub(super) fn new(key: &str) -> Result<Self, &'static str> {
        let key = key.trim();
        if key.is_empty() {
            return Err("is empty");
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("holds a character that no header can carry");
        }
        let encode = |byte: u8| match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        };
        Ok(Self { key: key.to_owned(), encoded: key.bytes().map(encode).collect() })
    }

    pub(super) fn expose(&self) -> &str {
        &self.key
    }

    fn forms(&self) -> impl Iterator<Item = &str> {
        let is_secret = self.key.len() >= LENGTH_MIN;
        let forms = [self.key.as_str(), self.encoded.as_str()];
        forms.into_iter().filter(move |_| is_secret)
    }

    /// Returns `text` without the key.
    pub(super) fn redact(&self, text: &str) -> String {
        self.forms().fold(text.to_owned(), |text, form| text.replace(form, TAKEN_OUT))
    }

    /// Returns whether the key is in what a server sent.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.forms().any(|form| memchr::memmem::find(bytes, form.as_bytes()).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_taken_out_of_whatever_repeats_it() {
        let key = Secret::new(" sk-canary+1/2= \n").unwrap();
        assert_eq!(key.expose(), "sk-canary+1/2=");
        assert_eq!(key.redact("bad sk-canary+1/2=, sk-canary%2B1%2F2%3D!"), "bad [key], [key]!");
        assert!(key.is_in(b"{\"echo\": \"Bearer sk-canary+1/2=\"}") && !key.is_in(b"sk-canary"));
        assert_eq!(format!("{key:?}"), "[key]");
    }

    #[test]
    fn words_that_stand_for_no_key_are_not_looked_for() {
        let key = Secret::new("none").unwrap();
        assert_eq!(key.redact("none of them"), "none of them");
        assert!(!key.is_in(b"none"));
        assert!(Secret::new(" ").is_err() && Secret::new("a\u{7f}b").is_err() && Secret::new("schlüssel").is_err());
    }
}
