//! Calendars as text, a statement a line: what is compiled in, and files of one's own.
//!
//! Later lines go before earlier ones, a file before its base; the hours of a file take the place of all of its base.
//! Dates and hours are on the exchange's clock. The format is told in the crate's README.

use std::collections::BTreeMap;
use std::ops::Range;

use tapestore_format::time::{HOUR_NS, MINUTE_NS};
use tapestore_format::time::{date_from_days, days_from_date};

use crate::error::{Error, Result};
use crate::zone::Zone;

/// A day that is not as others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Special {
    /// Nanoseconds of the day; nothing: closed.
    pub(crate) hours: Vec<Range<i64>>,
    /// Why.
    pub(crate) note: Option<String>,
    /// Whether it was added to, or is other than, what the base says.
    pub(crate) own: bool,
}

/// Everything that a calendar says. Days are counted from the epoch, of dates on the exchange's calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) source: String,
    pub(crate) zone: Zone,
    pub(crate) days: Range<i64>,
    /// Monday first.
    pub(crate) week: [bool; 7],
    /// Regular hours by the first day on which they hold.
    pub(crate) hours: BTreeMap<i64, Vec<Range<i64>>>,
    pub(crate) special: BTreeMap<i64, Special>,
    /// For how long after the last session of a day bars are allowed, not expected.
    pub(crate) late_ns: i64,
    pub(crate) notes: Vec<String>,
}

const WEEK: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

impl Table {
    /// Reads a calendar; `base` finds those that files build on.
    pub(crate) fn parse(file: &str, text: &str, base: impl Fn(&str) -> Option<Self>) -> Result<Self> {
        let name = file.rsplit('/').next().unwrap_or(file).trim_end_matches(".calendar");
        let mut table = Self {
            name: name.to_owned(),
            title: String::new(),
            source: file.to_owned(),
            zone: Zone::parse("UTC").expect("a zone that there is"),
            days: 0..0,
            week: [true, true, true, true, true, false, false],
            hours: BTreeMap::new(),
            special: BTreeMap::new(),
            late_ns: 0,
            notes: Vec::new(),
        };
        table.apply(file, text, false, base)?;
        Ok(table)
    }

    /// Adds what another text says, which goes before; `own` marks its days.
    pub(crate) fn apply(
        &mut self,
        file: &str,
        text: &str,
        own: bool,
        base: impl Fn(&str) -> Option<Self>,
    ) -> Result<()> {
        let (mut own, mut hours) = (own, false);
        for (index, line) in text.lines().enumerate() {
            let wrong = |what: String| Error::File { file: file.to_owned(), line: index + 1, what };
            let line = line.trim();
            let (word, rest) = line.split_once(' ').map_or((line, ""), |(word, rest)| (word, rest.trim()));
            match word {
                "" => {}
                _ if word.starts_with('#') => {}
                "base" => {
                    let name = std::mem::take(&mut self.name);
                    *self = base(rest).ok_or_else(|| wrong(format!("there is no calendar {rest:?}")))?;
                    (self.name, own) = (name, true);
                }
                "calendar" if !rest.is_empty() => rest.clone_into(&mut self.name),
                "title" => rest.clone_into(&mut self.title),
                "source" => rest.clone_into(&mut self.source),
                "note" => self.notes.push(rest.to_owned()),
                "zone" => {
                    let zones: Vec<&str> = Zone::names().collect();
                    self.zone = Zone::parse(rest).ok_or_else(|| {
                        wrong(format!(
                            "{rest:?} is no zone that is known; write +08:00, or one of {}",
                            zones.join(", ")
                        ))
                    })?;
                }
                "late" => {
                    let minutes = rest.strip_suffix('m').and_then(|number| number.parse::<i64>().ok());
                    let minutes = minutes.filter(|minutes| (0..=720).contains(minutes));
                    self.late_ns = MINUTE_NS
                        * minutes.ok_or_else(|| wrong(format!("{rest:?} is no span; write 10m")))?;
                }
                "week" => self.week = week(rest).map_err(wrong)?,
                "days" => {
                    let (first, last) = rest.split_once(' ').unwrap_or((rest, ""));
                    let (first, last) = (date(first).map_err(wrong)?, date(last.trim()).map_err(wrong)?);
                    self.days = first..last + 1;
                }
                "hours" | "day" | "closed" => {
                    let (day, rest) = rest.split_once(' ').unwrap_or((rest, ""));
                    let day = date(day).map_err(wrong)?;
                    let (given, note) = stretches(rest).map_err(wrong)?;
                    if (word == "closed") != given.is_empty() {
                        let what = if word == "closed" {
                            "a closed day has no hours"
                        } else {
                            "hours are missing; write 09:30-12:00"
                        };
                        return Err(wrong(what.to_owned()));
                    }
                    let note = (!note.is_empty()).then(|| note.to_owned());
                    if word == "hours" {
                        if !std::mem::replace(&mut hours, true) {
                            self.hours.clear();
                        }
                        self.hours.insert(day, given);
                    } else {
                        self.special.insert(day, Special { hours: given, note, own });
                    }
                }
                _ => {
                    let what = format!(
                        "{word:?} is no statement; there are calendar, title, source, note, base, zone, days, week, hours, day, closed, late"
                    );
                    return Err(wrong(what));
                }
            }
        }
        self.check().map_err(|what| Error::File { file: file.to_owned(), line: 0, what })
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.days.is_empty() {
            return Err("it does not say of which days it speaks; write days 2020-01-01 2026-12-31".into());
        }
        if self.days.start < self.zone.since_days() {
            return Err(format!(
                "it begins on {}, but the rule of {} is known since {}",
                text_of(self.days.start),
                self.zone.name(),
                text_of(self.zone.since_days())
            ));
        }
        if self.hours.keys().next().is_none_or(|first| *first > self.days.start) {
            return Err(format!(
                "hours are missing from {} on; write hours {0} 09:30-16:00",
                text_of(self.days.start)
            ));
        }
        match self.special.keys().find(|day| !self.days.contains(day)) {
            Some(day) => Err(format!("{} lies outside of its days", text_of(*day))),
            None => Ok(()),
        }
    }

    /// The hours of a day, and what is special about it.
    pub(crate) fn hours_of(&self, day: i64) -> (&[Range<i64>], Option<&Special>) {
        if let Some(special) = self.special.get(&day) {
            return (&special.hours, Some(special));
        }
        if !self.week[weekday(day)] {
            return (&[], None);
        }
        (self.hours.range(..=day).next_back().map_or(&[][..], |(_, hours)| hours), None)
    }
}

/// Day of the week, Monday is 0; the epoch was a Thursday.
pub(crate) fn weekday(day: i64) -> usize {
    (day + 3).rem_euclid(7) as usize
}

/// A day since the epoch as `2024-01-31`.
pub(crate) fn text_of(day: i64) -> String {
    let (year, month, date) = date_from_days(day);
    format!("{year:04}-{month:02}-{date:02}")
}

fn week(text: &str) -> std::result::Result<[bool; 7], String> {
    let mut week = [false; 7];
    for name in text.split_whitespace() {
        let at = WEEK.iter().position(|day| *day == name);
        week[at.ok_or_else(|| format!("{name:?} is no day of the week; write mon tue wed thu fri"))?] = true;
    }
    Ok(week)
}

/// `2026-01-31` as a day since the epoch.
fn date(text: &str) -> std::result::Result<i64, String> {
    let day = || {
        let bytes = text.as_bytes();
        let sound = bytes.len() == 10 && bytes[4] == b'-' && bytes[7] == b'-';
        let mut parts = text.split('-').filter(|_| sound).map(|part| part.parse::<i64>().ok());
        let (year, month, date) = (parts.next()??, parts.next()??, parts.next()??);
        let day = days_from_date(year, month, date);
        ((1700..=2250).contains(&year) && date_from_days(day) == (year, month, date)).then_some(day)
    };
    day().ok_or_else(|| format!("{text:?} is no date; write 2026-01-31"))
}

/// The stretches at the beginning of a text, and what follows them.
fn stretches(text: &str) -> std::result::Result<(Vec<Range<i64>>, &str), String> {
    let (mut hours, mut rest): (Vec<Range<i64>>, &str) = (Vec::new(), text.trim());
    while rest.as_bytes().first().is_some_and(u8::is_ascii_digit) {
        let (word, after) = rest.split_once(' ').unwrap_or((rest, ""));
        // A note may begin with a number.
        let Some((from, to)) = word.split_once('-').filter(|(from, _)| from.contains(':')) else { break };
        let (Some(from), Some(to)) = (clock(from), clock(to)) else {
            return Err(format!("{word:?} are no hours; write 09:30-12:00"));
        };
        if from >= to || hours.last().is_some_and(|last| last.end > from) {
            return Err(format!("{word:?} ends before it begins, or before the stretch before it"));
        }
        hours.push(from..to);
        rest = after.trim_start();
    }
    Ok((hours, rest))
}

fn clock(text: &str) -> Option<i64> {
    let (hour, minute) = text.split_once(':')?;
    let number = |text: &str| {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse::<i64>().ok().filter(|_| digits)
    };
    let (hour, minute) = (number(hour)?, number(minute)?);
    (minute < 60 && (hour < 24 || hour == 24 && minute == 0)).then_some(hour * HOUR_NS + minute * MINUTE_NS)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: &str = "calendar SMALL\nzone +01:00\ndays 2024-01-01 2024-01-31\nhours 2024-01-01 09:00-12:00 13:00-17:00\n\
        hours 2024-01-15 10:00-17:00\nclosed 2024-01-01 New Year\nday 2024-01-05 09:00-12:00 25 years of it\n";

    fn parse(text: &str) -> Result<Table> {
        Table::parse("small.calendar", text, |name| {
            (name == "SMALL").then(|| Table::parse("base", SMALL, |_| None).unwrap())
        })
    }

    #[test]
    fn later_lines_go_before_earlier_ones() {
        let table = parse(SMALL).unwrap();
        let day = |date: i64| days_from_date(2024, 1, date);
        let lengths = |date: i64| -> Vec<i64> {
            table.hours_of(day(date)).0.iter().map(|hours| (hours.end - hours.start) / HOUR_NS).collect()
        };
        assert_eq!(
            [lengths(1), lengths(2), lengths(5), lengths(6), lengths(15)],
            [vec![], vec![3, 4], vec![3], vec![], vec![7]]
        );
        let note = table.hours_of(day(5)).1.unwrap();
        assert_eq!((note.note.as_deref(), note.own), (Some("25 years of it"), false));
    }

    #[test]
    fn a_file_builds_on_another_calendar() {
        let table =
            parse("base SMALL\nclosed 2024-01-09 a storm\nday 2024-01-06 09:00-10:00\nlate 5m\n").unwrap();
        assert_eq!((table.name.as_str(), table.late_ns), ("small", 5 * MINUTE_NS));
        let day = |date: i64| table.hours_of(days_from_date(2024, 1, date));
        assert!(
            day(9).0.is_empty() && day(9).1.unwrap().own && day(1).0.is_empty() && !day(1).1.unwrap().own
        );
        assert_eq!((day(6).0.len(), day(2).0.len()), (1, 2), "a Saturday on which there is trade");
        let other = parse("base SMALL\nhours 2024-01-01 08:00-09:00\n").unwrap();
        assert_eq!(other.hours.len(), 1, "hours take the place of all of the base's");
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (text, told) in [
            ("days 2024-01-01 2024-02-30", "line 1: \"2024-02-30\" is no date"),
            ("days 2024-01-01 2024-02-01", "hours are missing from 2024-01-01 on"),
            ("hours 2024-01-01 09:00-12:00", "does not say of which days"),
            (
                "days 2024-01-01 2024-02-01\nhours 2024-01-01 09:00-25:00",
                "line 2: \"09:00-25:00\" are no hours",
            ),
            ("days 2024-01-01 2024-02-01\nhours 2024-01-01 13:00-12:00", "ends before it begins"),
            (
                "days 2024-01-01 2024-02-01\nhours 2024-01-01 09:00-12:00 11:00-13:00",
                "before the stretch before it",
            ),
            ("zone Mars", "\"Mars\" is no zone"),
            ("week mon tus", "\"tus\" is no day of the week"),
            ("late ten", "\"ten\" is no span"),
            ("holiday 2024-01-01", "\"holiday\" is no statement"),
            ("closed 2024-01-01 09:00-12:00", "a closed day has no hours"),
            ("day 2024-01-01 because", "hours are missing"),
            ("base NONE", "there is no calendar \"NONE\""),
            ("base SMALL\nclosed 2025-01-01", "2025-01-01 lies outside of its days"),
            (
                "zone Europe/London\ndays 1990-01-01 2024-01-01\nhours 1990-01-01 08:00-16:30",
                "known since 1996-01-01",
            ),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.starts_with("small.calendar") && error.contains(told), "{text}: {error}");
        }
    }
}
