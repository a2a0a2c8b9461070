//! SVG as text.

use std::fmt::Write;

use super::font::FAMILY;
use super::{Anchor, Color, Dash, Stroke};

/// An SVG on its way; coordinates are pixels from the top left.
#[derive(Debug)]
pub(crate) struct Svg {
    text: String,
}

/// How a text looks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) size: f64,
    pub(crate) is_bold: bool,
    pub(crate) color: Color,
    pub(crate) anchor: Anchor,
    /// Degrees, clockwise, round the place of the text.
    pub(crate) turn: f64,
}

impl Style {
    pub(crate) const fn new(size: f64, color: Color) -> Self {
        Self { size, is_bold: false, color, anchor: Anchor::Start, turn: 0.0 }
    }

    pub(crate) const fn bold(self) -> Self {
        Self { is_bold: true, ..self }
    }

    pub(crate) const fn anchored(self, anchor: Anchor) -> Self {
        Self { anchor, ..self }
    }

    pub(crate) const fn turned(self, turn: f64) -> Self {
        Self { turn, ..self }
    }
}

impl Svg {
    /// Begins a picture; the title and the description are for those who cannot see it.
    pub(crate) fn new(width: f64, height: f64, title: &str, description: &str) -> Self {
        let (w, h) = (number(width), number(height));
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             role=\"img\" aria-labelledby=\"t d\" font-family=\"{FAMILY}\">\n<title id=\"t\">{}</title>\n<desc id=\"d\">{}</desc>\n",
            escaped(title),
            escaped(description)
        );
        Self { text }
    }

    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn push(&mut self, element: std::fmt::Arguments<'_>) {
        // Writing into a string does not fail.
        self.text.write_fmt(element).ok();
        self.text.push('\n');
    }

    pub(crate) fn open(&mut self, class: &str) {
        self.push(format_args!("<g class=\"{class}\">"));
    }

    pub(crate) fn close(&mut self) {
        self.push(format_args!("</g>"));
    }

    pub(crate) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: Color, opacity: f64) {
        self.push(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"{}/>",
            number(x),
            number(y),
            number(width),
            number(height),
            hex(fill),
            opacity_of("fill-opacity", opacity)
        ));
    }

    pub(crate) fn outline(&mut self, x: f64, y: f64, width: f64, height: f64, stroke: Stroke) {
        self.push(format_args!(
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"none\"{}/>",
            number(x),
            number(y),
            number(width),
            number(height),
            stroke_of(&stroke)
        ));
    }

    pub(crate) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.push(format_args!(
            "<path d=\"M{} {}L{} {}\"{}/>",
            number(from.0),
            number(from.1),
            number(to.0),
            number(to.1),
            stroke_of(&stroke)
        ));
    }

    pub(crate) fn polyline(&mut self, points: &[(f64, f64)], stroke: Stroke) {
        self.push(format_args!(
            "<path d=\"{}\" fill=\"none\" stroke-linejoin=\"round\"{}/>",
            path(points, false),
            stroke_of(&stroke)
        ));
    }

    pub(crate) fn polygon(&mut self, points: &[(f64, f64)], fill: Color, opacity: f64, outline: Option<Stroke>) {
        self.push(format_args!(
            "<path d=\"{}\" fill=\"{}\"{}{}/>",
            path(points, true),
            hex(fill),
            opacity_of("fill-opacity", opacity),
            outline.as_ref().map(stroke_of).unwrap_or_default()
        ));
    }

    /// Draws any path; `data` is made of numbers that were rounded.
    pub(crate) fn path(&mut self, data: &str, fill: Option<Color>, opacity: f64, stroke: Option<Stroke>) {
        self.push(format_args!(
            "<path d=\"{data}\" fill=\"{}\"{}{}/>",
            fill.map_or_else(|| "none".to_owned(), hex),
            opacity_of("fill-opacity", opacity),
            stroke.as_ref().map(stroke_of).unwrap_or_default()
        ));
    }

    pub(crate) fn circle(&mut self, center: (f64, f64), radius: f64) {
        self.push(format_args!(
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"/>",
            number(center.0),
            number(center.1),
            number(radius)
        ));
    }

    /// Draws a form in the look of the group around it.
    pub(crate) fn shape(&mut self, data: &str) {
        self.push(format_args!("<path d=\"{data}\"/>"));
    }

    /// Opens a group of forms of one look.
    pub(crate) fn open_filled(&mut self, fill: Color, opacity: f64, outline: Option<Color>) {
        let outline =
            outline.map(|color| format!(" stroke=\"{}\" stroke-width=\"0.8\"", hex(color))).unwrap_or_default();
        self.push(format_args!("<g fill=\"{}\"{}{outline}>", hex(fill), opacity_of("fill-opacity", opacity)));
    }

    pub(crate) fn text(&mut self, at: (f64, f64), text: &str, style: Style) {
        let anchor = match style.anchor {
            Anchor::Start => "",
            Anchor::Middle => " text-anchor=\"middle\"",
            Anchor::End => " text-anchor=\"end\"",
        };
        let weight = if style.is_bold { " font-weight=\"bold\"" } else { "" };
        let (x, y) = (number(at.0), number(at.1));
        let turn = if style.turn == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({} {x} {y})\"", number(style.turn))
        };
        self.push(format_args!(
            "<text x=\"{x}\" y=\"{y}\" font-size=\"{}\" fill=\"{}\"{weight}{anchor}{turn}>{}</text>",
            number(style.size),
            hex(style.color),
            escaped(text)
        ));
    }

    pub(crate) fn picture(&mut self, x: f64, y: f64, width: f64, height: f64, png: &[u8]) {
        self.push(format_args!(
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64,{}\"/>",
            number(x),
            number(y),
            number(width),
            number(height),
            base64(png)
        ));
    }
}

fn path(points: &[(f64, f64)], is_closed: bool) -> String {
    let mut data = String::with_capacity(points.len() * 12);
    for (index, point) in points.iter().enumerate() {
        data.push(if index == 0 { 'M' } else { 'L' });
        data += &number(point.0);
        data.push(' ');
        data += &number(point.1);
    }
    if is_closed {
        data.push('Z');
    }
    data
}

fn stroke_of(stroke: &Stroke) -> String {
    let dash = match stroke.dash {
        Dash::Solid => "",
        Dash::Dashed => " stroke-dasharray=\"5 3\"",
        Dash::Dotted => " stroke-dasharray=\"1.5 2.5\"",
    };
    format!(
        " stroke=\"{}\" stroke-width=\"{}\"{dash}{}",
        hex(stroke.color),
        number(stroke.width),
        opacity_of("stroke-opacity", stroke.opacity)
    )
}

fn opacity_of(name: &str, opacity: f64) -> String {
    if opacity >= 1.0 { String::new() } else { format!(" {name}=\"{}\"", number(opacity)) }
}

/// Writes a coordinate: a hundredth of a pixel, no more digits than it needs.
pub(crate) fn number(value: f64) -> String {
    let rounded = (value * 100.0).round() / 100.0;
    // Not -0, and nothing that SVG cannot read.
    if rounded == 0.0 || !rounded.is_finite() { "0".to_owned() } else { rounded.to_string() }
}

pub(crate) fn hex(color: Color) -> String {
    format!("#{:02x}{:02x}{:02x}", color[0], color[1], color[2])
}

/// Writes text as XML has it; what XML cannot hold shows as a replacement character.
pub(crate) fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' | '\r' | '\t' => out.push(' '),
            '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            _ => out.push(letter),
        }
    }
    out
}

/// Encodes bytes as base 64, for pictures within SVG.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0_u32, |group, &byte| group << 8 | u32::from(byte)) << (8 * (3 - chunk.len()));
        for place in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * place) & 63) as usize];
            out.push(if place <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_64_is_that_of_the_standard() {
        let of = |text: &str| base64(text.as_bytes());
        // RFC 4648, section 10.
        assert_eq!(
            ["", "f", "fo", "foo", "foob", "fooba", "foobar"].map(of),
            ["", "Zg==", "Zm8=", "Zm9v", "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"]
        );
    }

    #[test]
    fn coordinates_are_short_and_never_minus_zero() {
        assert_eq!([1.0, -0.001, 2.345_6, 0.1 + 0.2, f64::NAN].map(number), ["1", "0", "2.35", "0.3", "0"]);
    }

    #[test]
    fn text_is_xml_whatever_it_holds() {
        assert_eq!(escaped("a<b & \"c\"\u{0}\n\u{1b}é漢"), "a&lt;b &amp; &quot;c&quot;\u{fffd} \u{fffd}é漢");
    }
}
