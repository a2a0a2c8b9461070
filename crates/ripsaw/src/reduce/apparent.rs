//! Apparent pairs: births and deaths that can be read off one simplex.

use crate::filtration::{Complex, Key, Packing};

/// Finds apparent pairs.
///
/// A simplex and a cofacet are such a pair when the cofacet is the oldest cofacet of the simplex, the simplex the
/// youngest facet of the cofacet, and they enter with the same edge. They are then a pair of persistent cohomology, with
/// a bar of length zero, and the column of the simplex is reduced from the start (`bauer2021`). As the edges of a simplex
/// have different ranks, the youngest facet is the one without the largest vertex of the rest; the pair is apparent when
/// no larger vertex would do. Vertices and edges are never reported as a pair: components are merged elsewhere.
pub(crate) struct ApparentPairs<'a> {
    complex: &'a Complex,
    packing: Packing<'a>,
    vertices: Vec<usize>,
}

impl<'a> ApparentPairs<'a> {
    pub(crate) fn new(complex: &'a Complex) -> Self {
        Self { complex, packing: Packing::new(complex), vertices: Vec::new() }
    }

    /// Returns the facet with which a simplex with so large a rest forms an apparent pair.
    #[inline]
    pub(crate) fn facet_of<K: Key>(&mut self, simplex: K, rest_count: usize) -> Option<K> {
        if rest_count == 0 {
            return None;
        }
        let rank = simplex.rank(self.packing.shift(rest_count));
        let top = self.complex.top(rank)?;
        self.packing.write_vertices(simplex, rest_count, &mut self.vertices);
        let largest = self.vertices.remove(2);
        if largest != top {
            // Where there is no rest but this vertex, the top is the one that pairs.
            if rest_count == 1 || self.complex.largest_within(rank, &self.vertices, largest + 1, top).is_some() {
                return None;
            }
        }
        let rest = self.packing.pack::<K>(&self.vertices[2..]);
        Some(K::join(rank, rest, self.packing.shift(rest_count - 1)))
    }
}
