//! The cheapest way to match two sets of points with each other and with the diagonal.
//!
//! All copies of the diagonal cost nothing among themselves, so one node stands for them. What is left is the linear
//! programme "maximise Σ u + Σ v where u ≤ a, v ≤ b, u + v ≤ c", with `a` and `b` the costs of moving a point to the
//! diagonal and `c` the costs of the pairs; its dual is the matching. It is solved by shortest augmenting paths after
//! auction rounds without slack (`jonker1987`), on a few near pairs of each point. A k-d tree then finds the pairs that
//! the duals violate; they join, and the loop repeats until there are none, so that the result is exact over all pairs.
//!
//! Invariant between steps: a pair that is matched, or a point that is matched to the diagonal, is tight, and no
//! constraint of a pair that has joined is violated but by rounding. Any `u` and `v` that obey every constraint bound the
//! cost from below; that is what an approximate answer stops by.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::ground::{Ground, Point};
use super::tree::Tree;

/// The mate of a point that has none yet.
const FREE: u32 = u32::MAX;
/// The mate of a point that moves to the diagonal.
const DIAGONAL: u32 = u32::MAX - 1;
/// Pairs by which each point starts.
const NEAREST: usize = 12;
/// Violated pairs that join for each point and round, at most: so many of those violated most, and so many others.
const JOINING: usize = 6;
/// Bids of the auction for each point, on average and at most.
const BIDS: usize = 40;

/// Returns the least total cost, or one larger by `relative_error` of the distance at most.
///
/// `relative_error` is that of the distance, which is the root of the total where costs are squares.
pub(super) fn least_total(a: &[Point], b: &[Point], ground: Ground, relative_error: f64) -> f64 {
    let mut problem = Problem::new(a, b, ground);
    problem.join_nearest();
    problem.bid();
    loop {
        problem.augment_all();
        let is_optimal = !problem.join_violated();
        if is_optimal || problem.is_within(relative_error) {
            return problem.total();
        }
    }
}

struct Problem {
    ground: Ground,
    a: Side,
    b: Side,
    a_tree: Tree,
    b_tree: Tree,
    search: Search,
}

/// One diagram: its points, what they are worth, and the pairs that have joined.
struct Side {
    points: Vec<Point>,
    /// The cost of moving each point to the diagonal.
    diagonal_costs: Vec<f64>,
    duals: Vec<f64>,
    mates: Vec<u32>,
    pairs: Vec<Vec<Pair>>,
}

#[derive(Clone, Copy)]
struct Pair {
    other: u32,
    cost: f64,
}

impl Problem {
    fn new(a: &[Point], b: &[Point], ground: Ground) -> Self {
        let tree = |points: &[Point]| Tree::new(points, 0..points.len() as u32);
        Self {
            ground,
            a_tree: tree(a),
            b_tree: tree(b),
            a: Side::new(a, ground),
            b: Side::new(b, ground),
            search: Search::default(),
        }
    }

    /// Lets the nearest pairs of each point join.
    fn join_nearest(&mut self) {
        let from_a = nearest_pairs(&self.a, &self.b, &self.b_tree, self.ground);
        let from_b = nearest_pairs(&self.b, &self.a, &self.a_tree, self.ground);
        let from_b = from_b.into_iter().map(|(j, pair)| (pair.other, Pair { other: j, cost: pair.cost }));
        let mut all: Vec<(u32, Pair)> = from_a.into_iter().chain(from_b).collect();
        all.sort_unstable_by_key(|&(i, pair)| (i, pair.other));
        all.dedup_by_key(|&mut (i, pair)| (i, pair.other));
        self.join(&all);
    }

    fn join(&mut self, pairs: &[(u32, Pair)]) {
        for &(i, pair) in pairs {
            self.a.pairs[i as usize].push(pair);
            self.b.pairs[pair.other as usize].push(Pair { other: i, cost: pair.cost });
        }
    }

    /// Matches most points cheaply, first by bids of the one side, then by bids of the other.
    fn bid(&mut self) {
        bid(&mut self.a, &mut self.b);
        bid(&mut self.b, &mut self.a);
    }

    /// Matches every point that is free; optimal over the pairs that have joined.
    fn augment_all(&mut self) {
        for i in self.a.free() {
            self.search.augment(&mut self.a, &mut self.b, i);
        }
        for j in self.b.free() {
            self.search.augment(&mut self.b, &mut self.a, j);
        }
    }

    /// Lets violated pairs join and lowers duals until none is violated; returns whether there were any.
    ///
    /// A point whose dual falls is free again.
    fn join_violated(&mut self) -> bool {
        let largest = self.b_tree.largest(&self.b.duals);
        let mut joining = Vec::new();
        let mut violated = Violated::default();
        for i in 0..self.a.points.len() {
            violated.clear();
            self.find_violated(i, &largest, &mut violated);
            if let Some(&(dual, _)) = violated.worst.first() {
                self.a.duals[i] = dual;
                let mate = std::mem::replace(&mut self.a.mates[i], FREE);
                if mate < DIAGONAL {
                    self.b.mates[mate as usize] = FREE;
                }
                joining.extend(violated.pairs().map(|pair| (i as u32, pair)));
            }
        }
        self.join(&joining);
        !joining.is_empty()
    }

    /// Finds pairs of a point that are violated and have not joined.
    fn find_violated(&self, i: usize, largest: &[f64], violated: &mut Violated) {
        let (point, dual) = (self.a.points[i], self.a.duals[i]);
        let ground = self.ground;
        let enter = |place: usize, across, up| ground.move_cost(across, up) - largest[place] < dual;
        self.b_tree.visit(point, enter, |other, j| {
            let cost = ground.cost(point, other);
            let other_dual = self.b.duals[j as usize];
            let allowed = cost - other_dual;
            let rounding = 4.0 * f64::EPSILON * (cost + other_dual.abs() + dual.abs());
            if allowed < dual - rounding {
                let is_new = || !self.a.pairs[i].iter().any(|pair| pair.other == j);
                violated.offer(allowed, shuffled(i as u32, j), is_new, Pair { other: j, cost });
            }
        });
    }

    /// Whether the distance of the matching at hand is within this relative error of the least, by the duals.
    fn is_within(&self, relative_error: f64) -> bool {
        let bound: f64 = self.a.duals.iter().chain(&self.b.duals).sum();
        self.ground.root(self.total()) <= (1.0 + relative_error) * self.ground.root(bound.max(0.0))
    }

    /// The cost of the matching; points that are free move to the diagonal.
    fn total(&self) -> f64 {
        let a_costs = self.a.mates.iter().enumerate().map(|(i, &mate)| match mate {
            FREE | DIAGONAL => self.a.diagonal_costs[i],
            j => self.ground.cost(self.a.points[i], self.b.points[j as usize]),
        });
        let b_mates = self.b.mates.iter().zip(&self.b.diagonal_costs);
        let b_costs = b_mates.filter(|&(&mate, _)| mate >= DIAGONAL).map(|(_, &cost)| cost);
        a_costs.chain(b_costs).sum::<f64>() + 0.0
    }
}

impl Side {
    fn new(points: &[Point], ground: Ground) -> Self {
        Self {
            points: points.to_vec(),
            diagonal_costs: points.iter().map(|point| ground.diagonal_cost(point.length())).collect(),
            duals: vec![0.0; points.len()],
            mates: vec![FREE; points.len()],
            pairs: vec![Vec::new(); points.len()],
        }
    }

    fn free(&self) -> Vec<u32> {
        (0u32..).zip(&self.mates).filter(|&(_, &mate)| mate == FREE).map(|(i, _)| i).collect()
    }
}

/// Finds for each point the nearest on the other side that would cost less than the diagonal.
fn nearest_pairs(near: &Side, far: &Side, far_tree: &Tree, ground: Ground) -> Vec<(u32, Pair)> {
    let largest = far_tree.largest(&far.diagonal_costs);
    let mut pairs = Vec::with_capacity(near.points.len() * NEAREST);
    for (i, (&point, &diagonal_cost)) in near.points.iter().zip(&near.diagonal_costs).enumerate() {
        let kept = std::cell::RefCell::new(Vec::with_capacity(NEAREST + 1));
        let limit = || kept.borrow().get(NEAREST - 1).map_or(f64::INFINITY, |&(last, _): &(f64, Pair)| last);
        let enter = |place: usize, across, up| {
            let cost = ground.move_cost(across, up);
            cost < limit() && cost < diagonal_cost + largest[place]
        };
        far_tree.visit(point, enter, |other, j| {
            let cost = ground.cost(point, other);
            if cost < limit() && cost < diagonal_cost + far.diagonal_costs[j as usize] {
                keep_least(&mut kept.borrow_mut(), NEAREST, (cost, Pair { other: j, cost }));
            }
        });
        pairs.extend(kept.into_inner().into_iter().map(|(_, pair)| (i as u32, pair)));
    }
    pairs
}

/// Keeps some of the violated pairs of one point.
///
/// The worst alone would do, but slowly where many points lie together: all their neighbours would choose the same few.
#[derive(Default)]
struct Violated {
    /// Those violated most, with the dual that each allows.
    worst: Vec<(f64, Pair)>,
    /// Others, by a number as good as drawn.
    others: Vec<(f64, Pair)>,
}

impl Violated {
    fn clear(&mut self) {
        self.worst.clear();
        self.others.clear();
    }

    fn offer(&mut self, allowed: f64, drawn: f64, is_new: impl Fn() -> bool, pair: Pair) {
        let fits = |kept: &[(f64, Pair)], value: f64| kept.get(JOINING - 1).is_none_or(|&(last, _)| value < last);
        let (is_worst, is_drawn) = (fits(&self.worst, allowed), fits(&self.others, drawn));
        if (is_worst || is_drawn) && is_new() {
            if is_worst {
                keep_least(&mut self.worst, JOINING, (allowed, pair));
            }
            if is_drawn {
                keep_least(&mut self.others, JOINING, (drawn, pair));
            }
        }
    }

    fn pairs(&self) -> impl Iterator<Item = Pair> {
        let is_other = |pair: &Pair| self.worst.iter().all(|(_, worst)| worst.other != pair.other);
        let others = self.others.iter().map(|&(_, pair)| pair).filter(is_other);
        self.worst.iter().map(|&(_, pair)| pair).chain(others)
    }
}

/// A number for a pair that looks drawn by chance and is always the same (the last steps of `SplitMix64`).
fn shuffled(i: u32, j: u32) -> f64 {
    let mut bits = (u64::from(i) << 32 | u64::from(j)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    (bits >> 11) as f64
}

/// Inserts into a short sorted list of at most so many.
fn keep_least(kept: &mut Vec<(f64, Pair)>, count_max: usize, new: (f64, Pair)) {
    let place = kept.partition_point(|&(value, _)| value <= new.0);
    kept.insert(place, new);
    kept.truncate(count_max);
}

/// Lets free points bid for their best mate, by as much as keeps it their best (`bertsekas1992` without slack).
///
/// A bid that would gain nothing on the mate's holder is left to the search.
fn bid(near: &mut Side, far: &mut Side) {
    let mut waiting = near.free();
    let mut budget = BIDS * waiting.len();
    while let Some(i) = waiting.pop() {
        if budget == 0 {
            break;
        }
        budget -= 1;
        let offer = best_offer(near, far, i as usize);
        let Some(j) = offer.mate else {
            near.duals[i as usize] = offer.best;
            near.mates[i as usize] = DIAGONAL;
            continue;
        };
        near.duals[i as usize] = offer.second;
        let holder = far.mates[j as usize];
        if offer.second <= offer.best && holder < DIAGONAL {
            continue;
        }
        far.duals[j as usize] -= offer.second - offer.best;
        far.mates[j as usize] = i;
        near.mates[i as usize] = j;
        if holder < DIAGONAL {
            near.mates[holder as usize] = FREE;
            waiting.push(holder);
        }
    }
    for i in waiting {
        near.duals[i as usize] = best_offer(near, far, i as usize).best;
    }
}

/// The least and the second least of what a point can have; no mate stands for the diagonal.
struct Offer {
    best: f64,
    second: f64,
    mate: Option<u32>,
}

fn best_offer(near: &Side, far: &Side, i: usize) -> Offer {
    let mut offer = Offer { best: near.diagonal_costs[i], second: f64::INFINITY, mate: None };
    for pair in &near.pairs[i] {
        let value = pair.cost - far.duals[pair.other as usize];
        if value < offer.best {
            offer = Offer { best: value, second: offer.best, mate: Some(pair.other) };
        } else if value < offer.second {
            offer.second = value;
        }
    }
    offer
}

/// Finds shortest augmenting paths; holds what one search leaves for the next to use again.
#[derive(Default)]
struct Search {
    /// Distance of each far point, infinite unless touched; the searches of both sides share it.
    distances: Vec<f64>,
    parents: Vec<u32>,
    touched: Vec<u32>,
    settled: Vec<(u32, f64)>,
    /// Far points to go on from; distances are not negative, so their bits are in order.
    heap: BinaryHeap<Reverse<(u64, u32)>>,
    /// The shortest way out so far: its length, its last near point, and what that point gets.
    length: f64,
    last: u32,
    given: u32,
}

impl Search {
    /// Matches a free near point along a shortest path, whose end is free or gives up the diagonal, or moves there.
    fn augment(&mut self, near: &mut Side, far: &mut Side, source: u32) {
        self.start(near.points.len().max(far.points.len()));
        self.settle(near, far, source, 0.0);
        while let Some(Reverse((bits, j))) = self.heap.pop() {
            let distance = f64::from_bits(bits);
            if distance >= self.length {
                break;
            }
            if distance <= self.distances[j as usize] {
                self.settle(near, far, far.mates[j as usize], distance);
            }
        }
        self.update_duals(near, far);
        self.flip(near, far, source);
    }

    fn start(&mut self, count: usize) {
        self.distances.resize(count, f64::INFINITY);
        self.parents.resize(count, FREE);
        for j in self.touched.drain(..) {
            self.distances[j as usize] = f64::INFINITY;
        }
        self.settled.clear();
        self.heap.clear();
        self.length = f64::INFINITY;
    }

    /// Fixes the distance of a near point and looks at all ways on from it.
    fn settle(&mut self, near: &Side, far: &Side, i: u32, distance: f64) {
        self.settled.push((i, distance));
        let dual = near.duals[i as usize];
        self.offer_end(distance + (near.diagonal_costs[i as usize] - dual).max(0.0), i, DIAGONAL);
        for pair in &near.pairs[i as usize] {
            let j = pair.other as usize;
            let through = distance + (pair.cost - dual - far.duals[j]).max(0.0);
            if through >= self.distances[j] || through >= self.length {
                continue;
            }
            if self.distances[j] == f64::INFINITY {
                self.touched.push(pair.other);
            }
            self.distances[j] = through;
            self.parents[j] = i;
            if far.mates[j] >= DIAGONAL {
                self.offer_end(through, i, pair.other);
            } else {
                self.heap.push(Reverse((through.to_bits(), pair.other)));
            }
        }
    }

    fn offer_end(&mut self, length: f64, last: u32, given: u32) {
        if length < self.length {
            (self.length, self.last, self.given) = (length, last, given);
        }
    }

    /// Makes every pair of the path tight and keeps all constraints.
    fn update_duals(&self, near: &mut Side, far: &mut Side) {
        for &(i, distance) in &self.settled {
            near.duals[i as usize] += self.length - distance;
        }
        for &j in &self.touched {
            let distance = self.distances[j as usize];
            if distance < self.length {
                far.duals[j as usize] -= self.length - distance;
            }
        }
    }

    fn flip(&self, near: &mut Side, far: &mut Side, source: u32) {
        let (mut i, mut given) = (self.last, self.given);
        loop {
            let before = std::mem::replace(&mut near.mates[i as usize], given);
            if given != DIAGONAL {
                far.mates[given as usize] = i;
            }
            if i == source {
                return;
            }
            (i, given) = (self.parents[before as usize], before);
        }
    }
}
