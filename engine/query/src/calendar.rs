//! The sessions of an exchange, from a table of its days: when it opens and closes, and on which days it does not.
//!
//! The table has a row for each session (a day with a lunch break has two) and one for a day without any, each at
//! midnight UTC of its date. Columns: `exchange`; `open` and `close`, timestamps; `status`, and a day is without sessions
//! where it is `closed`; `known`, since when the row is known. The last two may be missing.
//!
//! # Invariants
//! - C1. The rows of a day that were made known last say all of it: a storm that closes the exchange takes the place of
//!   both sessions that were planned. Rows without `known` were there from the beginning.
//! - C2. Between the first and the last day of the table a day without rows has no session; outside nothing is said.

use std::collections::BTreeMap;
use std::ops::Range;

use tapestore::time::{DAY_NS, date_text};
use tapestore::{Error, Result, Rows, SeriesKey, Strings, Values, View};

use crate::in_force::times;
use crate::session::{Session, Sessions};

/// What a table says of an exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Calendar {
    /// When it is open.
    pub sessions: Sessions,
    /// The days that the table speaks of: nanoseconds since the Unix epoch, from midnight UTC of the first date to the
    /// end of the last.
    pub days: Range<i64>,
}

impl Calendar {
    /// The sessions, if the calendar speaks of all of `range`.
    ///
    /// # Errors
    /// [`Error::Usage`] names the days that are missing.
    pub fn covering(self, range: Range<i64>) -> Result<Sessions> {
        // An exchange east of Greenwich opens on the evening before, by UTC; one in the west closes on the morning after.
        let first = self.sessions.all().first().map_or(self.days.start, |session| session.open.start);
        let last = self.sessions.all().last().map_or(self.days.end, |session| session.open.end);
        let (start, end) = (self.days.start.min(first), self.days.end.max(last));
        if range.is_empty() || start <= range.start && range.end <= end {
            return Ok(self.sessions);
        }
        Err(Error::Usage(format!(
            "the calendar says nothing of before {} and from {} on; rows lie from {} to {}",
            date_text(start),
            date_text(end),
            date_text(range.start),
            date_text(range.end - 1),
        )))
    }
}

/// The calendar of an exchange in a table, as far as it was known at `known_ns` (`None`: all that is known).
///
/// # Errors
/// [`Error::NotFound`] if there is no such table, or it says nothing of the exchange; [`Error::Usage`] names a day whose
/// sessions make no sense.
pub fn calendar(view: &View, table: &SeriesKey, exchange: &str, known_ns: Option<i64>) -> Result<Calendar> {
    let rows = view.read(table).rows()?;
    let missing = |name: &str| Error::NotFound(format!("{table} has no column {name:?}, as a calendar has"));
    let exchanges = texts(&rows, "exchange").ok_or_else(|| missing("exchange"))?;
    let opens = times(&rows, "open").ok_or_else(|| missing("open"))?;
    let closes = times(&rows, "close").ok_or_else(|| missing("close"))?;
    let (statuses, known) = (texts(&rows, "status"), times(&rows, "known"));
    // Per day the rows made known last (C1), as they were written.
    let mut days: BTreeMap<i64, (i64, Vec<usize>)> = BTreeMap::new();
    for row in (0..rows.len()).filter(|row| exchanges.get(*row) == exchange) {
        let since = known.as_ref().and_then(|known| known(row)).unwrap_or(i64::MIN);
        if known_ns.is_some_and(|limit| since > limit) {
            continue;
        }
        let day = days.entry(rows.time()[row]).or_insert((since, Vec::new()));
        if since > day.0 {
            *day = (since, Vec::new());
        }
        if since == day.0 {
            day.1.push(row);
        }
    }
    let (Some((first, _)), Some((last, _))) = (days.first_key_value(), days.last_key_value()) else {
        return Err(Error::NotFound(format!("{table} says nothing of {exchange:?}")));
    };
    let covered = *first..last.saturating_add(DAY_NS);
    let mut sessions = Vec::new();
    for (day_ns, row) in days.iter().flat_map(|(day, (_, rows))| rows.iter().map(|row| (*day, *row))) {
        let closed = statuses.is_some_and(|statuses| statuses.get(row).eq_ignore_ascii_case("closed"));
        match (opens(row), closes(row)) {
            _ if closed => {}
            (Some(open), Some(close)) => sessions.push(Session { open: open..close, day_ns }),
            _ => {
                return Err(Error::Usage(format!(
                    "{exchange} on {}: neither open and close nor the status closed",
                    date_text(day_ns)
                )));
            }
        }
    }
    Ok(Calendar { sessions: Sessions::new(sessions)?, days: covered })
}

fn texts<'r>(rows: &'r Rows, name: &str) -> Option<&'r Strings> {
    match &rows.column(name)?.values {
        Values::Str(texts) => Some(texts),
        _ => None,
    }
}
