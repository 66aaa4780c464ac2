//! Derived series: bars of a coarser timeframe that are stored, know from which version of their source they were made,
//! and are brought up to date by what changed since.
//!
//! What a series was made of stands in the table `tapestore derived` of the store, one row per series, written in the
//! same transaction as its bars: a rollback takes both back.
//!
//! # Invariants
//! - D1. After an update the series holds, bit for bit, what resampling all of the source at that version gives.
//! - D2. Only bars that may differ are made anew, and only those that do differ are written.

use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tapestore::schema::SchemaBuilder;
use tapestore::time::Timeframe;
use tapestore::{
    Batch, ColumnType, CommitReport, Error, OWN_INSTRUMENT, Operation, Result, Rows, Schema, SeriesKey,
    Store, Strings, Transaction, Values, View,
};

use crate::bucket::{Rule, bar_around};
use crate::resample::{Resample, Resampler, resample};
use crate::session::Sessions;

const TEXTS: [&str; 5] = ["instrument", "frame", "source_instrument", "source_frame", "rule"];

/// What a derived series is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation {
    /// The derived series.
    pub target: SeriesKey,
    /// What it is made of.
    pub source: SeriesKey,
    /// How, in words that are equal only if the bars are.
    pub rule: String,
    /// The version of the store whose rows of the source it is made of.
    pub source_version: u64,
}

/// What an update did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeriveReport {
    /// What was committed.
    pub commit: CommitReport,
    /// The version of the source that the series now stands for.
    pub source_version: u64,
    /// The ranges of time whose bars were made anew; nothing if the source did not change.
    pub remade: Vec<Range<i64>>,
    /// Open time of the last bar of the source that is not finished, and so not stored yet.
    pub unfinished: Option<i64>,
}

impl DeriveReport {
    /// Bars that were written, new ones and changed ones.
    pub fn bars_written(&self) -> u64 {
        self.commit.added + self.commit.updated
    }
}

fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

fn table() -> Result<SeriesKey> {
    SeriesKey::new(OWN_INSTRUMENT, "derived")
}

fn table_schema() -> Result<Schema> {
    let builder = TEXTS.iter().fold(SchemaBuilder::sequence(), |b, name| b.column(name, ColumnType::String));
    builder.column("source_version", ColumnType::I64).dedup(&["instrument", "frame"]).build()
}

/// Every derived series.
///
/// # Errors
/// Damage.
pub fn derivations(view: &View) -> Result<Vec<Derivation>> {
    let rows = match view.read(&table()?).rows() {
        Err(Error::NotFound(_)) => return Ok(Vec::new()),
        rows => rows?,
    };
    let texts = TEXTS.map(|name| match rows.column(name).map(|column| &column.values) {
        Some(Values::Str(texts)) => Some(texts),
        _ => None,
    });
    let ([Some(instrument), Some(frame), Some(from), Some(from_frame), Some(rule)], Some(versions)) =
        (texts, rows.i64("source_version"))
    else {
        return Err(Error::Usage(format!("{} is not the table of derived series", table()?)));
    };
    (0..rows.len())
        .map(|row| {
            Ok(Derivation {
                target: SeriesKey::new(instrument.get(row), frame.get(row))?,
                source: SeriesKey::new(from.get(row), from_frame.get(row))?,
                rule: rule.get(row).to_owned(),
                source_version: versions[row] as u64,
            })
        })
        .collect()
}

/// Brings a derived series up to date: creates it, or makes the bars anew whose source changed since the last time.
/// An unfinished last bar is left out until it is finished.
///
/// # Errors
/// [`Error::NotFound`] without the source; [`Error::Usage`] if the series exists and was not derived from it, or the
/// bars cannot be made of it.
pub fn derive(
    store: &Store,
    source: &SeriesKey,
    timeframe: Timeframe,
    sessions: Option<Arc<Sessions>>,
) -> Result<DeriveReport> {
    let operation = Operation::begin(now_ns(), "derive", "");
    let view = store.view();
    let target = SeriesKey::new(source.instrument(), timeframe.name())?;
    let rule = rule_text(timeframe, sessions.as_deref());
    let how = Resample { sessions, ..Resample::to(timeframe) };
    let made = Resampler::new(source.frame(), &*view.schema(source)?, how.rule, how.sessions.clone())?;
    let schema = made.schema();
    let known = derivations(&view)?.into_iter().find(|known| known.target == target);
    let exists = view.schema(&target).ok();
    check(&target, source, known.as_ref(), exists.as_deref(), &schema)?;

    let since =
        known.filter(|known| known.rule == rule && exists.is_some()).map(|known| known.source_version);
    let changes = since.map(|since| view.changes_since(source, since, 0)).transpose()?.flatten();
    let remade = match changes {
        Some(changes) if changes.is_empty() => Vec::new(),
        Some(changes) => affected(&view, source, &target, &how, changes)?,
        None => vec![i64::MIN..i64::MAX],
    };
    let mut report = DeriveReport {
        commit: CommitReport { version: view.version(), ..CommitReport::default() },
        source_version: since.unwrap_or(view.version()),
        remade,
        unfinished: None,
    };
    if report.remade.is_empty() {
        return Ok(report);
    }
    let mut transaction = store.begin();
    transaction.source(&format!("resample of {source}"));
    transaction.message(&format!("{target} from version {} of {source}", view.version()));
    transaction.create_series(&target, schema)?;
    for range in &report.remade {
        let part = resample(&view, source, range.clone(), &how)?;
        report.unfinished = part.unfinished.or(report.unfinished);
        let old = if exists.is_some() { Some(view.read(&target).range(range.clone()).rows()?) } else { None };
        replace(&mut transaction, &target, old.as_ref(), part.rows)?;
    }
    let operation = Operation { target: target.to_string(), ..operation };
    let detail = format!("from version {} of {source}", view.version());
    transaction.note(&operation.done(now_ns(), &detail))?;
    note(
        &mut transaction,
        &Derivation { target, source: source.clone(), rule, source_version: view.version() },
    )?;
    report.source_version = view.version();
    report.commit = transaction.commit()?;
    Ok(report)
}

fn check(
    target: &SeriesKey,
    source: &SeriesKey,
    known: Option<&Derivation>,
    exists: Option<&Schema>,
    schema: &Schema,
) -> Result<()> {
    if let Some(other) = known.map(|known| &known.source).filter(|other| *other != source) {
        return Err(Error::Usage(format!("{target} is derived from {other}, not from {source}")));
    }
    let Some(exists) = exists else { return Ok(()) };
    if known.is_none() {
        return Err(Error::Usage(format!("{target} exists and is no derived series; it is left as it is")));
    }
    let names = |schema: &Schema| schema.columns.iter().map(|c| (c.name.clone(), c.kind)).collect::<Vec<_>>();
    if names(exists) == names(schema) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "{source} has other columns than when {target} was made of it; drop {target} first"
    )))
}

fn rule_text(timeframe: Timeframe, sessions: Option<&Sessions>) -> String {
    let Some(sessions) = sessions else { return timeframe.name().to_owned() };
    // FNV-1a: other sessions are other bars.
    let numbers = sessions.all().iter().flat_map(|s| [s.open.start, s.open.end, s.day_ns]);
    let hash = numbers.flat_map(i64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{timeframe} in {} sessions {hash:016x}", sessions.all().len())
}

/// The ranges of whole bars that changes touch. From the first bar that may have been or may now be the unfinished one,
/// everything: whether a bar is finished depends on rows behind it.
fn affected(
    view: &View,
    source: &SeriesKey,
    target: &SeriesKey,
    how: &Resample,
    changes: Vec<Range<i64>>,
) -> Result<Vec<Range<i64>>> {
    let Rule::Time(timeframe) = how.rule else { return Ok(vec![i64::MIN..i64::MAX]) };
    let bar = |time: i64| bar_around(timeframe, how.sessions.as_deref(), time);
    let stored = view.latest(target)?.map(|row| row.time()[0]);
    let last = view.read(source).columns(&[]).last(1)?.time().first().copied();
    let start = |time: i64| bar(time).map_or(time, |(label, rows)| rows.start.min(label));
    // Without a stored bar, or without rows, everything is little.
    let tail = match (stored, last) {
        (Some(stored), Some(last)) => start(last).min(stored),
        _ => return Ok(vec![i64::MIN..i64::MAX]),
    };
    let mut out: Vec<Range<i64>> = Vec::new();
    for change in changes {
        if change.start >= tail {
            break;
        }
        let end = bar(change.end - 1).map_or(change.end, |(label, rows)| rows.end.max(label + 1));
        let whole = start(change.start)..end;
        match out.last_mut() {
            Some(before) if whole.start <= before.end => before.end = before.end.max(whole.end),
            _ => out.push(whole),
        }
    }
    let mut from = tail;
    while let Some(before) = out.pop_if(|before| before.end >= tail) {
        from = from.min(before.start);
    }
    out.push(from..i64::MAX);
    Ok(out)
}

/// Writes the new bars and deletes old ones that are not among them.
fn replace(transaction: &mut Transaction, target: &SeriesKey, old: Option<&Rows>, new: Rows) -> Result<()> {
    let stale = |time: &&i64| new.time().binary_search(time).is_err();
    for time in old.map(Rows::time).unwrap_or_default().iter().filter(stale) {
        transaction.delete_range(target, *time..time + 1)?;
    }
    if new.is_empty() {
        return Ok(());
    }
    let batch = Batch::new(new.set.time).with_flags(new.set.flags);
    let columns = new.columns.iter().zip(new.set.columns);
    let batch = columns.fold(batch, |batch, (column, (_, values))| batch.with(&column.name, values));
    transaction.upsert(target, batch)
}

fn note(transaction: &mut Transaction, made: &Derivation) -> Result<()> {
    let table = table()?;
    transaction.create_series(&table, table_schema()?)?;
    let texts = [
        made.target.instrument().to_owned(),
        made.target.frame().to_string(),
        made.source.instrument().to_owned(),
        made.source.frame().to_string(),
        made.rule.clone(),
    ];
    let batch = TEXTS.iter().zip(texts).fold(Batch::new(vec![0]), |batch, (name, text)| {
        batch.with(name, Values::Str([text].iter().collect::<Strings>()))
    });
    let version = i64::try_from(made.source_version).unwrap_or(i64::MAX);
    transaction.upsert(&table, batch.with("source_version", Values::I64(vec![version])))
}
