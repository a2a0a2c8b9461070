//! The columns of one dimension that have to be reduced.

use std::cmp::Reverse;
use std::ops::Range;

use crate::error::Error;
use crate::filtration::{Complex, Key, Packing, flip};
use crate::memory::Ledger;
use crate::options::Shortcuts;
use crate::parallel::{Progress, Stage};
use crate::reduce::apparent::ApparentPairs;
use crate::reduce::pivots::Pivots;

/// Edges whose simplices one thread goes through at a time.
const CHUNK: usize = 4096;

/// Returns the simplices of one dimension, at least 1, whose columns have to be reduced, youngest first.
///
/// Left out are those that an apparent pair settles, and those that are pivots of the dimension below, whose columns
/// are known to reduce to zero (`chen2011`).
pub(crate) fn assemble_columns<K: Key>(
    complex: &Complex,
    dimension: usize,
    pivots_below: &Pivots<K>,
    shortcuts: Shortcuts,
    ledger: &Ledger,
    progress: &mut Progress<'_>,
) -> Result<Vec<K>, Error> {
    let start = || Assembly {
        complex,
        rest_count: dimension - 1,
        packing: Packing::new(complex),
        pivots_below,
        shortcuts,
        apparent: ApparentPairs::new(complex),
        older: complex.adjacency().to_vec(),
        older_count: complex.edges().len(),
        words: complex.words_per_row(),
        common: vec![vec![0; complex.words_per_row()]; dimension],
        rest: Vec::new(),
        columns: Vec::new(),
        ledger,
    };
    let chunks = (0..complex.edges().len().div_ceil(CHUNK)).map(|chunk| {
        let after = complex.edges().len() - chunk * CHUNK;
        after.saturating_sub(CHUNK)..after
    });
    let parts = progress.map(Stage::Columns { dimension }, chunks, start, Assembly::columns_of_edges)?;
    let mut columns = Vec::new();
    ledger.reserve(&mut columns, parts.iter().map(Vec::len).sum())?;
    for part in parts {
        columns.extend_from_slice(&part);
        ledger.give_back((part.capacity() * size_of::<K>()) as u64);
    }
    Ok(columns)
}

/// Tells whether a simplex ends a bar of the dimension below, so that its own column reduces to zero.
pub(crate) fn kills_a_class<K: Key>(
    simplex: K,
    rest_count: usize,
    pivots_below: &Pivots<K>,
    shortcuts: Shortcuts,
    apparent: &mut ApparentPairs<'_>,
) -> bool {
    (shortcuts.apparent && apparent.facet_of(simplex, rest_count).is_some()) || pivots_below.contains(simplex)
}

struct Assembly<'a, K> {
    complex: &'a Complex,
    rest_count: usize,
    packing: Packing<'a>,
    pivots_below: &'a Pivots<K>,
    shortcuts: Shortcuts,
    apparent: ApparentPairs<'a>,
    /// The graph of the edges older than the one under way.
    older: Vec<u64>,
    /// The rank of that edge, or the number of edges.
    older_count: usize,
    words: usize,
    /// For the edge with the first vertices of the rest, the vertices that have older edges to all of them. One row more
    /// is for the vertices of which some larger one makes an apparent pair impossible.
    common: Vec<Vec<u64>>,
    /// The first vertices of the rest, in falling order.
    rest: Vec<usize>,
    columns: Vec<K>,
    ledger: &'a Ledger,
}

impl<K: Key> Assembly<'_, K> {
    /// Returns the columns of the simplices that enter with these edges, which are older than all before.
    fn columns_of_edges(&mut self, ranks: Range<usize>) -> Result<Vec<K>, Error> {
        for rank in ranks.rev() {
            while self.older_count > rank {
                self.older_count -= 1;
                flip(&mut self.older, self.words, self.complex.edges()[self.older_count].ends());
            }
            let top = self.complex.top(rank as u32);
            if self.rest_count == 0 {
                if !self.shortcuts.apparent || top.is_none() {
                    self.push(rank as u32)?;
                }
            } else if top.is_some() {
                let start = self.columns.len();
                let [large, small] = self.complex.edges()[rank].ends();
                self.narrow(large, small, 0);
                self.extend(rank as u32, 0)?;
                self.columns[start..].sort_unstable_by_key(|&column| Reverse(column));
            }
        }
        Ok(std::mem::take(&mut self.columns))
    }

    /// Writes the common neighbours of two vertices.
    fn narrow(&mut self, v: usize, w: usize, level: usize) {
        let (row, other) = (&self.older[v * self.words..], &self.older[w * self.words..]);
        for (word, common) in self.common[level].iter_mut().enumerate() {
            *common = row[word] & other[word];
        }
    }

    /// Takes the simplices that enter with an edge and have the present beginning of the rest.
    fn extend(&mut self, rank: u32, level: usize) -> Result<(), Error> {
        if level + 1 == self.rest_count {
            return self.finish(rank, level);
        }
        let highest = self.rest.last().map_or(64 * self.words, |&last| last);
        for vertex in 0..highest {
            if self.common[level][vertex / 64] >> (vertex % 64) & 1 == 0 {
                continue;
            }
            let (wider, narrower) = self.common.split_at_mut(level + 1);
            let row = &self.older[vertex * self.words..];
            for (word, common) in narrower[0].iter_mut().enumerate() {
                *common = wider[level][word] & row[word];
            }
            self.rest.push(vertex);
            self.extend(rank, level + 1)?;
            self.rest.pop();
        }
        Ok(())
    }

    /// Takes the simplices whose rest lacks but its smallest vertex.
    fn finish(&mut self, rank: u32, level: usize) -> Result<(), Error> {
        let (common, open) = self.common.split_at_mut(level + 1);
        let (common, open) = (&common[level], &mut open[0]);
        open.copy_from_slice(common);
        if let Some(&last) = self.rest.last() {
            keep_below(open, last);
        }
        if self.shortcuts.apparent {
            // A larger vertex next to the last one makes the cofacet of an apparent pair: larger than all of the rest.
            let lowest = self.rest.first().map_or(0, |&first| first + 1);
            'vertices: for word in (lowest / 64..self.words).rev() {
                let mut bits = common[word];
                if word == lowest / 64 {
                    bits &= u64::MAX << (lowest % 64);
                }
                while bits != 0 {
                    let bit = 63 - bits.leading_zeros() as usize;
                    bits ^= 1 << bit;
                    // Only smaller vertices can be settled by this one, and by those that follow.
                    let row = &self.older[(64 * word + bit) * self.words..];
                    let mut left = 0;
                    for below in 0..word {
                        open[below] &= !row[below];
                        left |= open[below];
                    }
                    let smaller = (1 << bit) - 1;
                    open[word] &= !(row[word] & smaller);
                    if left | (open[word] & smaller) == 0 {
                        break 'vertices;
                    }
                }
            }
        }
        let open = std::mem::take(&mut self.common[level + 1]);
        for (word, &bits) in open.iter().enumerate() {
            let mut bits = bits;
            while bits != 0 {
                self.rest.push(64 * word + bits.trailing_zeros() as usize);
                bits &= bits - 1;
                self.push(rank)?;
                self.rest.pop();
            }
        }
        self.common[level + 1] = open;
        Ok(())
    }

    /// Takes one simplex, unless its column is known to reduce to zero.
    fn push(&mut self, rank: u32) -> Result<(), Error> {
        let rest = self.packing.pack::<K>(&self.rest);
        let simplex = K::join(rank, rest, self.packing.shift(self.rest_count));
        let (pivots, shortcuts) = (self.pivots_below, self.shortcuts);
        if shortcuts.clearing && kills_a_class(simplex, self.rest_count, pivots, shortcuts, &mut self.apparent) {
            return Ok(());
        }
        self.ledger.reserve(&mut self.columns, 1)?;
        self.columns.push(simplex);
        Ok(())
    }
}

/// Takes out all vertices from `bound` on.
fn keep_below(bits: &mut [u64], bound: usize) {
    bits[bound / 64] &= (1 << (bound % 64)) - 1;
    bits[bound / 64 + 1..].fill(0);
}
