//! Columns: the one being reduced, and what is kept of those that are done.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;

use crate::error::Error;
use crate::filtration::Key;
use crate::memory::Ledger;

/// Holds a sum of coboundaries modulo 2, as a heap in which equal entries cancel when they come to the top.
#[derive(Debug)]
pub(crate) struct WorkingColumn<K> {
    heap: BinaryHeap<Reverse<K>>,
}

impl<K: Key> WorkingColumn<K> {
    pub(crate) fn new() -> Self {
        Self { heap: BinaryHeap::new() }
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    /// Makes room for so many entries: by cancelling, if that empties half of what is there, else by growing.
    ///
    /// A long column is mostly entries that cancel, and a heap that outgrows the cache is slow.
    pub(crate) fn reserve(&mut self, additional: usize, ledger: &mut Ledger) -> Result<(), Error> {
        if self.heap.capacity() - self.heap.len() >= additional {
            return Ok(());
        }
        self.cancel();
        let (len, capacity) = (self.heap.len(), self.heap.capacity());
        if capacity - len >= additional.max(capacity / 2) {
            return Ok(());
        }
        ledger.grow(len, capacity, additional, size_of::<K>(), |extra| self.heap.try_reserve_exact(extra))
    }

    /// Leaves one of each set of equal entries of odd number, and none of the others.
    #[cold]
    fn cancel(&mut self) {
        let mut entries = std::mem::take(&mut self.heap).into_vec();
        entries.sort_unstable_by(|a, b| b.cmp(a));
        let (mut kept, mut next) = (0, 0);
        while let Some(&entry) = entries.get(next) {
            let equal = entries[next..].iter().take_while(|&&other| other == entry).count();
            next += equal;
            if equal % 2 == 1 {
                entries[kept] = entry;
                kept += 1;
            }
        }
        entries.truncate(kept);
        self.heap = BinaryHeap::from(entries);
    }

    /// Adds one entry.
    #[inline]
    pub(crate) fn push(&mut self, simplex: K) {
        self.heap.push(Reverse(simplex));
    }

    /// Returns the oldest entry, which stays in; `None` for a column that is zero.
    #[inline]
    pub(crate) fn pivot(&mut self) -> Option<K> {
        let mut top = self.heap.pop()?;
        while self.heap.peek() == Some(&top) {
            self.heap.pop();
            top = self.heap.pop()?;
        }
        self.heap.push(top);
        Some(top.0)
    }
}

/// Keeps, for each column that is done, which simplices' coboundaries were added to its own.
#[derive(Debug)]
pub(crate) struct Additions<K> {
    simplices: Vec<K>,
    /// Where the additions of each column end.
    ends: Vec<usize>,
}

impl<K: Key> Additions<K> {
    pub(crate) fn new() -> Self {
        Self { simplices: Vec::new(), ends: Vec::new() }
    }

    /// Keeps the additions of the next column, in which equal simplices cancel.
    pub(crate) fn push(&mut self, added: &mut [K], ledger: &mut Ledger) -> Result<(), Error> {
        added.sort_unstable();
        for equal in added.chunk_by(|a, b| a == b).filter(|equal| equal.len() % 2 == 1) {
            ledger.reserve(&mut self.simplices, 1)?;
            self.simplices.push(equal[0]);
        }
        ledger.reserve(&mut self.ends, 1)?;
        self.ends.push(self.simplices.len());
        Ok(())
    }

    /// Returns the places of the additions of one column.
    pub(crate) fn places(&self, column: usize) -> Range<usize> {
        let start = column.checked_sub(1).map_or(0, |previous| self.ends[previous]);
        start..self.ends[column]
    }

    pub(crate) fn at(&self, place: usize) -> K {
        self.simplices[place]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_cancel_in_pairs() {
        let mut column = WorkingColumn::new();
        let mut oldest_after = |entries: &[u64]| {
            entries.iter().for_each(|&entry| column.push(entry));
            column.pivot()
        };
        let [a, b] = [1, 2];
        assert_eq!(oldest_after(&[]), None);
        assert_eq!(oldest_after(&[b, a, b, b]), Some(a));
        assert_eq!(oldest_after(&[a]), Some(b));
        assert_eq!(oldest_after(&[a, a, a]), Some(a));
        assert_eq!(oldest_after(&[a, b]), None);
    }

    #[test]
    fn a_full_column_cancels_before_it_grows() {
        let (mut column, mut ledger) = (WorkingColumn::new(), Ledger::new(None));
        column.reserve(6, &mut ledger).unwrap();
        [3u64, 1, 3, 2, 1, 1].into_iter().for_each(|entry| column.push(entry));
        let held = ledger.held();
        column.reserve(4, &mut ledger).unwrap();
        assert_eq!((column.heap.len(), ledger.held()), (2, held));
        assert_eq!(column.pivot(), Some(1));
        column.reserve(5, &mut ledger).unwrap();
        assert!(ledger.held() > held);
    }

    #[test]
    fn additions_are_kept_column_by_column() {
        let (mut additions, mut ledger) = (Additions::new(), Ledger::new(None));
        let [a, b, c] = [1u64, 2, 3];
        additions.push(&mut [c, a, b, a], &mut ledger).unwrap();
        additions.push(&mut [], &mut ledger).unwrap();
        additions.push(&mut [b, b, b], &mut ledger).unwrap();
        let kept = |column| additions.places(column).map(|place| additions.at(place)).collect::<Vec<_>>();
        assert_eq!([kept(0), kept(1), kept(2)], [vec![b, c], vec![], vec![b]]);
    }
}
