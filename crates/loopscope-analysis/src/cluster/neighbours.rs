//! The nearest neighbours of every point, exactly, in one pass over all pairs; the bounds can be kept for the tree.
//!
//! A pair is a candidate while its lower bound is not above the k-th smallest upper bound met so far at one of its ends.
//! What is left at the end holds the true k nearest, whichever thread met what first; their distances are computed in
//! f64, and the nearest are taken by distance, then by number.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};

use super::distance::squared_distance;
use super::duplicates::Vertices;
use super::kernel::{COLUMNS, ROWS};
use super::packed::{BLOCK, Packed, rounded_down, rounded_up};
use super::workers::{Cancelled, Stage, Workers};

/// A neighbour of a point: the squared distance, and which.
pub(super) type Neighbour = (f64, u32);

/// What the pass gives.
pub(super) struct Neighbours {
    /// For each point its nearest others, nearest first: as many as asked for, or all there are.
    pub(super) lists: Vec<Vec<Neighbour>>,
    /// The bounds, if they were to be kept.
    pub(super) bounds: Option<Vec<BlockBounds>>,
}

/// Lower bounds of a block of points with every point from the first of the block on, row after row.
pub(super) struct BlockBounds {
    values: Vec<f32>,
    width: usize,
}

impl BlockBounds {
    /// The bounds of row `row` of the block; the first is that with the first point of the block.
    pub(super) fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.width..(row + 1) * self.width]
    }

    /// The bytes that keeping the bounds of so many points takes.
    pub(super) fn bytes(point_count: usize) -> u64 {
        let padded = point_count.next_multiple_of(BLOCK) as u64;
        padded * (padded + BLOCK as u64) / 2 * 4
    }
}

/// A pair that may matter to one of its ends.
#[derive(Clone, Copy)]
struct Candidate {
    /// A lower bound of the distance, scaled.
    low: f32,
    /// The other end; with [`EXACT`] the bound is the distance itself, rounded down.
    tagged: u32,
}

const EXACT: u32 = 1 << 31;

/// The candidates of the points of one block.
type BlockCandidates = Vec<Vec<Candidate>>;

struct Search<'a> {
    vertices: &'a Vertices<'a>,
    packed: &'a Packed,
    count: usize,
    /// For each point what no candidate can be above, as the bits of an f32.
    limits: Vec<AtomicU32>,
    blocks: Vec<Mutex<BlockCandidates>>,
}

/// Finds the `count` nearest neighbours of each point. O(n² d) time, O(n · `count`) memory without the bounds.
pub(super) fn nearest_neighbours(
    vertices: &Vertices<'_>,
    packed: &Packed,
    count: usize,
    keep_bounds: bool,
    workers: &mut Workers<'_>,
) -> Result<Neighbours, Cancelled> {
    let search = Search {
        vertices,
        packed,
        count: count.min(vertices.len().saturating_sub(1)),
        limits: (0..packed.block_count() * BLOCK).map(|_| AtomicU32::new(f32::MAX.to_bits())).collect(),
        blocks: (0..packed.block_count()).map(|_| Mutex::new(vec![vec![]; BLOCK])).collect(),
    };
    let found = workers.run(
        Stage::Neighbours,
        0..packed.block_count(),
        || (Scratch::default(), vec![]),
        |(scratch, kept), block| {
            if let Some(bounds) = search.walk(block, keep_bounds, scratch) {
                kept.push((block, bounds));
            }
        },
    )?;
    let bounds = keep_bounds.then(|| {
        let mut kept: Vec<(usize, BlockBounds)> = found.into_iter().flat_map(|(_, kept)| kept).collect();
        kept.sort_unstable_by_key(|&(block, _)| block);
        kept.into_iter().map(|(_, bounds)| bounds).collect()
    });
    Ok(Neighbours { lists: search.finish(workers)?, bounds })
}

#[derive(Default)]
struct Scratch {
    groups: Vec<super::packed::RowGroup>,
    /// Row of the block, other end, bound.
    row_hits: Vec<(usize, u32, f32)>,
    /// Column of the panel, other end, bound.
    column_hits: Vec<(usize, u32, f32)>,
    uppers: Vec<f32>,
}

impl Search<'_> {
    /// Meets the points of a block with all from its first on.
    fn walk(&self, block: usize, keep_bounds: bool, scratch: &mut Scratch) -> Option<BlockBounds> {
        let first_panel = block * BLOCK / COLUMNS;
        let width = (self.packed.panel_count() - first_panel) * COLUMNS;
        let mut values = if keep_bounds { vec![0.0; BLOCK * width] } else { vec![] };
        let mut groups = std::mem::take(&mut scratch.groups);
        self.packed.gather_block(block, &mut groups);
        let mut tile = [[0.0; COLUMNS]; ROWS];
        for panel in first_panel..self.packed.panel_count() {
            let column_limits: [f32; COLUMNS] = std::array::from_fn(|lane| self.limit(panel * COLUMNS + lane));
            for (number, group) in groups.iter().enumerate() {
                self.packed.bounds(group, panel, &mut tile);
                for (row, bounds) in tile.iter().enumerate() {
                    let row = number * ROWS + row;
                    if keep_bounds {
                        let start = row * width + (panel - first_panel) * COLUMNS;
                        values[start..start + COLUMNS].copy_from_slice(bounds);
                    }
                    self.collect(block, row, panel, bounds, &column_limits, scratch);
                }
            }
            self.deliver(panel * COLUMNS, &mut scratch.column_hits, &mut scratch.uppers);
            self.deliver(block * BLOCK, &mut scratch.row_hits, &mut scratch.uppers);
        }
        scratch.groups = groups;
        keep_bounds.then_some(BlockBounds { values, width })
    }

    fn limit(&self, point: usize) -> f32 {
        // An old limit is a larger one: it lets more through, and nothing is lost.
        f32::from_bits(self.limits[point].load(Ordering::Relaxed))
    }

    /// Takes note of the pairs of one row with a panel that are near enough for either end.
    #[inline]
    fn collect(
        &self,
        block: usize,
        row: usize,
        panel: usize,
        bounds: &[f32; COLUMNS],
        column_limits: &[f32; COLUMNS],
        scratch: &mut Scratch,
    ) {
        let point = block * BLOCK + row;
        let row_limit = self.limit(point);
        let mut any = false;
        for (bound, column_limit) in bounds.iter().zip(column_limits) {
            any |= *bound <= row_limit.max(*column_limit);
        }
        if !any {
            return;
        }
        for (column, (&bound, &column_limit)) in bounds.iter().zip(column_limits).enumerate() {
            let other = panel * COLUMNS + column;
            if other <= point || bound > row_limit.max(column_limit) {
                continue; // Of each pair the lower end is the row.
            }
            if bound <= row_limit {
                scratch.row_hits.push((row, other as u32, bound));
            }
            if bound <= column_limit {
                scratch.column_hits.push((column, point as u32, bound));
            }
        }
    }

    /// Hands hits to the points that they are for; `first` is the point of place 0.
    fn deliver(&self, first: usize, hits: &mut Vec<(usize, u32, f32)>, uppers: &mut Vec<f32>) {
        if hits.is_empty() {
            return;
        }
        let mut lists = self.blocks[first / BLOCK].lock().unwrap_or_else(PoisonError::into_inner);
        for (place, other, low) in hits.drain(..) {
            let point = first + place;
            if low > self.limit(point) {
                continue;
            }
            let list = &mut lists[point % BLOCK];
            list.push(Candidate { low, tagged: other });
            if list.len() >= self.capacity() {
                let limit = self.prune(point, list, uppers);
                self.limits[point].store(limit.to_bits(), Ordering::Relaxed);
            }
        }
    }

    /// How many candidates make it worth while to throw some away.
    fn capacity(&self) -> usize {
        2 * self.count + 16
    }

    /// Drops what cannot be among the nearest, and returns what none of them is above.
    fn prune(&self, point: usize, list: &mut Vec<Candidate>, uppers: &mut Vec<f32>) -> f32 {
        if self.count == 0 {
            list.clear();
            return -f32::MAX;
        }
        let slack = self.packed.slack();
        uppers.clear();
        uppers.extend(list.iter().map(|candidate| {
            let other = (candidate.tagged & !EXACT) as usize;
            let rounding = if candidate.tagged & EXACT == 0 { 2.004 * (slack[point] + slack[other]) } else { 0.0 };
            (candidate.low + rounding).next_up()
        }));
        let limit = *uppers.select_nth_unstable_by(self.count - 1, f32::total_cmp).1;
        list.retain(|candidate| candidate.low <= limit);
        if list.len() < self.count + self.count / 2 + 12 {
            return limit;
        }
        // Too many are too near each other for their bounds to tell: only the distances can.
        let nearest = self.exact(point, list);
        let scaled = |distance: f64| distance * self.packed.scale_squared;
        list.clear();
        list.extend(
            nearest.iter().map(|&(d, other)| Candidate { low: rounded_down(scaled(d)), tagged: other | EXACT }),
        );
        nearest.last().map_or(limit, |&(distance, _)| rounded_up(scaled(distance)))
    }

    /// The nearest among candidates, by distance, then number.
    fn exact(&self, point: usize, list: &[Candidate]) -> Vec<Neighbour> {
        let distance = |candidate: &Candidate| {
            let other = candidate.tagged & !EXACT;
            (squared_distance(self.vertices.point(point), self.vertices.point(other as usize)), other)
        };
        let mut nearest: Vec<Neighbour> = list.iter().map(distance).collect();
        nearest.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        nearest.truncate(self.count);
        nearest
    }

    /// Turns candidates into neighbours.
    fn finish(self, workers: &mut Workers<'_>) -> Result<Vec<Vec<Neighbour>>, Cancelled> {
        let mut lists = vec![vec![]; self.vertices.len()];
        let blocks = lists.chunks_mut(BLOCK).enumerate();
        workers.run(Stage::Neighbours, blocks, Vec::new, |uppers, (block, lists)| {
            let candidates = std::mem::take(&mut *self.blocks[block].lock().unwrap_or_else(PoisonError::into_inner));
            for (place, (list, mut candidates)) in lists.iter_mut().zip(candidates).enumerate() {
                let point = block * BLOCK + place;
                if candidates.len() > self.count {
                    self.prune(point, &mut candidates, uppers);
                }
                *list = self.exact(point, &candidates);
            }
        })?;
        Ok(lists)
    }
}

#[cfg(test)]
mod tests {
    use super::super::packed::Frame;
    use super::super::{Duplicates, Vectors};
    use super::*;
    use proptest::prelude::*;

    fn by_sorting(vertices: &Vertices<'_>, count: usize) -> Vec<Vec<Neighbour>> {
        let list = |point: usize| {
            let others = (0..vertices.len()).filter(|&other| other != point);
            let mut all: Vec<Neighbour> = others
                .map(|other| (squared_distance(vertices.point(point), vertices.point(other)), other as u32))
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            all.truncate(count);
            all
        };
        (0..vertices.len()).map(list).collect()
    }

    fn check(values: &[f32], dimension: usize, count: usize, thread_count: usize) -> Result<(), TestCaseError> {
        let vectors = Vectors::new(values, values.len() / dimension, dimension).unwrap();
        let vertices = Vertices::new(vectors, Duplicates::Merge);
        let workers = &mut Workers::new(thread_count, None);
        let rows = vertices.first_rows();
        let packed = Packed::new(&vectors, rows, &Frame::of(&vectors, rows), workers).unwrap();
        let found = nearest_neighbours(&vertices, &packed, count, true, workers).unwrap();
        prop_assert_eq!(found.lists, by_sorting(&vertices, count));
        prop_assert_eq!(found.bounds.unwrap().len(), packed.block_count());
        Ok(())
    }

    proptest! {
        #[test]
        fn the_nearest_are_those_of_a_sort(
            seed in any::<u32>(), count in 0usize..40, points in 1usize..300, levels in 2u32..200, threads in 1usize..4,
        ) {
            // Few levels make many ties.
            let number = |k: u32| k.wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(13) % levels;
            let values: Vec<f32> = (0..points as u32 * 3).map(|k| number(k) as f32 + 1.0).collect();
            check(&values, 3, count, threads)?;
        }

        #[test]
        fn points_nearer_than_bounds_can_tell_are_told_apart(seed in any::<u32>(), count in 1usize..9) {
            let number = |k: u32| (k.wrapping_mul(2_654_435_761).wrapping_add(seed) >> 8) as f32 / 16_777_216.0;
            let mut values: Vec<f32> = (0..250 * 40).map(|k| 0.5 + 1e-4 * number(k)).collect();
            values[..40].fill(-3.0); // One far point makes the scale coarse.
            check(&values, 40, count, 2)?;
        }
    }
}
