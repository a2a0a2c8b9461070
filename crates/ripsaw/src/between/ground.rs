//! Points of the plane, and what it costs to move one.

use super::{GroundNorm, WassersteinOrder};

/// Holds a bar as a point of the plane; both coordinates are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) birth: f64,
    pub(super) death: f64,
}

impl Point {
    pub(super) fn length(self) -> f64 {
        self.death - self.birth
    }

    /// The L∞ distance to another point.
    pub(super) fn distance(self, other: Self) -> f64 {
        (self.birth - other.birth).abs().max((self.death - other.death).abs())
    }

    /// The L∞ distance to the diagonal.
    pub(super) fn diagonal_distance(self) -> f64 {
        self.length() / 2.0
    }
}

/// Says what a move costs: its length in the ground norm, to the power of the order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ground {
    pub(super) order: WassersteinOrder,
    pub(super) norm: GroundNorm,
}

impl Ground {
    /// The cost of a move by so much in birth and in death, neither negative.
    #[inline]
    pub(super) fn move_cost(self, across: f64, up: f64) -> f64 {
        match (self.order, self.norm) {
            (WassersteinOrder::One, GroundNorm::LInfinity) => across.max(up),
            (WassersteinOrder::One, GroundNorm::L2) => (across * across + up * up).sqrt(),
            (WassersteinOrder::Two, GroundNorm::LInfinity) => {
                let longer = across.max(up);
                longer * longer
            }
            (WassersteinOrder::Two, GroundNorm::L2) => across * across + up * up,
        }
    }

    #[inline]
    pub(super) fn cost(self, a: Point, b: Point) -> f64 {
        self.move_cost((a.birth - b.birth).abs(), (a.death - b.death).abs())
    }

    /// The cost of a move along the line, as between bars of equal birth.
    pub(super) fn line_cost(self, length: f64) -> f64 {
        match self.order {
            WassersteinOrder::One => length,
            WassersteinOrder::Two => length * length,
        }
    }

    /// The cost of moving a bar of this length to the diagonal.
    pub(super) fn diagonal_cost(self, length: f64) -> f64 {
        self.diagonal_share() * self.line_cost(length)
    }

    /// The cost of moving a bar of length one to the diagonal.
    pub(super) fn diagonal_share(self) -> f64 {
        match (self.order, self.norm) {
            (WassersteinOrder::One, GroundNorm::LInfinity) => 0.5,
            (WassersteinOrder::One, GroundNorm::L2) => std::f64::consts::FRAC_1_SQRT_2,
            (WassersteinOrder::Two, GroundNorm::LInfinity) => 0.25,
            (WassersteinOrder::Two, GroundNorm::L2) => 0.5,
        }
    }

    /// Takes a sum of costs back to units of the metric.
    pub(super) fn root(self, total: f64) -> f64 {
        match self.order {
            WassersteinOrder::One => total,
            WassersteinOrder::Two => total.sqrt(),
        }
    }
}
