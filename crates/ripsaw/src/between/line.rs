//! Distances between diagrams whose bars are all born at one value, as in dimension 0.
//!
//! Such bars are points of a line, at their lengths `x ≥ 0`; two are `|x - y|` apart in both norms, and a point is
//! `k x` from the diagonal, with `k` a half for L∞ and the root of a half for L2. Costs are convex, so a best matching
//! can be taken in order, but which points stay unmatched is not a matter of order: of lengths 1 and 10 against 1, it is
//! the 10; of lengths 1 and 10 against 10, it is the 1.
//!
//! *Order one.* Costs obey the triangle inequality, the diagonal among the points, so that the matching has the dual
//! "maximise Σ φ(x) − Σ φ(y) over φ that change by at most 1 for each unit of length, with |φ(x)| ≤ k x". Going up the
//! line, the best sum as a function of the value of φ is concave and piecewise linear: a step along the line spreads it
//! to both sides, a point adds a line of slope 1 or −1, the diagonal cuts it at ±k x. Its kinks are kept as two stacks,
//! so that all takes O(n log n) time, for sorting.
//!
//! *Order two.* Costs are squares and have no such dual. The best matching in order is found in O(n m) time, about a
//! nanosecond for each of the pairs, and O(n) memory.
//!
//! *Bottleneck.* Within `δ`, the points of each side beyond `δ / k` must find mates (`mendelsohn1958`, as in the plane);
//! in order, each takes the first that is left, and the least `δ` is found by halving.

use super::bottleneck::{NoneBelow, least_feasible};
use super::ground::Ground;
use super::{GroundNorm, WassersteinOrder};

/// Returns the least total cost of matching lengths, in any order, none negative.
pub(super) fn least_total(a: &[f64], b: &[f64], ground: Ground) -> f64 {
    match ground.order {
        WassersteinOrder::One => least_total_of_lengths(a, b, ground.diagonal_share()),
        WassersteinOrder::Two => least_total_of_squares(&sorted(a), &sorted(b), ground),
    }
}

fn sorted(lengths: &[f64]) -> Vec<f64> {
    let mut lengths = lengths.to_vec();
    lengths.sort_unstable_by(f64::total_cmp);
    lengths
}

fn least_total_of_lengths(a: &[f64], b: &[f64], share: f64) -> f64 {
    let signed = |lengths: &[f64], is_first: bool| -> Vec<(f64, bool)> {
        lengths.iter().map(|&length| (length, is_first)).collect()
    };
    let mut points = [signed(a, true), signed(b, false)].concat();
    points.sort_unstable_by(|x, y| x.0.total_cmp(&y.0));
    let mut best = BestSum::default();
    for (length, is_first) in points {
        best.move_to(length, share);
        if is_first { best.add_rising() } else { best.add_falling() }
    }
    best.maximum.max(0.0)
}

/// The best sum so far as a concave function of the value of φ, by its maximum and the kinks on both sides.
///
/// The slope changes by one at each kink. Kinks are stored less the way that their side has moved; those beyond the
/// bounds count as lying on them, infinitely many more do too.
#[derive(Default)]
struct BestSum {
    at: f64,
    bound: f64,
    maximum: f64,
    /// Left of the maximum, from left to right.
    left: Vec<f64>,
    /// Right of the maximum, from right to left.
    right: Vec<f64>,
}

impl BestSum {
    /// Goes up the line: the function spreads by the step, the bounds by a share of it.
    fn move_to(&mut self, length: f64, share: f64) {
        self.at = length;
        self.bound = share * length;
    }

    /// Adds φ: the maximum moves right, over one kink.
    fn add_rising(&mut self) {
        let kink = self.right.pop().map_or(self.bound, |kink| (kink + self.at).min(self.bound));
        self.maximum += kink;
        self.left.push(kink + self.at);
    }

    /// Adds −φ: the maximum moves left, over one kink.
    fn add_falling(&mut self) {
        let kink = self.left.pop().map_or(-self.bound, |kink| (kink - self.at).max(-self.bound));
        self.maximum -= kink;
        self.right.push(kink - self.at);
    }
}

/// The costs of matching the first `i` of one side with the first `j` of the other, for all with one sum of `i` and `j` at
/// a time: none of these waits for another, so that they are computed side by side. Both sides are sorted.
fn least_total_of_squares(a: &[f64], b: &[f64], ground: Ground) -> f64 {
    let (n, m) = (a.len(), b.len());
    let b: Vec<f64> = b.iter().rev().copied().collect();
    let diagonal =
        |lengths: &[f64]| -> Vec<f64> { lengths.iter().map(|&length| ground.diagonal_cost(length)).collect() };
    let (a_costs, b_costs) = (diagonal(a), diagonal(&b));
    // By `i`; the first to be read are zero, for `i = j = 0`.
    let (mut before, mut last, mut next) = (vec![0.0; n + 1], vec![0.0; n + 1], vec![0.0; n + 1]);
    for sum in 1..=n + m {
        if sum <= m {
            next[0] = last[0] + b_costs[m - sum];
        }
        if sum <= n {
            next[sum] = last[sum - 1] + a_costs[sum - 1];
        }
        let (from, to) = (1.max(sum.saturating_sub(m)), n.min(sum - 1) + 1);
        if from < to {
            let others = m + from - sum..m + to - sum;
            let a_side = a[from - 1..to - 1].iter().zip(&a_costs[from - 1..to - 1]);
            let b_side = b[others.clone()].iter().zip(&b_costs[others]);
            let costs = before[from - 1..to - 1].iter().zip(&last[from - 1..to - 1]).zip(&last[from..to]);
            let cells = next[from..to].iter_mut().zip(costs).zip(a_side.zip(b_side));
            for ((cell, ((corner, left), above)), ((x, a_cost), (y, b_cost))) in cells {
                let kept = (left + a_cost).min(above + b_cost);
                *cell = kept.min(corner + (x - y) * (x - y));
            }
        }
        std::mem::swap(&mut before, &mut last);
        std::mem::swap(&mut last, &mut next);
    }
    last[n]
}

/// Returns the least bottleneck distance of lengths, or one larger by `relative_error` of it at most.
pub(super) fn least_distance(a: &[f64], b: &[f64], relative_error: f64) -> f64 {
    let (a, b) = (sorted(a), sorted(b));
    let share = Ground { order: WassersteinOrder::One, norm: GroundNorm::LInfinity }.diagonal_share();
    let largest = |lengths: &[f64]| lengths.last().map_or(0.0, |length| share * length);
    let high = largest(&a).max(largest(&b));
    least_feasible(0.0, high, relative_error, |distance| {
        let moves = longest_move(&a, &b, share, distance).zip(longest_move(&b, &a, share, distance));
        moves.map(|(a, b)| a.max(b)).ok_or(NoneBelow(distance.next_up()))
    })
}

/// Matches every length of `near` that is farther than `distance` from the diagonal; both are sorted.
fn longest_move(near: &[f64], far: &[f64], share: f64, distance: f64) -> Option<f64> {
    let mut longest = 0.0f64;
    let mut left = far.iter();
    for &x in near {
        if share * x <= distance {
            longest = longest.max(share * x);
            continue;
        }
        let y = left.find(|&&y| (x - y).abs() <= distance || y > x)?;
        if (x - y).abs() > distance {
            return None;
        }
        longest = longest.max((x - y).abs());
    }
    Some(longest)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::ground::Point;
    use super::super::{assignment, bottleneck};
    use super::*;

    const GROUNDS: [Ground; 4] = [
        Ground { order: WassersteinOrder::One, norm: GroundNorm::LInfinity },
        Ground { order: WassersteinOrder::One, norm: GroundNorm::L2 },
        Ground { order: WassersteinOrder::Two, norm: GroundNorm::LInfinity },
        Ground { order: WassersteinOrder::Two, norm: GroundNorm::L2 },
    ];

    /// Lengths that tie, and lengths of very different size.
    fn some_lengths() -> impl Strategy<Value = Vec<f64>> {
        let whole = prop::collection::vec((0u8..10).prop_map(f64::from), 0..60);
        let free = prop::collection::vec(0.0..1.0f64, 0..60);
        let steep = prop::collection::vec((-6.0..1.0f64).prop_map(|power| 10f64.powf(power)), 0..60);
        prop_oneof![whole, free, steep]
    }

    fn points(lengths: &[f64]) -> Vec<Point> {
        lengths.iter().map(|&death| Point { birth: 0.0, death }).collect()
    }

    #[test]
    fn the_longest_or_the_shortest_may_be_left_over() {
        let ground = GROUNDS[0];
        assert_eq!(least_total(&[1.0, 10.0], &[1.0], ground), 5.0);
        assert_eq!(least_total(&[1.0, 10.0], &[10.0], ground), 0.5);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn the_line_agrees_with_the_plane(a in some_lengths(), b in some_lengths()) {
            for ground in GROUNDS {
                let line = least_total(&a, &b, ground);
                let plane = assignment::least_total(&points(&a), &points(&b), ground, 0.0);
                prop_assert!((line - plane).abs() <= 1e-12 * plane.max(1.0), "{:?}: {} {}", ground, line, plane);
            }
            let line = least_distance(&a, &b, 0.0);
            prop_assert_eq!(line, bottleneck::least_distance(&points(&a), &points(&b), 0.0));
        }
    }
}
