//! What can be drawn in a panel, in the coordinates of its axes.

use super::Color;

/// A line that is solid or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Dash {
    #[default]
    Solid,
    Dashed,
    Dotted,
}

/// How a line looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Stroke {
    pub(crate) color: Color,
    /// In pixels.
    pub(crate) width: f64,
    pub(crate) dash: Dash,
    /// In `(0, 1]`.
    pub(crate) opacity: f64,
}

impl Stroke {
    pub(crate) const fn new(color: Color, width: f64) -> Self {
        Self { color, width, dash: Dash::Solid, opacity: 1.0 }
    }

    pub(crate) const fn dashed(self, dash: Dash) -> Self {
        Self { dash, ..self }
    }

    pub(crate) const fn faded(self, opacity: f64) -> Self {
        Self { opacity, ..self }
    }
}

/// The form of a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    Circle,
    Square,
    Triangle,
    Diamond,
}

impl Shape {
    /// Returns the form of a category, so that colour is never all that tells two apart.
    pub(crate) fn of(index: usize) -> Self {
        [Self::Circle, Self::Triangle, Self::Square, Self::Diamond][index % 4]
    }
}

/// On which side of a place a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

/// A mark.
#[derive(Clone, Debug)]
pub(crate) enum Mark {
    /// A line through points.
    Line { points: Vec<(f64, f64)>, stroke: Stroke },
    /// A filled form.
    Area { points: Vec<(f64, f64)>, fill: Color, opacity: f64, outline: Option<Stroke> },
    /// Points of one look; the radius is in pixels.
    Dots { points: Vec<(f64, f64)>, radius: f64, shape: Shape, fill: Color, opacity: f64, outline: Option<Color> },
    /// Rectangles of one look: `(x low, x high, y low, y high)`.
    Cells { cells: Vec<(f64, f64, f64, f64)>, fill: Color, opacity: f64, gap: f64 },
    /// A line of text, at most so wide in pixels, moved by so many pixels.
    Text {
        at: (f64, f64),
        text: String,
        size: f64,
        is_bold: bool,
        color: Color,
        anchor: Anchor,
        shift: (f64, f64),
        width_max: f64,
    },
    /// A picture as a PNG, as large as fits into the rectangle.
    Picture { x: (f64, f64), y: (f64, f64), png: std::rc::Rc<Vec<u8>>, size: (u32, u32) },
    /// A bent arrow between two circles with radii in pixels; from a place to itself it is a loop away from the panel's middle.
    Arrow { from: (f64, f64), to: (f64, f64), radii: (f64, f64), stroke: Stroke },
}

impl Mark {
    /// Returns the values that the mark covers.
    #[cfg(debug_assertions)]
    pub(crate) fn extent(&self) -> Vec<(f64, f64)> {
        match self {
            Self::Line { points, .. } | Self::Area { points, .. } | Self::Dots { points, .. } => points.clone(),
            Self::Cells { cells, .. } => cells.iter().flat_map(|c| [(c.0, c.2), (c.1, c.3)]).collect(),
            Self::Text { at, .. } => vec![*at],
            Self::Picture { x, y, .. } => vec![(x.0, y.0), (x.1, y.1)],
            Self::Arrow { from, to, .. } => vec![*from, *to],
        }
    }
}
