//! Factors that are kept: series of the store that know what they were made of, and are brought up to date by what changed.
//!
//! The factors of `0700.HK 1m` in bars of five minutes are the series `0700.HK factors/ta@5m`, a column a factor. What it
//! was made of stands in the table `tapestore factors`, one row a series, written in the same transaction: a rollback
//! takes both back. The key of a kept result is its source, the version of its source, and its [`definition`].
//!
//! # Invariants
//! - K1. After [`keep`] the series holds what computing all of the source at that version gives, to the bit.
//! - K2. Whether the source changed is told by versions, never by looking at some of its rows.
//! - K3. Only rows that depend on what changed are computed into the store: to the end of its run for recursive factors,
//!   as many bars as the longest window for others; and of those, only rows that differ are written.

use std::ops::Range;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tapestore::schema::SchemaBuilder;
use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Batch, ColumnType, ColumnValues, Schema, SeriesKey, Store, Transaction, Values, View};

use crate::error::Result;
use crate::frame::{BarFrame, Setup, frames, in_parallel};
use crate::gaps::GapPolicy;
use crate::ledger::{Entry, entries, note};
use crate::pack::{Pack, hash};

/// Of the code that computes: raised whenever a factor of the same name gives other values.
pub const CODE: u32 = 1;

/// What became of one series.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The series of factors.
    pub target: SeriesKey,
    /// What was done.
    pub outcome: Outcome,
    /// Rows that it has now.
    pub rows: u64,
    /// Rows that were computed anew.
    pub computed: u64,
    /// Rows that were written because they are new or differ.
    pub written: u64,
    /// Rows deleted.
    pub deleted: u64,
    /// The version of the store whose bars it stands for.
    pub source_version: u64,
}

/// Whether what was kept could be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was up to date: nothing was computed.
    Hit,
    /// The source had changed: what depends on that was computed.
    Updated,
    /// There was nothing, or something of another definition: all was computed.
    Made,
}

impl Outcome {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Updated => "updated",
            Self::Made => "made",
        }
    }
}

/// In words that are equal only if the values are: version of the code, policy of gaps, sessions, where bars are confirmed
/// to be absent if that bridges gaps, and the factors.
pub fn definition(setup: &Setup, pack: &Pack, absences: &[Range<i64>]) -> String {
    let hash = |numbers: &mut dyn Iterator<Item = i64>| hash(numbers.flat_map(i64::to_le_bytes));
    let sessions = setup.sessions.as_ref().map_or_else(
        || "always".to_owned(),
        |sessions| {
            let mut numbers = sessions.all().iter().flat_map(|s| [s.open.start, s.open.end, s.day_ns]);
            format!("{} sessions {:016x}", sessions.all().len(), hash(&mut numbers))
        },
    );
    let absent = if matches!(setup.gaps, GapPolicy::Bridge | GapPolicy::Fills) && !absences.is_empty() {
        let mut numbers = absences.iter().flat_map(|range| [range.start, range.end]);
        format!("; {} absences {:016x}", absences.len(), hash(&mut numbers))
    } else {
        String::new()
    };
    format!("code {CODE}; gaps {}; {sessions}{absent}; {}", setup.gaps.name(), pack.definition())
}

pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// What has to be done for one timeframe.
struct Task {
    timeframe: Timeframe,
    target: SeriesKey,
    known: Option<Entry>,
    /// What changed in the source; `None`: everything is made anew.
    changes: Option<Vec<Range<i64>>>,
}

impl Task {
    fn is_hit(&self) -> bool {
        self.changes.as_ref().is_some_and(Vec::is_empty)
    }
}

/// Brings the kept factors of a source up to date, in every timeframe of the setup. One transaction a timeframe. What is
/// computed is the pack; the selection of the setup is not looked at.
///
/// # Errors
/// As [`frames`]; what the store says. What was committed before stays.
pub fn keep(
    store: &Store,
    source: &SeriesKey,
    setup: &Setup,
    pack: &Pack,
    threads: usize,
) -> Result<Vec<Kept>> {
    let view = store.view();
    let known = entries(&view)?;
    let definition = definition(setup, pack, &view.absences(source)?);
    let tasks: Vec<Task> = setup
        .timeframes
        .iter()
        .map(|timeframe| plan(&view, source, pack.key(source, *timeframe)?, *timeframe, &definition, &known))
        .collect::<Result<_>>()?;
    let stale: Vec<usize> = (0..tasks.len()).filter(|number| !tasks[*number].is_hit()).collect();
    let wanted =
        Setup { timeframes: stale.iter().map(|number| tasks[*number].timeframe).collect(), ..setup.clone() };
    let start = Instant::now();
    let made = if stale.is_empty() {
        Vec::new()
    } else {
        frames(&view, source, i64::MIN..i64::MAX, &wanted, threads)?
    };
    let loading = start.elapsed() / u32::try_from(stale.len().max(1)).unwrap_or(1);
    let mut out: Vec<Option<Kept>> = tasks.iter().map(|_| None).collect();
    for batch in stale.iter().zip(&made).collect::<Vec<_>>().chunks(threads.max(1)) {
        let computed = in_parallel(batch.len(), threads, |number| {
            let (task, frame) = (&tasks[*batch[number].0], batch[number].1);
            compute_parts(&view, task, frame, pack)
        });
        for ((number, frame), computed) in batch.iter().zip(computed) {
            let write = Write { store, view: &view, source, pack, definition: &definition, loading };
            out[**number] = Some(write.run(&tasks[**number], frame, computed?)?);
        }
    }
    let hits: Vec<&Task> = tasks.iter().filter(|task| task.is_hit()).collect();
    note_hits(store, &view, &hits)?;
    let unchanged = |task: &Task| Kept {
        target: task.target.clone(),
        outcome: Outcome::Hit,
        rows: task.known.as_ref().map_or(0, |entry| entry.rows),
        computed: 0,
        written: 0,
        deleted: 0,
        source_version: view.version(),
    };
    Ok(tasks.iter().zip(out).map(|(task, kept)| kept.unwrap_or_else(|| unchanged(task))).collect())
}

fn plan(
    view: &View,
    source: &SeriesKey,
    target: SeriesKey,
    timeframe: Timeframe,
    definition: &str,
    known: &[Entry],
) -> Result<Task> {
    let known = known.iter().find(|entry| entry.target == target).cloned();
    let usable = known.as_ref().filter(|entry| entry.definition == definition && entry.source == *source);
    let usable = usable.filter(|_| view.schema(&target).is_ok());
    // K2.
    let changes = match usable {
        Some(entry) => view.changes_since(source, entry.source_version, 0)?,
        None => None,
    };
    Ok(Task { timeframe, target, known, changes })
}

/// Rows of a frame that have to be written, with all of its factors, and what that took.
struct Computed {
    rows: Vec<Range<usize>>,
    columns: Vec<Vec<f64>>,
    took: Duration,
}

fn compute_parts(view: &View, task: &Task, frame: &BarFrame, pack: &Pack) -> Result<Computed> {
    let start = Instant::now();
    let rows = match &task.changes {
        None => vec![0..frame.time.len()],
        Some(changes) => {
            let last = view.latest(&task.target)?.map_or(i64::MIN, |row| row.time()[0]);
            affected(frame, changes, last, pack.reach())
        }
    };
    let touches = |run: &&Range<usize>| rows.iter().any(|rows| rows.start < run.end && run.start < rows.end);
    let runs: Vec<Range<usize>> = frame.runs.iter().filter(touches).cloned().collect();
    let columns = pack.compute(&frame.bars(), &runs);
    Ok(Computed { rows, columns, took: start.elapsed() })
}

/// The rows that may differ when the source changed in some ranges of time (K3), and those that are new.
fn affected(frame: &BarFrame, changes: &[Range<i64>], last: i64, reach: Option<usize>) -> Vec<Range<usize>> {
    let time = &frame.time;
    let new = time.partition_point(|time| *time <= last);
    let mut out: Vec<Range<usize>> = Vec::new();
    let mut add = |rows: Range<usize>| match out.last_mut() {
        Some(before) if rows.start <= before.end => before.end = before.end.max(rows.end),
        _ if rows.is_empty() => {}
        _ => out.push(rows),
    };
    for change in changes {
        let mut first = time.partition_point(|time| *time < change.start);
        let holds = |before: i64| match frame.timeframe.step_ns() {
            Some(step) if step < DAY_NS => change.start < before + step,
            // Bars of days may begin long before their sessions end.
            _ => true,
        };
        if first > 0 && time.get(first) != Some(&change.start) && holds(time[first - 1]) {
            first -= 1;
        }
        // The row after the change may have lost what stood before it.
        let after = time.partition_point(|time| *time < change.end);
        for run in frame.runs.iter().filter(|run| run.end > first && run.start <= after) {
            let last = reach.map_or(run.end, |reach| run.end.min(after.max(first + 1) + reach - 1));
            add(run.start.max(first)..last);
        }
    }
    add(new..time.len());
    out
}

struct Write<'a> {
    store: &'a Store,
    view: &'a View,
    source: &'a SeriesKey,
    pack: &'a Pack,
    definition: &'a str,
    loading: Duration,
}

impl Write<'_> {
    fn run(&self, task: &Task, frame: &BarFrame, computed: Computed) -> Result<Kept> {
        let Computed { rows, columns, took } = computed;
        let took = took + self.loading;
        let schema = schema_of(self.pack)?;
        let mut transaction = self.store.begin();
        transaction.source(&format!("factors of {}", self.source));
        transaction.message(&format!(
            "{} from version {} of {}",
            task.target,
            self.view.version(),
            self.source
        ));
        transaction.expect_unchanged(&task.target, self.view.version());
        self.prepare(&mut transaction, task, &schema)?;
        if task.changes.is_some() {
            self.delete_stale(&mut transaction, task, frame)?;
        }
        let mut count = 0;
        for rows in &rows {
            count += rows.len() as u64;
            if !rows.is_empty() {
                transaction.upsert(&task.target, batch(frame, &columns, self.pack, rows))?;
            }
        }
        let mut entry = task.known.clone().unwrap_or_else(|| Entry::new(&task.target, self.source));
        entry.source = self.source.clone();
        self.definition.clone_into(&mut entry.definition);
        entry.source_version = self.view.version();
        entry.rows = frame.time.len() as u64;
        entry.bytes = entry.rows * 8 * (1 + columns.len() as u64);
        entry.took_ns = if task.changes.is_none() { took.as_nanos() as i64 } else { entry.took_ns };
        entry.misses += 1;
        entry.used_ns = now_ns();
        note(&mut transaction, self.view, &[entry])?;
        let report = transaction.commit()?;
        Ok(Kept {
            target: task.target.clone(),
            outcome: if task.changes.is_none() { Outcome::Made } else { Outcome::Updated },
            rows: frame.time.len() as u64,
            computed: count,
            written: report.added + report.updated,
            deleted: report.deleted,
            source_version: self.view.version(),
        })
    }

    /// A series of exactly this schema; empty if everything is made anew.
    fn prepare(&self, transaction: &mut Transaction, task: &Task, schema: &Schema) -> Result<()> {
        if task.changes.is_none() && self.view.schema(&task.target).is_ok() {
            transaction.drop_series(&task.target)?;
        }
        Ok(transaction.create_series(&task.target, schema.clone())?)
    }

    /// Deletes rows whose bars are gone.
    fn delete_stale(&self, transaction: &mut Transaction, task: &Task, frame: &BarFrame) -> Result<()> {
        let old = self.view.read(&task.target).columns(&[]).rows()?;
        for time in old.time().iter().filter(|time| frame.time.binary_search(time).is_err()) {
            transaction.delete_range(&task.target, *time..time + 1)?;
        }
        Ok(())
    }
}

fn schema_of(pack: &Pack) -> Result<Schema> {
    let builder = pack.columns().into_iter().fold(SchemaBuilder::unique(), |builder, (name, meaning)| {
        builder.nullable(name, ColumnType::F64).describe(meaning)
    });
    Ok(builder.build()?)
}

/// Rows as they are stored: null where there is no value.
fn batch(frame: &BarFrame, columns: &[Vec<f64>], pack: &Pack, rows: &Range<usize>) -> Batch {
    let batch = Batch::new(frame.time[rows.clone()].to_vec());
    pack.columns().into_iter().zip(columns).fold(batch, |batch, ((name, _), column)| {
        let values = column[rows.clone()].to_vec();
        let nulls: Vec<bool> = values.iter().map(|value| value.is_nan()).collect();
        let nulls = nulls.contains(&true).then_some(nulls);
        batch.with(name, ColumnValues { values: Values::F64(values), nulls })
    })
}

fn note_hits(store: &Store, view: &View, hits: &[&Task]) -> Result<()> {
    if hits.is_empty() {
        return Ok(());
    }
    let used = |entry: &Entry| Entry {
        hits: entry.hits + 1,
        saved_ns: entry.saved_ns + entry.took_ns,
        used_ns: now_ns(),
        // Nothing changed since: what comes next need not look at the versions between.
        source_version: view.version(),
        ..entry.clone()
    };
    let entries: Vec<Entry> = hits.iter().filter_map(|task| task.known.as_ref()).map(used).collect();
    let mut transaction = store.begin();
    transaction.source("factors").message("kept factors were used");
    note(&mut transaction, view, &entries)?;
    transaction.commit()?;
    Ok(())
}

/// Drops kept factors, those used longest ago first, until those that stay take at most `budget_bytes` (eight bytes a
/// value). Older versions of the store keep what was dropped until they are pruned.
///
/// # Errors
/// What the store says.
pub fn evict(store: &Store, budget_bytes: u64) -> Result<Vec<SeriesKey>> {
    let view = store.view();
    let mut known: Vec<Entry> = entries(&view)?.into_iter().filter(|entry| entry.bytes > 0).collect();
    known.sort_by_key(|entry| std::cmp::Reverse(entry.used_ns));
    let mut total = 0;
    let (mut dropped, mut transaction) = (Vec::new(), store.begin());
    for entry in known {
        total += entry.bytes;
        if total <= budget_bytes {
            continue;
        }
        total -= entry.bytes;
        if view.schema(&entry.target).is_ok() {
            transaction.drop_series(&entry.target)?;
        }
        dropped.push(entry);
    }
    if dropped.is_empty() {
        return Ok(Vec::new());
    }
    let keys = dropped.iter().map(|entry| entry.target.clone()).collect();
    // The row stays, for the counts of hits and misses; without a definition nothing can be taken for it.
    let emptied = |entry: Entry| Entry { bytes: 0, rows: 0, definition: String::new(), ..entry };
    let entries: Vec<Entry> = dropped.into_iter().map(emptied).collect();
    transaction.source("factors").message("kept factors beyond the budget");
    note(&mut transaction, &view, &entries)?;
    transaction.commit()?;
    Ok(keys)
}
