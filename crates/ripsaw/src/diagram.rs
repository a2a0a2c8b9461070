//! Bars, and the order in which they are given.
//!
//! Filtration values are *diameters* (longest edge), as in Ripser; a text that uses radii has half our values.
//! Invariant: no bar that the computation emits has length zero, and every diagram is sorted.

/// Holds the birth and the death of one homology class, in units of the metric.
///
/// Bars from this crate have `0 <= birth < death`, both exact values of the `f32` distances. A class that outlives the
/// threshold has death [`f64::INFINITY`]. Bars made elsewhere may hold anything; [`crate::persistent_entropy`] says
/// what it refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// The diameter at which the class appears.
    pub birth: f64,
    /// The diameter at which it becomes a boundary, or infinity.
    pub death: f64,
}

impl Bar {
    /// Returns how long the class lives, in units of the metric: infinite for a class that never dies.
    #[must_use]
    pub fn length(&self) -> f64 {
        self.death - self.birth
    }

    /// Tells whether the class never dies.
    #[must_use]
    pub fn is_infinite(&self) -> bool {
        self.death == f64::INFINITY
    }
}

impl From<(f64, f64)> for Bar {
    fn from((birth, death): (f64, f64)) -> Self {
        Self { birth, death }
    }
}

/// Collects the bars of one dimension, leaving out those of length zero.
#[derive(Debug, Default)]
pub(crate) struct Diagram {
    bars: Vec<Bar>,
}

impl Diagram {
    /// Adds a class that dies, unless it dies at birth.
    pub(crate) fn push_finite(&mut self, birth: f32, death: f32) {
        if birth < death {
            self.bars.push(Bar { birth: birth.into(), death: death.into() });
        }
    }

    /// Adds a class that outlives the threshold.
    pub(crate) fn push_infinite(&mut self, birth: f32) {
        self.bars.push(Bar { birth: birth.into(), death: f64::INFINITY });
    }

    /// Sorts by birth, then death: an order that no numbering of the points can change.
    pub(crate) fn into_sorted(mut self) -> Vec<Bar> {
        sort(&mut self.bars);
        self.bars
    }
}

/// Sorts bars by birth, then death.
pub(crate) fn sort(bars: &mut [Bar]) {
    bars.sort_unstable_by(|a, b| a.birth.total_cmp(&b.birth).then(a.death.total_cmp(&b.death)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_of_length_zero_are_dropped_and_the_rest_is_sorted() {
        let mut diagram = Diagram::default();
        diagram.push_infinite(0.0);
        diagram.push_finite(1.0, 2.0);
        diagram.push_finite(1.5, 1.5);
        diagram.push_finite(0.0, 3.0);
        let expected = [(0.0, 3.0), (0.0, f64::INFINITY), (1.0, 2.0)].map(Bar::from);
        assert_eq!(diagram.into_sorted(), expected);
    }

    #[test]
    fn an_infinite_bar_has_infinite_length() {
        let bar = Bar { birth: 2.0, death: f64::INFINITY };
        assert!(bar.is_infinite());
        assert_eq!(bar.length(), f64::INFINITY);
        assert!(!Bar { birth: 0.0, death: 1.0 }.is_infinite());
    }
}
