//! What colours, shapes and sizes of a figure mean.

use super::color::{FAINT, FRAME, INK, Map, PAPER};
use super::field::draw_shape;
use super::font;
use super::layout::{MARGIN, TICK};
use super::mark::{Anchor, Shape, Stroke};
use super::scale::{Axis, Tick};
use super::svg::{Style, Svg};
use super::{Color, Dash};

/// What stands before the words of a legend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Swatch {
    Square(Color),
    Line(Color, Dash),
    Dot(Color, Shape),
    /// An empty circle.
    Ring(Color),
    /// A circle of a radius in pixels.
    Size(f64),
}

/// A line of a legend.
#[derive(Clone, Debug)]
pub(crate) struct LegendItem {
    pub(crate) swatch: Swatch,
    pub(crate) label: String,
}

impl LegendItem {
    pub(crate) fn new(swatch: Swatch, label: impl Into<String>) -> Self {
        Self { swatch, label: label.into() }
    }
}

/// What colours of numbers mean.
#[derive(Clone, Debug)]
pub(crate) struct ColorBar {
    pub(crate) title: String,
    pub(crate) map: Map,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

pub(super) fn swatch_width(swatch: Swatch) -> f64 {
    match swatch {
        Swatch::Size(radius) => 2.0 * radius + 6.0,
        Swatch::Line(..) => 28.0,
        _ => 18.0,
    }
}

pub(super) fn draw_legend_item(svg: &mut Svg, item: &LegendItem, (x, y): (f64, f64), row: f64, width: f64) {
    let middle = y + row / 2.0;
    let indent = swatch_width(item.swatch);
    match item.swatch {
        Swatch::Square(color) => {
            svg.rect(x, middle - 6.0, 12.0, 12.0, color, 1.0);
            svg.outline(x, middle - 6.0, 12.0, 12.0, Stroke::new(FRAME, 0.7));
        }
        Swatch::Line(color, dash) => {
            svg.line((x, middle), (x + 22.0, middle), Stroke::new(color, 2.2).dashed(dash));
        }
        Swatch::Dot(color, shape) => {
            svg.open_filled(color, 1.0, None);
            draw_shape(svg, (x + 6.0, middle), 5.0, shape);
            svg.close();
        }
        Swatch::Ring(color) => {
            svg.open_filled(PAPER, 1.0, Some(color));
            svg.circle((x + 6.0, middle), 4.5);
            svg.close();
        }
        Swatch::Size(radius) => {
            svg.open_filled(FRAME, 0.7, Some(FAINT));
            svg.circle((x + radius, middle), radius);
            svg.close();
        }
    }
    let label = font::fit(&item.label, TICK, false, width - indent);
    svg.text((x + indent, middle + TICK * 0.36), &label, Style::new(TICK, INK));
}

/// Length of a colour bar.
const BAR: f64 = 240.0;

pub(super) fn draw_color_bar(svg: &mut Svg, bar: &ColorBar, top: f64) {
    svg.open("colours");
    svg.text((MARGIN, top + TICK), &bar.title, Style::new(TICK, INK));
    let left = MARGIN + font::width(&bar.title, TICK, false) + 12.0;
    let steps = 48;
    for step in 0..steps {
        let share = (f64::from(step) + 0.5) / f64::from(steps);
        let width = BAR / f64::from(steps);
        // A little over its neighbour, lest a seam shows.
        svg.rect(left + f64::from(step) * width, top, width + 0.6, 13.0, bar.map.color(share), 1.0);
    }
    let axis = Axis::Linear { low: bar.low, high: bar.high };
    let fits = |ticks: &Vec<Tick>| {
        let widest = ticks.iter().map(|tick| font::width(&tick.label, TICK, false)).fold(0.0, f64::max);
        ticks.windows(2).all(|pair| BAR * (axis.share(pair[1].at) - axis.share(pair[0].at)) > widest + 8.0)
    };
    // As many ticks as do not touch.
    let ticks = [5, 4, 3, 2].into_iter().map(|count| axis.ticks(count)).find(fits).unwrap_or_default();
    for Tick { at, label } in ticks {
        let x = left + BAR * axis.share(at);
        svg.line((x, top + 13.0), (x, top + 17.0), Stroke::new(FRAME, 1.0));
        svg.text((x, top + 18.0 + TICK), &label, Style::new(TICK, INK).anchored(Anchor::Middle));
    }
    svg.close();
}
