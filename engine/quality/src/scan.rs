//! One pass over days of a series: marks of every bar, what is counted per day, and findings.
//!
//! # Invariants
//! - Q1. What is marked in a day depends on the bars of the days before it as far as [`Reach`] tells and on as many bars
//!   after it: a pass over some days gives for them what a pass over all gives.
//! - Q2. A finding lies within one day.

use std::ops::Range;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Rows, Run, SeriesKey, View, flags};

use crate::activity::Activity;
use crate::bars::{Bars, COLUMNS, mark_bars};
use crate::coarser::{Finer, Measure, end_of, mark_coarser};
use crate::error::Result;
use crate::evidence::evidence;
use crate::expected::Expected;
use crate::finding::{Finding, FindingState};
use crate::ledger::Day;
use crate::repeated::Repeats;
use crate::returns::{Buffers, mark_outliers, mark_units, simple_returns};
use crate::rule::{Dimension, Rule, Severity};
use crate::rules::Rules;
use crate::score::Tally;
use crate::shifted::{mark_by_ends, mark_by_sessions};
use crate::still::{Stillness, drop_repeats, mark_stale};
use crate::wide::is_run;

/// Findings of one rule on one day beyond which the rest is told by one.
const FINDINGS_A_DAY: usize = 32;
/// Bars that are read in one piece, about.
const PIECE_ROWS: i64 = 800_000;

/// How far a bar is looked at from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Bars before and after.
    pub(crate) rows: usize,
    /// Days before.
    pub(crate) days: i64,
    /// Longest stretch of bars in a wrong unit.
    pub(crate) unit: usize,
}

/// The reach of the rules in a timeframe.
pub(crate) fn reach(timeframe: Timeframe, has_sessions: bool) -> Reach {
    match timeframe.step_ns().filter(|step| *step < DAY_NS) {
        // Twenty sessions are four weeks where markets close at weekends.
        Some(_) => Reach { rows: 512, days: if has_sessions { 28 } else { 20 }, unit: 240 },
        None => Reach { rows: 128, days: 0, unit: 60 },
    }
}

/// What a series is checked by.
#[derive(Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) view: &'a View,
    pub(crate) key: &'a SeriesKey,
    pub(crate) timeframe: Timeframe,
    pub(crate) expected: &'a Expected,
    pub(crate) rules: &'a Rules,
    /// Ranges that were accepted as real, with their rule.
    pub(crate) accepted: &'a [(Rule, Range<i64>)],
    /// Open times of the first and the last bar.
    pub(crate) span: (i64, i64),
    pub(crate) now_ns: i64,
    /// The finest bars of the same instrument, if these are coarser, and what is expected of them.
    pub(crate) fine: Option<(&'a SeriesKey, &'a Expected)>,
}

/// What a pass found.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) days: Vec<Day>,
    pub(crate) findings: Vec<Finding>,
    /// Bars that were looked at.
    pub(crate) bars: u64,
    /// If they are asked for: bars that are missing or break a rule, by open time, with the bits of the rules.
    pub(crate) bad: Option<Vec<(i64, u32)>>,
}

/// Buffers of a pass, used again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    rows: Rows,
    marks: Vec<u32>,
    slots: Vec<i64>,
    returns: Vec<f64>,
    buffers: Buffers,
    fine: Fine,
}

/// Finer bars that were read last: coarser ones of the same instrument follow.
#[derive(Debug, Default)]
struct Fine {
    key: Option<SeriesKey>,
    range: Range<i64>,
    rows: Rows,
}

pub(crate) fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY_NS) * DAY_NS
}

/// Days that are read in one piece, about, of bars of a timeframe.
pub(crate) fn piece_ns(timeframe: Timeframe) -> i64 {
    let per_day = timeframe.step_ns().map_or(1, |step| (DAY_NS / step).max(1));
    (PIECE_ROWS / per_day).clamp(1, 40_000) * DAY_NS
}

/// Checks the days from `days.start` to before `days.end`, both midnights, as far as they lie in the span of the series.
pub(crate) fn scan(
    subject: &Subject<'_>,
    days: &Range<i64>,
    scratch: &mut Scratch,
    out: &mut Scanned,
) -> Result<()> {
    let days = days.start.max(day_of(subject.span.0))..days.end.min(day_of(subject.span.1) + DAY_NS);
    if days.is_empty() {
        return Ok(());
    }
    let read = read_around(subject, &days, &mut scratch.rows)?;
    if let Some((key, _)) = subject.fine {
        read_fine(subject.view, key, &days, &mut scratch.fine)?;
    }
    let Scratch { rows, marks, slots, returns, buffers, fine } = &mut *scratch;
    let Some(bars) = Bars::of(rows) else { return Ok(()) };
    marks.clear();
    marks.resize(bars.len(), 0);
    buffers.forget();
    let (step, reach) =
        (subject.timeframe.step_ns(), reach(subject.timeframe, subject.expected.has_market()));
    let adjoining = step.filter(|step| *step < DAY_NS);
    simple_returns(&bars, adjoining, returns);
    mark_units(&bars, returns, reach.unit, marks);
    drop_repeats(&bars, returns);
    let rows_of = |time: i64| bars.time.partition_point(|at| *at < time);
    let judged = rows_of(days.start)..rows_of(days.end);
    mark_bars(&bars, judged.clone(), subject.timeframe, subject.rules, marks);
    mark_outliers(&bars, returns, judged.clone(), subject.rules, buffers, marks);
    mark_stale(&bars, adjoining, judged.clone(), subject.rules, marks);
    if let (Some((_, expected)), Some(fine)) = (subject.fine, Bars::of(&fine.rows)) {
        let by_sessions = subject.expected.has_market() && subject.timeframe >= Timeframe::D1;
        let measure = if by_sessions { Measure::Within } else { Measure::Equal };
        let finer = Finer { bars: fine, expected, measure };
        mark_coarser(&bars, judged, subject.timeframe, &finer, subject.rules, marks);
    }
    let mut past = Past::new(adjoining, reach.days as usize);
    let mut day = days.start - reach.days * DAY_NS;
    let mut row = bars.time.partition_point(|time| *time < day);
    while day < days.end {
        let end = row + bars.time[row..].partition_point(|time| *time < day + DAY_NS);
        let here = row..end;
        (row, day) = (end, day + DAY_NS);
        if day <= days.start {
            past.day(subject, &bars, here, day - DAY_NS, None);
            continue;
        }
        out.bars += here.len() as u64;
        past.day(subject, &bars, here.clone(), day - DAY_NS, Some(marks));
        count_day(subject, &bars, here, day - DAY_NS, marks, slots, out);
    }
    // Coarser bars of the same instrument come next.
    let whole = Some(subject.key) != scratch.fine.key.as_ref() && subject.fine.is_none();
    if whole {
        std::mem::swap(&mut scratch.fine.rows, &mut scratch.rows);
        (scratch.fine.key, scratch.fine.range) = (Some(subject.key.clone()), read);
    }
    Ok(())
}

/// What is remembered of the days before one.
struct Past {
    activity: Option<Activity>,
    stillness: Option<Stillness>,
    repeats: Repeats,
    window: usize,
}

impl Past {
    fn new(step_ns: Option<i64>, window: usize) -> Self {
        Self {
            activity: Activity::new(step_ns, window),
            stillness: step_ns.map(|_| Stillness::new(window)),
            repeats: Repeats::default(),
            window,
        }
    }

    /// Marks a day by those before it, if it is to be marked, and remembers it.
    fn day(
        &mut self,
        subject: &Subject<'_>,
        bars: &Bars<'_>,
        rows: Range<usize>,
        day: i64,
        marks: Option<&mut Vec<u32>>,
    ) {
        let mut marks = marks.map(Vec::as_mut_slice);
        if let Some(activity) = &mut self.activity {
            activity.day(
                bars,
                rows.clone(),
                subject.expected.offset_ns(day + DAY_NS / 2),
                subject.rules,
                marks.as_deref_mut(),
            );
        }
        if let Some(stillness) = &mut self.stillness {
            stillness.day(bars, rows.clone(), subject.rules, marks.as_deref_mut());
            self.repeats.day(bars, rows, self.window, subject.rules, marks);
        }
    }
}

fn read_fine(view: &View, key: &SeriesKey, days: &Range<i64>, fine: &mut Fine) -> Result<()> {
    let there =
        fine.key.as_ref() == Some(key) && fine.range.start <= days.start && days.end <= fine.range.end;
    if !there {
        let names = ["open", "high", "low", "close", "volume"];
        let schema = view.schema(key)?;
        let columns: Vec<&str> = names.into_iter().filter(|name| schema.column(name).is_some()).collect();
        view.read(key).columns(&columns).range(days.clone()).rows_into(&mut fine.rows)?;
        (fine.key, fine.range) = (Some(key.clone()), days.clone());
    }
    Ok(())
}

/// Reads days and what is around them as far as rules look; which times were read.
fn read_around(subject: &Subject<'_>, days: &Range<i64>, rows: &mut Rows) -> Result<Range<i64>> {
    let Subject { view, key, .. } = subject;
    let reach = reach(subject.timeframe, subject.expected.has_market());
    let start = days.start - reach.days * DAY_NS;
    let before = view.read(key).columns(&[]).range(i64::MIN..days.start).last(reach.rows)?;
    let after = view.read(key).columns(&[]).range(days.end..i64::MAX).first(reach.rows)?;
    let from = before.time().first().map_or(start, |time| (*time).min(start));
    let to = after.time().last().map_or(days.end, |time| time + 1);
    let schema = view.schema(key)?;
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|name| schema.column(name).is_some()).collect();
    view.read(key).columns(&columns).range(from..to).provenance().rows_into(rows)?;
    Ok(from..to)
}

/// Counts one day and tells what was found.
fn count_day(
    subject: &Subject<'_>,
    bars: &Bars<'_>,
    rows: Range<usize>,
    day: i64,
    marks: &mut [u32],
    slots: &mut Vec<i64>,
    out: &mut Scanned,
) {
    // Before the first bar and after the last none is expected: how late the last is, the lag tells.
    let first = subject.timeframe.slot_start(subject.timeframe.slot(subject.span.0));
    let within = day.max(first)..(day + DAY_NS).min(subject.span.1.saturating_add(1));
    let runs: Vec<Run> = subject.expected.slots(&within).collect();
    let mut tally = Tally { expected: runs.iter().map(Run::slots).sum(), ..Tally::default() };
    let synthetic = bars.any_synthetic();
    let mut holes = Vec::new();
    if tally.expected == rows.len() as u64 && !synthetic && is_whole(subject, &bars.time[rows.clone()], &runs)
    {
        tally.present = tally.expected;
    } else {
        slots.clear();
        slots.extend(runs.iter().flat_map(|run| run.start..run.end));
        holes = match_slots(subject, bars, rows.clone(), marks, slots, &mut tally);
    }
    if subject.expected.has_market() {
        mark_by_sessions(rows.clone(), &tally, marks);
    } else if let Some(step) = subject.timeframe.step_ns().filter(|_| !holes.is_empty()) {
        mark_by_ends(bars, rows.clone(), day, step, marks);
    }
    tally.usable = tally.present;
    let all = marks[rows.clone()].iter().fold(0, |all, bits| all | bits);
    if all != 0 {
        judge(subject, bars, rows.clone(), marks, &mut tally);
    }
    if let Some(bad) = &mut out.bad {
        collect(subject, bars, rows.clone(), marks, &holes, bad);
    }
    tell_missing(subject, day, holes, out);
    tell(subject, bars, rows, marks, all, out);
    out.days.push(Day { day_ns: day, tally });
}

/// Whether bars stand in one run of slots without a hole, each where it may open.
fn is_whole(subject: &Subject<'_>, time: &[i64], runs: &[Run]) -> bool {
    let ([run], Some(step), Some(first)) = (runs, subject.timeframe.step_ns(), time.first()) else {
        return time.is_empty() && runs.is_empty();
    };
    *first == subject.timeframe.slot_start(run.start) && is_run(time, step)
}

/// Holds bars against expected slots; what is missing, as ranges of time with their number of bars.
fn match_slots(
    subject: &Subject<'_>,
    bars: &Bars<'_>,
    rows: Range<usize>,
    marks: &mut [u32],
    slots: &[i64],
    tally: &mut Tally,
) -> Vec<(Range<i64>, u64)> {
    let mut holes = Vec::new();
    let mut next = 0;
    for row in rows {
        let time = bars.time[row];
        let slot = subject.timeframe.slot(time);
        let from = next;
        while next < slots.len() && slots[next] < slot {
            next += 1;
        }
        hole(subject.timeframe, &slots[from..next], &mut holes);
        let mut is_expected = slots.get(next) == Some(&slot);
        next += usize::from(is_expected);
        if bars.flags().get(row) & flags::SYNTHETIC != 0 {
            marks[row] |= Rule::Synthetic.bit();
            tally.synthetic += 1;
            continue;
        }
        if !is_expected && subject.expected.is_absent(time) {
            // The source said that there was none, and gave it later.
            is_expected = true;
            tally.expected += 1;
        }
        if !subject.expected.may_open(time) {
            marks[row] |= Rule::Grid.bit();
        } else if is_expected {
            tally.present += 1;
        } else if !subject.expected.is_allowed(slot) {
            marks[row] |= Rule::Outside.bit();
            tally.outside += 1;
        }
    }
    hole(subject.timeframe, &slots[next..], &mut holes);
    holes
}

fn hole(timeframe: Timeframe, slots: &[i64], holes: &mut Vec<(Range<i64>, u64)>) {
    // Slots of different sessions are no hole of one piece.
    for run in slots.chunk_by(|a, b| a + 1 == *b) {
        holes.push((
            timeframe.slot_start(run[0])..timeframe.slot_start(run[run.len() - 1] + 1),
            run.len() as u64,
        ));
    }
}

/// Notes the bars of a day that are missing, or marked and not accepted.
fn collect(
    subject: &Subject<'_>,
    bars: &Bars<'_>,
    rows: Range<usize>,
    marks: &[u32],
    holes: &[(Range<i64>, u64)],
    bad: &mut Vec<(i64, u32)>,
) {
    let from = bad.len();
    for (hole, _) in holes {
        let slots = subject.timeframe.slot(hole.start)..subject.timeframe.slot(hole.end - 1) + 1;
        bad.extend(slots.map(|slot| (subject.timeframe.slot_start(slot), Rule::Missing.bit())));
    }
    bad.extend(
        rows.map(|row| (bars.time[row], subject.standing(bars.time[row], marks[row])))
            .filter(|bar| bar.1 != 0),
    );
    bad[from..].sort_unstable();
}

impl Subject<'_> {
    /// The marks of a bar that were not accepted.
    fn standing(&self, time: i64, bits: u32) -> u32 {
        let accepted = self.accepted.iter().filter(|(_, range)| range.contains(&time));
        accepted.fold(bits, |bits, (rule, _)| bits & !rule.bit())
    }
}

/// Counts the marks of a day.
fn judge(subject: &Subject<'_>, bars: &Bars<'_>, rows: Range<usize>, marks: &[u32], tally: &mut Tally) {
    let (invalid, inconsistent) =
        (Rule::spoiling(Dimension::Validity), Rule::spoiling(Dimension::Consistency));
    let inaccurate = Rule::spoiling(Dimension::Accuracy);
    let absent = Rule::Synthetic.bit() | Rule::Outside.bit() | Rule::Grid.bit();
    for row in rows {
        if marks[row] == 0 || marks[row] & absent != 0 {
            continue;
        }
        let bits = subject.standing(bars.time[row], marks[row]);
        let broken = [invalid, inconsistent, inaccurate].map(|of| u64::from(bits & of != 0));
        tally.invalid += broken[0];
        tally.inconsistent += broken[1];
        tally.inaccurate += broken[2];
        let spoiled = broken.iter().sum::<u64>() > 0;
        tally.usable -= u64::from(spoiled).min(tally.usable);
        tally.soft += u64::from(!spoiled && bits != 0);
    }
}

fn finding(subject: &Subject<'_>, rule: Rule, range: Range<i64>, bars: u64, evidence: String) -> Finding {
    Finding {
        key: subject.key.clone(),
        rule,
        at_ns: range.start,
        end_ns: range.end,
        worst_ns: range.start,
        bars,
        severity: rule.severity(),
        state: FindingState::Open,
        evidence,
        version: subject.view.version(),
        found_ns: subject.now_ns,
        changed_ns: subject.now_ns,
    }
}

fn tell_missing(subject: &Subject<'_>, day: i64, mut holes: Vec<(Range<i64>, u64)>, out: &mut Scanned) {
    if holes.len() > FINDINGS_A_DAY {
        let rest = holes.split_off(FINDINGS_A_DAY - 1);
        let missing = rest.iter().map(|hole| hole.1).sum();
        holes.push((rest[0].0.start..rest[rest.len() - 1].0.end, missing));
    }
    for (range, missing) in holes {
        let whole = subject.timeframe.step_ns().is_some_and(|step| {
            step < DAY_NS && range.start <= day && range.end >= day + DAY_NS && missing > 1
        });
        let text = match (missing, whole) {
            (_, true) => format!("no bar on this day: {missing} are missing"),
            (1, _) => "1 bar is missing".to_owned(),
            _ => format!("{missing} bars are missing"),
        };
        out.findings.push(finding(subject, Rule::Missing, range, missing, text));
    }
}

/// Findings of the marks of one day, among them all of `all`: bars that follow one another and break the same rule are one.
fn tell(
    subject: &Subject<'_>,
    bars: &Bars<'_>,
    rows: Range<usize>,
    marks: &[u32],
    all: u32,
    out: &mut Scanned,
) {
    for rule in Rule::ALL.iter().copied().filter(|rule| all & rule.bit() != 0) {
        let marked = |row: &usize| marks[*row] & rule.bit() != 0;
        let mut groups: Vec<Range<usize>> = Vec::new();
        for row in rows.clone().filter(marked) {
            match groups.last_mut() {
                Some(group) if group.end == row => group.end = row + 1,
                _ => groups.push(row..row + 1),
            }
        }
        // What costs nothing is told once a day.
        let most = if rule.severity() == Severity::Low { 1 } else { FINDINGS_A_DAY };
        if groups.len() > most {
            let end = groups[groups.len() - 1].end;
            groups.truncate(most);
            groups[most - 1].end = end;
        }
        for group in groups {
            let found: Vec<usize> = group.clone().filter(marked).collect();
            let last = bars.time[group.end - 1];
            let end = end_of(subject.timeframe, last);
            let text = evidence(bars, subject.timeframe, rule, &found);
            let range = bars.time[group.start]..end.max(last + 1);
            out.findings.push(finding(subject, rule, range, found.len() as u64, text));
        }
    }
}
