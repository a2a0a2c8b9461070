//! SVG as a page of PDF.
//!
//! Our own SVG has paths, texts and pictures, plain colours and opacities, and nothing else, so that a page is some hundred
//! lines. Letters become outlines: a page looks the same everywhere, and nothing must subset fonts, which is what the
//! libraries that keep text spend most of their build on (docs/design/charts.md).

use std::collections::BTreeMap;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use pdf_writer::types::{LineCapStyle, LineJoinStyle};
use pdf_writer::{Content, Filter, Finish, Name, Pdf, Rect, Ref, TextStr};
use resvg::tiny_skia::{PathSegment, Transform};
use resvg::usvg::{FillRule, Group, Image, ImageKind, LineCap, LineJoin, Node, Paint, Path, Tree};

use super::raster::{PixelError, tree_of};

/// Points of a pixel: 96 pixels are an inch.
const POINTS: f32 = 0.75;

/// Makes a page as large as the SVG; without a date, so that equal charts are equal files.
pub(crate) fn pdf_of_svg(svg: &str, title: &str) -> Result<Vec<u8>, PixelError> {
    let tree = tree_of(svg)?;
    let (width, height) = (tree.size().width() * POINTS, tree.size().height() * POINTS);
    Page::of(&tree, height)?.finish(width, height, title)
}

/// A page on its way.
struct Page {
    content: Content,
    /// Opacities of fills and strokes in hundredths, numbered as they come.
    states: BTreeMap<(u8, u8), usize>,
    /// Compressed pixels with their size.
    pictures: Vec<(Vec<u8>, i32, i32)>,
}

impl Page {
    fn of(tree: &Tree, height: f32) -> Result<Self, PixelError> {
        let mut page = Self { content: Content::new(), states: BTreeMap::new(), pictures: Vec::new() };
        // PDF counts up from the bottom.
        page.content.transform([POINTS, 0.0, 0.0, -POINTS, 0.0, height]);
        page.group(tree.root(), Transform::identity())?;
        Ok(page)
    }

    /// Draws what is in a group. Where things stand is followed down the tree: the outlines of a text know nothing of the groups
    /// around the text, which is where a turn of it is.
    fn group(&mut self, group: &Group, around: Transform) -> Result<(), PixelError> {
        let place = around.pre_concat(group.transform());
        for node in group.children() {
            match node {
                Node::Group(group) => self.group(group, place)?,
                Node::Path(path) => self.path(path, place),
                Node::Text(text) => self.group(text.flattened(), place)?,
                Node::Image(image) => self.image(image, place)?,
            }
        }
        Ok(())
    }

    fn path(&mut self, path: &Path, place: Transform) {
        if !path.is_visible() {
            return;
        }
        let color = |paint: &Paint| match paint {
            Paint::Color(color) => Some([color.red, color.green, color.blue].map(|part| f32::from(part) / 255.0)),
            _ => None,
        };
        let fill = path.fill().and_then(|fill| Some((color(fill.paint())?, fill.opacity().get(), fill.rule())));
        let stroke = path.stroke().and_then(|stroke| Some((color(stroke.paint())?, stroke)));
        if fill.is_none() && stroke.is_none() {
            return;
        }
        let hundredths = |opacity: f32| (opacity * 100.0).round() as u8;
        let opacities = (
            fill.map_or(100, |(_, opacity, _)| hundredths(opacity)),
            stroke.map_or(100, |(_, stroke)| hundredths(stroke.opacity().get())),
        );
        self.content.save_state();
        self.content.transform(matrix(place));
        if opacities != (100, 100) {
            let next = self.states.len();
            let number = *self.states.entry(opacities).or_insert(next);
            self.content.set_parameters(Name(format!("G{number}").as_bytes()));
        }
        if let Some(([red, green, blue], _, _)) = fill {
            self.content.set_fill_rgb(red, green, blue);
        }
        if let Some(([red, green, blue], stroke)) = stroke {
            self.content.set_stroke_rgb(red, green, blue);
            self.content.set_line_width(stroke.width().get());
            self.content.set_line_cap(match stroke.linecap() {
                LineCap::Butt => LineCapStyle::ButtCap,
                LineCap::Round => LineCapStyle::RoundCap,
                LineCap::Square => LineCapStyle::ProjectingSquareCap,
            });
            self.content.set_line_join(match stroke.linejoin() {
                LineJoin::Round => LineJoinStyle::RoundJoin,
                LineJoin::Bevel => LineJoinStyle::BevelJoin,
                _ => LineJoinStyle::MiterJoin,
            });
            if let Some(dashes) = stroke.dasharray() {
                self.content.set_dash_pattern(dashes.iter().copied(), stroke.dashoffset());
            }
        }
        self.outline(path);
        match (fill, stroke) {
            (Some((_, _, FillRule::NonZero)), None) => self.content.fill_nonzero(),
            (Some((_, _, FillRule::EvenOdd)), None) => self.content.fill_even_odd(),
            (Some((_, _, FillRule::NonZero)), Some(_)) => self.content.fill_nonzero_and_stroke(),
            (Some((_, _, FillRule::EvenOdd)), Some(_)) => self.content.fill_even_odd_and_stroke(),
            (None, _) => self.content.stroke(),
        };
        self.content.restore_state();
    }

    fn outline(&mut self, path: &Path) {
        let mut last = (0.0, 0.0);
        for segment in path.data().segments() {
            match segment {
                PathSegment::MoveTo(p) => {
                    self.content.move_to(p.x, p.y);
                    last = (p.x, p.y);
                }
                PathSegment::LineTo(p) => {
                    self.content.line_to(p.x, p.y);
                    last = (p.x, p.y);
                }
                PathSegment::QuadTo(c, p) => {
                    // PDF has cubic curves only: the same curve with its controls at two thirds.
                    let toward =
                        |from: (f32, f32)| (from.0 + (c.x - from.0) * 2.0 / 3.0, from.1 + (c.y - from.1) * 2.0 / 3.0);
                    let (a, b) = (toward(last), toward((p.x, p.y)));
                    self.content.cubic_to(a.0, a.1, b.0, b.1, p.x, p.y);
                    last = (p.x, p.y);
                }
                PathSegment::CubicTo(a, b, p) => {
                    self.content.cubic_to(a.x, a.y, b.x, b.y, p.x, p.y);
                    last = (p.x, p.y);
                }
                PathSegment::Close => {
                    self.content.close_path();
                }
            }
        }
    }

    fn image(&mut self, image: &Image, place: Transform) -> Result<(), PixelError> {
        let ImageKind::PNG(bytes) = image.kind() else {
            return Err(PixelError::Pdf("it holds a picture that is no PNG".to_owned()));
        };
        let broken = |error: png::DecodingError| PixelError::Pdf(error.to_string());
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes.as_slice())).read_info().map_err(broken)?;
        let mut pixels = vec![0; reader.output_buffer_size().unwrap_or_default()];
        let info = reader.next_frame(&mut pixels).map_err(broken)?;
        pixels.truncate(info.buffer_size());
        if info.color_type != png::ColorType::Rgb {
            return Err(PixelError::Pdf("it holds a picture that is not RGB".to_owned()));
        }
        let side = |side: u32| i32::try_from(side).map_err(|_| PixelError::Pdf("a picture is too large".to_owned()));
        self.content.save_state();
        self.content.transform(matrix(place));
        // A picture fills the unit square, its first row on top.
        let size = image.size();
        self.content.transform([size.width(), 0.0, 0.0, -size.height(), 0.0, size.height()]);
        self.content.x_object(Name(format!("I{}", self.pictures.len()).as_bytes()));
        self.content.restore_state();
        self.pictures.push((compressed(&pixels)?, side(info.width)?, side(info.height)?));
        Ok(())
    }

    fn finish(self, width: f32, height: f32, title: &str) -> Result<Vec<u8>, PixelError> {
        let mut next = 0;
        let mut id = || {
            next += 1;
            Ref::new(next)
        };
        let (catalog, pages, page_id, content, info) = (id(), id(), id(), id(), id());
        let states: Vec<((u8, u8), usize, Ref)> =
            self.states.iter().map(|(&key, &number)| (key, number, id())).collect();
        let pictures: Vec<Ref> = self.pictures.iter().map(|_| id()).collect();
        let mut pdf = Pdf::new();
        pdf.catalog(catalog).pages(pages);
        pdf.pages(pages).kids([page_id]).count(1);
        let mut page = pdf.page(page_id);
        page.media_box(Rect::new(0.0, 0.0, width, height)).parent(pages).contents(content);
        let mut resources = page.resources();
        let mut names = resources.ext_g_states();
        states.iter().for_each(|(_, number, id)| {
            names.pair(Name(format!("G{number}").as_bytes()), *id);
        });
        names.finish();
        let mut names = resources.x_objects();
        pictures.iter().enumerate().for_each(|(number, id)| {
            names.pair(Name(format!("I{number}").as_bytes()), *id);
        });
        names.finish();
        resources.finish();
        page.finish();
        for ((fill, stroke), _, id) in states {
            let share = |hundredths: u8| f32::from(hundredths) / 100.0;
            pdf.ext_graphics(id).non_stroking_alpha(share(fill)).stroking_alpha(share(stroke));
        }
        for (id, (pixels, width, height)) in pictures.into_iter().zip(&self.pictures) {
            let mut picture = pdf.image_xobject(id, pixels);
            picture.width(*width).height(*height).bits_per_component(8);
            picture.filter(Filter::FlateDecode);
            picture.color_space().device_rgb();
        }
        let operations = compressed(&self.content.finish())?;
        pdf.stream(content, &operations).filter(Filter::FlateDecode);
        pdf.document_info(info).title(TextStr(title)).creator(TextStr("loopscope"));
        Ok(pdf.finish())
    }
}

fn compressed(bytes: &[u8]) -> Result<Vec<u8>, PixelError> {
    let failed = |error: std::io::Error| PixelError::Pdf(error.to_string());
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).map_err(failed)?;
    encoder.finish().map_err(failed)
}

fn matrix(transform: Transform) -> [f32; 6] {
    [transform.sx, transform.ky, transform.kx, transform.sy, transform.tx, transform.ty]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turned_text_is_turned_on_the_page() {
        let text = |turn: &str| {
            let svg = format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"100\" height=\"80\"><text x=\"20\" y=\"40\" font-size=\"12\"{turn}>death</text></svg>"
            );
            let page = Page::of(&tree_of(&svg).unwrap(), 60.0).unwrap();
            let operations = String::from_utf8(page.content.finish().to_vec()).unwrap();
            let matrices = operations.lines().filter_map(|line| line.strip_suffix(" cm"));
            let rounded = |number: &str| number.parse::<f32>().unwrap().round() as i32;
            matrices.map(|line| line.split(' ').map(rounded).collect::<Vec<i32>>()).collect::<Vec<_>>()
        };
        // Up the page, round its own place: what went right goes up.
        assert!(text(" transform=\"rotate(-90 20 40)\"").contains(&vec![0, -1, 1, 0, -20, 60]));
        assert!(text("").contains(&vec![1, 0, 0, 1, 0, 0]) && !text("").contains(&vec![0, -1, 1, 0, -20, 60]));
    }
}
