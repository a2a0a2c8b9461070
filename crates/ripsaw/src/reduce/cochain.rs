//! A column as the sum of edges whose coboundary it is.

use crate::error::Error;
use crate::filtration::{Complex, Key, Packing};
use crate::memory::{Ledger, with_room};

/// Holds a sum of edges modulo 2, and finds the oldest triangle of its coboundary.
///
/// A triangle is in the coboundary if one or three of its edges are in the sum. The triangles that enter with one edge
/// are tried together, as bits, 64 at a time; edges of which no end touches the sum are passed over. Long sums, whose
/// coboundaries mostly cancel, are what takes the time in dimension 1, and nothing that cancels is ever written down.
pub(crate) struct Cochain<'a> {
    complex: &'a Complex,
    words: usize,
    /// The sum, row after row, both halves.
    rows: Vec<u64>,
    /// The vertices that may have a row other than zero, as bits and as a list.
    touched: Vec<u64>,
    touched_list: Vec<usize>,
    /// The edges that have such an end and are not older than the one at which the search stands.
    open: Vec<u64>,
    /// The rank at which the search stands: no triangle of the coboundary is older.
    rank: u32,
}

impl<'a> Cochain<'a> {
    pub(crate) fn new(complex: &'a Complex) -> Self {
        let words = complex.words_per_row();
        let [rows, touched, open] = [Vec::new(), vec![0; words], Vec::new()];
        Self { complex, words, rows, touched, touched_list: Vec::new(), open, rank: u32::MAX }
    }

    pub(crate) fn clear(&mut self) {
        for vertex in self.touched_list.drain(..) {
            self.rows[vertex * self.words..][..self.words].fill(0);
        }
        self.touched.fill(0);
        if let Some(open) = self.open.get_mut(self.rank as usize / 64..) {
            open.fill(0);
        }
        self.rank = u32::MAX;
    }

    /// Adds an edge. The first is the oldest of all, or comes with no triangle that is older.
    pub(crate) fn add(&mut self, rank: u32, ledger: &Ledger) -> Result<(), Error> {
        if self.rows.is_empty() {
            self.lay_out(ledger)?;
        }
        if self.rank == u32::MAX {
            self.rank = rank;
        }
        let [u, v] = self.complex.edges()[rank as usize].ends();
        for (vertex, other) in [(u, v), (v, u)] {
            self.rows[vertex * self.words + other / 64] ^= 1 << (other % 64);
            if self.touched[vertex / 64] >> (vertex % 64) & 1 == 0 {
                self.touch(vertex);
            }
        }
        Ok(())
    }

    /// Returns the oldest triangle of the coboundary.
    pub(crate) fn pivot<K: Key>(&mut self) -> Option<K> {
        if self.touched_list.is_empty() {
            return None;
        }
        let mut word = self.rank as usize / 64;
        let mut bits = self.open[word];
        loop {
            while bits == 0 {
                word += 1;
                bits = *self.open.get(word)?;
            }
            let rank = (64 * word) as u32 + bits.trailing_zeros();
            if let Some(vertex) = self.largest_at(rank) {
                self.rank = rank;
                let packing = Packing::new(self.complex);
                return Some(K::join(rank, packing.pack::<K>(&[vertex]), packing.shift(1)));
            }
            // Nothing enters here any more: what is added later comes with younger triangles.
            bits &= bits - 1;
            self.open[word] = bits;
        }
    }

    fn lay_out(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let (bits, edges) = (self.words * self.complex.point_count(), self.complex.edges().len().div_ceil(64));
        ledger.take(8 * (bits + edges) as u64)?;
        (self.rows, self.open) = (with_room(bits)?, with_room(edges)?);
        self.rows.resize(bits, 0);
        self.open.resize(edges, 0);
        Ok(())
    }

    fn touch(&mut self, vertex: usize) {
        self.touched[vertex / 64] |= 1 << (vertex % 64);
        self.touched_list.push(vertex);
        let ranks = self.complex.ranks_from(vertex);
        for (word, &near) in self.complex.neighbours(vertex).iter().enumerate() {
            let mut near = near;
            while near != 0 {
                let rank = ranks[64 * word + near.trailing_zeros() as usize];
                near &= near - 1;
                if rank >= self.rank {
                    self.open[rank as usize / 64] |= 1 << (rank % 64);
                }
            }
        }
    }

    /// Returns the largest vertex whose triangle with an edge is in the coboundary and enters with the edge.
    #[inline]
    fn largest_at(&self, rank: u32) -> Option<usize> {
        let top = self.complex.top(rank)?;
        let [u, v] = self.complex.edges()[rank as usize].ends();
        let (row, other) = (&self.rows[u * self.words..][..self.words], &self.rows[v * self.words..][..self.words]);
        let own = if row[v / 64] >> (v % 64) & 1 == 1 { u64::MAX } else { 0 };
        let (near, near_other) = (self.complex.neighbours(u), self.complex.neighbours(v));
        let (ranks, ranks_other) = (self.complex.ranks_from(u), self.complex.ranks_from(v));
        for word in (0..=top / 64).rev() {
            let mut bits = near[word] & near_other[word] & (row[word] ^ other[word] ^ own);
            while bits != 0 {
                let bit = 63 - bits.leading_zeros() as usize;
                bits ^= 1 << bit;
                let vertex = 64 * word + bit;
                if ranks[vertex] < rank && ranks_other[vertex] < rank {
                    return Some(vertex);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;
    use crate::distance::CondensedDistances;
    use crate::filtration::{Binomials, Graph};
    use crate::reduce::heap::HeapColumn;

    fn complex(values: Vec<u8>, count: usize) -> Complex {
        let values = values.into_iter().map(f32::from).collect();
        let distances = CondensedDistances::from_condensed(values, count).unwrap();
        let chosen: Vec<usize> = (0..count).collect();
        let graph = Graph::new(&distances, &chosen, None).unwrap();
        let edges = graph.edges().unwrap();
        Complex::new(graph, edges, Binomials::new(count, 3).unwrap()).unwrap()
    }

    proptest! {
        #[test]
        fn the_oldest_triangle_is_that_of_a_heap(
            values in prop::collection::vec(1u8..6, 66 * 65 / 2),
            chosen in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        ) {
            let complex = complex(values, 66);
            let ranks: BTreeSet<u32> = chosen.iter().map(|index| index.index(complex.edges().len()) as u32).collect();
            let (mut cochain, mut heap) = (Cochain::new(&complex), HeapColumn::<u64>::new(&complex, 1));
            let ledger = Ledger::new(None);
            // Twice, to see that a cleared column is as good as new.
            for _ in 0..2 {
                cochain.clear();
                heap.clear();
                for &rank in &ranks {
                    cochain.add(rank, &ledger).unwrap();
                    heap.add(rank.into(), &ledger).unwrap();
                }
                // Each triangle that enters with an edge of the complex is taken out by adding that edge, if it can be.
                for _ in 0..50 {
                    let pivot = cochain.pivot::<u64>();
                    prop_assert_eq!(pivot, heap.pivot());
                    let Some(pivot) = pivot else { break };
                    let rank = pivot.rank(Packing::new(&complex).shift(1));
                    if complex.top(rank).is_none_or(|top| {
                        pivot != u64::join(rank, Packing::new(&complex).pack::<u64>(&[top]), Packing::new(&complex).shift(1))
                    }) {
                        break;
                    }
                    cochain.add(rank, &ledger).unwrap();
                    heap.add(rank.into(), &ledger).unwrap();
                }
            }
        }
    }
}
