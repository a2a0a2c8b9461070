//! The reduction of the coboundary matrix in one dimension.

use crate::diagram::{Bar, Diagram};
use crate::error::Error;
use crate::filtration::{Cofacets, Complex, Key, Packing};
use crate::memory::Ledger;
use crate::options::Shortcuts;
use crate::parallel::{Progress, Stage};
use crate::reduce::apparent::ApparentPairs;
use crate::reduce::assemble::kills_a_class;
use crate::reduce::column::{Additions, WorkingColumn};
use crate::reduce::pivots::Pivots;

/// Columns between two reports.
const REPORT_EVERY: usize = 256;

/// Reduces `columns`, simplices of one dimension and youngest first, and returns the bars and the pivots.
///
/// Pairs that an apparent pair settles are not among the pivots.
pub(crate) fn reduce<K: Key>(
    complex: &Complex,
    dimension: usize,
    columns: &[K],
    pivots_below: &Pivots<K>,
    shortcuts: Shortcuts,
    ledger: &mut Ledger,
    progress: &mut Progress<'_>,
) -> Result<(Vec<Bar>, Pivots<K>), Error> {
    let packing = Packing::new(complex);
    let rest_count = dimension - 1;
    let mut reduction = Reduction {
        columns,
        rest_count,
        cofacet_count_max: complex.point_count().saturating_sub(dimension + 1),
        shortcuts,
        cofacets: Cofacets::new(complex),
        apparent: ApparentPairs::new(complex),
        working: WorkingColumn::new(),
        added: Vec::new(),
        additions: Additions::new(),
        pivots: Pivots::new(),
        ledger,
    };
    let mut diagram = Diagram::default();
    let diameter = |simplex: K, rest_count| complex.diameter(simplex.rank(packing.shift(rest_count)));
    for (column, &simplex) in columns.iter().enumerate() {
        if column % REPORT_EVERY == 0 {
            progress.report(Stage::Reduction { dimension }, column, columns.len())?;
        }
        match reduction.reduce_column(simplex)? {
            Some(pivot) => {
                reduction.keep(column, pivot)?;
                diagram.push_finite(diameter(simplex, rest_count), diameter(pivot, rest_count + 1));
            }
            None => {
                reduction.keep_nothing()?;
                let apparent = &mut reduction.apparent;
                if shortcuts.clearing || !kills_a_class(simplex, rest_count, pivots_below, shortcuts, apparent) {
                    diagram.push_infinite(diameter(simplex, rest_count));
                }
            }
        }
    }
    Ok((diagram.into_sorted(), reduction.pivots))
}

struct Reduction<'a, K> {
    columns: &'a [K],
    rest_count: usize,
    cofacet_count_max: usize,
    shortcuts: Shortcuts,
    cofacets: Cofacets<'a>,
    apparent: ApparentPairs<'a>,
    /// The column under way: the coboundary of its simplex and of all that were added.
    working: WorkingColumn<K>,
    /// What was added to it so far.
    added: Vec<K>,
    additions: Additions<K>,
    pivots: Pivots<K>,
    ledger: &'a mut Ledger,
}

impl<K: Key> Reduction<'_, K> {
    /// Adds earlier columns to that of a simplex until its pivot is nobody else's, and returns it.
    fn reduce_column(&mut self, simplex: K) -> Result<Option<K>, Error> {
        self.working.clear();
        self.added.clear();
        if let Some(pivot) = self.emergent_pivot(simplex) {
            return Ok(Some(pivot));
        }
        self.add_coboundary(simplex)?;
        while let Some(pivot) = self.working.pivot() {
            if let Some(column) = self.pivots.column_of(pivot) {
                self.add_column(column as usize)?;
            } else if let Some(facet) = self.apparent_facet(pivot) {
                self.add(facet)?;
            } else {
                return Ok(Some(pivot));
            }
        }
        Ok(None)
    }

    /// Returns the oldest cofacet if it enters with the simplex and is nobody's pivot yet.
    fn emergent_pivot(&mut self, simplex: K) -> Option<K> {
        if !self.shortcuts.emergent {
            return None;
        }
        self.cofacets.start(simplex, self.rest_count);
        // With apparent pairs taken out, a cofacet with a larger vertex would have settled this column.
        let oldest = self.cofacets.first_of_equal_rank(self.shortcuts.apparent)?;
        let is_free = !self.pivots.contains(oldest) && self.apparent_facet(oldest).is_none();
        is_free.then_some(oldest)
    }

    /// Returns the facet whose column, never listed, has this pivot by an apparent pair.
    fn apparent_facet(&mut self, pivot: K) -> Option<K> {
        if !self.shortcuts.apparent {
            return None;
        }
        self.apparent.facet_of(pivot, self.rest_count + 1)
    }

    /// Adds a column that is done: the coboundary of its simplex, and of what was added to that.
    fn add_column(&mut self, column: usize) -> Result<(), Error> {
        self.add(self.columns[column])?;
        for place in self.additions.places(column) {
            self.add(self.additions.at(place))?;
        }
        Ok(())
    }

    fn add(&mut self, simplex: K) -> Result<(), Error> {
        self.ledger.reserve(&mut self.added, 1)?;
        self.added.push(simplex);
        self.add_coboundary(simplex)
    }

    fn add_coboundary(&mut self, simplex: K) -> Result<(), Error> {
        self.working.reserve(self.cofacet_count_max, self.ledger)?;
        self.cofacets.start(simplex, self.rest_count);
        self.cofacets.for_each(&mut |cofacet| self.working.push(cofacet));
        Ok(())
    }

    /// Keeps a column that has a pivot, for later columns that meet it.
    fn keep(&mut self, column: usize, pivot: K) -> Result<(), Error> {
        let column = u32::try_from(column).unwrap_or(u32::MAX);
        self.pivots.insert(pivot, column, self.ledger)?;
        self.additions.push(&mut self.added, self.ledger)
    }

    /// Passes over a column that is zero, which nothing will ever meet.
    fn keep_nothing(&mut self) -> Result<(), Error> {
        self.additions.push(&mut [], self.ledger)
    }
}
