//! The flag complex of a graph, whose edges are numbered in the order of the filtration.

use crate::error::Error;
use crate::filtration::Binomials;
use crate::filtration::graph::{Edge, Graph, flip};
use crate::memory::with_room;

/// Holds the edges by rank, and the rank of every pair.
///
/// The rank of an edge is its place in the order of the filtration, ties broken. A simplex enters with its youngest
/// edge, the one of largest rank, of which there is one: no two edges of a simplex have equal ranks.
pub(crate) struct Complex {
    point_count: usize,
    /// The ranks of all pairs, row after row, both halves; the largest number for a pair that is no edge.
    ranks: Vec<u32>,
    adjacency: Vec<u64>,
    words_per_row: usize,
    edges: Vec<Edge>,
    /// For each edge the largest vertex that makes a triangle with it at the same rank, or [`NO_VERTEX`].
    tops: Vec<u16>,
    binomials: Binomials,
}

/// Stands for no vertex; no vertex has this number.
const NO_VERTEX: u16 = u16::MAX;

impl Complex {
    /// Ranks the edges of a graph, which must come in the order of the filtration.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(crate) fn new(graph: Graph, edges: Vec<Edge>, binomials: Binomials) -> Result<Self, Error> {
        let Graph { point_count, lengths: mut ranks, adjacency, words_per_row, .. } = graph;
        let mut tops = with_room(edges.len())?;
        // The graph of the edges of smaller rank.
        let mut older: Vec<u64> = with_room(adjacency.len())?;
        older.resize(adjacency.len(), 0);
        for (rank, edge) in edges.iter().enumerate() {
            let [large, small] = edge.ends();
            ranks[large * point_count + small] = rank as u32;
            ranks[small * point_count + large] = rank as u32;
            let (row, other) = (&older[large * words_per_row..], &older[small * words_per_row..]);
            let common = (0..words_per_row).rev().find(|&word| row[word] & other[word] != 0);
            let top = common.map(|word| (64 * word + 63) as u16 - (row[word] & other[word]).leading_zeros() as u16);
            tops.push(top.unwrap_or(NO_VERTEX));
            flip(&mut older, words_per_row, edge.ends());
        }
        Ok(Self { point_count, ranks, adjacency, words_per_row, edges, tops, binomials })
    }

    pub(crate) fn point_count(&self) -> usize {
        self.point_count
    }

    pub(crate) fn binomials(&self) -> &Binomials {
        &self.binomials
    }

    /// Returns all edges, by rank.
    pub(crate) fn edges(&self) -> &[Edge] {
        &self.edges
    }

    /// Returns the diameter of the simplices that enter with an edge.
    #[inline]
    pub(crate) fn diameter(&self, rank: u32) -> f32 {
        self.edges[rank as usize].length()
    }

    /// Returns the largest vertex that makes a triangle with an edge at the rank of the edge.
    #[inline]
    pub(crate) fn top(&self, rank: u32) -> Option<usize> {
        let top = self.tops[rank as usize];
        (top != NO_VERTEX).then_some(top.into())
    }

    /// Returns the ranks of the edges from one vertex to all.
    #[inline]
    pub(crate) fn ranks_from(&self, vertex: usize) -> &[u32] {
        &self.ranks[vertex * self.point_count..][..self.point_count]
    }

    /// Returns the neighbours of one vertex as bits.
    #[inline]
    pub(crate) fn neighbours(&self, vertex: usize) -> &[u64] {
        &self.adjacency[vertex * self.words_per_row..][..self.words_per_row]
    }

    pub(crate) fn adjacency(&self) -> &[u64] {
        &self.adjacency
    }

    pub(crate) fn words_per_row(&self) -> usize {
        self.words_per_row
    }

    /// Returns the largest vertex from `lowest` to `highest` that has edges to all `vertices`, all older than `rank`.
    #[inline]
    pub(crate) fn largest_within(&self, rank: u32, vertices: &[usize], lowest: usize, highest: usize) -> Option<usize> {
        if lowest > highest {
            return None;
        }
        for word in (lowest / 64..=highest / 64).rev() {
            let mut bits = vertices.iter().fold(u64::MAX, |bits, &v| bits & self.neighbours(v)[word]);
            if word == highest / 64 {
                bits &= u64::MAX >> (63 - highest % 64);
            }
            if word == lowest / 64 {
                bits &= u64::MAX << (lowest % 64);
            }
            while bits != 0 {
                let bit = 63 - bits.leading_zeros() as usize;
                let vertex = 64 * word + bit;
                let row = self.ranks_from(vertex);
                if vertices.iter().all(|&v| row[v] < rank) {
                    return Some(vertex);
                }
                bits ^= 1 << bit;
            }
        }
        None
    }
}
