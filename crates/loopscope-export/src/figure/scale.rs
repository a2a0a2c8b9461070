//! Axes: from values to a share of the panel, with ticks that people can read.

/// What a side of a panel stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Axis {
    /// Numbers from low to high.
    Linear { low: f64, high: f64 },
    /// Powers of ten from low to high, both above zero.
    Log { low: f64, high: f64 },
    /// Names, each a band of width 1: name `i` is centred at `i + 0.5`.
    Band(Vec<String>),
    /// Numbers from low to high, without ticks.
    Bare { low: f64, high: f64 },
}

/// A tick: where, and what is written there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tick {
    pub(crate) at: f64,
    pub(crate) label: String,
}

impl Axis {
    /// Returns an axis that holds all values, wide enough to see one alone, its ends at ticks.
    pub(crate) fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values);
        Self::from_to(low, high)
    }

    /// Returns an axis from zero that holds all values.
    pub(crate) fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values);
        Self::from_to(low.min(0.0), high.max(0.0))
    }

    /// Returns an axis of powers of ten that holds all values above zero.
    pub(crate) fn log_of(values: impl IntoIterator<Item = f64>) -> Self {
        let (low, high) = range(values.into_iter().filter(|value| *value > 0.0));
        if !(low > 0.0 && high.is_finite()) {
            return Self::Log { low: 0.1, high: 1.0 };
        }
        let (low, high) = (low.log10(), high.log10());
        let (low, high) = if high - low < 0.3 { (low - 0.2, high + 0.2) } else { (low - 0.04, high + 0.04) };
        Self::Log { low: 10_f64.powf(low), high: 10_f64.powf(high) }
    }

    fn from_to(low: f64, high: f64) -> Self {
        if !(low.is_finite() && high.is_finite()) || low > high {
            return Self::Linear { low: 0.0, high: 1.0 };
        }
        // What differs by rounding alone is one value.
        if high - low <= 1e-5 * low.abs().max(high.abs()) {
            let half = low.abs().max(high.abs()) * 0.1;
            let (low, high) = if half == 0.0 { (0.0, 1.0) } else { (low - half, high + half) };
            return Self::Linear { low, high };
        }
        let step = step(high - low, 5);
        let ends = ((low / step).floor() * step, (high / step).ceil() * step);
        // A whole step of nothing is too much: half of the overhang is enough to be clear of the frame.
        let trim =
            |end: f64, value: f64| if (end - value).abs() > 0.6 * step { value + (end - value) * 0.35 } else { end };
        Self::Linear { low: trim(ends.0, low), high: trim(ends.1, high) }
    }

    /// Returns where a value lies, 0 at the low end and 1 at the high end.
    pub(crate) fn share(&self, value: f64) -> f64 {
        match self {
            Self::Linear { low, high } | Self::Bare { low, high } => (value - low) / (high - low),
            Self::Log { low, high } => {
                (value.max(f64::MIN_POSITIVE).log10() - low.log10()) / (high.log10() - low.log10())
            }
            Self::Band(names) => value / names.len().max(1) as f64,
        }
    }

    /// Returns the values at the ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        match self {
            Self::Linear { low, high } | Self::Log { low, high } | Self::Bare { low, high } => (*low, *high),
            Self::Band(names) => (0.0, names.len().max(1) as f64),
        }
    }

    /// Returns the ticks of numbers, about `count` of them, all within the axis; names have none.
    pub(crate) fn ticks(&self, count: usize) -> Vec<Tick> {
        match self {
            Self::Band(_) | Self::Bare { .. } => Vec::new(),
            Self::Linear { low, high } => linear_ticks(*low, *high, count),
            Self::Log { low, high } => log_ticks(*low, *high, count),
        }
    }
}

fn range(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let finite = values.into_iter().filter(|value| value.is_finite());
    finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Returns 1, 2 or 5 times a power of ten, so that about `count` steps make the length.
fn step(length: f64, count: usize) -> f64 {
    let rough = length / count.max(1) as f64;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = match rough / power {
        share if share < 1.5 => 1.0,
        share if share < 3.5 => 2.0,
        share if share < 7.5 => 5.0,
        _ => 10.0,
    };
    factor * power
}

fn linear_ticks(low: f64, high: f64, count: usize) -> Vec<Tick> {
    // Round numbers may miss a short axis: smaller steps until two of them hit it.
    let tries = (count..=3 * count).map(|count| ticks_of(low, high, count));
    tries.fold(Vec::new(), |found: Vec<Tick>, next| if found.len() < 2 { next } else { found })
}

fn ticks_of(low: f64, high: f64, count: usize) -> Vec<Tick> {
    let step = step(high - low, count);
    if !(step.is_finite() && step > 0.0) {
        return Vec::new();
    }
    let slack = step * 1e-6;
    let first = ((low - slack) / step).ceil() as i64;
    let last = ((high + slack) / step).floor() as i64;
    let digits = (-step.log10().floor()).clamp(0.0, 12.0) as usize;
    let size = low.abs().max(high.abs());
    let is_huge = size >= 1e6 || step < 1e-5;
    // As many digits as tell neighbours apart.
    let places = (size.log10().floor() - step.log10().floor()).clamp(0.0, 12.0) as usize;
    (first..=last)
        .map(|place| {
            let at = (place as f64 * step).clamp(low, high);
            let value = if place == 0 { 0.0 } else { place as f64 * step };
            let label = if is_huge { short_exponent(value, places) } else { signed(&format!("{value:.digits$}")) };
            Tick { at, label }
        })
        .collect()
}

fn short_exponent(value: f64, places: usize) -> String {
    let text = format!("{value:.places$e}");
    match text.split_once('e') {
        Some((digits, power)) if digits.contains('.') => {
            signed(&format!("{}e{power}", digits.trim_end_matches('0').trim_end_matches('.')))
        }
        _ if value == 0.0 => "0".to_owned(),
        _ => signed(&text),
    }
}

fn log_ticks(low: f64, high: f64, count: usize) -> Vec<Tick> {
    let (first, last) = (low.log10().floor() as i32, high.log10().ceil() as i32);
    let decades = (high.log10() - low.log10()).max(1.0);
    let factors: &[f64] = if high.log10() - low.log10() <= 2.2 { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let every = ((decades / count.max(1) as f64).ceil() as i32).max(1);
    let mut ticks = Vec::new();
    for power in (first..=last).filter(|power| power.rem_euclid(every) == 0) {
        for factor in factors {
            let at = factor * 10_f64.powi(power);
            if (low..=high).contains(&at) {
                let digits = usize::try_from((-power).max(0)).unwrap_or(0);
                let label =
                    if (-4..6).contains(&power) { format!("{at:.digits$}") } else { format!("{factor}e{power}") };
                ticks.push(Tick { at, label: signed(&label) });
            }
        }
    }
    ticks
}

/// Writes a number with a real minus sign.
pub(crate) fn signed(text: &str) -> String {
    text.replace('-', "−")
}

/// Writes a number with about three digits, as captions and cells have it.
pub(crate) fn brief(value: f64) -> String {
    let size = value.abs();
    let text = if value.is_infinite() {
        if value > 0.0 { "∞" } else { "-∞" }.to_owned()
    } else if size == 0.0 {
        "0".to_owned()
    } else if !(1e-3..1e6).contains(&size) {
        format!("{value:.1e}")
    } else {
        let places = [1.0, 10.0, 100.0].iter().filter(|limit| size < **limit).count();
        format!("{value:.places$}")
    };
    signed(&text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(axis: &Axis, count: usize) -> Vec<String> {
        axis.ticks(count).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_round_numbers() {
        assert_eq!(labels(&Axis::of([0.0, 10.0]), 5), ["0", "2", "4", "6", "8", "10"]);
        assert_eq!(labels(&Axis::of([0.13, 0.87]), 4), ["0.2", "0.4", "0.6", "0.8"]);
        assert_eq!(labels(&Axis::from_zero([3.0, 40.0]), 4), ["0", "10", "20", "30", "40"]);
        assert_eq!(labels(&Axis::of([-1.0, 1.0]), 4), ["−1.0", "−0.5", "0.0", "0.5", "1.0"]);
        assert_eq!(labels(&Axis::log_of([0.001, 100.0]), 6), ["0.001", "0.01", "0.1", "1", "10", "100"]);
        assert_eq!(labels(&Axis::log_of([1.0, 8.0]), 6), ["1", "2", "5"]);
    }

    #[test]
    fn nothing_or_one_value_still_has_an_axis() {
        assert_eq!(Axis::of([]).ends(), (0.0, 1.0));
        assert_eq!(Axis::of([f64::NAN, f64::INFINITY]).ends(), (0.0, 1.0));
        let (low, high) = Axis::of([7.0]).ends();
        assert!(low < 7.0 && 7.0 < high);
        assert_eq!(Axis::of([0.0]).ends(), (0.0, 1.0));
    }

    proptest! {
        #[test]
        fn every_range_has_sensible_ticks(low in -1e9..1e9_f64, length in 1e-6..1e9_f64, count in 2..9_usize) {
            let axis = Axis::of([low, low + length]);
            let (start, end) = axis.ends();
            prop_assert!(start <= low && low + length <= end, "holds its values");
            let ticks = axis.ticks(count);
            prop_assert!(ticks.len() >= 2 || length / low.abs().max(1.0) < 1e-9, "{ticks:?}");
            prop_assert!(ticks.len() <= 3 * count + 2, "{}", ticks.len());
            prop_assert!(ticks.iter().all(|tick| (start..=end).contains(&tick.at)));
            prop_assert!(ticks.windows(2).all(|pair| pair[0].at < pair[1].at));
            if length / low.abs().max(1.0) > 1e-3 {
                prop_assert!(ticks.windows(2).all(|pair| pair[0].label != pair[1].label), "{ticks:?}");
            }
        }

        #[test]
        fn shares_of_values_within_are_shares(values in proptest::collection::vec(1e-9..1e9_f64, 1..20)) {
            for axis in [Axis::of(values.clone()), Axis::from_zero(values.clone()), Axis::log_of(values.clone())] {
                for &value in &values {
                    let share = axis.share(value);
                    prop_assert!((-1e-9..=1.0 + 1e-9).contains(&share), "{axis:?} {value} {share}");
                }
            }
        }
    }
}
