//! The reduction of the coboundary matrix in one dimension, by all threads at once.

use crate::diagram::{Bar, Diagram};
use crate::error::Error;
use crate::filtration::{Cofacets, Complex, Key, Packing};
use crate::memory::Ledger;
use crate::options::Shortcuts;
use crate::parallel::{Progress, Stage};
use crate::reduce::apparent::ApparentPairs;
use crate::reduce::assemble::kills_a_class;
use crate::reduce::claims::{Claim, Claims};
use crate::reduce::column::WorkingColumn;
use crate::reduce::pivots::Pivots;

/// Columns that are worth a thread of their own.
const COLUMNS_PER_THREAD: usize = 64;

/// Reduces `columns`, simplices of one dimension and youngest first, and returns the bars and the pivots.
///
/// Pairs that an apparent pair settles are not among the pivots. Threads take columns in turn and may pass each other;
/// as each adds but earlier columns to a column, in whatever order, the pivots are those of one thread (`morozov2020`).
pub(crate) fn reduce<K: Key>(
    complex: &Complex,
    dimension: usize,
    columns: &[K],
    pivots_below: &Pivots<K>,
    shortcuts: Shortcuts,
    ledger: &Ledger,
    progress: &mut Progress<'_>,
) -> Result<(Vec<Bar>, Claims<K>), Error> {
    let rest_count = dimension - 1;
    let claims = Claims::new();
    let start = || Reduction {
        columns,
        rest_count,
        shortcuts,
        cofacets: Cofacets::new(complex),
        apparent: ApparentPairs::new(complex),
        working: WorkingColumn::new(complex, dimension, shortcuts),
        added: Vec::new(),
        others: Vec::new(),
        claims: &claims,
        ledger,
        zeros: Vec::new(),
    };
    let stage = Stage::Reduction { dimension };
    let reductions = progress.for_each(stage, columns.len(), COLUMNS_PER_THREAD, start, Reduction::reduce_column)?;
    let packing = Packing::new(complex);
    let diameter = |simplex: K, rest_count| complex.diameter(simplex.rank(packing.shift(rest_count)));
    let mut diagram = Diagram::default();
    claims.for_each(|pivot, column| {
        diagram.push_finite(diameter(columns[column as usize], rest_count), diameter(pivot, rest_count + 1));
    });
    let mut apparent = ApparentPairs::new(complex);
    for simplex in reductions.iter().flat_map(|reduction| &reduction.zeros).map(|&column| columns[column as usize]) {
        if shortcuts.clearing || !kills_a_class(simplex, rest_count, pivots_below, shortcuts, &mut apparent) {
            diagram.push_infinite(diameter(simplex, rest_count));
        }
    }
    Ok((diagram.into_sorted(), claims))
}

/// What one thread needs to reduce columns.
struct Reduction<'a, K> {
    columns: &'a [K],
    rest_count: usize,
    shortcuts: Shortcuts,
    cofacets: Cofacets<'a>,
    apparent: ApparentPairs<'a>,
    /// The column under way: the coboundary of its simplex and of all that were added.
    working: WorkingColumn<'a, K>,
    /// What was added to it so far.
    added: Vec<K>,
    /// What was added to another column.
    others: Vec<K>,
    claims: &'a Claims<K>,
    ledger: &'a Ledger,
    /// Columns that came to zero, which nothing will ever meet.
    zeros: Vec<u32>,
}

impl<K: Key> Reduction<'_, K> {
    /// Adds earlier columns to a column until its pivot is nobody else's, and does the same for the later ones that
    /// lose their pivots by it.
    fn reduce_column(&mut self, column: usize) -> Result<(), Error> {
        let mut column = u32::try_from(column).unwrap_or(u32::MAX);
        let simplex = self.columns[column as usize];
        self.working.clear();
        self.added.clear();
        if let Some(pivot) = self.emergent_pivot(simplex, column)? {
            match self.claim(pivot, column)? {
                Claim::Won => return Ok(()),
                Claim::Lost(_) => self.working.add(simplex, self.ledger)?,
                Claim::TakenFrom(later) => {
                    self.working.add(simplex, self.ledger)?;
                    self.go_on_with(later, simplex)?;
                    column = later;
                }
            }
        } else {
            self.working.add(simplex, self.ledger)?;
        }
        loop {
            let Some(pivot) = self.working.pivot() else {
                self.ledger.reserve(&mut self.zeros, 1)?;
                self.zeros.push(column);
                return Ok(());
            };
            self.others.clear();
            if let Some(earlier) = self.claims.earlier_owner(pivot, column, &mut self.others, self.ledger)? {
                self.add_column(earlier)?;
            } else if let Some(facet) = self.apparent_facet(pivot) {
                self.add(facet)?;
            } else {
                match self.claim(pivot, column)? {
                    Claim::Won => return Ok(()),
                    Claim::Lost(earlier) => self.add_column(earlier)?,
                    Claim::TakenFrom(later) => {
                        self.go_on_with(later, self.columns[column as usize])?;
                        column = later;
                    }
                }
            }
        }
    }

    /// Claims a pivot for the column under way; what was added to the other claimant is then among the others.
    fn claim(&mut self, pivot: K, column: u32) -> Result<Claim, Error> {
        cancel_equal(&mut self.added);
        self.others.clear();
        self.claims.claim(pivot, column, &self.added, &mut self.others, self.ledger)
    }

    /// Returns the oldest cofacet if it enters with the simplex and no earlier column has it as its pivot.
    fn emergent_pivot(&mut self, simplex: K, column: u32) -> Result<Option<K>, Error> {
        if !self.shortcuts.emergent {
            return Ok(None);
        }
        self.cofacets.start(simplex, self.rest_count);
        // With apparent pairs taken out, a cofacet with a larger vertex would have settled this column.
        let Some(oldest) = self.cofacets.first_of_equal_rank(self.shortcuts.apparent) else { return Ok(None) };
        self.others.clear();
        let owner = self.claims.earlier_owner(oldest, column, &mut self.others, self.ledger)?;
        Ok((owner.is_none() && self.apparent_facet(oldest).is_none()).then_some(oldest))
    }

    /// Returns the facet whose column, never listed, has this pivot by an apparent pair.
    fn apparent_facet(&mut self, pivot: K) -> Option<K> {
        if !self.shortcuts.apparent {
            return None;
        }
        self.apparent.facet_of(pivot, self.rest_count + 1)
    }

    /// Adds a column that has the same pivot: the coboundary of its simplex, and of the others.
    fn add_column(&mut self, column: u32) -> Result<(), Error> {
        self.add(self.columns[column as usize])?;
        self.add_others()
    }

    /// Adds the column under way, that of `simplex`, to a later one that has the same pivot, to which the others were
    /// added; from there on that one is under way.
    fn go_on_with(&mut self, later: u32, simplex: K) -> Result<(), Error> {
        self.ledger.reserve(&mut self.added, 1)?;
        self.added.push(simplex);
        self.working.add(self.columns[later as usize], self.ledger)?;
        self.add_others()
    }

    fn add_others(&mut self) -> Result<(), Error> {
        for place in 0..self.others.len() {
            self.add(self.others[place])?;
        }
        Ok(())
    }

    fn add(&mut self, simplex: K) -> Result<(), Error> {
        self.ledger.reserve(&mut self.added, 1)?;
        self.added.push(simplex);
        self.working.add(simplex, self.ledger)
    }
}

/// Leaves one of each set of equal simplices of odd number, and none of the others.
fn cancel_equal<K: Key>(simplices: &mut Vec<K>) {
    simplices.sort_unstable();
    let (mut kept, mut next) = (0, 0);
    while let Some(&simplex) = simplices.get(next) {
        let equal = simplices[next..].iter().take_while(|&&other| other == simplex).count();
        next += equal;
        if equal % 2 == 1 {
            simplices[kept] = simplex;
            kept += 1;
        }
    }
    simplices.truncate(kept);
}
