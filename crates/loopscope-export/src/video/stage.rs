//! What a frame shows: a banner, blocks of tiles, and before them a card with the title.

use loopscope_core::analysis::counted;
use loopscope_core::experiment::InvocationId;
use loopscope_core::store::Store;

use super::blocks::{Blocks, Size};
use crate::figure::{Color, font};
use crate::mosaic::{Board, labels};
use crate::pixels::{Rect, scaled};
use crate::{ExportError, Raster};

const GROUND: Color = [16, 16, 20];
const INK: Color = [240, 240, 244];
const FAINT: Color = [160, 160, 172];
const BAR: Color = [86, 180, 233];
const RAIL: Color = [52, 52, 60];

/// One experiment on the screen.
pub(super) struct Stage<'a> {
    store: &'a Store,
    board: &'a Board,
    blocks: Blocks,
    /// Where the blocks are: the frame without its banner.
    field: Size,
    banner: usize,
    strip: usize,
    /// How much larger than HD everything is.
    scale: f64,
    frame: Raster,
    length: usize,
}

impl<'a> Stage<'a> {
    pub(super) fn new(
        store: &'a Store,
        board: &'a Board,
        (width, height): (usize, usize),
        tile_min: usize,
    ) -> Result<Self, ExportError> {
        let scale = height as f64 / 1080.0;
        let (banner, strip) = ((64.0 * scale) as usize, (28.0 * scale) as usize);
        let field = Size { width, height: height - banner };
        let aspect = board.aspect(store)?;
        let blocks = Blocks::choose(board.prompts.len(), board.columns.len(), aspect, field, strip, tile_min)?;
        let frame = Raster::filled(width as u32, height as u32, GROUND);
        let mut stage = Self { store, board, blocks, field, banner, strip, scale, frame, length: board.length() };
        stage.draw_strips()?;
        Ok(stage)
    }

    /// Returns how many turns are shown.
    pub(super) const fn length(&self) -> usize {
        self.length
    }

    pub(super) const fn frame(&self) -> &Raster {
        &self.frame
    }

    /// Returns the card before the pictures.
    pub(super) fn title_card(&self) -> Result<Raster, ExportError> {
        let (width, height) = (self.frame.width as usize, self.frame.height as usize);
        let s = self.scale;
        let room = width as f64 * 0.8;
        let config = &self.board.experiment.config;
        let mut texts = Vec::new();
        let mut y = height as f64 * 0.30;
        let left = width as f64 * 0.1;
        let mut line = |text: &str, size: f64, is_bold: bool, color: Color, lines_max: usize| {
            for text in font::wrap(text, size * s, is_bold, room, lines_max) {
                texts.push(text_at((left, y), &text, size * s, is_bold, color));
                y += size * s * 1.35;
            }
            y += size * s * 0.35;
        };
        line(&self.board.experiment.name, 64.0, true, INK, 2);
        let counts = format!(
            "{} · {} · {} · {} of each",
            counted(config.networks.iter().count(), "network"),
            counted(self.board.prompts.len(), "prompt"),
            counted(self.board.runs().count(), "run"),
            counted(self.length, "picture")
        );
        line(&counts, 30.0, false, FAINT, 2);
        let mut networks: Vec<String> = self.board.columns.iter().map(|column| column.0.clone()).collect();
        networks.dedup();
        for network in networks.iter().take(6) {
            line(network, 28.0, false, INK, 1);
        }
        for prompt in self.board.prompts.iter().take(6) {
            line(&format!("“{prompt}”"), 24.0, false, FAINT, 1);
        }
        if self.board.prompts.len() > 6 {
            line(&format!("and {} more prompts", self.board.prompts.len() - 6), 24.0, false, FAINT, 1);
        }
        labels(width, height, GROUND, &texts)
    }

    /// Writes each prompt over its block, once.
    fn draw_strips(&mut self) -> Result<(), ExportError> {
        for (prompt, words) in self.board.prompts.iter().enumerate() {
            let (left, top, width) = self.blocks.corner(prompt, self.field, self.strip);
            let size = 17.0 * self.scale;
            let words = font::fit(words, size, false, width as f64 - 6.0).into_owned();
            let text = text_at((2.0, self.strip as f64 * 0.7), &words, size, false, INK);
            let strip = labels(width, self.strip, GROUND, &[text])?;
            self.frame.paste(left, self.banner + top, &strip);
        }
        Ok(())
    }

    /// Shows the pictures of a turn and returns how many of the tiles changed, in `0.0..=1.0`; a run that ended before keeps its last.
    pub(super) fn advance(&mut self, turn: usize) -> Result<f64, ExportError> {
        let board = self.board;
        let (mut changed, mut all) = (0, 0);
        for (prompt, runs) in board.rows.iter().enumerate() {
            for (column, run) in runs.iter().enumerate() {
                let Some(run) = run else { continue };
                all += 1;
                let Some(picture) = run.pictures.get(turn) else { continue };
                // What is there already is not decoded again.
                if turn == 0 || !picture.is_repeat {
                    self.draw_tile(prompt, column, picture.id)?;
                    changed += 1;
                }
            }
        }
        self.draw_banner(turn)?;
        Ok(f64::from(changed) / f64::from(all.max(1)))
    }

    fn draw_tile(&mut self, prompt: usize, column: usize, id: InvocationId) -> Result<(), ExportError> {
        let (left, top) = self.blocks.tile(prompt, column, self.field, self.strip);
        let tile = self.blocks.tile;
        // A line of the ground between tiles.
        let small = scaled(&crate::mosaic::picture(self.store, id)?, tile.width - 2, tile.height - 2);
        let (x, y) = ((tile.width - small.width as usize) / 2, (tile.height - small.height as usize) / 2);
        self.frame.paste(left + x, self.banner + top + y, &small);
        Ok(())
    }

    fn draw_banner(&mut self, turn: usize) -> Result<(), ExportError> {
        let (width, s) = (self.frame.width as usize, self.scale);
        let margin = 16.0 * s;
        let count = format!("{} / {}", turn + 1, self.length);
        let right = text_at((width as f64 - margin, 40.0 * s), &count, 26.0 * s, true, INK);
        let room = width as f64 - 3.0 * margin - font::width(&count, 26.0 * s, true);
        let name = font::fit(&self.board.experiment.name, 26.0 * s, true, room * 0.6).into_owned();
        let after = margin + font::width(&name, 26.0 * s, true) + 18.0 * s;
        let rest =
            format!("{} of {}", counted(self.board.runs().count(), "run"), counted(self.board.prompts.len(), "prompt"));
        let texts = [
            text_at((margin, 40.0 * s), &name, 26.0 * s, true, INK),
            text_at((after, 40.0 * s), &rest, 20.0 * s, false, FAINT),
            crate::mosaic::Label { anchor: "end", ..right },
        ];
        let banner = labels(width, self.banner, GROUND, &texts)?;
        self.frame.paste(0, 0, &banner);
        let (left, long) = (margin as usize, width - 2 * margin as usize);
        let bar = Rect { left, top: self.banner - (8.0 * s) as usize, width: long, height: (3.0 * s) as usize };
        self.frame.fill(bar, RAIL);
        self.frame.fill(Rect { width: long * (turn + 1) / self.length, ..bar }, BAR);
        Ok(())
    }
}

fn text_at(at: (f64, f64), text: &str, size: f64, is_bold: bool, color: Color) -> crate::mosaic::Label {
    crate::mosaic::Label { at, text: text.to_owned(), size, is_bold, color, anchor: "start" }
}
