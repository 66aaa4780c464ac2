//! Rules on returns: outliers and spikes (Hampel, with a floor of one tick), and prices in the wrong unit.
//!
//! The scale of a bar is 1.4826 times the median absolute deviation of the log returns of the 61 bars before it, or one
//! tick of the price if that is more (Pearson et al. 2016, the Hampel identifier, causal). Bounds on median and deviation
//! let nearly all bars pass (`certain`), the exact median in `f32` lets most others; what does not is computed in full.
//!
//! # Invariants
//! - H1. The marks are those of the plain computation: the bounds are never above the scale.
//! - H2. What is in a window does not depend on marks, only on the bars: 61 rows of context are enough.

#![expect(
    clippy::inline_always,
    clippy::needless_bitwise_bool,
    reason = "kernels are compiled with the vectors of their caller, and without a branch"
)]

use std::ops::Range;

use crate::bars::Bars;
use crate::certain::{CHUNK, Certain};
use crate::rule::Rule;
use crate::rules::Rules;
use crate::wide::widest;

/// Longest window.
pub(crate) const WINDOW: usize = 61;
/// Bars that may be missing between two for there to be a return, less one.
const STEPS: i64 = 5;
/// Median absolute deviation of a normal variable, inverted.
pub(crate) const NORMAL: f64 = 1.4826;
/// Decimals that prices are looked at for.
const DECIMALS: u8 = 9;

/// Simple returns of closes, row by row; NaN where there is none: at the first row, after a gap, where a price is none.
pub(crate) fn simple_returns(bars: &Bars<'_>, step_ns: Option<i64>, out: &mut Vec<f64>) {
    // All are written below: what was there before need not be cleared.
    out.resize(bars.len(), f64::NAN);
    if let Some((first, others)) = out.split_first_mut() {
        *first = f64::NAN;
        let most = step_ns.map_or(i64::MAX, |step| step * STEPS);
        divide(bars.time, bars.close, most, others);
    }
}

#[inline(always)]
fn divide_body(time: &[i64], close: &[f64], most: i64, out: &mut [f64]) {
    let many = out.len();
    let (times, next_times) = (&time[..many], &time[1..][..many]);
    let (closes, next_closes) = (&close[..many], &close[1..][..many]);
    for row in 0..many {
        let (before, now) = (closes[row], next_closes[row]);
        let is_near = next_times[row].wrapping_sub(times[row]) <= most;
        let are_prices = (before > 0.0) & (now > 0.0) & (before <= f64::MAX) & (now <= f64::MAX);
        let x = now / before - 1.0;
        out[row] = if is_near & are_prices { x } else { f64::NAN };
    }
}

widest! {
    /// The simple returns of all closes but the first.
    divide = divide_body(time: &[i64], close: &[f64], most: i64, out: &mut [f64])
}

#[inline(always)]
fn first_far_body(returns: &[f64], from: usize) -> usize {
    const WIDE: usize = 32;
    let is_far = |x: f64| (x >= 80.0) | (x <= -0.9);
    let mut row = from;
    while row + WIDE <= returns.len() {
        if returns[row..row + WIDE].iter().fold(false, |any, x| any | is_far(*x)) {
            break;
        }
        row += WIDE;
    }
    while row < returns.len() && !is_far(returns[row]) {
        row += 1;
    }
    row
}

widest! {
    /// The first return, from a row on, that may be a change of unit; all of them if there is none.
    first_far = first_far_body(returns: &[f64], from: usize) -> usize
}

/// Marks bars whose prices are 89 to 111 times, or that part of, those around them: from the jump to the jump back, if
/// that comes within `most` bars. A jump that stays is a change of level. Returns across such jumps are taken out.
pub(crate) fn mark_units(bars: &Bars<'_>, returns: &mut [f64], most: usize, marks: &mut [u32]) {
    let jump = |x: f64| {
        let ratio = 1.0 + x;
        let times = if ratio >= 1.0 { ratio } else { 1.0 / ratio };
        (89.0..=111.0).contains(&times).then_some(ratio > 1.0)
    };
    let mut row = 1;
    while row < returns.len() {
        // Most are far away from it.
        row = first_far(returns, row);
        if row == returns.len() {
            break;
        }
        let Some(up) = jump(returns[row]) else {
            row += 1;
            continue;
        };
        let limit = returns.len().min(row + 1 + most);
        let back = (row + 1..limit).find(|at| jump(returns[*at]) == Some(!up));
        match back {
            Some(back) => {
                marks[row..back].iter_mut().for_each(|mark| *mark |= Rule::Unit.bit());
                (returns[row], returns[back]) = (f64::NAN, f64::NAN);
                row = back + 1;
            }
            None => {
                marks[row] |= Rule::Level.bit();
                returns[row] = f64::NAN;
                row += 1;
            }
        }
    }
    debug_assert_eq!(bars.len(), returns.len());
}

/// The median absolute deviation of `count` ascending values, at least: the lower of the two in the middle of an even number.
pub(crate) fn deviation_of_sorted(count: usize, at: impl Fn(usize) -> f32) -> f32 {
    let (low, high) = (at((count - 1) / 2), at(count / 2));
    // From the median outward, always to the nearer side.
    let (mut left, mut right) = (count.div_ceil(2), count.div_ceil(2));
    let mut deviation = 0.0;
    for _ in 0..count.div_ceil(2) {
        let below = if left > 0 { high - at(left - 1) } else { f32::INFINITY };
        let above = if right < count { at(right) - low } else { f32::INFINITY };
        if below <= above {
            (deviation, left) = (below, left - 1);
        } else {
            (deviation, right) = (above, right + 1);
        }
    }
    // From the farther of the two middle values on; the median lies between them.
    (deviation - (high - low)).max(0.0)
}

/// Buffers of the rules on returns, used again.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    certain: Certain,
    /// Rows that the bounds do not decide.
    doubtful: Vec<usize>,
    /// Decimals of the close of a row, one more; 0: not looked at yet.
    decimals: Vec<u8>,
    sample: Vec<f64>,
}

impl Buffers {
    /// Other bars follow.
    pub(crate) fn forget(&mut self) {
        self.decimals.clear();
    }
}

/// Marks outliers and spikes in `rows`, and whether the row before them is a spike is found out, too.
pub(crate) fn mark_outliers(
    bars: &Bars<'_>,
    returns: &[f64],
    rows: Range<usize>,
    rules: &Rules,
    buffers: &mut Buffers,
    marks: &mut [u32],
) {
    let width = rules.window.clamp(2, WINDOW);
    buffers.decimals.resize(bars.len(), 0);
    let scales = (rules.soft * NORMAL * 0.999) as f32;
    let mut doubtful = std::mem::take(&mut buffers.doubtful);
    let mut last_spike = usize::MAX;
    let mut start = rows.start.saturating_sub(1);
    while start < rows.end {
        let end = rows.end.min(start + CHUNK);
        doubtful.clear();
        buffers.certain.doubtful(returns, start, end, width, scales, &mut doubtful);
        for row in doubtful.iter().copied() {
            let past = row.saturating_sub(width)..row;
            if passes(&returns[past.clone()], returns[row], width.div_ceil(2), scales) {
                continue;
            }
            let class = classify(bars, returns, row, past, rules, buffers);
            let after_spike = row > 0 && last_spike == row - 1;
            if class == Some(Rule::Spike) {
                last_spike = row;
            }
            if let Some(rule) = class.filter(|_| row >= rows.start && !after_spike) {
                marks[row] |= rule.bit();
            }
        }
        start = end;
    }
    buffers.doubtful = doubtful;
}

/// Whether a return is within the scale for certain, or the returns before it are too few to say: by their median, and
/// how many of them are nearer to it than would have to be.
fn passes(past: &[f64], x: f64, enough: usize, scales: f32) -> bool {
    let mut sorted = [f32::INFINITY; WINDOW];
    let mut count = 0;
    let (mut least, mut largest) = (x as f32, x as f32);
    for value in past.iter().filter(|value| !value.is_nan()) {
        let value = *value as f32;
        sorted[count] = value;
        (least, largest) = (least.min(value), largest.max(value));
        count += 1;
    }
    if count < enough {
        return true;
    }
    let x = x as f32;
    // Near −1 and far above, simple returns in an f32 say little about log returns.
    if least < -0.5 || largest > 1.0 {
        return false;
    }
    let sorted = &mut sorted[..count];
    let (below, high, _) = sorted.select_nth_unstable_by(count / 2, f32::total_cmp);
    let high = *high;
    let low = if count % 2 == 1 { high } else { below.iter().copied().fold(f32::NEG_INFINITY, f32::max) };
    // As in `certain`: rounding, and how log returns differ from simple ones.
    let doubt = 4e-7 * largest.abs().max(least.abs());
    let distance = (x - low).max(high - x) + doubt;
    let needed = distance * (1.0 + largest) / (scales * (1.0 + least)) + doubt;
    let near = sorted.iter().filter(|value| **value > low - needed && **value < high + needed).count();
    near <= (count - 1) / 2
}

/// The rule that a return breaks: the definition, in full.
fn classify(
    bars: &Bars<'_>,
    returns: &[f64],
    row: usize,
    past: Range<usize>,
    rules: &Rules,
    buffers: &mut Buffers,
) -> Option<Rule> {
    let r = returns[row].ln_1p();
    let floor = floor(bars, row, past.clone(), rules, &mut buffers.decimals);
    buffers.sample.clear();
    buffers.sample.extend(returns[past].iter().filter(|x| !x.is_nan()).map(|x| x.ln_1p()));
    let (median, deviation) = median_and_deviation(&mut buffers.sample);
    let scale = (NORMAL * deviation).max(floor);
    let distance = (r - median).abs();
    if distance <= rules.soft * scale {
        return None;
    }
    let next = returns.get(row + 1).map_or(f64::NAN, |x| x.ln_1p());
    let returned = r * next < 0.0 && (r + next).abs() < rules.reversion * r.abs();
    Some(if distance > rules.hard * scale && returned { Rule::Spike } else { Rule::Outlier })
}

/// One tick, as a share of the price: the declared one, or the last decimal that any close before it has.
fn floor(bars: &Bars<'_>, row: usize, past: Range<usize>, rules: &Rules, decimals: &mut [u8]) -> f64 {
    let price = bars.close[row - 1];
    if let Some(tick) = rules.tick {
        return tick / price;
    }
    let mut most = 0;
    for at in past {
        if decimals[at] == 0 {
            decimals[at] = decimals_of(bars.close[at]) + 1;
        }
        most = most.max(decimals[at] - 1);
    }
    10f64.powi(-i32::from(most)) / price
}

/// Decimals of a price, at most nine.
pub(crate) fn decimals_of(price: f64) -> u8 {
    let mut scaled = price.abs();
    for decimals in 0..DECIMALS {
        if (scaled - scaled.round()).abs() <= 1e-9 * scaled.max(1.0) {
            return decimals;
        }
        scaled *= 10.0;
    }
    DECIMALS
}

/// Median, and median absolute deviation from it. Of an even number the mean of the two in the middle. Orders the values anew.
pub(crate) fn median_and_deviation(values: &mut [f64]) -> (f64, f64) {
    let median = median(values);
    for value in values.iter_mut() {
        *value = (*value - median).abs();
    }
    (median, self::median(values))
}

/// The median; NaN of nothing. Orders the values anew.
pub(crate) fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return f64::NAN;
    }
    let (half, is_odd) = (values.len() / 2, values.len() % 2 == 1);
    let (below, middle, _) = values.select_nth_unstable_by(half, f64::total_cmp);
    let middle = *middle;
    if is_odd {
        return middle;
    }
    let below = below.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    f64::midpoint(below, middle)
}

#[cfg(test)]
mod tests {
    use tapestore::time::MINUTE_NS;

    use super::*;
    use crate::bars::tests::{Random, rows_of};

    /// The rule as its page defines it.
    fn plain(bars: &Bars<'_>, returns: &[f64], rules: &Rules) -> Vec<u32> {
        let mut marks = vec![0; bars.len()];
        let mut spike = false;
        for row in 1..bars.len() {
            let after_spike = std::mem::take(&mut spike);
            let past = row.saturating_sub(rules.window)..row;
            let mut seen: Vec<f64> =
                returns[past.clone()].iter().filter(|x| !x.is_nan()).map(|x| x.ln_1p()).collect();
            let r = returns[row].ln_1p();
            if r.is_nan() || seen.len() < rules.window.div_ceil(2) {
                continue;
            }
            seen.sort_by(f64::total_cmp);
            let middle = |v: &[f64]| f64::midpoint(v[(v.len() - 1) / 2], v[v.len() / 2]);
            let median = middle(&seen);
            let mut far: Vec<f64> = seen.iter().map(|v| (v - median).abs()).collect();
            far.sort_by(f64::total_cmp);
            let decimals = past.map(|at| decimals_of(bars.close[at])).max().unwrap();
            let tick = rules.tick.unwrap_or(10f64.powi(-i32::from(decimals)));
            let scale = (1.4826 * middle(&far)).max(tick / bars.close[row - 1]);
            let next = returns.get(row + 1).map_or(f64::NAN, |x| x.ln_1p());
            let reverts = r * next < 0.0 && (r + next).abs() < rules.reversion * r.abs();
            if (r - median).abs() > rules.soft * scale {
                spike = (r - median).abs() > rules.hard * scale && reverts;
                if !after_spike {
                    marks[row] |= if spike { Rule::Spike.bit() } else { Rule::Outlier.bit() };
                }
            }
        }
        marks
    }

    #[test]
    fn marks_are_those_of_the_plain_computation() {
        let mut random = Random(7);
        let (mut spikes, mut outliers) = (0, 0);
        for case in 0..40 {
            let rows = 500;
            let (mut time, mut close) = (Vec::new(), Vec::new());
            let (mut now, mut price) = (0, 100.0_f64);
            let calm = [1e-6, 1e-4, 3e-3, 3e-2][case % 4];
            for _ in 0..rows {
                now += MINUTE_NS * if random.below(40) == 0 { 1 + random.below(9) as i64 } else { 1 };
                price *= 1.0 + calm * random.normal() * if random.below(60) == 0 { 15.0 } else { 1.0 };
                let seen = price * if random.below(70) == 0 { 1.0 + 60.0 * calm } else { 1.0 };
                let bad = random.below(200) == 0;
                time.push(now);
                close.push(if bad {
                    [f64::NAN, 0.0, -1.0][random.below(3)]
                } else {
                    (seen * 1e4).round() / 1e4
                });
            }
            let rows = rows_of(&time, &close, &vec![1.0; close.len()]);
            let bars = Bars::of(&rows).unwrap();
            let mut returns = Vec::new();
            simple_returns(&bars, Some(MINUTE_NS), &mut returns);
            for window in [61, 60, 5] {
                let rules = Rules { window, tick: (case % 5 == 4).then_some(0.01), ..Rules::default() };
                let expected = plain(&bars, &returns, &rules);
                let mut marks = vec![0; bars.len()];
                let mut buffers = Buffers::default();
                mark_outliers(&bars, &returns, 0..bars.len(), &rules, &mut buffers, &mut marks);
                assert_eq!(marks, expected, "case {case}, window {window}");
                // Any part gives the same.
                let (from, to) = (100 + random.below(100), 300 + random.below(200));
                let mut part = vec![0; bars.len()];
                mark_outliers(&bars, &returns, from..to, &rules, &mut Buffers::default(), &mut part);
                assert_eq!(part[from..to], expected[from..to], "case {case}, window {window}, {from}..{to}");
                spikes += expected.iter().filter(|bits| **bits & Rule::Spike.bit() != 0).count();
                outliers += expected.iter().filter(|bits| **bits & Rule::Outlier.bit() != 0).count();
            }
        }
        assert!(spikes > 50 && outliers > 50, "{spikes} spikes and {outliers} outliers are no test");
    }

    #[test]
    fn a_stretch_in_cents_is_in_the_wrong_unit_and_one_that_stays_is_a_level() {
        let mut close = vec![100.0; 20];
        close[5..9].fill(10_000.0);
        close[15..].fill(1.0);
        let time: Vec<i64> = (0..20).map(|minute| minute * MINUTE_NS).collect();
        let rows = rows_of(&time, &close, &[1.0; 20]);
        let bars = Bars::of(&rows).unwrap();
        let (mut returns, mut marks) = (Vec::new(), vec![0; 20]);
        simple_returns(&bars, Some(MINUTE_NS), &mut returns);
        mark_units(&bars, &mut returns, 240, &mut marks);
        let marked = |rule: Rule| (0..20).filter(|row| marks[*row] & rule.bit() != 0).collect::<Vec<_>>();
        assert_eq!((marked(Rule::Unit), marked(Rule::Level)), (vec![5, 6, 7, 8], vec![15]));
    }

    #[test]
    fn the_deviation_of_sorted_values_is_a_bound_and_near() {
        let mut random = Random(11);
        for _ in 0..2000 {
            let count = 1 + random.below(30);
            let mut values: Vec<f32> = (0..count).map(|_| (random.below(50) as f32) / 8.0).collect();
            values.sort_by(f32::total_cmp);
            let mut wide: Vec<f64> = values.iter().map(|value| f64::from(*value)).collect();
            let (_, deviation) = median_and_deviation(&mut wide);
            let bound = f64::from(deviation_of_sorted(count, |rank| values[rank]));
            let between = f64::from(values[count / 2] - values[(count - 1) / 2]);
            assert!(bound <= deviation + 1e-6, "{values:?}: {bound} of {deviation}");
            assert!(
                count.is_multiple_of(2) || bound >= deviation - between - 1e-6,
                "{values:?}: {bound} of {deviation}"
            );
        }
    }

    #[test]
    fn decimals_are_counted() {
        assert_eq!([100.0, 0.1, 93_500.12, 1e-8, 1.0 / 3.0].map(decimals_of), [0, 1, 2, 8, 9]);
    }
}
