//! Trading sessions: when a market is open, as stretches of time. A day with a lunch break has two.
//!
//! One place for what resampling, quality checks and gap questions share; where a session comes from (a file, an
//! exchange's calendar) is the caller's business.

use std::ops::Range;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Error, Result};

/// A stretch of time without a break in which a market is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Nanoseconds since the Unix epoch, UTC.
    pub open: Range<i64>,
    /// The trading day that it belongs to: midnight UTC of the date on the exchange's calendar. Daily bars carry it.
    pub day_ns: i64,
}

/// Sessions in order of time, disjoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    sessions: Vec<Session>,
}

impl Sessions {
    /// Sessions in any order.
    ///
    /// # Errors
    /// [`Error::Usage`] if one is empty, two overlap, or the trading days do not ascend with them.
    pub fn new(mut sessions: Vec<Session>) -> Result<Self> {
        sessions.sort_by_key(|session| (session.open.start, session.open.end));
        let refuse = |at: usize, what: &str| {
            let open = &sessions[at].open;
            Err(Error::Usage(format!("the session from {} to {} {what}", open.start, open.end)))
        };
        if let Some(at) = sessions.iter().position(|session| session.open.is_empty()) {
            return refuse(at, "ends before it begins");
        }
        if let Some(at) = sessions.windows(2).position(|pair| pair[0].open.end > pair[1].open.start) {
            return refuse(at + 1, "overlaps the one before it");
        }
        if let Some(at) = sessions.windows(2).position(|pair| pair[0].day_ns > pair[1].day_ns) {
            return refuse(at + 1, "belongs to an earlier day than the one before it");
        }
        Ok(Self { sessions })
    }

    /// Sessions whose trading day is the date, in UTC, on which they open.
    ///
    /// # Errors
    /// As [`Sessions::new`].
    pub fn of_ranges(ranges: impl IntoIterator<Item = Range<i64>>) -> Result<Self> {
        let session = |open: Range<i64>| Session { day_ns: day(open.start), open };
        Self::new(ranges.into_iter().map(session).collect())
    }

    /// The same hours on every weekday from the day of `days.start` to before `days.end`: `hours` in nanoseconds of the
    /// exchange's own clock, which is `offset_ns` ahead of UTC the whole year; without the days of `closed`.
    ///
    /// # Errors
    /// As [`Sessions::new`].
    pub fn on_weekdays(
        days: Range<i64>,
        offset_ns: i64,
        hours: &[Range<i64>],
        closed: &[i64],
    ) -> Result<Self> {
        let mut sessions = Vec::new();
        let mut at = day(days.start);
        while at < days.end {
            // The epoch was a Thursday.
            let weekend = (at.div_euclid(DAY_NS) + 3).rem_euclid(7) >= 5;
            if !weekend && !closed.iter().any(|date| day(*date) == at) {
                let open = |hours: &Range<i64>| at + hours.start - offset_ns..at + hours.end - offset_ns;
                sessions.extend(hours.iter().map(|hours| Session { open: open(hours), day_ns: at }));
            }
            at += DAY_NS;
        }
        Self::new(sessions)
    }

    /// All of them, in order.
    pub fn all(&self) -> &[Session] {
        &self.sessions
    }

    /// The times in which they are open, as [`tapestore::View::gaps_in_sessions`] takes them.
    pub fn ranges(&self) -> Vec<Range<i64>> {
        self.sessions.iter().map(|session| session.open.clone()).collect()
    }

    /// Number of the first session that ends after `time`.
    pub(crate) fn ending_after(&self, time: i64) -> usize {
        self.sessions.partition_point(|session| session.open.end <= time)
    }

    /// Where the first session of a bar of whole days opens that holds the session `at`.
    pub(crate) fn start_of(&self, at: usize, timeframe: Timeframe) -> i64 {
        let slot = timeframe.slot(self.sessions[at].day_ns);
        let first = self.sessions[..=at].partition_point(|session| timeframe.slot(session.day_ns) < slot);
        self.sessions[first].open.start
    }

    /// Where the last session of a bar of whole days ends, from the session `at` on.
    pub(crate) fn end_of(&self, at: usize, timeframe: Timeframe) -> i64 {
        let slot = timeframe.slot(self.sessions[at].day_ns);
        let later = self.sessions[at..].partition_point(|session| timeframe.slot(session.day_ns) == slot);
        self.sessions[at + later - 1].open.end
    }
}

fn day(time: i64) -> i64 {
    time.div_euclid(DAY_NS) * DAY_NS
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore::time::HOUR_NS;

    #[test]
    fn sessions_are_ordered_and_bad_ones_named() {
        let ok = Sessions::of_ranges([5..7, 1..3, 3..5]).unwrap();
        assert_eq!(ok.ranges(), [1..3, 3..5, 5..7]);
        assert_eq!([ok.ending_after(2), ok.ending_after(3), ok.ending_after(9)], [0, 1, 3]);
        assert!(Sessions::of_ranges([1..4, 3..5]).unwrap_err().to_string().contains("overlaps"));
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case in question")]
        let empty = Sessions::of_ranges([4..3]);
        assert!(empty.unwrap_err().to_string().contains("ends before"));
        let days = [(0..1, DAY_NS), (2..3, 0)].map(|(open, day_ns)| Session { open, day_ns });
        assert!(Sessions::new(days.to_vec()).unwrap_err().to_string().contains("earlier day"));
    }

    #[test]
    fn weekdays_leave_out_weekends_and_holidays() {
        let hours = [9 * HOUR_NS..12 * HOUR_NS, 13 * HOUR_NS..16 * HOUR_NS];
        // 1970-01-01 was a Thursday; the 3rd and 4th a weekend; the 5th is taken for a holiday.
        let hong_kong = Sessions::on_weekdays(0..7 * DAY_NS, 8 * HOUR_NS, &hours, &[4 * DAY_NS]).unwrap();
        let days: Vec<i64> = hong_kong.all().iter().map(|session| session.day_ns / DAY_NS).collect();
        assert_eq!(days, [0, 0, 1, 1, 5, 5, 6, 6]);
        assert_eq!(hong_kong.all()[0].open, HOUR_NS..4 * HOUR_NS);
        assert_eq!(hong_kong.end_of(0, Timeframe::D1), 8 * HOUR_NS);
        assert_eq!(hong_kong.end_of(0, Timeframe::W1), DAY_NS + 8 * HOUR_NS);
    }
}
