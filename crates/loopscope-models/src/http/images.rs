//! Pictures from servers.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use loopscope_core::backend::{ModelError, Request, TextToImage};
use loopscope_core::codec::decode_foreign_image;
use loopscope_core::experiment::Picture;
use serde_json::{Map, Value, json};

use super::Remote;
use super::answer::{Pictures, lacking, message_of, parse};
use super::endpoint::{Answer, Large, large};
use super::fault::Fault;
use crate::registry::Dialect;

/// The most pixels that are taken where the request is for fewer: what servers give that know one size only.
const PIXELS_MIN: u64 = 1536 * 1024;
/// The same where the request names no size.
const PIXELS_UNASKED: u64 = 2048 * 2048;
/// Pictures of more pixels are decoded one at a time.
const PIXELS_LARGE: u64 = 4 << 20;
/// The longest answer that a picture may be in.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// Base64 with or without its padding.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// A painter at a server.
pub(super) struct Painter {
    remote: Remote,
    pixels_max: u64,
}

impl Painter {
    pub(super) fn new(remote: Remote, pixels_max: Option<u64>) -> Self {
        let asked = remote.integer("width").zip(remote.integer("height")).map(|(width, height)| width * height);
        // Four times as much: servers round sides up, and some know a few sizes only. More would be somebody else's choice
        // of how much memory the runs under way may take.
        let usual = asked.map_or(PIXELS_UNASKED, |asked| (4 * asked).max(PIXELS_MIN));
        Self { remote, pixels_max: pixels_max.unwrap_or(usual) }
    }

    fn paint(&self, request: &Request<'_, str>) -> Result<Picture, Fault> {
        let endpoint = &self.remote.endpoint;
        let (path, body) = match endpoint.dialect() {
            Dialect::OpenRouter => ("chat/completions", self.chat_request(request)),
            _ => ("images/generations", self.image_request(request)),
        };
        let answer = endpoint.post(path, &self.remote.finished(body), ANSWER_BYTES_MAX)?;
        let Answer { bytes, large } = answer;
        let given = match endpoint.dialect() {
            Dialect::OpenRouter => self.chat_picture(&bytes)?,
            _ => self.image(&bytes)?,
        };
        drop(bytes);
        self.picture(given, large)
    }

    fn image_request(&self, request: &Request<'_, str>) -> Map<String, Value> {
        let dialect = self.remote.endpoint.dialect();
        let side = |key| self.remote.integer(key).unwrap_or(256);
        let mut body = Map::new();
        let mut prompt = request.input.to_owned();
        body.insert("n".to_owned(), json!(1));
        body.insert("size".to_owned(), json!(format!("{}x{}", side("width"), side("height"))));
        // OpenAI's newer models give nothing else, and take no word about it.
        if dialect != Dialect::OpenAi || self.remote.model.starts_with("dall-e") {
            body.insert("response_format".to_owned(), json!("b64_json"));
        }
        match dialect {
            Dialect::Vllm | Dialect::Sglang => {
                body.insert("seed".to_owned(), json!(request.seed));
                self.remote.copy(&mut body, "steps", "num_inference_steps");
                self.remote.copy(&mut body, "guidance", "guidance");
                self.remote.copy(&mut body, "negative_prompt", "negative_prompt");
            }
            Dialect::LocalAi => {
                body.insert("seed".to_owned(), json!(request.seed));
                self.remote.copy(&mut body, "steps", "step");
                if let Some(negative) = self.remote.text("negative_prompt") {
                    prompt = format!("{prompt}|{negative}");
                }
            }
            Dialect::Ollama => {
                body.insert("seed".to_owned(), json!(request.seed));
            }
            Dialect::OpenAi | Dialect::OpenRouter => {}
        }
        body.insert("prompt".to_owned(), json!(prompt));
        body
    }

    fn chat_request(&self, request: &Request<'_, str>) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("messages".to_owned(), json!([{ "role": "user", "content": request.input }]));
        body.insert("modalities".to_owned(), json!(["image", "text"]));
        body.insert("seed".to_owned(), json!(request.seed));
        body
    }

    fn image(&self, bytes: &[u8]) -> Result<Given, Fault> {
        let endpoint = &self.remote.endpoint;
        let answer: Pictures = parse(endpoint, bytes)?;
        let mut items = answer.data.ok_or_else(|| lacking(endpoint, "pictures", bytes))?.0;
        if items.len() != 1 {
            return Err(endpoint.fault(&format!("gave {} pictures for one prompt", items.len())));
        }
        let item = items.remove(0);
        match (item.b64_json, item.url) {
            (Some(text), _) if !text.is_empty() => Ok(Given::Base64(text)),
            (_, Some(url)) if !url.is_empty() => Ok(Given::Address(url)),
            _ => Err(endpoint.fault("gave a picture without b64_json and without url")),
        }
    }

    fn chat_picture(&self, bytes: &[u8]) -> Result<Given, Fault> {
        let endpoint = &self.remote.endpoint;
        let message = message_of(endpoint, bytes, "answers to one prompt")?;
        let pictures = message.images.map(|images| images.0).unwrap_or_default();
        if pictures.len() > 1 {
            return Err(endpoint.fault(&format!("gave {} pictures for one prompt", pictures.len())));
        }
        match pictures.into_iter().next().and_then(|picture| picture.image_url) {
            Some(address) => Ok(Given::Address(address.0)),
            None => Err(endpoint.fault("answered without a picture; does the model paint?")),
        }
    }

    /// Decodes what was given; `large` is held until that is done.
    fn picture(&self, given: Given, large_answer: Option<Large>) -> Result<Picture, Fault> {
        let endpoint = &self.remote.endpoint;
        let no_base64 = |error| endpoint.fault(&format!("gave a picture that is no base64 ({error})"));
        let (encoded, mut held) = match given {
            Given::Base64(text) => (BASE64.decode(text).map_err(no_base64)?, large_answer),
            Given::Address(address) => match address.split_once(";base64,") {
                Some((head, text)) if head.starts_with("data:") => {
                    (BASE64.decode(text).map_err(no_base64)?, large_answer)
                }
                _ => {
                    // The answer is gone, and another one begins.
                    drop(large_answer);
                    let Answer { bytes, large } = endpoint.get(&address)?;
                    (bytes, large)
                }
            },
        };
        if self.pixels_max > PIXELS_LARGE && held.is_none() {
            held = Some(large());
        }
        let decoded = decode_foreign_image(&encoded, self.pixels_max);
        drop(held);
        decoded.map_err(|error| {
            let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
            let told: Vec<String> = causes.map(ToString::to_string).collect();
            endpoint.fault(&format!("gave a picture that is none: {}", told.join(": ")))
        })
    }
}

/// Decodes a text as a small picture, as far as that goes.
pub(super) fn decode_text(text: &str) {
    if let Ok(bytes) = BASE64.decode(text) {
        decode_foreign_image(&bytes, 1 << 16).ok();
    }
}

/// How a picture was given.
enum Given {
    Base64(String),
    Address(String),
}

impl TextToImage for Painter {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        batch.iter().map(|request| self.paint(request).map_err(ModelError::from)).collect()
    }
}
