//! Trajectories of random small experiments: one step, all duplicates, zeros: nothing panics and numbers stay in range.

use loopscope_analysis::change_points::{Cost, SEGMENT_MIN, default_penalty, pelt};
use loopscope_analysis::dynamics::{
    RecurrenceMatrix, RegimeOptions, finite_time_lyapunov, fit_relaxation, prompt_recovery, recurrence_measures,
    regime, semantic_drift, sliding_window, vendi_score,
};
use loopscope_analysis::series::Series;
use loopscope_analysis::symbolic::repetition;
use proptest::prelude::*;

/// Few directions, so that repeats and turns are common; sometimes one without direction.
fn rows() -> impl Strategy<Value = Vec<[f32; 3]>> {
    let number = prop_oneof![Just(0.0_f32), Just(1.0), Just(-1.0), Just(1e-20), Just(0.5)];
    prop::collection::vec([number.clone(), number.clone(), number], 0..24)
}

proptest! {
    #[test]
    fn nothing_panics_and_numbers_stay_in_range(rows in rows(), epsilon in 0.0f64..2.0, window in 0usize..6) {
        let values = rows.concat();
        let series = Series::new(&values, rows.len(), 3).unwrap();
        let has_directions = series.check_directions().is_ok();
        let drift = semantic_drift(&series, &[1.0, 0.5, 0.0]);
        prop_assert_eq!(drift.is_ok(), has_directions);
        for cost in [Cost::L2, Cost::rbf(&series), Cost::Rbf { gamma: 1.0 }, Cost::Cosine] {
            match default_penalty(&series, cost) {
                Ok(penalty) => {
                    let breaks = pelt(&series, cost, penalty, SEGMENT_MIN).unwrap();
                    prop_assert_eq!(breaks.last().copied().unwrap_or(0), rows.len());
                    prop_assert!(breaks.is_sorted_by(|a, b| a < b));
                }
                Err(_) => prop_assert!(!has_directions && cost == Cost::Cosine),
            }
        }
        prop_assert!(sliding_window(&series, window, 1).values.iter().all(|value| value.is_finite()));
        let Ok(drift) = drift else { return Ok(()) };
        prop_assert!(drift.iter().all(|&d| (0.0..=2.0 + 1e-12).contains(&d)));
        let times: Vec<f64> = (0..drift.len()).map(|t| t as f64).collect();
        fit_relaxation(&times, &drift).unwrap();
        if let Some(exponent) = finite_time_lyapunov(&drift).unwrap() {
            prop_assert!(exponent.rate.is_finite() && (0.0..=1.0).contains(&exponent.r_squared));
            prop_assert!((0.0..=1.0).contains(&exponent.saturated));
        }
        let vendi = vendi_score(&series).unwrap().unwrap();
        prop_assert!(vendi >= f64::from(u8::from(!rows.is_empty())) && vendi <= rows.len() as f64 + 1e-9);
        if let Some(found) = recurrence_measures(&RecurrenceMatrix::within(&series, epsilon).unwrap()) {
            for share in [Some(found.recurrence_rate), found.determinism, found.laminarity].into_iter().flatten() {
                prop_assert!((0.0..=1.0).contains(&share), "{:?}", found);
            }
        }
        regime(&series, &RegimeOptions { epsilon, ..RegimeOptions::default() }).unwrap();
        let prompts: Vec<usize> = (0..rows.len()).map(|run| run % 3).collect();
        if let Some(accuracy) = prompt_recovery(&series, &prompts).unwrap().accuracy() {
            prop_assert!((0.0..=1.0).contains(&accuracy));
        }
    }

    #[test]
    fn a_repetition_repeats(network_length in 0usize..4, keys in prop::collection::vec(0u8..3, 0..30)) {
        if let Some(found) = repetition(network_length, &keys) {
            prop_assert_eq!(found.period % network_length.max(1), 0);
            prop_assert_eq!(found.transient + found.period + found.witnesses, keys.len());
            for place in found.transient + found.period..keys.len() {
                prop_assert_eq!(keys[place], keys[place - found.period]);
            }
        }
    }
}

#[test]
fn what_is_no_number_is_refused() {
    assert!(Series::new(&[1.0, f32::NAN], 1, 2).is_err());
    assert!(Series::new(&[1.0, f32::INFINITY], 2, 1).is_err());
}
