//! Since when an instrument is listed, and when it was halted: from the store's tables `instruments` and `halts`.
//!
//! # Invariants
//! - L1. Of an instrument that the table `instruments` does not name, nothing is said: it is listed at any time.
//! - L2. Otherwise it is listed from the time of its first row, while the row that began last is neither ended (`until`) nor has a
//!   status that says it is not traded. Of rows that begin at one time, the one known last counts.
//! - L3. It is halted from the time of a row of `halts` to its `until`, or for good if there is none; likewise for rows that name
//!   its exchange instead. Of rows of one symbol and time, the one known last counts: one that ends when it begins takes
//!   the halt back.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use tapestore::{ColumnType, Rows, SeriesKey, Values, View};
use tapestore_catalog::Kind;

use crate::compiled::names_of;
use crate::error::Result;

/// What `status` of an instrument means that it is not traded, in lower case.
const NOT_TRADED: [&str; 14] = [
    "break",
    "closed",
    "delisted",
    "delivering",
    "expired",
    "halt",
    "halted",
    "inactive",
    "pending",
    "pre_trading",
    "preopen",
    "settling",
    "suspend",
    "suspended",
];

/// When one instrument can trade, as far as it depends on itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// When it is listed: sorted, disjoint; `None`: at any time.
    pub listed: Option<Vec<Range<i64>>>,
    /// When it is halted: sorted, disjoint.
    pub halted: Vec<Range<i64>>,
}

impl Listing {
    /// Listed at any time, never halted.
    pub const ALWAYS: Self = Self { listed: None, halted: Vec::new() };

    /// The stretches of a range in which it is listed and not halted.
    pub fn open_pieces(&self, range: &Range<i64>) -> Vec<Range<i64>> {
        let mut pieces = match &self.listed {
            None => vec![range.clone()],
            Some(listed) => {
                let first = listed.partition_point(|listed| listed.end <= range.start);
                let inside = listed[first..].iter().take_while(|listed| listed.start < range.end);
                inside.map(|listed| listed.start.max(range.start)..listed.end.min(range.end)).collect()
            }
        };
        let first = self.halted.partition_point(|halt| halt.end <= range.start);
        for halt in self.halted[first..].iter().take_while(|halt| halt.start < range.end) {
            let Some(last) = pieces.last().cloned() else { break };
            // Halts ascend, but a listing may have holes: every piece is cut.
            if halt.start >= last.end {
                continue;
            }
            pieces = pieces.iter().flat_map(|piece| cut(piece, halt)).collect();
        }
        pieces
    }
}

/// A piece without a halt.
fn cut(piece: &Range<i64>, halt: &Range<i64>) -> impl Iterator<Item = Range<i64>> + use<> {
    let before = piece.start..piece.end.min(halt.start);
    let after = piece.start.max(halt.end)..piece.end;
    [before, after].into_iter().filter(|part| !part.is_empty())
}

/// The listings and halts of a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listings {
    listed: HashMap<String, Vec<Range<i64>>>,
    halted: HashMap<String, Vec<Range<i64>>>,
}

impl Listings {
    /// Reads the tables `instruments` and `halts`, as far as the store has them and they were known at `known_ns` (`None`: all
    /// that is known).
    ///
    /// # Errors
    /// [`crate::Error::Store`] if a table cannot be read.
    pub fn read(view: &View, known_ns: Option<i64>) -> Result<Self> {
        let mut result = Self::default();
        for (symbol, rows) in histories(view, Kind::Instruments, known_ns)? {
            let mut listed: Vec<Range<i64>> = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                let next = rows.get(at + 1).map_or(i64::MAX, |next| next.start);
                let range = row.start..row.until.unwrap_or(i64::MAX).min(next);
                let traded = !NOT_TRADED.iter().any(|status| row.status.eq_ignore_ascii_case(status));
                if traded && !range.is_empty() {
                    push(&mut listed, range);
                }
            }
            result.listed.insert(symbol, listed);
        }
        for (symbol, rows) in histories(view, Kind::Halts, known_ns)? {
            let mut halted: Vec<Range<i64>> = Vec::new();
            for range in rows.iter().map(|row| row.start..row.until.unwrap_or(i64::MAX)) {
                if !range.is_empty() {
                    push(&mut halted, range);
                }
            }
            result.halted.insert(symbol, halted);
        }
        Ok(result)
    }

    /// Of one instrument of an exchange, by the exchange's name if that is known.
    pub fn of(&self, instrument: &str, exchange: Option<&str>) -> Listing {
        let none = Vec::new();
        let own = self.halted.get(instrument).unwrap_or(&none);
        let names = exchange.map_or(Vec::new(), names_of);
        let more = names.into_iter().chain(exchange).filter_map(|name| self.halted.get(name));
        let mut halted: Vec<Range<i64>> = more.flatten().chain(own).cloned().collect();
        halted.sort_unstable_by_key(|halt| (halt.start, halt.end));
        let mut joined = Vec::with_capacity(halted.len());
        halted.into_iter().for_each(|halt| push(&mut joined, halt));
        Listing { listed: self.listed.get(instrument).cloned(), halted: joined }
    }
}

/// Adds a range that begins at or after the start of the last one; what overlaps or touches melts together.
fn push(ranges: &mut Vec<Range<i64>>, range: Range<i64>) {
    match ranges.last_mut() {
        Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
        _ => ranges.push(range),
    }
}

struct Entry {
    start: i64,
    until: Option<i64>,
    status: String,
}

/// The rows of each symbol by time, of each time the one known last.
fn histories(view: &View, kind: Kind, known_ns: Option<i64>) -> Result<BTreeMap<String, Vec<Entry>>> {
    let table = SeriesKey::new(kind.instrument().expect("tables of reference have a place"), kind.name())?;
    if view.schema(&table).is_err() {
        return Ok(BTreeMap::new());
    }
    let rows = view.read(&table).rows()?;
    let text = |name: &str, row: usize| {
        let column = rows.column(name)?;
        match &column.values {
            Values::Str(texts) if !column.is_null(row) => Some(texts.get(row).to_owned()),
            _ => None,
        }
    };
    let mut picked: BTreeMap<(String, i64), (i64, Entry)> = BTreeMap::new();
    for row in 0..rows.len() {
        let start = rows.time()[row];
        let known = stamp(&rows, "known", row).unwrap_or(start);
        let Some(symbol) = text("symbol", row).filter(|_| known_ns.is_none_or(|limit| known <= limit)) else {
            continue;
        };
        let entry = Entry {
            start,
            until: stamp(&rows, "until", row),
            status: text("status", row).unwrap_or_default(),
        };
        let place = picked.entry((symbol, start));
        let place = place.or_insert_with(|| (i64::MIN, Entry { start, until: None, status: String::new() }));
        if known >= place.0 {
            *place = (known, entry);
        }
    }
    let mut result: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
    for ((symbol, _), (_, entry)) in picked {
        result.entry(symbol).or_default().push(entry);
    }
    Ok(result)
}

fn stamp(rows: &Rows, name: &str, row: usize) -> Option<i64> {
    let at = rows.columns.iter().position(|column| column.name == name)?;
    let values = &rows.set.columns[at].1;
    match &values.values {
        Values::I64(stamps) if rows.columns[at].kind == ColumnType::Timestamp && !values.is_null(row) => {
            Some(stamps[row])
        }
        _ => None,
    }
}
