//! Timestamps of a file: finds out in which unit they are, once per file, and holds every row to it.
//!
//! A number's unit follows from its magnitude: below 1e11 seconds, below 1e14 milliseconds, below 1e17 microseconds,
//! else nanoseconds (each reads as a year between 1973 and 5138 or beyond, so they cannot be confused for market
//! data). Zero fits every unit. The first row decides; a later row that looks like another unit is an error, because
//! a file that mixes units would otherwise become bars a thousand times too early.

use tapestore_format::limits::{TIME_MAX, TIME_MIN};

use crate::calendar::{fraction_ns, parse_stamp};

/// How a file states its times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Unit {
    /// Seconds since the Unix epoch.
    S,
    /// Milliseconds since the Unix epoch.
    Ms,
    /// Microseconds since the Unix epoch.
    Us,
    /// Nanoseconds since the Unix epoch.
    Ns,
    /// Dates, with or without a time of day and a zone.
    Date,
}

impl Unit {
    /// Decimal places of one unit in nanoseconds.
    fn places(self) -> usize {
        match self {
            Self::S => 9,
            Self::Ms => 6,
            Self::Us => 3,
            Self::Ns | Self::Date => 0,
        }
    }

    fn by_magnitude(whole: i64) -> Self {
        match whole.unsigned_abs() {
            0..100_000_000_000 => Self::S,
            100_000_000_000..100_000_000_000_000 => Self::Ms,
            100_000_000_000_000..100_000_000_000_000_000 => Self::Us,
            _ => Self::Ns,
        }
    }

    /// Name in messages.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::S => "seconds",
            Self::Ms => "milliseconds",
            Self::Us => "microseconds",
            Self::Ns => "nanoseconds",
            Self::Date => "dates",
        }
    }
}

/// Reads the time column of one file.
#[derive(Clone, Debug)]
pub(crate) struct Clock {
    unit: Option<Unit>,
    given: bool,
    drop_zone: bool,
}

impl Clock {
    /// `given` switches detection off. `drop_zone` takes the local clock as it stands in the text, so that a daily
    /// bar of `2020-01-02 00:00:00+08:00` stays at 2020-01-02.
    pub(crate) fn new(given: Option<Unit>, drop_zone: bool) -> Self {
        Self { unit: given, given: given.is_some(), drop_zone }
    }

    /// The unit found, or given.
    pub(crate) fn unit(&self) -> Option<Unit> {
        self.unit
    }

    /// Nanoseconds since the epoch, UTC.
    pub(crate) fn read(&mut self, cell: &[u8]) -> Result<i64, String> {
        let cell = cell.trim_ascii();
        let time = match Number::parse(cell) {
            Some(number) => self.read_number(cell, &number)?,
            None => self.read_text(cell)?,
        };
        if (TIME_MIN..=TIME_MAX).contains(&time) {
            Ok(time)
        } else {
            Err(format!("time {} lies outside the years 1685 to 2255", show(cell)))
        }
    }

    fn read_text(&mut self, cell: &[u8]) -> Result<i64, String> {
        let Some(stamp) = parse_stamp(cell) else {
            return Err(if cell.is_empty() {
                "the time is empty".to_owned()
            } else {
                format!("{} is not a time", show(cell))
            });
        };
        self.expect(Unit::Date, cell)?;
        Ok(if self.drop_zone { stamp.local_ns } else { stamp.utc_ns() })
    }

    fn read_number(&mut self, cell: &[u8], number: &Number<'_>) -> Result<i64, String> {
        // 20240131 and 20240131093000 are dates, not seconds of 1970 or milliseconds of 2611.
        if self.unit.is_none_or(|unit| unit == Unit::Date)
            && (cell.len() == 8 || cell.len() == 14)
            && let Some(date) = compact_date(cell)
        {
            self.expect(Unit::Date, cell)?;
            return Ok(date);
        }
        let unit = match self.unit {
            Some(unit) if self.given => unit,
            found if number.whole == 0 => found.unwrap_or(Unit::S),
            _ => {
                let unit = Unit::by_magnitude(number.whole);
                self.expect(unit, cell)?;
                unit
            }
        };
        if unit == Unit::Date {
            return Err(format!("{} is not a date", show(cell)));
        }
        let too_fine = || format!("time {} is finer than a nanosecond", show(cell));
        let part = match number.fraction {
            Some(digits) => fraction_ns(digits, unit.places()).ok_or_else(too_fine)?,
            None => 0,
        };
        let whole = number.whole.checked_mul(10_i64.pow(unit.places() as u32));
        let part = if number.negative { -part } else { part };
        whole
            .and_then(|whole| whole.checked_add(part))
            .ok_or_else(|| format!("time {} lies outside the years 1685 to 2255", show(cell)))
    }

    fn expect(&mut self, found: Unit, cell: &[u8]) -> Result<(), String> {
        match self.unit {
            None => self.unit = Some(found),
            Some(unit) if unit != found => {
                let fix = if self.given { "" } else { "; the unit can be given with --time-unit" };
                return Err(format!(
                    "time {} looks like {}, but the file so far is in {}{fix}",
                    show(cell),
                    found.name(),
                    unit.name()
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }
}

/// Whether a cell could be a time at all: used to tell a header from data.
pub(crate) fn is_time(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    Number::parse(cell).is_some() || parse_stamp(cell).is_some()
}

fn compact_date(cell: &[u8]) -> Option<i64> {
    let (date, clock) = cell.split_at(8);
    let mut text = date.to_vec();
    if !clock.is_empty() {
        text.push(b'T');
        text.extend_from_slice(clock);
    }
    parse_stamp(&text).map(crate::calendar::Stamp::utc_ns)
}

/// `whole.fraction`, exactly as written.
struct Number<'a> {
    negative: bool,
    whole: i64,
    fraction: Option<&'a [u8]>,
}

impl<'a> Number<'a> {
    fn parse(cell: &'a [u8]) -> Option<Self> {
        let (negative, digits) = match cell.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, cell),
        };
        let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let mut whole = 0_i64;
        for digit in &digits[..length] {
            whole = whole.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
        }
        let whole = if negative { -whole } else { whole };
        match (length, &digits[length..]) {
            (0, _) => None,
            (_, []) => Some(Self { negative, whole, fraction: None }),
            (_, [b'.', fraction @ ..]) if !fraction.is_empty() && fraction.iter().all(u8::is_ascii_digit) => {
                Some(Self { negative, whole, fraction: Some(fraction) })
            }
            // 1.36477482e+12, as spreadsheets write it: only where it is a whole number.
            _ => {
                let value: f64 = std::str::from_utf8(cell).ok()?.parse().ok()?;
                let exact = value.fract() == 0.0 && value.abs() < 9e15;
                exact.then_some(Self { negative: value < 0.0, whole: value as i64, fraction: None })
            }
        }
    }
}

/// A cell in a message: quoted, cut when long.
pub(crate) fn show(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let mut short: String = text.chars().take(60).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(cells: &[&str]) -> Result<Vec<i64>, String> {
        let mut clock = Clock::new(None, false);
        cells.iter().map(|cell| clock.read(cell.as_bytes())).collect()
    }

    const NOON_S: i64 = 1_704_110_400;

    #[test]
    fn each_unit_is_found_by_magnitude() {
        let expected = vec![NOON_S * 1_000_000_000];
        for cell in [
            "1704110400",
            "1704110400000",
            "1704110400000000",
            "1704110400000000000",
            "1704110400.0",
            "1704110400000.000",
            "1.7041104e12",
            "2024-01-01 12:00:00+00:00",
            "20240101120000",
            " 1704110400 ",
        ] {
            assert_eq!(read(&[cell]).as_ref(), Ok(&expected), "{cell}");
        }
        assert_eq!(read(&["20240101"]).unwrap(), vec![(NOON_S - 12 * 3600) * 1_000_000_000]);
    }

    #[test]
    fn fractions_of_seconds_are_exact() {
        assert_eq!(read(&["1762795433.9717445"]).unwrap(), vec![1_762_795_433_971_744_500]);
        assert_eq!(read(&["-0.5", "0"]).unwrap(), vec![-500_000_000, 0]);
        assert!(read(&["1762795433.9717445001"]).unwrap_err().contains("finer"));
    }

    #[test]
    fn a_file_that_mixes_units_is_refused() {
        let error = read(&["1704110400000", "1704110460"]).unwrap_err();
        assert!(error.contains("seconds") && error.contains("milliseconds"), "{error}");
        assert!(read(&["2024-01-01", "1704110400"]).is_err());
        assert!(read(&["1704110400", "2024-01-01"]).is_err());
        assert_eq!(read(&["0", "1704110400000"]).unwrap()[1], NOON_S * 1_000_000_000, "zero fits every unit");
    }

    #[test]
    fn a_given_unit_overrides_magnitude() {
        let mut clock = Clock::new(Some(Unit::Ms), false);
        assert_eq!(clock.read(b"1000").unwrap(), 1_000_000_000);
        assert_eq!(clock.read(b"20240101").unwrap(), 20_240_101_000_000);
        assert!(clock.read(b"2024-01-01").is_err());
    }

    #[test]
    fn the_zone_can_be_dropped_for_daily_bars() {
        let cell = b"2020-01-02 00:00:00+08:00";
        let with = Clock::new(None, false).read(cell).unwrap();
        let without = Clock::new(None, true).read(cell).unwrap();
        assert_eq!(without - with, 8 * 3_600_000_000_000);
    }

    #[test]
    fn what_is_no_time_is_named() {
        for cell in ["", "abc", "1e400", "99999999999999999999", "12:00", "9223372036854775807"] {
            assert!(read(&[cell]).is_err(), "{cell}");
        }
    }
}
