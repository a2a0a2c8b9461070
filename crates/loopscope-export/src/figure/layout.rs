//! Where everything of a figure stands.

use super::color::{FAINT, FRAME, GRID, INK, PAPER, SHADE};
use super::field::{Field, Place, y_share};
use super::font;
use super::legend::{ColorBar, LegendItem, Swatch, draw_color_bar, draw_legend_item, swatch_width};
use super::mark::{Anchor, Mark, Stroke};
use super::scale::{Axis, Tick};
use super::svg::{Style, Svg};

/// Width of a figure, in pixels: at 96 to the inch ten inches.
const WIDTH: f64 = 960.0;
pub(super) const MARGIN: f64 = 24.0;
const TITLE: f64 = 19.0;
const SUBTITLE: f64 = 12.5;
const LABEL: f64 = 12.5;
pub(super) const TICK: f64 = 11.5;
const CAPTION: f64 = 11.5;
const STRIP: f64 = 12.5;
/// Names of bands are cut to this at most.
const BAND_NAME_MAX: f64 = 230.0;
/// And to this below an axis, where they lean.
const BAND_NAME_MAX_BELOW: f64 = 150.0;
const COLUMN_GAP: f64 = 22.0;
const ROW_GAP: f64 = 14.0;

/// One field of a figure.
#[derive(Clone, Debug)]
pub(crate) struct Panel {
    /// Cut where it takes more than three lines of the panel; may be empty. What follows a line break is a note of one line, such
    /// as how many runs the panel shows: it has a line of its own, so that no long title cuts it off.
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
        let strip = &plan.strips[index];
        for (line, text) in strip.title.iter().chain(&strip.note).enumerate() {
            let y = place.top - 7.0 - (strip.len() - 1 - line) as f64 * STRIP * 1.15;
            let style = if line < strip.title.len() { Style::new(STRIP, INK).bold() } else { Style::new(TICK, FAINT) };
            svg.text((place.left, y), text, style);
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
            let room = (plan.panels_bottom - plan.place(0, 0).top).max(120.0);
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

/// What was measured before anything is drawn.
struct Plan {
    title: Vec<String>,
    legend_top: f64,
    legend_row: f64,
    legend_columns: usize,
    legend_width: f64,
    color_bar_top: f64,
    /// Titles of panels, in lines.
    strips: Vec<Strip>,
    strip_height: f64,
    left: f64,
    top: f64,
    panel_width: f64,
    panel_height: f64,
    column_gap: f64,
    row_gap: f64,
    /// Room above the last row beyond that, where a panel of the row before is labelled too.
    last_row_gap: f64,
    rows: usize,
    /// Room for the tick labels below the last row.
    below: f64,
    /// Whether names below the axis lean.
    leans: bool,
    panels_bottom: f64,
    caption_top: f64,
    caption: Vec<String>,
    height: f64,
}

/// What stands above a panel.
struct Strip {
    title: Vec<String>,
    note: Option<String>,
}

impl Strip {
    fn of(text: &str, width: f64) -> Self {
        let (title, note) = text.split_once('\n').map_or((text, None), |(title, note)| (title, Some(note)));
        let note = note.filter(|note| !note.is_empty()).map(|note| font::fit(note, TICK, false, width).into_owned());
        Self { title: font::wrap(title, STRIP, true, width, 3), note }
    }

    fn len(&self) -> usize {
        self.title.len() + usize::from(self.note.is_some())
    }
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
        let rows = figure.panels.len().div_ceil(columns).max(1);
        let reaches = rows > 1 && leans && !figure.panels.len().is_multiple_of(columns);
        let row_gap = if figure.is_shared { ROW_GAP } else { ROW_GAP + below };
        let last_row_gap = if figure.is_shared && reaches { below } else { 0.0 };
        let strips: Vec<Strip> = figure.panels.iter().map(|panel| Strip::of(&panel.title, panel_width)).collect();
        let lines = strips.iter().map(Strip::len).max().unwrap_or(0);
        let strip_height = if lines == 0 { 0.0 } else { lines as f64 * STRIP * 1.15 + 8.0 };
        let top = top + 10.0;
        let panels_bottom =
            top + rows as f64 * (strip_height + panel_height) + (rows - 1) as f64 * row_gap + last_row_gap;
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
            last_row_gap,
            rows,
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
            top: self.top
                + self.strip_height
                + row as f64 * (self.strip_height + self.panel_height + self.row_gap)
                + if row + 1 == self.rows { self.last_row_gap } else { 0.0 },
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
                    let x = at(*value).clamp(place.left + half - 5.0, place.left + place.width - half + 5.0);
                    svg.text((x, bottom + TICK + 5.0), label, Style::new(TICK, INK).anchored(Anchor::Middle));
                }
            }
        }
    }
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
    fn a_note_is_kept_whatever_the_length_of_its_title() {
        let mut figure = figure(4);
        for panel in &mut figure.panels {
            panel.title = format!("{}\n(12 runs)", "a title that goes on ".repeat(30));
        }
        let svg = figure.to_svg();
        assert_eq!(svg.matches(">(12 runs)</text>").count(), 4);
        assert_eq!(svg.matches("…</text>").count(), 4, "each title is cut");
    }

    #[test]
    fn only_the_last_row_makes_room_for_names_above_it() {
        let height = |panels: usize| {
            let mut figure = figure(panels);
            for panel in &mut figure.panels {
                panel.marks.clear();
                panel.x = Axis::Band((0..6).map(|i| format!("{i} a name that must lean to be read at all")).collect());
            }
            attribute(&figure.to_svg(), "svg", "height")[0]
        };
        let (row, odd) = (height(8) - height(6), height(7) - height(5));
        assert!((row - odd).abs() < 1.5, "{row} {odd}: two rows more are two rows more");
        assert!(
            height(7) > height(8),
            "the seventh and the eighth place share a row; an empty place shows names above"
        );
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
