//! What a failed call was: whether another attempt may go better, and whether it says anything of each input.

use std::time::Duration;

use jiff::fmt::rfc2822;
use loopscope_core::backend::ModelError;
use ureq::http::HeaderMap;

/// The most characters of a server's words that a message shows.
const SHOWN_CHARACTERS: usize = 300;

/// A failed call.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) error: ModelError,
    /// Whether the inputs of a batch may do better one by one: the server refused what was sent, not who sent it.
    pub(super) may_be_one_input: bool,
}

impl Fault {
    pub(super) fn transient(message: String, retry_after: Option<Duration>) -> Self {
        Self { error: ModelError::Transient { message, retry_after }, may_be_one_input: false }
    }

    /// A fault that every input of every batch will meet.
    pub(super) fn permanent(message: String) -> Self {
        Self { error: ModelError::Permanent { message }, may_be_one_input: false }
    }

    /// A fault that may be one input's.
    pub(super) fn of_input(message: String) -> Self {
        Self { error: ModelError::Permanent { message }, may_be_one_input: true }
    }

    /// Returns the fault with another message made of its own.
    pub(super) fn reworded(self, reword: impl FnOnce(&str) -> String) -> Self {
        let error = match self.error {
            ModelError::Transient { message, retry_after } => {
                ModelError::Transient { message: reword(&message), retry_after }
            }
            ModelError::Permanent { message } => ModelError::Permanent { message: reword(&message) },
            other => other,
        };
        Self { error, ..self }
    }
}

impl From<Fault> for ModelError {
    fn from(fault: Fault) -> Self {
        fault.error
    }
}

/// Returns the fault of an answer that is an error by its status; `said` is what the server says in it.
pub(super) fn of_status(status: u16, retry_after: Option<Duration>, said: &Said) -> Fault {
    let told = if said.message.is_empty() { String::new() } else { format!(": {}", said.message) };
    let answered = format!("answered {status}{}{told}", reason_of(status));
    match status {
        // OpenAI's word for an account without money, which no waiting mends.
        429 if said.code == "insufficient_quota" => Fault::permanent(answered),
        408 | 425 | 429 | 500 | 502..=504 | 507 | 520..=529 => Fault::transient(answered, retry_after),
        401 | 403 => Fault::permanent(format!("{answered} (is the key right, and does it allow this model?)")),
        404 => Fault::permanent(format!(
            "{answered} (is that the server's name of the model, and does url end as it should, as in /v1?)"
        )),
        402 | 405 | 501 | 505 => Fault::permanent(answered),
        _ => Fault::of_input(answered),
    }
}

fn reason_of(status: u16) -> String {
    let known = ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    known.map_or_else(String::new, |reason| format!(" {reason}"))
}

/// Returns the fault of a call without an answer.
pub(super) fn of_transport(error: &ureq::Error) -> Fault {
    use ureq::Error;
    let message = error.to_string();
    match error {
        Error::Timeout(timeout) => Fault::transient(format!("did not answer in time ({timeout})"), None),
        // What TLS says of a certificate comes as this.
        Error::Io(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            Fault::permanent(format!("cannot be called: {error}"))
        }
        Error::Io(error) => Fault::transient(format!("cannot be reached: {error}"), None),
        Error::HostNotFound => Fault::transient("cannot be reached: no such host".to_owned(), None),
        Error::ConnectionFailed => Fault::transient("cannot be reached: the connection failed".to_owned(), None),
        Error::Protocol(_) | Error::BodyStalled => Fault::transient(format!("broke the protocol: {message}"), None),
        Error::ConnectProxyFailed(_) => Fault::transient(format!("cannot be reached: {message}"), None),
        _ => Fault::permanent(format!("cannot be called: {message}")),
    }
}

/// What a server says in an error.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// Short, on one line.
    pub(super) message: String,
    /// The API's word for the error, where it gives one.
    pub(super) code: String,
}

impl Said {
    /// Reads the beginning of an answer: the message of an error object in one of its usual forms, or else its words.
    ///
    /// `redact` takes the key out: after the text is unescaped, so that it is there as itself, and before it is cut, so that
    /// no piece of it is left.
    pub(super) fn of(bytes: &[u8], redact: &dyn Fn(&str) -> String) -> Self {
        let Ok(document) = serde_json::from_slice::<serde_json::Value>(bytes) else {
            let words = redact(&String::from_utf8_lossy(bytes));
            return Self { message: one_line(&words), code: String::new() };
        };
        let error = document.get("error").unwrap_or(&document);
        let text = |value: &serde_json::Value, key: &str| {
            value.get(key).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        };
        let message = error.as_str().map(str::to_owned);
        let message = message.or_else(|| ["message", "detail"].into_iter().find_map(|key| text(error, key)));
        let code = text(error, "code").filter(|code| code != "null").or_else(|| text(error, "type"));
        Self {
            message: one_line(&redact(&message.unwrap_or_else(|| document.to_string()))),
            code: code.unwrap_or_default(),
        }
    }
}

/// Returns the words of a text, on one line, cut when long.
pub(super) fn one_line(text: &str) -> String {
    let mut line = String::new();
    let mut length = 0;
    for word in text.split(|letter: char| letter.is_whitespace() || letter.is_control()).filter(|word| !word.is_empty())
    {
        for letter in (!line.is_empty()).then_some(' ').into_iter().chain(word.chars()) {
            if length == SHOWN_CHARACTERS {
                line.push('…');
                return line;
            }
            line.push(letter);
            length += 1;
        }
    }
    line
}

/// Returns how long a server asks to wait: seconds, or until a moment by the server's own clock.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let asked = text("retry-after")?;
    if let Ok(seconds) = asked.parse::<f64>() {
        // A number that no duration can hold, or a negative one, asks for nothing that can be done.
        return Duration::try_from_secs_f64(seconds).ok();
    }
    let until = rfc2822::parse(asked).ok()?;
    let now = rfc2822::parse(text("date")?).ok()?;
    let seconds = until.timestamp().as_second() - now.timestamp().as_second();
    Some(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (ureq::http::HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_server_says_how_long_to_wait_in_seconds_or_by_its_clock() {
        let seconds = |given: &[(&'static str, &str)]| retry_after(&headers(given)).map(|wait| wait.as_secs());
        assert_eq!(seconds(&[("retry-after", "7")]), Some(7));
        let now = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(seconds(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT"), now]), Some(30));
        assert_eq!(seconds(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT"), now]), Some(0));
        assert_eq!(seconds(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")]), None, "without the server's clock");
        for odd in ["-1", "1e300", "soon", "nan"] {
            assert_eq!(seconds(&[("retry-after", odd)]), None, "{odd}");
        }
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_be_one_input_is_not_held_against_all() {
        let said = Said { message: "x".to_owned(), code: String::new() };
        for status in [408, 429, 500, 502, 503, 504, 529] {
            assert!(matches!(of_status(status, None, &said).error, ModelError::Transient { .. }), "{status}");
        }
        for (status, one) in
            [(400, true), (413, true), (422, true), (401, false), (403, false), (404, false), (501, false)]
        {
            let fault = of_status(status, None, &said);
            assert!(matches!(fault.error, ModelError::Permanent { .. }) && fault.may_be_one_input == one, "{status}");
        }
        let broke = Said { message: String::new(), code: "insufficient_quota".to_owned() };
        assert!(matches!(of_status(429, None, &broke).error, ModelError::Permanent { .. }));
    }

    #[test]
    fn a_servers_words_are_found_in_their_usual_places() {
        for body in [
            r#"{"error": {"message": "no such model", "type": "x", "code": null}}"#,
            r#"{"error": "no such model"}"#,
            r#"{"object": "error", "message": "no such model", "code": 404}"#,
            r#"{"detail": "no such model"}"#,
            "no\n such\u{7}model",
        ] {
            assert_eq!(Said::of(body.as_bytes(), &str::to_owned).message, "no such model", "{body}");
        }
        assert_eq!(
            Said::of(br#"{"error": {"message": "m", "code": "insufficient_quota"}}"#, &str::to_owned).code,
            "insufficient_quota"
        );
        let escaped = br#"{"error": "\u0073ecret!"}"#;
        assert_eq!(Said::of(escaped, &|text| text.replace("secret", "[key]")).message, "[key]!");
        assert_eq!(one_line(&"é".repeat(1000)).chars().count(), SHOWN_CHARACTERS + 1);
    }
}
