//! `tape gaps` and `coverage`: answers from the gap index. No column is read.

use std::io::Write;
use std::ops::Range;
use std::path::Path;

use tapestore::{Gap, SeriesInfo, SeriesKey, View};
use tapestore_calendar::{Cut, Need, Question};
use tapestore_format::coverage::Run;
use tapestore_format::time::Timeframe;

use super::calendar::expected_of;
use super::{Context, covered, is_whole, range, series, timeframe};
use crate::args::{Coverage, Gaps, Series, Span};
use crate::calendar::brief;
use crate::fail::{Fail, Result};
use crate::number::{grouped, push_i64};
use crate::output::json::Object;
use crate::output::strip::{percent, strip};
use crate::output::table::{Side, Table};
use crate::output::{Out, note};
use crate::when::{now_ns, parse_time};

/// Cells of the strip in `coverage`.
const STRIP_CELLS: usize = 64;
/// Gaps or ranges that a table shows unless told otherwise.
const TABLE_ROWS: usize = 100;

/// The range asked for; an end that is not given is that of the series. `None`: from the first bar to the last.
fn asked(span: &Span, info: &SeriesInfo, timeframe: Timeframe) -> Result<Option<Range<i64>>> {
    if is_whole(span) {
        return Ok(None);
    }
    let mut range = range(span)?;
    if range.start == i64::MIN {
        range.start = info.first_ns.unwrap_or(0).min(range.end);
    }
    if range.end == i64::MAX {
        let after = info.last_ns.map_or(0, |last| timeframe.slot_start(timeframe.slot(last) + 1));
        range.end = after.max(range.start);
    }
    Ok(Some(range))
}

/// Runs `tape gaps`.
pub(crate) fn gaps(context: &Context, arguments: &Gaps) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    let (key, info) = series(&view, &arguments.series)?;
    let timeframe = timeframe(&key)?;
    let range = asked(&arguments.span, &info, timeframe)?;
    let gaps = match (&arguments.sessions, &arguments.calendar) {
        (Some(path), _) => view.gaps_in_sessions(&key, &read_sessions(path)?)?,
        (None, Some(exchange)) => {
            let range =
                range.or_else(|| Some(info.first_ns?..info.last_ns?.saturating_add(1))).unwrap_or(0..0);
            expected_gaps(&view, &key, exchange, range, arguments)?
        }
        (None, None) => view.gaps(&key, range)?,
    };
    let machine = context.json || arguments.csv;
    let limit = arguments.limit.unwrap_or(if machine { usize::MAX } else { TABLE_ROWS });
    let mut out = Out::stdout();
    if arguments.csv && !context.json {
        writeln!(out, "start,end,missing")?;
    }
    let mut table = Table::new([("from", Side::Left), ("to", Side::Left), ("missing", Side::Right)]);
    let mut line = Vec::new();
    for gap in gaps.iter().take(limit) {
        if context.json {
            let object =
                Object::new().int("start", gap.start).int("end", gap.end).count("missing", gap.missing);
            out.write_all(&object.line())?;
        } else if arguments.csv {
            line.clear();
            push_i64(&mut line, gap.start);
            line.push(b',');
            push_i64(&mut line, gap.end);
            line.push(b',');
            push_i64(&mut line, gap.missing as i64);
            line.push(b'\n');
            out.write_all(&line)?;
        } else {
            table.row([brief(gap.start), brief(gap.end), grouped(gap.missing)]);
        }
    }
    if !machine {
        if !table.is_empty() {
            table.write(&mut out)?;
        }
        let missing: u64 = gaps.iter().map(|gap| gap.missing).sum();
        let shown = gaps.len().min(limit);
        let part =
            if shown < gaps.len() { format!(" ({} shown)", grouped(shown as u64)) } else { String::new() };
        writeln!(out, "{} gaps{part}, {} missing bars", grouped(gaps.len() as u64), grouped(missing))?;
    }
    out.finish()
}

/// The bars that are missing by an exchange's calendar, the instrument's listing and its halts.
fn expected_gaps(
    view: &View,
    key: &SeriesKey,
    exchange: &str,
    range: Range<i64>,
    arguments: &Gaps,
) -> Result<Vec<Gap>> {
    let timeframe = timeframe(key)?;
    let cut = if arguments.clock { Cut::Clock } else { Cut::Session };
    let need = if arguments.seldom { Need::EveryDay } else { Need::EveryBar };
    let asked = Question { cut, ..Question::new(timeframe, range.clone()) };
    let expected = expected_of(view, key.instrument(), exchange, &asked)?;
    // A bar whose slot begins before the range may start in it.
    let from = timeframe.slot_start(timeframe.slot(range.start));
    let covered = view.coverage(key, Some(from..range.end.max(from)))?;
    let needed = expected.needed(need, &covered, &view.absences(key)?);
    let gap = |run: Run| Gap {
        start: timeframe.slot_start(run.start),
        end: timeframe.slot_start(run.end),
        missing: run.slots(),
    };
    Ok(needed.missing(&covered).into_iter().map(gap).collect())
}

/// Sessions from a file: half-open ranges, sorted here.
pub(super) fn read_sessions(path: &Path) -> Result<Vec<Range<i64>>> {
    let text = std::fs::read_to_string(path).map_err(|error| Fail::file(path, "read", &error))?;
    parse_sessions(&text, &path.display().to_string(), now_ns())
}

/// Sessions as text: a line each, `start,end` in any form of [`parse_time`].
pub(crate) fn parse_sessions(text: &str, name: &str, now: i64) -> Result<Vec<Range<i64>>> {
    let mut sessions = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let bad = |what: &str| Fail::Usage(format!("{name}, line {}: {what}", index + 1));
        let (start, end) = line.split_once(',').ok_or_else(|| bad("write start,end"))?;
        let time = |text: &str| parse_time(text, now).map_err(|fail| bad(&fail.to_string()));
        let range = time(start)?..time(end)?;
        if range.is_empty() {
            return Err(bad("the session ends before it begins"));
        }
        sessions.push(range);
    }
    sessions.sort_by_key(|range| (range.start, range.end));
    Ok(sessions)
}

/// Runs `tape coverage`.
pub(crate) fn coverage(context: &Context, arguments: &Coverage) -> Result<()> {
    let (_store, view) = context.view(&arguments.state)?;
    if let (Some(instrument), Some(frame)) = (&arguments.instrument, &arguments.frame) {
        let wanted = Series { instrument: instrument.clone(), frame: frame.clone() };
        let (key, info) = series(&view, &wanted)?;
        timeframe(&key)?;
        if arguments.ranges {
            return ranges(context, arguments, &view, &key, &info);
        }
    } else if arguments.ranges {
        return Err(Fail::Usage("--ranges needs one series: tape coverage INSTRUMENT FRAME --ranges".into()));
    }
    strips(context, arguments, &view)
}

/// One series of a comparison.
struct Line {
    key: SeriesKey,
    timeframe: Timeframe,
    runs: Vec<Run>,
    /// Bars between the first and the last that are neither there nor confirmed absent.
    missing: u64,
}

fn strips(context: &Context, arguments: &Coverage, view: &View) -> Result<()> {
    let frame = match &arguments.frame {
        Some(frame) => Some(SeriesKey::new("x", frame)?.frame().clone()),
        None => None,
    };
    let mut lines = Vec::new();
    for key in view.keys() {
        let wanted = arguments.instrument.as_ref().is_none_or(|wanted| wanted == key.instrument())
            && frame.as_ref().is_none_or(|wanted| wanted == key.frame());
        let (true, Some(timeframe)) = (wanted, key.frame().timeframe()) else { continue };
        let info = view.info(&key)?;
        let runs = view.coverage(&key, asked(&arguments.span, &info, timeframe)?)?;
        let time = |slot: i64| timeframe.slot_start(slot);
        let missing = match (runs.first(), runs.last()) {
            (Some(first), Some(last)) => {
                view.completeness(&key, Some(time(first.start)..time(last.end)))?.missing
            }
            _ => 0,
        };
        lines.push(Line { key, timeframe, runs, missing });
    }
    if lines.is_empty() {
        note(context.quiet, "tape: there are no such bars in the store");
        return Ok(());
    }
    // One axis for all, so that strips can be compared.
    let start =
        lines.iter().filter_map(|line| Some(line.timeframe.slot_start(line.runs.first()?.start))).min();
    let end = lines.iter().filter_map(|line| Some(line.timeframe.slot_start(line.runs.last()?.end))).max();
    let (start, end) = (start.unwrap_or(0), end.unwrap_or(0));
    let mut out = Out::stdout();
    let mut table = Table::new([
        ("instrument", Side::Left),
        ("frame", Side::Left),
        ("bars", Side::Right),
        ("gaps", Side::Right),
        ("missing", Side::Right),
        ("coverage", Side::Right),
        ("", Side::Left),
    ]);
    for line in &lines {
        let (bars, expected) = covered(&line.runs);
        let gaps = line.runs.len().saturating_sub(1) as u64;
        if context.json {
            let time = |slot: Option<i64>| slot.map(|slot| line.timeframe.slot_start(slot));
            let object = Object::new()
                .text("instrument", line.key.instrument())
                .text("frame", &line.key.frame().to_string())
                .maybe_int("start", time(line.runs.first().map(|run| run.start)))
                .maybe_int("end", time(line.runs.last().map(|run| run.end)))
                .count("bars", bars)
                .count("expected", expected)
                .count("missing", line.missing)
                .count("ranges", line.runs.len() as u64);
            out.write_all(&object.line())?;
            continue;
        }
        let (first, last) = (line.timeframe.slot(start), line.timeframe.slot(end - 1) + 1);
        table.row([
            line.key.instrument().to_owned(),
            line.key.frame().to_string(),
            grouped(bars),
            grouped(gaps),
            grouped(line.missing),
            percent(bars, expected),
            strip(&line.runs, first, last, STRIP_CELLS),
        ]);
    }
    if !context.json {
        table.write(&mut out)?;
        writeln!(out, "strip from {} to {}; █ all bars, · none", brief(start), brief(end))?;
    }
    out.finish()
}

fn ranges(
    context: &Context,
    arguments: &Coverage,
    view: &View,
    key: &SeriesKey,
    info: &SeriesInfo,
) -> Result<()> {
    let timeframe = timeframe(key)?;
    let runs = view.coverage(key, asked(&arguments.span, info, timeframe)?)?;
    let limit = arguments.limit.unwrap_or(if context.json { usize::MAX } else { TABLE_ROWS });
    let mut out = Out::stdout();
    let mut table = Table::new([("from", Side::Left), ("to", Side::Left), ("bars", Side::Right)]);
    for run in runs.iter().take(limit) {
        let (start, end) = (timeframe.slot_start(run.start), timeframe.slot_start(run.end));
        if context.json {
            out.write_all(
                &Object::new().int("start", start).int("end", end).count("bars", run.slots()).line(),
            )?;
        } else {
            table.row([brief(start), brief(end), grouped(run.slots())]);
        }
    }
    if !context.json {
        table.write(&mut out)?;
        let (bars, _) = covered(&runs);
        writeln!(out, "{} ranges, {} bars", grouped(runs.len() as u64), grouped(bars))?;
    }
    out.finish()
}
