//! The reduction of the coboundary matrix in one dimension.

use crate::diagram::{Bar, Diagram};
use crate::error::Error;
use crate::filtration::{Cofacets, Complex, Simplex};
use crate::memory::Ledger;
use crate::options::Shortcuts;
use crate::reduce::apparent::ApparentPairs;
use crate::reduce::assemble::kills_a_class;
use crate::reduce::column::{Additions, WorkingColumn};
use crate::reduce::pivots::Pivots;

/// Reduces `columns`, simplices of one dimension and youngest first, and returns the bars and the pivots.
///
/// Pairs of equal diameter that an apparent pair settles are not among the pivots.
pub(crate) fn reduce(
    complex: &Complex,
    dimension: usize,
    columns: &[Simplex],
    pivots_below: &Pivots,
    shortcuts: Shortcuts,
    ledger: &mut Ledger,
) -> Result<(Vec<Bar>, Pivots), Error> {
    let mut reduction = Reduction {
        columns,
        vertex_count: dimension + 1,
        cofacet_count_max: complex.point_count().saturating_sub(dimension + 1),
        shortcuts,
        cofacets: Cofacets::new(complex),
        apparent: ApparentPairs::new(complex),
        working: WorkingColumn::default(),
        added: Vec::new(),
        additions: Additions::default(),
        pivots: Pivots::default(),
        ledger,
    };
    let mut diagram = Diagram::default();
    for (column, &simplex) in columns.iter().enumerate() {
        match reduction.reduce_column(simplex)? {
            Some(pivot) => {
                reduction.keep(column, pivot)?;
                diagram.push_finite(simplex.diameter(), pivot.diameter());
            }
            None => {
                reduction.keep_nothing()?;
                let apparent = &mut reduction.apparent;
                if shortcuts.clearing || !kills_a_class(simplex, dimension, pivots_below, shortcuts, apparent) {
                    diagram.push_infinite(simplex.diameter());
                }
            }
        }
    }
    Ok((diagram.into_sorted(), reduction.pivots))
}

struct Reduction<'a> {
    columns: &'a [Simplex],
    vertex_count: usize,
    cofacet_count_max: usize,
    shortcuts: Shortcuts,
    cofacets: Cofacets<'a>,
    apparent: ApparentPairs<'a>,
    /// The column under way: the coboundary of its simplex and of all that were added.
    working: WorkingColumn,
    /// What was added to it so far.
    added: Vec<Simplex>,
    additions: Additions,
    pivots: Pivots,
    ledger: &'a mut Ledger,
}

impl Reduction<'_> {
    /// Adds earlier columns to that of a simplex until its pivot is nobody else's, and returns it.
    fn reduce_column(&mut self, simplex: Simplex) -> Result<Option<Simplex>, Error> {
        self.working.clear();
        self.added.clear();
        if let Some(pivot) = self.emergent_pivot(simplex) {
            return Ok(Some(pivot));
        }
        self.add_coboundary(simplex)?;
        while let Some(pivot) = self.working.pivot() {
            if let Some(column) = self.pivots.column_of(pivot) {
                self.add_column(column)?;
            } else if let Some(facet) = self.apparent_facet(pivot) {
                self.add(facet)?;
            } else {
                return Ok(Some(pivot));
            }
        }
        Ok(None)
    }

    /// Returns the oldest cofacet if it has the diameter of the simplex and is nobody's pivot yet.
    fn emergent_pivot(&mut self, simplex: Simplex) -> Option<Simplex> {
        if !self.shortcuts.emergent {
            return None;
        }
        self.cofacets.start(simplex, self.vertex_count);
        let (oldest, _) = self.cofacets.first_of_equal_diameter()?;
        let is_free = !self.pivots.contains(oldest) && self.apparent_facet(oldest).is_none();
        is_free.then_some(oldest)
    }

    /// Returns the facet whose column, never listed, has this pivot by an apparent pair.
    fn apparent_facet(&mut self, pivot: Simplex) -> Option<Simplex> {
        if !self.shortcuts.apparent {
            return None;
        }
        self.apparent.facet_of(pivot, self.vertex_count + 1)
    }

    /// Adds a column that is done: the coboundary of its simplex, and of what was added to that.
    fn add_column(&mut self, column: usize) -> Result<(), Error> {
        self.add(self.columns[column])?;
        for place in self.additions.places(column) {
            self.add(self.additions.at(place))?;
        }
        Ok(())
    }

    fn add(&mut self, simplex: Simplex) -> Result<(), Error> {
        self.ledger.reserve(&mut self.added, 1)?;
        self.added.push(simplex);
        self.add_coboundary(simplex)
    }

    fn add_coboundary(&mut self, simplex: Simplex) -> Result<(), Error> {
        self.working.reserve(self.cofacet_count_max, self.ledger)?;
        self.cofacets.start(simplex, self.vertex_count);
        while let Some((cofacet, _)) = self.cofacets.advance() {
            self.working.push(cofacet);
        }
        Ok(())
    }

    /// Keeps a column that has a pivot, for later columns that meet it.
    fn keep(&mut self, column: usize, pivot: Simplex) -> Result<(), Error> {
        self.pivots.insert(pivot, column, self.ledger)?;
        self.additions.push(&mut self.added, self.ledger)
    }

    /// Passes over a column that is zero, which nothing will ever meet.
    fn keep_nothing(&mut self) -> Result<(), Error> {
        self.additions.push(&mut [], self.ledger)
    }
}
