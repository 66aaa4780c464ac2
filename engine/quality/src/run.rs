//! Checking a store: what changed since the last time, and nothing else.
//!
//! # Invariants
//! - I1. After a run the kept days and findings of a series are those that a run over all of it gives.
//! - I2. Whether a series changed is told by versions, never by looking at some of its rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Durability, SeriesKey, Store, View};
use tapestore_query::Sessions;

use crate::error::Result;
use crate::expected::Expected;
use crate::finding::{Finding, FindingState, findings, note_findings, settle};
use crate::ledger::{Checked, Day, checked, days, note_checked, note_days};
use crate::rule::Rule;
use crate::rules::Rules;
use crate::scan::{Scanned, Scratch, Subject, day_of, reach, scan};
use crate::score::Tally;

/// How to check.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Thresholds.
    pub rules: Rules,
    /// When markets are open, by instrument; others always are.
    pub sessions: HashMap<String, (String, Arc<Sessions>)>,
    /// When the markets of all other instruments are open, with a name for that; `None`: always.
    pub everywhere: Option<(String, Arc<Sessions>)>,
    /// Whether to check everything again, not only what changed.
    pub again: bool,
    /// Most threads.
    pub threads: usize,
    /// The time that is noted with what is found: nanoseconds since the Unix epoch, UTC.
    pub now_ns: i64,
}

impl Default for Setup {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            rules: Rules::default(),
            sessions: HashMap::new(),
            everywhere: None,
            again: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            now_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        }
    }
}

impl Setup {
    /// When the market of an instrument is open, with the name of that; `None`: always.
    pub fn sessions_of(&self, instrument: &str) -> Option<&(String, Arc<Sessions>)> {
        self.sessions.get(instrument).or(self.everywhere.as_ref())
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunReport {
    /// Series of bars among those asked for.
    pub series: u64,
    /// Series of which anything was read.
    pub read: u64,
    /// Days that were checked.
    pub days: u64,
    /// Bars that were checked.
    pub bars: u64,
    /// Findings that are new or differ.
    pub found: u64,
    /// Findings whose cause is gone.
    pub gone: u64,
    /// The version of the store that was checked.
    pub version: u64,
}

/// Whether a series holds bars that can be checked.
pub fn is_checkable(view: &View, key: &SeriesKey) -> bool {
    key.frame().timeframe().is_some()
        && !key.is_own()
        && view.schema(key).is_ok_and(|schema| {
            ["open", "high", "low", "close"].iter().all(|name| {
                schema.column(name).is_some_and(|column| column.kind == tapestore::ColumnType::F64)
            })
        })
}

/// What has to be done for one series.
struct Task {
    key: SeriesKey,
    timeframe: Timeframe,
    expected: Expected,
    definition: String,
    known: Option<Checked>,
    /// Days to check; all of them: everything is made anew.
    dirty: Vec<Range<i64>>,
    span: Option<(i64, i64)>,
}

/// What came of one series.
struct Outcome {
    checked: Checked,
    dirty: Vec<Range<i64>>,
    days: Vec<Day>,
    known_days: Vec<Day>,
    findings: Vec<Finding>,
    bars: u64,
}

/// Brings days and findings of the wanted series up to date, in one commit; without a change there is none.
///
/// # Errors
/// Damage; what the store says.
pub fn check(store: &Store, wanted: impl Fn(&SeriesKey) -> bool, setup: &Setup) -> Result<RunReport> {
    let view = store.view();
    let ledger: HashMap<SeriesKey, Checked> =
        checked(&view)?.into_iter().map(|one| (one.key.clone(), one)).collect();
    let mut number = ledger.values().map(|one| one.number).max().unwrap_or(0);
    let mut tasks = Vec::new();
    let mut report = RunReport { version: view.version(), ..RunReport::default() };
    for key in view.keys().into_iter().filter(|key| wanted(key) && is_checkable(&view, key)) {
        report.series += 1;
        let mut task = plan(&view, key, &ledger, setup)?;
        if task.dirty.is_empty() {
            continue;
        }
        if task.known.is_none() {
            number += 1;
            task.known = Some(blank(&task.key, number));
        }
        tasks.push(task);
    }
    if !tasks.is_empty() {
        let mut known: BTreeMap<SeriesKey, Vec<Finding>> = BTreeMap::new();
        for finding in findings(&view, hull(tasks.iter().flat_map(|task| &task.dirty)))? {
            known.entry(finding.key.clone()).or_default().push(finding);
        }
        execute(store, &view, &tasks, known, Vec::new(), setup, &mut report)?;
    }
    Ok(report)
}

/// Marks findings of a rule in a range of time as real, or takes that back, and counts their days again; how many there
/// were. Brings the series up to date first.
///
/// # Errors
/// As [`check`].
pub fn reconsider(
    store: &Store,
    key: &SeriesKey,
    rule: Rule,
    range: &Range<i64>,
    state: FindingState,
    setup: &Setup,
) -> Result<u64> {
    check(store, |one| one == key, setup)?;
    let view = store.view();
    let Some(series) = checked(&view)?.into_iter().find(|one| one.key == *key) else { return Ok(0) };
    let mut known: Vec<Finding> =
        findings(&view, i64::MIN..i64::MAX)?.into_iter().filter(|one| one.key == *key).collect();
    let mut changed = Vec::new();
    let mut dirty: Vec<Range<i64>> = Vec::new();
    for finding in &mut known {
        let stands = matches!(finding.state, FindingState::Open | FindingState::Accepted);
        let inside = finding.at_ns < range.end && range.start < finding.end_ns;
        if finding.rule == rule && stands && inside && finding.state != state {
            (finding.state, finding.changed_ns) = (state, setup.now_ns);
            changed.push(finding.clone());
            let day = day_of(finding.at_ns);
            if dirty.last().is_none_or(|last| last.start != day) {
                dirty.push(day..day + DAY_NS);
            }
        }
    }
    if changed.is_empty() {
        return Ok(0);
    }
    let ledger = HashMap::from([(key.clone(), series)]);
    let mut task = plan(&view, key.clone(), &ledger, setup)?;
    let info = view.info(key)?;
    (task.dirty, task.span) = (dirty, info.first_ns.zip(info.last_ns));
    let count = changed.len() as u64;
    let known = BTreeMap::from([(key.clone(), known)]);
    execute(store, &view, &[task], known, changed, setup, &mut RunReport::default())?;
    Ok(count)
}

/// Runs tasks and writes what came of them, in one commit, with findings that changed otherwise.
fn execute(
    store: &Store,
    view: &View,
    tasks: &[Task],
    mut known: BTreeMap<SeriesKey, Vec<Finding>>,
    changed: Vec<Finding>,
    setup: &Setup,
    report: &mut RunReport,
) -> Result<()> {
    let outcomes = in_parallel(tasks, setup.threads, |task, scratch| {
        let found = known.get(&task.key).map_or(&[][..], Vec::as_slice);
        run_task(view, task, found, setup, scratch)
    });
    let mut transaction = store.begin();
    transaction.source("quality").message("checks");
    let (mut rows, mut told) = (Vec::new(), changed);
    for outcome in outcomes {
        let Outcome { checked, dirty, days, known_days, findings, bars } = outcome?;
        report.read += 1;
        report.days += days.len() as u64;
        report.bars += bars;
        note_days(&mut transaction, view, checked.number, &days, &known_days)?;
        let inside = |finding: &Finding| dirty.iter().any(|range| range.contains(&finding.at_ns));
        let mut before = known.remove(&checked.key).unwrap_or_default();
        before.retain(inside);
        told.extend(settle(before, findings, setup.now_ns));
        rows.push(checked);
    }
    report.gone = told.iter().filter(|finding| finding.state == FindingState::Gone).count() as u64;
    report.found = told.len() as u64 - report.gone;
    note_findings(&mut transaction, view, &told)?;
    note_checked(&mut transaction, view, &rows)?;
    // What is computed can be computed again: a power cut may take it.
    transaction.commit_with(Durability::Appended.min(store.options().durability))?;
    Ok(())
}

fn hull<'a>(ranges: impl Iterator<Item = &'a Range<i64>> + Clone) -> Range<i64> {
    let start = ranges.clone().map(|range| range.start).min();
    start.unwrap_or(0)..ranges.map(|range| range.end).max().unwrap_or(0)
}

fn blank(key: &SeriesKey, number: u64) -> Checked {
    Checked {
        key: key.clone(),
        number,
        version: 0,
        definition: String::new(),
        tally: Tally::default(),
        last_ns: 0,
        checked_ns: 0,
    }
}

fn plan(view: &View, key: SeriesKey, ledger: &HashMap<SeriesKey, Checked>, setup: &Setup) -> Result<Task> {
    let timeframe = key.frame().timeframe().expect("only bars are checked");
    let named = setup.sessions_of(key.instrument());
    let expected = Expected::of(view, &key, named.map(|(_, sessions)| sessions.clone()))?;
    let calendar = named.map_or("always", |(name, _)| name.as_str());
    let definition =
        format!("code {CODE}; {calendar}; {:?}; absences {:?}", setup.rules, expected.absences.len());
    let known = ledger.get(&key).cloned();
    let usable = known.as_ref().filter(|one| !setup.again && one.definition == definition);
    let changes = match usable {
        Some(one) => view.changes_since(&key, one.version, 0)?,
        None => None,
    };
    let mut task = Task { key, timeframe, expected, definition, known, dirty: Vec::new(), span: None };
    if changes.as_ref().is_some_and(Vec::is_empty) {
        return Ok(task);
    }
    let info = view.info(&task.key)?;
    task.span = info.first_ns.zip(info.last_ns);
    task.dirty = match changes {
        None => vec![i64::MIN / 2 / DAY_NS * DAY_NS..i64::MAX / 2 / DAY_NS * DAY_NS],
        Some(changes) => affected(view, &task, &changes)?,
    };
    Ok(task)
}

/// Of the code that checks: raised whenever the same bars give other days or findings.
const CODE: u32 = 1;

/// The days whose checks may come out differently after changes.
fn affected(view: &View, task: &Task, changes: &[Range<i64>]) -> Result<Vec<Range<i64>>> {
    let reach = reach(task.timeframe, task.expected.sessions.is_some());
    let mut out: Vec<Range<i64>> = Vec::new();
    let last = task.known.as_ref().map_or(i64::MIN, |one| one.last_ns);
    let newest = task.span.map_or(i64::MIN, |span| span.1);
    for change in changes {
        let read = |range: Range<i64>| view.read(&task.key).columns(&[]).range(range);
        let before = read(i64::MIN..change.start).last(reach.rows)?;
        let after = read(change.end..i64::MAX).first(reach.rows)?;
        let first = before.time().first().copied().unwrap_or(change.start).min(change.start);
        let end = after.time().last().map_or(change.end, |time| time + 1);
        // Where the last bar was, and is, the expected days end.
        let ends_here = change.end > last.min(newest);
        let end = end.max(change.end.saturating_add(reach.time_ns));
        let end = if ends_here { end.max(last).max(newest) } else { end };
        let first = if ends_here { first.min(last.max(i64::MIN / 4)) } else { first };
        let range = day_of(first.max(i64::MIN / 4))..day_of(end.min(i64::MAX / 4)) + DAY_NS;
        match out.last_mut() {
            Some(before) if range.start <= before.end => {
                before.start = before.start.min(range.start);
                before.end = before.end.max(range.end);
            }
            _ => out.push(range),
        }
    }
    Ok(out)
}

fn run_task(
    view: &View,
    task: &Task,
    known: &[Finding],
    setup: &Setup,
    scratch: &mut Scratch,
) -> Result<Outcome> {
    let mut checked = task.known.clone().expect("it was numbered");
    let hull = hull(task.dirty.iter());
    let known_days = days(view, &checked, hull.clone())?;
    let accepted: Vec<_> = known
        .iter()
        .filter(|finding| finding.state == FindingState::Accepted)
        .map(|finding| (finding.rule, finding.at_ns..finding.end_ns))
        .collect();
    let mut found = Scanned::default();
    if let Some(span) = task.span {
        let subject = Subject {
            view,
            key: &task.key,
            timeframe: task.timeframe,
            expected: &task.expected,
            rules: &setup.rules,
            accepted: &accepted,
            span,
            now_ns: setup.now_ns,
        };
        for range in &task.dirty {
            let part = scan(&subject, range, scratch)?;
            found.days.extend(part.days);
            found.findings.extend(part.findings);
            found.bars += part.bars;
        }
    }
    let dirty = |day: &&Day| task.dirty.iter().any(|range| range.contains(&day.day_ns));
    let old: Tally = known_days.iter().filter(dirty).map(|day| day.tally).sum();
    let new: Tally = found.days.iter().map(|day| day.tally).sum();
    checked.tally = checked.tally.without(old) + new;
    checked.version = view.version();
    checked.definition.clone_from(&task.definition);
    checked.last_ns = task.span.map_or(0, |span| span.1);
    checked.checked_ns = setup.now_ns;
    let known_days = known_days.iter().filter(dirty).copied().collect();
    Ok(Outcome {
        checked,
        dirty: task.dirty.clone(),
        days: found.days,
        known_days,
        findings: found.findings,
        bars: found.bars,
    })
}

/// Runs every task, on some threads; results in the order of the tasks.
fn in_parallel<T: Sync, R: Send>(
    tasks: &[T],
    threads: usize,
    run: impl Fn(&T, &mut Scratch) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut scratch = Scratch::default();
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(task) = tasks.get(at) else { return done };
            done.push((at, run(task, &mut scratch)));
        }
    };
    let mut all: Vec<(usize, R)> = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads.min(tasks.len())).map(|_| scope.spawn(work)).collect();
        let mut all = work();
        for other in others {
            all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        all
    });
    all.sort_by_key(|one| one.0);
    all.into_iter().map(|one| one.1).collect()
}
