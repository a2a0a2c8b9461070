//! How tiles fill a frame.

use crate::mosaic::LayoutError;

/// In pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// At least 1.
    pub(crate) width: usize,
    /// At least 1.
    pub(crate) height: usize,
}

/// Blocks of tiles, one block a prompt: its runs in lines, under a strip with its words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Blocks {
    /// Blocks beside each other.
    pub(crate) across: usize,
    /// Blocks below each other.
    pub(crate) down: usize,
    /// Tiles in a line of a block.
    pub(crate) line: usize,
    /// Lines of a block.
    pub(crate) lines: usize,
    /// Size of a tile.
    pub(crate) tile: Size,
}

/// Pixels between blocks.
const GAP: usize = 10;

impl Blocks {
    /// Chooses the layout with the largest tiles.
    ///
    /// `aspect` is a picture's width over its height; `strip` the height of a block's words.
    ///
    /// # Errors
    ///
    /// [`LayoutError::TilesTooSmall`] when the shorter side is under `tile_min`.
    pub(crate) fn choose(
        prompts: usize,
        columns: usize,
        aspect: f64,
        frame: Size,
        strip: usize,
        tile_min: usize,
    ) -> Result<Self, LayoutError> {
        let (prompts, columns) = (prompts.max(1), columns.max(1));
        let mut best: Option<(f64, Self)> = None;
        for across in 1..=prompts {
            let down = prompts.div_ceil(across);
            for line in 1..=columns {
                let lines = columns.div_ceil(line);
                let width = frame.width.saturating_sub(GAP * (across + 1)) as f64 / (across * line) as f64;
                let height = frame.height.saturating_sub((GAP + strip) * down + GAP) as f64 / (down * lines) as f64;
                let high = height.min(width / aspect);
                let tile = Size { width: (high * aspect).floor() as usize, height: high.floor() as usize };
                let found = Self { across, down, line, lines, tile };
                // Larger tiles first; among equals the one with the longest lines, which are easiest to follow.
                if best
                    .as_ref()
                    .is_none_or(|(other, kept)| high > *other + 1e-9 || (high > *other - 1e-9 && line > kept.line))
                {
                    best = Some((high, found));
                }
            }
        }
        let shorter = |size: Size| size.width.min(size.height);
        match best {
            Some((_, blocks)) if shorter(blocks.tile) >= tile_min => Ok(blocks),
            other => {
                let tile = other.map_or(0, |(_, blocks)| shorter(blocks.tile));
                // A tile grows with the square root of the pixels.
                let needed = tile_min as f64 / tile.max(1) as f64;
                let larger = [("4k", 3840), ("8k", 7680)]
                    .into_iter()
                    .find(|(_, width)| *width as f64 >= frame.width as f64 * needed)
                    .map(|(name, _)| format!("choose --resolution {name}"));
                let fewer = (prompts > 1).then(|| "take fewer prompts with --prompt TEXT".to_owned());
                let advice: Vec<String> = larger.into_iter().chain(fewer).collect();
                let advice = if advice.is_empty() {
                    "no resolution is enough: `export grid RUN` shows one run".to_owned()
                } else {
                    advice.join(", or ")
                };
                Err(LayoutError::TilesTooSmall {
                    prompts,
                    columns,
                    tile,
                    tile_min,
                    width: frame.width,
                    height: frame.height,
                    advice,
                })
            }
        }
    }

    /// Returns the top left corner of a prompt's block, its strip included, within the frame, and the width of a block.
    pub(crate) fn corner(&self, prompt: usize, frame: Size, strip: usize) -> (usize, usize, usize) {
        let (block_width, block_height) = (self.line * self.tile.width, strip + self.lines * self.tile.height);
        // What is left over goes to the sides.
        let spare = |all: usize, count: usize, each: usize| all.saturating_sub(count * each + (count - 1) * GAP) / 2;
        let left = spare(frame.width, self.across, block_width) + prompt % self.across * (block_width + GAP);
        let top = spare(frame.height, self.down, block_height) + prompt / self.across * (block_height + GAP);
        (left, top, block_width)
    }

    /// Returns the top left corner of a tile.
    pub(crate) fn tile(&self, prompt: usize, column: usize, frame: Size, strip: usize) -> (usize, usize) {
        let (left, top, _) = self.corner(prompt, frame, strip);
        (left + column % self.line * self.tile.width, top + strip + column / self.line * self.tile.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HD: Size = Size { width: 1920, height: 1010 };

    #[test]
    fn a_few_runs_fill_the_frame_and_too_many_say_what_to_change() {
        let blocks = Blocks::choose(1, 1, 1.0, HD, 30, 40).unwrap();
        assert_eq!((blocks.tile.height, blocks.line), (960, 1));
        let blocks = Blocks::choose(6, 10, 1.0, HD, 24, 40).unwrap();
        assert!(blocks.tile.height >= 130, "{blocks:?}");
        let error = Blocks::choose(60, 40, 1.0, HD, 24, 40).unwrap_err();
        assert!(error.to_string().contains("choose --resolution"), "{error}");
        let error = Blocks::choose(900, 900, 1.0, HD, 24, 40).unwrap_err();
        assert!(error.to_string().ends_with("; take fewer prompts with --prompt TEXT"), "{error}");
        let error = Blocks::choose(1, 1800, 1.0, HD, 24, 40).unwrap_err();
        assert!(error.to_string().starts_with("1 prompt × 1800 runs"), "{error}");
        assert!(error.to_string().ends_with("; choose --resolution 4k"), "one prompt cannot be fewer: {error}");
        let error = Blocks::choose(1, 80_000, 1.0, HD, 24, 40).unwrap_err();
        assert!(error.to_string().contains("`export grid RUN`"), "{error}");
    }

    /// The largest square of which so many fit into one block, found by trying all.
    fn largest(columns: usize, strip: usize) -> usize {
        let (width, height) = (HD.width - 2 * GAP, HD.height - 2 * GAP - strip);
        (1..=height).rev().find(|side| (width / side) * (height / side) >= columns).unwrap()
    }

    #[test]
    fn no_tile_could_be_larger_whatever_the_count() {
        for columns in (1..=70).chain([97, 150, 211]) {
            let blocks = Blocks::choose(1, columns, 1.0, HD, 28, 8).unwrap();
            assert_eq!(blocks.tile.height, largest(columns, 28), "{columns} runs: {blocks:?}");
            assert!(blocks.line * blocks.lines >= columns && blocks.line * (blocks.lines - 1) < columns, "{blocks:?}");
        }
        let seven = Blocks::choose(1, 7, 1.0, HD, 28, 40).unwrap();
        assert_eq!((seven.line, seven.lines, seven.tile.height), (4, 2, 475));
        let many = Blocks::choose(1, 61, 1.0, HD, 28, 40).unwrap();
        assert_eq!((many.line, many.lines, many.tile.height), (11, 6, 160));
    }

    proptest! {
        #[test]
        fn every_tile_lies_within_the_frame_and_none_over_another(
            prompts in 1..14_usize, columns in 1..20_usize, aspect in 0.5..2.0_f64, strip in 0..40_usize
        ) {
            let Ok(blocks) = Blocks::choose(prompts, columns, aspect, HD, strip, 8) else { return Ok(()) };
            let mut seen = std::collections::BTreeSet::new();
            for prompt in 0..prompts {
                for column in 0..columns {
                    let (left, top) = blocks.tile(prompt, column, HD, strip);
                    prop_assert!(left + blocks.tile.width <= HD.width && top + blocks.tile.height <= HD.height);
                    prop_assert!(seen.insert((left, top)));
                }
            }
        }
    }
}
