//! Panels: one field of many instruments, at the same times.
//!
//! # Invariants
//! - N1. A time at which an instrument has no row is null, unless filling was asked for: then the last row before it
//!   stands, if it is not older than allowed.

use std::ops::Range;

use tapestore::{Column, ColumnType, ColumnValues, Error, Result, RowSet, Rows, SeriesKey, Values, View};

use crate::asof::{AsOfJoin, gather};

/// At which times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Times {
    /// Wherever one of the instruments has a row.
    #[default]
    Any,
    /// Where all of them have one.
    All,
    /// At these, which ascend.
    Given(Vec<i64>),
}

/// The times of several ascending columns that at least one of them has, each once.
pub fn union(columns: &[&[i64]]) -> Vec<i64> {
    match columns {
        [] => Vec::new(),
        [only] => {
            let mut out = only.to_vec();
            out.dedup();
            out
        }
        _ => {
            let (a, b) = columns.split_at(columns.len() / 2);
            merge(union(a), &union(b))
        }
    }
}

fn merge(a: Vec<i64>, b: &[i64]) -> Vec<i64> {
    // Markets of one grid mostly have the same times.
    if a == b {
        return a;
    }
    let mut out = Vec::with_capacity(a.len().max(b.len()));
    let (mut x, mut y) = (0, 0);
    while x < a.len() && y < b.len() {
        let (left, right) = (a[x], b[y]);
        out.push(left.min(right));
        x += usize::from(left <= right);
        y += usize::from(right <= left);
    }
    out.extend_from_slice(&a[x..]);
    out.extend_from_slice(&b[y..]);
    out
}

/// The times that all of several ascending columns have, each once.
pub fn intersection(columns: &[&[i64]]) -> Vec<i64> {
    let Some((first, others)) = columns.split_first() else { return Vec::new() };
    let mut out = first.to_vec();
    out.dedup();
    for other in others {
        let mut at = 0;
        out.retain(|time| {
            at += crate::gallop(&other[at..], |other| other < *time);
            other.get(at) == Some(time)
        });
    }
    out
}

/// One field of many series, in parallel: a column per series, named as its instrument, in the order of the keys. With
/// `fill_ns` a missing value is the last one before, if that is not older.
///
/// # Errors
/// [`Error::NotFound`] if a series or its field does not exist; [`Error::Usage`] if given times do not ascend, or two
/// series are of one instrument.
pub fn panel(
    view: &View,
    keys: &[SeriesKey],
    field: &str,
    range: Range<i64>,
    times: &Times,
    fill_ns: Option<u64>,
) -> Result<Rows> {
    let lead = fill_ns.map_or(0, |fill| i64::try_from(fill).unwrap_or(i64::MAX));
    let read = view.read_many(keys, range.start.saturating_sub(lead)..range.end, &[field]);
    let mut series = read.into_iter().collect::<Result<Vec<Rows>>>()?;
    let inside = |rows: &Rows| rows.set.rows_between(range.start, range.end);
    let columns: Vec<&[i64]> = series.iter().map(|rows| &rows.time()[inside(rows)]).collect();
    let time = match times {
        Times::Any => union(&columns),
        Times::All => intersection(&columns),
        Times::Given(times) => times.clone(),
    };
    let how = AsOfJoin { tolerance_ns: Some(fill_ns.unwrap_or(0)), ..AsOfJoin::default() };
    let mut out = Rows { columns: Vec::new(), set: RowSet { time, ..RowSet::default() } };
    let (mut matched, mut clash) = (Vec::new(), None);
    for (key, rows) in keys.iter().zip(&mut series) {
        how.rows(&out.set.time, rows.time(), &mut matched)?;
        let column = rows.columns.pop().expect("one column was read");
        let (_, values) = rows.set.columns.pop().expect("one column was read");
        let mut found = ColumnValues::empty(column.kind);
        gather(&values, &matched, &mut found);
        let id = out.columns.len() as u16;
        let name = key.instrument().to_owned();
        if out.columns.iter().any(|known| known.name == name) {
            clash = Some(name.clone());
        }
        out.columns.push(Column { id, name, nullable: true, ..column });
        out.set.columns.push((id, found));
    }
    match clash {
        Some(name) => Err(Error::Usage(format!("a panel with two series of {name}"))),
        None => Ok(out),
    }
}

/// The rows of a panel as one matrix, time by time: a row per time, a number per instrument, NaN for null.
///
/// # Errors
/// [`Error::Usage`] if the field does not hold numbers.
pub fn matrix(panel: &Rows) -> Result<Vec<f64>> {
    let width = panel.columns.len();
    let mut out = vec![f64::NAN; panel.len() * width];
    for (column, (at, (_, values))) in panel.columns.iter().zip(panel.set.columns.iter().enumerate()) {
        let number: &dyn Fn(usize) -> f64 = match &values.values {
            Values::F64(numbers) => &|row| numbers[row],
            Values::F32(numbers) => &|row| f64::from(numbers[row]),
            Values::I64(numbers) if column.kind == ColumnType::I64 => &|row| numbers[row] as f64,
            Values::U8(numbers) => &|row| f64::from(numbers[row]),
            _ => return Err(Error::Usage(format!("a matrix of {}", column.kind.name()))),
        };
        for row in (0..panel.len()).filter(|row| !values.is_null(*row)) {
            out[row * width + at] = number(row);
        }
    }
    Ok(out)
}
