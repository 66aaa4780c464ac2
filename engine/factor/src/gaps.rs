//! Which bars follow one another without a gap: only those are computed together.
//!
//! # Invariants
//! - C1. A bar follows the one before it if no bar is missing between them, under the policy that the caller chose.
//! - C2. Whether it does is told from the two times alone, so that a run is the same however far the frame reaches.

use std::ops::Range;
use std::sync::Arc;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore_query::Sessions;

/// What counts as a gap.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum GapPolicy {
    /// Every bar that is not there ends the run, also where the market is closed. Made-up bars are not there.
    #[default]
    Break,
    /// As `Break`, but no bar is missing outside the sessions, nor where the source confirmed that there is none.
    Bridge,
    /// As `Bridge`, and made-up bars (flagged `synthetic`) count as bars.
    Fills,
    /// Nothing is a gap: rows are taken as they stand, made-up ones too.
    Rows,
}

impl GapPolicy {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Break, Self::Bridge, Self::Fills, Self::Rows];

    /// Its name: `break`, `bridge`, `fills`, `rows`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Break => "break",
            Self::Bridge => "bridge",
            Self::Fills => "fills",
            Self::Rows => "rows",
        }
    }

    /// The policy of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|policy| policy.name() == name)
    }

    /// Whether made-up bars count.
    pub(crate) fn takes_synthetic(self) -> bool {
        matches!(self, Self::Fills | Self::Rows)
    }
}

/// Tells of two neighbouring bars whether one follows the other (C1).
#[derive(Clone, Debug)]
pub(crate) struct Continuity {
    pub(crate) timeframe: Timeframe,
    pub(crate) policy: GapPolicy,
    pub(crate) sessions: Option<Arc<Sessions>>,
    /// Ranges that the source confirmed to hold nothing: sorted, disjoint.
    pub(crate) absences: Arc<Vec<Range<i64>>>,
}

impl Continuity {
    /// Whether the bar that opens at `now` follows the one that opens at `before`.
    pub(crate) fn follows(&self, before: i64, now: i64) -> bool {
        if self.policy == GapPolicy::Rows || self.timeframe.step_ns() == Some(now - before) {
            return true;
        }
        let bridge = self.policy != GapPolicy::Break;
        let mut next = self.next(before, bridge);
        while let Some(time) = next.filter(|time| *time < now) {
            if !bridge || !self.is_absent(time) {
                return false;
            }
            next = self.next(time, bridge);
        }
        next == Some(now)
    }

    /// When the bar after the one that opens at `time` is expected to open; `None` after the last session.
    fn next(&self, time: i64, bridge: bool) -> Option<i64> {
        let sessions = self.sessions.as_deref().filter(|_| bridge);
        let within_days = self.timeframe.step_ns().filter(|step| *step < DAY_NS);
        let Some(sessions) = sessions.map(Sessions::all) else {
            return Some(match within_days {
                Some(step) => time + step,
                None => self.timeframe.slot_start(self.timeframe.slot(time) + 1),
            });
        };
        if let Some(step) = within_days {
            let at = sessions.partition_point(|session| session.open.end <= time);
            let inside = sessions.get(at).filter(|session| session.open.start <= time);
            let open = inside.map(|session| (time + step, session.open.end)).filter(|(next, end)| next < end);
            let after = at + usize::from(inside.is_some());
            return open.map(|(next, _)| next).or_else(|| Some(sessions.get(after)?.open.start));
        }
        let slot = self.timeframe.slot(time);
        let at = sessions.partition_point(|session| self.timeframe.slot(session.day_ns) <= slot);
        Some(self.timeframe.slot_start(self.timeframe.slot(sessions.get(at)?.day_ns)))
    }

    fn is_absent(&self, time: i64) -> bool {
        let end = match self.timeframe.step_ns() {
            Some(step) => time + step,
            None => self.timeframe.slot_start(self.timeframe.slot(time) + 1),
        };
        let at = self.absences.partition_point(|range| range.end <= time);
        self.absences.get(at).is_some_and(|range| range.start <= time && end <= range.end)
    }

    /// The rows of each run.
    pub(crate) fn runs(&self, time: &[i64]) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut start = 0;
        for row in 1..time.len() {
            if !self.follows(time[row - 1], time[row]) {
                runs.push(start..row);
                start = row;
            }
        }
        if start < time.len() {
            runs.push(start..time.len());
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore::time::{HOUR_NS, MINUTE_NS};

    fn continuity(timeframe: Timeframe, policy: GapPolicy) -> Continuity {
        let hours = [9 * HOUR_NS..12 * HOUR_NS, 13 * HOUR_NS..16 * HOUR_NS];
        // 1970-01-01 was a Thursday: the days are Thursday, Friday, Monday.
        let sessions = Sessions::on_weekdays(0..5 * DAY_NS, 0, &hours, &[]).unwrap();
        let absences = Arc::new(vec![10 * HOUR_NS..10 * HOUR_NS + 3 * MINUTE_NS]);
        Continuity { timeframe, policy, sessions: Some(Arc::new(sessions)), absences }
    }

    #[test]
    fn lunch_night_and_weekend_are_bridged_and_missing_bars_are_not() {
        let minutes = |hour: i64, minute: i64| hour * HOUR_NS + minute * MINUTE_NS;
        let time = [
            minutes(11, 58),
            minutes(11, 59),
            minutes(13, 0),
            minutes(13, 2),
            minutes(15, 59),
            DAY_NS + minutes(9, 0),
            DAY_NS + minutes(15, 59),
            4 * DAY_NS + minutes(9, 0),
        ];
        let bridged = continuity(Timeframe::M1, GapPolicy::Bridge);
        assert_eq!(bridged.runs(&time), [0..3, 3..4, 4..6, 6..8]);
        assert_eq!(
            continuity(Timeframe::M1, GapPolicy::Break).runs(&time),
            [0..2, 2..3, 3..4, 4..5, 5..6, 6..7, 7..8]
        );
        assert_eq!(continuity(Timeframe::M1, GapPolicy::Rows).runs(&time), [0..8]);
        assert!(bridged.follows(minutes(9, 59), minutes(10, 3)), "confirmed to be absent");
        assert!(!bridged.follows(minutes(9, 59), minutes(10, 4)));
        assert!(!continuity(Timeframe::M1, GapPolicy::Break).follows(minutes(9, 59), minutes(10, 3)));
    }

    #[test]
    fn bars_of_hours_and_days_follow_the_sessions_too() {
        let hours = continuity(Timeframe::H2, GapPolicy::Bridge);
        // 9 to 11, 11 to 12 (short), 13 to 15, 15 to 16 (short).
        let time = [9, 11, 13, 15, 24 + 9, 24 + 13].map(|hour| hour * HOUR_NS);
        assert_eq!(hours.runs(&time), [0..5, 5..6]);
        let days = continuity(Timeframe::D1, GapPolicy::Bridge);
        assert_eq!(days.runs(&[0, DAY_NS, 4 * DAY_NS]), [0..3]);
        assert_eq!(continuity(Timeframe::D1, GapPolicy::Break).runs(&[0, DAY_NS, 4 * DAY_NS]), [0..2, 2..3]);
    }
}
