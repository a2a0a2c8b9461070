//! The detector beside a slow, obvious one.

use loopscope_analysis::symbolic::{Recurrence, RecurrenceDetector};
use proptest::prelude::*;

/// Looks at every pair: the earliest `again` for which an equal state stands before it.
fn first_recurrence(network_length: usize, keys: &[u8]) -> Option<Recurrence> {
    let same_state = |a: usize, b: usize| a % network_length == b % network_length && keys[a] == keys[b];
    (0..keys.len())
        .find_map(|again| (0..again).find(|&first| same_state(first, again)).map(|first| Recurrence { first, again }))
}

proptest! {
    #[test]
    fn the_first_recurrence_is_found_and_reported_where_it_happens(
        network_length in 1usize..5,
        keys in prop::collection::vec(0u8..12, 0..40),
        seeded in 0usize..40,
    ) {
        let expected = first_recurrence(network_length, &keys);
        let seeded = seeded.min(keys.len());
        let history = keys[..seeded].iter().copied();
        let mut detector = RecurrenceDetector::from_history(network_length, history).unwrap();
        prop_assert_eq!(detector.recurrence(), expected.filter(|recurrence| recurrence.again < seeded));
        for (index, &key) in keys.iter().enumerate().skip(seeded) {
            let reported = detector.push(key);
            prop_assert_eq!(reported, expected.filter(|recurrence| recurrence.again == index));
        }
        prop_assert_eq!(detector.recurrence(), expected);
        prop_assert_eq!(detector.len(), keys.len());
    }

    #[test]
    fn every_period_is_a_multiple_of_the_network_length(
        network_length in 1usize..6,
        keys in prop::collection::vec(0u8..3, 0..60),
    ) {
        let detector = RecurrenceDetector::from_history(network_length, keys).unwrap();
        if let Some(recurrence) = detector.recurrence() {
            prop_assert!(recurrence.period() >= network_length);
            prop_assert_eq!(recurrence.period() % network_length, 0);
        }
    }

    #[test]
    fn an_eventually_periodic_run_gives_its_transient_and_period(
        network_length in 1usize..4,
        transient in 0usize..10,
        turns in 1usize..6,
        key_of in prop::collection::hash_set(any::<u64>(), 64),
    ) {
        let period = turns * network_length;
        let keys: Vec<u64> = key_of.into_iter().collect();
        let sequence = (0..=transient + period).map(|i| if i == transient + period { transient } else { i });
        let detector = RecurrenceDetector::from_history(network_length, sequence.map(|i| keys[i])).unwrap();
        let expected = Recurrence { first: transient, again: transient + period };
        prop_assert_eq!(detector.recurrence(), Some(expected));
        prop_assert_eq!(expected.period(), period);
    }
}
