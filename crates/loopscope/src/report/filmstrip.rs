//! A run as one picture: its outputs in order, captions under the images that they describe.
//!
//! Letters are the 8 × 8 bitmaps of `font8x8`, so that no font has to be found, licensed or shaped; a letter that it
//! does not have shows as a box.

use std::io::BufWriter;
use std::path::Path;

use anyhow::Context;
use font8x8::UnicodeFonts;
use loopscope_core::experiment::{Picture, RunId};
use loopscope_core::store::{InvocationRow, OutputRow, Store, StoredOutput};

/// Side of a cell's picture, in pixels.
const SIDE: usize = 208;
/// Space between cells.
const GAP: usize = 8;
/// Cells in a row.
const COLUMNS: usize = 8;
/// Cells at most; a longer run shows evenly spaced steps.
const CELLS_MAX: usize = 40;
/// Lines of caption under a picture.
const LINES: usize = 5;
/// Height of a line.
const LINE: usize = 11;
/// Letters in a line.
const LETTERS: usize = SIDE / 8;
/// Height of the heading.
const HEADING: usize = 2 * LINE + GAP;

const PAPER: [u8; 3] = [250, 249, 246];
const INK: [u8; 3] = [40, 40, 48];
const FAINT: [u8; 3] = [130, 130, 140];

/// One cell: a picture, its number, and the text that was made of it, when there is one.
struct Cell {
    number: u64,
    picture: Picture,
    caption: Option<String>,
}

/// Writes the filmstrip of a run as a PNG; returns whether it had a picture to show.
///
/// # Errors
///
/// When the run does not read or the file cannot be written.
pub(crate) fn write_filmstrip(store: &Store, run: RunId, heading: &str, path: &Path) -> anyhow::Result<bool> {
    let cells = cells_of(store, run)?;
    if cells.is_empty() {
        return Ok(false);
    }
    let columns = COLUMNS.min(cells.len());
    let rows = cells.len().div_ceil(columns);
    let mut sheet = Sheet::new(GAP + columns * (SIDE + GAP), HEADING + GAP + rows * (SIDE + LINES * LINE + 2 * GAP));
    let width = sheet.width / 8 - 2;
    for (line, text) in wrap(heading, width).iter().take(2).enumerate() {
        sheet.text(GAP, GAP + line * LINE, text, INK);
    }
    for (index, cell) in cells.iter().enumerate() {
        let left = GAP + index % columns * (SIDE + GAP);
        let top = HEADING + GAP + index / columns * (SIDE + LINES * LINE + 2 * GAP);
        sheet.picture(left, top, &cell.picture);
        sheet.caption(left, top + SIDE + GAP / 2, cell);
    }
    sheet.write(path).with_context(|| format!("writing {}", path.display()))?;
    Ok(true)
}

/// Reads the pictures to show, each with the text that follows it.
fn cells_of(store: &Store, run: RunId) -> anyhow::Result<Vec<Cell>> {
    let mut steps: Vec<InvocationRow> = Vec::new();
    store.visit_invocations(run, |row| -> anyhow::Result<()> {
        steps.push(row);
        Ok(())
    })?;
    let pictures: Vec<usize> =
        (0..steps.len()).filter(|&index| matches!(steps[index].output, OutputRow::Image { .. })).collect();
    let shown = pictures.len().min(CELLS_MAX);
    let mut cells = Vec::with_capacity(shown);
    for place in 0..shown {
        // Evenly spaced, the first and the last among them.
        let index = pictures[if shown > 1 { place * (pictures.len() - 1) / (shown - 1) } else { 0 }];
        let StoredOutput::Image(picture) = store.output(steps[index].id)? else { continue };
        let caption = steps.get(index + 1).and_then(|next| match &next.output {
            OutputRow::Text { text } => Some(text.clone()),
            OutputRow::Image { .. } => None,
        });
        cells.push(Cell { number: steps[index].sequence_number.0, picture, caption });
    }
    Ok(cells)
}

/// A sheet of RGB8 pixels to draw on.
struct Sheet {
    width: usize,
    height: usize,
    rgb: Vec<u8>,
}

impl Sheet {
    fn new(width: usize, height: usize) -> Self {
        Self { width, height, rgb: PAPER.repeat(width * height) }
    }

    fn dot(&mut self, x: usize, y: usize, color: [u8; 3]) {
        if x < self.width && y < self.height {
            let at = (y * self.width + x) * 3;
            self.rgb[at..at + 3].copy_from_slice(&color);
        }
    }

    /// Draws a picture scaled into a square, each pixel the mean of those that it covers.
    fn picture(&mut self, left: usize, top: usize, picture: &Picture) {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let longest = width.max(height);
        let (wide, high) = ((width * SIDE / longest).max(1), (height * SIDE / longest).max(1));
        let (left, top) = (left + (SIDE - wide) / 2, top + (SIDE - high) / 2);
        for y in 0..high {
            for x in 0..wide {
                let columns = covered(x, wide, width);
                let color = mean(picture, columns, covered(y, high, height));
                self.dot(left + x, top + y, color);
            }
        }
    }

    fn caption(&mut self, left: usize, top: usize, cell: &Cell) {
        let number = format!("{}", cell.number);
        self.text(left, top, &number, FAINT);
        let indent = number.chars().count() + 1;
        let Some(caption) = &cell.caption else { return };
        let caption = if caption.is_empty() { "(empty)" } else { caption };
        let mut lines = wrap(&format!("{}{caption}", "\u{a0}".repeat(indent)), LETTERS);
        if lines.len() > LINES {
            lines[LINES - 1] = format!("{}...", lines[LINES - 1].chars().take(LETTERS - 3).collect::<String>());
        }
        for (line, text) in lines.iter().take(LINES).enumerate() {
            self.text(left, top + line * LINE, text, INK);
        }
    }

    fn text(&mut self, left: usize, top: usize, text: &str, color: [u8; 3]) {
        for (place, letter) in text.chars().enumerate() {
            let glyph =
                [font8x8::BASIC_FONTS.get(letter), font8x8::LATIN_FONTS.get(letter), font8x8::BOX_FONTS.get('□')];
            let glyph =
                if letter == '\u{a0}' { [0; 8] } else { glyph.into_iter().flatten().next().unwrap_or([0x7e; 8]) };
            for (y, row) in glyph.into_iter().enumerate() {
                for x in (0..8).filter(|x| row >> x & 1 == 1) {
                    self.dot(left + place * 8 + x, top + y, color);
                }
            }
        }
    }

    fn write(&self, path: &Path) -> anyhow::Result<()> {
        let file = BufWriter::new(std::fs::File::create(path)?);
        let mut encoder = png::Encoder::new(file, u32::try_from(self.width)?, u32::try_from(self.height)?);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&self.rgb)?;
        writer.finish()?;
        Ok(())
    }
}

/// Returns the source pixels that a target pixel covers along one side; at least one.
fn covered(target: usize, targets: usize, sources: usize) -> std::ops::Range<usize> {
    let first = target * sources / targets;
    first..((target + 1) * sources / targets).max(first + 1)
}

fn mean(picture: &Picture, columns: std::ops::Range<usize>, rows: std::ops::Range<usize>) -> [u8; 3] {
    let width = picture.width() as usize;
    let count = columns.len() * rows.len();
    let mut sums = [0_usize; 3];
    for y in rows {
        for x in columns.clone() {
            let at = (y * width + x) * 3;
            for (sum, &value) in sums.iter_mut().zip(&picture.rgb()[at..at + 3]) {
                *sum += usize::from(value);
            }
        }
    }
    // A mean of bytes is a byte.
    sums.map(|sum| (sum / count) as u8)
}

/// Breaks a text into lines of at most `letters`, between words where it can.
fn wrap(text: &str, letters: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split([' ', '\n', '\t']) {
        for piece in pieces(word, letters) {
            let line = lines.len() - 1;
            let used = lines[line].chars().count();
            if used > 0 && used + 1 + piece.chars().count() > letters {
                lines.push(piece);
            } else {
                if used > 0 {
                    lines[line].push(' ');
                }
                lines[line].push_str(&piece);
            }
        }
    }
    lines
}

fn pieces(word: &str, letters: usize) -> Vec<String> {
    let word: Vec<char> = word.chars().collect();
    word.chunks(letters.max(1)).map(|piece| piece.iter().collect()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_wrap_between_words_and_break_long_ones() {
        assert_eq!(wrap("a small red circle", 8), ["a small", "red", "circle"]);
        assert_eq!(wrap("abcdefghij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn scaling_covers_every_pixel_once_or_repeats_it() {
        let down: Vec<_> = (0..3).map(|target| covered(target, 3, 10)).collect();
        assert_eq!(down, [0..3, 3..6, 6..10]);
        let up: Vec<_> = (0..4).map(|target| covered(target, 4, 2)).collect();
        assert_eq!(up, [0..1, 0..1, 1..2, 1..2]);
    }
}
