//! Factors of a window: each value depends on the bars of its window alone (W1 of [`crate::window`]).
//!
//! Every function computes one group over the bars of one run into columns that hold NaN, and leaves the warm-up so.
//! Formulas are those of TA-Lib's C source at 0.8; where it keeps running sums, the sums here are taken anew for each
//! window, and where it tells nought from the rounding of its sums, here nought is nought.

use crate::bars::Bars;
use crate::window::{Kernel, LANES, highest, lowest, means, roll, slopes, sums, variances, weighted_means};

/// Columns of intermediate results, used again from run to run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch {
    columns: [Vec<f64>; 6],
}

impl Scratch {
    /// `N` columns of NaN.
    fn take<const N: usize>(&mut self, rows: usize) -> [&mut [f64]; N] {
        let mut columns = self.columns.iter_mut();
        std::array::from_fn(|_| {
            let column = columns.next().expect("no group needs more than there are");
            column.clear();
            column.resize(rows, f64::NAN);
            &mut column[..]
        })
    }
}

/// Rows from `from` on get what `value` says of them.
#[inline(always)]
fn fill(out: &mut [f64], from: usize, value: impl Fn(usize) -> f64) {
    for (row, out) in out.iter_mut().enumerate().skip(from) {
        *out = value(row);
    }
}

/// SMA20, WMA20, TRIMA20, BBANDS upper and lower, APO, PPO, STDDEV20, VAR20, HMA20.
pub(crate) fn averages(bars: &Bars<'_>, out: [&mut [f64]; 10], scratch: &mut Scratch) {
    let [sma, wma, trima, upper, lower, apo, ppo, stddev, variance, hma] = out;
    let close = bars.close;
    means::<20>(close, sma);
    weighted_means::<20>(close, wma);
    variances::<20>(close, variance);
    fill(stddev, 19, |row| variance[row].sqrt());
    fill(upper, 19, |row| sma[row] + 2.0 * stddev[row]);
    fill(lower, 19, |row| sma[row] - 2.0 * stddev[row]);
    let [fast, slow, inner] = scratch.take(close.len());
    means::<12>(close, fast);
    means::<26>(close, slow);
    fill(apo, 25, |row| fast[row] - slow[row]);
    fill(ppo, 25, |row| if slow[row] == 0.0 { 0.0 } else { (fast[row] - slow[row]) / slow[row] * 100.0 });
    // Weights 1 to 10 and 10 to 1 are ten sums of eleven.
    sums::<11>(close, 1.0, inner);
    if close.len() >= 20 {
        sums::<10>(&inner[10..], 1.0 / 110.0, &mut trima[10..]);
    }
    weighted_means::<10>(close, inner);
    hull(inner, wma, hma, fast);
}

/// HMA20 out of WMA10 and WMA20; `raw` is written over.
fn hull(half: &[f64], full: &[f64], out: &mut [f64], raw: &mut [f64]) {
    fill(raw, 19, |row| 2.0 * half[row] - full[row]);
    if raw.len() > 22 {
        weighted_means::<4>(&raw[19..], &mut out[19..]);
    }
}

/// LINEARREG14, its slope, angle and intercept, and TSF14.
pub(crate) fn regression(bars: &Bars<'_>, out: [&mut [f64]; 5], scratch: &mut Scratch) {
    const N: usize = 14;
    // The line passes through the mean in the middle of the window.
    const MIDDLE: f64 = (N - 1) as f64 / 2.0;
    let [end, slope, angle, intercept, forecast] = out;
    let [mean] = scratch.take(bars.len());
    means::<N>(bars.close, mean);
    slopes::<N>(bars.close, slope);
    fill(intercept, N - 1, |row| mean[row] - slope[row] * MIDDLE);
    fill(end, N - 1, |row| mean[row] + slope[row] * MIDDLE);
    fill(forecast, N - 1, |row| mean[row] + slope[row] * (MIDDLE + 1.0));
    fill(angle, N - 1, |row| slope[row].atan() * (180.0 / std::f64::consts::PI));
}

/// MIDPOINT14, MIDPRICE14, WILLR14, STOCH K and D, STOCHF K, AROON up and down, AROONOSC.
pub(crate) fn extremes(bars: &Bars<'_>, out: [&mut [f64]; 9], scratch: &mut Scratch) {
    let [midpoint, midprice, willr, slow_k, slow_d, fast_k, up, down, aroonosc] = out;
    let (high, low, close) = (bars.high, bars.low, bars.close);
    let [top, bottom, raw] = scratch.take(bars.len());
    highest::<14>(close, top);
    lowest::<14>(close, bottom);
    fill(midpoint, 13, |row| (top[row] + bottom[row]) * 0.5);
    highest::<14>(high, top);
    lowest::<14>(low, bottom);
    fill(midprice, 13, |row| (top[row] + bottom[row]) * 0.5);
    fill(willr, 13, |row| {
        let value = (top[row] - close[row]) / (top[row] - bottom[row]) * -100.0;
        if is_flat(top[row], bottom[row]) { 0.0 } else { value.clamp(-100.0, 0.0) }
    });
    highest::<5>(high, top);
    lowest::<5>(low, bottom);
    fill(raw, 4, |row| place(close[row], bottom[row], top[row]));
    fill(fast_k, 6, |row| raw[row]);
    if raw.len() > 8 {
        means::<3>(&raw[4..], &mut slow_k[4..]);
        means::<3>(&slow_k[6..], &mut slow_d[6..]);
        // TA-Lib gives both lines from where the slower one begins.
        slow_k[6..8].fill(f64::NAN);
    } else {
        slow_k.fill(f64::NAN);
    }
    let newest_top = |value: f64, best: f64| value >= best;
    let newest_bottom = |value: f64, best: f64| value <= best;
    roll::<15, LANES>(&Recency { x: high, start: f64::NEG_INFINITY, beats: newest_top }, up);
    roll::<15, LANES>(&Recency { x: low, start: f64::INFINITY, beats: newest_bottom }, down);
    fill(aroonosc, 14, |row| up[row] - down[row]);
}

/// Whether the extremes of a window are one but for rounding, as TA-Lib asks.
#[inline(always)]
pub(crate) fn is_flat(top: f64, bottom: f64) -> bool {
    (top - bottom).abs() <= 1e-14 * (top.abs() + bottom.abs())
}

/// Where `value` lies between the extremes, 0 to 100; 0 if they are one.
#[inline(always)]
pub(crate) fn place(value: f64, bottom: f64, top: f64) -> f64 {
    if is_flat(top, bottom) { 0.0 } else { (value - bottom) / (top - bottom) * 100.0 }
}

/// How recent the extreme of a window is: 100 in the newest row, 0 in the oldest; of equal ones the newest counts.
struct Recency<'a, B> {
    x: &'a [f64],
    start: f64,
    beats: B,
}

impl<const W: usize, B: Fn(f64, f64) -> bool> Kernel<W> for Recency<'_, B> {
    #[inline(always)]
    fn fold<const L: usize>(&self, at: usize) -> [f64; L] {
        let x = &self.x[at..at + W + L - 1];
        let (mut best, mut place) = ([self.start; L], [0.0; L]);
        for k in 0..W {
            for lane in 0..L {
                let better = (self.beats)(x[k + lane], best[lane]);
                best[lane] = if better { x[k + lane] } else { best[lane] };
                place[lane] = if better { k as f64 } else { place[lane] };
            }
        }
        place.map(|place| 100.0 / (W - 1) as f64 * place)
    }
}

/// Greatest distance of the bar and the close before it (Wilder).
#[inline(always)]
pub(crate) fn true_range(high: f64, low: f64, close_before: f64) -> f64 {
    let (range, above, below) = (high - low, (close_before - high).abs(), (close_before - low).abs());
    let range = if above > range { above } else { range };
    if below > range { below } else { range }
}

/// ROC10, MOM10, CCI14, ULTOSC, BOP, TRANGE.
pub(crate) fn motion(bars: &Bars<'_>, out: [&mut [f64]; 6], scratch: &mut Scratch) {
    let [roc, mom, cci, ultosc, bop, trange] = out;
    let (open, high, low, close) = (bars.open, bars.high, bars.low, bars.close);
    let rows = bars.len();
    fill(mom, 10, |row| close[row] - close[row - 10]);
    fill(
        roc,
        10,
        |row| {
            if close[row - 10] == 0.0 { 0.0 } else { (close[row] / close[row - 10] - 1.0) * 100.0 }
        },
    );
    fill(bop, 0, |row| {
        let range = high[row] - low[row];
        if range <= 0.0 { 0.0 } else { (close[row] - open[row]) / range }
    });
    fill(trange, 1, |row| true_range(high[row], low[row], close[row - 1]));
    let [pressure, a, b] = scratch.take(rows);
    fill(pressure, 0, |row| (high[row] + low[row] + close[row]) / 3.0);
    roll::<14, LANES>(&Channel(pressure), cci);
    if rows < 29 {
        return;
    }
    fill(pressure, 1, |row| {
        let true_low = if close[row - 1] < low[row] { close[row - 1] } else { low[row] };
        close[row] - true_low
    });
    let ratio = |a: f64, b: f64| if b > 0.0 { a / b } else { 0.0 };
    let (pressure, range) = (&pressure[1..], &trange[1..]);
    sums::<7>(pressure, 1.0, &mut a[1..]);
    sums::<7>(range, 1.0, &mut b[1..]);
    fill(ultosc, 28, |row| 4.0 * ratio(a[row], b[row]));
    sums::<14>(pressure, 1.0, &mut a[1..]);
    sums::<14>(range, 1.0, &mut b[1..]);
    ultosc.iter_mut().enumerate().skip(28).for_each(|(row, out)| *out += 2.0 * ratio(a[row], b[row]));
    sums::<28>(pressure, 1.0, &mut a[1..]);
    sums::<28>(range, 1.0, &mut b[1..]);
    let last = |(row, out): (usize, &mut f64)| *out = 100.0 * ((*out + ratio(a[row], b[row])) / 7.0);
    ultosc.iter_mut().enumerate().skip(28).for_each(last);
}

/// CCI: distance of the newest row from the mean, in mean absolute deviations of 0.015; all taken from the first row.
struct Channel<'a>(&'a [f64]);

impl<const W: usize> Kernel<W> for Channel<'_> {
    #[inline(always)]
    fn fold<const L: usize>(&self, at: usize) -> [f64; L] {
        let x = &self.0[at..at + W + L - 1];
        let (mut mean, mut deviation) = ([0.0; L], [0.0; L]);
        for k in 0..W {
            for lane in 0..L {
                mean[lane] += x[k + lane] - x[lane];
            }
        }
        let mean = mean.map(|sum| sum / W as f64);
        for k in 0..W {
            for lane in 0..L {
                deviation[lane] += (x[k + lane] - x[lane] - mean[lane]).abs();
            }
        }
        std::array::from_fn(|lane| {
            let (distance, deviation) = (x[W - 1 + lane] - x[lane] - mean[lane], deviation[lane] / W as f64);
            let nought = 1e-14 * (x[lane] + mean[lane]).abs();
            let flat = distance.abs() <= nought || deviation <= nought || 0.015 * deviation == 0.0;
            if flat { 0.0 } else { distance / (0.015 * deviation) }
        })
    }
}

/// Volume, weighted -1 to 1 by where the close lies in the bar; 0 for a bar without a range.
#[inline(always)]
pub(crate) fn money_flow_volume(high: f64, low: f64, close: f64, volume: f64) -> f64 {
    let range = high - low;
    if range > 0.0 { (close - low - (high - close)) / range * volume } else { 0.0 }
}

/// MFI14, VWMA20, CMF20.
pub(crate) fn flow(bars: &Bars<'_>, out: [&mut [f64]; 3], scratch: &mut Scratch) {
    let [mfi, vwma, cmf] = out;
    let (high, low, close, volume) = (bars.high, bars.low, bars.close, bars.volume);
    let rows = bars.len();
    let [typical, up, down, traded, sum] = scratch.take(rows);
    fill(typical, 0, |row| (high[row] + low[row] + close[row]) / 3.0);
    if rows > 14 {
        let flows = |row: usize| {
            let (now, before) = (typical[row], typical[row - 1]);
            let still = (now - before).abs() <= 1e-14 * (now.abs() + before.abs());
            (if still { 0.0 } else { now * volume[row] }, now < before)
        };
        let [inflow, outflow] = [&mut *traded, &mut *sum];
        fill(inflow, 1, |row| if flows(row).1 { 0.0 } else { flows(row).0 });
        fill(outflow, 1, |row| if flows(row).1 { flows(row).0 } else { 0.0 });
        sums::<14>(&inflow[1..], 1.0, &mut up[1..]);
        sums::<14>(&outflow[1..], 1.0, &mut down[1..]);
        fill(mfi, 14, |row| {
            let all = up[row] + down[row];
            if all <= 0.0 { 0.0 } else { 100.0 * (up[row] / all) }
        });
    }
    sums::<20>(volume, 1.0, traded);
    fill(typical, 0, |row| close[row] * volume[row]);
    sums::<20>(typical, 1.0, sum);
    fill(vwma, 19, |row| sum[row] / traded[row]);
    fill(typical, 0, |row| money_flow_volume(high[row], low[row], close[row], volume[row]));
    sums::<20>(typical, 1.0, sum);
    fill(cmf, 19, |row| if traded[row] > 0.0 { sum[row] / traded[row] } else { 0.0 });
}

/// CORREL30 of high and low, BETA5 of the low on the high.
pub(crate) fn pairs(bars: &Bars<'_>, out: [&mut [f64]; 2], scratch: &mut Scratch) {
    let [correl, beta] = out;
    let likeness = |[xx, yy, xy]: [f64; 3]| {
        let scale = (xx * yy).sqrt();
        if scale > 0.0 { (xy / scale).clamp(-1.0, 1.0) } else { 0.0 }
    };
    roll::<30, { LANES / 2 }>(&Products { x: bars.high, y: bars.low, finish: likeness }, correl);
    let [high, low] = scratch.take(bars.len());
    let change = |now: f64, before: f64| if before == 0.0 { 0.0 } else { (now - before) / before };
    fill(high, 1, |row| change(bars.high[row], bars.high[row - 1]));
    fill(low, 1, |row| change(bars.low[row], bars.low[row - 1]));
    if bars.len() > 5 {
        let slope = |[xx, _, xy]: [f64; 3]| if xx > 0.0 { xy / xx } else { 0.0 };
        roll::<5, { LANES / 2 }>(&Products { x: &high[1..], y: &low[1..], finish: slope }, &mut beta[1..]);
    }
}

/// Sums of squares and products around the means of a window, made one value. Distances are taken from its first row: a
/// flat window has no squares, exactly, and as the first row is one of the window's own, what is taken off for the mean is
/// never more than some thousand times what stays.
struct Products<'a, F> {
    x: &'a [f64],
    y: &'a [f64],
    finish: F,
}

impl<const W: usize, F: Fn([f64; 3]) -> f64> Kernel<W> for Products<'_, F> {
    #[inline(always)]
    fn fold<const L: usize>(&self, at: usize) -> [f64; L] {
        let (x, y) = (&self.x[at..at + W + L - 1], &self.y[at..at + W + L - 1]);
        let (mut sum_x, mut sum_y) = ([0.0; L], [0.0; L]);
        let (mut xx, mut yy, mut xy) = ([0.0; L], [0.0; L], [0.0; L]);
        for k in 0..W {
            for lane in 0..L {
                let (dx, dy) = (x[k + lane] - x[lane], y[k + lane] - y[lane]);
                sum_x[lane] += dx;
                sum_y[lane] += dy;
                xx[lane] += dx * dx;
                yy[lane] += dy * dy;
                xy[lane] += dx * dy;
            }
        }
        for lane in 0..L {
            let (mean_x, mean_y) = (sum_x[lane] / W as f64, sum_y[lane] / W as f64);
            xx[lane] -= sum_x[lane] * mean_x;
            yy[lane] -= sum_y[lane] * mean_y;
            xy[lane] -= sum_x[lane] * mean_y;
        }
        std::array::from_fn(|lane| (self.finish)([xx[lane], yy[lane], xy[lane]]))
    }
}
