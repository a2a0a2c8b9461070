//! The marks of a panel, from the coordinates of their values to those of the page.

use super::font;
use super::mark::{Mark, Shape, Stroke};
use super::scale::Axis;
use super::svg::{Style, Svg, number};

/// Where a panel is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Names go down, numbers go up.
pub(super) fn y_share(axis: &Axis, value: f64) -> f64 {
    if matches!(axis, Axis::Band(_)) { axis.share(value) } else { 1.0 - axis.share(value) }
}

/// A panel that marks are drawn in.
pub(super) struct Field<'a> {
    pub(super) place: Place,
    pub(super) x: &'a Axis,
    pub(super) y: &'a Axis,
}

impl Field<'_> {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.place.left + self.place.width * self.x.share(x), self.place.top + self.place.height * y_share(self.y, y))
    }

    pub(super) fn draw(&self, svg: &mut Svg, mark: &Mark) {
        let all = |points: &[(f64, f64)]| -> Vec<(f64, f64)> { points.iter().map(|&point| self.at(point)).collect() };
        match mark {
            Mark::Line { points, stroke } => svg.polyline(&all(points), *stroke),
            Mark::Area { points, fill, opacity, outline } => svg.polygon(&all(points), *fill, *opacity, *outline),
            Mark::Dots { points, radius, shape, fill, opacity, outline } => {
                svg.open_filled(*fill, *opacity, *outline);
                points.iter().for_each(|&point| draw_shape(svg, self.at(point), *radius, *shape));
                svg.close();
            }
            Mark::Cells { cells, fill, opacity, gap } => {
                let mut data = String::new();
                for &(x0, x1, y0, y1) in cells {
                    let ((left, a), (right, b)) = (self.at((x0, y0)), self.at((x1, y1)));
                    let (top, bottom) = (a.min(b), a.max(b));
                    let (width, height) = ((right - left - gap).max(0.3), (bottom - top - gap).max(0.3));
                    data += &format!(
                        "M{} {}h{}v{}h-{}z",
                        number(left + gap / 2.0),
                        number(top + gap / 2.0),
                        number(width),
                        number(height),
                        number(width)
                    );
                }
                if !data.is_empty() {
                    svg.path(&data, Some(*fill), *opacity, None);
                }
            }
            Mark::Text { at, text, size, is_bold, color, anchor, shift, width_max } => {
                let (x, y) = self.at(*at);
                let text = font::fit(text, *size, *is_bold, *width_max);
                let mut style = Style::new(*size, *color).anchored(*anchor);
                style.is_bold = *is_bold;
                svg.text((x + shift.0, y + shift.1), &text, style);
            }
            Mark::Picture { x, y, png, size } => {
                let ((left, a), (right, b)) = (self.at((x.0, y.0)), self.at((x.1, y.1)));
                let (top, width, height) = (a.min(b), right - left, (a - b).abs());
                let scale = (width / f64::from(size.0)).min(height / f64::from(size.1));
                let (w, h) = (f64::from(size.0) * scale, f64::from(size.1) * scale);
                svg.picture(left + (width - w) / 2.0, top + (height - h) / 2.0, w, h, png);
            }
            Mark::Arrow { from, to, radii, stroke } => self.arrow(svg, *from, *to, *radii, *stroke),
        }
    }

    fn arrow(&self, svg: &mut Svg, from: (f64, f64), to: (f64, f64), radii: (f64, f64), stroke: Stroke) {
        let (a, b) = (self.at(from), self.at(to));
        let head = 4.0 + 1.6 * stroke.width;
        let length = ((b.0 - a.0).powi(2) + (b.1 - a.1).powi(2)).sqrt();
        if length < 1e-9 {
            return self.loop_of(svg, a, radii.0, head, stroke);
        }
        // A bend to the right of the way, so that an arrow and the one back do not cover each other.
        let across = ((a.1 - b.1) / length, (b.0 - a.0) / length);
        let bend = 0.16 * length;
        let control = ((a.0 + b.0) / 2.0 + across.0 * bend, (a.1 + b.1) / 2.0 + across.1 * bend);
        let toward = |place: (f64, f64), by: f64| {
            let (dx, dy) = (control.0 - place.0, control.1 - place.1);
            let size = (dx * dx + dy * dy).sqrt().max(1e-9);
            (place.0 + dx / size * by, place.1 + dy / size * by)
        };
        let start = toward(a, (radii.0 + 1.0).min(length / 2.2));
        let tip = toward(b, (radii.1 + 1.5).min(length / 2.2));
        let end = toward(tip, head * 0.8);
        curve(svg, start, 'Q', &[control, end], stroke);
        arrow_head(svg, end, tip, head, stroke);
    }

    /// Draws a loop on the side of a circle that is away from the panel's middle.
    fn loop_of(&self, svg: &mut Svg, at: (f64, f64), radius: f64, head: f64, stroke: Stroke) {
        let middle = (self.place.left + self.place.width / 2.0, self.place.top + self.place.height / 2.0);
        let (dx, dy) = (at.0 - middle.0, at.1 - middle.1);
        let angle = if dx.abs() + dy.abs() < 1e-9 { -std::f64::consts::FRAC_PI_2 } else { dy.atan2(dx) };
        let on =
            |turn: f64, distance: f64| (at.0 + distance * (angle + turn).cos(), at.1 + distance * (angle + turn).sin());
        let (start, tip) = (on(-0.55, radius + 0.5), on(0.55, radius + 1.5));
        let size = radius + 20.0;
        let (c1, c2) = (on(-0.62, size), on(0.62, size));
        let back = ((c2.0 - tip.0).powi(2) + (c2.1 - tip.1).powi(2)).sqrt().max(1e-9);
        let end = (tip.0 + (c2.0 - tip.0) / back * head * 0.8, tip.1 + (c2.1 - tip.1) / back * head * 0.8);
        curve(svg, start, 'C', &[c1, c2, end], stroke);
        arrow_head(svg, end, tip, head, stroke);
    }
}

/// Draws one curve, of the kind that SVG calls by this letter, through its control points to its end.
fn curve(svg: &mut Svg, start: (f64, f64), kind: char, points: &[(f64, f64)], stroke: Stroke) {
    let point = |(x, y): (f64, f64)| format!("{} {}", number(x), number(y));
    let points: Vec<String> = points.iter().map(|&at| point(at)).collect();
    svg.path(&format!("M{}{kind}{}", point(start), points.join(" ")), None, 1.0, Some(stroke));
}

fn arrow_head(svg: &mut Svg, base: (f64, f64), tip: (f64, f64), size: f64, stroke: Stroke) {
    let (dx, dy) = (tip.0 - base.0, tip.1 - base.1);
    let length = (dx * dx + dy * dy).sqrt().max(1e-9);
    let (dx, dy) = (dx / length, dy / length);
    let back = (tip.0 - dx * size, tip.1 - dy * size);
    let half = size * 0.42;
    let points = [tip, (back.0 - dy * half, back.1 + dx * half), (back.0 + dy * half, back.1 - dx * half)];
    svg.polygon(&points, stroke.color, stroke.opacity, None);
}

pub(super) fn draw_shape(svg: &mut Svg, (x, y): (f64, f64), radius: f64, shape: Shape) {
    let polygon = |points: &[(f64, f64)]| {
        let points: Vec<String> = points.iter().map(|(a, b)| format!("{} {}", number(x + a), number(y + b))).collect();
        format!("M{}Z", points.join("L"))
    };
    // Forms of the same area look equally large.
    let data = match shape {
        Shape::Circle => return svg.circle((x, y), radius),
        Shape::Square => {
            let r = radius * 0.886;
            polygon(&[(-r, -r), (r, -r), (r, r), (-r, r)])
        }
        Shape::Triangle => {
            let r = radius * 1.35;
            polygon(&[(0.0, -r * 1.15), (r, r * 0.58), (-r, r * 0.58)])
        }
        Shape::Diamond => {
            let r = radius * 1.25;
            polygon(&[(0.0, -r), (r, 0.0), (0.0, r), (-r, 0.0)])
        }
    };
    svg.shape(&data);
}
