//! Checks of a page, and writing it: rows, absences and findings in one commit.

use std::ops::Range;

use tapestore::{
    ColumnValues, CommitReport, Error as StoreError, KeyPolicy, Rows, Schema, SeriesKey, Store, Timeframe,
    Transaction, Values, View,
};

use crate::error::Result;
use crate::ledger::{Finding, note_file, note_findings};
use crate::source::{Ask, Page, Refusal, Table};

/// How long a bar must have closed before its absence is believed: sources lag behind. Five minutes.
pub const SETTLE_NS: i64 = 5 * tapestore::time::MINUTE_NS;

/// Puts a page in order and holds it against the question: rows ascending, each time once, none outside the range or off
/// the grid, none of an unfinished bar (F1, F2).
///
/// # Errors
/// [`Refusal::Other`] if it answers another question.
pub fn check(ask: &Ask, page: &mut Page) -> std::result::Result<(), Refusal> {
    let refuse = |text: String| Err(Refusal::Other(text));
    let (answered, range) = (&page.answered, &ask.range);
    let touches = answered.start == range.start || answered.end == range.end;
    if answered.is_empty() || !touches || answered.start < range.start || answered.end > range.end {
        return refuse(format!("it covers {answered:?}, {range:?} was asked for"));
    }
    let count = page.rows.time.len();
    if let Some((name, column)) = page.rows.columns.iter().find(|(_, column)| column.len() != count) {
        return Err(Refusal::Broken(format!("{count} times, but {} values of {name}", column.len())));
    }
    // Trades that follow a number may be of the very time of that one, or earlier.
    let early = |time: i64| time < range.start && ask.after_id.is_none();
    if let Some(time) = page.rows.time.iter().find(|time| **time >= range.end || early(**time)) {
        return refuse(format!("a row of time {time} is outside {}..{}", range.start, range.end));
    }
    let Some(timeframe) = ask.timeframe() else { return Ok(()) };
    if let Some(time) = page.rows.time.iter().find(|time| !timeframe.on_grid(**time)) {
        return refuse(format!("a row of time {time} is not on the grid of {timeframe}"));
    }
    let findings = sort_and_unite(&mut page.rows);
    page.findings.extend(findings);
    let closed = |time: i64| closes(timeframe, time) <= page.now_ns;
    let finished = page.rows.time.partition_point(|time| closed(*time));
    if finished < page.rows.time.len() {
        page.rows.pick(&(0..finished).collect::<Vec<_>>());
    }
    Ok(())
}

/// When a bar that opens at `time` closes.
fn closes(timeframe: Timeframe, time: i64) -> i64 {
    timeframe.slot_start(timeframe.slot(time) + 1)
}

/// Sorts by time; of rows of one time the last stays, and is a finding where they differ.
fn sort_and_unite(rows: &mut Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    if rows.time.windows(2).all(|pair| pair[0] < pair[1]) {
        return findings;
    }
    let mut order: Vec<usize> = (0..rows.time.len()).collect();
    order.sort_by_key(|row| rows.time[*row]);
    rows.pick(&order);
    let mut keep = Vec::with_capacity(order.len());
    for row in 0..rows.time.len() {
        if rows.time.get(row + 1) != Some(&rows.time[row]) {
            keep.push(row);
            continue;
        }
        for (name, column) in &rows.columns {
            let (old, new) = (shown(column, row), shown(column, row + 1));
            if old != new {
                let (at_ns, column) = (rows.time[row], (*name).to_owned());
                findings.push(Finding { at_ns, kind: "conflict", column, old, new });
            }
        }
    }
    rows.pick(&keep);
    findings
}

/// A value as text; the same text only for the same value.
fn shown(column: &ColumnValues, row: usize) -> String {
    if column.is_null(row) {
        return String::new();
    }
    match &column.values {
        Values::I64(values) => values[row].to_string(),
        Values::F64(values) => values[row].to_string(),
        Values::F32(values) => values[row].to_string(),
        Values::U8(values) => values[row].to_string(),
        Values::Str(values) => values.get(row).to_owned(),
    }
}

/// What a page did to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// What the commit says.
    pub commit: CommitReport,
    /// Rows in the page.
    pub rows: u64,
    /// Bars that were confirmed absent by it.
    pub absent: u64,
    /// Findings.
    pub findings: u64,
    /// The greatest number of its trades.
    pub last_id: Option<i64>,
}

/// Where a page goes.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    /// The store.
    pub store: &'a Store,
    /// The series.
    pub key: &'a SeriesKey,
    /// Its columns if it does not exist yet.
    pub schema: &'a Schema,
    /// The source of the rows.
    pub source: &'a str,
    /// Bars are expected in these stretches only.
    pub sessions: Option<&'a [Range<i64>]>,
}

/// Writes a checked page in one commit.
///
/// # Errors
/// As [`Transaction::commit`]: nothing of it is written.
pub fn write(target: Target<'_>, ask: &Ask, page: Page) -> Result<Written> {
    let key = target.key;
    let view = target.store.view();
    let mut transaction = target.store.begin();
    transaction.source(target.source).message(&format!("fetch {key} from {}", target.source));
    let schema = match view.schema(key) {
        Ok(known) => (*known).clone(),
        Err(StoreError::NotFound(_)) => {
            transaction.create_series(key, target.schema.clone())?;
            target.schema.clone()
        }
        Err(error) => return Err(error.into()),
    };
    let mut findings = page.findings;
    let times = page.rows.time.clone();
    let last_id = page.rows.columns.iter().find(|column| column.0 == "id");
    let last_id = last_id.and_then(|(_, column)| match &column.values {
        Values::I64(ids) => ids.iter().copied().max(),
        _ => None,
    });
    let absences = match ask.timeframe() {
        Some(timeframe) => {
            let stored = stored(&view, key, &page.answered, &page.rows, &schema)?;
            findings.extend(revisions(&stored, &page.rows));
            let settled = page.answered.start..page.answered.end.min(page.now_ns.saturating_sub(SETTLE_NS));
            let absent = if page.complete {
                absent(timeframe, &settled, &times, stored.time(), &mut findings)
            } else {
                Vec::new()
            };
            within(absent, target.sessions)
        }
        None => before_first(&page.answered, page.complete, ask, &times),
    };
    let known = if absences.is_empty() { Vec::new() } else { view.absences(key).unwrap_or_default() };
    let mut written = Written { rows: times.len() as u64, last_id, ..Written::default() };
    for absence in absences {
        let place = known.partition_point(|known| known.end < absence.end);
        if known.get(place).is_none_or(|known| known.start > absence.start) {
            let bars = ask.timeframe().map_or(0, |timeframe| crate::source::slots(timeframe, &absence));
            written.absent += bars;
            transaction.confirm_absent(key, absence)?;
        }
    }
    if !times.is_empty() {
        stage(&mut transaction, key, &schema, page.rows)?;
    }
    written.findings = findings.len() as u64;
    note_findings(&mut transaction, key, target.source, &findings, ask.now_ns)?;
    if let Some(file) = &page.file {
        note_file(&mut transaction, target.source, file, ask.now_ns)?;
    }
    for (table, actions) in page.actions.into_iter().filter(|(_, actions)| !actions.time.is_empty()) {
        let key = SeriesKey::new(key.instrument(), table)?;
        let schema = tapestore_query::adjust::actions_schema();
        transaction.create_series(&key, schema.clone())?;
        stage(&mut transaction, &key, &schema, actions)?;
    }
    written.commit = transaction.commit()?;
    Ok(written)
}

/// Adds rows, with the columns that the series has.
fn stage(transaction: &mut Transaction, key: &SeriesKey, schema: &Schema, rows: Table) -> Result<()> {
    let mut batch = tapestore::Batch::new(rows.time);
    for (name, values) in rows.columns {
        if schema.column(name).is_some_and(|column| values.values.fits(column.kind)) {
            batch = batch.with(name, values);
        }
    }
    let plain = matches!(&schema.key, KeyPolicy::Sequence { dedup } if dedup.is_empty());
    if plain {
        transaction.merge(key, batch)?;
    } else {
        transaction.upsert(key, batch)?;
    }
    Ok(())
}

/// The rows that are there, with the columns that the page has, too.
fn stored(view: &View, key: &SeriesKey, range: &Range<i64>, rows: &Table, schema: &Schema) -> Result<Rows> {
    let names: Vec<&str> =
        rows.columns.iter().map(|column| column.0).filter(|name| schema.column(name).is_some()).collect();
    match view.read(key).range(range.clone()).columns(&names).rows() {
        Err(StoreError::NotFound(_)) => Ok(Rows::default()),
        rows => Ok(rows?),
    }
}

/// Values that are stored and come differently now.
fn revisions(stored: &Rows, rows: &Table) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut row = 0;
    for (old_row, time) in stored.time().iter().enumerate() {
        while rows.time.get(row).is_some_and(|candidate| candidate < time) {
            row += 1;
        }
        if rows.time.get(row) != Some(time) {
            continue;
        }
        for (name, values) in &rows.columns {
            let Some(known) = stored.column(name) else { continue };
            let (old, new) = (shown(known, old_row), shown(values, row));
            if old != new {
                let column = (*name).to_owned();
                findings.push(Finding { at_ns: *time, kind: "revision", column, old, new });
            }
        }
    }
    findings
}

/// The stretches of a complete answer without a row; what is stored there all the same has vanished from the source.
fn absent(
    timeframe: Timeframe,
    settled: &Range<i64>,
    given: &[i64],
    stored: &[i64],
    findings: &mut Vec<Finding>,
) -> Vec<Range<i64>> {
    let mut there: Vec<i64> = given.to_vec();
    for time in stored {
        if given.binary_search(time).is_err() {
            there.push(*time);
            if settled.contains(time) {
                let (column, old, new) = Default::default();
                findings.push(Finding { at_ns: *time, kind: "vanished", column, old, new });
            }
        }
    }
    there.sort_unstable();
    let mut out = Vec::new();
    // Bars of the settled range: those that have closed by its end.
    let end = timeframe.slot_start(timeframe.slot(settled.end));
    let mut at = settled.start;
    for time in there.into_iter().chain([end]) {
        if time > at && at < end {
            out.push(at..time.min(end));
        }
        at = at.max(closes(timeframe, time));
    }
    out
}

fn within(ranges: Vec<Range<i64>>, sessions: Option<&[Range<i64>]>) -> Vec<Range<i64>> {
    let Some(sessions) = sessions else { return ranges };
    let mut out = Vec::new();
    for range in ranges {
        let first = sessions.partition_point(|open| open.end <= range.start);
        let inside = sessions[first..].iter().take_while(|open| open.start < range.end);
        out.extend(inside.map(|open| open.start.max(range.start)..open.end.min(range.end)));
    }
    out
}

/// Of trades that were asked for by time, what lies before the first; of such by number, the whole hole.
fn before_first(answered: &Range<i64>, complete: bool, ask: &Ask, times: &[i64]) -> Vec<Range<i64>> {
    let all = if !complete {
        answered.start..answered.start
    } else if ask.after_id.is_some() {
        if ask.before_id.is_some() && *answered == ask.range { ask.range.clone() } else { 0..0 }
    } else {
        answered.start..times.iter().min().copied().unwrap_or(answered.end)
    };
    let settled = all.end.min(ask.now_ns.saturating_sub(SETTLE_NS));
    if all.start < settled { vec![all.start..settled] } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore::Frame;
    use tapestore::time::MINUTE_NS;

    const M: i64 = MINUTE_NS;

    fn ask(minutes: Range<i64>) -> Ask {
        Ask {
            symbol: "A".into(),
            frame: Frame::parse("1m").unwrap(),
            range: minutes.start * M..minutes.end * M,
            after_id: None,
            before_id: None,
            known_files: std::collections::HashMap::new(),
            recheck: false,
            now_ns: 100 * M,
        }
    }

    fn page(minutes: &[i64], ask: &Ask) -> Page {
        let close: Vec<f64> = (0..minutes.len()).map(|row| row as f64).collect();
        Page {
            rows: Table {
                time: minutes.iter().map(|minute| minute * M).collect(),
                columns: vec![("close", Values::F64(close).into())],
            },
            answered: ask.range.clone(),
            complete: true,
            now_ns: 100 * M,
            ..Page::default()
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter_but_conflicts_are_found() {
        let ask = ask(0..5);
        let mut given = page(&[3, 1, 1, 0], &ask);
        check(&ask, &mut given).unwrap();
        assert_eq!(given.rows.time, [0, M, 3 * M]);
        assert_eq!(given.rows.columns[0].1.values, Values::F64(vec![3.0, 2.0, 0.0]));
        let found: Vec<_> = given.findings.iter().map(|f| (f.at_ns, f.kind, &*f.old, &*f.new)).collect();
        assert_eq!(found, [(M, "conflict", "1", "2")]);
    }

    #[test]
    fn another_answer_is_refused() {
        let ask = ask(2..5);
        for minutes in [&[1_i64][..], &[5], &[2, 3, 9]] {
            assert!(matches!(check(&ask, &mut page(minutes, &ask)), Err(Refusal::Other(_))), "{minutes:?}");
        }
        let mut off = page(&[2], &ask);
        off.rows.time[0] += 1;
        assert!(matches!(check(&ask, &mut off), Err(Refusal::Other(_))));
        let mut middle = page(&[3], &ask);
        middle.answered = 3 * M..4 * M;
        assert!(matches!(check(&ask, &mut middle), Err(Refusal::Other(_))), "it makes no progress");
    }

    #[test]
    fn unfinished_bars_go_by_time_not_by_place() {
        let ask = ask(0..10);
        let mut given = page(&[0, 1, 2], &ask);
        given.now_ns = 3 * M - 1;
        check(&ask, &mut given).unwrap();
        assert_eq!(given.rows.time, [0, M]);
        let mut given = page(&[0, 1, 2], &ask);
        given.now_ns = 3 * M;
        check(&ask, &mut given).unwrap();
        assert_eq!(given.rows.time.len(), 3, "the last row stays where it has closed");
    }

    #[test]
    fn absences_are_what_a_settled_range_lacks() {
        let mut findings = Vec::new();
        let found = absent(Timeframe::M1, &(0..10 * M), &[2 * M, 3 * M, 7 * M], &[], &mut findings);
        assert_eq!(found, [0..2 * M, 4 * M..7 * M, 8 * M..10 * M]);
        let found = absent(Timeframe::M1, &(0..3 * M + 5), &[], &[], &mut findings);
        assert_eq!(found, [0..3 * M], "the bar that is not settled whole is left out");
        let (after, before) = (5 * M, 4 * M);
        assert!(absent(Timeframe::M1, &(after..before), &[], &[], &mut findings).is_empty());
        assert!(findings.is_empty());
        let found = absent(Timeframe::M1, &(0..3 * M), &[0], &[M], &mut findings);
        assert_eq!((found, findings[0].kind), (vec![2 * M..3 * M], "vanished"));
    }

    #[test]
    fn absences_outside_sessions_are_not_noted() {
        let sessions = [0..10, 20..30, 40..50];
        assert_eq!(within(vec![5..25, 45..60], Some(&sessions)), [5..10, 20..25, 45..50]);
        assert_eq!(within(vec![5..25], None), [5..25]);
    }
}
