//! Persistent cohomology over Z/2, one dimension after the other.
//!
//! The coboundary matrix is reduced instead of the boundary matrix (`desilva2011`): the bars are the same, and the
//! pivots found in one dimension spare columns in the next (`chen2011`). No matrix is stored, only which columns were
//! added to which (`bauer2021`). Nothing here knows points or metrics. Invariant: the pairing depends on the complex
//! alone, never on which shortcuts were taken.

mod apparent;
mod assemble;
mod claims;
mod cochain;
mod column;
mod components;
mod heap;
mod pivots;
mod reduction;
mod representatives;

use crate::diagram::Bar;
use crate::error::Error;
use crate::filtration::{Complex, Key, Packing};
use crate::memory::Ledger;
use crate::options::{Options, Shortcuts};
use crate::parallel::Progress;

pub(crate) use self::representatives::{Representative, Wanted, representatives};

use self::assemble::assemble_columns;
use self::components::merge_components;
use self::reduction::reduce;

/// Returns the diagrams for dimensions 0 to the largest asked for.
pub(crate) fn diagrams(
    complex: &Complex,
    options: &Options,
    shortcuts: Shortcuts,
    ledger: &Ledger,
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<Bar>>, Error> {
    if shortcuts.narrow_keys && Packing::new(complex).is_narrow(options.max_dimension) {
        diagrams_by::<u64>(complex, options, shortcuts, ledger, progress)
    } else {
        diagrams_by::<u128>(complex, options, shortcuts, ledger, progress)
    }
}

fn diagrams_by<K: Key>(
    complex: &Complex,
    options: &Options,
    shortcuts: Shortcuts,
    ledger: &Ledger,
    progress: &mut Progress<'_>,
) -> Result<Vec<Vec<Bar>>, Error> {
    let held = ledger.held();
    let (bars, mut pivots) = merge_components::<K>(complex, ledger)?;
    let mut diagrams = vec![bars];
    for dimension in 1..=options.max_dimension {
        let columns = assemble_columns(complex, dimension, &pivots, shortcuts, ledger, progress)?;
        let (bars, next) = reduce(complex, dimension, &columns, &pivots, shortcuts, ledger, progress)?;
        diagrams.push(bars);
        // The columns of this dimension are gone; only its pivots stay, and those of the last are not needed.
        drop(columns);
        if dimension < options.max_dimension {
            pivots = next.into_pivots(ledger)?;
        }
        ledger.give_back(ledger.held() - held);
        ledger.take(pivots.bytes())?;
    }
    Ok(diagrams)
}
