//! The bundled font: how wide a text is, and how to make it fit.

use std::borrow::Cow;
use std::sync::OnceLock;

use ttf_parser::Face;

/// Loopscope Sans: Liberation Sans 2 with Latin, Greek, Cyrillic, arrows and signs; SIL Open Font License 1.1.
pub(crate) const REGULAR: &[u8] = include_bytes!("../../fonts/loopscope-sans-regular.ttf");
/// Its bold.
pub(crate) const BOLD: &[u8] = include_bytes!("../../fonts/loopscope-sans-bold.ttf");
/// What SVG asks for: ours, then fonts of the same widths, one of which every system has.
pub(crate) const FAMILY: &str = "Loopscope Sans, Liberation Sans, Arimo, Arial, Helvetica, sans-serif";

/// What stands where a text was cut.
const ELLIPSIS: char = '…';

fn face(is_bold: bool) -> Option<&'static Face<'static>> {
    static FACES: OnceLock<[Option<Face<'static>>; 2]> = OnceLock::new();
    FACES.get_or_init(|| [REGULAR, BOLD].map(|bytes| Face::parse(bytes, 0).ok()))[usize::from(is_bold)].as_ref()
}

/// Returns whether the bundled font has a letter; others are drawn with a font of the system, where there is one.
pub(crate) fn has(letter: char) -> bool {
    letter.is_whitespace() || face(false).is_some_and(|face| face.glyph_index(letter).is_some())
}

/// Returns the width of a text in pixels; a letter that the font lacks counts as wide as it is high.
pub(crate) fn width(text: &str, size: f64, is_bold: bool) -> f64 {
    let Some(face) = face(is_bold) else { return text.chars().count() as f64 * size };
    let em = f64::from(face.units_per_em());
    let advance = |letter: char| {
        let glyph = face.glyph_index(letter);
        glyph.and_then(|glyph| face.glyph_hor_advance(glyph)).map_or(em, f64::from)
    };
    text.chars().map(advance).sum::<f64>() * size / em
}

/// Returns a text that is at most so wide, cut at its end with an ellipsis if need be.
pub(crate) fn fit(text: &str, size: f64, is_bold: bool, width_max: f64) -> Cow<'_, str> {
    if width(text, size, is_bold) <= width_max {
        return Cow::Borrowed(text);
    }
    let mut kept = String::new();
    let mut used = width(&ELLIPSIS.to_string(), size, is_bold);
    for letter in text.chars() {
        used += width(letter.encode_utf8(&mut [0; 4]), size, is_bold);
        if used > width_max {
            break;
        }
        kept.push(letter);
    }
    let kept = kept.trim_end();
    Cow::Owned(format!("{kept}{ELLIPSIS}"))
}

/// Breaks a text into lines that are at most so wide, between words where it can; the last of `lines_max` is cut.
pub(crate) fn wrap(text: &str, size: f64, is_bold: bool, width_max: f64, lines_max: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let longer = if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
        if width(&longer, size, is_bold) <= width_max {
            line = longer;
            continue;
        }
        if !line.is_empty() {
            lines.push(std::mem::take(&mut line));
        }
        // A word that is wider than a line, such as a text without blanks, is broken where it must be.
        for letter in word.chars() {
            line.push(letter);
            if line.chars().count() > 1 && width(&line, size, is_bold) > width_max {
                line.pop();
                lines.push(std::mem::take(&mut line));
                line.push(letter);
            }
        }
    }
    if !line.is_empty() {
        lines.push(line);
    }
    if lines.len() > lines_max {
        let rest = lines[lines_max.saturating_sub(1)..].join(" ");
        lines.truncate(lines_max.saturating_sub(1));
        lines.push(fit(&rest, size, is_bold, width_max).into_owned());
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_what_charts_write() {
        let needed = "abcäöüßñçøåżğ ΑΩλεπτ ЖЯщ 0123456789 −±×·–—…→←↔≤≥≠∞√² “”‘’ • ◦ □ ■ ▲ ● ✕";
        let missing: String = needed.chars().filter(|&letter| !has(letter)).collect();
        assert_eq!(missing, "✕", "and so nothing here writes it");
        assert!(!has('漢'));
    }

    #[test]
    fn a_text_that_was_made_to_fit_fits() {
        let text = "a very long prompt about a lighthouse, 灯台, and the sea";
        for limit in [20.0, 60.0, 140.0, 1000.0] {
            let fitted = fit(text, 12.0, false, limit);
            assert!(width(&fitted, 12.0, false) <= limit, "{fitted}");
            for line in wrap(text, 12.0, true, limit.max(40.0), 3) {
                assert!(width(&line, 12.0, true) <= limit.max(40.0), "{line}");
            }
        }
        assert_eq!(fit("short", 12.0, false, 500.0), "short");
        assert_eq!(wrap("one two", 12.0, false, 1000.0, 4), ["one two"]);
        assert!(wrap("", 12.0, false, 100.0, 4).is_empty());
        assert_eq!(wrap(&"x".repeat(100), 12.0, false, 60.0, 2).len(), 2);
    }
}
