//! Where everything of a figure stands.

use super::color::{FAINT, FRAME, GRID, INK, Map, PAPER, SHADE};
use super::font;
use super::mark::{Anchor, Mark, Shape, Stroke};
use super::scale::{Axis, Tick};
use super::svg::{Style, Svg, number};
use super::{Color, Dash};

/// Width of a figure, in pixels: at 96 to the inch ten inches.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 24.0;
const TITLE: f64 = 19.0;
const SUBTITLE: f64 = 12.5;
const LABEL: f64 = 12.5;
const TICK: f64 = 11.5;
const CAPTION: f64 = 11.5;
const STRIP: f64 = 12.5;
/// Names of bands are cut to this at most.
const BAND_NAME_MAX: f64 = 230.0;
/// And to this below an axis, where they lean.
const BAND_NAME_MAX_BELOW: f64 = 150.0;
const COLUMN_GAP: f64 = 16.0;
const ROW_GAP: f64 = 14.0;

/// What stands before the words of a legend.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Swatch {
    Square(Color),
    Line(Color, Dash),
    Dot(Color, Shape),
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

/// One field of a figure.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// Cut where it is wider than two lines of the panel; may be empty.
    pub(crate) title: String,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) marks: Vec<Mark>,
}

/// A figure.
#[derive(Clone, Debug)]
pub(crate) struct Figure {
    pub(crate) title: String,
    pub(crate) subtitle: String,
    pub(crate) legend: Vec<LegendItem>,
    pub(crate) color_bar: Option<ColorBar>,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) panels: Vec<Panel>,
    /// Panels beside each other, at least 1.
    pub(crate) columns: usize,
    /// Height of a panel in pixels; `None` makes it square in the units of its axes' ends.
    pub(crate) panel_height: Option<f64>,
    /// Width of a panel at most.
    pub(crate) panel_width_max: f64,
    /// Whether axes of all panels are the same, so that only the outer ones are labelled.
    pub(crate) is_shared: bool,
    /// Paragraphs below.
    pub(crate) caption: Vec<String>,
}

impl Figure {
    /// Returns a figure without panels.
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            subtitle: String::new(),
            legend: Vec::new(),
            color_bar: None,
            x_label: String::new(),
            y_label: String::new(),
            panels: Vec::new(),
            columns: 1,
            panel_height: Some(260.0),
            panel_width_max: f64::INFINITY,
            is_shared: true,
            caption: Vec::new(),
        }
    }

    /// Returns a mark that lies outside of its panel, if any does.
    #[cfg(debug_assertions)]
    pub(crate) fn mark_outside(&self) -> Option<String> {
        let is_outside = |axis: &Axis, value: f64| !(-1e-6..=1.0 + 1e-6).contains(&axis.share(value));
        self.panels.iter().find_map(|panel| {
            let mark = panel
                .marks
                .iter()
                .find(|mark| mark.extent().iter().any(|&(x, y)| is_outside(&panel.x, x) || is_outside(&panel.y, y)))?;
            Some(format!("{}: panel \"{}\": {mark:?}", self.title, panel.title))
        })
    }

    /// Writes the figure as SVG.
    pub(crate) fn to_svg(&self) -> String {
        let plan = Plan::of(self);
        let description = self.caption.join(" ");
        let mut svg = Svg::new(WIDTH, plan.height, &self.title, &description);
        svg.rect(0.0, 0.0, WIDTH, plan.height, PAPER, 1.0);
        self.draw_head(&mut svg, &plan);
        for (index, panel) in self.panels.iter().enumerate() {
            self.draw_panel(&mut svg, &plan, index, panel);
        }
        self.draw_axis_labels(&mut svg, &plan);
        self.draw_caption(&mut svg, &plan);
        svg.finish()
    }

    fn draw_head(&self, svg: &mut Svg, plan: &Plan) {
        svg.open("head");
        let mut top = MARGIN + TITLE;
        for line in &plan.title {
            svg.text((MARGIN, top), line, Style::new(TITLE, INK).bold());
            top += TITLE * 1.2;
        }
        if !self.subtitle.is_empty() {
            let subtitle = font::fit(&self.subtitle, SUBTITLE, false, WIDTH - 2.0 * MARGIN);
            svg.text((MARGIN, top), &subtitle, Style::new(SUBTITLE, FAINT));
        }
        svg.close();
        if !self.legend.is_empty() {
            svg.open("legend");
            for (index, item) in self.legend.iter().enumerate() {
                let at = (
                    MARGIN + (index % plan.legend_columns) as f64 * plan.legend_width,
                    plan.legend_top + (index / plan.legend_columns) as f64 * plan.legend_row,
                );
                draw_legend_item(svg, item, at, plan.legend_row, plan.legend_width - 12.0);
            }
            svg.close();
        }
        if let Some(bar) = &self.color_bar {
            draw_color_bar(svg, bar, plan.color_bar_top);
        }
    }

    fn draw_panel(&self, svg: &mut Svg, plan: &Plan, index: usize, panel: &Panel) {
        let (column, row) = (index % self.columns, index / self.columns);
        let place = plan.place(column, row);
        svg.open("panel");
        for (line, text) in plan.strips[index].iter().enumerate() {
            let lines = plan.strips[index].len();
            let y = place.top - 7.0 - (lines - 1 - line) as f64 * STRIP * 1.15;
            svg.text((place.left, y), text, Style::new(STRIP, INK).bold());
        }
        svg.rect(place.left, place.top, place.width, place.height, SHADE, 0.35);
        let is_below_free = index + self.columns >= self.panels.len();
        draw_y_axis(svg, &place, &panel.y, !self.is_shared || column == 0, plan);
        draw_x_axis(svg, &place, &panel.x, !self.is_shared || is_below_free, plan);
        svg.outline(place.left, place.top, place.width, place.height, Stroke::new(FRAME, 1.0));
        let field = Field { place, x: &panel.x, y: &panel.y };
        panel.marks.iter().for_each(|mark| field.draw(svg, mark));
        svg.close();
    }

    fn draw_axis_labels(&self, svg: &mut Svg, plan: &Plan) {
        let used = self.columns.min(self.panels.len().max(1));
        let (left, right) =
            (plan.left, plan.left + used as f64 * plan.panel_width + (used - 1) as f64 * plan.column_gap);
        if !self.x_label.is_empty() {
            let style = Style::new(LABEL, INK).anchored(Anchor::Middle);
            svg.text(((left + right) / 2.0, plan.panels_bottom + plan.below + LABEL + 4.0), &self.x_label, style);
        }
        if !self.y_label.is_empty() {
            let middle = (plan.place(0, 0).top + plan.panels_bottom) / 2.0;
            let room = (plan.panels_bottom - plan.place(0, 0).top).max(80.0);
            let label = font::fit(&self.y_label, LABEL, false, room);
            svg.text(
                (MARGIN + LABEL * 0.8, middle),
                &label,
                Style::new(LABEL, INK).anchored(Anchor::Middle).turned(-90.0),
            );
        }
    }

    fn draw_caption(&self, svg: &mut Svg, plan: &Plan) {
        svg.open("caption");
        for (line, text) in plan.caption.iter().enumerate() {
            let y = plan.caption_top + CAPTION + line as f64 * CAPTION * 1.35;
            svg.text((MARGIN, y), text, Style::new(CAPTION, FAINT));
        }
        svg.close();
    }
}

/// Where a panel is.
#[derive(Clone, Copy, Debug)]
struct Place {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// What was measured before anything is drawn.
struct Plan {
    title: Vec<String>,
    legend_top: f64,
    legend_row: f64,
    legend_columns: usize,
    legend_width: f64,
    color_bar_top: f64,
    /// Titles of panels, in lines.
    strips: Vec<Vec<String>>,
    strip_height: f64,
    left: f64,
    top: f64,
    panel_width: f64,
    panel_height: f64,
    column_gap: f64,
    row_gap: f64,
    /// Room for the tick labels below the last row.
    below: f64,
    /// Whether names below the axis lean.
    leans: bool,
    panels_bottom: f64,
    caption_top: f64,
    caption: Vec<String>,
    height: f64,
}

impl Plan {
    fn of(figure: &Figure) -> Self {
        let inner = WIDTH - 2.0 * MARGIN;
        let title = font::wrap(&figure.title, TITLE, true, inner, 2);
        let mut top = MARGIN + TITLE + title.len().saturating_sub(1) as f64 * TITLE * 1.2 + 6.0;
        if !figure.subtitle.is_empty() {
            top += SUBTITLE * 1.5;
        }
        let legend_top = top + 6.0;
        let largest =
            figure.legend.iter().map(|item| if let Swatch::Size(radius) = item.swatch { 2.0 * radius } else { 0.0 });
        let legend_row = largest.fold(19.0, |row: f64, size| row.max(size + 4.0));
        let widest = figure.legend.iter().map(|item| swatch_width(item.swatch) + font::width(&item.label, TICK, false));
        let legend_width = widest.fold(60.0, f64::max).min(inner / 2.0 - 12.0) + 24.0;
        let legend_columns = ((inner + 24.0) / legend_width).floor().max(1.0) as usize;
        top = legend_top + figure.legend.len().div_ceil(legend_columns) as f64 * legend_row;
        let color_bar_top = top + 4.0;
        if figure.color_bar.is_some() {
            top = color_bar_top + 40.0;
        }

        let columns = figure.columns.max(1);
        let y_names = figure.panels.iter().map(|panel| y_labels_width(&panel.y)).fold(0.0, f64::max);
        let y_title = if figure.y_label.is_empty() { 0.0 } else { LABEL * 1.6 };
        let left = MARGIN + y_title + y_names + 8.0;
        let column_gap = if figure.is_shared { COLUMN_GAP } else { COLUMN_GAP + y_names + 8.0 };
        let room = WIDTH - MARGIN - left - (columns - 1) as f64 * column_gap;
        let panel_width = (room / columns as f64).min(figure.panel_width_max).max(40.0);
        let panel_height = figure.panel_height.unwrap_or_else(|| square_height(figure, panel_width));

        let leans = figure.panels.iter().any(|panel| names_overlap(&panel.x, panel_width));
        let name = |panel: &Panel| x_labels_height(&panel.x, leans);
        let below = figure.panels.iter().map(name).fold(0.0, f64::max);
        // Names that lean below a panel without another one under it would reach into that one's neighbour.
        let reaches = leans && !figure.panels.len().is_multiple_of(columns);
        let row_gap = if figure.is_shared && !reaches { ROW_GAP } else { ROW_GAP + below };
        let strips: Vec<Vec<String>> =
            figure.panels.iter().map(|panel| font::wrap(&panel.title, STRIP, true, panel_width, 3)).collect();
        let lines = strips.iter().map(Vec::len).max().unwrap_or(0);
        let strip_height = if lines == 0 { 0.0 } else { lines as f64 * STRIP * 1.15 + 8.0 };
        let rows = figure.panels.len().div_ceil(columns).max(1);
        let top = top + 10.0;
        let panels_bottom = top + rows as f64 * (strip_height + panel_height) + (rows - 1) as f64 * row_gap;
        let x_title = if figure.x_label.is_empty() { 0.0 } else { LABEL * 1.5 };
        let caption_top = panels_bottom + below + x_title + 14.0;
        let caption: Vec<String> =
            figure.caption.iter().flat_map(|text| font::wrap(text, CAPTION, false, inner, 14)).collect();
        let height = caption_top + caption.len() as f64 * CAPTION * 1.35 + MARGIN;
        Self {
            title,
            legend_top,
            legend_row,
            legend_columns,
            legend_width,
            color_bar_top,
            strips,
            strip_height,
            left,
            top,
            panel_width,
            panel_height,
            column_gap,
            row_gap,
            below,
            leans,
            panels_bottom,
            caption_top,
            caption,
            height: height.ceil(),
        }
    }

    fn place(&self, column: usize, row: usize) -> Place {
        Place {
            left: self.left + column as f64 * (self.panel_width + self.column_gap),
            top: self.top + self.strip_height + row as f64 * (self.strip_height + self.panel_height + self.row_gap),
            width: self.panel_width,
            height: self.panel_height,
        }
    }
}

/// Returns the height at which a unit is as long in both directions.
fn square_height(figure: &Figure, width: f64) -> f64 {
    let Some(panel) = figure.panels.first() else { return width };
    let length = |axis: &Axis| axis.ends().1 - axis.ends().0;
    (width * length(&panel.y) / length(&panel.x)).clamp(width * 0.3, width * 1.6)
}

fn y_labels_width(axis: &Axis) -> f64 {
    match axis {
        Axis::Band(names) => {
            names.iter().map(|name| font::width(name, TICK, false)).fold(0.0, f64::max).min(BAND_NAME_MAX) + 4.0
        }
        axis => axis.ticks(5).iter().map(|tick| font::width(&tick.label, TICK, false)).fold(0.0, f64::max) + 4.0,
    }
}

/// Returns whether the names of bands below an axis would touch.
fn names_overlap(axis: &Axis, width: f64) -> bool {
    let Axis::Band(names) = axis else { return false };
    let band = width / names.len().max(1) as f64 - 6.0;
    names.iter().any(|name| font::width(name, TICK, false) > band)
}

fn x_labels_height(axis: &Axis, leans: bool) -> f64 {
    match axis {
        Axis::Bare { .. } => 0.0,
        Axis::Band(names) if leans => {
            let longest = names.iter().map(|name| font::width(name, TICK, false)).fold(0.0, f64::max);
            longest.min(BAND_NAME_MAX_BELOW) * LEAN.to_radians().sin() + TICK + 8.0
        }
        _ => TICK + 8.0,
    }
}

/// Degrees by which long names below an axis lean.
const LEAN: f64 = 32.0;

fn draw_y_axis(svg: &mut Svg, place: &Place, axis: &Axis, has_labels: bool, plan: &Plan) {
    let at = |value: f64| place.top + place.height * y_share(axis, value);
    let style = Style::new(TICK, INK).anchored(Anchor::End);
    match axis {
        Axis::Band(names) => {
            // Names that are left empty take no room.
            let band = place.height / names.len().max(1) as f64;
            let mut free_from = f64::NEG_INFINITY;
            for (index, name) in names.iter().enumerate() {
                let middle = at(index as f64 + 0.5);
                if has_labels && !name.is_empty() && (band >= TICK || middle - TICK / 2.0 >= free_from) {
                    free_from = middle + TICK / 2.0 + 1.0;
                    let room = BAND_NAME_MAX.min(place.left - MARGIN).min(plan.left + plan.column_gap);
                    let name = font::fit(name, TICK, false, room);
                    svg.text((place.left - 7.0, at(index as f64 + 0.5) + TICK * 0.36), &name, style);
                }
            }
        }
        axis => {
            let count = ((place.height / 45.0) as usize).clamp(2, 6);
            for Tick { at: value, label } in axis.ticks(count) {
                svg.line((place.left, at(value)), (place.left + place.width, at(value)), Stroke::new(GRID, 1.0));
                if has_labels {
                    svg.text((place.left - 7.0, at(value) + TICK * 0.36), &label, style);
                }
            }
        }
    }
}

fn draw_x_axis(svg: &mut Svg, place: &Place, axis: &Axis, has_labels: bool, plan: &Plan) {
    let at = |value: f64| place.left + place.width * axis.share(value);
    let bottom = place.top + place.height;
    match axis {
        Axis::Band(names) => {
            for (index, name) in names.iter().enumerate().filter(|_| has_labels) {
                let x = at(index as f64 + 0.5);
                if plan.leans {
                    let name =
                        font::fit(name, TICK, false, BAND_NAME_MAX_BELOW.min((x - 8.0) / LEAN.to_radians().cos()));
                    let style = Style::new(TICK, INK).anchored(Anchor::End).turned(-LEAN);
                    svg.text((x + 3.0, bottom + TICK + 3.0), &name, style);
                } else {
                    svg.text((x, bottom + TICK + 5.0), name, Style::new(TICK, INK).anchored(Anchor::Middle));
                }
            }
        }
        axis => {
            let count = ((place.width / 60.0) as usize).clamp(2, 8);
            let ticks = axis.ticks(count);
            let widest = ticks.iter().map(|tick| font::width(&tick.label, TICK, false)).fold(0.0, f64::max) + 8.0;
            let every = (ticks.len() as f64 * widest / place.width).ceil().max(1.0) as usize;
            for (index, Tick { at: value, label }) in ticks.iter().enumerate() {
                svg.line((at(*value), place.top), (at(*value), bottom), Stroke::new(GRID, 1.0));
                if has_labels && index % every == 0 {
                    // The outer labels stay over their own panel, lest they touch the next one's.
                    let half = font::width(label, TICK, false) / 2.0;
                    let x = at(*value).clamp(place.left + half - 6.0, place.left + place.width - half + 6.0);
                    svg.text((x, bottom + TICK + 5.0), label, Style::new(TICK, INK).anchored(Anchor::Middle));
                }
            }
        }
    }
}

/// Names go down, numbers go up.
fn y_share(axis: &Axis, value: f64) -> f64 {
    if matches!(axis, Axis::Band(_)) { axis.share(value) } else { 1.0 - axis.share(value) }
}

/// A panel that marks are drawn in.
struct Field<'a> {
    place: Place,
    x: &'a Axis,
    y: &'a Axis,
}

impl Field<'_> {
    fn at(&self, (x, y): (f64, f64)) -> (f64, f64) {
        (self.place.left + self.place.width * self.x.share(x), self.place.top + self.place.height * y_share(self.y, y))
    }

    fn draw(&self, svg: &mut Svg, mark: &Mark) {
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
        svg.path(
            &format!(
                "M{} {}Q{} {} {} {}",
                number(start.0),
                number(start.1),
                number(control.0),
                number(control.1),
                number(end.0),
                number(end.1)
            ),
            None,
            1.0,
            Some(stroke),
        );
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
        svg.path(
            &format!(
                "M{} {}C{} {} {} {} {} {}",
                number(start.0),
                number(start.1),
                number(c1.0),
                number(c1.1),
                number(c2.0),
                number(c2.1),
                number(end.0),
                number(end.1)
            ),
            None,
            1.0,
            Some(stroke),
        );
        arrow_head(svg, end, tip, head, stroke);
    }
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

fn draw_shape(svg: &mut Svg, (x, y): (f64, f64), radius: f64, shape: Shape) {
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

fn swatch_width(swatch: Swatch) -> f64 {
    match swatch {
        Swatch::Size(radius) => 2.0 * radius + 6.0,
        Swatch::Line(..) => 28.0,
        _ => 18.0,
    }
}

fn draw_legend_item(svg: &mut Svg, item: &LegendItem, (x, y): (f64, f64), row: f64, width: f64) {
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

fn draw_color_bar(svg: &mut Svg, bar: &ColorBar, top: f64) {
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
    for Tick { at, label } in axis.ticks(5) {
        let x = left + BAR * axis.share(at);
        svg.line((x, top + 13.0), (x, top + 17.0), Stroke::new(FRAME, 1.0));
        svg.text((x, top + 18.0 + TICK), &label, Style::new(TICK, INK).anchored(Anchor::Middle));
    }
    svg.close();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(panels: usize) -> Figure {
        let mut figure = Figure::new("A title & more");
        figure.columns = 2;
        figure.x_label = "x".to_owned();
        figure.y_label = "y".to_owned();
        figure.legend =
            vec![LegendItem::new(Swatch::Square([1, 2, 3]), "one"), LegendItem::new(Swatch::Size(9.0), "two")];
        figure.caption = vec!["n = 3".to_owned()];
        for panel in 0..panels {
            let marks = vec![
                Mark::Line { points: vec![(0.0, 0.0), (10.0, 1.0)], stroke: Stroke::new([0; 3], 1.0) },
                Mark::Cells { cells: vec![(0.0, 1.0, 0.0, 1.0)], fill: [9; 3], opacity: 1.0, gap: 0.0 },
                Mark::Arrow { from: (1.0, 0.5), to: (9.0, 0.5), radii: (3.0, 3.0), stroke: Stroke::new([0; 3], 1.0) },
            ];
            let (x, y) = (Axis::of([0.0, 10.0]), Axis::of([0.0, 1.0]));
            figure.panels.push(Panel { title: format!("panel {panel}"), x, y, marks });
        }
        figure
    }

    fn attribute(svg: &str, element: &str, name: &str) -> Vec<f64> {
        let elements = svg.split('<').filter(|text| text.starts_with(element));
        let value = |text: &str| text.split(&format!(" {name}=\"")).nth(1)?.split('"').next()?.parse().ok();
        elements.filter_map(value).collect()
    }

    #[test]
    fn shared_axes_are_labelled_once_and_all_text_lies_on_the_page() {
        let svg = figure(4).to_svg();
        assert_eq!(svg.matches("<g class=\"panel\">").count(), 4);
        // Ticks of x below the two lower panels, of y beside the two left ones.
        assert_eq!(svg.matches(">10</text>").count(), 2);
        assert_eq!(svg.matches(">1.0</text>").count(), 2);
        let height = attribute(&svg, "svg", "height")[0];
        assert!(attribute(&svg, "text", "x").iter().all(|x| (0.0..=WIDTH).contains(x)));
        assert!(attribute(&svg, "text", "y").iter().all(|y| (0.0..=height).contains(y)));
        assert!(svg.contains("A title &amp; more") && !svg.contains("NaN"));
        assert_eq!(svg, figure(4).to_svg(), "the same bytes");
    }

    #[test]
    fn a_figure_of_nothing_is_still_a_page() {
        let svg = Figure::new("").to_svg();
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[cfg(debug_assertions)]
    #[test]
    fn marks_outside_of_their_panel_are_found() {
        let mut figure = figure(1);
        assert_eq!(figure.mark_outside(), None);
        figure.panels[0].marks.push(Mark::Line { points: vec![(0.0, 3.0)], stroke: Stroke::new([0; 3], 1.0) });
        assert!(figure.mark_outside().is_some());
    }
}
