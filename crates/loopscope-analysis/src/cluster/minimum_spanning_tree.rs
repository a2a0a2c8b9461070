//! The minimum spanning tree of the mutual-reachability graph, exactly, without looking at most edges.
//!
//! 1. The forest of the edges to nearest neighbours, by Borůvka: most of the tree, and exactly measured.
//! 2. Its parts are connected by edges that need not be the best.
//! 3. All pairs are gone through once, by their lower bounds. An edge that is longer than every edge on the path between
//!    its ends in *some* spanning tree is in no minimum one; what is left is measured, and the best of it and of the
//!    tree so far is the tree.
//!
//! Edges are ordered without ties ([`super::edge`]), so the tree is unique: neither threads nor kernels nor whether the
//! bounds were kept change it. Where bounds are not kept they are computed again, with the points in the order of the
//! tree, where the longest edge of a path is a running maximum.

use super::bottleneck::Bottleneck;
use super::duplicates::Vertices;
use super::edge::{Components, Edge, minimum_spanning_forest};
use super::kernel::{COLUMNS, ROWS};
use super::neighbours::{BlockBounds, Neighbour, Neighbours};
use super::packed::{BLOCK, Frame, Packed, RowGroup, rounded_down, rounded_up};
use super::workers::{Cancelled, Stage, Workers};

/// One point in so many is tried for an edge that connects its part with another.
const POINTS_PER_TRIAL: usize = 50;
/// Trials of one part, at most.
const TRIALS_MAX: usize = 16;
/// The pass over all pairs stops so often to make the tree shorter with what it has found, if that is much.
const BATCHES: usize = 8;

/// What the tree is made of.
pub(super) struct Graph<'a> {
    pub(super) vertices: &'a Vertices<'a>,
    pub(super) core_squared: &'a [f64],
    pub(super) frame: &'a Frame,
}

/// Returns the n - 1 edges of the tree, shortest first; none for fewer than two vertices.
///
/// `packed` holds the vertices in their order. O(n² d) time; memory O(n k) for k neighbours, beside the bounds.
pub(super) fn minimum_spanning_tree(
    graph: &Graph<'_>,
    packed: Packed,
    neighbours: Neighbours,
    workers: &mut Workers<'_>,
) -> Result<Vec<Edge>, Cancelled> {
    let count = graph.vertices.len();
    let mut edges = forest_of_neighbours(graph, neighbours.lists);
    connect(graph, &packed, &mut edges, workers)?;
    edges.sort_unstable();
    let tree = Bottleneck::new(count, edges);
    let source = match neighbours.bounds {
        Some(bounds) => Source::Kept(bounds),
        None => {
            drop(packed); // Two copies of the points at once would be too many.
            let order: Vec<usize> = tree.order().iter().map(|&vertex| vertex as usize).collect();
            let rows: Vec<usize> = order.iter().map(|&vertex| graph.vertices.first_rows()[vertex]).collect();
            Source::Again(Packed::new(graph.vertices.vectors(), &rows, graph.frame, workers)?, order)
        }
    };
    Sweep::new(graph, &source, &tree).run(tree, workers)
}

/// The minimum spanning forest of the edges to neighbours, by Borůvka.
fn forest_of_neighbours(graph: &Graph<'_>, mut lists: Vec<Vec<Neighbour>>) -> Vec<Edge> {
    let count = lists.len();
    let mut components = Components::new(count);
    let mut forest: Vec<Edge> = Vec::with_capacity(count);
    loop {
        let part_of: Vec<u32> = (0..count).map(|vertex| components.find(vertex) as u32).collect();
        let mut best: Vec<Option<Edge>> = vec![None; count];
        for (vertex, list) in lists.iter_mut().enumerate() {
            list.retain(|&(_, other)| part_of[other as usize] != part_of[vertex]);
            for &(distance, other) in &*list {
                let edge = Edge::at(graph.core_squared, vertex, other as usize, distance);
                for part in [part_of[vertex], part_of[other as usize]] {
                    let best = &mut best[part as usize];
                    *best = Some(best.map_or(edge, |best| best.min(edge)));
                }
            }
        }
        let before = forest.len();
        forest.extend(best.into_iter().flatten().filter(|edge| components.join(edge.ends())));
        if forest.len() == before {
            return forest;
        }
    }
}

/// Adds edges until `edges` span everything: for each part the best that some of its points have.
fn connect(
    graph: &Graph<'_>,
    packed: &Packed,
    edges: &mut Vec<Edge>,
    workers: &mut Workers<'_>,
) -> Result<(), Cancelled> {
    let count = graph.vertices.len();
    let mut components = Components::new(count);
    for edge in &*edges {
        components.join(edge.ends());
    }
    while edges.len() + 1 < count {
        let part_of: Vec<usize> = (0..count).map(|vertex| components.find(vertex)).collect();
        let trials = trials(&part_of, count - edges.len());
        let groups = trials.chunks(ROWS);
        let found = workers.run(
            Stage::Tree,
            groups,
            || (RowGroup::default(), vec![]),
            |(group, found), points| {
                packed.gather(points, group);
                found.extend(nearest_elsewhere(graph, packed, group, points, &part_of));
            },
        )?;
        let mut found: Vec<Edge> = found.into_iter().flat_map(|(_, found)| found).collect();
        found.sort_unstable();
        edges.extend(found.into_iter().filter(|edge| components.join(edge.ends())));
    }
    Ok(())
}

/// Chooses points of every part but the largest, evenly spread.
fn trials(part_of: &[usize], part_count: usize) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = vec![vec![]; part_of.len()];
    for (vertex, &part) in part_of.iter().enumerate() {
        members[part].push(vertex);
    }
    let largest = (0..members.len()).max_by_key(|&part| members[part].len());
    let per_part = (part_of.len() / POINTS_PER_TRIAL / part_count).clamp(1, TRIALS_MAX);
    let parts = members.iter().enumerate().filter(|&(part, members)| Some(part) != largest && !members.is_empty());
    parts.flat_map(|(_, members)| members.iter().step_by(members.len().div_ceil(per_part)).copied()).collect()
}

/// For each of the points of a group an edge out of its part, about the best one.
fn nearest_elsewhere(
    graph: &Graph<'_>,
    packed: &Packed,
    group: &RowGroup,
    points: &[usize],
    part_of: &[usize],
) -> Vec<Edge> {
    let core: Vec<f32> = graph.core_squared.iter().map(|core| rounded_down(core * packed.scale_squared)).collect();
    let mut best: [Option<(f32, usize)>; ROWS] = [None; ROWS];
    let mut tile = [[0.0; COLUMNS]; ROWS];
    for panel in 0..packed.panel_count() {
        packed.bounds(group, panel, &mut tile);
        for ((bounds, best), &point) in tile.iter().zip(&mut best).zip(points) {
            let first = panel * COLUMNS;
            let columns = first..(first + COLUMNS).min(part_of.len());
            for (other, bound) in columns.zip(bounds) {
                let weight = bound.max(core[other]).max(core[point]);
                if best.is_none_or(|(least, _)| weight < least) && part_of[other] != part_of[point] {
                    *best = Some((weight, other));
                }
            }
        }
    }
    let edge = |(point, best): (&usize, Option<(f32, usize)>)| {
        best.map(|(_, other)| Edge::between(graph.vertices, graph.core_squared, *point, other))
    };
    points.iter().zip(best).filter_map(edge).collect()
}

/// Where bounds come from.
enum Source {
    /// For each block of vertices in their own order.
    Kept(Vec<BlockBounds>),
    /// From the points in the order of the tree.
    Again(Packed, Vec<usize>),
}

/// The pass over all pairs.
struct Sweep<'a> {
    graph: &'a Graph<'a>,
    source: &'a Source,
    scale_squared: f64,
    /// The squared core distance at each place of the source, scaled, not above the true one.
    core: Vec<f32>,
    /// For each gap of the order of the first tree its squared weight, scaled, not below the true one.
    gaps: Vec<f32>,
}

impl<'a> Sweep<'a> {
    fn new(graph: &'a Graph<'a>, source: &'a Source, tree: &Bottleneck) -> Self {
        let count = graph.vertices.len();
        let scale_squared = graph.frame.scale_squared();
        let core = |vertex: usize| rounded_down(graph.core_squared[vertex] * scale_squared);
        let padded = count.next_multiple_of(BLOCK);
        let (mut core, gaps): (Vec<f32>, Vec<f32>) = match source {
            Source::Kept(_) => ((0..count).map(core).collect(), vec![]),
            Source::Again(_, order) => (
                order.iter().map(|&vertex| core(vertex)).collect(),
                (1..count).map(|gap| rounded_up(tree.gap_edge(gap - 1).weight_squared * scale_squared)).collect(),
            ),
        };
        core.resize(padded, f32::INFINITY);
        Self { graph, source, scale_squared, core, gaps }
    }

    fn run(&self, mut tree: Bottleneck, workers: &mut Workers<'_>) -> Result<Vec<Edge>, Cancelled> {
        let count = self.graph.vertices.len();
        let blocks = count.div_ceil(BLOCK);
        for batch in 0..BATCHES {
            let part = blocks * batch / BATCHES..blocks * (batch + 1) / BATCHES;
            if part.is_empty() {
                continue;
            }
            let weights: Vec<f32> =
                tree.edges().iter().map(|edge| rounded_up(edge.weight_squared * self.scale_squared)).collect();
            let done = |block: usize| triangle_share(block, blocks);
            let found = workers.run_between(
                Stage::Tree,
                done(part.start)..done(part.end),
                part,
                Scratch::default,
                |scratch, block| self.walk(block, &tree, &weights, scratch),
            )?;
            let shorter: Vec<Edge> = found.into_iter().flat_map(|scratch| scratch.found).collect();
            if !shorter.is_empty() {
                let mut edges = tree.into_edges();
                edges.extend(shorter);
                minimum_spanning_forest(count, &mut edges);
                tree = Bottleneck::new(count, edges);
            }
        }
        Ok(tree.into_edges())
    }

    /// Looks at the pairs of a block with all that stand behind, and notes the edges that make the tree shorter.
    fn walk(&self, block: usize, tree: &Bottleneck, weights: &[f32], scratch: &mut Scratch) {
        match self.source {
            Source::Kept(bounds) => self.walk_kept(block, &bounds[block], tree, weights, scratch),
            Source::Again(packed, order) => self.walk_again(block, packed, order, tree, scratch),
        }
    }

    fn walk_kept(&self, block: usize, bounds: &BlockBounds, tree: &Bottleneck, weights: &[f32], scratch: &mut Scratch) {
        let first = block * BLOCK;
        scratch.limits.resize(self.core.len(), 0.0);
        for (row, point) in (first..self.graph.vertices.len().min(first + BLOCK)).enumerate() {
            tree.weights_from(point, weights, &mut scratch.limits);
            let columns = bounds.row(row).as_chunks::<COLUMNS>().0.iter();
            let limits = scratch.limits[first..].as_chunks::<COLUMNS>().0.iter();
            let cores = self.core[first..].as_chunks::<COLUMNS>().0.iter();
            for (panel, ((bounds, limits), cores)) in columns.zip(limits).zip(cores).enumerate() {
                if !any_below(bounds, (self.core[point], cores), (0.0, limits)) {
                    continue;
                }
                for (column, &bound) in bounds.iter().enumerate() {
                    let other = first + panel * COLUMNS + column;
                    let weight = bound.max(cores[column]).max(self.core[point]);
                    if other > point && weight <= limits[column] && other < self.graph.vertices.len() {
                        scratch.found.extend(self.shorter(tree, point, other, bound));
                    }
                }
            }
        }
    }

    fn walk_again(&self, block: usize, packed: &Packed, order: &[usize], tree: &Bottleneck, scratch: &mut Scratch) {
        let mut groups = std::mem::take(&mut scratch.groups);
        packed.gather_block(block, &mut groups);
        let first = block * BLOCK;
        let mut tile = [[0.0; COLUMNS]; ROWS];
        // For each row the longest gap between it and the last place before the panel.
        let mut so_far = [0.0f32; BLOCK];
        for panel in first / COLUMNS..packed.panel_count() {
            let start = panel * COLUMNS;
            let mut limits = [0.0; COLUMNS];
            let mut longest = 0.0f32;
            for (lane, limit) in limits.iter_mut().enumerate() {
                longest = longest.max(self.gap_before(start + lane));
                *limit = longest;
            }
            let Some((cores, _)) = self.core[start..].split_first_chunk::<COLUMNS>() else { continue };
            for (number, group) in groups.iter().enumerate() {
                packed.bounds(group, panel, &mut tile);
                for (row, bounds) in tile.iter().enumerate() {
                    let place = first + number * ROWS + row;
                    let so_far = so_far[number * ROWS + row];
                    if any_below(bounds, (self.core[place], cores), (so_far, &limits)) {
                        self.look(tree, order, (place, start), bounds, cores, (so_far, &limits), scratch);
                    }
                }
            }
            for (row, so_far) in so_far.iter_mut().enumerate() {
                // Gaps up to and with the row itself are none between it and what follows.
                let begin = start.max(first + row + 1);
                for place in begin..start + COLUMNS {
                    *so_far = so_far.max(self.gap_before(place));
                }
            }
        }
        scratch.groups = groups;
    }

    /// Looks closer at a row and a panel, given by their places.
    #[expect(clippy::too_many_arguments, reason = "the insides of a hot loop, which has all of them at hand")]
    fn look(
        &self,
        tree: &Bottleneck,
        order: &[usize],
        (place, start): (usize, usize),
        bounds: &[f32; COLUMNS],
        cores: &[f32; COLUMNS],
        (so_far, limits): (f32, &[f32; COLUMNS]),
        scratch: &mut Scratch,
    ) {
        for (column, &bound) in bounds.iter().enumerate() {
            let other = start + column;
            let weight = bound.max(cores[column]).max(self.core[place]);
            if other > place && weight <= limits[column].max(so_far) && other < order.len() {
                scratch.found.extend(self.shorter(tree, order[place], order[other], bound));
            }
        }
    }

    /// The scaled weight of the gap between a place and the one before it; 0 where there is none.
    fn gap_before(&self, place: usize) -> f32 {
        place.checked_sub(1).and_then(|gap| self.gaps.get(gap)).copied().unwrap_or(0.0)
    }

    /// The edge between two vertices, if it is shorter than the longest on their path in the tree.
    fn shorter(&self, tree: &Bottleneck, a: usize, b: usize, bound: f32) -> Option<Edge> {
        let longest = tree.between(a, b);
        let low = Edge::at(self.graph.core_squared, a, b, f64::from(bound.max(0.0)) / self.scale_squared);
        if low >= *longest {
            return None;
        }
        let edge = Edge::between(self.graph.vertices, self.graph.core_squared, a, b);
        (edge < *longest).then_some(edge)
    }
}

#[derive(Default)]
struct Scratch {
    groups: Vec<RowGroup>,
    limits: Vec<f32>,
    found: Vec<Edge>,
}

/// Whether an edge of a row with some column can be as short as the longest between the two.
#[inline]
fn any_below(
    bounds: &[f32; COLUMNS],
    (core, cores): (f32, &[f32; COLUMNS]),
    (limit, limits): (f32, &[f32; COLUMNS]),
) -> bool {
    let mut any = false;
    for column in 0..COLUMNS {
        any |= bounds[column].max(cores[column]).max(core) <= limits[column].max(limit);
    }
    any
}

/// The share of all pairs that the first `block` of `blocks` blocks have, each with what is not before it.
fn triangle_share(block: usize, blocks: usize) -> f64 {
    1.0 - (1.0 - block as f64 / blocks.max(1) as f64).powi(2)
}

#[cfg(test)]
mod tests {
    use super::super::tree::{Plan, density_tree};
    use super::super::{Duplicates, Vectors, oracle};
    use super::*;
    use proptest::prelude::*;

    /// Kept or computed again, whatever the threads: the edges of Prim.
    fn check(values: &[f32], dimension: usize, min_samples: usize) -> Result<(), TestCaseError> {
        let vectors = Vectors::new(values, values.len() / dimension, dimension).unwrap();
        let vertices = Vertices::new(vectors, Duplicates::Merge);
        let core = oracle::core_distances_squared(&vertices, min_samples);
        let expected = oracle::minimum_spanning_tree(&vertices, &core);
        for keep_bounds in [true, false] {
            for thread_count in [1, 3] {
                let workers = &mut Workers::new(thread_count, None);
                let (got_core, got) = density_tree(&vertices, min_samples, &Plan { keep_bounds }, workers).unwrap();
                prop_assert_eq!(&got_core, &core);
                prop_assert_eq!(&got, &expected, "bounds kept: {}, threads: {}", keep_bounds, thread_count);
            }
        }
        Ok(())
    }

    proptest! {
        #[test]
        fn the_tree_is_prims_with_ties_and_copies(
            rows in prop::collection::vec(prop::array::uniform3(1i8..6), 1..150), min_samples in 1usize..20,
        ) {
            let values: Vec<f32> = rows.iter().flatten().map(|&x| f32::from(x)).collect();
            check(&values, 3, min_samples)?;
        }

        #[test]
        fn the_tree_is_prims_for_tight_cores_in_a_sea(
            seed in any::<u32>(), count in 1usize..400, min_samples in 1usize..30, spread in 1e-6f32..0.3,
        ) {
            let number = |k: u32| (k.wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(9) >> 8) as f32 / 8_388_608.0 - 1.0;
            let row = |row: u32| {
                let core = row % 5;
                let spread = if core == 0 { 1.0 } else { spread };
                let centre = if core == 0 { 0.0 } else { 1.0 };
                (0..20).map(move |k| centre * number(7_000_000 + core * 20 + k) + spread * number(row * 20 + k) + 0.5)
            };
            let values: Vec<f32> = (0..count as u32).flat_map(row).collect();
            check(&values, 20, min_samples)?;
        }

        #[test]
        fn the_tree_is_prims_for_numbers_of_any_size(
            values in prop::collection::vec(prop::num::f32::NORMAL | prop::num::f32::SUBNORMAL, 2..300),
            min_samples in 1usize..5,
        ) {
            check(&values[..values.len() / 2 * 2], 2, min_samples)?;
        }
    }
}
