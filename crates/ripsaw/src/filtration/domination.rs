//! Whether an edge is dominated, by which vertex, and for how long.

use crate::error::Error;
use crate::filtration::graph::{Edge, flip};
use crate::memory::with_room;

/// How often another vertex may take over before an edge is left as it is.
///
/// Nearly all edges that can be taken out need fewer; those that cannot may need many.
const STEPS_MAX: usize = 8;

/// A vertex that dominates an edge from a length on, until the next takes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) length: u32,
    pub(super) vertex: usize,
}

/// Holds the edges that are there, and those of them that are not longer than the one under way.
pub(super) struct Domination<'a> {
    point_count: usize,
    words: usize,
    /// The lengths of all pairs, also of edges that were taken out.
    lengths: &'a [u32],
    adjacency: Vec<u64>,
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
    witnesses: Vec<u16>,
}

impl<'a> Domination<'a> {
    /// Begins with all edges, all of them present.
    ///
    /// # Errors
    ///
    /// [`Error::OutOfMemory`].
    pub(super) fn new(point_count: usize, lengths: &'a [u32], edges: &[u64]) -> Result<Self, Error> {
        let words = point_count.div_ceil(64);
        let copy = || {
            let mut copy: Vec<u64> = with_room(edges.len())?;
            copy.extend_from_slice(edges);
            Ok(copy)
        };
        Ok(Self {
            point_count,
            words,
            lengths,
            adjacency: copy()?,
            present: copy()?,
            length: 0,
            common: vec![0; words],
            candidates: vec![0; words],
            later: Vec::new(),
            witnesses: vec![0; point_count],
        })
    }

    /// Takes an edge out that is present.
    pub(super) fn remove(&mut self, ends: [usize; 2]) {
        flip(&mut self.adjacency, self.words, ends);
        self.hide(ends);
    }

    /// Takes back that an edge was taken out.
    pub(super) fn restore(&mut self, ends: [usize; 2]) {
        self.remove(ends);
    }

    /// Notes that an edge is longer than those that come.
    pub(super) fn hide(&mut self, ends: [usize; 2]) {
        flip(&mut self.present, self.words, ends);
    }

    /// Notes what dominated an edge, to be tried first for others from its ends.
    pub(super) fn note_witness(&mut self, [u, v]: [usize; 2], vertex: usize) {
        (self.witnesses[u], self.witnesses[v]) = (vertex as u16, vertex as u16);
    }

    /// Returns the length at which two edges from a tip to the ends of an edge are there, if they ever are.
    pub(super) fn triangle(&self, end: usize, other: usize, tip: usize) -> Option<u32> {
        let is_there = self.adjacency[tip * self.words + other / 64] >> (other % 64) & 1 == 1;
        let lengths = self.lengths_from(tip);
        is_there.then(|| lengths[end].max(lengths[other]))
    }

    /// Tells whether a vertex that comes at some length is then next to all that dominate from there on.
    pub(super) fn is_next_to_all(&self, tip: usize, length: u32, steps: &[Step]) -> bool {
        let (lengths, near) = (self.lengths_from(tip), &self.adjacency[tip * self.words..][..self.words]);
        let ends = steps.iter().skip(1).map(|next| next.length).chain([u32::MAX]);
        steps.iter().zip(ends).filter(|&(_, end)| end > length).all(|(step, _)| {
            near[step.vertex / 64] >> (step.vertex % 64) & 1 == 1 && lengths[step.vertex] <= length.max(step.length)
        })
    }

    /// Tells whether an edge is dominated at every length from its own on, and then appends what dominates it.
    pub(super) fn stays_dominated(&mut self, edge: Edge, steps: &mut Vec<Step>) -> bool {
        let before = steps.len();
        let stays = self.find_steps(edge, steps).is_some();
        if !stays {
            steps.truncate(before);
        }
        stays
    }

    fn find_steps(&mut self, edge: Edge, steps: &mut Vec<Step>) -> Option<()> {
        let ends = edge.ends();
        self.length = edge.length_bits();
        self.take_common(ends);
        let mut vertex = self.first_dominator(ends)?;
        self.take_later(ends);
        for _ in 0..STEPS_MAX {
            steps.push(Step { length: self.length, vertex });
            let Some((length, blocking)) = self.end_of_domination(vertex) else { return Some(()) };
            self.length = length;
            let common = &mut self.common;
            self.later.retain(|&(later, x)| {
                if later <= length {
                    common[x / 64] |= 1 << (x % 64);
                }
                later > length
            });
            vertex = self.later_dominator(blocking)?;
        }
        None
    }

    fn lengths_from(&self, vertex: usize) -> &'a [u32] {
        &self.lengths[vertex * self.point_count..][..self.point_count]
    }

    fn take_common(&mut self, [u, v]: [usize; 2]) {
        let words = self.words;
        let (row, other) = (&self.present[u * words..][..words], &self.present[v * words..][..words]);
        for ((common, a), b) in self.common.iter_mut().zip(row).zip(other) {
            *common = a & b;
        }
    }

    fn take_later(&mut self, [u, v]: [usize; 2]) {
        let words = self.words;
        let (row, other) = (&self.adjacency[u * words..][..words], &self.adjacency[v * words..][..words]);
        let (lengths, others) = (self.lengths_from(u), self.lengths_from(v));
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
        for witness in ends.map(|end| usize::from(self.witnesses[end])) {
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
        let words = self.words;
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
        let words = self.words;
        let present = &self.present[vertex * words..][..words];
        let adjacent = &self.adjacency[vertex * words..][..words];
        let lengths = self.lengths_from(vertex);
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
        let (lengths, near) = (self.lengths_from(vertex), &self.adjacency[vertex * self.words..][..self.words]);
        let is_apart = |x: usize| near[x / 64] >> (x % 64) & 1 == 0;
        self.later.iter().filter(|&&(length, x)| lengths[x] > length || is_apart(x)).min().copied()
    }
}

fn first_bit(words: &[u64]) -> Option<usize> {
    let word = words.iter().position(|&word| word != 0)?;
    Some(64 * word + words[word].trailing_zeros() as usize)
}
