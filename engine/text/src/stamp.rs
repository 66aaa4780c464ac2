//! Days and dates, and reading and writing timestamps as text. UTC throughout; a zone in a text is applied.

use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::time::{DAY_NS, HOUR_NS, MINUTE_NS, SECOND_NS, date_from_days, days_from_date};

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A timestamp read from text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// The clock on the wall, as nanoseconds since the epoch as if it were UTC.
    pub local_ns: i64,
    /// Offset of the zone from UTC in nanoseconds, if the text names one.
    pub offset_ns: Option<i64>,
}

impl Stamp {
    /// Nanoseconds since the epoch, UTC; a text without a zone is UTC.
    pub fn utc_ns(self) -> i64 {
        self.local_ns.saturating_sub(self.offset_ns.unwrap_or(0))
    }
}

/// Reads ISO 8601 and its usual relatives: `2024-01-31`, `2024/01/31`, `20240131`, with or without a time of day
/// (`T` or a space; `HH:MM`, seconds, fraction) and a zone (`Z`, `UTC`, `+08:00`, `+0800`, `+08`).
///
/// `None` when the text is something else, names a day that does not exist, is finer than a nanosecond, or lies
/// outside the years 1685 to 2255.
pub fn parse_stamp(text: &[u8]) -> Option<Stamp> {
    let mut rest = Cursor { text: text.trim_ascii() };
    let year = rest.digits(4)?;
    let separator = rest.take_if(|byte| byte == b'-' || byte == b'/');
    let month = rest.digits(2)?;
    if let Some(separator) = separator {
        rest.take_if(|byte| byte == separator)?;
    }
    let day = rest.digits(2)?;
    if !(1685..=2254).contains(&year)
        || !(1..=12).contains(&month)
        || !(1..=days_in_month(year, month)).contains(&day)
    {
        return None;
    }
    let mut local_ns = days_from_date(year, month, day) * DAY_NS;
    let mut offset_ns = None;
    if rest.take_if(|byte| byte == b'T' || byte == b't' || byte == b' ').is_some() {
        local_ns += rest.time_of_day()?;
        offset_ns = rest.zone()?;
    } else if !rest.text.is_empty() {
        offset_ns = Some(rest.zone()??);
    }
    let stamp = Stamp { local_ns, offset_ns };
    (rest.text.is_empty() && (TIME_MIN..=TIME_MAX).contains(&stamp.utc_ns())).then_some(stamp)
}

struct Cursor<'a> {
    text: &'a [u8],
}

impl Cursor<'_> {
    fn take_if(&mut self, accept: impl Fn(u8) -> bool) -> Option<u8> {
        let (first, rest) = self.text.split_first()?;
        accept(*first).then(|| {
            self.text = rest;
            *first
        })
    }

    fn digits(&mut self, count: usize) -> Option<i64> {
        let digits = self.text.get(..count)?;
        let mut value = 0;
        for digit in digits {
            value = value * 10 + i64::from(digit.is_ascii_digit().then(|| digit - b'0')?);
        }
        self.text = &self.text[count..];
        Some(value)
    }

    fn time_of_day(&mut self) -> Option<i64> {
        let hour = self.digits(2)?;
        let colon = self.take_if(|byte| byte == b':');
        let minute = self.digits(2)?;
        let mut second = 0;
        let more = match colon {
            Some(_) => self.take_if(|byte| byte == b':').is_some(),
            None => self.text.first().is_some_and(u8::is_ascii_digit),
        };
        if more {
            second = self.digits(2)?;
        }
        if hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let whole = hour * HOUR_NS + minute * MINUTE_NS + second * SECOND_NS;
        if !more || self.take_if(|byte| byte == b'.' || byte == b',').is_none() {
            return Some(whole);
        }
        let length = self.text.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let fraction = fraction_ns(&self.text[..length], 9)?;
        self.text = &self.text[length..];
        Some(whole + fraction)
    }

    /// Outer `None`: not a zone. Inner `None`: no zone given.
    #[expect(clippy::option_option, reason = "a bad zone and no zone are different answers")]
    fn zone(&mut self) -> Option<Option<i64>> {
        let _ = self.take_if(|byte| byte == b' ');
        if self.text.is_empty() {
            return Some(None);
        }
        for name in [b"Z".as_slice(), b"z", b"UTC", b"GMT"] {
            if self.text == name {
                self.text = &[];
                return Some(Some(0));
            }
        }
        let sign = if self.take_if(|byte| byte == b'+' || byte == b'-')? == b'-' { -1 } else { 1 };
        let hours = self.digits(2)?;
        let colon = self.take_if(|byte| byte == b':').is_some();
        let minutes = if colon || !self.text.is_empty() { self.digits(2)? } else { 0 };
        (hours <= 18 && minutes <= 59).then_some(Some(sign * (hours * HOUR_NS + minutes * MINUTE_NS)))
    }
}

/// A decimal fraction of `10^places` as an integer; `None` when it is empty, no number, or finer than that.
pub fn fraction_ns(digits: &[u8], places: usize) -> Option<i64> {
    if digits.is_empty() {
        return None;
    }
    let mut value = 0;
    for place in 0..places.max(digits.len()) {
        let digit = match digits.get(place) {
            Some(digit) => i64::from(digit.is_ascii_digit().then(|| digit - b'0')?),
            None => 0,
        };
        if place < places {
            value = value * 10 + digit;
        } else if digit != 0 {
            return None;
        }
    }
    Some(value)
}

/// How times are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeStyle {
    /// `2024-01-31T00:00:00Z`, with as many decimals as needed.
    #[default]
    Iso,
    /// Integer nanoseconds since the Unix epoch.
    Ns,
    /// Integer microseconds, with a decimal fraction only where needed.
    Us,
    /// Integer milliseconds, with a decimal fraction only where needed.
    Ms,
    /// Integer seconds, with a decimal fraction only where needed.
    S,
}

impl TimeStyle {
    /// Whether the written form is a number.
    pub fn is_number(self) -> bool {
        self != Self::Iso
    }

    /// Appends `time`.
    pub fn push(self, out: &mut Vec<u8>, time: i64) {
        let unit = match self {
            Self::Iso => return push_iso(out, time),
            Self::Ns => 1,
            Self::Us => 1000,
            Self::Ms => 1_000_000,
            Self::S => SECOND_NS,
        };
        let (whole, part) = (time / unit, (time % unit).unsigned_abs());
        if time < 0 && whole == 0 {
            out.push(b'-');
        }
        out.extend_from_slice(itoa::Buffer::new().format(whole).as_bytes());
        if part != 0 {
            out.push(b'.');
            push_fraction(out, part, unit as u64 / 10);
        }
    }
}

/// Appends the digits of `part`, whose first digit counts `unit`, without trailing zeros.
fn push_fraction(out: &mut Vec<u8>, mut part: u64, mut unit: u64) {
    while part > 0 && unit > 0 {
        out.push(b'0' + (part / unit % 10) as u8);
        part %= unit;
        unit /= 10;
    }
}

fn push_padded(out: &mut Vec<u8>, value: i64, mut unit: i64) {
    while unit > 0 {
        out.push(b'0' + (value / unit % 10) as u8);
        unit /= 10;
    }
}

/// Appends `2024-01-31T09:30:00Z`, with decimals of the second only where needed.
pub fn push_iso(out: &mut Vec<u8>, time: i64) {
    push_date(out, time);
    let of_day = time.rem_euclid(DAY_NS);
    out.push(b'T');
    push_clock(out, of_day);
    let part = of_day % SECOND_NS;
    if part != 0 {
        out.push(b'.');
        push_fraction(out, part as u64, SECOND_NS as u64 / 10);
    }
    out.push(b'Z');
}

fn push_date(out: &mut Vec<u8>, time: i64) {
    let (year, month, day) = date_from_days(time.div_euclid(DAY_NS));
    push_padded(out, year, 1000);
    out.push(b'-');
    push_padded(out, month, 10);
    out.push(b'-');
    push_padded(out, day, 10);
}

fn push_clock(out: &mut Vec<u8>, of_day: i64) {
    push_padded(out, of_day / HOUR_NS, 10);
    out.push(b':');
    push_padded(out, of_day / MINUTE_NS % 60, 10);
    out.push(b':');
    push_padded(out, of_day / SECOND_NS % 60, 10);
}

/// A time for people: `2024-01-31` at midnight, else `2024-01-31 09:30`, with seconds and decimals only where needed.
pub fn brief(time: i64) -> String {
    let mut out = Vec::with_capacity(24);
    let of_day = time.rem_euclid(DAY_NS);
    if of_day % SECOND_NS != 0 {
        push_iso(&mut out, time);
    } else {
        push_date(&mut out, time);
        if of_day != 0 {
            out.push(b' ');
            push_clock(&mut out, of_day);
            if of_day % MINUTE_NS == 0 {
                out.truncate(out.len() - 3);
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ns(text: &str) -> Option<i64> {
        parse_stamp(text.as_bytes()).map(Stamp::utc_ns)
    }

    fn iso(time: i64) -> String {
        let mut out = Vec::new();
        push_iso(&mut out, time);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn dates_and_days_are_inverse() {
        for day in -100_000..100_000 {
            let (year, month, date) = date_from_days(day);
            assert_eq!(days_from_date(year, month, date), day);
            assert!((1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&date));
        }
    }

    #[test]
    fn every_usual_spelling_is_read() {
        let noon = 1_704_110_400 * SECOND_NS;
        for text in [
            "2024-01-01 12:00:00+00:00",
            "2024-01-01T12:00:00Z",
            "2024-01-01T12:00Z",
            "2024-01-01 20:00:00+08:00",
            "2024-01-01 20:00:00 +0800",
            "2024-01-01T04:00:00-08",
            "20240101 12:00",
            "20240101T120000",
            "2024/01/01 12:00:00.000",
            "2024-01-01 12:00:00 UTC",
            " 2024-01-01T12:00:00.000000000Z ",
        ] {
            assert_eq!(ns(text), Some(noon), "{text}");
        }
        assert_eq!(ns("2024-01-01"), Some(noon - 12 * HOUR_NS));
        assert_eq!(ns("20240101"), Some(noon - 12 * HOUR_NS));
        assert_eq!(ns("2023-10-04T16:25:00.000000001Z"), Some(1_696_436_700 * SECOND_NS + 1));
        assert_eq!(ns("1969-12-31T23:59:59.5"), Some(-SECOND_NS / 2));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2024",
            "2024-13-01",
            "2023-02-29",
            "2024-01-01T25:00",
            "2024-01-01T12:00:60",
            "2024-01-01x",
            "2024-01-01T12",
            "2024-01/01",
            "2024-01-01T12:00:00.0000000001Z",
            "2024-01-01T12:00:00+99:00",
            "1500-01-01",
            "2400-01-01",
            "open_time",
            "12:00:00",
            "202401",
            "2024-01-01T12:00:00.Z",
        ] {
            assert_eq!(ns(text), None, "{text}");
        }
    }

    #[test]
    fn written_times_read_back() {
        let mut state = 1_u64;
        for _ in 0..20_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let time = (state as i64 / 2).clamp(-8_900_000_000_000_000_000, 8_900_000_000_000_000_000);
            assert_eq!(ns(&iso(time)), Some(time));
        }
        assert_eq!(iso(1_704_110_400 * SECOND_NS + 120_000_000), "2024-01-01T12:00:00.12Z");
    }

    #[test]
    fn number_styles_are_exact() {
        let write = |style: TimeStyle, time| {
            let mut out = Vec::new();
            style.push(&mut out, time);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(write(TimeStyle::Ns, -5), "-5");
        assert_eq!(write(TimeStyle::Ms, 1_700_000_000_000_000_000), "1700000000000");
        assert_eq!(write(TimeStyle::Ms, 1_700_000_000_000_000_120), "1700000000000.00012");
        assert_eq!(write(TimeStyle::S, -500_000_000), "-0.5");
        assert_eq!(write(TimeStyle::Us, 0), "0");
    }

    #[test]
    fn brief_times_leave_out_what_is_zero() {
        let noon = 1_704_110_400 * SECOND_NS;
        assert_eq!(brief(noon), "2024-01-01 12:00");
        assert_eq!(brief(noon + SECOND_NS), "2024-01-01 12:00:01");
        assert_eq!(brief(noon - 12 * HOUR_NS), "2024-01-01");
        assert_eq!(brief(noon + 1), "2024-01-01T12:00:00.000000001Z");
    }
}
