//! The cofacets of one simplex, by falling index.

use crate::filtration::{Complex, Simplex};

/// Enumerates the cofacets of a simplex that lie within the threshold, by falling index, one at a time.
///
/// A cursor is started again for each simplex, so that its buffer is allocated once. Candidates are the common bits of
/// the vertices' rows of neighbours: points too far away cost a share of a word each.
pub(crate) struct Cofacets<'a> {
    complex: &'a Complex,
    /// The vertices of the simplex, in falling order.
    vertices: Vec<usize>,
    diameter: f32,
    /// Words of neighbours not yet looked at.
    words_left: usize,
    /// What is left of the word under way.
    candidates: u64,
    /// How many vertices are larger than the last candidate.
    above: usize,
    /// What those vertices add to the index of a cofacet, and what the other vertices add.
    index_above: u64,
    index_below: u64,
}

impl<'a> Cofacets<'a> {
    pub(crate) fn new(complex: &'a Complex) -> Self {
        Self {
            complex,
            vertices: Vec::new(),
            diameter: 0.0,
            words_left: 0,
            candidates: 0,
            above: 0,
            index_above: 0,
            index_below: 0,
        }
    }

    /// Starts with a simplex of so many vertices.
    #[inline]
    pub(crate) fn start(&mut self, simplex: Simplex, vertex_count: usize) {
        self.complex.binomials().write_vertices(simplex.index(), vertex_count, &mut self.vertices);
        self.restart(simplex);
    }

    /// Starts with a simplex whose vertices are known, in falling order.
    #[inline]
    pub(crate) fn start_at(&mut self, simplex: Simplex, vertices: &[usize]) {
        self.vertices.clear();
        self.vertices.extend_from_slice(vertices);
        self.restart(simplex);
    }

    #[inline]
    fn restart(&mut self, simplex: Simplex) {
        self.diameter = simplex.diameter();
        self.words_left = self.complex.point_count().div_ceil(64);
        self.candidates = 0;
        self.above = 0;
        self.index_above = 0;
        self.index_below = simplex.index();
    }

    /// Returns the next cofacet and the vertex it adds.
    #[inline]
    pub(crate) fn advance(&mut self) -> Option<(Simplex, usize)> {
        let vertex = self.next_candidate()?;
        let farthest = self.farthest(vertex);
        Some((Simplex::new(farthest.max(self.diameter), self.index_with(vertex)), vertex))
    }

    /// Returns the first cofacet that has the diameter of the simplex, and the vertex it adds.
    ///
    /// Only after a start; it is the oldest cofacet of all.
    #[inline]
    pub(crate) fn first_of_equal_diameter(&mut self) -> Option<(Simplex, usize)> {
        loop {
            let vertex = self.next_candidate()?;
            if self.farthest(vertex) <= self.diameter {
                return Some((Simplex::new(self.diameter, self.index_with(vertex)), vertex));
            }
        }
    }

    /// Returns the next smaller vertex that is a neighbour of all vertices of the simplex.
    #[inline]
    fn next_candidate(&mut self) -> Option<usize> {
        while self.candidates == 0 {
            self.words_left = self.words_left.checked_sub(1)?;
            let words = self.vertices.iter().map(|&v| self.complex.neighbours(v)[self.words_left]);
            self.candidates = words.fold(u64::MAX, |common, word| common & word);
        }
        let bit = 63 - self.candidates.leading_zeros() as usize;
        self.candidates ^= 1 << bit;
        Some(64 * self.words_left + bit)
    }

    #[inline]
    fn farthest(&self, vertex: usize) -> f32 {
        self.vertices.iter().map(|&v| self.complex.distances_from(v)[vertex]).fold(0.0, f32::max)
    }

    /// Returns the index of the cofacet that adds `vertex`, which must be smaller than the last one asked for.
    #[inline]
    fn index_with(&mut self, vertex: usize) -> u64 {
        let (binomials, count) = (self.complex.binomials(), self.vertices.len());
        while self.above < count && self.vertices[self.above] > vertex {
            // In the cofacet this vertex has one more below it.
            let v = self.vertices[self.above];
            self.index_below -= binomials.choose(v, count - self.above);
            self.index_above += binomials.choose(v, count - self.above + 1);
            self.above += 1;
        }
        self.index_above + binomials.choose(vertex, count - self.above + 1) + self.index_below
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::CondensedDistances;
    use crate::filtration::Binomials;

    /// Distances of `count` points with few values, so that there are ties.
    fn some_complex(count: usize, threshold: f64) -> Complex {
        let values = (0..count * (count - 1) / 2).map(|k| (1 + k * k % 11) as f32).collect();
        let distances = CondensedDistances::from_condensed(values, count).unwrap();
        let chosen: Vec<usize> = (0..count).collect();
        Complex::new(&distances, &chosen, Some(threshold), Binomials::new(count, 5).unwrap()).unwrap()
    }

    #[test]
    fn cofacets_are_those_that_every_vertex_gives_by_falling_index() {
        let complex = some_complex(70, 8.0);
        let mut cursor = Cofacets::new(&complex);
        for simplex in complex.edges().unwrap() {
            let mut vertices = Vec::new();
            complex.binomials().write_vertices(simplex.index(), 2, &mut vertices);
            let mut expected = Vec::new();
            for v in (0..70).rev().filter(|v| !vertices.contains(v)) {
                let farthest = vertices.iter().map(|&w| complex.distances_from(w)[v]).fold(0.0, f32::max);
                let mut with = [&vertices[..], &[v]].concat();
                with.sort_unstable_by(|a, b| b.cmp(a));
                if f64::from(farthest) <= complex.threshold() {
                    expected
                        .push((Simplex::new(farthest.max(simplex.diameter()), complex.binomials().index(&with)), v));
                }
            }
            cursor.start(simplex, 2);
            let found: Vec<_> = std::iter::from_fn(|| cursor.advance()).collect();
            assert_eq!(found, expected);
            assert!(found.is_sorted_by(|(a, _), (b, _)| a.index() > b.index()));

            cursor.start_at(simplex, &vertices);
            let first = expected.iter().find(|(cofacet, _)| cofacet.diameter() == simplex.diameter());
            assert_eq!(cursor.first_of_equal_diameter().as_ref(), first);
        }
    }
}
