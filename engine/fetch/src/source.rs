//! What a source is: it turns a question into requests, and replies into a page. It sends nothing itself.

use std::collections::HashMap;
use std::fmt::Debug;
use std::ops::Range;

use tapestore::{ColumnValues, Frame, Schema, SeriesKey, Timeframe};

use crate::error::Result;
use crate::ledger::{FileRecord, Finding};
use crate::wire::{Reply, Request};

/// How a source wants to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// What all requests of a minute may weigh together.
    pub weight_per_minute: u32,
    /// Header, in lower case, in which it tells what was used of that in this minute.
    pub used_header: Option<&'static str>,
    /// How many instruments are fetched at the same time, unless the caller says otherwise.
    pub concurrency: usize,
}

/// What a source can give of a series, and at what price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Slots of bars that one page covers, at most.
    pub page_slots: u64,
    /// Requests that one page takes.
    pub page_requests: u64,
    /// What these weigh together.
    pub page_weight: u64,
    /// How far back it goes from now, in nanoseconds; `None`: as far as there is anything.
    pub history_ns: Option<i64>,
}

/// A question: the rows of a series in a range.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The instrument as the source names it.
    pub symbol: String,
    /// What of it.
    pub frame: Frame,
    /// Nanoseconds since the Unix epoch, UTC; for bars, open times on their grid.
    pub range: Range<i64>,
    /// Of trades: only those with greater numbers; the range then only says where to end.
    pub after_id: Option<i64>,
    /// Of trades: only those with smaller numbers.
    pub before_id: Option<i64>,
    /// Checksums of the files that were taken before, by name.
    pub known_files: HashMap<String, String>,
    /// What is known is looked at again: files that have the same checksum as before need not be taken.
    pub recheck: bool,
    /// The clock of this machine, nanoseconds since the Unix epoch, UTC.
    pub now_ns: i64,
}

impl Ask {
    /// The timeframe of bars.
    pub fn timeframe(&self) -> Option<Timeframe> {
        self.frame.timeframe()
    }

    /// The number of bars in the range.
    pub fn slots(&self) -> u64 {
        self.timeframe().map_or(u64::MAX, |timeframe| slots(timeframe, &self.range))
    }
}

/// The number of bars that open in a range.
pub fn slots(timeframe: Timeframe, range: &Range<i64>) -> u64 {
    let first = |time: i64| {
        let slot = timeframe.slot(time);
        if timeframe.slot_start(slot) < time { slot + 1 } else { slot }
    };
    first(range.end).saturating_sub(first(range.start)).max(0).unsigned_abs()
}

/// Rows, column by column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    /// Nanoseconds since the Unix epoch, UTC; for bars the open times.
    pub time: Vec<i64>,
    /// Names and values, one for each time.
    pub columns: Vec<(&'static str, ColumnValues)>,
}

impl Table {
    /// Only the rows of these places, in this order.
    pub(crate) fn pick(&mut self, rows: &[usize]) {
        fn gather<T: Clone>(values: &mut Vec<T>, rows: &[usize]) {
            *values = rows.iter().map(|row| values[*row].clone()).collect();
        }
        use tapestore::Values;
        gather(&mut self.time, rows);
        for (_, column) in &mut self.columns {
            match &mut column.values {
                Values::I64(values) => gather(values, rows),
                Values::F64(values) => gather(values, rows),
                Values::F32(values) => gather(values, rows),
                Values::U8(values) => gather(values, rows),
                Values::Str(values) => *values = rows.iter().map(|row| values.get(*row)).collect(),
            }
            if let Some(nulls) = &mut column.nulls {
                gather(nulls, rows);
            }
        }
    }
}

/// What a source answers.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// The rows, in any order.
    pub rows: Table,
    /// The part of the range that is dealt with: it begins where the range begins, or ends where it ends.
    pub answered: Range<i64>,
    /// Whether all that the source has of the answered part is among the rows: then what is not is confirmed absent.
    pub complete: bool,
    /// The clock of the source, nanoseconds since the Unix epoch, UTC.
    pub now_ns: i64,
    /// Splits and dividends, with the columns of [`tapestore_query::adjust::actions_schema`], by the table of the instrument
    /// that they belong to.
    pub actions: Vec<(&'static str, Table)>,
    /// The file that the rows come from.
    pub file: Option<FileRecord>,
    /// What the source itself shows to be odd.
    pub findings: Vec<Finding>,
}

/// What comes next.
#[derive(Debug)]
pub enum Step {
    /// A request is to be sent; its reply joins those that there are.
    Send(Request),
    /// The question is answered.
    Done(Box<Page>),
}

/// Why a reply is not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is cut off or garbled; it may be better the next time.
    Broken(String),
    /// It answers another question.
    Other(String),
}

/// How a reply stands, before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can be read.
    Fine,
    /// It failed in a way that may pass. `after_s`: how long the source asks to wait.
    Passing {
        /// What happened.
        reason: String,
        /// Seconds to wait, if the source says so.
        after_s: Option<u64>,
        /// Whether requests were too many: then all threads wait.
        crowded: bool,
    },
    /// It failed for good.
    Final(String),
}

/// What a status means, where a source has nothing special to say.
pub fn verdict_of_status(reply: &Reply) -> Verdict {
    let reason = || format!("status {} {}", reply.status, reply.excerpt()).trim_end().to_owned();
    let passing = |crowded| Verdict::Passing { reason: reason(), after_s: reply.retry_after(), crowded };
    match reply.status {
        200 => Verdict::Fine,
        418 | 429 => passing(true),
        408 | 425 | 500..=599 => passing(false),
        _ => Verdict::Final(reason()),
    }
}

/// Where data comes from.
pub trait Source: Send + Sync + Debug {
    /// Its name: in the provenance of rows, and on the command line.
    fn name(&self) -> &str;

    /// How it wants to be treated.
    fn manners(&self) -> Manners;

    /// What it can give of a frame.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if it has nothing of the kind, with what it has.
    fn reach(&self, frame: &Frame) -> Result<Reach>;

    /// The series that a symbol becomes.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if the symbol cannot be a name.
    fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey>;

    /// The columns of a series that does not exist yet.
    fn schema(&self, frame: &Frame) -> Schema;

    /// What comes next, given the replies so far.
    ///
    /// # Errors
    /// A [`Refusal`] of the last reply.
    fn step(&self, ask: &Ask, replies: &[Reply]) -> std::result::Result<Step, Refusal>;

    /// How a reply stands.
    fn verdict(&self, reply: &Reply) -> Verdict {
        verdict_of_status(reply)
    }
}

/// How symbols become instruments: `{symbol}.BINANCE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming(String);

impl Naming {
    /// A name with `{symbol}` in it.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] without.
    pub fn new(template: &str) -> Result<Self> {
        if template.contains("{symbol}") {
            return Ok(Self(template.to_owned()));
        }
        let text = format!("{template:?} names all instruments alike; write {{symbol}} in it");
        Err(crate::Error::Usage(text))
    }

    /// The key of a symbol.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if it cannot be a name.
    pub fn key(&self, symbol: &str, frame: &Frame) -> Result<SeriesKey> {
        let instrument = self.0.replace("{symbol}", symbol);
        SeriesKey::with_frame(&instrument, frame.clone())
            .map_err(|error| crate::Error::Usage(error.to_string()))
    }
}
