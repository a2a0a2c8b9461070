//! The collapse of edges: a smaller graph whose flag complex has the same bars.
//!
//! Edges are gone through from the longest. Whether one can be taken out depends on which longer ones were, so that
//! threads guess: each tries its share of a block as if all edges before, in the block, had gone, as most do. Then one
//! thread goes through the block in order, with what did stay: where that may spoil what a guess rests on, the edge is
//! tried again. Invariant: which edges go depends on the graph alone, never on the threads.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

use crate::error::Error;
use crate::filtration::domination::{Domination, Step};
use crate::filtration::graph::{Edge, Graph};
use crate::memory::with_room;
use crate::parallel::{Progress, Stage, in_rounds};

/// Edges between two looks at whether it pays.
const BLOCK: usize = 1024;

/// Edges that one thread tries at a time.
const SHARE: usize = 64;

/// One edge in so many must go for the collapse to pay.
const PAYS_AT: usize = 2;

/// Stands for the dominating vertex of an edge that stays.
const STAYS: u16 = u16::MAX;

/// Takes out edges whose coming and staying changes no homology.
///
/// `edges` are those of the graph in the order of the filtration; they are gone through from the longest
/// (Glisse and Pritam 2022). An edge is dominated at some length if one of the vertices that make a triangle with it has
/// edges of that length to all the others. If it is dominated at every length from its own on, its coming changes no
/// homology (Boissonnat and Pritam 2020) and it is taken out. Others keep their length: to move them to the length at
/// which domination ends is right too, but saves no more columns and takes longer. Takes O(n / 64) time for each vertex
/// tried, and n² / 4 bytes for each thread and once more.
///
/// With `only_while_it_pays`, stops at the first block of which too few edges go: the longest edges are the ones that
/// are dominated most and whose going saves most.
///
/// # Errors
///
/// [`Error::Cancelled`] or [`Error::OutOfMemory`].
pub(crate) fn collapse(
    graph: &mut Graph,
    edges: &[Edge],
    only_while_it_pays: bool,
    progress: &mut Progress<'_>,
) -> Result<(), Error> {
    let Graph { point_count, ref lengths, ref adjacency, .. } = *graph;
    let mut outcomes: Vec<u16> = with_room(edges.len())?;
    outcomes.resize(edges.len(), STAYS);
    let walk = || Domination::new(point_count, lengths, adjacency).map(|domination| Walk::new(domination, edges));
    let mut judge =
        Judge { walk: walk()?, kept_at: vec![Vec::new(); point_count], kept: Vec::new(), steps: Vec::new() };
    let round = RwLock::new(Round {
        block: 0..0,
        outcomes,
        next_share: AtomicUsize::new(0),
        guesses: (0..BLOCK / SHARE).map(|_| Mutex::new(None)).collect(),
    });
    let thread_count = progress.thread_count.min(edges.len() / BLOCK);
    let lead = |round: &mut Round| {
        let removed_count = judge.settle(round);
        let pays = removed_count * PAYS_AT >= round.block.len();
        let start = round.block.end;
        if start == edges.len() || (only_while_it_pays && !pays) {
            return Ok(false);
        }
        progress.report(Stage::Collapse, start, edges.len())?;
        round.block = start..(start + BLOCK).min(edges.len());
        round.next_share = AtomicUsize::new(0);
        Ok(true)
    };
    in_rounds(thread_count, &round, walk, Walk::guess, lead)?;
    let outcomes = round.into_inner().unwrap_or_else(PoisonError::into_inner).outcomes;
    let gone = edges.iter().rev().zip(outcomes).filter(|&(_, outcome)| outcome != STAYS);
    gone.for_each(|(edge, _)| graph.remove(edge.ends()));
    Ok(())
}

/// What all threads see of a block of edges. Edges are counted from the longest.
struct Round {
    block: Range<usize>,
    /// For each edge of the blocks before what dominates it last, or [`STAYS`].
    outcomes: Vec<u16>,
    /// The next share of the block that is to be tried.
    next_share: AtomicUsize,
    guesses: Vec<Mutex<Option<Guesses>>>,
}

/// What was found for one share.
#[derive(Default)]
struct Guesses {
    /// What dominates each edge, step by step; nothing for an edge that stays.
    steps: Vec<Step>,
    ends: Vec<usize>,
}

/// One thread's view of the edges, as it comes to shorter and shorter ones.
struct Walk<'a> {
    domination: Domination<'a>,
    edges: &'a [Edge],
    /// Edges passed, counted from the longest.
    passed: usize,
    /// From here on what was passed was taken to have gone.
    known: usize,
    /// Edges that stay are present until a shorter one comes.
    ties: Vec<Edge>,
}

impl<'a> Walk<'a> {
    fn new(domination: Domination<'a>, edges: &'a [Edge]) -> Self {
        Self { domination, edges, passed: 0, known: 0, ties: Vec::new() }
    }

    fn edge(&self, place: usize) -> Edge {
        self.edges[self.edges.len() - 1 - place]
    }

    /// Tries shares of a block until none is left.
    fn guess(&mut self, round: &Round) {
        self.learn(round);
        loop {
            let share = round.next_share.fetch_add(1, Ordering::Relaxed);
            let start = round.block.start + share * SHARE;
            if start >= round.block.end {
                return;
            }
            let mut guesses = Guesses::default();
            while self.passed < start {
                self.pass(true);
            }
            while self.passed < (start + SHARE).min(round.block.end) {
                let edge = self.edge(self.passed);
                self.forget_longer(edge);
                self.domination.stays_dominated(edge, &mut guesses.steps);
                guesses.ends.push(guesses.steps.len());
                self.pass(true);
            }
            *round.guesses[share].lock().unwrap_or_else(PoisonError::into_inner) = Some(guesses);
        }
    }

    /// Takes in what became of the edges of the blocks before.
    fn learn(&mut self, round: &Round) {
        for place in self.known..round.block.start {
            let edge = self.edge(place);
            let outcome = round.outcomes[place];
            if place == self.passed {
                self.pass(outcome != STAYS);
            } else if outcome == STAYS {
                self.forget_longer(edge);
                self.domination.restore(edge.ends());
                self.ties.push(edge);
            }
            if outcome != STAYS {
                self.domination.note_witness(edge.ends(), outcome.into());
            }
        }
        self.known = round.block.start;
    }

    /// Passes the next edge, which goes or stays.
    fn pass(&mut self, goes: bool) {
        let edge = self.edge(self.passed);
        self.passed += 1;
        self.forget_longer(edge);
        if goes {
            self.domination.remove(edge.ends());
        } else {
            self.ties.push(edge);
        }
    }

    /// Edges of equal length are present together; those that are longer are not.
    fn forget_longer(&mut self, edge: Edge) {
        if self.ties.last().is_some_and(|last| last.length_bits() > edge.length_bits()) {
            self.ties.drain(..).for_each(|tie| self.domination.hide(tie.ends()));
        }
    }
}

/// Decides, edge by edge, in order.
struct Judge<'a> {
    walk: Walk<'a>,
    /// For each vertex the other ends of the edges of the block that stay.
    kept_at: Vec<Vec<usize>>,
    /// The vertices that have such edges.
    kept: Vec<usize>,
    steps: Vec<Step>,
}

impl Judge<'_> {
    /// Turns the guesses for a block into outcomes, and returns how many edges go.
    fn settle(&mut self, round: &mut Round) -> usize {
        self.kept.drain(..).for_each(|vertex| self.kept_at[vertex].clear());
        let mut removed_count = 0;
        for (share, slot) in round.guesses.iter_mut().enumerate() {
            let Some(guesses) = slot.get_mut().unwrap_or_else(PoisonError::into_inner).take() else { continue };
            let mut from = 0;
            for (offset, &end) in guesses.ends.iter().enumerate() {
                let steps = &guesses.steps[std::mem::replace(&mut from, end)..end];
                let outcome = self.outcome(steps);
                removed_count += usize::from(outcome != STAYS);
                round.outcomes[round.block.start + share * SHARE + offset] = outcome;
            }
        }
        removed_count
    }

    /// Decides about the next edge, given what was found for it.
    fn outcome(&mut self, guess: &[Step]) -> u16 {
        let edge = self.walk.edge(self.walk.passed);
        self.walk.forget_longer(edge);
        let [u, v] = edge.ends();
        let mut last = guess.last().copied();
        if last.is_some() && self.is_spoiled([u, v], guess) {
            self.steps.clear();
            self.walk.domination.stays_dominated(edge, &mut self.steps);
            last = self.steps.last().copied();
        }
        self.walk.pass(last.is_some());
        let Some(last) = last else {
            self.kept_at[u].push(v);
            self.kept_at[v].push(u);
            self.kept.extend([u, v]);
            return STAYS;
        };
        self.walk.domination.note_witness([u, v], last.vertex);
        last.vertex as u16
    }

    /// Tells whether an edge of the block that stayed makes a triangle whose tip is not always next to what dominates.
    fn is_spoiled(&self, [u, v]: [usize; 2], guess: &[Step]) -> bool {
        let spoils = |end: usize, other: usize| {
            let tips = self.kept_at[end].iter();
            tips.filter_map(|&tip| Some((tip, self.walk.domination.triangle(end, other, tip)?)))
                .any(|(tip, length)| !self.walk.domination.is_next_to_all(tip, length, guess))
        };
        spoils(u, v) || spoils(v, u)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::distance::CondensedDistances;

    /// The edges left on whole distances, of which many are equal.
    fn left(values: &[u16], count: usize, thread_count: usize) -> Vec<[usize; 2]> {
        let values = values.iter().map(|&value| value.into()).collect();
        let distances = CondensedDistances::from_condensed(values, count).unwrap();
        let chosen: Vec<usize> = (0..count).collect();
        let mut graph = Graph::new(&distances, &chosen, None).unwrap();
        let mut edges = graph.edges().unwrap();
        collapse(&mut graph, &edges, false, &mut Progress::new(thread_count, None)).unwrap();
        edges.retain(|edge| graph.has_edge(edge.ends()));
        edges.iter().map(|edge| edge.ends()).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn the_edges_that_stay_do_not_depend_on_threads(
            values in prop::collection::vec(prop_oneof![1u16..9, 1u16..2000], 90 * 89 / 2),
        ) {
            let expected = left(&values, 90, 1);
            for thread_count in [2, 3, 8] {
                prop_assert_eq!(&left(&values, 90, thread_count), &expected);
            }
        }
    }

    #[test]
    fn a_cloud_of_equal_distances_is_left_a_tree() {
        assert_eq!(left(&[5; 80 * 79 / 2], 80, 1).len(), 79);
        assert_eq!(left(&[5; 80 * 79 / 2], 80, 3).len(), 79);
    }
}
