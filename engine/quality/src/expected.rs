//! Which bars are expected: the one seam to calendars.

use std::ops::Range;
use std::sync::Arc;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{SeriesKey, View};
use tapestore_query::Sessions;

use crate::error::Result;

/// Where bars of a series may open, and where they have to.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    /// When the market is open; `None`: always.
    pub sessions: Option<Arc<Sessions>>,
    /// Where the source confirmed that there is nothing: sorted, disjoint.
    pub absences: Vec<Range<i64>>,
}

impl Expected {
    /// What is expected of a series.
    ///
    /// # Errors
    /// Damage.
    pub fn of(view: &View, key: &SeriesKey, sessions: Option<Arc<Sessions>>) -> Result<Self> {
        Ok(Self { sessions, absences: view.absences(key)? })
    }

    /// How long the oldest bar after `last_ns` that is due has been due at `now_ns`, in nanoseconds; 0 if none is. `None`
    /// if sessions say nothing of what follows.
    pub fn lag(&self, timeframe: Timeframe, last_ns: i64, now_ns: i64) -> Option<i64> {
        let mut slots = Vec::new();
        // No market is closed for two weeks; bars of months need a month.
        let ahead = timeframe.step_ns().map_or(63, |step| 14 + 2 * step / DAY_NS) * DAY_NS;
        self.slots(timeframe, &(last_ns + 1..last_ns.saturating_add(ahead)), &mut slots);
        let due = timeframe.slot_start(timeframe.slot(*slots.first()?) + 1);
        Some(now_ns.saturating_sub(due).max(0))
    }

    /// The open times of all bars that are expected in `[range.start, range.end)`, in order.
    pub fn slots(&self, timeframe: Timeframe, range: &Range<i64>, out: &mut Vec<i64>) {
        out.clear();
        let absent = |time: i64| {
            let after = self.absences.partition_point(|absence| absence.end <= time);
            self.absences.get(after).is_some_and(|absence| absence.start <= time)
        };
        let Some(sessions) = &self.sessions else {
            let mut slot = timeframe.slot(range.start);
            if timeframe.slot_start(slot) < range.start {
                slot += 1;
            }
            while timeframe.slot_start(slot) < range.end {
                out.push(timeframe.slot_start(slot));
                slot += 1;
            }
            if !self.absences.is_empty() {
                out.retain(|time| !absent(*time));
            }
            return;
        };
        let mut push = |time: i64| {
            if range.contains(&time) && out.last() != Some(&time) && !absent(time) {
                out.push(time);
            }
        };
        let all = sessions.all();
        let first = all.partition_point(|session| {
            session.open.end.max(session.day_ns + DAY_NS) + 31 * DAY_NS <= range.start
        });
        for session in &all[first..] {
            if session.open.start.min(session.day_ns) >= range.end {
                break;
            }
            match timeframe.step_ns().filter(|step| *step < DAY_NS) {
                // Bars begin with the session; the last may be short.
                Some(step) => {
                    let mut time = session.open.start;
                    while time < session.open.end {
                        push(time);
                        time += step;
                    }
                }
                None => push(timeframe.slot_start(timeframe.slot(session.day_ns))),
            }
        }
    }
}
