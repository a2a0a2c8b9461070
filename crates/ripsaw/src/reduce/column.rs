//! The column being reduced.

use crate::error::Error;
use crate::filtration::{Complex, Key};
use crate::memory::Ledger;
use crate::options::Shortcuts;
use crate::reduce::cochain::Cochain;
use crate::reduce::heap::HeapColumn;

/// Holds a sum of coboundaries modulo 2.
///
/// Coefficients other than modulo 2 would enter here: what is added would carry one, and a pivot would come with its
/// own, by whose inverse the column that has it is multiplied before it is added.
pub(crate) enum WorkingColumn<'a, K> {
    /// Of edges: what was added is kept, and its coboundary is looked through.
    Cochain(Cochain<'a>),
    /// Of any simplices: all cofacets are kept.
    Heap(HeapColumn<'a, K>),
}

impl<'a, K: Key> WorkingColumn<'a, K> {
    pub(crate) fn new(complex: &'a Complex, dimension: usize, shortcuts: Shortcuts) -> Self {
        if dimension == 1 && shortcuts.cochains {
            Self::Cochain(Cochain::new(complex))
        } else {
            Self::Heap(HeapColumn::new(complex, dimension))
        }
    }

    pub(crate) fn clear(&mut self) {
        match self {
            Self::Cochain(cochain) => cochain.clear(),
            Self::Heap(heap) => heap.clear(),
        }
    }

    /// Adds the coboundary of a simplex.
    pub(crate) fn add(&mut self, simplex: K, ledger: &Ledger) -> Result<(), Error> {
        match self {
            Self::Cochain(cochain) => cochain.add(simplex.rank(0), ledger),
            Self::Heap(heap) => heap.add(simplex, ledger),
        }
    }

    /// Returns the oldest simplex of the sum, which stays in; `None` for a column that is zero.
    ///
    /// It is not older than any that was returned since the column was cleared: what is added has it, and none older.
    pub(crate) fn pivot(&mut self) -> Option<K> {
        match self {
            Self::Cochain(cochain) => cochain.pivot(),
            Self::Heap(heap) => heap.pivot(),
        }
    }
}
