//! Which column has which pivot, while many threads reduce columns at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::filtration::Key;
use crate::memory::{Ledger, with_room};
use crate::reduce::pivots::Pivots;

/// Shares of the table, each behind a lock of its own, so that threads seldom wait for each other.
const SHARD_COUNT: usize = 64;

/// Stands for a column to which nothing was added.
const NOTHING: u32 = u32::MAX;

/// Maps pivots to columns, and to what was added to these; a pivot may pass to an earlier column.
///
/// Threads reduce columns in any order. Of the columns that come to one pivot the earliest must keep it, so that whoever
/// comes later to the table takes the pivot over, and goes on with the column that had it (`morozov2020`). A pivot once
/// claimed stays claimed, and its column only gets earlier: when all are done, the table is that of one thread.
#[derive(Debug)]
pub(crate) struct Claims<K> {
    shards: Vec<Mutex<Shard<K>>>,
}

/// Says how a claim went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Nobody had the pivot.
    Won,
    /// An earlier column has it.
    Lost(u32),
    /// A later column had it, and has to be reduced further.
    TakenFrom(u32),
}

impl<K: Key> Claims<K> {
    pub(crate) fn new() -> Self {
        Self { shards: (0..SHARD_COUNT).map(|_| Mutex::new(Shard::new())).collect() }
    }

    /// Returns the column before `column` that has this pivot, and appends to `added` what was added to that.
    pub(crate) fn earlier_owner(
        &self,
        pivot: K,
        column: u32,
        added: &mut Vec<K>,
        ledger: &Ledger,
    ) -> Result<Option<u32>, Error> {
        let shard = self.shard(pivot);
        let Some(slot) = shard.find(pivot).filter(|&slot| shard.columns[slot] < column) else { return Ok(None) };
        shard.copy_additions(slot, added, ledger)?;
        Ok(Some(shard.columns[slot]))
    }

    /// Claims a pivot for a column whose additions are `own`.
    ///
    /// Unless the claim is won, appends to `added` what was added to the other column.
    pub(crate) fn claim(
        &self,
        pivot: K,
        column: u32,
        own: &[K],
        added: &mut Vec<K>,
        ledger: &Ledger,
    ) -> Result<Claim, Error> {
        let mut shard = self.shard(pivot);
        let Some(slot) = shard.find(pivot) else {
            shard.insert(pivot, column, own, ledger)?;
            return Ok(Claim::Won);
        };
        shard.copy_additions(slot, added, ledger)?;
        let owner = shard.columns[slot];
        if owner < column {
            return Ok(Claim::Lost(owner));
        }
        shard.starts[slot] = shard.keep(own, ledger)?;
        shard.columns[slot] = column;
        Ok(Claim::TakenFrom(owner))
    }

    /// Calls `visit` for each pivot and its column, in no particular order.
    pub(crate) fn for_each(&self, mut visit: impl FnMut(K, u32)) {
        for shard in &self.shards {
            let shard = lock(shard);
            let taken = shard.keys.iter().zip(&shard.columns).filter(|&(&pivot, _)| pivot != K::NONE);
            taken.for_each(|(&pivot, &column)| visit(pivot, column));
        }
    }

    /// Leaves the pivots and their columns alone.
    pub(crate) fn into_pivots(self, ledger: &Ledger) -> Result<Pivots<K>, Error> {
        let mut pivots = Pivots::with_room(self.shards.iter().map(|shard| lock(shard).len).sum(), ledger)?;
        for shard in self.shards {
            let shard = shard.into_inner().unwrap_or_else(PoisonError::into_inner);
            for (&pivot, &column) in shard.keys.iter().zip(&shard.columns).filter(|&(&pivot, _)| pivot != K::NONE) {
                pivots.insert(pivot, column, ledger)?;
            }
            ledger.give_back(shard.bytes());
        }
        Ok(pivots)
    }

    fn shard(&self, pivot: K) -> MutexGuard<'_, Shard<K>> {
        // Within a shard the bits that follow decide.
        lock(&self.shards[(pivot.hash() >> (u64::BITS - SHARD_COUNT.trailing_zeros())) as usize])
    }
}

/// A thread that panics takes the others with it; none of them reads what it left.
fn lock<K>(shard: &Mutex<Shard<K>>) -> MutexGuard<'_, Shard<K>> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One share of the table, with open addressing, at most half full, whose length is a power of two.
#[derive(Debug)]
struct Shard<K> {
    keys: Vec<K>,
    columns: Vec<u32>,
    /// For each slot where the additions begin, or [`NOTHING`].
    starts: Vec<u32>,
    len: usize,
    /// The additions of one column after the other, each list closed by [`Key::NONE`].
    additions: Vec<K>,
}

impl<K: Key> Shard<K> {
    const BYTES_PER_SLOT: usize = size_of::<K>() + 2 * size_of::<u32>();

    fn new() -> Self {
        Self { keys: Vec::new(), columns: Vec::new(), starts: Vec::new(), len: 0, additions: Vec::new() }
    }

    fn bytes(&self) -> u64 {
        (self.keys.len() * Self::BYTES_PER_SLOT + self.additions.capacity() * size_of::<K>()) as u64
    }

    fn find(&self, pivot: K) -> Option<usize> {
        if self.len == 0 {
            return None;
        }
        let slot = self.slot(pivot);
        (self.keys[slot] == pivot).then_some(slot)
    }

    /// Returns where a key stands, or the free place where it belongs.
    #[inline]
    fn slot(&self, key: K) -> usize {
        let (bits, mask) = (self.keys.len().trailing_zeros(), self.keys.len() - 1);
        let mut slot = (key.hash() >> (u64::BITS - SHARD_COUNT.trailing_zeros() - bits)) as usize & mask;
        while self.keys[slot] != key && self.keys[slot] != K::NONE {
            slot = (slot + 1) & mask;
        }
        slot
    }

    fn insert(&mut self, pivot: K, column: u32, own: &[K], ledger: &Ledger) -> Result<(), Error> {
        if 2 * (self.len + 1) > self.keys.len() {
            self.grow(ledger)?;
        }
        let (slot, start) = (self.slot(pivot), self.keep(own, ledger)?);
        (self.keys[slot], self.columns[slot], self.starts[slot]) = (pivot, column, start);
        self.len += 1;
        Ok(())
    }

    /// Keeps what was added to a column, and returns where.
    fn keep(&mut self, own: &[K], ledger: &Ledger) -> Result<u32, Error> {
        if own.is_empty() {
            return Ok(NOTHING);
        }
        // Four thousand million additions in one of the shards are more than any memory holds.
        let start = u32::try_from(self.additions.len()).ok().filter(|&start| start != NOTHING);
        let start = start.ok_or(Error::OutOfMemory { needed: ledger.held() })?;
        ledger.reserve(&mut self.additions, own.len() + 1)?;
        self.additions.extend_from_slice(own);
        self.additions.push(K::NONE);
        Ok(start)
    }

    fn copy_additions(&self, slot: usize, added: &mut Vec<K>, ledger: &Ledger) -> Result<(), Error> {
        if self.starts[slot] == NOTHING {
            return Ok(());
        }
        let list = &self.additions[self.starts[slot] as usize..];
        let len = list.iter().position(|&simplex| simplex == K::NONE).unwrap_or(list.len());
        ledger.reserve(added, len)?;
        added.extend_from_slice(&list[..len]);
        Ok(())
    }

    #[cold]
    fn grow(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let larger = (2 * self.keys.len()).max(16);
        let before = self.keys.len() * Self::BYTES_PER_SLOT;
        ledger.take((larger * Self::BYTES_PER_SLOT) as u64)?;
        let (mut keys, mut columns, mut starts) = (with_room(larger)?, with_room(larger)?, with_room(larger)?);
        keys.resize(larger, K::NONE);
        columns.resize(larger, 0);
        starts.resize(larger, NOTHING);
        let keys = std::mem::replace(&mut self.keys, keys);
        let columns = std::mem::replace(&mut self.columns, columns);
        let starts = std::mem::replace(&mut self.starts, starts);
        for (former, &key) in keys.iter().enumerate().filter(|&(_, &key)| key != K::NONE) {
            let slot = self.slot(key);
            (self.keys[slot], self.columns[slot], self.starts[slot]) = (key, columns[former], starts[former]);
        }
        ledger.give_back(before as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_column_takes_a_pivot_over_and_gets_what_was_added_to_the_later() {
        let (claims, ledger, mut added) = (Claims::<u64>::new(), Ledger::new(None), Vec::new());
        assert_eq!(claims.claim(9, 5, &[1, 2], &mut added, &ledger), Ok(Claim::Won));
        assert_eq!(claims.earlier_owner(9, 5, &mut added, &ledger), Ok(None));
        assert!(added.is_empty());
        assert_eq!(claims.earlier_owner(9, 6, &mut added, &ledger), Ok(Some(5)));
        assert_eq!(std::mem::take(&mut added), [1, 2]);
        assert_eq!(claims.claim(9, 7, &[3], &mut added, &ledger), Ok(Claim::Lost(5)));
        assert_eq!(std::mem::take(&mut added), [1, 2]);
        assert_eq!(claims.claim(9, 4, &[], &mut added, &ledger), Ok(Claim::TakenFrom(5)));
        assert_eq!(std::mem::take(&mut added), [1, 2]);
        assert_eq!(claims.claim(9, 5, &[1, 2], &mut added, &ledger), Ok(Claim::Lost(4)));
        assert!(added.is_empty());
        assert_eq!(claims.into_pivots(&ledger).unwrap().column_of(9), Some(4));
    }

    #[test]
    fn every_pivot_keeps_its_column_and_what_was_added() {
        let (claims, ledger) = (Claims::<u64>::new(), Ledger::new(None));
        let pivot = |column: u32| u64::from(column) << 40;
        for column in 0..5000 {
            let own = vec![column.into(); column as usize % 3];
            assert_eq!(claims.claim(pivot(column), column, &own, &mut Vec::new(), &ledger), Ok(Claim::Won));
        }
        for column in 0..5000 {
            let mut added = Vec::new();
            assert_eq!(claims.earlier_owner(pivot(column), u32::MAX, &mut added, &Ledger::new(None)), Ok(Some(column)));
            assert_eq!(added, vec![u64::from(column); column as usize % 3]);
        }
        let pivots = claims.into_pivots(&ledger).unwrap();
        assert!((0..5000).all(|column| pivots.column_of(pivot(column)) == Some(column)));
        assert_eq!(ledger.held(), pivots.bytes());
    }
}
