//! Ways out of the record: tables, pictures, charts, video.
//!
//! An export reads one state of a store and writes files of its own. It never writes the store, never prints, and never
//! leaves half a file under the name of a whole one: everything is written beside its place and renamed when it is done.
//! What it finds unfinished it exports as far as it is there, and says so.
//!
//! Each kind of file is a feature, because each brings libraries that others need not build.

#[cfg(feature = "charts")]
pub mod chart;
mod error;
#[cfg(feature = "charts")]
mod figure;
#[cfg(feature = "images")]
pub mod images;
#[cfg(feature = "charts")]
pub mod mosaic;
#[cfg(feature = "charts")]
mod pixels;
mod place;
mod progress;
mod selection;
#[cfg(feature = "charts")]
pub mod site;
#[cfg(any(feature = "parquet", feature = "images"))]
mod slug;
#[cfg(feature = "parquet")]
pub mod tables;
#[cfg(feature = "video")]
pub mod video;

pub use error::ExportError;
#[cfg(feature = "charts")]
pub use figure::{PixelError, Raster};
pub use place::{OutputFile, OutputFolder, PlaceError};
pub use progress::{Part, Progress, Silent};
pub use selection::{Selection, Unfinished};
