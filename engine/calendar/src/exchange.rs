//! One exchange: its sessions, its days, its clock.
//!
//! # Invariants
//! - E1. Sessions of a range are all those of the months that it touches, as far as the calendar speaks of them: bars of days,
//!   weeks and months at its ends are whole.
//! - E2. What lies outside of the calendar's days is refused.

use std::ops::Range;

use tapestore::time::{DAY_NS, MINUTE_NS, Timeframe};
use tapestore_query::{Calendar, Session, Sessions};

use crate::error::{Error, Result};
use crate::table::{Table, text_of, weekday};
use crate::zone::Zone;

/// An exchange's calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    pub(crate) table: Table,
}

/// What a day is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DayKind {
    /// Trade in regular hours.
    Regular,
    /// Trade in other hours.
    Special,
    /// No trade, though it is a day of the week on which there is.
    Closed,
    /// No trade, as on that day of every week.
    Weekend,
}

impl DayKind {
    /// `regular`, `special`, `closed` or `weekend`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Regular => "regular",
            Self::Special => "special",
            Self::Closed => "closed",
            Self::Weekend => "weekend",
        }
    }
}

/// A day on an exchange's calendar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Day {
    /// Midnight UTC of its date, nanoseconds since the Unix epoch.
    pub day_ns: i64,
    /// What it is.
    pub kind: DayKind,
    /// Its sessions, in UTC.
    pub sessions: Vec<Session>,
    /// How far the exchange's clock is ahead of UTC at noon, in nanoseconds.
    pub offset_ns: i64,
    /// Why it is not as others, where that is known.
    pub note: Option<String>,
    /// Whether what is special about it stands in our own list and not in the generated one.
    pub own: bool,
}

impl Day {
    /// Minutes in which there is trade.
    pub fn minutes(&self) -> i64 {
        self.sessions.iter().map(|session| (session.open.end - session.open.start) / MINUTE_NS).sum()
    }
}

impl Exchange {
    /// A calendar of one's own, as text; `file` is how mistakes name it. The format is told in the crate's README.
    ///
    /// # Errors
    /// [`Error::File`] names the line and what is wrong with it.
    pub fn parse(file: &str, text: &str) -> Result<Self> {
        let base = |name: &str| crate::compiled(name).map(|exchange| exchange.table.clone());
        Ok(Self { table: Table::parse(file, text, base)? })
    }

    /// Its name: a market identifier code (ISO 10383), or `24x7`.
    pub fn name(&self) -> &str {
        &self.table.name
    }

    /// What it is, for people.
    pub fn title(&self) -> &str {
        &self.table.title
    }

    /// Where its days come from, with the version of that.
    pub fn source(&self) -> &str {
        &self.table.source
    }

    /// What is known to be missing in it.
    pub fn notes(&self) -> &[String] {
        &self.table.notes
    }

    /// Its clock.
    pub fn zone(&self) -> &Zone {
        &self.table.zone
    }

    /// The days it speaks of: from midnight UTC of the first date to the end of the last.
    pub fn days(&self) -> Range<i64> {
        self.table.days.start * DAY_NS..self.table.days.end * DAY_NS
    }

    /// For how long after the last session of a day bars are allowed, though none is expected: the closing auction.
    pub fn late_ns(&self) -> i64 {
        self.table.late_ns
    }

    /// Days that stand in our own list and differ from the generated calendar.
    pub fn own_days(&self) -> impl Iterator<Item = i64> + '_ {
        self.table.special.iter().filter(|(_, special)| special.own).map(|(day, _)| day * DAY_NS)
    }

    /// The date on the exchange's calendar at a time: midnight UTC of it.
    pub fn date_ns(&self, utc_ns: i64) -> i64 {
        (utc_ns + self.table.zone.offset_ns(utc_ns)).div_euclid(DAY_NS) * DAY_NS
    }

    /// What the exchange's clock shows at a time, in nanoseconds since its midnight: for rules by time of day.
    pub fn time_of_day_ns(&self, utc_ns: i64) -> i64 {
        (utc_ns + self.table.zone.offset_ns(utc_ns)).rem_euclid(DAY_NS)
    }

    /// One day; of `day_ns` the date counts, in UTC.
    ///
    /// # Errors
    /// [`Error::Outside`] if the calendar does not speak of it.
    pub fn day(&self, day_ns: i64) -> Result<Day> {
        let day = day_ns.div_euclid(DAY_NS);
        self.check(day..day + 1)?;
        Ok(self.day_at(day))
    }

    fn day_at(&self, day: i64) -> Day {
        let (hours, special) = self.table.hours_of(day);
        let kind = match (special, hours.is_empty()) {
            (Some(_), false) => DayKind::Special,
            (None, false) => DayKind::Regular,
            (_, true) if self.table.week[weekday(day)] => DayKind::Closed,
            (_, true) => DayKind::Weekend,
        };
        let mut sessions = Vec::with_capacity(hours.len());
        self.push_sessions(day, &mut sessions);
        Day {
            day_ns: day * DAY_NS,
            kind,
            sessions,
            offset_ns: self.table.zone.offset_ns(self.table.zone.utc_ns(day * DAY_NS + DAY_NS / 2)),
            note: special.and_then(|special| special.note.clone()),
            own: special.is_some_and(|special| special.own),
        }
    }

    fn push_sessions(&self, day: i64, out: &mut Vec<Session>) {
        let (midnight, zone) = (day * DAY_NS, &self.table.zone);
        out.extend(self.table.hours_of(day).0.iter().map(|hours| Session {
            open: zone.utc_ns(midnight + hours.start)..zone.utc_ns(midnight + hours.end),
            day_ns: midnight,
        }));
    }

    /// The days whose dates lie in a range: from the date of its start to before that of its end, in UTC.
    ///
    /// # Errors
    /// [`Error::Outside`] names what the calendar does not speak of.
    pub fn days_in(&self, range: Range<i64>) -> Result<impl Iterator<Item = Day> + '_> {
        let days = range.start.div_euclid(DAY_NS)..(range.end + DAY_NS - 1).div_euclid(DAY_NS);
        if !days.is_empty() {
            self.check(days.clone())?;
        }
        Ok(days.map(|day| self.day_at(day)))
    }

    /// The sessions of a range of time (E1).
    ///
    /// # Errors
    /// [`Error::Outside`] names what the calendar does not speak of.
    pub fn sessions(&self, range: Range<i64>) -> Result<Sessions> {
        Ok(self.calendar(range)?.sessions)
    }

    /// The same with the days that it speaks of: those of the months that the range touches (E1).
    ///
    /// # Errors
    /// As [`Exchange::sessions`].
    pub fn calendar(&self, range: Range<i64>) -> Result<Calendar> {
        if range.is_empty() {
            return Ok(Calendar { sessions: Sessions::default(), days: range.start..range.start });
        }
        let own = self.table.days.clone();
        let date = |time: i64| self.date_ns(time).div_euclid(DAY_NS);
        // A day of UTC that has no session here is spoken of as well: at its ends the calendar is generous by the
        // distance of the two midnights.
        let (first, last) = (date(range.start), date(range.end - 1));
        let utc = range.start.div_euclid(DAY_NS)..(range.end - 1).div_euclid(DAY_NS) + 1;
        if !(own.contains(&first) || own.contains(&utc.start))
            || !(own.contains(&last) || own.contains(&(utc.end - 1)))
        {
            return Err(self.outside(first..last + 1));
        }
        let month = Timeframe::Mo1;
        let months = |day: i64| month.slot(day * DAY_NS);
        let from = month.slot_start(months(first)).div_euclid(DAY_NS) - 7;
        let to = month.slot_start(months(last) + 1).div_euclid(DAY_NS) + 7;
        let days = from.max(own.start)..to.min(own.end);
        let mut sessions = Vec::new();
        for day in days.clone() {
            self.push_sessions(day, &mut sessions);
        }
        Ok(Calendar { sessions: Sessions::new(sessions)?, days: days.start * DAY_NS..days.end * DAY_NS })
    }

    /// The session that is open at a time.
    ///
    /// # Errors
    /// [`Error::Outside`] if the calendar does not speak of it.
    pub fn session_at(&self, time: i64) -> Result<Option<Session>> {
        self.check_time(time)?;
        let date = self.date_ns(time).div_euclid(DAY_NS);
        let mut sessions = Vec::new();
        self.push_sessions(date, &mut sessions);
        Ok(sessions.into_iter().find(|session| session.open.contains(&time)))
    }

    /// Whether there is trade at a time.
    ///
    /// # Errors
    /// As [`Exchange::session_at`].
    pub fn is_open(&self, time: i64) -> Result<bool> {
        Ok(self.session_at(time)?.is_some())
    }

    /// The first session that opens after a time.
    ///
    /// # Errors
    /// [`Error::Outside`] if there is none in the days that the calendar speaks of.
    pub fn next_open(&self, time: i64) -> Result<Session> {
        self.search(time, 1, |session| session.open.start > time)
    }

    /// The first session that closes after a time; it may be open then.
    ///
    /// # Errors
    /// As [`Exchange::next_open`].
    pub fn next_close(&self, time: i64) -> Result<Session> {
        self.search(time, 1, |session| session.open.end > time)
    }

    /// The last session that opened at or before a time; it may be open then.
    ///
    /// # Errors
    /// As [`Exchange::next_open`].
    pub fn previous_open(&self, time: i64) -> Result<Session> {
        self.search(time, -1, |session| session.open.start <= time)
    }

    /// The last session that closed at or before a time.
    ///
    /// # Errors
    /// As [`Exchange::next_open`].
    pub fn previous_close(&self, time: i64) -> Result<Session> {
        self.search(time, -1, |session| session.open.end <= time)
    }

    /// The first session from the day of `time` on, in a direction, for which something holds.
    fn search(&self, time: i64, step: i64, wanted: impl Fn(&Session) -> bool) -> Result<Session> {
        self.check_time(time)?;
        let mut day = self.date_ns(time).div_euclid(DAY_NS);
        let mut sessions = Vec::new();
        while self.table.days.contains(&day) {
            sessions.clear();
            self.push_sessions(day, &mut sessions);
            if step < 0 {
                sessions.reverse();
            }
            if let Some(found) = sessions.iter().find(|session| wanted(session)) {
                return Ok(found.clone());
            }
            day += step;
        }
        Err(self.outside(day..day + 1))
    }

    fn check_time(&self, time: i64) -> Result<()> {
        let date = self.date_ns(time).div_euclid(DAY_NS);
        self.check(date..date + 1)
    }

    fn check(&self, days: Range<i64>) -> Result<()> {
        let own = &self.table.days;
        if own.start <= days.start && days.end <= own.end { Ok(()) } else { Err(self.outside(days)) }
    }

    fn outside(&self, asked: Range<i64>) -> Error {
        let own = &self.table.days;
        Error::Outside {
            calendar: self.name().to_owned(),
            first: text_of(own.start),
            last: text_of(own.end - 1),
            from: text_of(asked.start),
            to: text_of(asked.end - 1),
        }
    }
}
