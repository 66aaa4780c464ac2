//! Bars held against the finer bars in them.
//!
//! The open of a bar is that of the first finer bar, its close that of the last, its high and low are the extremes of all,
//! its volume is their sum. Pure functions over columns: who calls says which finer bars have to be there, and what to do
//! about a difference.

use std::ops::Range;

/// Columns of bars, of one length. Times are open times, nanoseconds since the Unix epoch, UTC, ascending.
#[derive(Clone, Copy, Debug)]
pub struct BarColumns<'a> {
    /// Open times.
    pub time: &'a [i64],
    /// Open, high, low and close.
    pub prices: [&'a [f64]; 4],
    /// Traded volume, if it is stored.
    pub volume: Option<&'a [f64]>,
}

/// One bar: open, high, low, close, and the volume if it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bar {
    /// Open, high, low and close.
    pub prices: [f64; 4],
    /// Traded volume.
    pub volume: Option<f64>,
}

/// By how much a stored bar and an aggregate may differ, as shares of the larger of both: what is left of rounding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rounding {
    /// Of a price.
    pub price: f64,
    /// Of a volume, which is a sum of decimals.
    pub volume: f64,
}

impl BarColumns<'_> {
    /// The bar of a row.
    pub fn bar(&self, row: usize) -> Bar {
        Bar { prices: self.prices.map(|column| column[row]), volume: self.volume.map(|volume| volume[row]) }
    }

    /// What the bars of some rows give together; `None` of none. Values that are not numbers are passed over by the
    /// extremes, and stay in the sum.
    pub fn aggregate(&self, rows: Range<usize>) -> Option<Bar> {
        if rows.is_empty() {
            return None;
        }
        let [open, high, low, close] = self.prices;
        let (least, greatest) = extremes(&low[rows.clone()], &high[rows.clone()]);
        let prices = [open[rows.start], greatest, least, close[rows.end - 1]];
        Some(Bar { prices, volume: self.volume.map(|volume| sum(&volume[rows])) })
    }
}

impl Bar {
    /// Which of open, high, low, close and volume differ from those of another bar; a volume that one of them does not have
    /// does not.
    pub fn differs(&self, other: &Self, rounding: Rounding) -> [bool; 5] {
        let far = |a: f64, b: f64, share: f64| (a - b).abs() > share * a.abs().max(b.abs());
        let mut out = [false; 5];
        for (out, (a, b)) in out.iter_mut().zip(self.prices.into_iter().zip(other.prices)) {
            *out = far(a, b, rounding.price);
        }
        if let (Some(a), Some(b)) = (self.volume, other.volume) {
            out[4] = far(a, b, rounding.volume);
        }
        out
    }
}

fn lesser(a: f64, b: f64) -> f64 {
    if b < a { b } else { a }
}

fn greater(a: f64, b: f64) -> f64 {
    if b > a { b } else { a }
}

/// The least of some values and the greatest of others, of which there are as many.
fn extremes(low: &[f64], high: &[f64]) -> (f64, f64) {
    // Some at a time, in vectors, before they are compared with one another.
    const WIDE: usize = 8;
    let many = low.len().min(high.len());
    let (low, high) = (&low[..many], &high[..many]);
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    let mut at = 0;
    if many >= 2 * WIDE {
        let (mut least, mut greatest) = ([f64::INFINITY; WIDE], [f64::NEG_INFINITY; WIDE]);
        while at + WIDE <= many {
            let (lows, highs) = (&low[at..at + WIDE], &high[at..at + WIDE]);
            for lane in 0..WIDE {
                least[lane] = lesser(least[lane], lows[lane]);
                greatest[lane] = greater(greatest[lane], highs[lane]);
            }
            at += WIDE;
        }
        lowest = least.into_iter().fold(lowest, lesser);
        highest = greatest.into_iter().fold(highest, greater);
    }
    for (low, high) in low[at..].iter().zip(&high[at..]) {
        (lowest, highest) = (lesser(lowest, *low), greater(highest, *high));
    }
    (lowest, highest)
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

/// Goes through the bars of `rows` with the rows of the finer bars in each: `(row, times, finer rows)`, of which there may
/// be none. A bar ends where `end_of` its open time says, or where the next begins.
pub fn each_with_finer(
    bars: &BarColumns<'_>,
    rows: Range<usize>,
    end_of: impl Fn(i64) -> i64,
    fine: &[i64],
    mut visit: impl FnMut(usize, Range<i64>, Range<usize>),
) {
    let Some(first) = bars.time.get(rows.start) else { return };
    let mut at = fine.partition_point(|time| time < first);
    let mut usual = 0;
    for row in rows {
        let time = bars.time[row];
        let next = bars.time.get(row + 1).copied().unwrap_or(i64::MAX);
        let end = end_of(time).min(next);
        while at < fine.len() && fine[at] < time {
            at += 1;
        }
        let first = at;
        at = end_at(fine, at, end, usual);
        usual = at - first;
        visit(row, time..end, first..at);
    }
}

/// Where times from `from` on reach `end`; `guess` is how many are likely to come before.
fn end_at(time: &[i64], from: usize, end: i64, guess: usize) -> usize {
    let at = from + guess;
    if at > from && at <= time.len() && time[at - 1] < end && time.get(at).is_none_or(|time| *time >= end) {
        return at;
    }
    from + crate::gallop(&time[from..], |time| time < end)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bars that fall and rise, and their columns.
    fn bars(count: usize) -> (Vec<i64>, [Vec<f64>; 5]) {
        let mut state = 3_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / 1000.0
        };
        let mut out = [const { Vec::new() }; 5];
        for _ in 0..count {
            out.iter_mut().for_each(|column| column.push(next()));
        }
        ((0..count as i64).collect(), out)
    }

    fn columns<'a>(time: &'a [i64], values: &'a [Vec<f64>; 5]) -> BarColumns<'a> {
        let [open, high, low, close, volume] = values;
        BarColumns { time, prices: [open, high, low, close], volume: Some(volume) }
    }

    #[test]
    fn an_aggregate_is_that_of_the_plain_fold() {
        let (time, values) = bars(100);
        let columns = columns(&time, &values);
        assert_eq!(columns.aggregate(5..5), None);
        for start in 0..100 {
            for end in start + 1..=100 {
                let made = columns.aggregate(start..end).unwrap();
                let most = values[1][start..end].iter().copied().fold(f64::MIN, f64::max);
                let least = values[2][start..end].iter().copied().fold(f64::MAX, f64::min);
                assert_eq!(made.prices, [values[0][start], most, least, values[3][end - 1]]);
                let sum: f64 = values[4][start..end].iter().sum();
                assert!((made.volume.unwrap() - sum).abs() <= 1e-12 * sum);
            }
        }
    }

    #[test]
    fn differences_are_told_value_by_value() {
        let bar = Bar { prices: [1.0, 2.0, 0.5, 1.5], volume: Some(10.0) };
        let exact = Rounding { price: 0.0, volume: 1e-9 };
        assert_eq!(bar.differs(&bar, exact), [false; 5]);
        let other = Bar { prices: [1.0, 2.5, 0.5, 1.5], volume: Some(10.0 + 1e-9) };
        assert_eq!(bar.differs(&other, exact), [false, true, false, false, false]);
        let other = Bar { volume: Some(10.0 + 1e-7), ..bar };
        assert_eq!(bar.differs(&other, exact), [false, false, false, false, true]);
        assert_eq!(bar.differs(&Bar { volume: None, ..bar }, exact), [false; 5]);
    }

    #[test]
    fn finer_bars_are_those_from_an_open_time_to_the_end_or_to_the_next_bar() {
        let fine: Vec<i64> = (0..30).filter(|time| !(12..17).contains(time)).collect();
        let (_, values) = bars(4);
        let time = [0, 8, 10, 20];
        let coarse = columns(&time, &values);
        let mut seen = Vec::new();
        each_with_finer(
            &coarse,
            0..4,
            |time| time + 10,
            &fine,
            |row, times, rows| {
                assert!(fine[rows.clone()].iter().all(|time| times.contains(time)));
                seen.push((row, times, rows.len()));
            },
        );
        assert_eq!(seen, [(0, 0..8, 8), (1, 8..10, 2), (2, 10..20, 5), (3, 20..30, 10)]);
    }
}
