//! Numbers of a diagram, against formulas written another way.

use std::f64::consts::PI;

use proptest::prelude::*;
use ripsaw::{
    Bar, DiagramError, DistanceOptions, GroundNorm, ImageOptions, ImageWeight, WassersteinOrder, betti_curve,
    betti_numbers, persistence_image, persistence_landscape, total_persistence, wasserstein,
};

use crate::bars;

/// Bars on a grid of halves, some of length zero and some that never die.
fn some_bars() -> impl Strategy<Value = Vec<Bar>> {
    let bar = (0u8..20, prop_oneof![9 => (0u8..12).prop_map(Some), 1 => Just(None)]).prop_map(|(birth, length)| {
        let birth = f64::from(birth) / 2.0;
        Bar { birth, death: length.map_or(f64::INFINITY, |length| birth + f64::from(length) / 2.0) }
    });
    prop::collection::vec(bar, 0..20)
}

fn grid(count: usize, low: f64, high: f64) -> Vec<f64> {
    (0..count).map(|place| low + (high - low) * place as f64 / (count - 1) as f64).collect()
}

#[test]
fn no_bars_give_zeros() {
    assert_eq!(total_persistence(&[], 2.0).unwrap().to_bits(), 0);
    assert!(betti_curve(&[]).unwrap().values.is_empty());
    assert_eq!(betti_numbers(&[], &[0.0, 1.0]).unwrap(), [0, 0]);
    assert_eq!(persistence_landscape(&[], 2, &[0.0, 1.0]).unwrap(), [0.0; 4]);
    let options = ImageOptions::new((0.0, 1.0), (0.0, 1.0), 0.1).with_resolution(2, 3);
    assert_eq!(persistence_image(&[], &options).unwrap(), [0.0; 6]);
    let empty = options.with_resolution(0, 3);
    assert!(persistence_image(&bars([(0.0, 1.0)]), &empty).unwrap().is_empty());
}

#[test]
fn a_bar_that_starts_where_another_ends_is_no_step() {
    let curve = betti_curve(&bars([(0.0, 1.0), (1.0, 3.0), (2.0, 2.0)])).unwrap();
    assert_eq!((&curve.values[..], &curve.numbers[..]), (&[0.0, 3.0][..], &[1, 0][..]));
    assert_eq!([-1.0, 0.0, 2.9, 3.0, f64::NAN].map(|value| curve.at(value)), [0, 1, 1, 0, 0]);
}

#[test]
fn bad_input_is_named() {
    let good = bars([(0.0, 1.0)]);
    let bad = bars([(0.0, 1.0), (2.0, 1.0)]);
    let image = ImageOptions::new((0.0, 1.0), (0.0, 1.0), 0.1);
    let death = DiagramError::DeathBeforeBirth { index: 1, birth: 2.0, death: 1.0 };
    assert_eq!(total_persistence(&bad, 1.0), Err(death.clone()));
    assert_eq!(betti_curve(&bad), Err(death.clone()));
    assert_eq!(persistence_landscape(&bad, 1, &[]), Err(death.clone()));
    assert_eq!(persistence_image(&bad, &image), Err(death));
    for grid in [&[0.0, 0.0][..], &[0.0, f64::NAN], &[0.0, f64::INFINITY]] {
        assert!(matches!(betti_numbers(&good, grid), Err(DiagramError::Grid { index: 1, .. })));
        assert!(matches!(persistence_landscape(&good, 1, grid), Err(DiagramError::Grid { index: 1, .. })));
    }
    let message = persistence_landscape(&good, 1, &[1.0, 0.5]).unwrap_err().to_string();
    assert_eq!(message, "number 1 of the grid must be finite and above the one before, got 0.5");
    let message = total_persistence(&good, -1.0).unwrap_err().to_string();
    assert_eq!(message, "the power of the total persistence must be in its range, got -1");
    let wrong = [
        ImageOptions::new((1.0, 1.0), (0.0, 1.0), 0.1),
        ImageOptions::new((0.0, 1.0), (f64::NAN, 1.0), 0.1),
        ImageOptions::new((0.0, 1.0), (0.0, 1.0), 0.0),
        image.with_weight(ImageWeight::Power(f64::NAN)),
        image.with_weight(ImageWeight::Linear { length_max: -1.0 }),
    ];
    for options in wrong {
        assert!(matches!(persistence_image(&good, &options), Err(DiagramError::Parameter { .. })));
    }
    assert_eq!(total_persistence(&bars([(0.0, 1e200)]), 2.0), Err(DiagramError::LengthOverflow));
}

#[test]
fn pixels_are_integrals_of_the_blurred_bars() {
    let bars = bars([(0.2, 0.9), (0.5, 0.8), (0.0, f64::INFINITY), (0.4, 0.4)]);
    let options = ImageOptions::new((0.0, 1.0), (0.1, 0.9), 0.15).with_resolution(4, 5);
    let image = persistence_image(&bars, &options).unwrap();
    let density = |x: f64, y: f64| -> f64 {
        let blur = |bar: &Bar| {
            let square = (x - bar.birth).powi(2) + (y - bar.length()).powi(2);
            (bar.length() / 0.9).min(1.0) * (-square / (2.0 * 0.15f64.powi(2))).exp() / (2.0 * PI * 0.15f64.powi(2))
        };
        bars[..2].iter().map(blur).sum()
    };
    // The midpoint rule on 200 by 200 parts of a pixel is off by (0.25² + 0.16²) / 200² / 24 of the curvature.
    let steps = 200;
    for row in 0..5 {
        for column in 0..4 {
            let at = |step: usize| (step as f64 + 0.5) / steps as f64;
            let x = |step| (column as f64 + at(step)) * 0.25;
            let y = |step| 0.1 + (row as f64 + at(step)) * 0.16;
            let sum: f64 = (0..steps).flat_map(|i| (0..steps).map(move |j| density(x(i), y(j)))).sum();
            let integral = sum * 0.25 * 0.16 / (steps * steps) as f64;
            assert!((image[row * 4 + column] - integral).abs() < 1e-6, "{row} {column}");
        }
    }
}

proptest! {
    #[test]
    fn total_persistence_is_twice_the_distance_from_nothing(bars in some_bars()) {
        let finite: Vec<Bar> = bars.iter().copied().filter(|bar| !bar.is_infinite()).collect();
        let options = DistanceOptions::default();
        let order_one = wasserstein(&finite, &[], WassersteinOrder::One, GroundNorm::LInfinity, &options).unwrap();
        prop_assert!((total_persistence(&bars, 1.0).unwrap() - 2.0 * order_one).abs() < 1e-9);
        let order_two = wasserstein(&finite, &[], WassersteinOrder::Two, GroundNorm::L2, &options).unwrap();
        prop_assert!((total_persistence(&bars, 2.0).unwrap() - 2.0 * order_two.powi(2)).abs() < 1e-9 * 1e3);
    }

    #[test]
    fn betti_numbers_are_counts_and_integrate_to_the_total_persistence(bars in some_bars()) {
        let values = grid(101, -1.0, 24.0);
        let counts: Vec<usize> = values.iter()
            .map(|&value| bars.iter().filter(|bar| bar.birth <= value && value < bar.death).count()).collect();
        prop_assert_eq!(betti_numbers(&bars, &values).unwrap(), counts);
        let finite: Vec<Bar> = bars.into_iter().filter(|bar| !bar.is_infinite()).collect();
        let curve = betti_curve(&finite).unwrap();
        let steps = curve.values.windows(2).zip(&curve.numbers);
        let integral: f64 = steps.map(|(ends, &number)| (ends[1] - ends[0]) * number as f64).sum();
        prop_assert_eq!(integral, total_persistence(&finite, 1.0).unwrap());
        prop_assert!(curve.numbers.windows(2).all(|pair| pair[0] != pair[1]));
    }

    #[test]
    fn landscape_levels_follow_from_their_definition(bars in some_bars()) {
        // Bubenik: level k at t is the largest m with k bars alive over all of [t - m, t + m].
        let values = grid(41, 0.0, 10.0);
        let levels = persistence_landscape(&bars, 3, &values).unwrap();
        let finite: Vec<Bar> = bars.into_iter().filter(|bar| !bar.is_infinite()).collect();
        for (level, heights) in levels.chunks_exact(values.len()).enumerate() {
            for (&value, &height) in values.iter().zip(heights) {
                let cover = |m: f64| finite.iter().filter(|bar| bar.birth <= value - m && value + m <= bar.death).count();
                let steps = (0..=48).map(|quarter| f64::from(quarter) / 4.0);
                let expected = steps.filter(|&m| m > 0.0 && cover(m) > level).fold(0.0, f64::max);
                prop_assert_eq!(height, expected);
            }
        }
        // No bar is left out when there are as many levels as bars: the tents add up.
        let all = persistence_landscape(&finite, finite.len(), &values).unwrap();
        for (place, &value) in values.iter().enumerate() {
            let tents: f64 = finite.iter().map(|bar| (value - bar.birth).min(bar.death - value).max(0.0)).sum();
            prop_assert_eq!(all.iter().skip(place).step_by(values.len()).sum::<f64>(), tents);
        }
    }

    #[test]
    fn an_image_holds_all_of_the_weight(bars in some_bars()) {
        let image = |weight| {
            let options = ImageOptions::new((-8.0, 20.0), (-8.0, 20.0), 0.5).with_weight(weight);
            persistence_image(&bars, &options).unwrap().iter().sum::<f64>()
        };
        let finite = bars.iter().filter(|bar| !bar.is_infinite() && bar.length() > 0.0);
        prop_assert!((image(ImageWeight::One) - finite.clone().count() as f64).abs() < 1e-9);
        prop_assert!((image(ImageWeight::Power(1.0)) - total_persistence(&bars, 1.0).unwrap()).abs() < 1e-9);
        let linear: f64 = finite.map(|bar| (bar.length() / 3.0).min(1.0)).sum();
        let weight = ImageWeight::Linear { length_max: 3.0 };
        prop_assert!((image(weight) - linear).abs() < 1e-9);
    }
}
