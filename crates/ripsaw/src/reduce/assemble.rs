//! The columns of one dimension that have to be reduced.

use crate::error::Error;
use crate::filtration::{Complex, Simplex, for_each_simplex};
use crate::memory::Ledger;
use crate::options::Shortcuts;
use crate::reduce::apparent::ApparentPairs;
use crate::reduce::pivots::Pivots;

/// Returns the simplices of one dimension whose columns have to be reduced, youngest first.
///
/// Left out are those that an apparent pair settles, and those that are pivots of the dimension below, whose columns
/// are known to reduce to zero (`chen2011`).
pub(crate) fn assemble_columns(
    complex: &Complex,
    dimension: usize,
    pivots_below: &Pivots,
    shortcuts: Shortcuts,
    ledger: &mut Ledger,
) -> Result<Vec<Simplex>, Error> {
    let mut columns = Vec::new();
    let mut apparent = ApparentPairs::new(complex);
    for_each_simplex(complex, dimension + 1, &mut |simplex, vertices: &[usize]| {
        if shortcuts.apparent && apparent.has_cofacet(simplex, vertices) {
            return Ok(());
        }
        if shortcuts.clearing && kills_a_class(simplex, dimension, pivots_below, shortcuts, &mut apparent) {
            return Ok(());
        }
        ledger.reserve(&mut columns, 1)?;
        columns.push(simplex);
        Ok(())
    })?;
    columns.sort_unstable_by(|a, b| b.cmp(a));
    Ok(columns)
}

/// Tells whether a simplex ends a bar of the dimension below, so that its own column reduces to zero.
pub(crate) fn kills_a_class(
    simplex: Simplex,
    dimension: usize,
    pivots_below: &Pivots,
    shortcuts: Shortcuts,
    apparent: &mut ApparentPairs<'_>,
) -> bool {
    pivots_below.contains(simplex) || (shortcuts.apparent && apparent.facet_of(simplex, dimension + 1).is_some())
}
