//! One pass over days of a series: marks of every bar, what is counted per day, and findings.
//!
//! # Invariants
//! - Q1. What is marked in a day depends on the bars of the days before it as far as [`Reach`] tells and on as many bars
//!   after it: a pass over some days gives for them what a pass over all gives.
//! - Q2. A finding lies within one day.

use std::ops::Range;

use tapestore::time::{DAY_NS, Timeframe};
use tapestore::{Rows, SeriesKey, View, flags};

use crate::bars::{Bars, COLUMNS, mark_bars};
use crate::error::Result;
use crate::expected::Expected;
use crate::finding::{Finding, FindingState};
use crate::ledger::Day;
use crate::rule::{Dimension, Rule, Severity};
use crate::rules::Rules;
use crate::score::Tally;

/// Findings of one rule on one day beyond which the rest is told by one.
const FINDINGS_A_DAY: usize = 32;
/// Bars that are read in one piece, about.
const PIECE_ROWS: i64 = 800_000;

/// How far a bar is looked at from others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    /// Bars before and after.
    pub(crate) rows: usize,
    /// Nanoseconds before.
    pub(crate) time_ns: i64,
}

/// The reach of the rules in a timeframe.
pub(crate) fn reach(timeframe: Timeframe, has_sessions: bool) -> Reach {
    match timeframe.step_ns().filter(|step| *step < DAY_NS) {
        // Twenty sessions are four weeks where markets close at weekends.
        Some(_) => Reach { rows: 256, time_ns: (if has_sessions { 28 } else { 20 }) * DAY_NS },
        None => Reach { rows: 64, time_ns: 0 },
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
}

/// What a pass found.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) days: Vec<Day>,
    pub(crate) findings: Vec<Finding>,
    /// Bars that were looked at.
    pub(crate) bars: u64,
}

/// Buffers of a pass, used again.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    rows: Rows,
    marks: Vec<u32>,
    slots: Vec<i64>,
}

pub(crate) fn day_of(time: i64) -> i64 {
    time.div_euclid(DAY_NS) * DAY_NS
}

/// Checks the days from `days.start` to before `days.end`, both midnights, as far as they lie in the span of the series.
pub(crate) fn scan(subject: &Subject<'_>, days: &Range<i64>, scratch: &mut Scratch) -> Result<Scanned> {
    let mut out = Scanned::default();
    let (first, last) = (day_of(subject.span.0), day_of(subject.span.1) + DAY_NS);
    let per_day = subject.timeframe.step_ns().map_or(1, |step| (DAY_NS / step).max(1));
    let piece = (PIECE_ROWS / per_day).max(1) * DAY_NS;
    let mut start = days.start.max(first);
    while start < days.end.min(last) {
        let end = days.end.min(last).min(start.saturating_add(piece));
        scan_piece(subject, &(start..end), scratch, &mut out)?;
        start = end;
    }
    Ok(out)
}

fn scan_piece(
    subject: &Subject<'_>,
    days: &Range<i64>,
    scratch: &mut Scratch,
    out: &mut Scanned,
) -> Result<()> {
    let Scratch { rows, marks, slots } = scratch;
    read_around(subject, days, rows)?;
    let Some(bars) = Bars::of(rows) else { return Ok(()) };
    marks.clear();
    marks.resize(bars.len(), 0);
    mark_bars(&bars, subject.timeframe.step_ns(), subject.rules, marks);
    let mut day = days.start;
    let mut row = bars.time.partition_point(|time| *time < day);
    while day < days.end {
        let end = row + bars.time[row..].partition_point(|time| *time < day + DAY_NS);
        out.bars += (end - row) as u64;
        count_day(subject, &bars, row..end, day, marks, slots, out);
        (row, day) = (end, day + DAY_NS);
    }
    Ok(())
}

/// Reads days and what is around them as far as rules look.
fn read_around(subject: &Subject<'_>, days: &Range<i64>, rows: &mut Rows) -> Result<()> {
    let Subject { view, key, .. } = subject;
    let reach = reach(subject.timeframe, subject.expected.sessions.is_some());
    let before = view.read(key).columns(&[]).range(i64::MIN..days.start).last(reach.rows)?;
    let after = view.read(key).columns(&[]).range(days.end..i64::MAX).first(reach.rows)?;
    let from = before.time().first().map_or(days.start, |time| (*time).min(days.start - reach.time_ns));
    let to = after.time().last().map_or(days.end, |time| time + 1);
    let schema = view.schema(key)?;
    let columns: Vec<&str> = COLUMNS.into_iter().filter(|name| schema.column(name).is_some()).collect();
    Ok(view.read(key).columns(&columns).range(from..to).provenance().rows_into(rows)?)
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
    let within = day.max(subject.span.0)..(day + DAY_NS).min(subject.span.1.saturating_add(1));
    subject.expected.slots(subject.timeframe, &within, slots);
    let mut tally = Tally { expected: slots.len() as u64, ..Tally::default() };
    let mut holes: Vec<(Range<i64>, u64)> = Vec::new();
    let mut next = 0;
    let mut made_up = 0;
    let synthetic = bars.any_synthetic();
    for row in rows.clone() {
        let time = bars.time[row];
        let from = next;
        while next < slots.len() && slots[next] < time {
            next += 1;
        }
        hole(subject.timeframe, &slots[from..next], &mut holes);
        let is_expected = slots.get(next) == Some(&time);
        next += usize::from(is_expected);
        if synthetic && bars.flags().get(row) & flags::SYNTHETIC != 0 {
            marks[row] |= Rule::Synthetic.bit();
            made_up += 1;
        } else if is_expected {
            tally.present += 1;
        } else if subject.timeframe.on_grid(time) {
            // A bar where the source said there was none is there all the same.
            marks[row] |= Rule::Outside.bit();
        } else {
            marks[row] |= Rule::Grid.bit();
        }
    }
    hole(subject.timeframe, &slots[next..], &mut holes);
    tally.synthetic = made_up;
    judge(subject, bars, rows.clone(), marks, &mut tally);
    tell_missing(subject, day, holes, out);
    tell(subject, bars, rows, marks, out);
    out.days.push(Day { day_ns: day, tally });
}

fn hole(timeframe: Timeframe, slots: &[i64], holes: &mut Vec<(Range<i64>, u64)>) {
    if let (Some(first), Some(last)) = (slots.first(), slots.last()) {
        let end = timeframe.slot_start(timeframe.slot(*last) + 1).max(last + 1);
        holes.push((*first..end, slots.len() as u64));
    }
}

/// Counts the marks of a day.
fn judge(subject: &Subject<'_>, bars: &Bars<'_>, rows: Range<usize>, marks: &[u32], tally: &mut Tally) {
    let (invalid, inconsistent) =
        (Rule::spoiling(Dimension::Validity), Rule::spoiling(Dimension::Consistency));
    let inaccurate = Rule::spoiling(Dimension::Accuracy);
    let absent = Rule::Synthetic.bit() | Rule::Outside.bit() | Rule::Grid.bit();
    tally.usable = tally.present;
    for row in rows {
        let mut bits = marks[row];
        if bits == 0 {
            continue;
        }
        for (rule, range) in subject.accepted {
            if range.contains(&bars.time[row]) {
                bits &= !rule.bit();
            }
        }
        if bits & Rule::Outside.bit() != 0 {
            tally.outside += 1;
        }
        if bits & absent != 0 {
            continue;
        }
        let broken = [invalid, inconsistent, inaccurate].map(|of| u64::from(bits & of != 0));
        tally.invalid += broken[0];
        tally.inconsistent += broken[1];
        tally.inaccurate += broken[2];
        let spoiled = broken.iter().sum::<u64>() > 0;
        tally.usable -= u64::from(spoiled);
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

/// Findings of the marks of one day: bars that follow one another and break the same rule are one.
fn tell(subject: &Subject<'_>, bars: &Bars<'_>, rows: Range<usize>, marks: &[u32], out: &mut Scanned) {
    let all = marks[rows.clone()].iter().fold(0, |all, bits| all | bits);
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
            let end = subject.timeframe.slot_start(subject.timeframe.slot(last) + 1);
            let text = evidence(bars, rule, &found);
            let range = bars.time[group.start]..end.max(last + 1);
            out.findings.push(finding(subject, rule, range, found.len() as u64, text));
        }
    }
}

/// What is seen of a rule, in words and numbers: the first bar of a group.
fn evidence(bars: &Bars<'_>, rule: Rule, found: &[usize]) -> String {
    let row = found[0];
    let (o, h, l, c) = (bars.open[row], bars.high[row], bars.low[row], bars.close[row]);
    let volume = bars.volume.map_or(String::new(), |volume| format!(", volume {}", volume[row]));
    let first = match rule {
        Rule::Synthetic => format!("close {c} was made up"),
        Rule::Outside => "no session is open".to_owned(),
        Rule::Grid => "the bar opens between two bars of its timeframe".to_owned(),
        _ => format!("open {o}, high {h}, low {l}, close {c}{volume}"),
    };
    if found.len() == 1 { first } else { format!("{} bars; the first: {first}", found.len()) }
}
