//! The gap index: what is covered, what is missing, what is known to be absent.
//!
//! Everything here is computed from the runs of the layers and from marks; no column is read. Of a layer that a
//! version sees only in part, the times and versions of its rows are read, nothing else.
//!
//! A range is cut where other layers take part. Where one stands alone, which is nearly everywhere, its runs are shown as
//! they stand in the file, or only counted by their anchors; only where layers overlap are their runs put together.

use std::ops::Range;

use tapestore_format::coverage::{Coverage, Run};
use tapestore_format::rows::MarkKind;
use tapestore_format::segment::{Scratch, System};
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

/// How many bars are expected in some ranges, and what is there of them. `expected = present + absent + missing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Completeness {
    /// Slots of the timeframe's grid in which a bar is expected.
    pub expected: u64,
    /// Those of them that hold a bar.
    pub present: u64,
    /// Those without a bar of which the source confirmed that there is none.
    pub absent: u64,
    /// The others: the bars of all gaps together.
    pub missing: u64,
}

/// The gap index of one series at one version.
#[derive(Clone, Copy)]
pub(crate) struct GapIndex<'a> {
    pub(crate) series: &'a SeriesState,
    pub(crate) cache: &'a BlockCache,
    pub(crate) version: u64,
    pub(crate) timeframe: Timeframe,
}

/// What covers a range of slots.
enum Covered<'a> {
    /// One layer after another, each alone in its slots.
    Layers(Vec<(Range<i64>, Alone<'a>)>),
    /// Runs that were computed from the visible rows.
    Rows(Coverage),
}

/// What covers slots in which the same layers take part.
enum Alone<'a> {
    /// One layer.
    Layer(&'a Layer),
    /// Several, put together.
    Union(Coverage),
}

impl Alone<'_> {
    /// Shows the runs within `slots`, in order.
    fn each_run(&self, timeframe: Timeframe, slots: &Range<i64>, each: impl FnMut(Run)) -> Result<()> {
        match self {
            Self::Layer(Layer::Part(part)) => return part.each_run(slots, each),
            Self::Layer(Layer::Mem(layer)) => {
                layer.coverage(timeframe).within(slots.start, slots.end).for_each(each);
            }
            Self::Union(runs) => runs.within(slots.start, slots.end).for_each(each),
        }
        Ok(())
    }

    /// How many slots within `slots` are covered.
    fn count(&self, timeframe: Timeframe, slots: &Range<i64>, scratch: &mut Scratch) -> Result<u64> {
        match self {
            Self::Layer(Layer::Part(part)) => part.slots_within(slots, scratch),
            Self::Layer(Layer::Mem(layer)) => Ok(count_runs(layer.coverage(timeframe), slots)),
            Self::Union(runs) => Ok(count_runs(runs, slots)),
        }
    }
}

fn count_runs(runs: &Coverage, slots: &Range<i64>) -> u64 {
    runs.within(slots.start, slots.end).map(|run| run.slots()).sum()
}

/// The part of `slots` that lies in `other`.
fn meet(slots: &Range<i64>, other: &Range<i64>) -> Range<i64> {
    let start = slots.start.max(other.start);
    start..slots.end.min(other.end).max(start)
}

impl<'a> GapIndex<'a> {
    /// The covered slots in a range.
    pub(crate) fn coverage(&self, slots: &Range<i64>) -> Result<Coverage> {
        let mut out = Coverage::default();
        self.each_run(&self.covered(slots)?, slots, |run| out.push_run(run))?;
        Ok(out)
    }

    /// The bars that are neither there nor confirmed absent, of those in sorted disjoint ranges of slots.
    pub(crate) fn missing(&self, expected: &[Range<i64>]) -> Result<Vec<Gap>> {
        let Some(whole) = whole(expected) else { return Ok(Vec::new()) };
        let absent = self.absent_slots()?;
        let mut holes = Holes::new(self.timeframe, expected, absent.runs(), whole.start);
        self.each_run(&self.covered(&whole)?, &whole, |run| holes.covered(run))?;
        holes.hole(holes.at, whole.end);
        Ok(holes.out)
    }

    /// The same, counted: from the counts of anchors, but where layers overlap and where absences are confirmed.
    pub(crate) fn completeness(&self, expected: &[Range<i64>]) -> Result<Completeness> {
        let Some(whole) = whole(expected) else { return Ok(Completeness::default()) };
        let (covered, absent) = (self.covered(&whole)?, self.absent_slots()?);
        let mut scratch = Scratch::pooled();
        let mut out = Completeness::default();
        for slots in expected.iter().filter(|slots| !slots.is_empty()) {
            out.expected += slots.end.abs_diff(slots.start);
            out.present += self.count(&covered, slots, &mut scratch)?;
            let absent: Vec<Run> = absent.within(slots.start, slots.end).collect();
            let (Some(first), Some(last)) = (absent.first(), absent.last()) else { continue };
            out.absent += absent.iter().map(Run::slots).sum::<u64>();
            // Absences may be as many as gaps: bars among them are not looked for one by one, but passed by in order.
            let mut rest = &absent[..];
            self.each_run(&covered, &(first.start..last.end), |run| {
                while rest.first().is_some_and(|absent| absent.end <= run.start) {
                    rest = &rest[1..];
                }
                let among = rest.iter().take_while(|absent| absent.start < run.end);
                let slots = |absent: &Run| absent.end.min(run.end).abs_diff(absent.start.max(run.start));
                out.absent = out.absent.saturating_sub(among.map(slots).sum());
            })?;
        }
        // What a damaged index counts need not fit its runs.
        out.absent = out.absent.min(out.expected.saturating_sub(out.present));
        out.missing = out.expected.saturating_sub(out.present + out.absent);
        Ok(out)
    }

    /// The confirmed absences, as slots.
    fn absent_slots(&self) -> Result<Coverage> {
        let absent = absences(self.series, self.version)?;
        let slots = absent.iter().map(|range| slots_in(self.timeframe, range));
        Ok(slots.map(|slots| Run { start: slots.start, end: slots.end }).collect())
    }

    /// Cuts a range of slots where other layers take part.
    fn covered(&self, slots: &Range<i64>) -> Result<Covered<'a>> {
        let layers = &self.series.layers;
        let seen = || layers.iter().enumerate().filter(|(_, layer)| layer.low() <= self.version);
        if seen().any(|(_, layer)| layer.high() > self.version) {
            return self.covered_by_rows(slots).map(Covered::Rows);
        }
        if let Some((_, first)) = seen().next()
            && seen().count() == 1
        {
            return Ok(Covered::Layers(vec![(slots.clone(), Alone::Layer(first))]));
        }
        if !self.all_on_grid(seen().map(|(_, layer)| layer))? {
            // A deletion may leave part of a slot whose bars stand off the grid: then the rows decide.
            if deletes_beneath(seen().map(|(_, layer)| layer))? {
                return self.covered_by_rows(slots).map(Covered::Rows);
            }
            let all: Vec<usize> = seen().map(|(index, _)| index).collect();
            return Ok(Covered::Layers(vec![(slots.clone(), Alone::Union(self.union(&all, slots)?))]));
        }
        let range = self.timeframe.slot_start(slots.start)..self.timeframe.slot_start(slots.end);
        let mut out = Vec::new();
        for interval in self.scan().intervals(&range)? {
            let slots = slots_in(self.timeframe, &(interval.start..interval.end));
            let alone = match interval.layers[..] {
                [only] => Alone::Layer(&layers[only]),
                _ => Alone::Union(self.union(&interval.layers, &slots)?),
            };
            out.push((slots, alone));
        }
        Ok(Covered::Layers(out))
    }

    fn all_on_grid(&self, mut layers: impl Iterator<Item = &'a Layer>) -> Result<bool> {
        layers.try_fold(true, |all, layer| {
            let own = match layer {
                Layer::Mem(layer) => layer.on_grid(self.timeframe),
                Layer::Part(part) => part.index()?.on_grid,
            };
            Ok(all && own)
        })
    }

    fn union(&self, layers: &[usize], slots: &Range<i64>) -> Result<Coverage> {
        let mut result = Coverage::default();
        for layer in layers {
            let mut own = Coverage::default();
            let layer = Alone::Layer(&self.series.layers[*layer]);
            layer.each_run(self.timeframe, slots, |run| own.push_run(run))?;
            result = if result.runs().is_empty() { own } else { result.union(&own) };
        }
        Ok(result)
    }

    fn scan(&self) -> Scan<'a> {
        let Self { cache, series, version, .. } = *self;
        Scan { cache, series, version, columns: Vec::new(), system: System::TIME }
    }

    /// The covered slots, from the times of the visible rows.
    fn covered_by_rows(&self, slots: &Range<i64>) -> Result<Coverage> {
        let timeframe = self.timeframe;
        let rows =
            self.scan().collect(&(timeframe.slot_start(slots.start)..timeframe.slot_start(slots.end)))?;
        Ok(covered(&rows.time, timeframe))
    }

    fn each_run(&self, covered: &Covered<'_>, slots: &Range<i64>, mut each: impl FnMut(Run)) -> Result<()> {
        match covered {
            Covered::Rows(runs) => runs.within(slots.start, slots.end).for_each(each),
            Covered::Layers(layers) => {
                for (own, alone) in layers {
                    let slots = meet(slots, own);
                    if !slots.is_empty() {
                        alone.each_run(self.timeframe, &slots, &mut each)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn count(&self, covered: &Covered<'_>, slots: &Range<i64>, scratch: &mut Scratch) -> Result<u64> {
        match covered {
            Covered::Rows(runs) => Ok(count_runs(runs, slots)),
            Covered::Layers(layers) => {
                let counts = layers.iter().map(|(own, alone)| (meet(slots, own), alone));
                let counts = counts.filter(|(slots, _)| !slots.is_empty());
                counts.map(|(slots, alone)| alone.count(self.timeframe, &slots, scratch)).sum()
            }
        }
    }
}

/// Whether any of some layers, oldest first, deletes rows of those before it.
fn deletes_beneath<'a>(layers: impl Iterator<Item = &'a Layer>) -> Result<bool> {
    for layer in layers.skip(1) {
        if layer.marks()?.iter().any(|mark| mark.kind == MarkKind::Delete) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// From the first slot of sorted ranges to the last.
fn whole(slots: &[Range<i64>]) -> Option<Range<i64>> {
    let mut some = slots.iter().filter(|slots| !slots.is_empty());
    let first = some.next()?;
    Some(first.start..some.next_back().unwrap_or(first).end)
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

/// Makes gaps of what lies between runs that are shown in order.
struct Holes<'a> {
    timeframe: Timeframe,
    /// Length of a bar, if all are of one, and where slot 0 begins.
    grid: Option<(i64, i64)>,
    /// Sorted disjoint ranges in which bars are expected, and confirmed absences: those not yet passed by.
    expected: &'a [Range<i64>],
    absent: &'a [Run],
    /// One past the last covered slot.
    at: i64,
    /// Slots in which every hole is a gap of its own.
    clear: Range<i64>,
    out: Vec<Gap>,
}

impl<'a> Holes<'a> {
    fn new(timeframe: Timeframe, expected: &'a [Range<i64>], absent: &'a [Run], at: i64) -> Self {
        let grid = timeframe.step_ns().map(|step| (step, timeframe.slot_start(0)));
        Self { timeframe, grid, expected, absent, at, clear: 0..0, out: Vec::new() }
    }

    fn covered(&mut self, run: Run) {
        if self.clear.start <= self.at && run.start <= self.clear.end && self.at < run.start {
            self.out.push(self.gap(self.at, run.start));
        } else {
            self.hole(self.at, run.start);
            self.clear_from(run.end);
        }
        self.at = self.at.max(run.end);
    }

    /// What lies behind a covered slot, up to where bars are not expected any more or the next absence begins.
    fn clear_from(&mut self, slot: i64) {
        let inside = self.expected.first().filter(|slots| slots.start < slot);
        let absent = self.absent.first().map_or(i64::MAX, |absent| absent.start);
        self.clear = inside.map_or(0..0, |slots| slot..slots.end.min(absent));
    }

    fn gap(&self, start: i64, end: i64) -> Gap {
        let time = |slot: i64| match self.grid {
            Some((step, phase)) => slot.saturating_mul(step).saturating_add(phase),
            None => self.timeframe.slot_start(slot),
        };
        Gap { start: time(start), end: time(end), missing: end.abs_diff(start) }
    }

    /// No bar stands in `[start, end)`.
    fn hole(&mut self, start: i64, end: i64) {
        while let Some((slots, later)) = self.expected.split_first() {
            if slots.end > start {
                if slots.start >= end {
                    return;
                }
                self.open(start.max(slots.start), end.min(slots.end));
                if slots.end >= end {
                    return;
                }
            }
            self.expected = later;
        }
    }

    /// Neither a bar nor anything else than a confirmed absence stands in `[start, end)`.
    fn open(&mut self, mut start: i64, end: i64) {
        while let Some((absent, later)) = self.absent.split_first() {
            if absent.start >= end {
                break;
            }
            self.push(start, absent.start);
            start = start.max(absent.end);
            if absent.end > end {
                break;
            }
            self.absent = later;
        }
        self.push(start, end);
    }

    fn push(&mut self, start: i64, end: i64) {
        if start >= end {
            return;
        }
        let gap = self.gap(start, end);
        match self.out.last_mut() {
            Some(last) if last.end == gap.start => {
                last.end = gap.end;
                last.missing += gap.missing;
            }
            _ => self.out.push(gap),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tapestore_format::time::MINUTE_NS;

    #[test]
    fn gaps_are_expected_minus_covered_minus_absent() {
        let absent = [Run { start: 4, end: 5 }];
        let expected = [Range { start: 0, end: 9 }];
        let mut holes = Holes::new(Timeframe::M1, &expected, &absent, 0);
        holes.covered(Run { start: 2, end: 4 });
        holes.covered(Run { start: 6, end: 7 });
        holes.hole(holes.at, 9);
        let gaps = holes.out;
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
