//! Distances between diagrams, against stored values, slow oracles and the axioms.

use std::f64::consts::{FRAC_1_SQRT_2, SQRT_2};
use std::fs;

use proptest::prelude::*;
use ripsaw::GroundNorm::{L2, LInfinity};
use ripsaw::WassersteinOrder::{One, Two};
use ripsaw::{
    Bar, DiagramDistanceError, DiagramMetric, DistanceOptions, GroundNorm, InfiniteBars, WassersteinOrder, bottleneck,
    diagram_distance_matrix, legacy_sorted_l1, wasserstein,
};
use serde_json::Value;

use crate::{bars, npy};

const KINDS: [(WassersteinOrder, GroundNorm); 4] = [(One, LInfinity), (One, L2), (Two, LInfinity), (Two, L2)];
/// The bottleneck distance and the four of Wasserstein.
const METRICS: [DiagramMetric; 5] = [
    DiagramMetric::Bottleneck,
    DiagramMetric::Wasserstein(One, LInfinity),
    DiagramMetric::Wasserstein(One, L2),
    DiagramMetric::Wasserstein(Two, LInfinity),
    DiagramMetric::Wasserstein(Two, L2),
];

fn distance(a: &[Bar], b: &[Bar], metric: DiagramMetric, options: &DistanceOptions) -> f64 {
    match metric {
        DiagramMetric::Bottleneck => bottleneck(a, b, options).unwrap(),
        DiagramMetric::Wasserstein(order, norm) => wasserstein(a, b, order, norm, options).unwrap(),
    }
}

fn exact_distance(a: &[Bar], b: &[Bar], metric: DiagramMetric) -> f64 {
    distance(a, b, metric, &DistanceOptions::default())
}

/// The cost of a move in the norm, before it is raised to a power; the bottleneck distance takes L∞.
fn move_length(across: f64, up: f64, metric: DiagramMetric) -> f64 {
    match metric {
        DiagramMetric::Wasserstein(_, L2) => across.hypot(up),
        _ => across.abs().max(up.abs()),
    }
}

fn pair_length(a: Bar, b: Bar, metric: DiagramMetric) -> f64 {
    move_length(a.birth - b.birth, a.death - b.death, metric)
}

/// The nearest point of the diagonal is halfway between birth and death.
fn diagonal_length(bar: Bar, metric: DiagramMetric) -> f64 {
    move_length(bar.length() / 2.0, bar.length() / 2.0, metric)
}

/// Tries every matching: each bar of `a` in turn moves to the diagonal or takes a bar of `b` that is left.
fn slow_distance(a: &[Bar], b: &[Bar], metric: DiagramMetric) -> f64 {
    let join = |total: f64, length: f64| match metric {
        DiagramMetric::Bottleneck => total.max(length),
        DiagramMetric::Wasserstein(One, _) => total + length,
        DiagramMetric::Wasserstein(Two, _) => total + length * length,
    };
    let total = match a {
        [] => b.iter().fold(0.0, |total, &bar| join(total, diagonal_length(bar, metric))),
        [first, rest @ ..] => {
            let raised = |a: &[Bar], b: &[Bar]| match metric {
                DiagramMetric::Wasserstein(Two, _) => slow_distance(a, b, metric).powi(2),
                _ => slow_distance(a, b, metric),
            };
            let mut least = join(raised(rest, b), diagonal_length(*first, metric));
            for j in 0..b.len() {
                let others = [&b[..j], &b[j + 1..]].concat();
                least = least.min(join(raised(rest, &others), pair_length(*first, b[j], metric)));
            }
            least
        }
    };
    if matches!(metric, DiagramMetric::Wasserstein(Two, _)) { total.sqrt() } else { total }
}

/// The assignment problem of all bars and a copy of the diagonal for each, by the dense Hungarian method.
fn dense_wasserstein(a: &[Bar], b: &[Bar], order: WassersteinOrder, norm: GroundNorm) -> f64 {
    let metric = DiagramMetric::Wasserstein(order, norm);
    let power = if order == One { 1 } else { 2 };
    let cost = |i: usize, j: usize| match (a.get(i), b.get(j)) {
        (Some(&x), Some(&y)) => pair_length(x, y, metric).powi(power),
        (Some(&x), None) => diagonal_length(x, metric).powi(power),
        (None, Some(&y)) => diagonal_length(y, metric).powi(power),
        (None, None) => 0.0,
    };
    let total = hungarian(a.len() + b.len(), cost);
    if order == One { total } else { total.sqrt() }
}

/// The least total of a square matrix with one entry for each row and column; indices count from 1, and 0 is no row.
fn hungarian(count: usize, cost: impl Fn(usize, usize) -> f64) -> f64 {
    let (mut u, mut v, mut row_of) = (vec![0.0; count + 1], vec![0.0; count + 1], vec![0; count + 1]);
    for row in 1..=count {
        let (mut least, mut way, mut used) =
            (vec![f64::INFINITY; count + 1], vec![0; count + 1], vec![false; count + 1]);
        row_of[0] = row;
        let mut column = 0;
        while row_of[column] != 0 {
            used[column] = true;
            let (i, mut step, mut next) = (row_of[column], f64::INFINITY, 0);
            for j in (1..=count).filter(|&j| !used[j]) {
                let slack = cost(i - 1, j - 1) - u[i] - v[j];
                if slack < least[j] {
                    (least[j], way[j]) = (slack, column);
                }
                if least[j] < step {
                    (step, next) = (least[j], j);
                }
            }
            for j in 0..=count {
                if used[j] {
                    u[row_of[j]] += step;
                    v[j] -= step;
                } else {
                    least[j] -= step;
                }
            }
            column = next;
        }
        while column != 0 {
            row_of[column] = row_of[way[column]];
            column = way[column];
        }
    }
    (1..=count).map(|j| cost(row_of[j] - 1, j - 1)).sum()
}

/// Bars with coordinates on a grid, which tie, coincide and have length zero, or anywhere.
fn some_bars(count_max: usize) -> impl Strategy<Value = Vec<Bar>> {
    let grid = prop::collection::vec((0i8..8, 0i8..8), 0..=count_max)
        .prop_map(|pairs| pairs.into_iter().map(|(x, y)| (f64::from(x.min(y)), f64::from(x.max(y))).into()).collect());
    let free = prop::collection::vec((-1.0..1.0, 0.0..1.0), 0..=count_max)
        .prop_map(|pairs: Vec<(f64, f64)>| pairs.into_iter().map(|(x, length)| (x, x + length).into()).collect());
    // Far from the diagonal, so that most bars are matched.
    let far = prop::collection::vec((0i8..8, 20i8..28), 0..=count_max)
        .prop_map(|pairs| pairs.into_iter().map(|(x, y)| (f64::from(x), f64::from(y)).into()).collect());
    prop_oneof![grid, free, far]
}

fn assert_near(got: f64, expected: f64, what: &str) {
    assert!((got - expected).abs() <= 1e-9 * expected.max(1.0), "{what}: {got} {expected}");
}

#[test]
fn stored_distances_are_met() {
    let read =
        |name: &str| -> Value { serde_json::from_str(&fs::read_to_string(npy::fixture(name)).unwrap()).unwrap() };
    let diagram = |name: &Value, dimension: &Value| -> Vec<Bar> {
        let json = read(&format!("{}.json", name.as_str().unwrap()));
        let rows = json["dgms"][format!("H{dimension}")].as_array().unwrap().clone();
        rows.iter().map(|row| (row[0].as_f64().unwrap(), row[1].as_f64().unwrap_or(f64::INFINITY)).into()).collect()
    };
    let rows = read("distances.json");
    let options = DistanceOptions::default().with_infinite_bars(InfiniteBars::Drop);
    assert!(rows.as_array().unwrap().len() >= 20);
    for row in rows.as_array().unwrap() {
        let (a, b) = (diagram(&row["a"], &row["dim"]), diagram(&row["b"], &row["dim"]));
        let check = |key: &str, got: f64| {
            let expected = row[key].as_f64().unwrap();
            assert!((got - expected).abs() <= 1e-9 * expected.max(1.0), "{row}: {key} is {got}");
        };
        for (key, metric) in ["bottleneck", "w1_qinf", "w1_q2", "w2_qinf", "w2_q2"].into_iter().zip(METRICS) {
            check(key, distance(&a, &b, metric, &options));
        }
        check("upstream_sorted_l1", legacy_sorted_l1(&a, &b).unwrap());
    }
}

#[test]
fn one_bar_against_none_is_its_way_to_the_diagonal() {
    let bar = bars([(1.0, 5.0)]);
    let expected = [2.0, 2.0, 4.0 * FRAC_1_SQRT_2, 2.0, 4.0 * FRAC_1_SQRT_2];
    for (metric, expected) in METRICS.into_iter().zip(expected) {
        assert_near(exact_distance(&bar, &[], metric), expected, &format!("{metric:?}"));
        assert_eq!(exact_distance(&[], &[], metric).to_bits(), 0, "plus zero");
    }
}

#[test]
fn bars_that_never_die_are_matched_by_birth() {
    let a = bars([(4.0, f64::INFINITY), (0.0, f64::INFINITY), (1.0, 3.0)]);
    let b = bars([(1.0, f64::INFINITY), (6.0, f64::INFINITY), (1.0, 3.0)]);
    let expected = [2.0, 3.0, 3.0, 5f64.sqrt(), 5f64.sqrt()];
    for (metric, expected) in METRICS.into_iter().zip(expected) {
        assert_near(exact_distance(&a, &b, metric), expected, &format!("{metric:?}"));
        assert_eq!(exact_distance(&a, &b[1..], metric), f64::INFINITY);
        let dropped = DistanceOptions::default().with_infinite_bars(InfiniteBars::Drop);
        assert_eq!(distance(&a, &b[1..], metric, &dropped), 0.0);
    }
}

#[test]
fn huge_and_tiny_bars_neither_overflow_nor_vanish() {
    for factor in [1e300, 1e-300] {
        let scaled = |pairs: [(f64, f64); 2]| bars(pairs.map(|(birth, death)| (birth * factor, death * factor)));
        let (a, b) = (scaled([(0.0, 4.0), (1.0, 8.0)]), scaled([(0.5, 4.0), (1.0, 9.0)]));
        assert!((exact_distance(&a, &b, DiagramMetric::Wasserstein(Two, L2)) / factor - 1.25f64.sqrt()).abs() < 1e-9);
        assert!((exact_distance(&a, &b, DiagramMetric::Bottleneck) / factor - 1.0).abs() < 1e-9);
    }
    let huge = bars([(-f64::MAX, f64::MAX)]);
    assert_eq!(exact_distance(&huge, &[], DiagramMetric::Bottleneck), f64::MAX);
    assert_eq!(wasserstein(&huge, &[], One, L2, &DistanceOptions::default()), Err(DiagramDistanceError::Overflow));
    assert_eq!(legacy_sorted_l1(&huge, &[]), Err(DiagramDistanceError::Overflow));
}

#[test]
fn an_infinite_bar_that_is_dropped_does_not_blunt_the_rest() {
    let a = bars([(0.0, 1e-200), (1e200, f64::INFINITY)]);
    let dropped = DistanceOptions::default().with_infinite_bars(InfiniteBars::Drop);
    assert_near(distance(&a, &[], DiagramMetric::Wasserstein(Two, LInfinity), &dropped) * 1e200, 0.5, "W2");
}

#[test]
fn bad_bars_and_options_are_named() {
    let good = bars([(0.0, 1.0)]);
    let message = |bad: &[Bar]| {
        let error = bottleneck(&good, bad, &DistanceOptions::default()).unwrap_err();
        let source = std::error::Error::source(&error).unwrap().to_string();
        let again = wasserstein(&good, bad, One, L2, &DistanceOptions::default()).unwrap_err();
        assert_eq!(format!("{error:?}"), format!("{again:?}"));
        assert_eq!(format!("{error:?}"), format!("{:?}", legacy_sorted_l1(&good, bad).unwrap_err()));
        assert_eq!(error.to_string(), "diagram 1 holds a bar that makes no sense");
        source
    };
    assert_eq!(message(&bars([(0.0, f64::NAN)])), "bar 0 must have numbers for birth and death, got 0 and NaN");
    assert_eq!(message(&bars([(0.0, 1.0), (2.0, 1.0)])), "bar 1 must not die before its birth at 2, got death 1");
    assert_eq!(message(&bars([(f64::NEG_INFINITY, 1.0)])), "bar 0 must have a finite birth, got -inf");
    for got in [-0.1, f64::NAN, f64::INFINITY] {
        let options = DistanceOptions::default().with_relative_error(got);
        let error = bottleneck(&good, &good, &options).unwrap_err();
        assert_eq!(error.to_string(), format!("the relative error must be finite and not below 0, got {got}"));
    }
    let overflow = DiagramDistanceError::Overflow.to_string();
    assert_eq!(overflow, "the distance must be at most 1.7976931348623157e308, got more");
}

#[test]
fn heaps_of_equal_bars_are_matched_one_to_one() {
    // Every pair costs the same, so that the nearest ones of all bars are the same few.
    let (a, b) = (vec![Bar { birth: 0.0, death: 10.0 }; 300], vec![Bar { birth: 3.0, death: 14.0 }; 300]);
    let count = 300f64;
    let expected = [4.0, 4.0 * count, 5.0 * count, 4.0 * count.sqrt(), 5.0 * count.sqrt()];
    for (metric, expected) in METRICS.into_iter().zip(expected) {
        assert_near(exact_distance(&a, &b, metric), expected, &format!("{metric:?}"));
        // Half of the bars have to move to the diagonal, for 5 or 5 √2.
        let far = exact_distance(&a, &b[..150], metric);
        let mixed =
            [5.0, 9.0 * 150.0, (5.0 + 5.0 * SQRT_2) * 150.0, (41.0 * 150.0f64).sqrt(), (75.0 * 150.0f64).sqrt()];
        let place = METRICS.iter().position(|&other| other == metric).unwrap();
        assert_near(far, mixed[place], &format!("half, {metric:?}"));
    }
}

#[test]
fn the_legacy_number_ignores_births() {
    let (a, b) = (bars([(0.0, 3.0), (7.0, 8.0)]), bars([(100.0, 103.0)]));
    assert_eq!(legacy_sorted_l1(&a, &b).unwrap(), 1.0);
    assert_eq!(legacy_sorted_l1(&b, &a).unwrap(), 1.0);
    assert_eq!(legacy_sorted_l1(&[], &bars([(0.0, f64::INFINITY)])).unwrap().to_bits(), 0);
}

/// Bars from a fixed sequence: births in the unit interval, most lengths short.
fn many_bars(count: usize, seed: u64) -> Vec<Bar> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..count).map(|_| (next(), next())).map(|(birth, length)| (birth, birth + length.powi(4)).into()).collect()
}

#[test]
fn a_matrix_is_symmetric_and_the_same_on_any_number_of_threads() {
    let diagrams: Vec<Vec<Bar>> = (0..12).map(|seed| many_bars(seed as usize * 5, seed)).collect();
    for metric in METRICS {
        let matrix =
            |threads| diagram_distance_matrix(&diagrams, metric, &DistanceOptions::default(), threads).unwrap();
        let one = matrix(1);
        for (i, a) in diagrams.iter().enumerate() {
            for (j, b) in diagrams.iter().enumerate() {
                assert_eq!(one[i * 12 + j].to_bits(), exact_distance(a, b, metric).to_bits(), "{i} {j}");
            }
        }
        for threads in [0, 2, 4, 1000] {
            assert_eq!(matrix(threads), one);
        }
    }
    let none = diagram_distance_matrix::<Vec<Bar>>(&[], DiagramMetric::Bottleneck, &DistanceOptions::default(), 4);
    assert_eq!(none, Ok(Vec::new()));
    let bad = [bars([]), bars([(0.0, 1.0)]), bars([(1.0, 0.0)])];
    let error = diagram_distance_matrix(&bad, DiagramMetric::Bottleneck, &DistanceOptions::default(), 2).unwrap_err();
    assert!(matches!(error, DiagramDistanceError::Diagram { index: 2, .. }));
}

proptest! {
    #[test]
    fn few_bars_agree_with_all_matchings(a in some_bars(5), b in some_bars(5)) {
        for metric in METRICS {
            let (fast, slow) = (exact_distance(&a, &b, metric), slow_distance(&a, &b, metric));
            prop_assert!((fast - slow).abs() <= 1e-9 * slow.max(1.0), "{:?}: {} {}", metric, fast, slow);
        }
    }

    #[test]
    fn equal_births_agree_with_all_matchings(
        a in prop::collection::vec(0i8..12, 0..=5), b in prop::collection::vec(0i8..12, 0..=5), birth in -3i8..3
    ) {
        let diagram = |lengths: Vec<i8>| -> Vec<Bar> {
            lengths.into_iter().map(|length| (f64::from(birth), f64::from(birth + length)).into()).collect()
        };
        let (a, b) = (diagram(a), diagram(b));
        for metric in METRICS {
            let (fast, slow) = (exact_distance(&a, &b, metric), slow_distance(&a, &b, metric));
            prop_assert!((fast - slow).abs() <= 1e-9 * slow.max(1.0), "{:?}: {} {}", metric, fast, slow);
        }
    }

    #[test]
    fn more_bars_agree_with_the_dense_hungarian_method(a in some_bars(40), b in some_bars(40)) {
        for (order, norm) in KINDS {
            let fast = exact_distance(&a, &b, DiagramMetric::Wasserstein(order, norm));
            let slow = dense_wasserstein(&a, &b, order, norm);
            prop_assert!((fast - slow).abs() <= 1e-9 * slow.max(1.0), "{:?} {:?}: {} {}", order, norm, fast, slow);
        }
    }

    #[test]
    fn distances_obey_the_axioms(a in some_bars(30), b in some_bars(30), c in some_bars(30)) {
        for metric in METRICS {
            let [ab, bc, ac] = [(&a, &b), (&b, &c), (&a, &c)].map(|(x, y)| exact_distance(x, y, metric));
            prop_assert_eq!(ab.to_bits(), exact_distance(&b, &a, metric).to_bits());
            prop_assert!(ac <= (ab + bc) * (1.0 + 1e-9));
            let reversed: Vec<Bar> = a.iter().rev().copied().collect();
            prop_assert_eq!(exact_distance(&a, &reversed, metric).to_bits(), 0);
        }
    }

    #[test]
    fn distances_are_ordered(a in some_bars(30), b in some_bars(30)) {
        // No move is longer than the root of the sum of squares, nor that than the sum; L2 is L∞ up to √2.
        let [w_bottleneck, w1, w1_l2, w2, w2_l2] = METRICS.map(|metric| exact_distance(&a, &b, metric));
        let le = |x: f64, y: f64| x <= y * (1.0 + 1e-9);
        prop_assert!(le(w_bottleneck, w2) && le(w2, w1));
        prop_assert!(le(w1, w1_l2) && le(w1_l2, SQRT_2 * w1) && le(w2, w2_l2) && le(w2_l2, SQRT_2 * w2));
    }

    #[test]
    fn small_moves_make_small_distances(a in some_bars(30), step in 0.0..0.1f64) {
        let moved: Vec<Bar> = a.iter().map(|bar| Bar { birth: bar.birth - step, death: bar.death + step / 2.0 }).collect();
        prop_assert!(exact_distance(&a, &moved, DiagramMetric::Bottleneck) <= step * (1.0 + 1e-9) + 1e-12);
        let bound = step * a.len() as f64;
        prop_assert!(exact_distance(&a, &moved, DiagramMetric::Wasserstein(One, LInfinity)) <= bound * (1.0 + 1e-9) + 1e-12);
    }

    #[test]
    fn an_approximation_is_never_below_and_not_far_above(seed in any::<u64>(), error in 0.001..1.0f64) {
        let (a, b) = (many_bars(80, seed), many_bars(60, seed.wrapping_add(1)));
        let options = DistanceOptions::default().with_relative_error(error);
        for metric in METRICS {
            let (near, exact) = (distance(&a, &b, metric, &options), exact_distance(&a, &b, metric));
            prop_assert!(exact <= near * (1.0 + 1e-12) && near <= (1.0 + error) * exact * (1.0 + 1e-12));
        }
    }

    #[test]
    fn a_bottleneck_distance_is_the_length_of_a_move(seed in any::<u64>()) {
        let (a, b) = (many_bars(60, seed), many_bars(50, seed.wrapping_add(1)));
        // Scaling by a power of two inside changes no bit.
        let distance = exact_distance(&a, &b, DiagramMetric::Bottleneck);
        let to_diagonal = a.iter().chain(&b).any(|&bar| diagonal_length(bar, DiagramMetric::Bottleneck) == distance);
        let to_bar = || a.iter().any(|&x| b.iter().any(|&y| pair_length(x, y, DiagramMetric::Bottleneck) == distance));
        prop_assert!(to_diagonal || to_bar());
    }
}
