//! Pictures of many runs on one sheet: mosaics, timelines, grids, and the tiles of a video.
//!
//! Rows are prompts and columns networks × seeds. Pictures are scaled into their tiles; labels are drawn in the bundled font. A
//! sheet that would have too many or too small tiles is refused with what would have to change.

mod board;
mod layout;
mod sheet;

pub(crate) use board::picture;
pub use board::{Board, RunPicture, RunRow};
pub use layout::LayoutError;
pub use sheet::{ImageFormat, SheetOptions, grid, mosaic, timeline};
#[cfg(feature = "video")]
pub(crate) use sheet::{Label, labels};
