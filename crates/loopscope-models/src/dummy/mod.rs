//! Models without weights: pure integer and plain IEEE arithmetic on the input and its seed.
//!
//! They are for tests, for demonstrations, and for learning the program without a GPU. Each is bitwise equal on every
//! machine: no sines, no logarithms, no fused multiply-add, no order of a hash map. A result is tied to the model's
//! revision: whoever changes one changes the other. They understand little English and see little of a picture.

mod chance;
mod describe;
mod paint;
mod text;
mod vision;
mod words;

use loopscope_core::backend::{ImageEmbedder, ImageToText, ModelError, Request, TextEmbedder, TextToImage};
use loopscope_core::experiment::Picture;

/// Changes with every change of a result.
pub(crate) const REVISION: &str = "1";

/// Of each pair of twins, which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Twin {
    First,
    Second,
}

/// Paints what a text says.
pub(crate) struct Painter {
    pub(crate) twin: Twin,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

impl TextToImage for Painter {
    fn generate(&mut self, batch: &[Request<'_, str>]) -> Vec<Result<Picture, ModelError>> {
        let style = match self.twin {
            Twin::First => &paint::CUT_PAPER,
            Twin::Second => &paint::SCREEN_PRINT,
        };
        let paint =
            |request: &Request<'_, str>| Ok(paint::paint(style, request.input, request.seed, self.width, self.height));
        batch.iter().map(paint).collect()
    }
}

/// Says what a picture shows.
pub(crate) struct Describer(pub(crate) Twin);

impl ImageToText for Describer {
    fn describe(&mut self, batch: &[Request<'_, Picture>]) -> Vec<Result<String, ModelError>> {
        let voice = match self.0 {
            Twin::First => &describe::PLAIN,
            Twin::Second => &describe::POETIC,
        };
        batch.iter().map(|request| Ok(describe::describe(voice, request.input, request.seed))).collect()
    }
}

/// Numbers in the vector of a text.
pub(crate) const fn text_dimension(twin: Twin) -> usize {
    match twin {
        Twin::First => 64,
        Twin::Second => 48,
    }
}

/// Places texts by their words.
pub(crate) struct Reader(pub(crate) Twin);

impl TextEmbedder for Reader {
    fn embed(&mut self, batch: &[&str]) -> Vec<Result<Vec<f32>, ModelError>> {
        batch.iter().map(|text| Ok(text::embed(text, self.0 as u64, text_dimension(self.0)))).collect()
    }
}

/// Numbers in the vector of a picture.
pub(crate) const fn vision_dimension(twin: Twin) -> usize {
    match twin {
        Twin::First => 64,
        Twin::Second => 48,
    }
}

/// Places pictures by their colours and edges.
pub(crate) struct Viewer(pub(crate) Twin);

impl ImageEmbedder for Viewer {
    fn embed(&mut self, batch: &[&Picture]) -> Vec<Result<Vec<f32>, ModelError>> {
        let embed = match self.0 {
            Twin::First => vision::embed,
            Twin::Second => vision::embed_coarse,
        };
        batch.iter().map(|picture| Ok(embed(picture))).collect()
    }
}
