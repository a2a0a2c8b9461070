//! Vectors from servers.

use loopscope_core::backend::{ImageEmbedder, ModelError, TextEmbedder as EmbedsTexts};
use loopscope_core::experiment::Picture;
use serde_json::{Map, Value, json};

use super::Remote;
use super::answer::{VectorItem, Vectors, lacking, parse};
use super::captions::data_uri;
use super::fault::Fault;
use crate::registry::Dialect;

/// The longest answer: a thousand vectors of 4096 numbers with 15 digits each.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

type Vectored = Result<Vec<f32>, ModelError>;

/// A text embedder at a server.
pub(super) struct TextEmbedder {
    remote: Remote,
    dimension: Option<usize>,
}

impl TextEmbedder {
    pub(super) fn new(remote: Remote, dimension: Option<usize>) -> Self {
        Self { remote, dimension }
    }

    fn call(&self, texts: &[&str]) -> Result<Vec<Vectored>, Fault> {
        let prefix = self.remote.text("prefix").unwrap_or_default();
        let inputs: Vec<String> = texts.iter().map(|text| format!("{prefix}{text}")).collect();
        let mut body = Map::new();
        body.insert("input".to_owned(), json!(inputs));
        self.remote.copy(&mut body, "dimension", "dimensions");
        vectors_of(&self.remote, body, texts.len(), self.dimension)
    }
}

impl TextEmbedder {
    /// Sends each text alone, until one fails for another reason than itself: the rest would fail for the same.
    fn one_by_one(&self, batch: &[&str]) -> Vec<Vectored> {
        let mut stopped: Option<ModelError> = None;
        let mut call = |text: &str| {
            if let Some(error) = &stopped {
                return Err(copy_of(error));
            }
            let vectors = self.call(&[text]).map_err(|fault| {
                if !fault.may_be_one_input {
                    stopped = Some(copy_of(&fault.error));
                }
                fault.error
            })?;
            only(vectors)
        };
        batch.iter().map(|text| call(text)).collect()
    }
}

impl EmbedsTexts for TextEmbedder {
    /// Calls once for all texts. When the server refuses them together, each is sent alone, so that one text that it
    /// cannot take costs that one only.
    fn embed(&mut self, batch: &[&str]) -> Vec<Vectored> {
        match self.call(batch) {
            Ok(vectors) => vectors,
            Err(fault) if fault.may_be_one_input && batch.len() > 1 => self.one_by_one(batch),
            Err(fault) => batch.iter().map(|_| Err(copy_of(&fault.error))).collect(),
        }
    }
}

/// An image embedder at a server.
pub(super) struct PictureEmbedder {
    remote: Remote,
    dimension: Option<usize>,
}

impl PictureEmbedder {
    pub(super) fn new(remote: Remote, dimension: Option<usize>) -> Self {
        Self { remote, dimension }
    }

    fn call(&self, picture: &Picture) -> Result<Vec<Vectored>, Fault> {
        let address = data_uri(&self.remote.endpoint, picture)?;
        let mut body = Map::new();
        match self.remote.endpoint.dialect() {
            Dialect::Sglang => {
                body.insert("input".to_owned(), json!([{ "image": address }]));
            }
            _ => {
                let image = json!({ "type": "image_url", "image_url": { "url": address } });
                body.insert("messages".to_owned(), json!([{ "role": "user", "content": [image] }]));
            }
        }
        vectors_of(&self.remote, body, 1, self.dimension)
    }
}

impl ImageEmbedder for PictureEmbedder {
    fn embed(&mut self, batch: &[&Picture]) -> Vec<Vectored> {
        batch.iter().map(|picture| self.call(picture).map_err(ModelError::from).and_then(only)).collect()
    }
}

fn only(mut vectors: Vec<Vectored>) -> Vectored {
    vectors.pop().unwrap_or_else(|| Err(ModelError::permanent("no vector")))
}

/// Sends a request for vectors, and returns them in the order of their inputs.
fn vectors_of(
    remote: &Remote,
    mut body: Map<String, Value>,
    count: usize,
    dimension: Option<usize>,
) -> Result<Vec<Vectored>, Fault> {
    let endpoint = &remote.endpoint;
    body.insert("encoding_format".to_owned(), json!("float"));
    let answer = endpoint.post("embeddings", &remote.finished(body), ANSWER_BYTES_MAX)?;
    let vectors: Vectors = parse(endpoint, &answer.bytes)?;
    let items = vectors.data.ok_or_else(|| lacking(endpoint, "vectors", &answer.bytes))?.0;
    if items.len() != count {
        return Err(endpoint.fault(&format!("gave {} vectors for {count} inputs", items.len())));
    }
    let ordered = in_order(items).map_err(|problem| endpoint.fault(&problem))?;
    let checked = ordered.into_iter().map(|numbers| match dimension {
        Some(expected) if numbers.len() != expected => {
            let message = format!("gave a vector of {} numbers, expected {expected}", numbers.len());
            Err(endpoint.fault(&message).error)
        }
        _ => Ok(numbers),
    });
    Ok(checked.collect())
}

/// Puts vectors into the order of their inputs, which servers need not keep.
pub(super) fn in_order(mut items: Vec<VectorItem>) -> Result<Vec<Vec<f32>>, String> {
    if items.iter().any(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
        for (place, item) in items.iter().enumerate() {
            if item.index != Some(place as u64) {
                let got = item.index.map_or_else(|| "none".to_owned(), |index| index.to_string());
                return Err(format!("gave vectors whose indices are not 0 to {}: {got} at {place}", items.len() - 1));
            }
        }
    }
    Ok(items.into_iter().map(|item| item.embedding.0).collect())
}

fn copy_of(error: &ModelError) -> ModelError {
    match error {
        ModelError::Transient { message, retry_after } => {
            ModelError::Transient { message: message.clone(), retry_after: *retry_after }
        }
        other => ModelError::permanent(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::answer::Bounded;

    fn items(indices: &[Option<u64>]) -> Vec<VectorItem> {
        let item = |(place, index): (usize, &Option<u64>)| VectorItem {
            index: *index,
            embedding: Bounded(vec![index.unwrap_or(place as u64) as f32]),
        };
        indices.iter().enumerate().map(item).collect()
    }

    #[test]
    fn vectors_stand_in_the_order_of_their_inputs() {
        let shuffled = in_order(items(&[Some(2), Some(0), Some(1)])).unwrap();
        assert_eq!(shuffled, [[0.0], [1.0], [2.0]]);
        assert_eq!(in_order(items(&[None, None])).unwrap(), [[0.0], [1.0]]);
        for wrong in [&[Some(0), Some(0)][..], &[Some(1), Some(2)], &[Some(0), None]] {
            assert!(in_order(items(wrong)).is_err(), "{wrong:?}");
        }
    }
}
