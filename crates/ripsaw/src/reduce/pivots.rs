//! Which column has which pivot.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::error::Error;
use crate::filtration::Simplex;
use crate::memory::Ledger;

/// Maps the pivots of one dimension, simplices of the next, to the columns that have them.
///
/// Never iterated: its order means nothing.
#[derive(Debug, Default)]
pub(crate) struct Pivots {
    columns: HashMap<u64, usize, BuildHasherDefault<IndexHasher>>,
}

impl Pivots {
    /// A key, a value and a control byte, for each of eight slots of which seven may be filled.
    const BYTES_PER_PIVOT: usize = (2 * size_of::<u64>() + 1).div_ceil(7) * 8;

    /// Notes the pivot of a column.
    pub(crate) fn insert(&mut self, pivot: Simplex, column: usize, ledger: &mut Ledger) -> Result<(), Error> {
        let (len, capacity) = (self.columns.len(), self.columns.capacity());
        if len == capacity {
            ledger.grow(len, capacity, 1, Self::BYTES_PER_PIVOT, |extra| self.columns.try_reserve(extra))?;
        }
        self.insert_unbounded(pivot, column);
        Ok(())
    }

    /// Notes the pivot of a column whose room is already accounted for.
    pub(crate) fn insert_unbounded(&mut self, pivot: Simplex, column: usize) {
        let former = self.columns.insert(pivot.index(), column);
        debug_assert!(former.is_none(), "{pivot:?} is the pivot of two columns");
    }

    /// Returns the column that has this pivot.
    #[inline]
    pub(crate) fn column_of(&self, pivot: Simplex) -> Option<usize> {
        self.columns.get(&pivot.index()).copied()
    }

    /// Tells whether a simplex is a pivot.
    #[inline]
    pub(crate) fn contains(&self, simplex: Simplex) -> bool {
        self.columns.contains_key(&simplex.index())
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.columns.capacity() * Self::BYTES_PER_PIVOT) as u64
    }
}

/// Spreads simplex indices by one multiplication; nobody chooses them to collide.
#[derive(Debug, Default)]
struct IndexHasher(u64);

impl Hasher for IndexHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    #[inline]
    fn write_u64(&mut self, value: u64) {
        // The odd number next to 2^64 over the golden ratio; the table reads the lowest and the highest bits.
        self.0 = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(26);
    }

    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }
}
