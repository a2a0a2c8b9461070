//! SVG as a page of PDF, its text still text.

use krilla::Document;
use krilla::geom::Size;
use krilla::metadata::Metadata;
use krilla::page::PageSettings;
use krilla_svg::{SurfaceExt, SvgSettings};

use super::raster::{PixelError, tree_of};

/// Points of a pixel: 96 pixels are an inch.
const POINTS: f32 = 0.75;

/// Makes a page as large as the SVG; without a date, so that equal charts are equal files.
pub(crate) fn pdf_of_svg(svg: &str, title: &str) -> Result<Vec<u8>, PixelError> {
    let tree = tree_of(svg)?;
    let failed = |text: &str| PixelError::Pdf(text.to_owned());
    let (width, height) = (tree.size().width() * POINTS, tree.size().height() * POINTS);
    let size = Size::from_wh(width, height).ok_or_else(|| failed("it has no size"))?;
    let settings = PageSettings::from_wh(width, height).ok_or_else(|| failed("it has no size"))?;
    let mut document = Document::new();
    document.set_metadata(Metadata::new().title(title.to_owned()).creator("loopscope".to_owned()));
    let mut page = document.start_page_with(settings);
    let mut surface = page.surface();
    surface.draw_svg(&tree, size, SvgSettings::default()).ok_or_else(|| failed("something in it cannot be drawn"))?;
    surface.finish();
    page.finish();
    document.finish().map_err(|error| failed(&format!("{error:?}")))
}
