//! The cofacets of one simplex.

use crate::filtration::{Complex, Key, Packing};

/// Enumerates the cofacets of a simplex that lie within the threshold.
///
/// A cursor is started again for each simplex, so that its buffers are allocated once. Candidates are the common bits of
/// the vertices' rows of neighbours: points too far away cost a share of a word each.
pub(crate) struct Cofacets<'a> {
    complex: &'a Complex,
    packing: Packing<'a>,
    rank: u32,
    rest_count: usize,
    /// The ends of the youngest edge, then the rest in falling order.
    vertices: Vec<usize>,
    sorted: Vec<usize>,
    /// For each vertex the rest of a cofacet whose youngest edge goes from there to the vertex added.
    rest_without: Vec<u64>,
    /// What the rest adds to the code of a cofacet whose added vertex comes after so many of the rest.
    rest_around: Vec<u64>,
}

impl<'a> Cofacets<'a> {
    pub(crate) fn new(complex: &'a Complex) -> Self {
        Self {
            complex,
            packing: Packing::new(complex),
            rank: 0,
            rest_count: 0,
            vertices: Vec::new(),
            sorted: Vec::new(),
            rest_without: Vec::new(),
            rest_around: Vec::new(),
        }
    }

    /// Starts with a simplex that has so many vertices besides its youngest edge.
    #[inline]
    pub(crate) fn start<K: Key>(&mut self, simplex: K, rest_count: usize) {
        self.packing.write_vertices(simplex, rest_count, &mut self.vertices);
        self.rank = simplex.rank(self.packing.shift(rest_count));
        self.rest_count = rest_count;
    }

    /// Returns the oldest cofacet that enters with the simplex, the oldest of all, if there is one.
    ///
    /// With `below_rest` only vertices smaller than the rest are tried.
    #[inline]
    pub(crate) fn first_of_equal_rank<K: Key>(&mut self, below_rest: bool) -> Option<K> {
        let top = self.complex.top(self.rank)?;
        let highest = match self.vertices[2..].first() {
            Some(&largest) if below_rest => top.min(largest.checked_sub(1)?),
            _ => top,
        };
        let vertex = self.complex.largest_within(self.rank, &self.vertices, 0, highest)?;
        let rest = &self.vertices[2..];
        let place = rest.partition_point(|&v| v > vertex);
        let count = rest.len() + 1;
        let parts = self.packing.part::<K>(&rest[..place], 0, count)
            + self.packing.part::<K>(&[vertex], place, count)
            + self.packing.part::<K>(&rest[place..], place + 1, count);
        Some(K::join(self.rank, self.packing.together::<K>(parts), self.packing.shift(count)))
    }

    /// Calls `visit` for each cofacet, in no particular order.
    #[inline]
    pub(crate) fn for_each<K: Key>(&mut self, visit: &mut impl FnMut(K)) {
        self.prepare::<K>();
        match self.vertices.len() {
            2 => self.for_each_of::<K, 2>(visit),
            3 => self.for_each_of::<K, 3>(visit),
            4 => self.for_each_of::<K, 4>(visit),
            _ => self.for_each_of_any(visit),
        }
    }

    /// Codes what all cofacets share.
    #[inline]
    fn prepare<K: Key>(&mut self) {
        let (count, rest) = (self.rest_count + 1, &self.vertices[2..]);
        self.sorted.clear();
        self.sorted.extend_from_slice(&self.vertices);
        self.sorted.sort_unstable_by(|a, b| b.cmp(a));
        self.rest_without.clear();
        for vertex in &self.vertices {
            let place = self.sorted.iter().position(|v| v == vertex).unwrap_or(0);
            let parts = self.packing.part::<K>(&self.sorted[..place], 0, count)
                + self.packing.part::<K>(&self.sorted[place + 1..], place, count);
            self.rest_without.push(self.packing.together::<K>(parts));
        }
        self.rest_around.clear();
        for place in 0..count {
            let parts = self.packing.part::<K>(&rest[..place], 0, count)
                + self.packing.part::<K>(&rest[place..], place + 1, count);
            self.rest_around.push(parts);
        }
    }

    #[inline]
    fn for_each_of<K: Key, const N: usize>(&self, visit: &mut impl FnMut(K)) {
        let Some(vertices) = self.vertices.first_chunk::<N>() else { return };
        let Some(rest_without) = self.rest_without.first_chunk::<N>() else { return };
        let rows = vertices.map(|v| self.complex.neighbours(v));
        let ranks = vertices.map(|v| self.complex.ranks_from(v));
        self.walk(vertices, &rows, &ranks, rest_without, visit);
    }

    #[cold]
    fn for_each_of_any<K: Key>(&self, visit: &mut impl FnMut(K)) {
        let rows: Vec<&[u64]> = self.vertices.iter().map(|&v| self.complex.neighbours(v)).collect();
        let ranks: Vec<&[u32]> = self.vertices.iter().map(|&v| self.complex.ranks_from(v)).collect();
        self.walk(&self.vertices, &rows, &ranks, &self.rest_without, visit);
    }

    #[inline(always)]
    fn walk<K: Key>(
        &self,
        vertices: &[usize],
        rows: &[&[u64]],
        ranks: &[&[u32]],
        rest_without: &[u64],
        visit: &mut impl FnMut(K),
    ) {
        let (rest, count) = (&vertices[2..], vertices.len() - 1);
        let shift = self.packing.shift(count);
        for word in 0..self.complex.words_per_row() {
            let mut bits = rows.iter().fold(u64::MAX, |bits, row| bits & row[word]);
            while bits != 0 {
                let vertex = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                // Ranks differ, so the largest key has the youngest of the new edges.
                let keys = ranks.iter().zip(rest_without).map(|(row, &rest)| K::join(row[vertex], rest, shift));
                let youngest = keys.fold(K::join(0, 0, shift), K::max);
                if youngest.rank(shift) > self.rank {
                    visit(youngest);
                    continue;
                }
                let place = rest.iter().map(|&v| usize::from(v > vertex)).sum::<usize>();
                let parts = self.rest_around[place] + self.packing.part::<K>(&[vertex], place, count);
                visit(K::join(self.rank, self.packing.together::<K>(parts), shift));
            }
        }
    }
}
