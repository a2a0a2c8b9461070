//! Persistent cohomology over Z/2, one dimension after the other.
//!
//! The coboundary matrix is reduced instead of the boundary matrix (`desilva2011`): the bars are the same, and the
//! pivots found in one dimension spare columns in the next (`chen2011`). No matrix is stored, only which columns were
//! added to which (`bauer2021`). Nothing here knows points or metrics. Invariant: the pairing depends on the complex
//! alone, never on which shortcuts were taken.

mod apparent;
mod assemble;
mod column;
mod components;
mod pivots;
mod reduction;

use crate::diagram::Bar;
use crate::error::Error;
use crate::filtration::Complex;
use crate::memory::{Ledger, edge_bytes};
use crate::options::{Options, Shortcuts};

use self::assemble::assemble_columns;
use self::components::merge_components;
use self::reduction::reduce;

/// Returns the diagrams for dimensions 0 to the largest asked for, and the number of edges.
pub(crate) fn diagrams(
    complex: &Complex,
    options: &Options,
    shortcuts: Shortcuts,
    ledger: &mut Ledger,
) -> Result<(Vec<Vec<Bar>>, u64), Error> {
    let edges = complex.edges()?;
    let edge_count = edges.len() as u64;
    let (bars, mut pivots) = merge_components(complex.point_count(), &edges);
    drop(edges);
    ledger.give_back(edge_bytes(complex.point_count()));

    let mut diagrams = vec![bars];
    let held = ledger.held();
    for dimension in 1..=options.max_dimension {
        let columns = assemble_columns(complex, dimension, &pivots, shortcuts, ledger)?;
        let (bars, next) = reduce(complex, dimension, &columns, &pivots, shortcuts, ledger)?;
        diagrams.push(bars);
        pivots = next;
        // The columns of this dimension are gone; only its pivots stay.
        ledger.give_back(ledger.held() - held);
        ledger.take(pivots.bytes())?;
    }
    Ok((diagrams, edge_count))
}
