//! Checking a store: what changed since the last time, and nothing else.
//!
//! # Invariants
//! - I1. After a run the kept days and findings of a series are those that a run over all of it gives.
//! - I2. Whether a series changed is told by versions, never by looking at some of its rows.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Durability, SeriesKey, Store, View};

use crate::error::{Error, Result};
use crate::expected::{Calendars, Expected, Markets};
use crate::finding::{Finding, FindingState, findings, note_findings, settle};
use crate::ledger::{Checked, Day, checked, days, note_checked, note_days};
use crate::rule::Rule;
use crate::rules::Rules;
use crate::scan::{Scanned, Scratch, Subject, day_of, piece_ns, reach, scan};
use crate::score::Tally;

/// How to check.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Thresholds.
    pub rules: Rules,
    /// When markets are open.
    pub calendars: Calendars,
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
            calendars: Calendars::default(),
            again: false,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            now_ns: i64::try_from(since.as_nanos()).unwrap_or(i64::MAX),
        }
    }
}

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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
    /// Series that could not be checked, and why: a calendar that says nothing of their time.
    pub skipped: Vec<(SeriesKey, String)>,
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
    known: Checked,
    /// Days to check.
    dirty: Vec<Range<i64>>,
    /// Open times of the first and the last bar.
    span: Option<(i64, i64)>,
    /// The finest bars of the instrument, if these are coarser.
    fine: Option<SeriesKey>,
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
    let mut markets = Markets::read(&view)?;
    let mut groups: Vec<Vec<Task>> = Vec::new();
    let mut report = RunReport { version: view.version(), ..RunReport::default() };
    let keys: Vec<SeriesKey> = view.keys().into_iter().filter(|key| is_checkable(&view, key)).collect();
    for family in keys.chunk_by(|a, b| a.instrument() == b.instrument()) {
        let mut group = Vec::new();
        let mut family: Vec<&SeriesKey> = family.iter().collect();
        family.sort_by_key(|key| key.frame().timeframe());
        for key in family.iter().copied().filter(|key| wanted(key)) {
            report.series += 1;
            let known = ledger.get(key).cloned();
            let planned = plan(&view, key, finer(key, &family), known, &mut markets, setup);
            let mut task = match planned {
                Ok(Some(task)) => task,
                Ok(None) => continue,
                Err(Error::Usage(why)) => {
                    report.skipped.push((key.clone(), why));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if task.known.number == 0 {
                number += 1;
                task.known.number = number;
            }
            group.push(task);
        }
        if !group.is_empty() {
            groups.push(group);
        }
    }
    if !groups.is_empty() {
        let whole = hull(groups.iter().flatten().flat_map(|task| &task.dirty));
        let mut known: BTreeMap<SeriesKey, Vec<Finding>> = BTreeMap::new();
        for finding in findings(&view, whole)? {
            known.entry(finding.key.clone()).or_default().push(finding);
        }
        execute(store, &view, &groups, known, Vec::new(), setup, &mut report)?;
    }
    Ok(report)
}

/// The finest bars of an instrument, for bars that they make up.
fn finer<'a>(key: &SeriesKey, family: &[&'a SeriesKey]) -> Option<&'a SeriesKey> {
    let finest = family.iter().find(|one| one.frame().timeframe() < key.frame().timeframe())?;
    let (fine, coarse) = (finest.frame().timeframe()?.step_ns()?, key.frame().timeframe()?.step_ns());
    let divides = coarse.is_none_or(|coarse| coarse % fine == 0);
    (fine < DAY_NS && divides).then_some(*finest)
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
    let Some(mut task) = whole_task(&view, &series, setup)? else { return Ok(0) };
    task.dirty = dirty;
    let count = changed.len() as u64;
    let known = BTreeMap::from([(key.clone(), known)]);
    execute(store, &view, &[vec![task]], known, changed, setup, &mut RunReport::default())?;
    Ok(count)
}

/// All of a series, to be checked again.
fn whole_task(view: &View, series: &Checked, setup: &Setup) -> Result<Option<Task>> {
    let key = &series.key;
    let is_family = |one: &SeriesKey| one.instrument() == key.instrument() && is_checkable(view, one);
    let family: Vec<SeriesKey> = view.keys().into_iter().filter(is_family).collect();
    let mut family: Vec<&SeriesKey> = family.iter().collect();
    family.sort_by_key(|one| one.frame().timeframe());
    let again = Setup { again: true, ..setup.clone() };
    plan(view, key, finer(key, &family), Some(series.clone()), &mut Markets::read(view)?, &again)
}

/// The bars of a checked series that are missing or break a rule, by open time, with the rules; what was accepted is not
/// among them. Only days are looked at of which bars are kept as not usable.
pub(crate) fn bad_bars(view: &View, series: &Checked, setup: &Setup) -> Result<Vec<(i64, Vec<Rule>)>> {
    let Some(mut task) = whole_task(view, series, setup)? else { return Ok(Vec::new()) };
    let mut dirty: Vec<Range<i64>> = Vec::new();
    for day in days(view, series, i64::MIN..i64::MAX)? {
        let tally = day.tally;
        if tally.usable < tally.expected || tally.synthetic + tally.outside + tally.invalid > 0 {
            match dirty.last_mut() {
                Some(last) if last.end == day.day_ns => last.end += DAY_NS,
                _ => dirty.push(day.day_ns..day.day_ns + DAY_NS),
            }
        }
    }
    if dirty.is_empty() {
        return Ok(Vec::new());
    }
    task.dirty = dirty;
    let known: Vec<Finding> = findings(view, hull(task.dirty.iter()))?
        .into_iter()
        .filter(|finding| finding.key == series.key)
        .collect();
    let mut found = scan_group(view, &[task], &|_| &known, setup, &mut Scratch::default(), true)?;
    let bad = found.pop().and_then(|found| found.bad).unwrap_or_default();
    let rules = |bits: u32| Rule::ALL.iter().copied().filter(|rule| bits & rule.bit() != 0).collect();
    Ok(bad.into_iter().map(|(time, bits)| (time, rules(bits))).collect())
}

/// Every bar of a series that is missing or breaks a rule, by open time, with the bits of the rules (`1 << rule as u8`):
/// for calibration, which counts bars and not findings. Keeps nothing.
///
/// # Errors
/// As [`check`].
#[doc(hidden)]
pub fn marks(view: &View, key: &SeriesKey, setup: &Setup) -> Result<Vec<(i64, u32)>> {
    let Some(task) = whole_task(view, &blank(key, 0), setup)? else { return Ok(Vec::new()) };
    let mut found = scan_group(view, &[task], &|_| &[], setup, &mut Scratch::default(), true)?;
    Ok(found.pop().and_then(|found| found.bad).unwrap_or_default())
}

/// Runs tasks and writes what came of them, in one commit, with findings that changed otherwise.
fn execute(
    store: &Store,
    view: &View,
    groups: &[Vec<Task>],
    mut known: BTreeMap<SeriesKey, Vec<Finding>>,
    changed: Vec<Finding>,
    setup: &Setup,
    report: &mut RunReport,
) -> Result<()> {
    let outcomes = in_parallel(groups, setup.threads, |group, scratch| {
        let known = |task: &Task| known.get(&task.key).map_or(&[][..], Vec::as_slice);
        run_group(view, group, &known, setup, scratch)
    });
    let mut transaction = store.begin();
    transaction.source("quality").message("checks");
    let (mut rows, mut told) = (Vec::new(), changed);
    for outcome in outcomes.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten() {
        let Outcome { checked, dirty, days, known_days, findings, bars } = outcome;
        report.read += 1;
        report.days += days.len() as u64;
        report.bars += bars;
        note_days(&mut transaction, view, checked.number, &days, &known_days)?;
        // What sources say of one another is another comparison's.
        let inside = |finding: &Finding| {
            finding.rule != Rule::Source && dirty.iter().any(|range| range.contains(&finding.at_ns))
        };
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

/// What has to be done for a series; `None`: nothing.
fn plan(
    view: &View,
    key: &SeriesKey,
    fine: Option<&SeriesKey>,
    known: Option<Checked>,
    markets: &mut Markets,
    setup: &Setup,
) -> Result<Option<Task>> {
    let timeframe = key.frame().timeframe().expect("only bars are checked");
    let (market, listing) = markets.of(view, &setup.calendars, key.instrument())?;
    let expected = Expected::vague(view, key, market, listing)?;
    let definition =
        format!("code {CODE}; {}; {:?}; {}", expected.describe(), setup.rules, fine.map_or("", |_| "finer"));
    let usable = known.as_ref().filter(|one| !setup.again && one.definition == definition);
    let changes = match usable {
        Some(one) => view.changes_since(key, one.version, 0)?,
        None => None,
    };
    let finer_changes = match (fine, usable) {
        (Some(fine), Some(one)) => view.changes_since(fine, one.version, 0)?,
        _ => Some(Vec::new()),
    };
    if changes.as_ref().is_some_and(Vec::is_empty) && finer_changes.as_ref().is_some_and(Vec::is_empty) {
        return Ok(None);
    }
    let first = view.read(key).columns(&[]).first(1)?.time().first().copied();
    let last = view.latest(key)?.map(|row| row.time()[0]);
    let known = known.unwrap_or_else(|| blank(key, 0));
    let fine = fine.cloned();
    let span = first.zip(last);
    let mut task =
        Task { key: key.clone(), timeframe, expected, definition, known, dirty: Vec::new(), span, fine };
    task.dirty = match (changes, finer_changes) {
        (Some(changes), Some(finer)) => affected(view, &task, &changes, &finer)?,
        _ => {
            let (from, to) = (i64::MIN / 2 / DAY_NS, i64::MAX / 2 / DAY_NS);
            vec![from * DAY_NS..to * DAY_NS]
        }
    };
    if let Some(span) = task.span {
        // What is expected is asked for where it counts.
        let hull = hull(task.dirty.iter());
        let range = day_of(span.0).max(hull.start)..(day_of(span.1) + DAY_NS).min(hull.end);
        if !range.is_empty() {
            task.expected = task.expected.within(key, &range)?;
        }
    }
    Ok(Some(task))
}

/// Of the code that checks: raised whenever the same bars give other days or findings.
const CODE: u32 = 4;

/// The days whose checks may come out differently after changes of the bars and of finer ones.
fn affected(
    view: &View,
    task: &Task,
    changes: &[Range<i64>],
    finer: &[Range<i64>],
) -> Result<Vec<Range<i64>>> {
    let reach = reach(task.timeframe, task.expected.has_market());
    let bound = |time: i64| time.clamp(i64::MIN / 4, i64::MAX / 4);
    let last = task.known.last_ns;
    let newest = task.span.map_or(last, |span| span.1);
    let mut out: Vec<Range<i64>> = Vec::new();
    for change in changes {
        let read = |range: Range<i64>| view.read(&task.key).columns(&[]).range(range);
        let before = read(i64::MIN..change.start).last(reach.rows)?;
        let after = read(change.end..i64::MAX).first(reach.rows)?;
        let mut first = before.time().first().copied().unwrap_or(change.start).min(change.start);
        let mut end = after.time().last().map_or(change.end, |time| time + 1).max(change.end);
        if reach.days > 0 {
            end = end.max(bound(change.end) + reach.days * DAY_NS);
        }
        // Where the last bar was, and is, the expected days end; a change at the end may move that.
        if change.end > last.min(newest) {
            (first, end) = (first.min(last).min(newest), end.max(last + 1).max(newest + 1));
        }
        out.push(day_of(bound(first))..day_of(bound(end - 1)) + DAY_NS);
    }
    for change in finer {
        let slot = |time: i64| task.timeframe.slot(bound(time));
        let start = task.timeframe.slot_start(slot(change.start)) - DAY_NS;
        out.push(day_of(start)..day_of(task.timeframe.slot_start(slot(change.end - 1) + 1)) + DAY_NS);
    }
    out.sort_by_key(|range| range.start);
    out.dedup_by(|next, range| {
        let melts = next.start <= range.end;
        range.end = if melts { range.end.max(next.end) } else { range.end };
        melts
    });
    Ok(out)
}

/// Checks what has to be of one instrument, and puts it in place of what was known.
fn run_group<'k>(
    view: &View,
    group: &[Task],
    known: &dyn Fn(&Task) -> &'k [Finding],
    setup: &Setup,
    scratch: &mut Scratch,
) -> Result<Vec<Outcome>> {
    let found = scan_group(view, group, known, setup, scratch, false)?;
    group.iter().zip(found).map(|(task, found)| conclude(view, task, found, setup)).collect()
}

/// Checks what has to be of one instrument: piece by piece, in each the finest bars first.
fn scan_group<'k>(
    view: &View,
    group: &[Task],
    known: &dyn Fn(&Task) -> &'k [Finding],
    setup: &Setup,
    scratch: &mut Scratch,
    collect: bool,
) -> Result<Vec<Scanned>> {
    let one = || Scanned { bad: collect.then(Vec::new), ..Scanned::default() };
    let mut found: Vec<Scanned> = group.iter().map(|_| one()).collect();
    let mut fine = Vec::new();
    let mut accepted = Vec::new();
    let mut whole: Option<Range<i64>> = None;
    for task in group {
        let ranges = known(task).iter().filter(|finding| finding.state == FindingState::Accepted);
        accepted
            .push(ranges.map(|finding| (finding.rule, finding.at_ns..finding.end_ns)).collect::<Vec<_>>());
        let range = todo(task);
        fine.push(match &task.fine {
            Some(key) if !range.is_empty() => {
                let wide = range.start - DAY_NS..range.end + 31 * DAY_NS;
                let vague = task.expected.of_finer(view, key)?;
                Some((key, vague.within(key, &wide).or_else(|_| vague.within(key, &range))?))
            }
            _ => None,
        });
        if !range.is_empty() {
            whole =
                Some(whole.map_or(range.clone(), |all| all.start.min(range.start)..all.end.max(range.end)));
        }
    }
    let piece = group.iter().map(|task| piece_ns(task.timeframe)).min().unwrap_or(DAY_NS);
    let mut start = whole.as_ref().map_or(0, |all| all.start);
    while whole.as_ref().is_some_and(|all| start < all.end) {
        let end = start.saturating_add(piece);
        for (at, task) in group.iter().enumerate() {
            let Some(span) = task.span else { continue };
            let subject = Subject {
                view,
                key: &task.key,
                timeframe: task.timeframe,
                expected: &task.expected,
                rules: &setup.rules,
                accepted: &accepted[at],
                span,
                now_ns: setup.now_ns,
                fine: fine[at].as_ref().map(|(key, expected)| (*key, expected)),
            };
            for range in &task.dirty {
                scan(&subject, &(range.start.max(start)..range.end.min(end)), scratch, &mut found[at])?;
            }
        }
        start = end;
    }
    Ok(found)
}

/// The days that are left to check where the series has bars.
fn todo(task: &Task) -> Range<i64> {
    let hull = hull(task.dirty.iter());
    task.span.map_or(0..0, |span| day_of(span.0).max(hull.start)..(day_of(span.1) + DAY_NS).min(hull.end))
}

/// Puts what was found in place of what was known.
fn conclude(view: &View, task: &Task, found: Scanned, setup: &Setup) -> Result<Outcome> {
    let mut checked = task.known.clone();
    let dirty = |day: &Day| task.dirty.iter().any(|range| range.contains(&day.day_ns));
    let mut known_days = days(view, &checked, hull(task.dirty.iter()))?;
    known_days.retain(dirty);
    let old: Tally = known_days.iter().map(|day| day.tally).sum();
    let new: Tally = found.days.iter().map(|day| day.tally).sum();
    checked.tally = checked.tally.without(old) + new;
    checked.version = view.version();
    checked.definition.clone_from(&task.definition);
    checked.last_ns = task.span.map_or(0, |span| span.1);
    checked.checked_ns = setup.now_ns;
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
