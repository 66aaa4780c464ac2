//! Turns a transaction into its effects on the newest version: what is new, what changes, what was there already.
//!
//! # Invariants
//! - G1. Nothing is written or made visible here; an error leaves no trace.
//! - G2. Effects hold no row that is there already, bit for bit.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;

use tapestore_format::limits::{PART_COLUMNS, SERIES, TIME_MAX, TIME_MIN};
use tapestore_format::rows::{ColumnValues, Mark, MarkKind, RowSet, RunVec};
use tapestore_format::schema::{Column, KeyPolicy, Schema};
use tapestore_format::segment::System;
use tapestore_format::wal::{CommitKind, Effect, TransactionRecord};

use crate::batch::empty_union;
use crate::cache::BlockCache;
use crate::compare::{changed_rows, last_of_each_key, not_there, number_rows, slice_end};
use crate::error::{Error, Result};
use crate::gaps::{absences, clip};
use crate::key::SeriesKey;
use crate::overlay::{Plan, RowKey, split_deleted};
use crate::scan::Scan;
use crate::state::{Catalog, Layer, SeriesState, State};
use crate::transaction::{Change, CommitReport, Mode, Transaction, altered, same_schema};

/// What staging needs to know of the store.
pub(crate) struct Stage<'a> {
    pub(crate) head: &'a State,
    pub(crate) catalog: &'a Catalog,
    pub(crate) cache: &'a BlockCache,
    /// Wall clock.
    pub(crate) now: i64,
}

/// One series as the transaction makes it.
struct Work {
    base: Option<Arc<SeriesState>>,
    schema: Option<Arc<Schema>>,
    defined: bool,
    rows: RowSet,
    marks: Vec<Mark>,
}

impl Stage<'_> {
    /// The record of a transaction, or `None` if it changes nothing, and what to report.
    pub(crate) fn run(&self, transaction: Transaction) -> Result<(Option<TransactionRecord>, CommitReport)> {
        let version = self.head.next_version()?;
        let mut report = CommitReport { version: self.head.version, ..CommitReport::default() };
        let mut works: BTreeMap<u32, (SeriesKey, Work)> = BTreeMap::new();
        let mut ids: HashMap<SeriesKey, u32> = HashMap::new();
        let mut next_id = self.head.series.len() as u32;
        let mut effects = Vec::new();
        let mut sources: HashMap<String, u16> = HashMap::new();
        // The store's own tables count for no commit.
        let mut uncounted = CommitReport::default();
        let message = transaction.message.clone();
        for (key, change) in transaction.changes {
            let known = ids.get(&key).copied();
            let id = match known
                .or_else(|| self.catalog.series_id(&key).filter(|id| self.head.series(*id).is_some()))
            {
                Some(id) => id,
                None => {
                    if next_id >= SERIES {
                        return Err(Error::Limit(format!("a store holds at most {SERIES} series")));
                    }
                    let id = next_id;
                    next_id += 1;
                    id
                }
            };
            ids.insert(key.clone(), id);
            let (_, work) = works.entry(id).or_insert_with(|| (key.clone(), self.work(id)));
            let source = match &change {
                Change::Rows { source, .. } => self.source_id(source, &mut sources, &mut effects)?,
                _ => 0,
            };
            let report = if key.is_own() { &mut uncounted } else { &mut report };
            self.change(&key, work, change, source, version, report)?;
        }
        for (key, work) in works.values_mut() {
            self.settle(work, if key.is_own() { &mut uncounted } else { &mut report })?;
        }
        self.push_effects(works, &mut effects);
        report.changed = effects.iter().any(|effect| !matches!(effect, Effect::Source { .. }));
        if !report.changed {
            return Ok((None, report));
        }
        report.version = version;
        let record = TransactionRecord {
            version,
            time: self.now,
            kind: CommitKind::Write,
            message,
            added: report.added,
            updated: report.updated,
            deleted: report.deleted,
            effects,
        };
        Ok((Some(record), report))
    }

    /// The effects on each series. Numbers of new series are settled here: one that was created and dropped again takes
    /// none, and leaves nothing.
    fn push_effects(&self, works: BTreeMap<u32, (SeriesKey, Work)>, effects: &mut Vec<Effect>) {
        let mut new_id = self.head.series.len() as u32;
        for (known, (key, mut work)) in works {
            let existed = work.base.as_ref().is_some_and(|base| base.schema_at(self.head.version).is_some());
            if !existed && work.schema.is_none() {
                continue;
            }
            let id = if work.base.is_some() { known } else { new_id };
            new_id += u32::from(work.base.is_none());
            if work.schema.as_ref().is_some_and(|schema| !schema.dedup().is_empty()) {
                number_rows(&mut work.rows);
            }
            if work.defined {
                effects.push(match &work.schema {
                    Some(schema) => Effect::Define {
                        series: id,
                        instrument: key.instrument().to_owned(),
                        frame: key.frame().to_string(),
                        schema: (**schema).clone(),
                    },
                    None => Effect::Drop { series: id },
                });
            }
            effects.extend(work.marks.into_iter().map(|mark| Effect::Mark { series: id, mark }));
            if !work.rows.is_empty() {
                effects.push(Effect::Rows { series: id, rows: work.rows });
            }
        }
    }

    fn work(&self, id: u32) -> Work {
        let base = self.head.series(id).cloned();
        let schema = base.as_ref().and_then(|series| series.schema_at(self.head.version).cloned());
        Work { base, schema, defined: false, rows: RowSet::default(), marks: Vec::new() }
    }

    fn source_id(
        &self,
        name: &str,
        new: &mut HashMap<String, u16>,
        effects: &mut Vec<Effect>,
    ) -> Result<u16> {
        if let Some(id) = self.catalog.source_id(name).or_else(|| new.get(name).copied()) {
            return Ok(id);
        }
        let id = u16::try_from(self.catalog.source_count() + new.len())
            .map_err(|_| Error::Limit("a store knows at most 65,536 sources".into()))?;
        new.insert(name.to_owned(), id);
        effects.push(Effect::Source { id, name: name.to_owned() });
        Ok(id)
    }

    fn change(
        &self,
        key: &SeriesKey,
        work: &mut Work,
        change: Change,
        source: u16,
        version: u64,
        report: &mut CommitReport,
    ) -> Result<()> {
        match change {
            Change::Create(schema) => return create(key, work, schema),
            Change::AddColumn { name, kind, description } => {
                let schema = existing(key, work)?;
                if let Some(column) = schema.column(&name) {
                    return if column.kind == kind { Ok(()) } else { Err(changed_meanwhile(key)) };
                }
                let mut schema = (*schema).clone();
                let id = next_column(work);
                check_column_ids(key, id, 1)?;
                schema.columns.push(Column { id, name, kind, nullable: true, description });
                work.schema = Some(Arc::new(schema));
                work.defined = true;
            }
            Change::AlterColumn { name, nullable, description } => {
                let mut schema = (*existing(key, work)?).clone();
                if altered(&mut schema, key, &name, nullable, &description)? {
                    work.schema = Some(Arc::new(schema));
                    work.defined = true;
                }
            }
            Change::Drop => {
                existing(key, work)?;
                work.rows = RowSet::default();
                work.marks.push(Mark { kind: MarkKind::Delete, start: TIME_MIN, end: TIME_MAX + 1, version });
                self.withdraw_all(work, version)?;
                work.schema = None;
                work.defined = true;
            }
            Change::Delete(range) => {
                existing(key, work)?;
                let mark = Mark { kind: MarkKind::Delete, start: range.start, end: range.end, version };
                let mut kept = empty_union(&[&work.rows]);
                for rows in split_deleted(&work.rows.time, &[mark]).0 {
                    kept.extend_from(&work.rows, rows);
                }
                work.rows = kept;
                work.marks.push(mark);
            }
            Change::Unchanged(since) => return unchanged(key, work, since),
            Change::Absent(range) => self.absence(key, work, MarkKind::Absent, &range, version)?,
            Change::Expected(range) => self.absence(key, work, MarkKind::Expected, &range, version)?,
            Change::Rows { mode, rows, schema, .. } => {
                let rows = prepare(key, work, rows, &schema, source, version)?;
                self.rows(key, work, rows, mode, report)?;
            }
        }
        Ok(())
    }

    fn withdraw_all(&self, work: &mut Work, version: u64) -> Result<()> {
        work.marks.retain(|mark| mark.kind == MarkKind::Delete);
        let Some(base) = &work.base else { return Ok(()) };
        for range in absences(base, self.head.version)? {
            let mark = Mark { kind: MarkKind::Expected, start: range.start, end: range.end, version };
            work.marks.push(mark);
        }
        Ok(())
    }

    fn absence(
        &self,
        key: &SeriesKey,
        work: &mut Work,
        kind: MarkKind,
        range: &Range<i64>,
        version: u64,
    ) -> Result<()> {
        existing(key, work)?;
        let known = match &work.base {
            Some(base) => absences(base, self.head.version)?,
            None => Vec::new(),
        };
        let inside: i128 =
            clip(&known, range).map(|piece| i128::from(piece.end) - i128::from(piece.start)).sum();
        let own = work.marks.iter().any(|mark| mark.kind != MarkKind::Delete);
        let length = i128::from(range.end) - i128::from(range.start);
        let changes_nothing = if kind == MarkKind::Absent { inside == length } else { inside == 0 };
        if own || !changes_nothing {
            work.marks.push(Mark { kind, start: range.start, end: range.end, version });
        }
        Ok(())
    }

    fn rows(
        &self,
        key: &SeriesKey,
        work: &mut Work,
        rows: RowSet,
        mode: Mode,
        report: &mut CommitReport,
    ) -> Result<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let row_key = RowKey::from(&**work.schema.as_ref().expect("checked by prepare"));
        if row_key == RowKey::Distinct {
            let rows = if mode == Mode::Merge { self.missing(work, &rows, report)? } else { rows };
            lay_over(work, rows, &row_key);
            return Ok(());
        }
        if mode == Mode::Append && row_key == RowKey::Time {
            self.check_append(key, work, &rows)?;
        }
        let (rows, duplicates) = last_of_each_key(rows, &row_key);
        report.duplicates += duplicates + lay_over(work, rows, &row_key);
        Ok(())
    }

    /// An append to a unique series begins behind the series' last row.
    fn check_append(&self, key: &SeriesKey, work: &Work, rows: &RowSet) -> Result<()> {
        let first = rows.time[0];
        let staged = work.rows.time.last().copied();
        let mut last = staged;
        if work.base.as_ref().and_then(|base| base.last_time()).is_some_and(|bound| bound >= first) {
            let there = self.existing_rows(work, &(first..TIME_MAX + 1))?;
            last = last.max(there.time.last().copied());
        }
        match last.filter(|last| *last >= first) {
            Some(last) => {
                let reason =
                    format!("time {first} is not after the series' last row at {last}; upsert instead");
                Err(Error::rejected(key, Some(0), reason))
            }
            None => Ok(()),
        }
    }

    /// The rows of a plain sequence that the series and the transaction do not have as often at their time.
    fn missing(&self, work: &Work, rows: &RowSet, report: &mut CommitReport) -> Result<RowSet> {
        let mut out = empty_union(&[rows]);
        let mut start = 0;
        while start < rows.len() {
            let end = slice_end(&rows.time, start);
            let range = rows.time[start]..rows.time[end - 1] + 1;
            let beneath = self.existing_rows(work, &range)?;
            let own = work.rows.rows_between(range.start, range.end);
            let mut there = empty_union(&[rows]);
            there.extend_from(&beneath, 0..beneath.len());
            there.extend_from(&work.rows, own);
            for kept in not_there(rows, start..end, &there) {
                out.extend_from(rows, kept);
            }
            start = end;
        }
        report.unchanged += (rows.len() - out.len()) as u64;
        Ok(out)
    }

    /// The rows of the base that the transaction has not deleted, with every column of the schema.
    fn existing_rows(&self, work: &Work, range: &Range<i64>) -> Result<RowSet> {
        let Some(base) = &work.base else { return Ok(RowSet::default()) };
        let columns = match base.schema_at(self.head.version) {
            Some(schema) => schema.columns.iter().map(|column| (column.id, column.kind)).collect(),
            None => return Ok(RowSet::default()),
        };
        let scan = Scan {
            cache: self.cache,
            series: base,
            version: self.head.version,
            columns,
            system: System::ALL,
        };
        let rows = scan.collect(range)?;
        if work.marks.iter().all(|mark| mark.kind != MarkKind::Delete) {
            return Ok(rows);
        }
        let mut kept = empty_union(&[&rows]);
        for range in split_deleted(&rows.time, &work.marks).0 {
            kept.extend_from(&rows, range);
        }
        Ok(kept)
    }

    /// Counts deletions, drops rows that are there already (G2) and marks that mark nothing.
    fn settle(&self, work: &mut Work, report: &mut CommitReport) -> Result<()> {
        self.count_deleted(work, report)?;
        if work.rows.is_empty() {
            return Ok(());
        }
        let schema = work.schema.clone().expect("rows are staged for existing series only");
        let row_key = RowKey::from(&*schema);
        let bound = work.base.as_ref().and_then(|base| base.last_time());
        if row_key == RowKey::Distinct || bound.is_none_or(|bound| bound < work.rows.time[0]) {
            report.added += work.rows.len() as u64;
            return Ok(());
        }
        let mut kept: Vec<Range<usize>> = Vec::new();
        let (mut start, mut updated) = (0, 0);
        while start < work.rows.len() {
            let end = slice_end(&work.rows.time, start);
            let range = work.rows.time[start]..work.rows.time[end - 1] + 1;
            let there = self.existing_rows(work, &range)?;
            updated += changed_rows(&work.rows, start..end, &there, &row_key, &mut kept);
            start = end;
        }
        let count: usize = kept.iter().map(Range::len).sum();
        report.unchanged += (work.rows.len() - count) as u64;
        report.updated += updated;
        report.added += count as u64 - updated;
        if count < work.rows.len() {
            let mut rows = empty_union(&[&work.rows]);
            for range in kept {
                rows.extend_from(&work.rows, range);
            }
            work.rows = rows;
        }
        Ok(())
    }

    fn count_deleted(&self, work: &mut Work, report: &mut CommitReport) -> Result<()> {
        let Some(base) = &work.base else {
            work.marks.retain(|mark| mark.kind != MarkKind::Delete);
            return Ok(());
        };
        let scan = Scan {
            cache: self.cache,
            series: base,
            version: self.head.version,
            columns: Vec::new(),
            system: System::TIME,
        };
        let mut deletes: Vec<Range<i64>> = work
            .marks
            .iter()
            .filter(|mark| mark.kind == MarkKind::Delete)
            .map(|mark| mark.start..mark.end)
            .collect();
        deletes.sort_by_key(|range| range.start);
        let (mut position, mut total) = (i64::MIN, 0);
        for range in deletes {
            let rest = range.start.max(position)..range.end;
            if !rest.is_empty() {
                total += scan.count(&rest)?;
                position = rest.end;
            }
        }
        if total == 0 {
            work.marks.retain(|mark| mark.kind != MarkKind::Delete);
        }
        report.deleted += total;
        Ok(())
    }
}

/// All columns that a series ever had fit one part, beside the ordinal; a series that was altered that often must be
/// made anew under another name.
fn check_column_ids(key: &SeriesKey, first: u16, count: usize) -> Result<()> {
    if usize::from(first) + count >= PART_COLUMNS {
        return Err(Error::Limit(format!(
            "{key}: its column numbers are used up; create it under another name"
        )));
    }
    Ok(())
}

/// What [`Transaction::expect_unchanged`] asks for.
fn unchanged(key: &SeriesKey, work: &Work, since: u64) -> Result<()> {
    let Some(base) = &work.base else { return Ok(()) };
    let defined = base.definitions.last().map_or(0, |definition| definition.0);
    let newest = base.layers.iter().map(Layer::high).fold(defined, u64::max);
    if newest <= since {
        return Ok(());
    }
    Err(Error::rejected(key, None, format!("version {newest} changed it, after version {since}; look again")))
}

fn existing(key: &SeriesKey, work: &Work) -> Result<Arc<Schema>> {
    work.schema
        .clone()
        .ok_or_else(|| Error::NotFound(format!("there is no series {key}; it was dropped meanwhile")))
}

fn changed_meanwhile(key: &SeriesKey) -> Error {
    Error::rejected(key, None, "its schema was changed by another commit meanwhile; stage the rows again")
}

fn next_column(work: &Work) -> u16 {
    let before = work.base.as_ref().map_or(0, |base| base.next_column());
    let own = work.schema.iter().flat_map(|schema| &schema.columns).map(|column| column.id + 1).max();
    before.max(own.unwrap_or(0))
}

fn create(key: &SeriesKey, work: &mut Work, mut schema: Schema) -> Result<()> {
    if let Some(known) = &work.schema {
        return if same_schema(known, &schema) { Ok(()) } else { Err(changed_meanwhile(key)) };
    }
    if work.base.is_some() {
        // The id was used before: rows of the former series must not be taken for values of the new columns.
        let first = next_column(work);
        check_column_ids(key, first, schema.columns.len())?;
        let mut renumbered = HashMap::new();
        for (column, id) in schema.columns.iter_mut().zip(first..) {
            renumbered.insert(column.id, id);
            column.id = id;
        }
        if let KeyPolicy::Sequence { dedup } = &mut schema.key {
            dedup.iter_mut().for_each(|id| *id = renumbered[id]);
        }
    }
    work.schema = Some(Arc::new(schema));
    work.defined = true;
    Ok(())
}

/// Gives rows the ids of the series' columns, their version and their source.
fn prepare(
    key: &SeriesKey,
    work: &Work,
    mut rows: RowSet,
    given: &Schema,
    source: u16,
    version: u64,
) -> Result<RowSet> {
    let schema = existing(key, work)?;
    let count = rows.len();
    let mut given_columns = rows.columns;
    rows.columns = Vec::with_capacity(schema.columns.len());
    for column in &schema.columns {
        let known = given.column(&column.name).filter(|known| known.kind == column.kind);
        let position = known.and_then(|known| given_columns.iter().position(|(id, _)| *id == known.id));
        let values = match position {
            Some(position) => given_columns.swap_remove(position).1,
            None if column.nullable => {
                let mut nulls = ColumnValues::empty(column.kind);
                nulls.push_nulls(count);
                nulls
            }
            None => return Err(changed_meanwhile(key)),
        };
        rows.columns.push((column.id, values));
    }
    if !given_columns.is_empty() {
        return Err(changed_meanwhile(key));
    }
    rows.version = RunVec::constant(version, count);
    rows.source = RunVec::constant(source, count);
    Ok(rows)
}

/// Lays rows over the ones staged so far; returns how many of those they replace.
fn lay_over(work: &mut Work, rows: RowSet, key: &RowKey) -> u64 {
    if work.rows.is_empty() {
        work.rows = rows;
        return 0;
    }
    let plan = Plan::new(&work.rows, &rows, &[], key);
    work.rows = plan.apply(&work.rows, &rows);
    plan.dropped.iter().map(|range| range.len() as u64).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_columns_of_a_series_and_the_ordinal_fit_a_part() {
        let key = SeriesKey::new("A", "x").unwrap();
        let most = PART_COLUMNS - 1;
        assert!(check_column_ids(&key, 0, most).is_ok());
        assert!(check_column_ids(&key, most as u16, 0).is_ok());
        for (first, count) in [(0, most + 1), (most as u16, 1), (1, most), (2, most - 1)] {
            let error = check_column_ids(&key, first, count).unwrap_err();
            assert!(error.to_string().contains("column numbers are used up"), "{error}");
        }
    }
}
