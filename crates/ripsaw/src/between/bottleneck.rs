//! The smallest distance within which two diagrams can be matched.
//!
//! Within a distance `δ`, points nearer to the diagonal than `δ` may stay there; all others must find a mate. A matching
//! that reaches every such point of one side, and another for the other side, together give one that reaches both
//! (`mendelsohn1958`), so the two sides are asked in turn and no copy of the diagonal is made. Each asks by phases of
//! shortest augmenting paths (`hopcroft1973`) over k-d trees from which visited points are taken (`efrat2001`).
//!
//! The least `δ` is found by halving. Every matching found lowers the upper end to the longest move that it makes. Where
//! there is none, the points reached in vain are more than their neighbours (`hall1935`), and the lower end rises to the
//! least `δ` that lets one of them go elsewhere. Both are values that the least can have, so the ends meet in it.

use super::ground::Point;
use super::tree::{Remaining, Tree};

const FREE: u32 = u32::MAX;

/// Returns the least distance, or one larger by `relative_error` of it at most.
pub(super) fn least_distance(a: &[Point], b: &[Point], relative_error: f64) -> f64 {
    let mut sides = [Matching::new(a, b), Matching::new(b, a)];
    let low = sides.iter().map(Matching::least_move).fold(0.0, f64::max);
    let high = a.iter().chain(b).map(|point| point.diagonal_distance()).fold(0.0, f64::max);
    least_feasible(low, high, relative_error, |distance| {
        let mut longest = 0.0;
        for side in &mut sides {
            longest = side.reach(distance)?.max(longest);
        }
        Ok(longest)
    })
}

/// Says that there is no matching below this distance, which is larger than the one asked for.
pub(super) struct NoneBelow(pub(super) f64);

/// Halves down to the least distance at which `moves` gives the longest move of a matching.
///
/// `high` is such a distance, and no distance below `low` is.
pub(super) fn least_feasible(
    mut low: f64,
    mut high: f64,
    relative_error: f64,
    mut moves: impl FnMut(f64) -> Result<f64, NoneBelow>,
) -> f64 {
    let mut next = low; // Often the answer.
    while high > (1.0 + relative_error) * low {
        match moves(next) {
            Ok(longest) => high = longest.min(next),
            Err(NoneBelow(distance)) => low = distance.min(high),
        }
        next = low + (high - low) / 2.0;
        if next >= high {
            next = low; // The two are neighbours, and half of the step between them was rounded up.
        }
    }
    high
}

/// Holds a matching that tries to reach every point of one diagram that is far from the diagonal.
struct Matching<'a> {
    near: &'a [Point],
    far: &'a [Point],
    /// Near points, farthest from the diagonal first.
    order: Vec<u32>,
    near_mates: Vec<u32>,
    far_mates: Vec<u32>,
    /// Far points that a search has not reached.
    unreached: Remaining,
}

impl<'a> Matching<'a> {
    fn new(near: &'a [Point], far: &'a [Point]) -> Self {
        let mut order: Vec<u32> = (0..near.len() as u32).collect();
        order.sort_by(|&i, &j| near[j as usize].length().total_cmp(&near[i as usize].length()));
        let unreached = Remaining::new(Tree::new(far, 0..far.len() as u32));
        Self { near, far, order, near_mates: vec![FREE; near.len()], far_mates: vec![FREE; far.len()], unreached }
    }

    /// Returns the longest of the moves that each near point can make at best; no matching does with less.
    fn least_move(&self) -> f64 {
        let least = |&point: &Point| self.unreached.nearest_within(point, point.diagonal_distance());
        self.near.iter().map(least).fold(0.0, f64::max)
    }

    /// Matches every near point that lies farther than `distance` from the diagonal; returns the longest move of all
    /// near points.
    ///
    /// Starts from the matching of the last call, less what no longer holds.
    fn reach(&mut self, distance: f64) -> Result<f64, NoneBelow> {
        self.drop_outdated(distance);
        loop {
            let sources = self.free_sources(distance);
            if sources.is_empty() {
                return Ok(self.longest_move());
            }
            let mut layers = self.layers(&sources, distance)?;
            for source in sources {
                self.augment(source, &mut layers, distance);
            }
        }
    }

    /// Drops moves that are longer, and the mates of points that may stay at the diagonal.
    fn drop_outdated(&mut self, distance: f64) {
        for (point, mate) in self.near.iter().zip(&mut self.near_mates) {
            let is_outdated = *mate != FREE
                && (point.diagonal_distance() <= distance || point.distance(self.far[*mate as usize]) > distance);
            if is_outdated {
                self.far_mates[*mate as usize] = FREE;
                *mate = FREE;
            }
        }
    }

    fn free_sources(&self, distance: f64) -> Vec<u32> {
        let must_move = |&&i: &&u32| self.near[i as usize].diagonal_distance() > distance;
        self.order.iter().take_while(must_move).copied().filter(|&i| self.near_mates[i as usize] == FREE).collect()
    }

    /// Sorts far points by the length of the shortest path from a source, up to the first that are free.
    fn layers(&mut self, sources: &[u32], distance: f64) -> Result<Vec<Remaining>, NoneBelow> {
        self.unreached.put_back_all();
        let mut layers = Vec::new();
        let mut reached = sources.to_vec();
        let mut next = 0;
        while next < reached.len() {
            let mut layer = Vec::new();
            for &i in &reached[next..] {
                while let Some(j) = self.unreached.take_within(self.near[i as usize], distance) {
                    layer.push(j);
                }
            }
            layers.push(Remaining::new(Tree::new(self.far, layer.iter().copied())));
            if layer.iter().any(|&j| self.far_mates[j as usize] == FREE) {
                return Ok(layers);
            }
            next = reached.len();
            reached.extend(layer.iter().map(|&j| self.far_mates[j as usize]));
        }
        Err(self.none_below(&reached))
    }

    /// The least distance at which one of the near points reached may stay at the diagonal, or has a new neighbour.
    fn none_below(&self, reached: &[u32]) -> NoneBelow {
        let points = reached.iter().map(|&i| self.near[i as usize]);
        NoneBelow(points.fold(f64::INFINITY, |least, point| {
            self.unreached.nearest_within(point, least.min(point.diagonal_distance()))
        }))
    }

    /// Matches a source along a path that takes one far point of each layer, if there is one.
    fn augment(&mut self, source: u32, layers: &mut [Remaining], distance: f64) {
        let mut path = vec![source];
        let mut mates = Vec::new();
        while let Some(&i) = path.last() {
            let layer = layers.get_mut(path.len() - 1);
            match layer.and_then(|layer| layer.take_within(self.near[i as usize], distance)) {
                None => {
                    path.pop();
                    mates.pop();
                }
                Some(j) => {
                    mates.push(j);
                    let holder = self.far_mates[j as usize];
                    if holder == FREE {
                        return self.flip(&path, &mates);
                    }
                    path.push(holder);
                }
            }
        }
    }

    fn flip(&mut self, path: &[u32], mates: &[u32]) {
        for (&i, &j) in path.iter().zip(mates) {
            self.near_mates[i as usize] = j;
            self.far_mates[j as usize] = i;
        }
    }

    fn longest_move(&self) -> f64 {
        let moves = self.near.iter().zip(&self.near_mates).map(|(point, &mate)| match mate {
            FREE => point.diagonal_distance(),
            j => point.distance(self.far[j as usize]),
        });
        moves.fold(0.0, f64::max)
    }
}
