//! Times of any form that files have, as nanoseconds since 1970.

use tapestore_format::time::Timeframe;

use crate::table::{DAY_NS, MINUTE_NS};

/// Nanoseconds: from a number whose unit follows from its size, or a date with or without a time of day and offset.
pub(crate) fn parse_time(field: &str) -> Option<i64> {
    if let Some(time) = packed_date(field) {
        return Some(time);
    }
    if let Ok(number) = field.parse::<i64>() {
        return number.checked_mul(unit_ns(number));
    }
    if let Some((whole, parts)) = field.split_once('.')
        && let (Ok(number), true) = (whole.parse::<i64>(), parts.bytes().all(|byte| byte.is_ascii_digit()))
    {
        // Parts of a second, or of a smaller unit.
        let unit = unit_ns(number);
        let parts: i64 = format!("{parts:0<9}").get(0..9)?.parse().ok()?;
        return number
            .checked_mul(unit)?
            .checked_add((i128::from(parts) * i128::from(unit) / 1_000_000_000) as i64);
    }
    if !matches!((field.get(4..5)?, field.get(7..8)?), ("-", "-") | ("/", "/") | (".", ".")) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| field.get(range)?.parse::<i64>().ok();
    let midnight = day_ns(part(0..4)?, part(5..7)?, part(8..10)?)?;
    clock_ns(field.get(10..).unwrap_or_default()).map(|clock| midnight + clock)
}

/// The unit of a number of this size, in nanoseconds: seconds until the year 5138, and so on.
fn unit_ns(number: i64) -> i64 {
    match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1,
    }
}

fn day_ns(year: i64, month: i64, day: i64) -> Option<i64> {
    let month_ns = Timeframe::Mo1.slot_start((year - 1970) * 12 + month - 1);
    ((1..=12).contains(&month) && (1..=31).contains(&day)).then(|| month_ns + (day - 1) * DAY_NS)
}

/// Dates without marks between: 20150501, 20150501 09:30, 20150501093000. As numbers of seconds or milliseconds these would
/// lie in the seventies.
fn packed_date(field: &str) -> Option<i64> {
    let digits = field.bytes().take_while(u8::is_ascii_digit).count();
    if !matches!(digits, 8 | 12 | 14) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| field.get(range)?.parse::<i64>().ok();
    let year = part(0..4).filter(|year| (1900..2100).contains(year))?;
    let midnight = day_ns(year, part(4..6)?, part(6..8)?)?;
    if digits == 8 {
        let rest = &field[8..];
        return (rest.is_empty() || rest.starts_with([' ', 'T']))
            .then(|| clock_ns(rest))
            .flatten()
            .map(|clock| midnight + clock);
    }
    let (hour, minute, second) = (part(8..10)?, part(10..12)?, part(12..14).unwrap_or(0));
    (digits == field.len() && hour < 24 && minute < 60 && second < 61)
        .then(|| midnight + (hour * 3600 + minute * 60 + second) * 1_000_000_000)
}

/// A time of day, with or without colons, parts of a second, and an offset from Greenwich, which is taken off; nothing is
/// midnight.
fn clock_ns(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(['T', ' ']).trim_end();
    let text = text.strip_suffix("UTC").or(text.strip_suffix('Z')).unwrap_or(text).trim_end();
    let (clock, offset_minutes) = match text.rfind(['+', '-']) {
        Some(at) => {
            let digits: String = text[at + 1..].chars().filter(char::is_ascii_digit).collect();
            let hours: i64 = digits.get(0..2)?.parse().ok()?;
            let minutes = hours * 60 + digits.get(2..4).map_or(Some(0), |minutes| minutes.parse().ok())?;
            (text[..at].trim_end(), if &text[at..=at] == "+" { minutes } else { -minutes })
        }
        None => (text, 0),
    };
    let (clock, parts) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let digits: String = clock.chars().filter(|letter| *letter != ':').collect();
    let part = |at: usize| digits.get(at..at + 2).map_or(Some(0), |two| two.parse::<i64>().ok());
    let known = digits.len() <= 6 && digits.len().is_multiple_of(2) && parts.len() <= 9;
    let seconds = part(0)? * 3600 + part(2)? * 60 + part(4)?;
    let parts_ns: i64 = format!("{parts:0<9}").parse().ok()?;
    known.then(|| seconds * 1_000_000_000 + parts_ns - offset_minutes * MINUTE_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 18_262 * DAY_NS;

    #[test]
    fn times_of_all_forms_are_read() {
        for text in [
            "1577836800",
            "1577836800.0",
            "1577836800000",
            "1577836800000000",
            "1577836800000000000",
            "2020-01-01",
            "2020.01.01",
            "2020/01/01 00:00",
            "20200101",
            "20200101 00:00",
            "202001010000",
            "20200101000000",
            "2020-01-01T00:00:00Z",
            "2020-01-01 00:00:00 UTC",
            "2020-01-01 08:00:00+08:00",
            "2020-01-01T08:00:00+0800",
            "2019-12-31 19:00:00-05:00",
        ] {
            assert_eq!(parse_time(text), Some(DAY), "{text}");
        }
        assert_eq!(parse_time("1577836800000000001"), Some(DAY + 1));
        assert_eq!(parse_time("1577836800.5"), Some(DAY + 500_000_000));
        assert_eq!(parse_time("2020-01-01T08:00:00.000250+08:00"), Some(DAY + 250_000));
        assert_eq!(parse_time("20200101 09:30"), Some(DAY + 570 * MINUTE_NS));
        assert_eq!(parse_time("20200101093000"), Some(DAY + 570 * MINUTE_NS));
        for text in ["open_time", "", "2020-13-01", "01/02/2020", "2020-01-01 noon"] {
            assert_eq!(parse_time(text), None, "{text}");
        }
        assert_eq!(parse_time("20201301"), Some(20_201_301_000_000_000), "no date: seconds");
    }
}
