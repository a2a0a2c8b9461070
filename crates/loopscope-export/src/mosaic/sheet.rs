//! Still sheets: mosaics, timelines and grids.

use std::fmt::Write as _;

use loopscope_core::store::Store;

use super::board::{Board, RunRow, picture};
use super::layout::LayoutError;
use crate::figure::color::{FAINT, INK, PAPER};
use crate::figure::raster::raster_of_svg;
use crate::figure::svg::{escaped, hex, number};
use crate::figure::{Color, font};
use crate::pixels::scaled;
use crate::{ExportError, Part, PixelError, Progress, Raster};

/// What a sheet is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// Lossless.
    Png,
    /// Lossy, quality 92.
    Jpeg,
    /// Lossless.
    WebP,
}

impl ImageFormat {
    /// Returns the format that a file's ending names.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        match extension.to_lowercase().as_str() {
            "png" => Some(Self::Png),
            "jpg" | "jpeg" => Some(Self::Jpeg),
            "webp" => Some(Self::WebP),
            _ => None,
        }
    }

    /// Returns the longest side that it holds, in pixels.
    const fn side_max(self) -> usize {
        match self {
            Self::Png => 60_000,
            Self::Jpeg => 65_535,
            Self::WebP => 16_383,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
        }
    }

    /// Encodes pixels.
    ///
    /// # Errors
    ///
    /// [`ExportError::Pixels`].
    pub fn encode(self, raster: &Raster) -> Result<Vec<u8>, ExportError> {
        let failed = |error: &dyn std::fmt::Display| ExportError::Pixels(PixelError::Encode(error.to_string()));
        match self {
            Self::Png => Ok(raster.to_png(None)?),
            Self::WebP => {
                let mut bytes = Vec::new();
                image_webp::WebPEncoder::new(&mut bytes)
                    .encode(&raster.rgb, raster.width, raster.height, image_webp::ColorType::Rgb8)
                    .map_err(|error| failed(&error))?;
                Ok(bytes)
            }
            Self::Jpeg => {
                let mut bytes = Vec::new();
                let side = |side: u32| u16::try_from(side).map_err(|error| failed(&error));
                jpeg_encoder::Encoder::new(&mut bytes, 92)
                    .encode(&raster.rgb, side(raster.width)?, side(raster.height)?, jpeg_encoder::ColorType::Rgb)
                    .map_err(|error| failed(&error))?;
                Ok(bytes)
            }
        }
    }
}

/// How a sheet looks.
#[derive(Clone, Copy, Debug)]
pub struct SheetOptions {
    /// Longer side of a tile, in pixels.
    pub tile: usize,
    /// Which picture of each run a mosaic shows, from 0; otherwise the last.
    pub step: Option<usize>,
    /// Pictures of a run in a timeline, evenly spaced; columns of a grid.
    pub columns: usize,
    /// What it will be written as, for its limits.
    pub format: ImageFormat,
}

const MARGIN: usize = 24;
const GAP: usize = 4;
const LABEL: f64 = 13.0;

/// A text on a sheet: left, baseline, size, bold, colour, anchor.
pub(crate) struct Label {
    pub(crate) at: (f64, f64),
    pub(crate) text: String,
    pub(crate) size: f64,
    pub(crate) is_bold: bool,
    pub(crate) color: Color,
    pub(crate) anchor: &'static str,
}

/// Draws texts on a ground of one colour.
pub(crate) fn labels(width: usize, height: usize, ground: Color, labels: &[Label]) -> Result<Raster, ExportError> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" font-family=\"{}\"><rect width=\"{width}\" height=\"{height}\" fill=\"{}\"/>",
        font::FAMILY,
        hex(ground)
    );
    for label in labels {
        // Writing into a string does not fail.
        write!(
            svg,
            "<text x=\"{}\" y=\"{}\" font-size=\"{}\" fill=\"{}\" text-anchor=\"{}\"{}>{}</text>",
            number(label.at.0),
            number(label.at.1),
            number(label.size),
            hex(label.color),
            label.anchor,
            if label.is_bold { " font-weight=\"bold\"" } else { "" },
            escaped(&label.text)
        )
        .ok();
    }
    svg.push_str("</svg>");
    Ok(raster_of_svg(&svg, 1.0)?)
}

/// A sheet is held in memory: a gigabyte is enough.
const SHEET_PIXELS_MAX: usize = 350_000_000;

fn tile_size(aspect: f64, longer: usize) -> (usize, usize) {
    let longer = longer.max(8) as f64;
    let (width, height) = if aspect >= 1.0 { (longer, longer / aspect) } else { (longer * aspect, longer) };
    (width.round().max(1.0) as usize, height.round().max(1.0) as usize)
}

fn check(width: usize, height: usize, format: ImageFormat, advice: &str) -> Result<(), ExportError> {
    let max = format.side_max();
    let limit = if width > max || height > max {
        format!("{} holds {max} on a side", format.name())
    } else if width.saturating_mul(height) > SHEET_PIXELS_MAX {
        format!("a sheet has at most {SHEET_PIXELS_MAX}")
    } else {
        return Ok(());
    };
    Err(LayoutError::SheetTooLarge { width, height, limit, advice: advice.to_owned() }.into())
}

/// Makes a mosaic: a row a prompt, a column a network and seed.
///
/// # Errors
///
/// [`ExportError`]; [`LayoutError::SheetTooLarge`] says what to change.
pub fn mosaic(
    store: &Store,
    board: &Board,
    options: &SheetOptions,
    progress: &mut dyn Progress,
) -> Result<Raster, ExportError> {
    let (tile_width, tile_height) = tile_size(board.aspect(store)?, options.tile);
    let side = 230;
    let networks: Vec<(String, usize)> = spans(board.columns.iter().map(|column| column.0.clone()));
    let head = MARGIN + 62;
    let top = head + 42;
    let width = MARGIN * 2 + side + board.columns.len() * (tile_width + GAP);
    let height = top + board.rows.len() * (tile_height + GAP) + MARGIN;
    check(width, height, options.format, "take a smaller --tile, or fewer prompts with --prompt TEXT")?;
    let which = options
        .step
        .map_or_else(|| "last pictures".to_owned(), |step| format!("picture {step} of each run, or its last"));
    let mut texts = heading(board, &which, width);
    let at = |column: usize| (MARGIN + side + column * (tile_width + GAP)) as f64;
    let mut first = 0;
    for (network, count) in networks {
        let room = (count * (tile_width + GAP)) as f64 - 6.0;
        texts.push(label((at(first), head as f64 + 12.0), &font::fit(&network, LABEL, true, room), true, INK));
        for column in first..first + count {
            let name = font::fit(&board.columns[column].1, 12.0, false, tile_width as f64).into_owned();
            texts.push(label((at(column), head as f64 + 32.0), &name, false, FAINT));
        }
        first += count;
    }
    for (row, prompt) in board.prompts.iter().enumerate() {
        let y = top + row * (tile_height + GAP);
        let lines_max = (tile_height / 17).max(1);
        for (line, text) in font::wrap(prompt, LABEL, false, side as f64 - 16.0, lines_max).iter().enumerate() {
            texts.push(label((MARGIN as f64, y as f64 + 14.0 + line as f64 * 17.0), text, false, INK));
        }
    }
    let mut sheet = labels(width, height, PAPER, &texts)?;
    progress.begin(Part { name: "mosaic", total: board.runs().count() as u64, unit: "pictures" });
    let mut done = 0;
    for (row, runs) in board.rows.iter().enumerate() {
        for (column, run) in runs.iter().enumerate() {
            let Some(run) = run else { continue };
            let last = run.pictures.len() - 1;
            let id = run.pictures[options.step.map_or(last, |step| step.min(last))].id;
            let small = scaled(&picture(store, id)?, tile_width, tile_height);
            let (x, y) = (at(column) as usize, top + row * (tile_height + GAP));
            sheet.paste(
                x + (tile_width - small.width as usize) / 2,
                y + (tile_height - small.height as usize) / 2,
                &small,
            );
            done += 1;
            progress.advance(done);
            progress.check()?;
        }
    }
    Ok(sheet)
}

/// Makes a timeline: a row a run, its pictures from left to right.
///
/// # Errors
///
/// As [`mosaic`].
pub fn timeline(
    store: &Store,
    board: &Board,
    options: &SheetOptions,
    progress: &mut dyn Progress,
) -> Result<Raster, ExportError> {
    let (tile_width, tile_height) = tile_size(board.aspect(store)?, options.tile);
    let runs: Vec<&RunRow> = board.runs().collect();
    let columns = options.columns.clamp(1, board.length());
    let (side, head) = (230, MARGIN + 62);
    let top = head + 26;
    let width = MARGIN * 2 + side + columns * (tile_width + GAP);
    let height = top + runs.len() * (tile_height + GAP) + MARGIN;
    check(
        width,
        height,
        options.format,
        "take a smaller --tile, fewer --columns, or fewer prompts with --prompt TEXT",
    )?;
    let mut texts = heading(board, &format!("{columns} of up to {} pictures of each run", board.length()), width);
    let longest = runs.iter().max_by_key(|run| run.pictures.len()).copied();
    let shown = |length: usize, column: usize| if columns > 1 { column * (length - 1) / (columns - 1) } else { 0 };
    for column in 0..columns {
        let x = (MARGIN + side + column * (tile_width + GAP)) as f64;
        let step = longest.map_or(0, |run| run.pictures[shown(board.length(), column)].step);
        texts.push(label((x, head as f64 + 14.0), &format!("step {step}"), false, FAINT));
    }
    let mut before = "";
    for (row, run) in runs.iter().enumerate() {
        let y = (top + row * (tile_height + GAP)) as f64;
        let mut lines = Vec::new();
        if run.prompt != before {
            let lines_max = (tile_height / 17).saturating_sub(1).clamp(1, 4);
            lines.extend(
                font::wrap(&run.prompt, LABEL, true, side as f64 - 16.0, lines_max)
                    .into_iter()
                    .map(|text| (text, true)),
            );
            before = &run.prompt;
        }
        let rest = format!("{} · {}", run.name, run.network);
        lines.push((font::fit(&rest, 12.0, false, side as f64 - 16.0).into_owned(), false));
        for (line, (text, is_bold)) in lines.into_iter().enumerate() {
            let color = if is_bold { INK } else { FAINT };
            texts.push(label((MARGIN as f64, y + 14.0 + line as f64 * 17.0), &text, is_bold, color));
        }
    }
    let mut sheet = labels(width, height, PAPER, &texts)?;
    progress.begin(Part { name: "timeline", total: runs.len() as u64, unit: "runs" });
    for (row, run) in runs.iter().enumerate() {
        let mut last = None;
        for column in 0..columns {
            // A column is a time: a run that ended before shows nothing there.
            let place = shown(board.length(), column);
            let Some(found) = run.pictures.get(place) else { continue };
            if last == Some(place) {
                continue;
            }
            last = Some(place);
            let small = scaled(&picture(store, found.id)?, tile_width, tile_height);
            let (x, y) = (MARGIN + side + column * (tile_width + GAP), top + row * (tile_height + GAP));
            sheet.paste(
                x + (tile_width - small.width as usize) / 2,
                y + (tile_height - small.height as usize) / 2,
                &small,
            );
        }
        progress.advance(row as u64 + 1);
        progress.check()?;
    }
    Ok(sheet)
}

/// Makes a grid of all pictures of one run, row by row.
///
/// # Errors
///
/// As [`mosaic`].
pub fn grid(
    store: &Store,
    board: &Board,
    run: &RunRow,
    options: &SheetOptions,
    progress: &mut dyn Progress,
) -> Result<Raster, ExportError> {
    let (tile_width, tile_height) = tile_size(board.aspect(store)?, options.tile);
    let columns = options.columns.clamp(1, run.pictures.len());
    let rows = run.pictures.len().div_ceil(columns);
    let (top, label_height) = (MARGIN + 62, 20);
    let width = (MARGIN * 2 + columns * (tile_width + GAP)).max(360);
    let height = top + rows * (tile_height + label_height + GAP) + MARGIN;
    check(width, height, options.format, "take a smaller --tile, or more --columns")?;
    let mut texts = heading(board, &format!("“{}” · {} · {}", run.prompt, run.name, run.network), width);
    let at = |index: usize| {
        (MARGIN + index % columns * (tile_width + GAP), top + index / columns * (tile_height + label_height + GAP))
    };
    for (index, shown) in run.pictures.iter().enumerate() {
        let (x, y) = at(index);
        texts.push(label((x as f64, (y + tile_height) as f64 + 14.0), &format!("step {}", shown.step), false, FAINT));
    }
    let mut sheet = labels(width, height, PAPER, &texts)?;
    progress.begin(Part { name: "grid", total: run.pictures.len() as u64, unit: "pictures" });
    for (index, shown) in run.pictures.iter().enumerate() {
        let small = scaled(&picture(store, shown.id)?, tile_width, tile_height);
        let (x, y) = at(index);
        sheet.paste(x, y, &small);
        progress.advance(index as u64 + 1);
        progress.check()?;
    }
    Ok(sheet)
}

fn heading(board: &Board, rest: &str, width: usize) -> Vec<Label> {
    let room = (width - 2 * MARGIN) as f64;
    let title = font::fit(&board.experiment.name, 20.0, true, room).into_owned();
    let rest = format!("{} · experiment {}", rest, board.experiment.id.short());
    let rest = font::fit(&rest, LABEL, false, room).into_owned();
    let mut title = label((MARGIN as f64, MARGIN as f64 + 18.0), &title, true, INK);
    title.size = 20.0;
    vec![title, label((MARGIN as f64, MARGIN as f64 + 40.0), &rest, false, FAINT)]
}

fn label(at: (f64, f64), text: &str, is_bold: bool, color: Color) -> Label {
    Label { at, text: text.to_owned(), size: if is_bold { LABEL } else { 12.0 }, is_bold, color, anchor: "start" }
}

/// Counts equal neighbours.
fn spans(items: impl Iterator<Item = String>) -> Vec<(String, usize)> {
    let mut spans: Vec<(String, usize)> = Vec::new();
    for item in items {
        match spans.last_mut() {
            Some((last, count)) if *last == item => *count += 1,
            _ => spans.push((item, 1)),
        }
    }
    spans
}
