//! A simplex and its place in the filtration, in one number.

use std::fmt::Debug;

use crate::filtration::Complex;

/// Names a simplex by the rank of its youngest edge and a code for its other vertices, the rest.
///
/// Among simplices of one dimension the smaller rank comes first and, at equal rank, the larger rest, compared from its
/// largest vertex. The numbers of `u64` are enough for nearly all clouds; `u128` for all that can be numbered.
pub(crate) trait Key: Copy + Ord + Debug + Send + Sync {
    /// Whether the rest is numbered by binomials, instead of one field for each vertex.
    const WIDE: bool;
    /// Larger than the key of any simplex.
    const NONE: Self;

    fn join(rank: u32, rest: u64, shift: u32) -> Self;
    fn rank(self, shift: u32) -> u32;
    fn rest(self, shift: u32) -> u64;
    /// Spreads keys over 64 bits, the highest best; nobody chooses them to collide.
    fn hash(self) -> u64;
}

/// The odd number next to 2^64 over the golden ratio.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Key for u64 {
    const WIDE: bool = false;
    const NONE: Self = u64::MAX;

    #[inline]
    fn join(rank: u32, rest: u64, shift: u32) -> Self {
        u64::from(rank) << shift | rest
    }

    #[inline]
    fn rank(self, shift: u32) -> u32 {
        (self >> shift) as u32
    }

    #[inline]
    fn rest(self, shift: u32) -> u64 {
        self & ((1 << shift) - 1)
    }

    #[inline]
    fn hash(self) -> u64 {
        (self ^ self >> 32).wrapping_mul(SPREAD)
    }
}

impl Key for u128 {
    const WIDE: bool = true;
    const NONE: Self = u128::MAX;

    #[inline]
    fn join(rank: u32, rest: u64, _: u32) -> Self {
        u128::from(rank) << 64 | u128::from(rest)
    }

    #[inline]
    fn rank(self, _: u32) -> u32 {
        (self >> 64) as u32
    }

    #[inline]
    fn rest(self, _: u32) -> u64 {
        self as u64
    }

    #[inline]
    fn hash(self) -> u64 {
        let folded = (self >> 64) as u64 ^ (self as u64).wrapping_mul(SPREAD);
        (folded ^ folded >> 32).wrapping_mul(SPREAD)
    }
}

/// Turns vertices into the code of a rest and back.
#[derive(Clone, Copy)]
pub(crate) struct Packing<'a> {
    complex: &'a Complex,
    vertex_bits: u32,
    mask: u64,
}

impl<'a> Packing<'a> {
    pub(crate) fn new(complex: &'a Complex) -> Self {
        let vertex_bits = usize::BITS - complex.point_count().leading_zeros();
        Self { complex, vertex_bits, mask: (1 << vertex_bits) - 1 }
    }

    /// Tells whether simplices with so many vertices besides their youngest edge have a key of 64 bits.
    pub(crate) fn is_narrow(&self, rest_count: usize) -> bool {
        let rank_bits = usize::BITS - self.complex.edges().len().leading_zeros();
        (rest_count as u32).saturating_mul(self.vertex_bits).saturating_add(rank_bits.max(1)) <= u64::BITS
    }

    /// Returns how far the rank stands from the lowest bit.
    #[inline]
    pub(crate) fn shift(&self, rest_count: usize) -> u32 {
        rest_count as u32 * self.vertex_bits
    }

    /// Returns the part that vertices contribute to a rest of `count` vertices, of which they are those from `place` on.
    ///
    /// They come in falling order. Parts are put together by [`Self::together`].
    #[inline]
    pub(crate) fn part<K: Key>(&self, vertices: &[usize], place: usize, count: usize) -> u64 {
        let at = |(k, &v): (usize, &usize)| {
            if K::WIDE {
                self.complex.binomials().choose(v, count - place - k)
            } else {
                (self.mask - v as u64) << ((count - place - k - 1) as u32 * self.vertex_bits)
            }
        };
        vertices.iter().enumerate().map(at).sum()
    }

    /// Makes the code of a rest of the sum of its parts: larger vertices come first, so have smaller codes.
    #[inline]
    pub(crate) fn together<K: Key>(&self, parts: u64) -> u64 {
        if K::WIDE { !parts } else { parts }
    }

    /// Returns the code of these vertices, in falling order.
    #[inline]
    pub(crate) fn pack<K: Key>(&self, vertices: &[usize]) -> u64 {
        self.together::<K>(self.part::<K>(vertices, 0, vertices.len()))
    }

    /// Writes the vertices of a simplex: the ends of its youngest edge and its rest, which it falls through.
    #[inline]
    pub(crate) fn write_vertices<K: Key>(&self, key: K, rest_count: usize, vertices: &mut Vec<usize>) {
        let shift = self.shift(rest_count);
        vertices.clear();
        vertices.extend(self.complex.edges()[key.rank(shift) as usize].ends());
        let rest = key.rest(shift);
        if K::WIDE {
            self.complex.binomials().push_vertices(!rest, rest_count, vertices);
        } else {
            vertices.extend(
                (0..rest_count)
                    .rev()
                    .map(|k| (self.mask - (rest >> (k as u32 * self.vertex_bits) & self.mask)) as usize),
            );
        }
    }
}
