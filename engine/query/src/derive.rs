//! Derived series: bars (by time, ticks, volume or amount) that are stored, know from which version of their source they
//! were made, and are brought up to date by what changed since.
//!
//! What a series was made of stands in the table `tapestore derived` of the store, one row per series, written in the
//! same transaction as its bars: a rollback takes both back.
//!
//! # Invariants
//! - D1. After an update the series holds, bit for bit, what resampling all of the source at that version gives: from
//!   [`Derivation::kept_before_ns`] on, where retention deleted the source before ([`mod@crate::retain`]).
//! - D2. Only bars that may differ are made anew, and only those that do differ are written.
//! - D3. What an update read of the table, nobody changed before it is committed.

use std::ops::Range;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use tapestore::schema::SchemaBuilder;
use tapestore::{
    Batch, ColumnType, ColumnValues, CommitReport, Error, OWN_INSTRUMENT, Operation, Result, Rows, Schema,
    SeriesKey, Store, Strings, Transaction, Values, View,
};

use crate::bucket::{Rule, bar_around};
use crate::resample::{Resample, Resampler, resample};
use crate::session::Sessions;

const KEPT_BEFORE: &str = "kept_before";
/// How often an update is tried if others write the same series or table meanwhile.
const TRIES: u32 = 5;
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
    /// Bars that open before this stay as they are: what they were made of was deleted.
    pub kept_before_ns: Option<i64>,
}

impl Derivation {
    /// Where the source begins for it.
    pub(crate) fn floor(&self) -> i64 {
        self.kept_before_ns.unwrap_or(i64::MIN)
    }
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

pub(crate) fn now_ns() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

pub(crate) fn table() -> Result<SeriesKey> {
    SeriesKey::new(OWN_INSTRUMENT, "derived")
}

fn table_schema() -> Result<Schema> {
    let builder = TEXTS.iter().fold(SchemaBuilder::sequence(), |b, name| b.column(name, ColumnType::String));
    let builder = builder.column("source_version", ColumnType::I64);
    builder.nullable(KEPT_BEFORE, ColumnType::Timestamp).dedup(&["instrument", "frame"]).build()
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
    let kept = rows.column(KEPT_BEFORE);
    (0..rows.len())
        .map(|row| {
            Ok(Derivation {
                target: SeriesKey::new(instrument.get(row), frame.get(row))?,
                source: SeriesKey::new(from.get(row), from_frame.get(row))?,
                rule: rule.get(row).to_owned(),
                source_version: versions[row] as u64,
                kept_before_ns: kept.filter(|kept| !kept.is_null(row)).and_then(|kept| match &kept.values {
                    Values::I64(times) => Some(times[row]),
                    _ => None,
                }),
            })
        })
        .collect()
}

/// The name of the bars that a rule makes of a series: the timeframe, or `ticks-100`, `volume-2.5`, `amount-1000000`.
///
/// # Errors
/// As [`Rule::check`].
pub fn derived_key(source: &SeriesKey, rule: Rule) -> Result<SeriesKey> {
    rule.check()?;
    let frame = match rule {
        Rule::Time(timeframe) => timeframe.name().to_owned(),
        Rule::Ticks(count) => format!("ticks-{count}"),
        Rule::Volume(size) => format!("volume-{size}"),
        Rule::Dollars(size) => format!("amount-{size}"),
    };
    SeriesKey::new(source.instrument(), &frame)
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
    rule: impl Into<Rule> + Copy,
    sessions: Option<Arc<Sessions>>,
) -> Result<DeriveReport> {
    let update = Update {
        store,
        source,
        target: derived_key(source, rule.into())?,
        how: Resample { rule: rule.into(), sessions, until_ns: None, unfinished: false },
        operation: Operation::begin(now_ns(), "derive", ""),
    };
    again(|| update.run())
}

/// Tries what was refused because others wrote meanwhile.
pub(crate) fn again<T>(run: impl Fn() -> Result<T>) -> Result<T> {
    for _ in 1..TRIES {
        match run() {
            Err(Error::Rejected { .. }) => {}
            outcome => return outcome,
        }
    }
    run()
}

/// An update of a derived series.
struct Update<'a> {
    store: &'a Store,
    source: &'a SeriesKey,
    target: SeriesKey,
    how: Resample,
    operation: Operation,
}

impl Update<'_> {
    fn run(&self) -> Result<DeriveReport> {
        let Self { source, target, how, .. } = self;
        let view = self.store.view();
        let rule = rule_text(how.rule, how.sessions.as_deref());
        let made = Resampler::new(source.frame(), &*view.schema(source)?, how.rule, how.sessions.clone())?;
        let schema = made.schema();
        let known = derivations(&view)?.into_iter().find(|known| known.target == *target);
        let exists = view.schema(target).ok();
        check(target, source, known.as_ref(), exists.as_deref(), &schema)?;
        let floor = known.as_ref().map_or(i64::MIN, Derivation::floor);
        if let Some(known) = known.as_ref().filter(|known| known.rule != rule && floor > i64::MIN) {
            let text =
                format!("the source of older bars of {target} was deleted, so they stay {}", known.rule);
            return Err(Error::Usage(format!("{text}; they cannot become {rule}")));
        }
        let kept_before_ns = known.as_ref().and_then(|known| known.kept_before_ns);
        let since =
            known.filter(|known| known.rule == rule && exists.is_some()).map(|known| known.source_version);
        let changes = since.map(|since| view.changes_since(source, since, 0)).transpose()?.flatten();
        let remade = match changes {
            Some(changes) => affected(&view, source, target, how, since_floor(changes, floor))?,
            None => vec![i64::MIN..i64::MAX],
        };
        let mut report = DeriveReport {
            commit: CommitReport { version: view.version(), ..CommitReport::default() },
            source_version: since.unwrap_or(view.version()),
            remade: since_floor(remade, floor),
            unfinished: None,
        };
        if report.remade.is_empty() {
            return Ok(report);
        }
        let mut transaction = self.store.begin();
        transaction.source(&format!("resample of {source}"));
        transaction.message(&format!("{target} from version {} of {source}", view.version()));
        // D3.
        transaction.expect_unchanged(&table()?, view.version());
        transaction.expect_unchanged(target, view.version());
        transaction.create_series(target, schema)?;
        for range in &report.remade {
            let part = resample(&view, source, range.clone(), how)?;
            report.unfinished = part.unfinished.or(report.unfinished);
            let old = if exists.is_some() {
                Some(view.read(target).range(range.clone()).provenance().rows()?)
            } else {
                None
            };
            match how.rule {
                Rule::Time(_) => replace(&mut transaction, target, old.as_ref(), part.rows)?,
                _ => replace_end(&mut transaction, target, old.as_ref(), &part.rows)?,
            }
        }
        let operation = Operation { target: target.to_string(), ..self.operation.clone() };
        let detail = format!("from version {} of {source}", view.version());
        transaction.note(&operation.done(now_ns(), &detail))?;
        let (target, source, source_version) = (target.clone(), (*source).clone(), view.version());
        note(&mut transaction, &view, &Derivation { target, source, rule, source_version, kept_before_ns })?;
        report.source_version = source_version;
        report.commit = transaction.commit()?;
        Ok(report)
    }
}

/// The parts of the ranges from `floor` on.
fn since_floor(ranges: Vec<Range<i64>>, floor: i64) -> Vec<Range<i64>> {
    let clip = |range: Range<i64>| range.start.max(floor)..range.end;
    ranges.into_iter().map(clip).filter(|range| !range.is_empty()).collect()
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

pub(crate) fn rule_text(rule: Rule, sessions: Option<&Sessions>) -> String {
    let bars = match rule {
        Rule::Time(timeframe) => timeframe.name().to_owned(),
        Rule::Ticks(count) => format!("{count} ticks"),
        Rule::Volume(size) => format!("volume {size}"),
        Rule::Dollars(size) => format!("amount {size}"),
    };
    let Some(sessions) = sessions else { return bars };
    // FNV-1a: other sessions are other bars.
    let numbers = sessions.all().iter().flat_map(|s| [s.open.start, s.open.end, s.day_ns]);
    let hash = numbers.flat_map(i64::to_le_bytes).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{bars} in {} sessions {hash:016x}", sessions.all().len())
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
    let Some(first) = changes.first().map(|change| change.start) else { return Ok(Vec::new()) };
    let Rule::Time(timeframe) = how.rule else {
        let from = restart(view, target, first)?.map_or(i64::MIN, |place| place.0);
        return Ok(vec![from..i64::MAX]);
    };
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

/// Where bars by size can be counted anew if their source changed from `change` on: with a bar that opens up to there,
/// behind one that ends before, both at times of their own. First the time behind the bar before, then that at which the
/// bar opens. `None`: from the beginning.
pub(crate) fn restart(view: &View, target: &SeriesKey, change: i64) -> Result<Option<(i64, i64)>> {
    let mut count = 16;
    loop {
        let bars =
            view.read(target).range(i64::MIN..change.saturating_add(1)).columns(&["end"]).last(count)?;
        let (starts, ends) = (bars.time(), bars.i64("end").unwrap_or_default());
        let clean = |bar: &usize| ends[bar - 1] < change && starts[*bar] > ends[bar - 1];
        if let Some(bar) = (1..bars.len()).rev().find(clean) {
            return Ok(Some((ends[bar - 1] + 1, starts[bar])));
        }
        if bars.len() < count {
            return Ok(None);
        }
        count *= 4;
    }
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
    transaction.upsert(target, batch(new))
}

/// Writes bars of which several may open at the same time: behind those at the beginning that stay, all.
fn replace_end(
    transaction: &mut Transaction,
    target: &SeriesKey,
    old: Option<&Rows>,
    new: &Rows,
) -> Result<()> {
    let empty = Rows::default();
    let old = old.unwrap_or(&empty);
    let same = |row: &usize| same_bar(old, new, *row);
    let mut from = (0..old.len().min(new.len())).take_while(same).count();
    // Bars of one time go together.
    let opens = |rows: &Rows, row: usize| rows.time().get(row).copied();
    while from > 0 && [opens(old, from), opens(new, from)].contains(&opens(new, from - 1)) {
        from -= 1;
    }
    if let Some(time) = opens(old, from) {
        transaction.delete_range(target, time..i64::MAX)?;
    }
    let mut rest = Rows { columns: new.columns.clone(), ..Rows::default() };
    rest.set = tapestore::RowSet::with_columns(&kinds(new));
    rest.set.flags = new.set.flags.iter().skip(from).collect();
    rest.set.time.extend_from_slice(&new.time()[from..]);
    for ((_, to), (_, values)) in rest.set.columns.iter_mut().zip(&new.set.columns) {
        to.extend_from(values, from..new.len());
    }
    if rest.is_empty() {
        return Ok(());
    }
    transaction.append(target, batch(rest))
}

fn kinds(rows: &Rows) -> Vec<(u16, ColumnType)> {
    rows.columns.iter().map(|column| (column.id, column.kind)).collect()
}

/// Whether two sets of bars have the same bar at a place, to the bit.
fn same_bar(old: &Rows, new: &Rows, row: usize) -> bool {
    let same = |a: &ColumnValues, b: &ColumnValues| {
        a.is_null(row) == b.is_null(row)
            && match (&a.values, &b.values) {
                (Values::F64(a), Values::F64(b)) => a[row].to_bits() == b[row].to_bits(),
                (Values::I64(a), Values::I64(b)) => a[row] == b[row],
                _ => false,
            }
    };
    let pairs = old.set.columns.iter().zip(&new.set.columns);
    old.time()[row] == new.time()[row]
        && old.set.flags.get(row) == new.set.flags.get(row)
        && pairs.into_iter().all(|((_, a), (_, b))| same(a, b))
}

fn batch(rows: Rows) -> Batch {
    let batch = Batch::new(rows.set.time).with_flags(rows.set.flags);
    let columns = rows.columns.iter().zip(rows.set.columns);
    columns.fold(batch, |batch, (column, (_, values))| batch.with(&column.name, values))
}

/// Writes down what a series is made of.
pub(crate) fn note(transaction: &mut Transaction, view: &View, made: &Derivation) -> Result<()> {
    let table = table()?;
    match view.schema(&table) {
        // A store of before there was retention.
        Ok(_) => transaction.add_column(&table, KEPT_BEFORE, ColumnType::Timestamp, "")?,
        Err(_) => transaction.create_series(&table, table_schema()?)?,
    }
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
    let kept = ColumnValues {
        values: Values::I64(vec![made.kept_before_ns.unwrap_or_default()]),
        nulls: Some(vec![made.kept_before_ns.is_none()]),
    };
    let batch = batch.with("source_version", Values::I64(vec![version])).with(KEPT_BEFORE, kept);
    transaction.upsert(&table, batch)
}
