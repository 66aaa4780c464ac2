//! Bars against the aggregate of the finer bars in them.

#![expect(clippy::inline_always, reason = "kernels are compiled with the vectors of their caller")]

use std::ops::Range;

use tapestore::Timeframe;

use crate::bars::Bars;
use crate::expected::Expected;
use crate::rule::Rule;
use crate::rules::Rules;
use crate::wide::widest;

/// Where a bar of a timeframe that opens at `time` ends.
pub(crate) fn end_of(timeframe: Timeframe, time: i64) -> i64 {
    match timeframe.step_ns() {
        // Bars in sessions do not begin on the clock's grid.
        Some(step) => time.saturating_add(step),
        None => timeframe.slot_start(timeframe.slot(time) + 1),
    }
}

/// What finer bars give for one: open, high, low, close and volume.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Aggregate {
    pub(crate) prices: [f64; 4],
    pub(crate) volume: Option<f64>,
}

/// The aggregate of some bars; `None` of none.
pub(crate) fn aggregate(bars: &Bars<'_>, rows: Range<usize>) -> Option<Aggregate> {
    if rows.is_empty() {
        return None;
    }
    let (low, high) = (&bars.low[rows.clone()], &bars.high[rows.clone()]);
    let (least, greatest) = if rows.len() < 2 * WIDE { few_extremes(low, high) } else { extremes(low, high) };
    let prices = [bars.open[rows.start], greatest, least, bars.close[rows.end - 1]];
    Some(Aggregate { prices, volume: bars.volume.map(|volume| sum(&volume[rows])) })
}

/// Values that are looked at together.
const WIDE: usize = 8;

fn lesser(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

fn greater(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// As [`extremes`], of a few.
fn few_extremes(low: &[f64], high: &[f64]) -> (f64, f64) {
    let both = low.iter().zip(high);
    both.fold((f64::INFINITY, f64::NEG_INFINITY), |(least, greatest), (low, high)| {
        (lesser(least, *low), greater(greatest, *high))
    })
}

#[inline(always)]
fn extremes_body(low: &[f64], high: &[f64]) -> (f64, f64) {
    let (mut least, mut greatest) = ([f64::INFINITY; WIDE], [f64::NEG_INFINITY; WIDE]);
    let many = low.len();
    let (low, high) = (&low[..many], &high[..many]);
    let mut at = 0;
    while at + WIDE <= many {
        let (lows, highs) = (&low[at..at + WIDE], &high[at..at + WIDE]);
        for lane in 0..WIDE {
            least[lane] = lesser(least[lane], lows[lane]);
            greatest[lane] = greater(greatest[lane], highs[lane]);
        }
        at += WIDE;
    }
    let (mut lowest, mut highest) = (least[0], greatest[0]);
    for lane in 1..WIDE {
        (lowest, highest) = (lesser(lowest, least[lane]), greater(highest, greatest[lane]));
    }
    while at < many {
        (lowest, highest) = (lesser(lowest, low[at]), greater(highest, high[at]));
        at += 1;
    }
    (lowest, highest)
}

widest! {
    /// The least of some values and the greatest of others, of which there are as many.
    extremes = extremes_body(low: &[f64], high: &[f64]) -> (f64, f64)
}

/// The sum, in four lanes: what order leaves to rounding is far below what is compared.
fn sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = values.chunks_exact(4);
    let rest: f64 = chunks.remainder().iter().sum();
    for four in chunks {
        lanes.iter_mut().zip(four).for_each(|(lane, value)| *lane += value);
    }
    lanes.iter().sum::<f64>() + rest
}

/// Where times from `from` on reach `end`; `guess` is how many are likely to come before.
fn end_at(time: &[i64], from: usize, end: i64, guess: usize) -> usize {
    let at = from + guess;
    if at > from && at <= time.len() && time[at - 1] < end && time.get(at).is_none_or(|time| *time >= end) {
        return at;
    }
    from + time[from..].partition_point(|time| *time < end)
}

/// Marks bars of `rows` that differ from what finer bars give, where all of these are there.
pub(crate) fn mark_coarser(
    bars: &Bars<'_>,
    rows: Range<usize>,
    timeframe: Timeframe,
    fine: &Bars<'_>,
    expected: &Expected,
    rules: &Rules,
    marks: &mut [u32],
) {
    let mut at =
        fine.time.partition_point(|time| bars.time.get(rows.start).is_some_and(|first| time < first));
    let mut usual = 0;
    // The end of the bar before, and the slot that begins there: nearly always where the next one begins.
    let mut before = (i64::MIN, 0);
    for row in rows {
        let time = bars.time[row];
        let next = bars.time.get(row + 1).copied().unwrap_or(i64::MAX);
        let end = end_of(timeframe, time).min(next);
        while at < fine.len() && fine.time[at] < time {
            at += 1;
        }
        let first = at;
        at = end_at(fine.time, at, end, usual);
        usual = at - first;
        let from = if time == before.0 { before.1 } else { expected.number(time) };
        let to = expected.number(end);
        before = (end, to);
        if (at - first) as u64 != expected.count_slots(from, to) {
            continue;
        }
        let Some(made) = aggregate(fine, first..at) else { continue };
        let stored = [bars.open[row], bars.high[row], bars.low[row], bars.close[row]];
        let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
        let prices = stored.iter().zip(&made.prices).all(|(a, b)| near(*a, *b));
        let volumes = match (bars.volume, made.volume) {
            (Some(volume), Some(sum)) => {
                (volume[row] - sum).abs() <= rules.rounding * volume[row].abs().max(sum.abs())
            }
            _ => true,
        };
        if !(prices && volumes) {
            marks[row] |= Rule::Coarser.bit();
        }
    }
}
