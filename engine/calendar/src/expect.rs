//! Which bars are expected: the slots of a timeframe in sessions, while the instrument is listed and not halted.
//!
//! # Invariants
//! - X1. Bars shorter than a day begin at the start of a session and every length from there (as `tape resample` cuts them), or
//!   on the clock's grid ([`Cut`]). A bar is expected in the slot that its start lies in, if any moment of it is open: also
//!   the short one at the end of a session. Where two bars would lie in one slot, as of 4h around a lunch, one is expected.
//! - X2. Bars of days, weeks and months are expected if any moment of their trading days is open. They stand at midnight UTC of
//!   the day, the Monday, the first of the month.
//! - X3. A slot is asked for if its bar starts in the range.
//! - X4. What comes after the last session of a day, as long as the calendar says, is allowed and not expected.

use std::ops::Range;

use tapestore::Run;
use tapestore::time::Timeframe;
use tapestore_format::coverage::Coverage;
use tapestore_query::{Session, Sessions};

use crate::error::Result;
use crate::listing::Listing;
use crate::market::Market;

/// How bars shorter than a day are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Cut {
    /// From the start of a session: 09:30, 10:30, 11:30 and 13:00, 14:00, 15:00 in Hong Kong.
    #[default]
    Session,
    /// By the clock: on whole hours of UTC.
    Clock,
}

/// What counts as missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Need {
    /// Every expected bar, but for confirmed absences.
    #[default]
    EveryBar,
    /// Of instruments that trade seldom: something on every trading day. A day with any bar, or of which the source confirmed
    /// that there is none, is complete; only of days without either every bar is missing.
    EveryDay,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of which bars.
    pub timeframe: Timeframe,
    /// Of which time, nanoseconds since the Unix epoch, UTC.
    pub range: Range<i64>,
    /// How they are cut.
    pub cut: Cut,
}

impl Question {
    /// Of bars that are cut from the start of sessions.
    pub fn new(timeframe: Timeframe, range: Range<i64>) -> Self {
        Self { timeframe, range, cut: Cut::Session }
    }
}

/// The slots in which bars are expected, and those in which they are allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    timeframe: Timeframe,
    slots: Coverage,
    allowed: Coverage,
    /// Slots of one trading day each.
    days: Vec<Run>,
}

impl Expected {
    /// The timeframe of the slots.
    pub fn timeframe(&self) -> Timeframe {
        self.timeframe
    }

    /// The expected slots: runs, sorted, disjoint and not adjacent.
    pub fn slots(&self) -> &[Run] {
        self.slots.runs()
    }

    /// How many bars are expected.
    pub fn count(&self) -> u64 {
        self.slots.slots()
    }

    /// Slots in which a bar is neither missing nor wrong (X4); none of them is expected.
    pub fn allowed(&self) -> &[Run] {
        self.allowed.runs()
    }

    /// The expected slots as ranges of time, as [`tapestore::View::gaps_in_sessions`] takes them.
    pub fn ranges(&self) -> Vec<Range<i64>> {
        let time = |slot: i64| self.timeframe.slot_start(slot);
        self.slots().iter().map(|run| time(run.start)..time(run.end)).collect()
    }

    /// Without what the source confirmed to be absent: sorted ranges of time, as [`tapestore::View::absences`] gives them. A slot is absent
    /// if it begins in one of them.
    #[must_use]
    pub fn without(mut self, absent: &[Range<i64>]) -> Self {
        self.slots = self.slots.minus(&slots_of(self.timeframe, absent));
        self
    }

    /// What of it is needed, given the slots that hold a bar and the confirmed absences: see [`Need`].
    #[must_use]
    pub fn needed(self, need: Need, covered: &[Run], absent: &[Range<i64>]) -> Self {
        match need {
            Need::EveryBar => self.without(absent),
            Need::EveryDay => {
                let known: Coverage = covered.iter().copied().collect();
                let known = known.union(&slots_of(self.timeframe, absent));
                let told = |day: &&Run| known.within(day.start, day.end).next().is_some();
                let complete: Coverage = self.days.iter().filter(told).copied().collect();
                // What is there was expected; what is not, on a day of which something is known, was not.
                let excused = complete.minus(&covered.iter().copied().collect());
                let slots = self.slots.minus(&excused);
                Self { slots, ..self }
            }
        }
    }

    /// The expected slots that hold no bar.
    pub fn missing(&self, covered: &[Run]) -> Vec<Run> {
        self.slots.minus(&covered.iter().copied().collect()).runs().to_vec()
    }

    /// Slots that hold a bar and are neither expected nor allowed; `covered` as [`tapestore::View::coverage`] gives it.
    pub fn beyond(&self, covered: &[Run]) -> Vec<Run> {
        let covered: Coverage = covered.iter().copied().collect();
        covered.minus(&self.slots).minus(&self.allowed).runs().to_vec()
    }
}

/// What is expected of a series of an instrument. `None` for the market: it never closes.
///
/// # Errors
/// [`crate::Error::Outside`] if the calendar does not speak of all of the range.
pub fn expected(question: &Question, market: Option<&Market>, listing: &Listing) -> Result<Expected> {
    let (sessions, late_ns) = match market {
        Some(market) => (market.sessions(question.range.clone())?, market.late_ns()),
        None => (crate::market::named("24x7")?.sessions(question.range.clone())?, 0),
    };
    Ok(in_sessions(question, &sessions, late_ns, listing))
}

/// The same from sessions, which have to be all of the range and of the months that it touches.
pub fn in_sessions(question: &Question, sessions: &Sessions, late_ns: i64, listing: &Listing) -> Expected {
    let Question { timeframe, range, cut } = question;
    let mut out = Expected {
        timeframe: *timeframe,
        slots: Coverage::default(),
        allowed: Coverage::default(),
        days: Vec::new(),
    };
    // Days, weeks and months have no length in sessions.
    let step = timeframe.step_ns().filter(|_| *timeframe < Timeframe::D1);
    for day in sessions.all().chunk_by(|a, b| a.day_ns == b.day_ns) {
        let mut whole: Option<Run> = None;
        for session in day {
            for piece in listing.open_pieces(&session.open) {
                let run = match step {
                    Some(step) => intraday(*timeframe, step, *cut, session, &piece, range),
                    None => {
                        let slot = timeframe.slot(day[0].day_ns);
                        let asked = range.contains(&timeframe.slot_start(slot));
                        Run { start: slot, end: slot + i64::from(asked) }
                    }
                };
                if run.start < run.end {
                    out.slots.push_run(run);
                    whole = Some(Run { start: whole.map_or(run.start, |whole| whole.start), end: run.end });
                }
            }
        }
        out.days.extend(whole);
        let end = day[day.len() - 1].open.end;
        if step.is_some() && late_ns > 0 && range.start < end + late_ns && end < range.end {
            let start = timeframe.slot(end);
            out.allowed.push_run(Run { start, end: timeframe.slot(end + late_ns - 1) + 1 });
        }
    }
    out.allowed = out.allowed.minus(&out.slots);
    out
}

/// The slots of the bars of one open piece of a session that start in the range (X1, X3).
fn intraday(
    timeframe: Timeframe,
    step: i64,
    cut: Cut,
    session: &Session,
    piece: &Range<i64>,
    range: &Range<i64>,
) -> Run {
    let origin = match cut {
        Cut::Session => session.open.start,
        Cut::Clock => timeframe.slot_start(timeframe.slot(session.open.start)),
    };
    let ceil = |time: i64| -((origin - time).div_euclid(step));
    let first = (piece.start - origin).div_euclid(step).max(ceil(range.start));
    let last = ceil(piece.end).min(ceil(range.end));
    if first >= last {
        return Run { start: 0, end: 0 };
    }
    let slot = |bar: i64| timeframe.slot(origin + bar * step);
    Run { start: slot(first), end: slot(last - 1) + 1 }
}

/// The slots that begin in sorted ranges.
fn slots_of(timeframe: Timeframe, ranges: &[Range<i64>]) -> Coverage {
    let ceil = |time: i64| {
        let slot = timeframe.slot(time);
        if timeframe.slot_start(slot) < time { slot + 1 } else { slot }
    };
    ranges.iter().map(|range| Run { start: ceil(range.start), end: ceil(range.end) }).collect()
}
