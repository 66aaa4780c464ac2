//! Rollback: a commit that undoes everything since an older version.

use std::ops::Range;
use std::sync::Arc;

use tapestore_format::coverage::{Coverage, Run};
use tapestore_format::limits::{TIME_MAX, TIME_MIN};
use tapestore_format::rows::{Mark, MarkKind, RowSet, RunVec};
use tapestore_format::schema::{ColumnId, ColumnType, Schema};
use tapestore_format::segment::System;
use tapestore_format::wal::{CommitKind, Effect, TransactionRecord};

use crate::apply::COMMITS;
use crate::batch::empty_union;
use crate::compare::{number_rows, same_row};
use crate::error::Result;
use crate::gaps::absences;
use crate::operations::is_log;
use crate::overlay::RowKey;
use crate::scan::Scan;
use crate::state::{Layer, SeriesState, State};
use crate::store::Shared;

/// The commit that makes the content of `head` equal to that of `target`; `None` if it is equal already.
pub(crate) fn record(shared: &Shared, head: &State, target: u64) -> Result<Option<TransactionRecord>> {
    let version = head.next_version()?;
    let mut record = TransactionRecord {
        version,
        time: shared.storage.now_ns(),
        kind: CommitKind::Rollback,
        message: format!("rollback to version {target}"),
        added: 0,
        updated: 0,
        deleted: 0,
        effects: Vec::new(),
    };
    // What was done stays on record.
    for series in head.series.iter().filter(|series| series.id != COMMITS && !is_log(&series.key)) {
        let newest = series.definitions.last().is_some_and(|definition| definition.0 > target);
        if newest || series.layers.iter().any(|layer| layer.high() > target) {
            Undo { shared, series, head: head.version, target, version }.run(&mut record)?;
        }
    }
    Ok((!record.effects.is_empty()).then_some(record))
}

struct Undo<'a> {
    shared: &'a Shared,
    series: &'a Arc<SeriesState>,
    head: u64,
    target: u64,
    version: u64,
}

impl Undo<'_> {
    fn run(&self, record: &mut TransactionRecord) -> Result<()> {
        let id = self.series.id;
        let (then, now) = (self.series.schema_at(self.target), self.series.schema_at(self.head));
        match (then, now) {
            (None, None) => return Ok(()),
            (Some(then), now) if now != Some(then) => record.effects.push(Effect::Define {
                series: id,
                instrument: self.series.key.instrument().to_owned(),
                frame: self.series.key.frame().to_string(),
                schema: (**then).clone(),
            }),
            (None, Some(_)) => record.effects.push(Effect::Drop { series: id }),
            _ => {}
        }
        let schema = then.or(now).expect("one of them exists");
        // A drop in between ends a life of the series: none of its rows may meet rows of the life that comes back.
        let other_life = match (then, now) {
            (Some(then), Some(now)) => self.other_life(then, now),
            _ => false,
        };
        let mut deletes = Vec::new();
        if other_life {
            deletes.push(TIME_MIN..TIME_MAX + 1);
        }
        let mut rows = RowSet::default();
        for slice in self.slices()? {
            if other_life {
                self.replace(&slice, schema, &mut rows, record)?;
            } else {
                self.compare(&slice, schema, &mut deletes, &mut rows, record)?;
            }
        }
        for range in deletes {
            self.mark(MarkKind::Delete, &range, record);
        }
        let (then, now) = (self.absences(self.target)?, self.absences(self.head)?);
        for run in then.minus(&now).runs() {
            self.mark(MarkKind::Absent, &(run.start..run.end), record);
        }
        for run in now.minus(&then).runs() {
            self.mark(MarkKind::Expected, &(run.start..run.end), record);
        }
        if !rows.is_empty() {
            rows.version = RunVec::constant(self.version, rows.len());
            if !schema.dedup().is_empty() {
                number_rows(&mut rows);
            }
            record.effects.push(Effect::Rows { series: id, rows });
        }
        Ok(())
    }

    /// Whether the series was dropped and created again since the target. Within one transaction that leaves no trace
    /// but another key, or columns that are all new: numbers of columns are never used again.
    fn other_life(&self, then: &Schema, now: &Schema) -> bool {
        let dropped =
            |(version, schema): &(u64, Option<Arc<Schema>>)| *version > self.target && schema.is_none();
        let shared = then.columns.iter().any(|column| now.column_by_id(column.id).is_some());
        self.series.definitions.iter().any(dropped)
            || RowKey::from(then) != RowKey::from(now)
            || !(shared || then.columns.is_empty())
    }

    fn mark(&self, kind: MarkKind, range: &Range<i64>, record: &mut TransactionRecord) {
        let mark = Mark { kind, start: range.start, end: range.end, version: self.version };
        record.effects.push(Effect::Mark { series: self.series.id, mark });
    }

    fn absences(&self, version: u64) -> Result<Coverage> {
        if self.series.schema_at(version).is_none() {
            return Ok(Coverage::default());
        }
        let ranges = absences(self.series, version)?;
        Ok(ranges.into_iter().map(|range| Run { start: range.start, end: range.end }).collect())
    }

    /// The times that anything since the target may have touched, in slices of bounded size.
    fn slices(&self) -> Result<Vec<Range<i64>>> {
        let mut touched: Option<(i64, i64)> = None;
        let mut widen = |span: (i64, i64)| {
            touched = Some(touched.map_or(span, |known| (known.0.min(span.0), known.1.max(span.1))));
        };
        for layer in self.series.layers.iter().filter(|layer| layer.high() > self.target) {
            layer.span_at(self.target).into_iter().chain(layer.live_span()).for_each(&mut widen);
            let deletes = layer.marks()?.iter().filter(|mark| mark.kind == MarkKind::Delete);
            deletes.for_each(|mark| widen((mark.start, mark.end - 1)));
        }
        let Some((first, last)) = touched else { return Ok(Vec::new()) };
        let (first, end) = (first.max(TIME_MIN), last.min(TIME_MAX) + 1);
        let mut cuts = vec![first, end];
        for layer in &self.series.layers {
            if let Layer::Part(part) = layer {
                let starts = part.index()?.live.iter().map(|chunk| chunk.first_time);
                cuts.extend(starts.filter(|time| first < *time && *time < end));
            }
        }
        cuts.sort_unstable();
        cuts.dedup();
        Ok(cuts.windows(2).map(|pair| pair[0]..pair[1]).collect())
    }

    fn rows_at(
        &self,
        version: u64,
        range: &Range<i64>,
        columns: &[(ColumnId, ColumnType)],
    ) -> Result<RowSet> {
        if self.series.schema_at(version).is_none() {
            return Ok(RowSet::default());
        }
        let scan = Scan {
            cache: &self.shared.cache,
            series: self.series,
            version,
            columns: columns.to_vec(),
            system: System::ALL,
        };
        scan.collect(range)
    }

    /// Takes one slice as it was, whatever stands there now.
    fn replace(
        &self,
        slice: &Range<i64>,
        schema: &Schema,
        out: &mut RowSet,
        record: &mut TransactionRecord,
    ) -> Result<()> {
        let columns: Vec<_> = schema.columns.iter().map(|column| (column.id, column.kind)).collect();
        let then = self.rows_at(self.target, slice, &columns)?;
        if out.columns.is_empty() {
            *out = empty_union(&[&then]);
        }
        record.added += then.len() as u64;
        record.deleted += self.rows_at(self.head, slice, &[])?.len() as u64;
        out.extend_from(&then, 0..then.len());
        Ok(())
    }

    /// Compares one slice, time by time: what stood there then and what stands there now.
    fn compare(
        &self,
        slice: &Range<i64>,
        schema: &Schema,
        deletes: &mut Vec<Range<i64>>,
        out: &mut RowSet,
        record: &mut TransactionRecord,
    ) -> Result<()> {
        let columns: Vec<_> = schema.columns.iter().map(|column| (column.id, column.kind)).collect();
        let then = self.rows_at(self.target, slice, &columns)?;
        let now = self.rows_at(self.head, slice, &columns)?;
        let replaces = RowKey::from(schema) == RowKey::Time;
        if out.columns.is_empty() {
            *out = empty_union(&[&then]);
        }
        let (mut a, mut b) = (0, 0);
        // Deletions of neighbouring times melt together as long as nothing that stays lies between them.
        let mut open: Option<Range<i64>> = None;
        while a < then.len() || b < now.len() {
            let time = match (then.time.get(a), now.time.get(b)) {
                (Some(x), Some(y)) => *x.min(y),
                (Some(x), None) | (None, Some(x)) => *x,
                (None, None) => break,
            };
            let end =
                |times: &[i64], from: usize| from + times[from..].iter().take_while(|t| **t == time).count();
            let (a_end, b_end) = (end(&then.time, a), end(&now.time, b));
            let (olds, news) = (a..a_end, b..b_end);
            (a, b) = (a_end, b_end);
            let equal = olds.len() == news.len()
                && olds.clone().zip(news.clone()).all(|(x, y)| {
                    // Where a row came from is part of the content of a version.
                    same_row(&then, x, &now, y) && then.source.get(x) == now.source.get(y)
                });
            if equal {
                deletes.extend(open.take());
                continue;
            }
            let rewritten = olds.len().min(news.len()) as u64;
            record.updated += rewritten;
            record.added += olds.len() as u64 - rewritten;
            record.deleted += news.len() as u64 - rewritten;
            if !news.is_empty() && (!replaces || olds.is_empty()) {
                open = Some(open.map_or(time, |range| range.start)..time + 1);
            }
            out.extend_from(&then, olds);
        }
        deletes.extend(open);
        Ok(())
    }
}
