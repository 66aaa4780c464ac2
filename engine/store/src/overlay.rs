//! Laying newer rows over older ones, and what becomes of the rows beneath.
//!
//! Everything works on *pieces*: ranges of one of the two row sets. Times decide; values are only copied.
//!
//! # Invariants
//! - O1. Rows of a result are ordered by time; of equal times, older rows stand before newer ones.
//! - O2. A row beneath is replaced by a newer row of the same key, and by a newer deletion that covers it.

use std::ops::Range;

use tapestore_format::rows::{Mark, MarkKind, RowSet};
use tapestore_format::schema::{KeyPolicy, Schema};

use crate::batch::empty_union;

/// What makes two rows of a series the same row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RowKey {
    /// The time.
    Time,
    /// The time and these columns.
    TimeAnd(Vec<u16>),
    /// Nothing: every row is distinct.
    Distinct,
}

impl From<&Schema> for RowKey {
    fn from(schema: &Schema) -> Self {
        match &schema.key {
            KeyPolicy::Unique => Self::Time,
            KeyPolicy::Sequence { dedup } if dedup.is_empty() => Self::Distinct,
            KeyPolicy::Sequence { dedup } => Self::TimeAnd(dedup.clone()),
        }
    }
}

impl RowKey {
    /// Columns that must be read to compare rows.
    pub(crate) fn columns(&self) -> &[u16] {
        match self {
            Self::TimeAnd(columns) => columns,
            _ => &[],
        }
    }

    /// Whether two rows of equal time are the same row.
    pub(crate) fn same(&self, a: &RowSet, a_row: usize, b: &RowSet, b_row: usize) -> bool {
        match self {
            Self::Time => true,
            Self::Distinct => false,
            Self::TimeAnd(columns) => columns.iter().all(|id| match (a.column(*id), b.column(*id)) {
                (Some(x), Some(y)) => x.same(a_row, y, b_row),
                (None, None) => true,
                (Some(x), None) => x.is_null(a_row),
                (None, Some(y)) => y.is_null(b_row),
            }),
        }
    }
}

/// A range of rows of the older or of the newer set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Rows beneath that stay.
    Older(Range<usize>),
    /// Rows on top.
    Newer(Range<usize>),
}

impl Piece {
    fn rows(&self) -> usize {
        let (Self::Older(range) | Self::Newer(range)) = self;
        range.len()
    }
}

/// The result of laying one set over another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The visible rows, in order (O1).
    pub(crate) pieces: Vec<Piece>,
    /// Ranges of older rows that were replaced or deleted, in order.
    pub(crate) dropped: Vec<Range<usize>>,
}

/// The ranges of sorted `times` that no deletion of `marks` covers, and those that one does.
pub(crate) fn split_deleted(times: &[i64], marks: &[Mark]) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let deletes = marks.iter().filter(|mark| mark.kind == MarkKind::Delete);
    let mut cuts: Vec<Range<usize>> = deletes
        .map(|mark| times.partition_point(|t| *t < mark.start)..times.partition_point(|t| *t < mark.end))
        .filter(|cut| cut.start < cut.end)
        .collect();
    cuts.sort_by_key(|cut| cut.start);
    let (mut kept, mut deleted) = (Vec::new(), Vec::<Range<usize>>::new());
    let mut position = 0;
    for cut in cuts {
        if cut.start > position {
            kept.push(position..cut.start);
        }
        let start = cut.start.max(position);
        if start < cut.end {
            push_range(&mut deleted, start..cut.end);
        }
        position = position.max(cut.end);
    }
    if position < times.len() {
        kept.push(position..times.len());
    }
    (kept, deleted)
}

fn push_range(ranges: &mut Vec<Range<usize>>, range: Range<usize>) {
    match ranges.last_mut() {
        Some(last) if last.end == range.start => last.end = range.end,
        _ if range.start < range.end => ranges.push(range),
        _ => {}
    }
}

impl Plan {
    fn push_older(&mut self, range: Range<usize>) {
        match self.pieces.last_mut() {
            Some(Piece::Older(last)) if last.end == range.start => last.end = range.end,
            _ if range.start < range.end => self.pieces.push(Piece::Older(range)),
            _ => {}
        }
    }

    fn push_newer(&mut self, range: Range<usize>) {
        match self.pieces.last_mut() {
            Some(Piece::Newer(last)) if last.end == range.start => last.end = range.end,
            _ if range.start < range.end => self.pieces.push(Piece::Newer(range)),
            _ => {}
        }
    }

    /// Lays `newer`, with its deletions, over `older`.
    pub(crate) fn new(older: &RowSet, newer: &RowSet, marks: &[Mark], key: &RowKey) -> Self {
        let mut plan = Self::default();
        let (kept, deleted) = split_deleted(&older.time, marks);
        let mut top = 0;
        for range in kept {
            top = plan.merge(older, range, newer, top, key);
        }
        plan.push_newer(top..newer.len());
        for range in deleted {
            plan.dropped.push(range);
        }
        plan.dropped.sort_by_key(|range| range.start);
        plan
    }

    /// Merges `older[range]` with `newer[top..]` as far as the range reaches; returns the new `top`.
    fn merge(
        &mut self,
        older: &RowSet,
        range: Range<usize>,
        newer: &RowSet,
        mut top: usize,
        key: &RowKey,
    ) -> usize {
        let mut row = range.start;
        while row < range.end {
            let time = older.time[row];
            // Newer rows before this time go first.
            let before = top + gallop(&newer.time[top..], |t| t < time);
            self.push_newer(top..before);
            top = before;
            if top == newer.len() {
                self.push_older(row..range.end);
                return top;
            }
            let next = newer.time[top];
            if next > time {
                let until = row + gallop(&older.time[row..range.end], |t| t < next);
                self.push_older(row..until);
                row = until;
                continue;
            }
            // Equal times: older rows that stay come first, then the newer ones.
            let old_end = row + gallop(&older.time[row..range.end], |t| t == time);
            let new_end = top + gallop(&newer.time[top..], |t| t == time);
            match key {
                RowKey::Distinct => self.push_older(row..old_end),
                RowKey::Time => push_range(&mut self.dropped, row..old_end),
                RowKey::TimeAnd(_) => {
                    for old in row..old_end {
                        if (top..new_end).any(|new| key.same(older, old, newer, new)) {
                            push_range(&mut self.dropped, old..old + 1);
                        } else {
                            self.push_older(old..old + 1);
                        }
                    }
                }
            }
            self.push_newer(top..new_end);
            row = old_end;
            top = new_end;
        }
        top
    }

    /// Copies the visible rows.
    pub(crate) fn apply(&self, older: &RowSet, newer: &RowSet) -> RowSet {
        let mut out = empty_union(&[older, newer]);
        out.reserve(self.pieces.iter().map(Piece::rows).sum());
        for piece in &self.pieces {
            match piece {
                Piece::Older(range) => out.extend_from(older, range.clone()),
                Piece::Newer(range) => out.extend_from(newer, range.clone()),
            }
        }
        out
    }
}

/// How many leading times satisfy `holds`, for sorted times: doubling steps, then bisection.
fn gallop(times: &[i64], holds: impl Fn(i64) -> bool) -> usize {
    let mut bound = 1;
    while bound <= times.len() && holds(times[bound - 1]) {
        bound *= 2;
    }
    let low = bound / 2;
    let high = bound.min(times.len());
    low + times[low..high].partition_point(|time| holds(*time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::rows::{RunVec, Values};

    fn set(rows: &[(i64, i64)], version: u64) -> RowSet {
        RowSet {
            time: rows.iter().map(|row| row.0).collect(),
            version: RunVec::constant(version, rows.len()),
            source: RunVec::constant(0, rows.len()),
            flags: RunVec::constant(0, rows.len()),
            columns: vec![(0, Values::I64(rows.iter().map(|row| row.1).collect()).into())],
            ..RowSet::default()
        }
    }

    fn pairs(rows: &RowSet) -> Vec<(i64, i64)> {
        let Values::I64(values) = &rows.columns[0].1.values else { unreachable!() };
        rows.time.iter().copied().zip(values.iter().copied()).collect()
    }

    fn delete(start: i64, end: i64) -> Mark {
        Mark { kind: MarkKind::Delete, start, end, version: 9 }
    }

    #[test]
    fn newer_rows_replace_older_ones_of_the_same_time() {
        let (old, new) = (set(&[(1, 10), (2, 20), (4, 40)], 1), set(&[(0, 1), (2, 21), (3, 31), (9, 91)], 2));
        let plan = Plan::new(&old, &new, &[], &RowKey::Time);
        assert_eq!(pairs(&plan.apply(&old, &new)), [(0, 1), (1, 10), (2, 21), (3, 31), (4, 40), (9, 91)]);
        assert_eq!(plan.dropped, [1..2]);
    }

    #[test]
    fn distinct_rows_of_one_time_all_stay_older_first() {
        let (old, new) = (set(&[(1, 10), (1, 10)], 1), set(&[(1, 10), (1, 11)], 2));
        let plan = Plan::new(&old, &new, &[], &RowKey::Distinct);
        assert_eq!(pairs(&plan.apply(&old, &new)), [(1, 10), (1, 10), (1, 10), (1, 11)]);
        let plan = Plan::new(&old, &new, &[], &RowKey::TimeAnd(vec![0]));
        assert_eq!(pairs(&plan.apply(&old, &new)), [(1, 10), (1, 11)]);
        assert_eq!(plan.dropped, [0..2]);
    }

    #[test]
    fn deletions_cut_older_rows_and_spare_newer_ones() {
        let (old, new) = (set(&[(1, 10), (2, 20), (3, 30), (4, 40), (5, 50)], 1), set(&[(3, 31)], 2));
        let plan = Plan::new(&old, &new, &[delete(2, 4), delete(3, 5)], &RowKey::Time);
        assert_eq!(pairs(&plan.apply(&old, &new)), [(1, 10), (3, 31), (5, 50)]);
        assert_eq!(plan.dropped, [1..4]);
    }

    #[test]
    fn overlay_agrees_with_a_map_on_random_sets() {
        let mut state = 1u64;
        let mut next = move |bound: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % bound) as i64
        };
        for _ in 0..2000 {
            let mut model = std::collections::BTreeMap::new();
            let mut make = |version, model: &mut std::collections::BTreeMap<i64, i64>| {
                let rows: std::collections::BTreeMap<i64, i64> =
                    (0..next(12)).map(|_| (next(20), next(99))).collect();
                model.extend(rows.iter());
                set(&rows.into_iter().collect::<Vec<_>>(), version)
            };
            let old = make(1, &mut model);
            let (start, end) = (next(20), next(20));
            model.retain(|time, _| !(start..end).contains(time));
            let mut make = |version, model: &mut std::collections::BTreeMap<i64, i64>| {
                let rows: std::collections::BTreeMap<i64, i64> =
                    (0..next(12)).map(|_| (next(20), next(99))).collect();
                model.extend(rows.iter());
                set(&rows.into_iter().collect::<Vec<_>>(), version)
            };
            let new = make(2, &mut model);
            let plan = Plan::new(&old, &new, &[delete(start, end)], &RowKey::Time);
            assert_eq!(pairs(&plan.apply(&old, &new)), model.into_iter().collect::<Vec<_>>());
        }
    }
}
