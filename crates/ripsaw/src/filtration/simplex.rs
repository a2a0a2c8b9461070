//! A simplex and its place in the filtration, in one number.

use std::fmt;

/// Packs the diameter and the index of a simplex so that one comparison gives the order of the filtration.
///
/// Among simplices of one dimension the smaller diameter comes first and, at equal diameter, the larger index: the first
/// cofacet met when cofacets are enumerated by falling index is then the oldest of its diameter (`bauer2021`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Simplex(u128);

impl Simplex {
    /// Packs a diameter, which must not be negative or NaN: the bits of such floats are in the order of their values.
    #[inline]
    pub(crate) fn new(diameter: f32, index: u64) -> Self {
        debug_assert!(diameter.is_sign_positive() && !diameter.is_nan());
        Self((u128::from(diameter.to_bits()) << 64) | u128::from(!index))
    }

    /// Returns the longest edge.
    #[inline]
    pub(crate) fn diameter(self) -> f32 {
        f32::from_bits((self.0 >> 64) as u32)
    }

    /// Returns the place in the combinatorial number system.
    #[inline]
    pub(crate) fn index(self) -> u64 {
        !(self.0 as u64)
    }
}

impl fmt::Debug for Simplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{} at {}", self.index(), self.diameter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_diameters_come_first_then_larger_indices() {
        let order = [(0.0, 7), (0.5, u64::MAX), (0.5, 3), (0.5, 0), (f32::MAX, 9)];
        let simplices = order.map(|(diameter, index)| Simplex::new(diameter, index));
        assert!(simplices.is_sorted());
        assert_eq!(simplices.map(|simplex| (simplex.diameter(), simplex.index())), order);
    }
}
