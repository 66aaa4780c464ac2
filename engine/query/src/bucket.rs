//! Which rows make a bar: by time, by number of trades, by traded volume or by traded amount.
//!
//! # Invariants
//! - G1. A bar by time starts on its timeframe's grid; with sessions, at the start of a session and every length from
//!   there, so that no bar crosses a break. The last bar of a session may be short.
//! - G2. Bars of whole days and longer take all sessions whose trading days lie in them.
//! - G3. A row outside all sessions is in no bar, and counted.
//! - G4. What is cut into bars in pieces is cut as it would be at once.

use std::ops::Range;
use std::sync::Arc;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Error, Result};

use crate::fold::Sum;
use crate::gallop;
use crate::session::Sessions;

/// When a bar is full.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rule {
    /// At the end of its time.
    Time(Timeframe),
    /// After so many rows.
    Ticks(u64),
    /// Once this volume was traded. The row that reaches it is in the bar; what is beyond counts for no other.
    Volume(f64),
    /// Once price times volume reaches this amount, likewise.
    Dollars(f64),
}

impl From<Timeframe> for Rule {
    fn from(timeframe: Timeframe) -> Self {
        Self::Time(timeframe)
    }
}

impl Rule {
    /// What cannot be.
    ///
    /// # Errors
    /// [`Error::Usage`] for a count of zero, and a volume or amount that is not a positive number.
    pub fn check(self) -> Result<()> {
        match self {
            Self::Ticks(0) => Err(Error::Usage("a bar of no ticks".into())),
            Self::Volume(size) | Self::Dollars(size) if !(size > 0.0 && size.is_finite()) => {
                Err(Error::Usage(format!("a bar of {size}; it has to be a positive number")))
            }
            _ => Ok(()),
        }
    }
}

/// What is known of a bar but its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it opens. For bars by time the start of their time, otherwise the time of the first row.
    pub start_ns: i64,
    /// For bars by time where their time ends, exclusive; otherwise the time of the last row.
    pub end_ns: i64,
    /// Whether the end of a session cut it short.
    pub short: bool,
}

/// Consecutive rows of one bar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The rows.
    pub rows: Range<usize>,
    /// Whether they begin a bar; if not, they continue the one before.
    pub fresh: bool,
}

/// Cuts rows into bars, piece by piece; remembers the bar that is open.
#[derive(Clone, Debug)]
pub struct Bucketer {
    rule: Rule,
    sessions: Option<Arc<Sessions>>,
    /// Closed bars that were not taken yet.
    closed: Vec<Bar>,
    open: Option<Bar>,
    /// The session of the open bar.
    session: Option<usize>,
    /// Rows and volume or amount in the open bar; whether it is full.
    ticks: u64,
    sum: Sum,
    full: bool,
    outside: u64,
}

impl Bucketer {
    /// Nothing is open yet.
    ///
    /// # Errors
    /// As [`Rule::check`].
    pub fn new(rule: Rule, sessions: Option<Arc<Sessions>>) -> Result<Self> {
        rule.check()?;
        Ok(Self {
            rule,
            sessions,
            closed: Vec::new(),
            open: None,
            session: None,
            ticks: 0,
            sum: Sum::default(),
            full: false,
            outside: 0,
        })
    }

    /// Rows seen that lie outside all sessions.
    pub fn outside(&self) -> u64 {
        self.outside
    }

    /// The bars that were closed since the last call.
    pub fn take_closed(&mut self) -> Vec<Bar> {
        std::mem::take(&mut self.closed)
    }

    /// Whether the open bar is finished if the rows are complete before `until_ns`; `None`: there is none.
    pub fn finished(&self, until_ns: i64) -> Option<bool> {
        let bar = self.open?;
        Some(match self.rule {
            Rule::Time(_) => until_ns >= bar.end_ns,
            _ => self.full || self.session_end().is_some_and(|end| until_ns >= end),
        })
    }

    /// Closes the open bar.
    pub fn close(&mut self) {
        if let Some(mut bar) = self.open.take() {
            let by_time = matches!(self.rule, Rule::Time(_));
            bar.short |= !by_time && !self.full && self.sessions.is_some();
            self.closed.push(bar);
        }
    }

    fn session_end(&self) -> Option<i64> {
        Some(self.sessions.as_ref()?.all()[self.session?].open.end)
    }

    /// Cuts further rows, whose times ascend from those before. `price` and `volume` are needed by the rules that add
    /// them up, and may be empty for others. What `out` held is dropped.
    pub fn cut(&mut self, time: &[i64], price: &[f64], volume: &[f64], out: &mut Vec<Piece>) {
        out.clear();
        let mut row = 0;
        while row < time.len() {
            let (session, until) = match &self.sessions {
                None => (None, i64::MAX),
                Some(sessions) => {
                    let at = sessions.ending_after(time[row]);
                    let Some(session) = sessions.all().get(at) else {
                        self.outside += (time.len() - row) as u64;
                        return;
                    };
                    if time[row] < session.open.start {
                        let before = gallop(&time[row..], |time| time < session.open.start);
                        self.outside += before as u64;
                        row += before;
                        continue;
                    }
                    (Some(at), session.open.end)
                }
            };
            row = match self.rule {
                Rule::Time(timeframe) => self.cut_by_time(timeframe, session, time, row, out),
                _ => {
                    // Times below i64::MAX: the engine takes none beyond the year 2255.
                    let end = row + gallop(&time[row..], |time| time < until);
                    self.cut_by_size(session, time, row..end, (price, volume), out);
                    end
                }
            };
        }
    }

    /// The rows of one bar; returns the row after them.
    fn cut_by_time(
        &mut self,
        timeframe: Timeframe,
        session: Option<usize>,
        time: &[i64],
        row: usize,
        out: &mut Vec<Piece>,
    ) -> usize {
        let (bar, until) = self.bar_at(timeframe, session, time[row]);
        let end = row + gallop(&time[row..], |time| time < until);
        let fresh = self.open.is_none_or(|open| open.start_ns != bar.start_ns);
        if fresh {
            self.close();
            self.open = Some(bar);
        }
        out.push(Piece { rows: row..end, fresh });
        end
    }

    /// The bar that holds `time`, which lies in the session, and where its rows may end.
    fn bar_at(&self, timeframe: Timeframe, session: Option<usize>, time: i64) -> (Bar, i64) {
        let sessions = self.sessions.as_deref().zip(session);
        let bar = bar_of(timeframe, sessions, time);
        let until = sessions.map_or(bar.end_ns, |(all, at)| bar.end_ns.min(all.all()[at].open.end));
        (bar, until)
    }

    fn cut_by_size(
        &mut self,
        session: Option<usize>,
        time: &[i64],
        rows: Range<usize>,
        (price, volume): (&[f64], &[f64]),
        out: &mut Vec<Piece>,
    ) {
        let crossed = self.session != session;
        let mut row = rows.start;
        while row < rows.end {
            let fresh = self.open.is_none() || self.full || (crossed && row == rows.start);
            if fresh {
                self.close();
                self.open = Some(Bar { start_ns: time[row], end_ns: time[row], short: false });
                (self.ticks, self.sum, self.full) = (0, Sum::default(), false);
                self.session = session;
            }
            let end = match self.rule {
                Rule::Ticks(count) => {
                    let taken = (count - self.ticks).min((rows.end - row) as u64);
                    self.ticks += taken;
                    self.full = self.ticks == count;
                    row + taken as usize
                }
                Rule::Volume(size) => self.add(size, row..rows.end, |row| volume[row]),
                Rule::Dollars(size) => self.add(size, row..rows.end, |row| price[row] * volume[row]),
                Rule::Time(_) => unreachable!("bars by time have their own way"),
            };
            if let Some(open) = &mut self.open {
                open.end_ns = time[end - 1];
            }
            out.push(Piece { rows: row..end, fresh });
            row = end;
        }
    }

    /// Adds rows until the bar is full; returns the row after them.
    fn add(&mut self, size: f64, rows: Range<usize>, amount: impl Fn(usize) -> f64) -> usize {
        for row in rows.clone() {
            self.sum.add(amount(row));
            if self.sum.reaches(size) {
                self.full = true;
                return row + 1;
            }
        }
        rows.end
    }
}

/// The bar by time that holds `time`, which lies in the session given by its number, or, for bars of whole days and longer,
/// in none but on the session's side of it (G1, G2).
fn bar_of(timeframe: Timeframe, session: Option<(&Sessions, usize)>, time: i64) -> Bar {
    let Some((sessions, at)) = session else {
        let slot = timeframe.slot(time);
        return Bar {
            start_ns: timeframe.slot_start(slot),
            end_ns: timeframe.slot_start(slot + 1),
            short: false,
        };
    };
    let session = &sessions.all()[at];
    match timeframe.step_ns().filter(|step| *step < DAY_NS) {
        Some(step) => {
            let start = session.open.start + (time - session.open.start) / step * step;
            let end = start.saturating_add(step).min(session.open.end);
            Bar { start_ns: start, end_ns: end, short: end - start < step }
        }
        None => {
            let start = timeframe.slot_start(timeframe.slot(session.day_ns));
            Bar { start_ns: start, end_ns: sessions.end_of(at, timeframe), short: false }
        }
    }
}

/// The bar that `time` lies in: when it opens, and the range of its rows; `None` outside all sessions.
pub(crate) fn bar_around(
    timeframe: Timeframe,
    sessions: Option<&Sessions>,
    time: i64,
) -> Option<(i64, Range<i64>)> {
    let Some(sessions) = sessions else {
        let bar = bar_of(timeframe, None, time);
        return Some((bar.start_ns, bar.start_ns..bar.end_ns));
    };
    let at = sessions.ending_after(time);
    let session = sessions.all().get(at)?;
    let within_days = timeframe.step_ns().is_some_and(|step| step < DAY_NS);
    if within_days && time < session.open.start {
        return None;
    }
    let bar = bar_of(timeframe, Some((sessions, at)), time);
    // A trading day may open before its own midnight.
    let opens = if within_days { bar.start_ns } else { sessions.start_of(at, timeframe) };
    (time >= opens.min(bar.start_ns)).then_some((bar.start_ns, opens..bar.end_ns))
}
