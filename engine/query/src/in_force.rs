//! Reference tables as they were: which rows were valid at one time, as far as they were known at another.
//!
//! A row is valid from its own time on. Two columns may say more, if the table has them as timestamps: `until`, when it
//! ceases to be valid, and `known`, since when it is known; null, or no such column: since it is valid.
//!
//! # Invariants
//! - F1. Of the rows of one identity that are valid and known by then, the one that began last is in force; of several that
//!   began at one time, the one known last; of those, the one written last.
//! - F2. A row in force whose `until` has passed is not shown, and none before it takes its place.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use tapestore::{AsOf, ColumnType, Error, Result, Rows, SeriesKey, Store, Values, View};

use crate::asof::gather_rows;

/// When to look at a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What was valid then, nanoseconds since the Unix epoch, UTC.
    pub valid_ns: i64,
    /// As far as it was known then; `None`: all that is known.
    pub known_ns: Option<i64>,
}

/// A value that sorts: null first, then as its type does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cell {
    Null,
    Number(i64),
    Float(TotalF64),
    Text(String),
}

#[derive(Clone, Copy, Debug)]
struct TotalF64(f64);

impl PartialEq for TotalF64 {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for TotalF64 {}

impl PartialOrd for TotalF64 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TotalF64 {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The view that holds what was known at `known_ns`: for a table that says itself since when its rows are known, the
/// newest; for others, the version of the store at that time.
///
/// # Errors
/// [`Error::NotFound`] if the series does not exist, or nothing of that time is kept.
pub fn view_known_at(store: &Store, key: &SeriesKey, known_ns: i64) -> Result<View> {
    let view = store.view();
    if stamps(&view, key, "known")? { Ok(view) } else { store.as_of(&AsOf::Time(known_ns)) }
}

/// Whether a table has a column of timestamps of this name.
fn stamps(view: &View, key: &SeriesKey, name: &str) -> Result<bool> {
    let schema = view.schema(key)?;
    Ok(schema.column(name).is_some_and(|column| column.kind == ColumnType::Timestamp))
}

/// The rows in force at a moment, one for each identity, sorted by it; the time of a row is since when it is valid.
/// Costs the rows of the table up to then: it is meant for small ones.
///
/// # Errors
/// [`Error::NotFound`] if the series or a column of `identity` does not exist.
pub fn in_force(view: &View, key: &SeriesKey, identity: &[&str], moment: Moment) -> Result<Rows> {
    let rows = view.read(key).range(i64::MIN..moment.valid_ns.saturating_add(1)).rows()?;
    let by = identity
        .iter()
        .map(|name| {
            let position = rows.columns.iter().position(|column| column.name == *name);
            position
                .ok_or_else(|| Error::NotFound(format!("{key} has no column {name:?} to tell its rows by")))
        })
        .collect::<Result<Vec<_>>>()?;
    let (until, known) = (times(&rows, "until"), times(&rows, "known"));
    let known_since = |row: usize| known.as_ref().and_then(|known| known(row)).unwrap_or(rows.time()[row]);
    let mut chosen: BTreeMap<Vec<Cell>, usize> = BTreeMap::new();
    for row in 0..rows.len() {
        if moment.known_ns.is_some_and(|limit| known_since(row) > limit) {
            continue;
        }
        let rank = |row: usize| (rows.time()[row], known_since(row));
        let place = chosen.entry(by.iter().map(|column| cell(&rows, *column, row)).collect()).or_insert(row);
        // Rows come in the order in which they were written (F1).
        if rank(row) >= rank(*place) {
            *place = row;
        }
    }
    let ended =
        |row: usize| until.as_ref().and_then(|until| until(row)).is_some_and(|end| end <= moment.valid_ns);
    let picked: Vec<u32> = chosen.into_values().filter(|row| !ended(*row)).map(|row| row as u32).collect();
    Ok(gather_rows(&rows, &picked))
}

/// The timestamps of a column, row by row; `None` if there is no such column, or it holds something else.
pub(crate) fn times<'r>(rows: &'r Rows, name: &str) -> Option<impl Fn(usize) -> Option<i64> + use<'r>> {
    let at = rows.columns.iter().position(|column| column.name == name)?;
    let values = &rows.set.columns[at].1;
    match &values.values {
        Values::I64(stamps) if rows.columns[at].kind == ColumnType::Timestamp => {
            Some(move |row: usize| (!values.is_null(row)).then(|| stamps[row]))
        }
        _ => None,
    }
}

fn cell(rows: &Rows, column: usize, row: usize) -> Cell {
    let values = &rows.set.columns[column].1;
    if values.is_null(row) {
        return Cell::Null;
    }
    match &values.values {
        Values::I64(numbers) => Cell::Number(numbers[row]),
        Values::U8(numbers) => Cell::Number(i64::from(numbers[row])),
        Values::F64(numbers) => Cell::Float(TotalF64(numbers[row])),
        Values::F32(numbers) => Cell::Float(TotalF64(f64::from(numbers[row]))),
        Values::Str(texts) => Cell::Text(texts.get(row).to_owned()),
    }
}
