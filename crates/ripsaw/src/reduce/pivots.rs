//! Which column has which pivot.

use crate::error::Error;
use crate::filtration::Key;
use crate::memory::{Ledger, with_room};

/// Maps the pivots of one dimension, simplices of the next, to the columns that have them.
///
/// A table with open addressing, at most half full, whose length is a power of two. Its order means
/// nothing.
#[derive(Debug)]
pub(crate) struct Pivots<K> {
    keys: Vec<K>,
    columns: Vec<u32>,
    len: usize,
}

impl<K: Key> Pivots<K> {
    const BYTES_PER_SLOT: usize = size_of::<K>() + size_of::<u32>();

    pub(crate) fn new() -> Self {
        Self { keys: Vec::new(), columns: Vec::new(), len: 0 }
    }

    /// Begins with room for so many pivots.
    pub(crate) fn with_room(count: usize, ledger: &Ledger) -> Result<Self, Error> {
        let mut pivots = Self::new();
        pivots.grow((2 * count).next_power_of_two(), ledger)?;
        Ok(pivots)
    }

    /// Notes the pivot of a column.
    pub(crate) fn insert(&mut self, pivot: K, column: u32, ledger: &Ledger) -> Result<(), Error> {
        if 2 * (self.len + 1) > self.keys.len() {
            self.grow(2 * self.keys.len(), ledger)?;
        }
        let slot = self.slot(pivot);
        debug_assert!(self.keys[slot] == K::NONE, "{pivot:?} is the pivot of two columns");
        self.keys[slot] = pivot;
        self.columns[slot] = column;
        self.len += 1;
        Ok(())
    }

    /// Returns the column that has this pivot.
    #[inline]
    pub(crate) fn column_of(&self, pivot: K) -> Option<u32> {
        if self.len == 0 {
            return None;
        }
        let slot = self.slot(pivot);
        (self.keys[slot] == pivot).then(|| self.columns[slot])
    }

    /// Tells whether a simplex is a pivot.
    #[inline]
    pub(crate) fn contains(&self, simplex: K) -> bool {
        self.column_of(simplex).is_some()
    }

    /// Returns each simplex of `simplices`, by column, with the pivot it has, sorted.
    pub(crate) fn pairs(&self, simplices: &[K], ledger: &Ledger) -> Result<Vec<(K, K)>, Error> {
        ledger.take((self.len * size_of::<(K, K)>()) as u64)?;
        let mut pairs = with_room(self.len)?;
        let taken = self.keys.iter().zip(&self.columns).filter(|&(&pivot, _)| pivot != K::NONE);
        pairs.extend(taken.map(|(&pivot, &column)| (simplices[column as usize], pivot)));
        pairs.sort_unstable();
        Ok(pairs)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.keys.len() * Self::BYTES_PER_SLOT) as u64
    }

    /// Returns where a key stands, or the free place where it belongs.
    #[inline]
    fn slot(&self, key: K) -> usize {
        let mask = self.keys.len() - 1;
        let mut slot = (key.hash() >> (u64::BITS - self.keys.len().trailing_zeros())) as usize;
        while self.keys[slot] != key && self.keys[slot] != K::NONE {
            slot = (slot + 1) & mask;
        }
        slot
    }

    #[cold]
    fn grow(&mut self, slot_count: usize, ledger: &Ledger) -> Result<(), Error> {
        let larger = slot_count.max(16);
        let before = self.bytes();
        ledger.take((larger * Self::BYTES_PER_SLOT) as u64)?;
        let (mut keys, mut columns) = (with_room(larger)?, with_room(larger)?);
        keys.resize(larger, K::NONE);
        columns.resize(larger, 0);
        let former = std::mem::replace(self, Self { keys, columns, len: self.len });
        for (key, column) in former.keys.into_iter().zip(former.columns).filter(|&(key, _)| key != K::NONE) {
            let slot = self.slot(key);
            self.keys[slot] = key;
            self.columns[slot] = column;
        }
        ledger.give_back(before);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pivot_keeps_its_column() {
        let (mut pivots, ledger) = (Pivots::<u64>::new(), Ledger::new(None));
        assert_eq!(pivots.column_of(0), None);
        for column in 0..1000u32 {
            pivots.insert(u64::from(column) << 40, column, &ledger).unwrap();
        }
        assert!((0..1000).all(|column| pivots.column_of(u64::from(column) << 40) == Some(column)));
        assert!(!pivots.contains(1));
        assert_eq!(ledger.held(), pivots.bytes());
    }
}
