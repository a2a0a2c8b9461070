//! The collapse of edges: a smaller graph whose flag complex has the same bars.

use crate::error::Error;
use crate::filtration::graph::{Edge, Graph, flip};
use crate::memory::with_room;
use crate::parallel::{Progress, Stage};

/// How often another vertex may take over before an edge is left as it is.
///
/// Nearly all edges that can be taken out need fewer; those that cannot may need many.
const STEPS_MAX: usize = 8;

/// Edges between two looks at whether it pays.
const BLOCK: usize = 1024;

/// One edge in so many must go for the collapse to pay.
const PAYS_AT: usize = 2;

/// Takes out edges whose coming and staying changes no homology.
///
/// `edges` are those of the graph in the order of the filtration; they are gone through from the longest
/// (Glisse and Pritam 2022). An edge is dominated at some length if one of the vertices that make a triangle with it has
/// edges of that length to all the others. If it is dominated at every length from its own on, its coming changes no
/// homology (Boissonnat and Pritam 2020) and it is taken out. Others keep their length: to move them to the length at
/// which domination ends is right too, but saves no more columns and takes longer. Takes O(n / 64) time for each vertex
/// tried.
///
/// With `only_while_it_pays`, stops at the first block of which too few edges go: the longest edges are the ones that
/// are dominated most and whose going saves most.
pub(crate) fn collapse(
    graph: &mut Graph,
    edges: &[Edge],
    only_while_it_pays: bool,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let mut present: Vec<u64> = with_room(graph.adjacency.len())?;
    present.extend_from_slice(&graph.adjacency);
    let words = graph.words_per_row;
    let witnesses = vec![0; graph.point_count];
    let mut collapse = Collapse {
        graph,
        present,
        length: 0,
        common: vec![0; words],
        candidates: vec![0; words],
        later: Vec::new(),
        witnesses,
    };
    // Edges that stay are present until a shorter one comes.
    let mut kept: Vec<Edge> = Vec::new();
    for (number, block) in edges.rchunks(BLOCK).enumerate() {
        progress.report(Stage::Collapse, number * BLOCK, edges.len())?;
        let mut removed_count = 0;
        for &edge in block.iter().rev() {
            if kept.last().is_some_and(|last| last.length_bits() > edge.length_bits()) {
                for kept in kept.drain(..) {
                    flip(&mut collapse.present, words, kept.ends());
                }
            }
            if collapse.stays_dominated(edge) {
                flip(&mut collapse.present, words, edge.ends());
                collapse.graph.remove(edge.ends());
                removed_count += 1;
            } else {
                kept.push(edge);
            }
        }
        if only_while_it_pays && removed_count * PAYS_AT < block.len() {
            break;
        }
    }
    Ok(())
}

struct Collapse<'a> {
    graph: &'a mut Graph,
    /// The edges not longer than the one under way, as bits.
    present: Vec<u64>,
    /// The length to which the edge under way has come.
    length: u32,
    /// The vertices that make a triangle with it at this length.
    common: Vec<u64>,
    /// Those of them that may dominate it.
    candidates: Vec<u64>,
    /// Those that make a triangle only at a greater length, and that length.
    later: Vec<(u32, usize)>,
    /// For each vertex, which one last dominated an edge from there.
    witnesses: Vec<usize>,
}

impl Collapse<'_> {
    /// Tells whether an edge is dominated at every length from its own on.
    fn stays_dominated(&mut self, edge: Edge) -> bool {
        let [u, v] = edge.ends();
        self.length = edge.length_bits();
        self.take_common([u, v]);
        let Some(mut vertex) = self.first_dominator([u, v]) else {
            return false;
        };
        self.take_later([u, v]);
        for _ in 0..STEPS_MAX {
            let Some((length, blocking)) = self.end_of_domination(vertex) else {
                (self.witnesses[u], self.witnesses[v]) = (vertex, vertex);
                return true;
            };
            self.length = length;
            self.later.retain(|&(later, x)| {
                if later <= length {
                    self.common[x / 64] |= 1 << (x % 64);
                }
                later > length
            });
            match self.later_dominator(blocking) {
                Some(next) => vertex = next,
                None => return false,
            }
        }
        false
    }

    fn take_common(&mut self, [u, v]: [usize; 2]) {
        let words = self.graph.words_per_row;
        let (row, other) = (&self.present[u * words..][..words], &self.present[v * words..][..words]);
        for ((common, a), b) in self.common.iter_mut().zip(row).zip(other) {
            *common = a & b;
        }
    }

    fn take_later(&mut self, [u, v]: [usize; 2]) {
        let Graph { point_count, words_per_row: words, .. } = *self.graph;
        let (row, other) = (&self.graph.adjacency[u * words..][..words], &self.graph.adjacency[v * words..][..words]);
        let lengths = &self.graph.lengths;
        let (lengths, others) =
            (&lengths[u * point_count..][..point_count], &lengths[v * point_count..][..point_count]);
        self.later.clear();
        for word in 0..words {
            let mut bits = row[word] & other[word] & !self.common[word];
            while bits != 0 {
                let x = 64 * word + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                self.later.push((lengths[x].max(others[x]), x));
            }
        }
    }

    /// Returns a vertex that dominates the edge at its own length.
    fn first_dominator(&mut self, ends: [usize; 2]) -> Option<usize> {
        self.candidates.copy_from_slice(&self.common);
        for witness in ends.map(|end| self.witnesses[end]) {
            if self.candidates[witness / 64] >> (witness % 64) & 1 == 1 && self.strike_present(witness).is_none() {
                return Some(witness);
            }
        }
        loop {
            let vertex = first_bit(&self.candidates)?;
            // Whoever is not next to this vertex does not dominate; nor does this vertex then.
            let Some(missed) = self.strike_present(vertex) else {
                return Some(vertex);
            };
            self.strike_present(missed);
        }
    }

    /// Returns a vertex that dominates the edge at a greater length, trying `first` before all others.
    fn later_dominator(&mut self, first: usize) -> Option<usize> {
        self.candidates.copy_from_slice(&self.common);
        let mut vertex = first;
        loop {
            let Some(missed) = self.strike(vertex) else {
                return Some(vertex);
            };
            self.strike(missed);
            vertex = first_bit(&self.candidates)?;
        }
    }

    /// Leaves only candidates that are next to a vertex, and returns a common vertex that is not.
    #[inline]
    fn strike_present(&mut self, vertex: usize) -> Option<usize> {
        let words = self.graph.words_per_row;
        let present = &self.present[vertex * words..][..words];
        // A vertex is not next to itself, which counts for nothing here.
        let own = 1 << (vertex % 64);
        let was_common = self.common[vertex / 64];
        self.common[vertex / 64] &= !own;
        let mut strangers = 0;
        for ((candidate, common), near) in self.candidates.iter_mut().zip(&self.common).zip(present) {
            *candidate &= near;
            strangers |= common & !near;
        }
        let missed = (strangers != 0).then(|| {
            let missed = |word: &usize| self.common[*word] & !present[*word] != 0;
            let word = (0..words).find(missed).unwrap_or(0);
            64 * word + (self.common[word] & !present[word]).trailing_zeros() as usize
        });
        self.common[vertex / 64] = was_common;
        missed
    }

    /// As [`Self::strike_present`], at a greater length, to which kept edges have come.
    fn strike(&mut self, vertex: usize) -> Option<usize> {
        let words = self.graph.words_per_row;
        let present = &self.present[vertex * words..][..words];
        let adjacent = &self.graph.adjacency[vertex * words..][..words];
        let lengths = &self.graph.lengths[vertex * self.graph.point_count..][..self.graph.point_count];
        let mut missed = None;
        for word in 0..words {
            let mut near = present[word];
            let mut longer = self.common[word] & adjacent[word] & !near;
            while longer != 0 {
                let bit = longer.trailing_zeros();
                longer &= longer - 1;
                near |= u64::from(lengths[64 * word + bit as usize] <= self.length) << bit;
            }
            self.candidates[word] &= near;
            let mut strangers = self.common[word] & !near;
            if word == vertex / 64 {
                strangers &= !(1 << (vertex % 64));
            }
            if strangers != 0 && missed.is_none() {
                missed = Some(64 * word + strangers.trailing_zeros() as usize);
            }
        }
        missed
    }

    /// Returns the length at which a vertex ceases to dominate, and a vertex that comes then and is not next to it.
    fn end_of_domination(&self, vertex: usize) -> Option<(u32, usize)> {
        let lengths = &self.graph.lengths[vertex * self.graph.point_count..][..self.graph.point_count];
        self.later.iter().filter(|&&(length, x)| lengths[x] > length).min().copied()
    }
}

fn first_bit(words: &[u64]) -> Option<usize> {
    let word = words.iter().position(|&word| word != 0)?;
    Some(64 * word + words[word].trailing_zeros() as usize)
}
