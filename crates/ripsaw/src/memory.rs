//! How much memory a run takes, and the stop before it takes too much.
//!
//! What is laid out at the start has a bound that depends on the number of points alone. What the reduction adds
//! depends on the distances; it is counted as it grows, each step before it is taken. Counted are the large parts:
//! columns, pivots, distances; a few rows of numbers for each dimension are not.

use std::collections::TryReserveError;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::filtration::{Edge, Graph};
use crate::options::Options;

/// Returns an upper estimate of the bytes laid out before the reduction of [`crate::persistence_of_points`] begins.
///
/// It covers the distances, the graph and its edges for `point_count` distinct points, and so does not depend on where
/// the points are; [`crate::persistence_of_distances`] needs less by the condensed distances, `2 n (n - 1)` bytes, which
/// are its input. The reduction adds columns, whose number depends on the points: usually less than this again up to
/// dimension 1, and several times as much in dimension 2 and above for points without structure. With
/// [`Options::memory_bytes_max`] both are kept within bounds. The estimate does not overflow; it stops at [`u64::MAX`].
///
/// ```
/// use ripsaw::{Options, memory_bytes_estimate};
///
/// let options = Options::default();
/// assert!(memory_bytes_estimate(5_000, &options) < 400 << 20);
/// assert_eq!(memory_bytes_estimate(usize::MAX, &options), u64::MAX);
/// ```
#[must_use]
pub fn memory_bytes_estimate(point_count: usize, options: &Options) -> u64 {
    layout_bytes(point_count, options).saturating_add(condensed_bytes(point_count))
}

/// The condensed distances of so many points.
pub(crate) fn condensed_bytes(point_count: usize) -> u64 {
    pair_count(point_count).saturating_mul(size_of::<f32>() as u64)
}

/// Everything else that is laid out before the reduction.
pub(crate) fn layout_bytes(point_count: usize, options: &Options) -> u64 {
    // Four numbers a point: which are kept, the forest of components, the sizes of its trees.
    let binomial_rows = options.max_dimension as u64 + 3;
    let rows = (point_count as u64).saturating_add(1).saturating_mul(8 * (binomial_rows + 4));
    rows.saturating_add(edge_bytes(point_count))
        .saturating_add(Graph::bytes(point_count))
        // The collapse takes two copies of the graph for each thread, and two more.
        .saturating_add(
            bits_bytes(point_count).saturating_mul(2).saturating_mul(options.thread_count.max(1) as u64 + 1),
        )
}

/// The list of all edges of so many points, with two vertices for each.
fn edge_bytes(point_count: usize) -> u64 {
    pair_count(point_count).saturating_mul((size_of::<Edge>() + 2 * size_of::<u16>()) as u64)
}

/// A graph of so many points, as bits.
fn bits_bytes(point_count: usize) -> u64 {
    (point_count as u64).saturating_mul(8 * (point_count as u64).div_ceil(64))
}

fn pair_count(point_count: usize) -> u64 {
    (point_count as u64).saturating_mul((point_count as u64).saturating_sub(1)) / 2
}

/// Returns an empty vector with room for so many items.
///
/// # Errors
///
/// [`Error::OutOfMemory`] when the allocator refuses, where a plain vector would abort.
pub(crate) fn with_room<T>(count: usize) -> Result<Vec<T>, Error> {
    let mut vector = Vec::new();
    let needed = (count as u64).saturating_mul(size_of::<T>() as u64);
    vector.try_reserve_exact(count).map_err(|_| Error::OutOfMemory { needed })?;
    Ok(vector)
}

/// Counts the bytes held against the limit, for all threads of a computation together.
#[derive(Debug)]
pub(crate) struct Ledger {
    held: AtomicU64,
    limit: u64,
}

impl Ledger {
    /// Begins with nothing held; no limit is the largest number.
    pub(crate) fn new(limit: Option<u64>) -> Self {
        Self { held: AtomicU64::new(0), limit: limit.unwrap_or(u64::MAX) }
    }

    pub(crate) fn held(&self) -> u64 {
        self.held.load(Ordering::Relaxed)
    }

    /// Notes bytes about to be taken.
    ///
    /// # Errors
    ///
    /// [`Error::MemoryLimit`] when that would pass the limit; nothing is noted then.
    pub(crate) fn take(&self, bytes: u64) -> Result<(), Error> {
        let within = |held: u64| Some(held.saturating_add(bytes)).filter(|&needed| needed <= self.limit);
        let noted = self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, within);
        let refused = |held: u64| Error::MemoryLimit { needed: held.saturating_add(bytes), limit: self.limit };
        noted.map(|_| ()).map_err(refused)
    }

    /// Notes bytes that were given back.
    pub(crate) fn give_back(&self, bytes: u64) {
        // The closure always gives a number, so the update cannot fail.
        let less = |held: u64| Some(held.saturating_sub(bytes));
        self.held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
    }

    /// Makes room for `additional` items in a vector, at least doubling it when it is full.
    ///
    /// # Errors
    ///
    /// [`Error::MemoryLimit`], or [`Error::OutOfMemory`] when the allocator refuses.
    #[inline]
    pub(crate) fn reserve<T>(&self, vector: &mut Vec<T>, additional: usize) -> Result<(), Error> {
        if vector.capacity() - vector.len() >= additional {
            return Ok(());
        }
        let (len, capacity) = (vector.len(), vector.capacity());
        self.grow(len, capacity, additional, size_of::<T>(), |extra| vector.try_reserve_exact(extra))
    }

    /// Makes room in any container that holds `len` items and has room for `capacity`, by `try_reserve`.
    ///
    /// While the container moves, its old and its new room are both held.
    #[cold]
    pub(crate) fn grow(
        &self,
        len: usize,
        capacity: usize,
        additional: usize,
        item_bytes: usize,
        try_reserve: impl FnOnce(usize) -> Result<(), TryReserveError>,
    ) -> Result<(), Error> {
        let larger = capacity.saturating_mul(2).max(len.saturating_add(additional));
        self.take((larger as u64).saturating_mul(item_bytes as u64))?;
        let needed = self.held();
        try_reserve(larger - len).map_err(|_| Error::OutOfMemory { needed })?;
        self.give_back(capacity as u64 * item_bytes as u64);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_grows_until_the_limit() {
        let ledger = Ledger::new(Some(100));
        let mut vector: Vec<u64> = Vec::new();
        ledger.reserve(&mut vector, 3).unwrap();
        assert_eq!((vector.capacity(), ledger.held()), (3, 24));
        vector.extend([1, 2, 3]);
        ledger.reserve(&mut vector, 1).unwrap();
        assert_eq!((vector.capacity(), ledger.held()), (6, 48));
        // Six and twelve numbers are held while they move.
        assert_eq!(ledger.reserve(&mut vector, 9), Err(Error::MemoryLimit { needed: 144, limit: 100 }));
        assert_eq!(ledger.held(), 48);
    }

    #[test]
    fn the_allocator_may_refuse() {
        let mut vector: Vec<u64> = Vec::new();
        let refused = Ledger::new(None).reserve(&mut vector, usize::MAX);
        assert_eq!(refused, Err(Error::OutOfMemory { needed: u64::MAX }));
        assert_eq!(with_room::<u8>(usize::MAX), Err(Error::OutOfMemory { needed: u64::MAX }));
    }
}
