//! Chains of random small experiments: nothing panics, rows are probabilities, names of states do not matter.

use loopscope_analysis::markov::{
    MarkovError, TransitionCounts, TransitionMatrix, absorption, active_set, chapman_kolmogorov, eigenvalues,
    entropy_production, implied_timescales, last_core, maximum_likelihood, mean_first_passage_times, pcca,
    reversible_maximum_likelihood, stationary_distribution,
};
use proptest::prelude::*;

const STATES: usize = 5;

fn sequences() -> impl Strategy<Value = Vec<Vec<Option<usize>>>> {
    let state = prop_oneof![1 => Just(None), 5 => (0..STATES).prop_map(Some)];
    prop::collection::vec(prop::collection::vec(state, 0..14), 0..5)
}

fn counts_of(sequences: &[Vec<Option<usize>>], lag: usize) -> TransitionCounts {
    TransitionCounts::of(sequences.iter().map(Vec::as_slice), STATES, lag).unwrap()
}

/// Counts pairs by looking at every pair of places.
fn slow_counts(sequences: &[Vec<Option<usize>>], lag: usize) -> Vec<Vec<f64>> {
    let mut counts = vec![vec![0.0; STATES]; STATES];
    for sequence in sequences {
        for from in 0..sequence.len() {
            let Some(window) = sequence.get(from..=from + lag) else { continue };
            if window.iter().all(Option::is_some) {
                counts[window[0].unwrap()][window[lag].unwrap()] += 1.0;
            }
        }
    }
    counts
}

fn check_rows(matrix: &TransitionMatrix) {
    for row in matrix.matrix().rows() {
        assert!(row.iter().all(|&probability| probability >= 0.0));
        assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{row:?}");
    }
}

proptest! {
    #[test]
    fn counts_are_those_of_the_definition(sequences in sequences(), lag in 1usize..4) {
        let counts = counts_of(&sequences, lag);
        let rows: Vec<Vec<f64>> = counts.matrix().rows().map(<[f64]>::to_vec).collect();
        prop_assert_eq!(rows, slow_counts(&sequences, lag));
    }

    #[test]
    fn nothing_panics_and_rows_are_probabilities(sequences in sequences(), lag in 1usize..4, cores in any::<bool>()) {
        let sequences: Vec<_> = sequences.iter().map(|s| if cores { last_core(s) } else { s.clone() }).collect();
        let counts = counts_of(&sequences, lag);
        let (whole, _) = maximum_likelihood(counts.matrix()).unwrap();
        check_rows(&whole);
        let end = absorption(&whole).unwrap();
        for row in &end.probabilities {
            prop_assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{:?}", row);
        }
        prop_assert!(end.expected_steps.iter().all(|&steps| steps >= 1.0 - 1e-12 && steps.is_finite()));
        let times = mean_first_passage_times(&whole, &[0]).unwrap();
        prop_assert!(times[0] == 0.0 && times[1..].iter().all(|&time| time >= 1.0 - 1e-12));
        match stationary_distribution(&whole) {
            Ok(law) => prop_assert!((law.iter().sum::<f64>() - 1.0).abs() < 1e-12),
            Err(error) => assert!(matches!(error, MarkovError::SeveralClosedClasses { .. }), "{error}"),
        }
        let values = eigenvalues(&whole).unwrap();
        prop_assert!((values[0].modulus() - 1.0).abs() < 1e-9);
        let timescales = implied_timescales(&values, lag);
        prop_assert!(timescales.iter().all(|&time| time >= 0.0) && timescales.is_sorted_by(|a, b| a >= b));
        let active = active_set(&counts);
        prop_assert!((0.0..=1.0).contains(&active.share_kept));
        let kept = counts.matrix().restricted(&active.states);
        let (free, _) = maximum_likelihood(&kept).unwrap();
        let law = stationary_distribution(&free).unwrap();
        prop_assert!(entropy_production(&free, &law).two_way_rate >= -1e-12);
        let (balanced, law) = reversible_maximum_likelihood(&kept).unwrap();
        check_rows(&balanced);
        for from in 0..kept.size() {
            for to in 0..kept.size() {
                let (there, back) = (law[from] * balanced.matrix().get(from, to), law[to] * balanced.matrix().get(to, from));
                prop_assert!((there - back).abs() < 1e-9, "{} {}", there, back);
            }
        }
        for sets in 1..=kept.size() {
            match pcca(&balanced, &law, sets) {
                Ok(found) => {
                    prop_assert_eq!(found.set_of.len(), kept.size());
                    prop_assert!(found.memberships.iter().all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9));
                }
                Err(error) => assert!(matches!(error, MarkovError::NoConvergence { .. }), "{error}"),
            }
        }
        let slices: Vec<&[Option<usize>]> = sequences.iter().map(Vec::as_slice).collect();
        let tests = chapman_kolmogorov(&slices, STATES, lag, &[1, 2, 3]).unwrap();
        // At the lag itself the prediction is what was seen, but for ways out of the active set.
        if active.share_kept == 1.0 {
            prop_assert!(tests[0].largest_deviation() < 1e-12);
        }
    }

    #[test]
    fn names_of_states_do_not_matter(sequences in sequences(), shift in 0..STATES) {
        let renamed: Vec<Vec<Option<usize>>> =
            sequences.iter().map(|s| s.iter().map(|state| state.map(|state| (state + shift) % STATES)).collect()).collect();
        let (one, other) = (counts_of(&sequences, 1), counts_of(&renamed, 1));
        let (a, _) = maximum_likelihood(one.matrix()).unwrap();
        let (b, _) = maximum_likelihood(other.matrix()).unwrap();
        if let (Ok(a), Ok(b)) = (stationary_distribution(&a), stationary_distribution(&b)) {
            for state in 0..STATES {
                prop_assert!((a[state] - b[(state + shift) % STATES]).abs() < 1e-12);
            }
        }
        let times = |matrix: &TransitionMatrix| {
            let values = eigenvalues(matrix).unwrap();
            values.iter().map(|value| value.modulus()).collect::<Vec<f64>>()
        };
        for (a, b) in times(&a).iter().zip(times(&b)) {
            // A multiple eigenvalue moves by the root of the rounding.
            prop_assert!((a - b).abs() < 1e-3, "{} {}", a, b);
        }
    }
}

#[test]
fn a_ring_produces_entropy_by_its_bias() {
    for (size, forward) in [(3_usize, 0.7), (5, 0.6), (8, 0.9)] {
        let rows: Vec<Vec<f64>> = (0..size)
            .map(|state| {
                let mut row = vec![0.0; size];
                row[(state + 1) % size] = forward;
                row[(state + size - 1) % size] = 1.0 - forward;
                row
            })
            .collect();
        let ring = TransitionMatrix::from_rows(&rows).unwrap();
        let law = stationary_distribution(&ring).unwrap();
        let expected = (2.0 * forward - 1.0) * (forward / (1.0 - forward)).ln();
        assert!((entropy_production(&ring, &law).rate - expected).abs() < 1e-12);
    }
}

#[test]
fn a_two_state_chain_passes_its_own_test_and_a_hidden_one_does_not() {
    let mut chance = loopscope_analysis::chance::Chance::new(31);
    let mut state = 0;
    let honest: Vec<Option<usize>> = (0..20_000)
        .map(|_| {
            if chance.unit() < if state == 0 { 0.1 } else { 0.2 } {
                state = 1 - state;
            }
            Some(state)
        })
        .collect();
    let test = |sequence: &[Option<usize>]| chapman_kolmogorov(&[sequence], 2, 1, &[2, 4, 8]).unwrap();
    assert!(test(&honest).iter().all(|test| test.largest_deviation() < 0.03), "{:?}", test(&honest));
    // 0 0 1 1 again and again: one step is a coin, four steps are certain.
    let hidden: Vec<Option<usize>> = (0..400).map(|t| Some(usize::from(t % 4 > 1))).collect();
    assert!(test(&hidden)[1].largest_deviation() > 0.4);
}
