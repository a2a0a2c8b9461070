//! The row that stands for a cluster.
//!
//! Small clusters are gone through in f64. In large ones two sums for each member, of lower and of upper bounds of the
//! distances, leave only a few that can be the medoid; those are gone through in f64. Both give the same row.

use super::Vectors;
use super::distance::squared_distance;
use super::kernel::{COLUMNS, ROWS};
use super::packed::{BLOCK, Frame, Packed};
use super::workers::{Cancelled, Stage, Workers};

/// Below this many members all distances are computed.
const SMALL: usize = 128;

/// What an f32 sum of [`COLUMNS`] terms, and the roots in it, can be wrong by, generously.
const SUM_SLACK: f64 = 1e-5;

/// Returns the row among `members` that minimises Σ m d over all of them.
///
/// `members` holds rows in ascending order, each with its mass m: its probability, times the rows that stand on it.
/// Ties go to the lowest row. O(m² d) time, as much memory as the members take. `None` without members.
pub(super) fn medoid(
    vectors: &Vectors<'_>,
    members: &[(usize, f64)],
    workers: &mut Workers<'_>,
) -> Result<Option<usize>, Cancelled> {
    let candidates: Vec<usize> =
        if members.len() < SMALL { (0..members.len()).collect() } else { candidates(vectors, members, workers)? };
    let chunks = candidates.chunks(1);
    let found = workers.run(Stage::Medoids, chunks, Vec::new, |costs: &mut Vec<(f64, usize)>, chunk| {
        costs.extend(chunk.iter().map(|&member| (cost(vectors, members, member), members[member].0)));
    })?;
    let best = found.into_iter().flatten().min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    Ok(best.map(|(_, row)| row))
}

fn cost(vectors: &Vectors<'_>, members: &[(usize, f64)], member: usize) -> f64 {
    let own = vectors.row(members[member].0);
    members.iter().map(|&(row, mass)| mass * squared_distance(own, vectors.row(row)).sqrt()).sum()
}

/// The members that the bounds do not rule out.
fn candidates(
    vectors: &Vectors<'_>,
    members: &[(usize, f64)],
    workers: &mut Workers<'_>,
) -> Result<Vec<usize>, Cancelled> {
    let rows: Vec<usize> = members.iter().map(|&(row, _)| row).collect();
    let packed = Packed::new(vectors, &rows, &Frame::of(vectors, &rows), workers)?;
    let mut mass = vec![0.0f32; packed.panel_count() * COLUMNS];
    mass.iter_mut().zip(members).for_each(|(mass, member)| *mass = member.1 as f32);
    let start = || (vec![], Sums::new(mass.len()));
    let sums = workers.run(Stage::Medoids, 0..packed.block_count(), start, |(groups, sums), block| {
        packed.gather_block(block, groups);
        let mut tile = [[0.0; COLUMNS]; ROWS];
        for panel in block * BLOCK / COLUMNS..packed.panel_count() {
            for (number, group) in groups.iter().enumerate() {
                packed.bounds(group, panel, &mut tile);
                for (row, bounds) in tile.iter().enumerate() {
                    sums.add(&packed, &mass, block * BLOCK + number * ROWS + row, panel, bounds);
                }
            }
        }
    })?;
    let mut total = Sums::new(mass.len());
    for (_, sums) in sums {
        total.low.iter_mut().zip(&sums.low).for_each(|(total, sum)| *total += sum);
        total.high.iter_mut().zip(&sums.high).for_each(|(total, sum)| *total += sum);
    }
    let least_high = total.high[..members.len()].iter().copied().fold(f64::INFINITY, f64::min);
    let limit = least_high * (1.0 + SUM_SLACK);
    Ok((0..members.len()).filter(|&member| total.low[member] * (1.0 - SUM_SLACK) <= limit).collect())
}

/// For each member what its cost is at least and at most, scaled.
struct Sums {
    low: Vec<f64>,
    high: Vec<f64>,
}

impl Sums {
    fn new(count: usize) -> Self {
        Self { low: vec![0.0; count], high: vec![0.0; count] }
    }

    /// Adds the distances between a row and the columns of a panel behind it, to both sides.
    fn add(&mut self, packed: &Packed, mass: &[f32], row: usize, panel: usize, bounds: &[f32; COLUMNS]) {
        let first = panel * COLUMNS;
        if row >= packed.point_count() || first + COLUMNS <= row {
            return;
        }
        let slack = &packed.slack()[first..first + COLUMNS];
        let mut lows = [0.0f32; COLUMNS];
        let mut highs = [0.0f32; COLUMNS];
        for column in 0..COLUMNS {
            // No pair twice, none of a point with itself, and none with a point that is not there.
            let counts = first + column > row && first + column < packed.point_count();
            let high = if counts { bounds[column] + 2.004 * (slack[column] + packed.slack()[row]) } else { 0.0 };
            lows[column] = if counts { bounds[column].max(0.0).sqrt() } else { 0.0 };
            highs[column] = high.max(0.0).sqrt();
        }
        let own = f64::from(mass[row]);
        let (mut low, mut high) = (0.0f32, 0.0f32);
        for column in 0..COLUMNS {
            low += mass[first + column] * lows[column];
            high += mass[first + column] * highs[column];
            self.low[first + column] += own * f64::from(lows[column]);
            self.high[first + column] += own * f64::from(highs[column]);
        }
        self.low[row] += f64::from(low);
        self.high[row] += f64::from(high);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn large_clusters_have_the_medoid_of_a_full_search(
            seed in any::<u32>(), count in 1usize..500, levels in prop_oneof![Just(4u32), Just(1 << 20)], threads in 1usize..3,
        ) {
            let number = |k: u32| k.wrapping_mul(2_654_435_761).wrapping_add(seed).rotate_left(11) % levels;
            let values: Vec<f32> = (0..count as u32 * 6).map(|k| number(k) as f32 + 1.0).collect();
            let vectors = Vectors::new(&values, count, 6).unwrap();
            let members: Vec<(usize, f64)> = (0..count).map(|row| (row, f64::from(number(row as u32 + 99) % 5) / 4.0)).collect();
            let costs = (0..count).map(|member| cost(&vectors, &members, member));
            let expected = costs.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).map(|(member, _)| member);
            prop_assert_eq!(medoid(&vectors, &members, &mut Workers::new(threads, None)).unwrap(), expected);
        }
    }

    #[test]
    fn nobody_has_no_medoid() {
        let vectors = Vectors::new(&[1.0], 1, 1).unwrap();
        assert_eq!(medoid(&vectors, &[], &mut Workers::single()).unwrap(), None);
        assert_eq!(medoid(&vectors, &[(0, 1.0)], &mut Workers::single()).unwrap(), Some(0));
    }
}
