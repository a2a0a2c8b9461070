//! Captions from vision models at servers.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use loopscope_core::backend::{ImageToText, ModelError, Request};
use loopscope_core::experiment::Picture;
use serde_json::{Map, Value, json};

use super::Remote;
use super::answer::message_of;
use super::endpoint::Endpoint;
use super::fault::Fault;
use crate::registry::Dialect;

/// The longest answer that a caption may be in: some models think aloud.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// The longest caption. It is the next model's prompt, and many are held at once.
const CAPTION_BYTES_MAX: usize = 64 << 10;

/// A vision model at a server.
pub(super) struct Describer {
    remote: Remote,
}

impl Describer {
    pub(super) fn new(remote: Remote) -> Self {
        Self { remote }
    }

    fn caption(&self, request: &Request<'_, Picture>) -> Result<String, Fault> {
        let endpoint = &self.remote.endpoint;
        let body = self.remote.finished(self.request(request)?);
        let answer = endpoint.post("chat/completions", &body, ANSWER_BYTES_MAX)?;
        let message = message_of(endpoint, &answer.bytes, "captions for one picture")?;
        // An empty caption is one; a missing one is none.
        let caption = message.content.ok_or_else(|| endpoint.fault("answered without a text"))?.0;
        if caption.len() > CAPTION_BYTES_MAX {
            let length = caption.len();
            return Err(
                endpoint.fault(&format!("gave a caption of {length} bytes, at most {CAPTION_BYTES_MAX} are taken"))
            );
        }
        // Once more, now that what was escaped is not.
        endpoint.keyless(caption.as_bytes())?;
        Ok(caption)
    }

    fn request(&self, request: &Request<'_, Picture>) -> Result<Map<String, Value>, Fault> {
        let dialect = self.remote.endpoint.dialect();
        let address = data_uri(&self.remote.endpoint, request.input)?;
        let image = match dialect {
            Dialect::Ollama => json!({ "type": "image_url", "image_url": address }),
            _ => json!({ "type": "image_url", "image_url": { "url": address } }),
        };
        let prompt = self.remote.text("prompt").unwrap_or_default();
        let mut body = Map::new();
        body.insert(
            "messages".to_owned(),
            json!([{ "role": "user", "content": [{ "type": "text", "text": prompt }, image] }]),
        );
        body.insert("seed".to_owned(), json!(request.seed));
        body.insert("stream".to_owned(), json!(false));
        // OpenAI's newer models take no other word for it.
        let limit = if dialect == Dialect::OpenAi { "max_completion_tokens" } else { "max_tokens" };
        self.remote.copy(&mut body, "max_tokens", limit);
        self.remote.copy(&mut body, "temperature", "temperature");
        Ok(body)
    }
}

/// Returns a picture as an address that holds it, in PNG: the one format without loss that every server reads.
///
/// # Errors
///
/// [`Fault`] when the encoder refuses.
pub(super) fn data_uri(endpoint: &Endpoint, picture: &Picture) -> Result<String, Fault> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, picture.width(), picture.height());
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    let written = encoder.write_header().and_then(|mut writer| writer.write_image_data(picture.rgb()));
    written.map_err(|error| endpoint.fault(&format!("cannot be sent a picture: {error}")))?;
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(&bytes)))
}

impl ImageToText for Describer {
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>> {
        batch.iter().map(|request| self.caption(request).map_err(ModelError::from)).collect()
    }
}
