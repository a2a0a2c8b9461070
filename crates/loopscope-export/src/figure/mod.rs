//! Figures: panels with shared axes, a legend and a caption, as SVG.
//!
//! A chart says what to draw in the coordinates of its values; this layer lays it out, chooses ticks, fits labels by the
//! metrics of the bundled font, and writes SVG, which other libraries turn into pixels and PDF. It knows nothing of experiments.
//!
//! Equal figures give equal bytes: no clock, no hash map, coordinates rounded to a hundredth of a pixel.

pub(crate) mod color;
mod field;
pub(crate) mod font;
mod layout;
mod legend;
mod mark;
mod pdf;
pub(crate) mod raster;
mod scale;
pub(crate) mod svg;

pub(crate) use color::Color;
pub(crate) use layout::{Figure, Panel};
pub(crate) use legend::{ColorBar, LegendItem, Swatch};
pub(crate) use mark::{Anchor, Dash, Mark, Shape, Stroke};
pub(crate) use pdf::pdf_of_svg;
pub use raster::{PixelError, Raster};
pub(crate) use scale::{Axis, brief};
