//! One server: how it is called, and how much of its answers is read.

use std::io::Read;
use std::sync::{Mutex, MutexGuard, PoisonError};

use loopscope_core::backend::ModelError;
use ureq::http::Response;
use ureq::{Agent, Body};

use super::fault::{Fault, Said, of_status, of_transport, retry_after};
use super::gate::Gate;
use super::secret::Secret;
use crate::registry::{BaseUrl, Dialect, EndpointConfig};

/// Answers up to here are read side by side; of longer ones there is one at a time in the whole process, from its
/// reading to the end of its decoding, so that many threads never hold many large answers.
const SMALL_BYTES: u64 = 4 << 20;
/// How much of an error is read.
const ERROR_BYTES: u64 = 16 << 10;
/// How often an answer may send us on to another address of the same server.
const REDIRECTS_MAX: usize = 3;

static LARGE: Mutex<()> = Mutex::new(());

/// The right to hold a large answer.
pub(super) type Large = MutexGuard<'static, ()>;

pub(super) fn large() -> Large {
    LARGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An answer, read to its end.
pub(super) struct Answer {
    pub(super) bytes: Vec<u8>,
    /// Held until what the answer contains is decoded.
    pub(super) large: Option<Large>,
}

/// A server that can be called.
pub(crate) struct Endpoint {
    dialect: Dialect,
    url: BaseUrl,
    key: Option<Secret>,
    key_header: Option<String>,
    body_bytes_max: u64,
    agent: Agent,
    gate: Gate,
}

impl Endpoint {
    /// Prepares to call a server; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`ModelError::Permanent`] when the key is not there or cannot be sent.
    pub(super) fn open(config: &EndpointConfig, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self, ModelError> {
        let key = match &config.key_env {
            None => None,
            Some(name) => {
                let refused = |reason: &str| {
                    ModelError::permanent(format!(
                        "the environment variable {name}, the key of {}, {reason}",
                        config.url
                    ))
                };
                let key = variable(name).ok_or_else(|| refused("is not set"))?;
                Some(Secret::new(&key).map_err(refused)?)
            }
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            // Each is looked at here: none may lead to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("loopscope/", env!("CARGO_PKG_VERSION")))
            .accept("application/json")
            // Nothing is unpacked, so that nothing can swell; with `hub` it is, within the limit of `read`.
            .accept_encoding("identity")
            .timeout_connect(Some(config.connect_timeout))
            .timeout_per_read(Some(config.idle_timeout))
            .timeout_per_write(Some(config.idle_timeout))
            .timeout_global(Some(config.timeout))
            .max_idle_connections(config.concurrency)
            .max_idle_connections_per_host(config.concurrency)
            .build()
            .new_agent();
        Ok(Self {
            dialect: config.dialect,
            url: config.url.clone(),
            key,
            key_header: config.key_header.clone(),
            body_bytes_max: config.body_bytes_max,
            agent,
            gate: Gate::new(config.requests_per_minute),
        })
    }

    pub(super) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Sends a request and reads the answer, of at most `bytes_max`.
    ///
    /// # Errors
    ///
    /// [`Fault`], whose message names the server and holds no key.
    pub(super) fn post(&self, path: &str, body: &[u8], bytes_max: u64) -> Result<Answer, Fault> {
        self.told(self.follow(self.url.join(path), Some(body), bytes_max))
    }

    /// Fetches something that an answer refers to, from this server only.
    ///
    /// # Errors
    ///
    /// As [`post`](Self::post).
    pub(super) fn get(&self, reference: &str) -> Result<Answer, Fault> {
        let resolved = self.url.resolve(reference).map_err(|elsewhere| {
            Fault::of_input(format!("gave a picture at {elsewhere}; nothing is fetched from another host"))
        });
        self.told(resolved.and_then(|url| self.follow(url, None, self.body_bytes_max)))
    }

    /// Names the server in a fault, and takes the key out of it.
    fn told<T>(&self, outcome: Result<T, Fault>) -> Result<T, Fault> {
        outcome.map_err(|fault| fault.reworded(|message| self.redact(&format!("{} {message}", self.url))))
    }

    /// Returns a text without the key.
    pub(super) fn redact(&self, text: &str) -> String {
        self.key.as_ref().map_or_else(|| text.to_owned(), |key| key.redact(text))
    }

    /// Returns what an answer says in an error.
    pub(super) fn said(&self, bytes: &[u8]) -> Said {
        Said::of(bytes, &|text| self.redact(text))
    }

    /// Makes a fault of this server's.
    pub(super) fn fault(&self, message: &str) -> Fault {
        Fault::of_input(self.redact(&format!("{} {message}", self.url)))
    }

    /// Refuses a text that repeats the key: it would be stored.
    ///
    /// # Errors
    ///
    /// [`Fault`].
    pub(super) fn keyless(&self, text: &[u8]) -> Result<(), Fault> {
        match &self.key {
            Some(key) if key.is_in(text) => Err(self.fault("repeats the key in its answer, which is refused")),
            _ => Ok(()),
        }
    }

    fn follow(&self, mut url: String, body: Option<&[u8]>, bytes_max: u64) -> Result<Answer, Fault> {
        let bytes_max = bytes_max.min(self.body_bytes_max);
        for _ in 0..=REDIRECTS_MAX {
            self.gate.wait().map_err(|left| {
                let message = format!("asked for a pause, of which {} s are left", left.as_secs());
                Fault::transient(message, Some(left))
            })?;
            let response = self.send(&url, body).map_err(|error| of_transport(&error))?;
            let status = response.status().as_u16();
            match status {
                200..=299 => return self.read(response, bytes_max),
                300..=399 => url = self.next(&response, body.is_some())?,
                _ => return Err(self.refusal(response)),
            }
        }
        Err(Fault::permanent(format!("sends us on more than {REDIRECTS_MAX} times")))
    }

    fn send(&self, url: &str, body: Option<&[u8]>) -> Result<Response<Body>, ureq::Error> {
        let key = self.key.as_ref().map(|key| match &self.key_header {
            Some(header) => (header.as_str(), key.expose().to_owned()),
            None => ("authorization", format!("Bearer {}", key.expose())),
        });
        match body {
            Some(body) => {
                let request = self.agent.post(url).header("content-type", "application/json");
                match key {
                    Some((header, value)) => request.header(header, value).send(body),
                    None => request.send(body),
                }
            }
            None => match key {
                Some((header, value)) => self.agent.get(url).header(header, value).call(),
                None => self.agent.get(url).call(),
            },
        }
    }

    /// Returns where an answer sends us, which must be at this server and for the same request.
    fn next(&self, response: &Response<Body>, is_post: bool) -> Result<String, Fault> {
        let status = response.status().as_u16();
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let Some(location) = location else {
            return Err(Fault::permanent(format!("answered {status} without saying where to go")));
        };
        if is_post && !matches!(status, 307 | 308) {
            return Err(Fault::permanent(format!("answered {status}, which would turn the request into another")));
        }
        self.url.resolve(location).map_err(|elsewhere| {
            Fault::permanent(format!("sends us on to {elsewhere}; a key is sent to no other host than url's"))
        })
    }

    /// Reads an answer to its end, or to its limit.
    fn read(&self, mut response: Response<Body>, bytes_max: u64) -> Result<Answer, Fault> {
        let too_long = || Fault::of_input(format!("answered with more than {bytes_max} bytes, the most that is read"));
        if let Some(encoding) = response.headers().get("content-encoding").filter(|value| *value != "identity") {
            let encoding = String::from_utf8_lossy(encoding.as_bytes()).into_owned();
            return Err(Fault::permanent(format!("answered in the encoding {encoding}, which was not asked for")));
        }
        if response.body().content_length().is_some_and(|length| length > bytes_max) {
            return Err(too_long());
        }
        let mut reader = response.body_mut().as_reader();
        let mut bytes = Vec::new();
        let mut large_answer = None;
        for limit in [SMALL_BYTES.min(bytes_max), bytes_max] {
            let left = (limit + 1).saturating_sub(bytes.len() as u64);
            (&mut reader).take(left).read_to_end(&mut bytes).map_err(|error| {
                Fault::transient(format!("broke off its answer after {} bytes: {error}", bytes.len()), None)
            })?;
            if bytes.len() as u64 <= limit {
                break;
            }
            if limit == bytes_max {
                return Err(too_long());
            }
            large_answer = Some(large());
        }
        Ok(Answer { bytes, large: large_answer })
    }

    /// Reads what an error says, and shuts the gate when the server asks for a pause.
    fn refusal(&self, mut response: Response<Body>) -> Fault {
        let status = response.status().as_u16();
        let wait = retry_after(response.headers());
        if let Some(wait) = wait
            && matches!(status, 429 | 503)
        {
            self.gate.shut(wait);
        }
        let mut bytes = Vec::new();
        // What broke off still says something.
        response.body_mut().as_reader().take(ERROR_BYTES).read_to_end(&mut bytes).ok();
        of_status(status, wait, &self.said(&bytes))
    }
}
