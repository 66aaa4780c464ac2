//! The gap index: what is covered, what is missing, what is known to be absent.
//!
//! Everything here is computed from the runs of the layers and from marks; no column is read. Of a layer that a
//! version sees only in part, the times and versions of its rows are read, nothing else.

use std::ops::Range;

use tapestore_format::coverage::{Coverage, Run};
use tapestore_format::rows::MarkKind;
use tapestore_format::segment::System;
use tapestore_format::time::Timeframe;

use crate::cache::BlockCache;
use crate::error::Result;
use crate::layer::covered;
use crate::scan::Scan;
use crate::state::{Layer, SeriesState};

/// A stretch of expected bars that are not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Open time of the first missing bar, nanoseconds since the Unix epoch, UTC.
    pub start: i64,
    /// Where the last missing bar ends, exclusive.
    pub end: i64,
    /// Number of missing bars.
    pub missing: u64,
}

/// The covered slots in `[slots.start, slots.end)` at a version. `O(log runs)` per layer, and the runs in the range.
pub(crate) fn coverage(
    series: &SeriesState,
    cache: &BlockCache,
    version: u64,
    timeframe: Timeframe,
    slots: &Range<i64>,
) -> Result<Coverage> {
    let mut result = Coverage::default();
    let mut on_grid = true;
    for layer in &series.layers {
        if layer.low() > version {
            continue;
        }
        if layer.high() > version {
            return exact_coverage(series, cache, version, timeframe, slots);
        }
        for mark in layer.marks()?.iter().filter(|mark| mark.kind == MarkKind::Delete) {
            let deleted = slots_in(timeframe, &(mark.start..mark.end));
            let cut: Coverage = [Run { start: deleted.start, end: deleted.end }].into_iter().collect();
            // A deletion may leave part of a slot whose bar stands off the grid: then the rows decide.
            if !on_grid {
                return exact_coverage(series, cache, version, timeframe, slots);
            }
            result = result.minus(&cut);
        }
        let own = match layer {
            Layer::Mem(layer) => {
                on_grid &= layer.on_grid(timeframe);
                layer.coverage(timeframe).within(slots.start, slots.end).collect()
            }
            Layer::Part(part) => {
                on_grid &= part.index()?.on_grid;
                part.coverage_within(slots.start, slots.end)?
            }
        };
        result = if result.runs().is_empty() { own } else { result.union(&own) };
    }
    Ok(result)
}

/// The same from the times of the visible rows.
fn exact_coverage(
    series: &SeriesState,
    cache: &BlockCache,
    version: u64,
    timeframe: Timeframe,
    slots: &Range<i64>,
) -> Result<Coverage> {
    let scan = Scan { cache, series, version, columns: Vec::new(), system: System::TIME };
    let rows = scan.collect(&(timeframe.slot_start(slots.start)..timeframe.slot_start(slots.end)))?;
    Ok(covered(&rows.time, timeframe))
}

/// The confirmed absences at a version, sorted and disjoint.
pub(crate) fn absences(series: &SeriesState, version: u64) -> Result<Vec<Range<i64>>> {
    let mut marks = Vec::new();
    for layer in &series.layers {
        let kinds =
            layer.marks()?.iter().filter(|mark| mark.kind != MarkKind::Delete && mark.version <= version);
        marks.extend(kinds.copied());
    }
    let mut result = Coverage::default();
    // Marks of one kind that follow one another are put together first: there may be one for every bar.
    for marks in marks.chunk_by(|a, b| a.kind == b.kind) {
        let mut runs: Vec<Run> = marks.iter().map(|mark| Run { start: mark.start, end: mark.end }).collect();
        runs.sort_unstable_by_key(|run| (run.start, run.end));
        let ranges: Coverage = runs.into_iter().collect();
        result =
            if marks[0].kind == MarkKind::Absent { result.union(&ranges) } else { result.minus(&ranges) };
    }
    Ok(result.runs().iter().map(|run| run.start..run.end).collect())
}

/// The pieces of sorted disjoint ranges that lie in `range`.
pub(crate) fn clip<'a>(
    ranges: &'a [Range<i64>],
    range: &'a Range<i64>,
) -> impl Iterator<Item = Range<i64>> + 'a {
    let first = ranges.partition_point(|piece| piece.end <= range.start);
    ranges[first..]
        .iter()
        .take_while(|piece| piece.start < range.end)
        .map(|piece| piece.start.max(range.start)..piece.end.min(range.end))
        .filter(|piece| !piece.is_empty())
}

/// The slots that begin in a range of times.
pub(crate) fn slots_in(timeframe: Timeframe, range: &Range<i64>) -> Range<i64> {
    let ceil = |time: i64| {
        let slot = timeframe.slot(time);
        if timeframe.slot_start(slot) < time { slot + 1 } else { slot }
    };
    let start = ceil(range.start.max(tapestore_format::limits::TIME_MIN));
    let end = ceil(range.end.min(tapestore_format::limits::TIME_MAX + 1));
    start..end.max(start)
}

/// The expected slots of `slots` that are neither covered nor confirmed absent, as gaps in order.
pub(crate) fn missing(
    timeframe: Timeframe,
    slots: &Range<i64>,
    covered: &Coverage,
    absent: &[Range<i64>],
    out: &mut Vec<Gap>,
) {
    let expected: Coverage = [Run { start: slots.start, end: slots.end }].into_iter().collect();
    let mut open = expected.minus(covered);
    if !absent.is_empty() {
        let absent: Coverage = absent
            .iter()
            .map(|range| slots_in(timeframe, range))
            .map(|slots| Run { start: slots.start, end: slots.end })
            .collect();
        open = open.minus(&absent);
    }
    for run in open.runs() {
        let (start, end) = (timeframe.slot_start(run.start), timeframe.slot_start(run.end));
        match out.last_mut() {
            Some(last) if last.end == start => {
                last.end = end;
                last.missing += run.slots();
            }
            _ => out.push(Gap { start, end, missing: run.slots() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::time::MINUTE_NS;

    #[test]
    fn gaps_are_expected_minus_covered_minus_absent() {
        let covered: Coverage = [Run { start: 2, end: 4 }, Run { start: 6, end: 7 }].into_iter().collect();
        let absent = [4 * MINUTE_NS..5 * MINUTE_NS];
        let mut gaps = Vec::new();
        missing(Timeframe::M1, &(0..9), &covered, &absent, &mut gaps);
        let minutes: Vec<_> =
            gaps.iter().map(|gap| (gap.start / MINUTE_NS, gap.end / MINUTE_NS, gap.missing)).collect();
        assert_eq!(minutes, [(0, 2, 2), (5, 6, 1), (7, 9, 2)]);
    }

    #[test]
    fn a_slot_belongs_to_a_range_if_it_begins_in_it() {
        assert_eq!(slots_in(Timeframe::M1, &(1..MINUTE_NS)), 1..1);
        assert_eq!(slots_in(Timeframe::M1, &(0..MINUTE_NS + 1)), 0..2);
        assert_eq!(slots_in(Timeframe::M1, &(-1..1)), 0..1);
    }
}
