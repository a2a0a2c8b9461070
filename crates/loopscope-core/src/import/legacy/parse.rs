//! Values of a legacy row: ids, times, lists. Pure functions of a cell or of bytes; nothing here mends.

use rusqlite::types::ValueRef;

use super::Zone;
use crate::experiment::{NonEmpty, Seed, Timestamp};

/// Digits of an id.
const ID_DIGITS: usize = 32;

/// Returns the 16 bytes of an id: text of 32 lower-case hexadecimal digits, and nothing else.
#[must_use]
pub fn parse_id(text: &[u8]) -> Option<[u8; 16]> {
    if text.len() != ID_DIGITS {
        return None;
    }
    let mut id = [0; 16];
    for (byte, digits) in id.iter_mut().zip(text.as_chunks::<2>().0) {
        *byte = (digit(digits[0])? << 4) | digit(digits[1])?;
    }
    Some(id)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

/// Returns an id in a cell.
pub(super) fn id_of(cell: ValueRef<'_>) -> Option<[u8; 16]> {
    match cell {
        ValueRef::Text(text) => parse_id(text),
        _ => None,
    }
}

/// Returns what tells a cell from every other, compared as SQLite compares without any affinity; `None` for NULL.
///
/// An id is its 16 bytes. Anything else is a byte more than a hash, so that the two never meet.
pub(super) fn key_of(cell: ValueRef<'_>) -> Option<Vec<u8>> {
    let hashed = |kind: u8, bytes: &[u8]| {
        let mut key = vec![kind];
        key.extend_from_slice(blake3::hash(bytes).as_bytes());
        Some(key)
    };
    match cell {
        ValueRef::Null => None,
        ValueRef::Text(text) => match parse_id(text) {
            Some(id) => Some(id.to_vec()),
            None => hashed(b't', text),
        },
        ValueRef::Blob(bytes) => hashed(b'b', bytes),
        ValueRef::Integer(number) if number.unsigned_abs() > 1 << 53 => hashed(b'i', &number.to_le_bytes()),
        ValueRef::Integer(number) => hashed(b'n', &(number as f64).to_le_bytes()),
        // A zero is a zero whatever its sign.
        ValueRef::Real(number) => hashed(b'n', &(number + 0.0).to_le_bytes()),
    }
}

/// Returns the text of a cell that holds UTF-8.
pub(super) fn text_of(cell: ValueRef<'_>) -> Option<&str> {
    match cell {
        ValueRef::Text(text) => std::str::from_utf8(text).ok(),
        _ => None,
    }
}

/// A moment of some calendar and clock, without a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    date_time: jiff::civil::DateTime,
    micros: i64,
}

/// Returns the time in a text of the form `YYYY-MM-DD HH:MM:SS[.ffffff]`: a blank or a `T` in the middle, one to six
/// fraction digits, no zone, a date of the calendar from the year 1.
#[must_use]
pub fn parse_time(text: &[u8]) -> Option<LocalTime> {
    let (whole, fraction) = match text.len() {
        19 => (text, &[][..]),
        21..=26 if text[19] == b'.' => (&text[..19], &text[20..]),
        _ => return None,
    };
    let marks = [(4, b"-"), (7, b"-"), (13, b":"), (16, b":")];
    if marks.iter().any(|&(at, mark)| whole[at] != mark[0]) || !matches!(whole[10], b' ' | b'T') {
        return None;
    }
    let part = |from: usize, to: usize| number(&whole[from..to]);
    let year = i16::try_from(part(0, 4)?).ok().filter(|&year| year > 0)?;
    let small = |from| part(from, from + 2).and_then(|value| i8::try_from(value).ok());
    let (month, day, hour, minute, second) = (small(5)?, small(8)?, small(11)?, small(14)?, small(17)?);
    let date_time = jiff::civil::DateTime::new(year, month, day, hour, minute, second, 0).ok()?;
    let scale = 10_i64.pow(6 - u32::try_from(fraction.len()).ok()?);
    let micros = if fraction.is_empty() { 0 } else { number(fraction)? * scale };
    Some(LocalTime { date_time, micros })
}

/// Returns a number of decimal digits only.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum: i64, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

impl LocalTime {
    /// Returns the moment in a zone; a time that the zone skips or repeats has the offset from before the change.
    #[must_use]
    pub fn in_zone(self, zone: &Zone) -> Timestamp {
        use jiff::tz::AmbiguousOffset::{Fold, Gap, Unambiguous};
        let offset = match zone.rules.to_ambiguous_timestamp(self.date_time).offset() {
            Unambiguous { offset } | Gap { before: offset, .. } | Fold { before: offset, .. } => offset,
        };
        // By hand, since the last hours of the year 9999 are beyond what the library's moments hold.
        let (date, time) = (self.date_time.date(), self.date_time.time());
        let days = days_since_1970(i64::from(date.year()), i64::from(date.month()), i64::from(date.day()));
        let seconds_of_day = (i64::from(time.hour()) * 60 + i64::from(time.minute())) * 60 + i64::from(time.second());
        let seconds = days * 86_400 + seconds_of_day - i64::from(offset.seconds());
        Timestamp::from_micros(seconds * 1_000_000 + self.micros)
    }
}

/// Returns the days from 1970-01-01 to a date of the Gregorian calendar, whose year begins in March here.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A time in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimeCell {
    /// NULL.
    Absent,
    /// Something else than a time.
    Invalid,
    /// A time.
    Valid(LocalTime),
}

impl TimeCell {
    pub(super) fn of(cell: ValueRef<'_>) -> Self {
        match cell {
            ValueRef::Null => Self::Absent,
            ValueRef::Text(text) => parse_time(text).map_or(Self::Invalid, Self::Valid),
            _ => Self::Invalid,
        }
    }

    /// Returns the moment, where there is one.
    pub(super) fn in_zone(self, zone: &Zone) -> Option<Timestamp> {
        match self {
            Self::Valid(time) => Some(time.in_zone(zone)),
            Self::Absent | Self::Invalid => None,
        }
    }
}

/// Returns a JSON list of texts that is not empty.
#[must_use]
pub fn parse_strings(json: &str) -> Option<NonEmpty<String>> {
    serde_json::from_str(json).ok().and_then(NonEmpty::new)
}

/// Returns a JSON list, not empty, of lists of texts that are not empty.
#[must_use]
pub fn parse_networks(json: &str) -> Option<Vec<Vec<String>>> {
    let networks: Vec<Vec<String>> = serde_json::from_str(json).ok()?;
    (!networks.is_empty() && networks.iter().all(|network| !network.is_empty())).then_some(networks)
}

/// Returns a JSON list, not empty, of whole numbers that are seeds: −1 or from 0, in 64 bits.
#[must_use]
pub fn parse_seeds(json: &str) -> Option<NonEmpty<Seed>> {
    let values: Vec<i64> = serde_json::from_str(json).ok()?;
    let seeds = values.into_iter().map(|value| Seed::new(value).ok()).collect::<Option<Vec<_>>>()?;
    NonEmpty::new(seeds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn micros(text: &str, zone: &str) -> Option<i64> {
        parse_time(text.as_bytes()).map(|time| time.in_zone(&Zone::named(zone).unwrap()).micros())
    }

    #[test]
    fn ids_are_32_lower_case_digits() {
        assert_eq!(parse_id(b"000102030405060708090a0b0c0d0eff").unwrap()[14..], [0x0e, 0xff]);
        for text in [
            "",
            "0",
            "000102030405060708090A0B0C0D0E0F",
            "000102030405060708090a0b0c0d0e0g",
            "00010203-0405-0607-0809-0a0b0c0d",
        ] {
            assert_eq!(parse_id(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn times_have_one_form() {
        assert_eq!(micros("1970-01-01 00:00:00", "UTC"), Some(0));
        assert_eq!(micros("1970-01-01T00:00:01.5", "UTC"), Some(1_500_000));
        assert_eq!(micros("1969-12-31 23:59:59.999999", "UTC"), Some(-1));
        assert_eq!(micros("2024-02-29 12:00:00.000001", "UTC"), Some(1_709_208_000_000_001));
        assert_eq!(micros("9999-12-31 23:59:59.999999", "UTC"), Some(253_402_300_799_999_999));
        assert_eq!(micros("0001-01-01 00:00:00", "UTC"), Some(-62_135_596_800_000_000));
        for text in [
            "",
            "2025-02-29 00:00:00",
            "2025-01-01",
            "2025-01-01 24:00:00",
            "2025-01-01 00:00:60",
            "2025-01-01 00:00:00Z",
            "2025-01-01 00:00:00.",
            "2025-01-01 00:00:00.1234567",
            "2025-01-01 00:00:00+00:00",
            "2025-1-1 00:00:00",
            "2025-01-01  00:00:00",
            "2025-01-01 00:00",
            "0000-01-01 00:00:00",
            "2025-01-01t00:00:00",
            "+025-01-01 00:00:00",
            "2025-01-01 00:00:00.12a",
            " 2025-01-01 00:00:00",
            "2025/01/01 00:00:00",
        ] {
            assert_eq!(micros(text, "UTC"), None, "{text}");
        }
    }

    #[test]
    fn times_that_a_zone_skips_or_repeats_have_the_earlier_offset() {
        let hour = 3_600_000_000;
        // The clocks of Berlin went from 2 to 3 on 2025-03-30 and from 3 back to 2 on 2025-10-26.
        assert_eq!(
            micros("2025-03-30 02:30:00", "Europe/Berlin"),
            micros("2025-03-30 02:30:00", "UTC").map(|t| t - hour)
        );
        assert_eq!(
            micros("2025-10-26 02:30:00", "Europe/Berlin"),
            micros("2025-10-26 02:30:00", "UTC").map(|t| t - 2 * hour)
        );
        assert_eq!(
            micros("2025-07-01 00:00:00", "Australia/Sydney"),
            micros("2025-07-01 00:00:00", "UTC").map(|t| t - 10 * hour)
        );
        assert_eq!(Zone::named("Europe/Berlim").unwrap_err().nearest.as_deref(), Some("Europe/Berlin"));
    }

    #[test]
    fn lists_are_what_they_should_be_or_nothing() {
        assert!(parse_strings(r#"["", "a"]"#).is_some());
        for json in ["", "[]", "[1]", "[null]", "\"a\"", "{}", "[\"a\"", "[[\"a\"]]", "[\"a\"] x"] {
            assert!(parse_strings(json).is_none(), "{json}");
        }
        assert!(parse_networks(r#"[["A", "B"], ["C"]]"#).is_some());
        for json in ["[]", "[[]]", "[[\"A\"], []]", "[\"A\"]", "[[1]]"] {
            assert!(parse_networks(json).is_none(), "{json}");
        }
        assert!(parse_seeds("[-1, 0, 9223372036854775807]").is_some());
        for json in ["[]", "[true]", "[1.0]", "[1e3]", "[\"1\"]", "[-2]", "[9223372036854775808]", "[null]", "1"] {
            assert!(parse_seeds(json).is_none(), "{json}");
        }
    }

    #[test]
    fn keys_tell_cells_apart() {
        let id = b"000102030405060708090a0b0c0d0e0f";
        assert_eq!(key_of(ValueRef::Text(id)).unwrap().len(), 16);
        assert_eq!(key_of(ValueRef::Null), None);
        assert_eq!(key_of(ValueRef::Integer(5)), key_of(ValueRef::Real(5.0)));
        assert_eq!(key_of(ValueRef::Real(0.0)), key_of(ValueRef::Real(-0.0)));
        let others =
            [ValueRef::Blob(id), ValueRef::Text(b"5"), ValueRef::Integer(5), ValueRef::Blob(b"5"), ValueRef::Text(b"")];
        let keys: std::collections::BTreeSet<_> = others.into_iter().map(|cell| key_of(cell).unwrap()).collect();
        assert_eq!(keys.len(), others.len());
        assert!(keys.iter().all(|key| key.len() == 33));
    }
}
