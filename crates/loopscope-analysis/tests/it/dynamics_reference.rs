//! Every value of `dynamics.json`, to 10⁻⁶.

use std::fs;

use loopscope_analysis::dynamics::{
    RecurrenceMatrix, RelaxationOutcome, finite_time_lyapunov, fit_relaxation, lyapunov_of_stretches,
    recurrence_measures,
};
use loopscope_analysis::linear::SquareMatrix;
use loopscope_analysis::markov::{
    TransitionCounts, TransitionMatrix, absorption, eigenvalues, entropy_production, implied_timescales, last_core,
    maximum_likelihood, mean_first_passage_times, pcca, reversible_maximum_likelihood, stationary_distribution,
};
use serde_json::Value;

const TOLERANCE: f64 = 1e-6;

fn reference(name: &str) -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/dynamics/dynamics.json");
    let mut all: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let value = all[name].take();
    assert!(!value.is_null(), "{name} is in the reference");
    value
}

fn numbers(value: &Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

fn rows(value: &Value) -> Vec<Vec<f64>> {
    serde_json::from_value(value.clone()).unwrap()
}

fn chain(value: &Value) -> TransitionMatrix {
    TransitionMatrix::from_rows(&rows(value)).unwrap()
}

fn close(got: &[f64], expected: &[f64]) {
    assert_eq!(got.len(), expected.len(), "{got:?} {expected:?}");
    for (got, expected) in got.iter().zip(expected) {
        assert!((got - expected).abs() <= TOLERANCE * expected.abs().max(1.0), "{got} {expected}");
    }
}

fn timescales(matrix: &TransitionMatrix) -> Vec<f64> {
    implied_timescales(&eigenvalues(matrix).unwrap(), 1)
}

#[test]
fn two_states_have_their_closed_form() {
    let expected = reference("two_state");
    let matrix = chain(&expected["P"]);
    close(&timescales(&matrix), &numbers(&expected["timescales"]));
    close(&timescales(&matrix), &[expected["formula"].as_f64().unwrap()]);
    close(&stationary_distribution(&matrix).unwrap(), &numbers(&expected["pi"]));
    let to = |target| mean_first_passage_times(&matrix, &[target]).unwrap();
    close(&[to(1)[0], to(0)[1]], &[expected["mfpt01"].as_f64().unwrap(), expected["mfpt10"].as_f64().unwrap()]);
}

#[test]
fn three_states_relax_in_two_times() {
    let expected = reference("three_state");
    let matrix = chain(&expected["P"]);
    close(&timescales(&matrix), &numbers(&expected["timescales"]));
    let law = stationary_distribution(&matrix).unwrap();
    close(&law, &numbers(&expected["pi"]));
    assert_eq!(expected["reversible"], true);
    let production = entropy_production(&matrix, &law);
    assert!(production.rate.abs() < 1e-12 && production.one_way_pairs == 0, "{production:?}");
}

#[test]
fn four_states_fall_into_two_sets() {
    let expected = reference("pcca4");
    let matrix = chain(&expected["P"]);
    close(&timescales(&matrix), &numbers(&expected["timescales"]));
    let law = stationary_distribution(&matrix).unwrap();
    let sets = pcca(&matrix, &law, 2).unwrap();
    let members = |set: usize| (0..4).filter(|&state| sets.set_of[state] == set).collect::<Vec<usize>>();
    assert_eq!(serde_json::json!([members(0), members(1)]), expected["sets"]);
}

/// A chain of two states is always in detailed balance: not 1e-33, but nothing.
#[test]
fn two_states_produce_no_entropy() {
    for (there, back) in [(0.1, 0.2), (0.3, 0.07), (1.0 / 3.0, 1.0 / 7.0)] {
        let matrix = TransitionMatrix::from_rows(&[[1.0 - there, there], [back, 1.0 - back]]).unwrap();
        let law = stationary_distribution(&matrix).unwrap();
        assert_eq!(entropy_production(&matrix, &law).rate, 0.0, "{there} {back}");
    }
}

#[test]
fn a_turning_chain_produces_entropy() {
    let expected = reference("cycle3");
    let matrix = chain(&expected["P"]);
    let law = stationary_distribution(&matrix).unwrap();
    let rate = entropy_production(&matrix, &law).rate;
    close(
        &[rate, rate],
        &[expected["entropy_production"].as_f64().unwrap(), expected["closed_form"].as_f64().unwrap()],
    );
    let mut found: Vec<(f64, f64)> = eigenvalues(&matrix).unwrap().iter().map(|value| (value.re, value.im)).collect();
    // A pair has one modulus: which of the two comes first is rounding.
    found[1..].sort_by(|a, b| b.1.total_cmp(&a.1));
    for (found, expected) in found.iter().zip(rows(&expected["eigs"])) {
        close(&[found.0, found.1], &expected);
    }
}

#[test]
fn absorption_takes_as_long_as_the_fundamental_matrix_says() {
    let expected = reference("absorbing");
    let (q, r) = (rows(&expected["Q"]), numbers(&expected["R"]));
    let matrix =
        TransitionMatrix::from_rows(&[[q[0][0], q[0][1], r[0]], [q[1][0], q[1][1], r[1]], [0.0, 0.0, 1.0]]).unwrap();
    let found = absorption(&matrix).unwrap();
    close(&found.expected_steps, &numbers(&expected["expected_steps"]));
    assert_eq!((found.transient, found.closed_classes), (vec![0, 1], vec![vec![2]]));
    close(&found.probabilities.concat(), &[1.0, 1.0]);
}

#[test]
fn milestones_are_the_last_core_visited() {
    let expected = reference("milestoning");
    let sequence: Vec<Option<usize>> =
        numbers(&expected["seq"]).iter().map(|&label| (label >= 0.0).then_some(label as usize)).collect();
    let cores = last_core(&sequence);
    let labels: Vec<f64> = cores.iter().map(|core| core.map_or(-1.0, |core| core as f64)).collect();
    close(&labels, &numbers(&expected["last_core"]));
    let counts = TransitionCounts::of([&cores[..]], 2, 1).unwrap();
    close(&counts.matrix().rows().collect::<Vec<_>>().concat(), &rows(&expected["counts"]).concat());
    let (matrix, _) = reversible_maximum_likelihood(counts.matrix()).unwrap();
    close(&matrix.matrix().rows().collect::<Vec<_>>().concat(), &rows(&expected["P_rev"]).concat());
}

#[test]
fn both_likeliest_matrices_agree() {
    let expected = reference("reversible_mle");
    let counts = SquareMatrix::from_rows(&rows(&expected["C"])).unwrap();
    let (free, without_end) = maximum_likelihood(&counts).unwrap();
    close(&free.matrix().rows().collect::<Vec<_>>().concat(), &rows(&expected["P_nonrev"]).concat());
    assert!(without_end.is_empty());
    let (balanced, law) = reversible_maximum_likelihood(&counts).unwrap();
    close(&balanced.matrix().rows().collect::<Vec<_>>().concat(), &rows(&expected["P_rev"]).concat());
    close(&law, &stationary_distribution(&balanced).unwrap());
    assert!(entropy_production(&balanced, &law).rate < 1e-12);
}

#[test]
fn a_relaxation_is_fitted_and_its_exponent_is_that_of_a_bounded_curve() {
    let expected = reference("tau_fit");
    let (d_inf, d0, tau) =
        (expected["d_inf"].as_f64().unwrap(), expected["d0"].as_f64().unwrap(), expected["tau"].as_f64().unwrap());
    let times: Vec<f64> = (0..60).map(f64::from).collect();
    let values: Vec<f64> = times.iter().map(|t| d_inf - (d_inf - d0) * (-t / tau).exp()).collect();
    let RelaxationOutcome::Settles(fitted) = fit_relaxation(&times, &values).unwrap() else { panic!("it settles") };
    close(&[fitted.d_inf, fitted.d0, fitted.tau], &numbers(&expected["fit"]));
    let exponent = finite_time_lyapunov(&values).unwrap().unwrap();
    close(&[exponent.rate], &[expected["ftle_slope_same_curve"].as_f64().unwrap()]);
    assert!(exponent.saturated > 0.5 && exponent.r_squared < 0.6, "the warning that goes with it: {exponent:?}");
}

#[test]
fn recurrences_are_quantified() {
    for (name, period) in [("rqa_period2_n20", 2), ("rqa_period4_n20", 4), ("rqa_const_n20", 1)] {
        let expected = reference(name);
        let states: Vec<usize> = (0..20).map(|t| t % period).collect();
        let found = recurrence_measures(&RecurrenceMatrix::of_states(&states)).unwrap();
        let got = [
            found.recurrence_rate,
            found.determinism.unwrap(),
            found.mean_diagonal.unwrap(),
            found.laminarity.unwrap(),
        ];
        close(&got, &["RR", "DET", "L", "LAM"].map(|key| expected[key].as_f64().unwrap()));
    }
}

#[test]
fn the_logistic_map_has_the_exponent_ln_2() {
    let expected = reference("logistic4_lyap");
    let mut x = 0.123_f64;
    let stretches: Vec<f64> = (0..200_000)
        .map(|_| {
            let stretch = 4.0 - 8.0 * x;
            x = 4.0 * x * (1.0 - x);
            stretch
        })
        .collect();
    let found = lyapunov_of_stretches(&stretches).unwrap().unwrap();
    close(&[found], &[expected["est"].as_f64().unwrap()]);
    assert!((found - expected["exact"].as_f64().unwrap()).abs() < 1e-4);
}
