//! The breaks that ruptures finds, and the default penalty on series with and without.

use std::fs;

use loopscope_analysis::chance::Chance;
use loopscope_analysis::change_points::{ChangePointError, Cost, SEGMENT_MIN, default_penalty};
use loopscope_analysis::change_points::{pelt as pelt_with, segments as segments_with};
use loopscope_analysis::series::{Series, SeriesError};
use proptest::prelude::*;
use serde_json::Value;

use crate::fixture::read_npy;

fn pelt(series: &Series<'_>, cost: Cost, penalty: f64) -> Result<Vec<usize>, ChangePointError> {
    pelt_with(series, cost, penalty, SEGMENT_MIN)
}

fn segments(series: &Series<'_>, cost: Cost, count: usize) -> Result<Vec<usize>, ChangePointError> {
    segments_with(series, cost, count, SEGMENT_MIN)
}

const NAMES: [&str; 3] = ["jump3", "none", "jump1_768like"];

fn with_series<T>(name: &str, of: impl FnOnce(&Series<'_>) -> T) -> T {
    let (values, length, dimension) = read_npy(&format!("dynamics/series_{name}.npy"));
    of(&Series::new(&values, length, dimension).unwrap())
}

fn reference(name: &str) -> serde_json::Map<String, Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dynamics/change_points.json");
    let all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    all["series"][name].as_object().unwrap().clone()
}

#[test]
fn every_stored_answer_is_ours() {
    let mut checked = 0;
    for name in NAMES {
        for (setting, breaks) in reference(name) {
            let expected: Vec<usize> = serde_json::from_value(breaks).unwrap();
            let found = with_series(name, |series| {
                if let Some(count) = setting.strip_prefix("dynp_l2_k") {
                    return segments(series, Cost::L2, count.parse().unwrap()).unwrap();
                }
                if setting == "true" {
                    // By the default penalty, whatever the kernel.
                    let costs = [Cost::Cosine, Cost::L2, Cost::rbf(series), Cost::Rbf { gamma: 1.0 }];
                    let answers = costs.map(|cost| pelt(series, cost, default_penalty(series, cost).unwrap()).unwrap());
                    assert!(answers.iter().all(|answer| *answer == answers[0]), "{name}: {answers:?}");
                    return answers[0].clone();
                }
                if setting == "reference_KernelCPD_rbf_g0.01_pen_d_lnT" {
                    let penalty = series.dimension() as f64 * (series.len() as f64).ln();
                    return pelt(series, Cost::Rbf { gamma: 0.01 }, penalty).unwrap();
                }
                let (kernel, penalty) = setting.split_once("_pen").unwrap();
                let cost = match kernel {
                    "rbf_g1" => Cost::Rbf { gamma: 1.0 },
                    "cosine" => Cost::Cosine,
                    "linear" | "pelt_l2" => Cost::L2,
                    other => panic!("{other} is a new setting"),
                };
                pelt(series, cost, penalty.parse().unwrap()).unwrap()
            });
            assert_eq!(found, expected, "{name} {setting}");
            checked += 1;
        }
    }
    assert_eq!(checked, 3 * 17);
}

fn noise(chance: &mut Chance, length: usize, dimension: usize, jump_at: usize, size: f64) -> Vec<f32> {
    (0..length)
        .flat_map(|t| (0..dimension).map(move |column| (t, column)))
        .map(|(t, column)| {
            let shift = if t >= jump_at && column == 0 { size } else { 0.0 };
            (2.0 * f64::from(u8::from(column == 1)) + shift + chance.normal()) as f32
        })
        .collect()
}

#[test]
fn the_default_penalty_seldom_cries_wolf_and_finds_a_jump() {
    let mut chance = Chance::new(21);
    for dimension in [4, 16, 64] {
        for kernel in ["cosine", "l2", "rbf"] {
            let answer = |values: &[f32]| {
                let series = Series::new(values, 100, dimension).unwrap();
                let cost = match kernel {
                    "cosine" => Cost::Cosine,
                    "l2" => Cost::L2,
                    _ => Cost::rbf(&series),
                };
                pelt(&series, cost, default_penalty(&series, cost).unwrap()).unwrap()
            };
            let alarms = (0..60).filter(|_| answer(&noise(&mut chance, 100, dimension, 100, 0.0)).len() > 1).count();
            assert!(alarms <= 3, "{kernel} in {dimension} dimensions: {alarms} alarms in 60 series without a break");
            let jump = 3.0 + (dimension as f64).sqrt();
            let found = (0..20)
                .filter(|_| {
                    let breaks = answer(&noise(&mut chance, 100, dimension, 40, jump));
                    breaks.len() == 2 && breaks[0].abs_diff(40) <= 1
                })
                .count();
            assert!(found >= 19, "{kernel} in {dimension} dimensions: {found} of 20 jumps found");
        }
    }
}

#[test]
fn degenerate_series_have_no_break_and_no_panic() {
    for cost in [Cost::Cosine, Cost::L2, Cost::Rbf { gamma: 1.0 }] {
        for length in 0..6 {
            let values = vec![0.1_f32; length * 3];
            let series = Series::new(&values, length, 3).unwrap();
            let penalty = default_penalty(&series, cost).unwrap();
            let expected: Vec<usize> = (length > 0).then_some(length).into_iter().collect();
            assert_eq!(pelt(&series, cost, penalty).unwrap(), expected, "{cost:?} {length}");
            assert_eq!(segments(&series, cost, 0).unwrap(), expected);
        }
        // Constant but for one jump: the break is where it is, though nothing scatters.
        let values: Vec<f32> = (0..40).flat_map(|t| if t < 25 { [0.3, 0.1] } else { [0.1, 0.7] }).collect();
        let series = Series::new(&values, 40, 2).unwrap();
        let penalty = default_penalty(&series, cost).unwrap();
        assert_eq!(pelt(&series, cost, penalty).unwrap(), [25, 40]);
        // All equal: rounding makes no break.
        let values = [0.1_f32, 0.7, 0.33].repeat(200);
        let series = Series::new(&values, 200, 3).unwrap();
        assert_eq!(pelt(&series, cost, default_penalty(&series, cost).unwrap()).unwrap(), [200]);
        // Two states in turn: no break, whatever the period.
        let values: Vec<f32> = (0..80).flat_map(|t| if t % 2 == 0 { [0.3, 0.1] } else { [0.1, 0.7] }).collect();
        let series = Series::new(&values, 80, 2).unwrap();
        assert_eq!(pelt(&series, cost, default_penalty(&series, cost).unwrap()).unwrap(), [80]);
    }
}

#[test]
fn what_makes_no_sense_is_refused() {
    let values = [1.0_f32, 0.0, 0.0, 0.0];
    let series = Series::new(&values, 2, 2).unwrap();
    let error = |cost, penalty| pelt(&series, cost, penalty).unwrap_err();
    assert_eq!(error(Cost::Cosine, 1.0), ChangePointError::Series(SeriesError::ZeroVector { row: 1 }));
    assert_eq!(error(Cost::L2, -1.0), ChangePointError::PenaltyOutOfRange { got: -1.0 });
    assert!(matches!(error(Cost::L2, f64::NAN), ChangePointError::PenaltyOutOfRange { .. }));
    assert_eq!(error(Cost::Rbf { gamma: 0.0 }, 1.0), ChangePointError::GammaOutOfRange { got: 0.0 });
    assert_eq!(segments(&series, Cost::L2, 1).unwrap_err(), ChangePointError::TooManyBreaks { got: 1, most: 0 });
    assert!(pelt(&series, Cost::L2, 1.0).is_ok(), "a zero vector has no direction, but it has a place");
}

/// The sum of squared distances from the mean, computed as it is said.
fn scatter(values: &[f32], dimension: usize) -> f64 {
    let count = (values.len() / dimension) as f64;
    let mean: Vec<f64> = (0..dimension)
        .map(|column| values.chunks(dimension).map(|row| f64::from(row[column])).sum::<f64>() / count)
        .collect();
    values.chunks(dimension).flat_map(|row| row.iter().zip(&mean)).map(|(&x, mean)| (f64::from(x) - mean).powi(2)).sum()
}

/// The cost of the cheapest of all segmentations.
fn cheapest(values: &[f32], dimension: usize, penalty: f64, segment_min: usize) -> f64 {
    let n = values.len() / dimension;
    let mut best = vec![f64::INFINITY; n + 1];
    best[0] = -penalty;
    for end in segment_min..=n {
        best[end] = (0..=end - segment_min)
            .map(|start| best[start] + scatter(&values[start * dimension..end * dimension], dimension) + penalty)
            .fold(f64::INFINITY, f64::min);
    }
    best[n]
}

proptest! {
    #[test]
    fn no_segmentation_is_cheaper(
        steps in prop::collection::vec((-3i8..4, -3i8..4), 4..30),
        penalty in 0.0f64..12.0,
        segment_min in 1usize..5,
    ) {
        let values: Vec<f32> = steps.iter().flat_map(|&(a, b)| [f32::from(a), f32::from(b)]).collect();
        let series = Series::new(&values, steps.len(), 2).unwrap();
        let breaks = pelt_with(&series, Cost::L2, penalty, segment_min).unwrap();
        prop_assert_eq!(*breaks.last().unwrap(), steps.len());
        let cost_of = |breaks: &[usize]| {
            let (mut total, mut from) = (0.0, 0);
            for &to in breaks {
                assert!(to >= from + segment_min, "{breaks:?}");
                total += scatter(&values[2 * from..2 * to], 2);
                from = to;
            }
            total
        };
        let total = cost_of(&breaks) + penalty * (breaks.len() - 1) as f64;
        let expected = cheapest(&values, 2, penalty, segment_min);
        prop_assert!((total - expected).abs() < 1e-6 * (1.0 + expected.abs()), "{} {}", total, expected);
        // The same number of breaks, asked for, costs the same.
        let asked = segments_with(&series, Cost::L2, breaks.len() - 1, segment_min).unwrap();
        prop_assert!((cost_of(&asked) - cost_of(&breaks)).abs() < 1e-6 * (1.0 + expected.abs()));
    }
}
