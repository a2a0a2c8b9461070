//! Fixed points and periods: how a sequence ends that repeats itself exactly.

/// How a sequence repeats itself from some place to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Repetition {
    /// How many elements stand before the repetition begins.
    pub transient: usize,
    /// After how many elements it repeats, a multiple of the network length; the network length itself is a fixed point.
    pub period: usize,
    /// How many elements repeat the one a period before them, at least 1: the evidence.
    pub witnesses: usize,
}

/// Returns how a sequence repeats itself at its end; `None` when its last element does not stand a period before.
///
/// `network_length` is how many positions take turns; a period is a multiple of it, because the same output at another
/// position is another state. The period with the most witnesses wins, then the shortest: one repeat at the end of a long wandering is
/// weak evidence, which `witnesses` shows. A network length of 0 is taken for 1. O(n²) time at worst.
pub fn repetition<K: PartialEq>(network_length: usize, sequence: &[K]) -> Option<Repetition> {
    let n = sequence.len();
    let step = network_length.max(1);
    let witnesses =
        |period: usize| (period..n).rev().take_while(|&place| sequence[place] == sequence[place - period]).count();
    let mut best: Option<Repetition> = None;
    for period in (step..n).step_by(step) {
        let found = witnesses(period);
        if found > best.map_or(0, |best| best.witnesses) {
            best = Some(Repetition { transient: n - found - period, period, witnesses: found });
        }
    }
    best
}

/// Returns a sequence that stopped when its state came back, continued round its cycle to `length` elements.
///
/// The element at `first` and the last one are the same state, so that what followed `first` follows again. This holds for models that repeat
/// themselves; who uses it says so. A sequence that is long enough, or whose cycle is none (`first` is not before the last element), comes
/// back as it is. O(length) time.
pub fn continued<K: Clone>(sequence: &[K], first: usize, length: usize) -> Vec<K> {
    let mut whole = sequence.to_vec();
    let Some(period) = sequence.len().checked_sub(first + 1).filter(|&period| period > 0) else { return whole };
    while whole.len() < length {
        whole.push(whole[whole.len() - period].clone());
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(network_length: usize, text: &str) -> Option<(usize, usize, usize)> {
        repetition(network_length, text.as_bytes()).map(|found| (found.transient, found.period, found.witnesses))
    }

    #[test]
    fn fixed_points_and_periods_are_found() {
        assert_eq!(of(1, "abccc"), Some((2, 1, 2)));
        assert_eq!(of(2, "xyababab"), Some((2, 2, 4)));
        assert_eq!(of(1, "abcabcab"), Some((0, 3, 5)));
        assert_eq!(of(1, "abcde"), None);
        assert_eq!(of(1, ""), None);
        assert_eq!(of(2, "aa"), None, "the same output at another position is another state");
        assert_eq!(of(2, "abab"), Some((0, 2, 2)));
        assert_eq!(of(1, "aaaa"), Some((0, 1, 3)));
    }

    #[test]
    fn a_cycle_goes_on_as_it_was() {
        assert_eq!(continued(b"xabca", 1, 10), b"xabcabcabc");
        assert_eq!(continued(b"xaa", 1, 6), b"xaaaaa");
        assert_eq!(continued(b"xabca", 1, 3), b"xabca");
        assert_eq!(continued(b"abc", 2, 9), b"abc");
        assert_eq!(continued(b"", 0, 9), b"");
    }
}
