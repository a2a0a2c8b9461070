//! A run as a strip of small pictures, and its texts.

use loopscope_core::experiment::{InvocationId, RunId};
use loopscope_core::store::{OutputRow, Store, StoreError};

use crate::mosaic::{ImageFormat, picture};
use crate::pixels::scaled;
use crate::{ExportError, Raster};

/// Pictures of a strip, at most.
const PICTURES_MAX: usize = 12;
/// Height of a strip, in pixels: twice what the page shows.
const HEIGHT: usize = 192;

/// One step of a run.
pub(super) struct Step {
    pub(super) number: u64,
    pub(super) id: InvocationId,
    /// `None` for a picture.
    pub(super) text: Option<String>,
}

pub(super) fn steps(store: &Store, run: RunId) -> Result<Vec<Step>, ExportError> {
    let mut steps = Vec::new();
    store.visit_invocations(run, |row| -> Result<(), StoreError> {
        let text = match row.output {
            OutputRow::Text { text } => Some(text),
            OutputRow::Image { .. } => None,
        };
        steps.push(Step { number: row.sequence_number.0, id: row.id, text });
        Ok(())
    })?;
    Ok(steps)
}

/// Returns the places of `count` of `length` items, evenly spaced, the first and the last among them.
pub(super) fn evenly(length: usize, count: usize) -> Vec<usize> {
    let shown = length.min(count);
    (0..shown).map(|place| if shown > 1 { place * (length - 1) / (shown - 1) } else { 0 }).collect()
}

/// Draws the pictures of a run beside each other, as JPEG; `None` without any.
pub(super) fn filmstrip(store: &Store, steps: &[Step]) -> Result<Option<Vec<u8>>, ExportError> {
    let pictures: Vec<&Step> = steps.iter().filter(|step| step.text.is_none()).collect();
    let mut small = Vec::new();
    for place in evenly(pictures.len(), PICTURES_MAX) {
        small.push(scaled(&picture(store, pictures[place].id)?, HEIGHT * 3, HEIGHT));
    }
    if small.is_empty() {
        return Ok(None);
    }
    let width: usize = small.iter().map(|picture| picture.width as usize + 4).sum::<usize>() - 4;
    let mut strip = Raster::filled(width as u32, HEIGHT as u32, [128; 3]);
    let mut left = 0;
    for picture in &small {
        strip.paste(left, 0, picture);
        left += picture.width as usize + 4;
    }
    Ok(Some(ImageFormat::Jpeg.encode(&strip)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_are_always_among_the_shown() {
        assert_eq!(evenly(5, 12), [0, 1, 2, 3, 4]);
        assert_eq!(evenly(100, 4), [0, 33, 66, 99]);
        assert_eq!(evenly(1, 4), [0]);
        assert!(evenly(0, 4).is_empty());
    }
}
