//! Bars against the aggregate of the finer bars in them.

use std::ops::Range;

use tapestore::Timeframe;
use tapestore_query::coarser::{Bar, Rounding, each_with_finer};

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

/// By how much the trades of sessions may go beyond their day: which prints count for a day's high, low and volume, vendors
/// do not agree about. On real days prices differ by up to 0.02 % and volumes by up to 0.6 % (`CALIBRATION.md`).
const DAY: Rounding = Rounding { price: 1e-3, volume: 0.02 };

/// How bars are held against finer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// They equal the aggregate of all of them.
    Equal,
    /// They hold all that trades in sessions, and more: an exchange's day has auctions that are in no minute. No finer bar is
    /// higher or lower, and together they have no more volume.
    Within,
}

/// Finer bars of the same instrument.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finer<'a> {
    pub(crate) bars: Bars<'a>,
    /// What is expected of them.
    pub(crate) expected: &'a Expected,
    pub(crate) measure: Measure,
}

/// Marks bars of `rows` that differ from what finer bars give, where all of these are there.
pub(crate) fn mark_coarser(
    bars: &Bars<'_>,
    rows: Range<usize>,
    timeframe: Timeframe,
    finer: &Finer<'_>,
    rules: &Rules,
    marks: &mut [u32],
) {
    let (expected, measure) = (finer.expected, finer.measure);
    let rounding = Rounding { price: 1e-9, volume: rules.rounding };
    let (coarse, fine) = (bars.columns(), finer.bars.columns());
    // The end of the bar before, and the slot that begins there: nearly always where the next one begins.
    let mut before = (i64::MIN, 0);
    each_with_finer(
        &coarse,
        rows,
        |time| end_of(timeframe, time),
        fine.time,
        |row, times, finer| {
            let from = if times.start == before.0 { before.1 } else { expected.number(times.start) };
            let to = expected.number(times.end);
            before = (times.end, to);
            let breaks = match measure {
                Measure::Equal if finer.len() as u64 != expected.count_slots(from, to) => false,
                Measure::Equal => fine
                    .aggregate(finer)
                    .is_some_and(|made| coarse.bar(row).differs(&made, rounding) != [false; 5]),
                Measure::Within => expected
                    .stretches(from, to)
                    .filter_map(|session| {
                        let part = |time: i64| {
                            finer.start + fine.time[finer.clone()].partition_point(|at| *at < time)
                        };
                        fine.aggregate(part(session.start)..part(session.end))
                    })
                    .reduce(together)
                    .is_some_and(|made| exceeds(&coarse.bar(row), &made, DAY)),
            };
            if breaks {
                marks[row] |= Rule::Coarser.bit();
            }
        },
    );
}

/// Two parts of a bar, one after the other.
fn together(a: Bar, b: Bar) -> Bar {
    let prices = [a.prices[0], a.prices[1].max(b.prices[1]), a.prices[2].min(b.prices[2]), b.prices[3]];
    Bar { prices, volume: a.volume.zip(b.volume).map(|(a, b)| a + b) }
}

/// Whether a part goes beyond the whole.
fn exceeds(whole: &Bar, part: &Bar, rounding: Rounding) -> bool {
    let above = |a: f64, b: f64, share: f64| a - b > share * a.abs().max(b.abs());
    let ([_, high, low, _], [_, part_high, part_low, _]) = (whole.prices, part.prices);
    above(part_high, high, rounding.price)
        || above(low, part_low, rounding.price)
        || whole.volume.zip(part.volume).is_some_and(|(whole, part)| above(part, whole, rounding.volume))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_holds_no_less_than_its_sessions() {
        let day = Bar { prices: [10.0, 12.0, 9.0, 11.0], volume: Some(100.0) };
        let part =
            |high: f64, low: f64, volume: f64| Bar { prices: [1.0, high, low, 1.0], volume: Some(volume) };
        assert!(!exceeds(&day, &part(12.0, 9.0, 100.0), DAY), "opens and closes may be those of auctions");
        assert!(!exceeds(&day, &part(11.0, 9.5, 40.0), DAY));
        assert!(!exceeds(&day, &part(12.01, 9.0, 101.0), DAY), "prints that do not count");
        assert!(exceeds(&day, &part(12.1, 9.0, 100.0), DAY));
        assert!(exceeds(&day, &part(12.0, 8.9, 100.0), DAY));
        assert!(exceeds(&day, &part(12.0, 9.0, 110.0), DAY));
        assert!(!exceeds(&Bar { volume: None, ..day }, &part(12.0, 9.0, 110.0), DAY));
    }
}
