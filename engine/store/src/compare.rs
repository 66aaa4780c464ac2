//! Comparing rows on their way in with rows that are there.

use std::collections::HashMap;
use std::ops::Range;

use tapestore_format::rows::{ORDINAL, RowSet, Values};

use crate::batch::empty_union;
use crate::overlay::RowKey;

/// Rows compared with the store at a time.
const SLICE_ROWS: usize = 1 << 16;

/// Numbers the rows of each time (see [`ORDINAL`]).
pub(crate) fn number_rows(rows: &mut RowSet) {
    let mut numbers = Vec::with_capacity(rows.len());
    for (row, time) in rows.time.iter().enumerate() {
        let follows = row > 0 && rows.time[row - 1] == *time;
        numbers.push(if follows { numbers[row - 1] + 1 } else { 0 });
    }
    rows.columns.retain(|column| column.0 != ORDINAL);
    rows.columns.push((ORDINAL, Values::I64(numbers).into()));
}

/// Where a slice of about [`SLICE_ROWS`] rows ends: never between rows of one time.
pub(crate) fn slice_end(times: &[i64], start: usize) -> usize {
    let end = (start + SLICE_ROWS).min(times.len());
    end + times[end..].iter().take_while(|time| **time == times[end - 1]).count()
}

/// Of rows with the same key the last one, and how many others there were.
pub(crate) fn last_of_each_key(rows: RowSet, key: &RowKey) -> (RowSet, u64) {
    let mut dropped = vec![false; rows.len()];
    let mut start = 0;
    while start < rows.len() {
        let end = start + rows.time[start..].iter().take_while(|time| **time == rows.time[start]).count();
        for (row, dropped) in dropped.iter_mut().enumerate().take(end).skip(start) {
            *dropped = match key {
                RowKey::Time => row + 1 < end,
                RowKey::Distinct => false,
                RowKey::TimeAnd(_) => (row + 1..end).any(|later| key.same(&rows, row, &rows, later)),
            };
        }
        start = end;
    }
    let duplicates = dropped.iter().filter(|dropped| **dropped).count();
    if duplicates == 0 {
        return (rows, 0);
    }
    let mut out = empty_union(&[&rows]);
    for row in (0..rows.len()).filter(|row| !dropped[*row]) {
        out.extend_from(&rows, row..row + 1);
    }
    (out, duplicates as u64)
}

/// Collects the ranges of `rows[range]` that `there` does not hold bit for bit; returns how many of them replace a row.
pub(crate) fn changed_rows(
    rows: &RowSet,
    range: Range<usize>,
    there: &RowSet,
    key: &RowKey,
    kept: &mut Vec<Range<usize>>,
) -> u64 {
    let mut updated = 0;
    let mut cursor = 0;
    for row in range {
        while cursor < there.len() && there.time[cursor] < rows.time[row] {
            cursor += 1;
        }
        let twin = (cursor..there.len())
            .take_while(|other| there.time[*other] == rows.time[row])
            .find(|other| key.same(rows, row, there, *other));
        if twin.is_some_and(|other| same_row(rows, row, there, other)) {
            continue;
        }
        updated += u64::from(twin.is_some());
        match kept.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => kept.push(row..row + 1),
        }
    }
    updated
}

/// Whether two rows have the same values and flags. Where they came from does not matter.
pub(crate) fn same_row(a: &RowSet, a_row: usize, b: &RowSet, b_row: usize) -> bool {
    a.flags.get(a_row) == b.flags.get(b_row) && same_values(a, a_row, b, b_row)
}

fn same_values(a: &RowSet, a_row: usize, b: &RowSet, b_row: usize) -> bool {
    a.columns.iter().all(|(id, values)| match b.column(*id) {
        Some(other) => values.same(a_row, other, b_row),
        None => values.is_null(a_row),
    })
}

/// The ranges of `rows[range]` that stand at their time more often than in `there`.
pub(crate) fn not_there(rows: &RowSet, range: Range<usize>, there: &RowSet) -> Vec<Range<usize>> {
    let mut counts: HashMap<u64, Vec<usize>> = HashMap::new();
    for row in 0..there.len() {
        counts.entry(fingerprint(there, row)).or_default().push(row);
    }
    let mut out: Vec<Range<usize>> = Vec::new();
    for row in range {
        let twins = counts.get_mut(&fingerprint(rows, row));
        let twin = twins.and_then(|twins| {
            let same =
                |other: &usize| there.time[*other] == rows.time[row] && same_row(rows, row, there, *other);
            twins.iter().position(same).map(|position| twins.swap_remove(position))
        });
        if twin.is_some() {
            continue;
        }
        match out.last_mut() {
            Some(last) if last.end == row => last.end += 1,
            _ => out.push(row..row + 1),
        }
    }
    out
}

/// A hash of a row's time and values; equal rows have equal ones.
fn fingerprint(rows: &RowSet, row: usize) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    rows.time[row].hash(&mut hasher);
    for (_, column) in &rows.columns {
        match &column.values {
            Values::I64(v) => v[row].hash(&mut hasher),
            Values::F64(v) => v[row].to_bits().hash(&mut hasher),
            Values::F32(v) => v[row].to_bits().hash(&mut hasher),
            Values::U8(v) => v[row].hash(&mut hasher),
            Values::Str(v) => v.get(row).hash(&mut hasher),
        }
    }
    hasher.finish()
}
