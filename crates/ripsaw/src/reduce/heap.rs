//! A column as a heap of its entries.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::error::Error;
use crate::filtration::{Cofacets, Complex, Key};
use crate::memory::Ledger;

/// Holds a sum of coboundaries modulo 2, as a heap in which equal entries cancel when they come to the top.
pub(crate) struct HeapColumn<'a, K> {
    heap: BinaryHeap<Reverse<K>>,
    cofacets: Cofacets<'a>,
    rest_count: usize,
    cofacet_count_max: usize,
}

impl<'a, K: Key> HeapColumn<'a, K> {
    /// Begins with zero, for coboundaries of simplices of this dimension.
    pub(crate) fn new(complex: &'a Complex, dimension: usize) -> Self {
        Self {
            heap: BinaryHeap::new(),
            cofacets: Cofacets::new(complex),
            rest_count: dimension - 1,
            cofacet_count_max: complex.point_count().saturating_sub(dimension + 1),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.heap.clear();
    }

    /// Adds all cofacets of a simplex.
    pub(crate) fn add(&mut self, simplex: K, ledger: &Ledger) -> Result<(), Error> {
        self.reserve(self.cofacet_count_max, ledger)?;
        self.cofacets.start(simplex, self.rest_count);
        self.cofacets.for_each(&mut |cofacet| self.heap.push(Reverse(cofacet)));
        Ok(())
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

    /// Makes room for so many entries: by cancelling, if that empties half of what is there, else by growing.
    ///
    /// A long column is mostly entries that cancel, and a heap that outgrows the cache is slow.
    fn reserve(&mut self, additional: usize, ledger: &Ledger) -> Result<(), Error> {
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::CondensedDistances;
    use crate::filtration::{Binomials, Graph};

    fn check(test: impl FnOnce(HeapColumn<'_, u64>)) {
        let distances = CondensedDistances::from_condensed(vec![1.0], 2).unwrap();
        let graph = Graph::new(&distances, &[0, 1], None).unwrap();
        let edges = graph.edges().unwrap();
        test(HeapColumn::new(&Complex::new(graph, edges, Binomials::new(2, 3).unwrap()).unwrap(), 1));
    }

    #[test]
    fn entries_cancel_in_pairs() {
        check(|mut column| {
            let mut oldest_after = |entries: &[u64]| {
                entries.iter().for_each(|&entry| column.heap.push(Reverse(entry)));
                column.pivot()
            };
            let [a, b] = [1, 2];
            assert_eq!(oldest_after(&[]), None);
            assert_eq!(oldest_after(&[b, a, b, b]), Some(a));
            assert_eq!(oldest_after(&[a]), Some(b));
            assert_eq!(oldest_after(&[a, a, a]), Some(a));
            assert_eq!(oldest_after(&[a, b]), None);
        });
    }

    #[test]
    fn a_full_column_cancels_before_it_grows() {
        check(|mut column| {
            let ledger = Ledger::new(None);
            column.reserve(6, &ledger).unwrap();
            [3u64, 1, 3, 2, 1, 1].into_iter().for_each(|entry| column.heap.push(Reverse(entry)));
            let held = ledger.held();
            column.reserve(4, &ledger).unwrap();
            assert_eq!((column.heap.len(), ledger.held()), (2, held));
            assert_eq!(column.pivot(), Some(1));
            column.reserve(5, &ledger).unwrap();
            assert!(ledger.held() > held);
        });
    }
}
