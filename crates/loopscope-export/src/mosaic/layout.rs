//! Why tiles do not fit.

/// Why a sheet or a frame cannot be laid out.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum LayoutError {
    /// Tiles would be too small to see anything.
    #[error(
        "{prompts} prompt{} × {columns} runs make tiles of {tile} pixels in a frame of {width} × {height}, and anything under {tile_min} shows nothing; \
         {advice}", ending(.prompts)
    )]
    TilesTooSmall {
        /// Prompts.
        prompts: usize,
        /// Runs of a prompt.
        columns: usize,
        /// Shorter side of the largest tile that fits.
        tile: usize,
        /// What it should be.
        tile_min: usize,
        /// The frame.
        width: usize,
        /// The frame.
        height: usize,
        /// What to change.
        advice: String,
    },
    /// The sheet would be larger than its format, or reason, allows.
    #[error("the sheet would have {width} × {height} pixels, and {limit}; {advice}")]
    SheetTooLarge {
        /// In pixels.
        width: usize,
        /// In pixels.
        height: usize,
        /// What allows how many.
        limit: String,
        /// What to change.
        advice: String,
    },
}

fn ending(count: &usize) -> &'static str {
    if *count == 1 { "" } else { "s" }
}
