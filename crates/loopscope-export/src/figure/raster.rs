//! SVG as pixels.
//!
//! Text is drawn in the bundled font. Only where a text has letters that it lacks are the fonts of the system asked, so
//! that charts without such letters are the same bytes on every machine.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{self, fontdb};

use super::font;

/// Why an SVG did not become pixels or a page.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PixelError {
    /// We wrote what is no SVG.
    #[error("the chart is no SVG")]
    Svg(#[source] usvg::Error),
    /// Too large to hold.
    #[error("a picture of {width} × {height} pixels cannot be made")]
    Size {
        /// In pixels.
        width: f32,
        /// In pixels.
        height: f32,
    },
    /// The encoder refused.
    #[error("the picture does not encode as PNG")]
    Png(#[source] png::EncodingError),
    /// Another encoder refused.
    #[error("the picture does not encode: {0}")]
    Encode(String),
    /// The page was not made.
    #[error("the chart does not become a PDF: {0}")]
    Pdf(String),
}

/// Opaque pixels, RGB, row by row from the top left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raster {
    /// In pixels, at least 1.
    pub width: u32,
    /// In pixels, at least 1.
    pub height: u32,
    /// `width * height` triples.
    pub rgb: Vec<u8>,
}

impl Raster {
    /// Encodes the pixels as PNG; `dots_per_inch` is written beside them.
    ///
    /// # Errors
    ///
    /// [`PixelError::Png`].
    pub fn to_png(&self, dots_per_inch: Option<f64>) -> Result<Vec<u8>, PixelError> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width, self.height);
        encoder.set_color(png::ColorType::Rgb);
        encoder.set_depth(png::BitDepth::Eight);
        encoder.set_compression(png::Compression::High);
        if let Some(dots) = dots_per_inch {
            let per_meter = (dots / 0.0254).round() as u32;
            encoder.set_pixel_dims(Some(png::PixelDimensions {
                xppu: per_meter,
                yppu: per_meter,
                unit: png::Unit::Meter,
            }));
        }
        let mut writer = encoder.write_header().map_err(PixelError::Png)?;
        writer.write_image_data(&self.rgb).map_err(PixelError::Png)?;
        writer.finish().map_err(PixelError::Png)?;
        Ok(bytes)
    }
}

/// Draws an SVG that covers its ground, a pixel of it on `scale` × `scale` pixels.
pub(crate) fn raster_of_svg(svg: &str, scale: f32) -> Result<Raster, PixelError> {
    let tree = tree_of(svg)?;
    let size = tree.size();
    let (width, height) = ((size.width() * scale).ceil(), (size.height() * scale).ceil());
    let too_large = || PixelError::Size { width, height };
    if !(1.0..=65_000.0).contains(&width) || !(1.0..=65_000.0).contains(&height) {
        return Err(too_large());
    }
    let mut pixels = Pixmap::new(width as u32, height as u32).ok_or_else(too_large)?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut pixels.as_mut());
    let rgb = pixels.data().chunks_exact(4).flat_map(|pixel| [pixel[0], pixel[1], pixel[2]]).collect();
    Ok(Raster { width: pixels.width(), height: pixels.height(), rgb })
}

/// Reads an SVG with the fonts that it needs.
pub(super) fn tree_of(svg: &str) -> Result<usvg::Tree, PixelError> {
    let is_covered = text_of(svg).all(font::has);
    let options = usvg::Options {
        fontdb: if is_covered { bundled_fonts() } else { all_fonts() },
        font_family: "Loopscope Sans".to_owned(),
        font_resolver: usvg::FontResolver {
            select_font: usvg::FontResolver::default_font_selector(),
            select_fallback: Box::new(|letter, used, fonts| fallback(letter, used, fonts)),
        },
        ..usvg::Options::default()
    };
    usvg::Tree::from_str(svg, &options).map_err(PixelError::Svg)
}

/// Returns the font that draws a letter which the fonts used so far lack: one as bold and as upright, where there is one.
fn fallback(letter: char, used: &[fontdb::ID], fonts: &fontdb::Database) -> Option<fontdb::ID> {
    let base = fonts.face(*used.first()?)?;
    let having = fonts.faces().filter(|face| !used.contains(&face.id) && has_glyph(fonts, face.id, letter));
    having
        .min_by_key(|face| {
            (face.style != base.style, face.weight.0.abs_diff(base.weight.0), face.stretch != base.stretch)
        })
        .map(|face| face.id)
}

fn has_glyph(fonts: &fontdb::Database, id: fontdb::ID, letter: char) -> bool {
    let has = |bytes: &[u8], index| {
        ttf_parser::Face::parse(bytes, index).is_ok_and(|face| face.glyph_index(letter).is_some())
    };
    fonts.with_face_data(id, has).unwrap_or(false)
}

/// Returns the letters of an SVG's text for which neither the bundled font nor any of the system has a form: where pixels
/// or a page are made of it, a box stands for each.
pub(crate) fn letters_without_font(svg: &str) -> BTreeSet<char> {
    static KNOWN: Mutex<BTreeMap<char, bool>> = Mutex::new(BTreeMap::new());
    let lacked: BTreeSet<char> = text_of(svg).filter(|&letter| !font::has(letter) && !is_unseen(letter)).collect();
    if lacked.is_empty() {
        return lacked;
    }
    // Whoever panicked while holding it had put nothing half into it.
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let fonts = all_fonts();
    let is_missing = |letter: &char| {
        let is_there =
            known.entry(*letter).or_insert_with(|| fonts.faces().any(|face| has_glyph(&fonts, face.id, *letter)));
        !*is_there
    };
    lacked.into_iter().filter(is_missing).collect()
}

/// Returns whether a letter has no form of its own: what joins others, chooses between their forms or turns their direction.
fn is_unseen(letter: char) -> bool {
    matches!(letter, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{e0000}'..='\u{e0fff}')
}

/// Returns what stands between tags.
fn text_of(svg: &str) -> impl Iterator<Item = char> {
    svg.split('>').flat_map(|piece| piece.split('<').next().unwrap_or_default().chars())
}

fn bundled_fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    Arc::clone(FONTS.get_or_init(|| Arc::new(our_fonts())))
}

fn all_fonts() -> Arc<fontdb::Database> {
    static FONTS: OnceLock<Arc<fontdb::Database>> = OnceLock::new();
    Arc::clone(FONTS.get_or_init(|| {
        let mut fonts = our_fonts();
        fonts.load_system_fonts();
        Arc::new(fonts)
    }))
}

fn our_fonts() -> fontdb::Database {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(font::REGULAR.to_vec());
    fonts.load_font_data(font::BOLD.to_vec());
    fonts.set_sans_serif_family("Loopscope Sans");
    fonts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_that_no_font_has_are_named() {
        // Never assigned to a letter of any script; fonts leave it out.
        let svg = "<svg><text>aä→ \u{200d}\u{378} &amp; \u{378}</text></svg>";
        assert_eq!(letters_without_font(svg).into_iter().collect::<Vec<char>>(), ['\u{378}']);
        assert!(letters_without_font("<svg>漢</svg>").is_subset(&['漢'].into()));
        assert!(letters_without_font("<svg><text>plain</text></svg>").is_empty());
    }

    #[test]
    fn a_letter_is_sought_in_fonts_as_bold_as_the_text() {
        let fonts = our_fonts();
        let by_weight = |weight: u16| fonts.faces().find(|face| face.weight.0 == weight).unwrap().id;
        // Nothing but the other weight has it here.
        assert_eq!(fallback('a', &[by_weight(400)], &fonts), Some(by_weight(700)));
        assert_eq!(fallback('漢', &[by_weight(400)], &fonts), None);
        let mut fonts = our_fonts();
        fonts.load_font_data(font::REGULAR.to_vec());
        assert_eq!(fonts.face(fallback('a', &[by_weight(400)], &fonts).unwrap()).unwrap().weight.0, 400);
    }
}
