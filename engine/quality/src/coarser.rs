//! Bars against the aggregate of the finer bars in them.

use std::ops::Range;

use tapestore::Timeframe;

use crate::bars::Bars;
use crate::expected::Expected;
use crate::rule::Rule;
use crate::rules::Rules;

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
    let greatest =
        |values: &[f64]| values.iter().fold(f64::NEG_INFINITY, |most, v| if *v > most { *v } else { most });
    let least =
        |values: &[f64]| values.iter().fold(f64::INFINITY, |least, v| if *v < least { *v } else { least });
    let prices = [
        bars.open[rows.start],
        greatest(&bars.high[rows.clone()]),
        least(&bars.low[rows.clone()]),
        bars.close[rows.end - 1],
    ];
    Some(Aggregate { prices, volume: bars.volume.map(|volume| sum(&volume[rows])) })
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
    for row in rows {
        let time = bars.time[row];
        let next = bars.time.get(row + 1).copied().unwrap_or(i64::MAX);
        let end = end_of(timeframe, time).min(next);
        while at < fine.len() && fine.time[at] < time {
            at += 1;
        }
        let first = at;
        while at < fine.len() && fine.time[at] < end {
            at += 1;
        }
        if (at - first) as u64 != expected.count(&(time..end)) {
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
