//! Offsets of local clocks from UTC: fixed ones, and those that are set by the rules of the United States and of Europe.
//!
//! The rules are those in force since 1987 and 1996; calendars that begin earlier are refused by [`Zone::since_days`].
//! United States: to summer time at 02:00 local standard time on the first Sunday of April, back at 02:00 summer time on
//! the last Sunday of October; since 2007 the second Sunday of March and the first of November (Energy Policy Act of 2005).
//! Europe: at 01:00 UTC on the last Sundays of March and October (Directive 2000/84/EC, and 97/44/EC before it).

use std::ops::Range;

use tapestore_format::time::{DAY_NS, HOUR_NS, MINUTE_NS};
use tapestore_format::time::{date_from_days, days_from_date};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Summer {
    Never,
    UnitedStates,
    Europe,
}

/// A local clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    name: String,
    standard_ns: i64,
    summer: Summer,
}

const NAMED: [(&str, i64, Summer); 14] = [
    ("UTC", 0, Summer::Never),
    ("America/Chicago", -6, Summer::UnitedStates),
    ("America/New_York", -5, Summer::UnitedStates),
    ("America/Toronto", -5, Summer::UnitedStates),
    ("Asia/Hong_Kong", 8, Summer::Never),
    ("Asia/Seoul", 9, Summer::Never),
    ("Asia/Shanghai", 8, Summer::Never),
    ("Asia/Singapore", 8, Summer::Never),
    ("Asia/Taipei", 8, Summer::Never),
    ("Asia/Tokyo", 9, Summer::Never),
    ("Europe/Berlin", 1, Summer::Europe),
    ("Europe/London", 0, Summer::Europe),
    ("Europe/Paris", 1, Summer::Europe),
    ("Europe/Zurich", 1, Summer::Europe),
];

impl Zone {
    /// A zone by its name, as far as it is known, or by its offset: `+08:00`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((name, hours, summer)) = NAMED.iter().find(|zone| zone.0 == text) {
            return Some(Self { name: (*name).to_owned(), standard_ns: hours * HOUR_NS, summer: *summer });
        }
        let sign = match text.as_bytes().first()? {
            b'+' => 1,
            b'-' => -1,
            _ => return None,
        };
        let (hours, minutes) = text[1..].split_once(':')?;
        let number = |text: &str, most: i64| {
            let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse::<i64>().ok().filter(|number| digits && *number <= most)
        };
        let offset = number(hours, 14)? * HOUR_NS + number(minutes, 59)? * MINUTE_NS;
        Some(Self { name: text.to_owned(), standard_ns: sign * offset, summer: Summer::Never })
    }

    /// The names that [`Zone::parse`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        NAMED.iter().map(|zone| zone.0)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The first day, counted from the epoch, from which its rule holds.
    pub fn since_days(&self) -> i64 {
        match self.summer {
            Summer::Never => i64::MIN,
            Summer::UnitedStates => days_from_date(1987, 1, 1),
            Summer::Europe => days_from_date(1996, 1, 1),
        }
    }

    /// How far the clock is ahead of UTC at a time, in nanoseconds.
    pub fn offset_ns(&self, utc_ns: i64) -> i64 {
        if self.summer == Summer::Never {
            return self.standard_ns;
        }
        let year = date_from_days((utc_ns.saturating_add(self.standard_ns)).div_euclid(DAY_NS)).0;
        let summer = self.summer_of(year).contains(&utc_ns);
        self.standard_ns + if summer { HOUR_NS } else { 0 }
    }

    /// When a local clock shows `local_ns` (nanoseconds since the epoch, as if it were UTC). An hour that there is twice is
    /// taken for the first; one that is skipped for as long after the shift as it is after its beginning.
    pub fn utc_ns(&self, local_ns: i64) -> i64 {
        let summer = local_ns - self.standard_ns - HOUR_NS;
        if self.offset_ns(summer) == self.standard_ns + HOUR_NS {
            summer
        } else {
            local_ns - self.standard_ns
        }
    }

    /// Summer time of a year, in UTC.
    fn summer_of(&self, year: i64) -> Range<i64> {
        match self.summer {
            Summer::Never => 0..0,
            Summer::UnitedStates => {
                let (start, end) = if year >= 2007 {
                    (sunday_from(year, 3, 8), sunday_from(year, 11, 1))
                } else {
                    (sunday_from(year, 4, 1), sunday_from(year, 10, 25))
                };
                let at = |day: i64, hour: i64| day * DAY_NS + hour * HOUR_NS - self.standard_ns;
                // Clocks show 02:00 of summer time when they are set back: 01:00 of standard time.
                at(start, 2)..at(end, 1)
            }
            Summer::Europe => {
                let at = |month: i64| sunday_from(year, month, 25) * DAY_NS + HOUR_NS;
                at(3)..at(10)
            }
        }
    }
}

/// The first Sunday on or after a date, as a day since the epoch.
fn sunday_from(year: i64, month: i64, day: i64) -> i64 {
    let from = days_from_date(year, month, day);
    // The epoch was a Thursday; the third day after it a Sunday.
    from + (3_i64 - from).rem_euclid(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_set_when_the_tz_database_says() {
        let mut before: Option<(String, i64)> = None;
        for line in include_str!("../oracle/zones.csv").lines().skip(1) {
            let mut fields = line.split(',');
            let (name, utc, minutes) =
                (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
            let digits: Vec<i64> =
                utc.split(['-', 'T', ':', 'Z']).take(4).map(|part| part.parse().unwrap()).collect();
            let at = days_from_date(digits[0], digits[1], digits[2]) * DAY_NS + digits[3] * HOUR_NS;
            let offset = minutes.parse::<i64>().unwrap() * MINUTE_NS;
            let zone = Zone::parse(name).unwrap();
            assert_eq!(zone.offset_ns(at), offset, "{line}");
            if let Some((_, earlier)) = before.filter(|(last, _)| last == name) {
                assert_eq!(zone.offset_ns(at - 1), earlier, "just before {line}");
                let (local, after) = (at - 1 + earlier, at + offset + 2 * HOUR_NS);
                assert_eq!([zone.utc_ns(local), zone.utc_ns(after)], [at - 1, at + 2 * HOUR_NS], "{line}");
            }
            before = Some((name.to_owned(), offset));
        }
    }

    #[test]
    fn hours_that_there_are_twice_or_never_have_a_time() {
        let zone = Zone::parse("America/New_York").unwrap();
        let local = |month, day, hour| days_from_date(2024, month, day) * DAY_NS + hour * HOUR_NS;
        // 2024-11-03 01:00 is there twice: 05:00 and 06:00 UTC. 2024-03-10 02:00 is not: clocks show 03:00 at 07:00 UTC.
        assert_eq!(zone.utc_ns(local(11, 3, 1)), local(11, 3, 5));
        assert_eq!(zone.utc_ns(local(11, 3, 2)), local(11, 3, 7));
        assert_eq!(zone.utc_ns(local(3, 10, 2)), local(3, 10, 7));
        assert_eq!(zone.utc_ns(local(3, 10, 3)), local(3, 10, 7));
    }

    #[test]
    fn zones_are_named_or_are_an_offset() {
        assert_eq!(Zone::parse("+05:30").unwrap().offset_ns(7), 5 * HOUR_NS + 30 * MINUTE_NS);
        assert_eq!(Zone::parse("-03:00").unwrap().utc_ns(0), 3 * HOUR_NS);
        for bad in ["", "Mars/Olympus", "+8", "+15:00", "+08:60", "08:00", "+0a:00", "+-1:00"] {
            assert_eq!(Zone::parse(bad), None, "{bad}");
        }
    }
}
