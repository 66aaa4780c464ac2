//! Bars that stand still: equal to the one before in everything (stale), or in their prices for longer than usual.

use std::collections::VecDeque;
use std::ops::Range;

use crate::bars::Bars;
use crate::rule::Rule;
use crate::rules::Rules;
use crate::wide::first_repeat;

/// Longest run that is told from longer ones.
const LONGEST: usize = 255;
/// Runs that a usual length takes.
const ENOUGH: u32 = 1000;

fn same(bars: &Bars<'_>, a: usize, b: usize) -> bool {
    let equal = |column: &[f64]| column[a].to_bits() == column[b].to_bits();
    equal(bars.close) && equal(bars.open) && equal(bars.high) && equal(bars.low)
}

/// Whether a bar with volume is that of the row before in everything.
fn repeats(bars: &Bars<'_>, volume: &[f64], row: usize) -> bool {
    row > 0
        && bars.close[row].to_bits() == bars.close[row - 1].to_bits()
        && volume[row] > 0.0
        && volume[row].to_bits() == volume[row - 1].to_bits()
        && same(bars, row, row - 1)
}

/// Takes out the returns of bars that repeat the one before: they are no news, and nothing to hold others against.
pub(crate) fn drop_repeats(bars: &Bars<'_>, returns: &mut [f64]) {
    let Some(volume) = bars.volume else { return };
    let mut row = first_repeat(bars.close, 1, bars.len());
    while row < bars.len() {
        if repeats(bars, volume, row) {
            returns[row] = f64::NAN;
        }
        row = first_repeat(bars.close, row + 1, bars.len());
    }
}

/// Marks runs of bars with volume that are equal in everything: all but the first. Only neighbours make a run.
pub(crate) fn mark_stale(
    bars: &Bars<'_>,
    step_ns: Option<i64>,
    rows: Range<usize>,
    rules: &Rules,
    marks: &mut [u32],
) {
    let Some(volume) = bars.volume else { return };
    let least = rules.stale.max(2);
    let repeats = |row: usize| {
        repeats(bars, volume, row) && step_ns.is_none_or(|step| bars.time[row] - bars.time[row - 1] == step)
    };
    let mut row = rows.start;
    while row < rows.end {
        if !repeats(row) {
            row = first_repeat(bars.close, row + 1, rows.end);
            continue;
        }
        let mut first = row - 1;
        while row - first < least && repeats(first) {
            first -= 1;
        }
        let mut end = row + 1;
        while end < bars.len() && (end < rows.end || end - first < least) && repeats(end) {
            end += 1;
        }
        if end - first >= least {
            marks[row..end.min(rows.end)].iter_mut().for_each(|mark| *mark |= Rule::Stale.bit());
        }
        row = end;
    }
}

/// How long prices stand still on the days before: runs of equal prices by length, day by day.
#[derive(Debug)]
pub(crate) struct Stillness {
    days: VecDeque<Vec<u32>>,
    total: Vec<u32>,
    /// A day that is forgotten, to be written anew.
    spare: Option<Vec<u32>>,
    window: usize,
}

impl Stillness {
    /// Remembers this many days.
    pub(crate) fn new(window: usize) -> Self {
        Self { days: VecDeque::new(), total: vec![0; LONGEST + 1], spare: None, window }
    }

    /// The length that 99.9 % of the runs do not exceed; `None` if there are too few.
    fn usual(&self) -> Option<usize> {
        let runs: u32 = self.total.iter().sum();
        if runs < ENOUGH {
            return None;
        }
        let mut left = runs / 1000;
        let longest = (1..=LONGEST).rev().find(|length| {
            let count = self.total[*length];
            if count > left {
                return true;
            }
            left -= count;
            false
        });
        longest.filter(|length| *length < LONGEST)
    }

    /// Marks what stands still for longer than on the days before, and remembers this day. A run begins anew with a day.
    pub(crate) fn day(
        &mut self,
        bars: &Bars<'_>,
        rows: Range<usize>,
        rules: &Rules,
        marks: Option<&mut [u32]>,
    ) {
        let usual = self.usual().map(|usual| usual.max(rules.stale));
        let mut lengths = self.spare.take().unwrap_or_default();
        lengths.clear();
        lengths.resize(LONGEST + 1, 0_u32);
        let mut marks = marks;
        let mut row = rows.start;
        while row < rows.end {
            // Every bar up to the next whose close is that of the one before is a run by itself.
            let next = first_repeat(bars.close, row + 1, rows.end);
            lengths[1] += (next - row - 1) as u32;
            let first = next - 1;
            let mut end = next;
            while end < rows.end
                && bars.close[end].to_bits() == bars.close[end - 1].to_bits()
                && same(bars, end, end - 1)
            {
                end += 1;
            }
            lengths[(end - first).min(LONGEST)] += 1;
            if let (Some(usual), Some(marks)) = (usual, marks.as_deref_mut())
                && end - first > usual
            {
                marks[first + usual..end].iter_mut().for_each(|mark| *mark |= Rule::Flatline.bit());
            }
            row = end;
        }
        self.total.iter_mut().zip(&lengths).for_each(|(total, count)| *total += count);
        self.days.push_back(lengths);
        if self.days.len() > self.window {
            let gone = self.days.pop_front().unwrap_or_default();
            self.total.iter_mut().zip(&gone).for_each(|(total, count)| *total -= count);
            self.spare = Some(gone);
        }
    }
}
