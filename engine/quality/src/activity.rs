//! Volume by time of day: a bar's volume is compared with those of the same time on the days before.
//!
//! x = ln(1 + volume) is unlike its time of day if |x − median| > k · max(1.4826 · MAD, floor), median and MAD over the bars
//! at the same time on the 20 days before (four weeks where markets close at weekends). For every time of day the past is
//! kept sorted, by an approximate logarithm; the quartiles bound the deviation, and what does not pass is computed in full.
//!
//! # Invariants
//! - V1. The marks are those of the plain computation.

use std::collections::VecDeque;
use std::ops::Range;

use tapestore::time::DAY_NS;

use crate::bars::Bars;
use crate::returns::{NORMAL, deviation_of_sorted, median_and_deviation};
use crate::rule::Rule;
use crate::rules::Rules;

/// Largest error of [`logarithm`].
const DOUBT: f32 = 2e-3;

/// ln(1 + volume), nearly, without a call and without a branch; infinite if there is no such.
fn logarithm(volume: f64) -> f32 {
    let y = (volume as f32) + 1.0;
    let bits = y.to_bits();
    let exponent = ((bits >> 23) as i32 - 127) as f32;
    let mantissa = f32::from_bits((bits & 0x007f_ffff) | 0x3f80_0000);
    // ln(m) on [1, 2) by a polynomial of the fourth degree (least squares on Chebyshev nodes), to 1e-4.
    let m = mantissa;
    let polynomial =
        -1.741_794 + m * (2.821_202_6 + m * (-1.469_956_8 + m * (0.447_179_55 - m * 0.056_570_85)));
    let value = exponent * std::f32::consts::LN_2 + polynomial;
    if volume >= 0.0 && y < f32::INFINITY { value } else { f32::INFINITY }
}

/// The past of every time of day.
#[derive(Debug)]
pub(crate) struct Activity {
    step_ns: i64,
    lanes: usize,
    window: usize,
    /// `window` rows of `lanes`, ascending within a lane; infinite where there was no bar.
    sorted: Vec<f32>,
    counts: Vec<u8>,
    /// A row of infinities.
    nothing: Vec<f32>,
    /// Of the days before: how far local clocks are ahead of UTC, and what was in the lanes.
    days: VecDeque<(i64, Vec<f32>)>,
    sample: Vec<f64>,
}

impl Activity {
    /// For bars of a length that divides a day; `None` for others.
    pub(crate) fn new(step_ns: Option<i64>, window: usize) -> Option<Self> {
        let step_ns = step_ns.filter(|step| *step < DAY_NS && DAY_NS % step == 0)?;
        let lanes = (DAY_NS / step_ns) as usize;
        Some(Self {
            step_ns,
            lanes,
            window,
            sorted: vec![f32::INFINITY; lanes * window],
            counts: vec![0; lanes],
            nothing: vec![f32::INFINITY; lanes],
            days: VecDeque::new(),
            sample: Vec::new(),
        })
    }

    fn lane(&self, local: i64) -> usize {
        (local.rem_euclid(DAY_NS) / self.step_ns) as usize
    }

    /// Marks what is unlike the days before, and remembers this day, on which local clocks are `offset_ns` ahead of UTC.
    pub(crate) fn day(
        &mut self,
        bars: &Bars<'_>,
        rows: Range<usize>,
        offset_ns: i64,
        rules: &Rules,
        marks: Option<&mut [u32]>,
    ) {
        let Some(volume) = bars.volume else { return };
        if let Some(marks) = marks {
            for row in rows.clone() {
                let lane = self.lane(bars.time[row] + offset_ns);
                let enough = usize::from(self.counts[lane]) >= rules.activity_days.max(2);
                if enough
                    && !self.passes(lane, logarithm(volume[row]), rules)
                    && self.is_unlike(bars, row, lane, rules)
                {
                    marks[row] |= Rule::Activity.bit();
                }
            }
        }
        let mut today = vec![f32::INFINITY; self.lanes];
        for row in rows {
            let lane = self.lane(bars.time[row] + offset_ns);
            today[lane] = logarithm(volume[row]);
        }
        self.remember(offset_ns, today);
    }

    fn remember(&mut self, offset_ns: i64, today: Vec<f32>) {
        let full = self.days.len() == self.window;
        let gone = full.then(|| self.days.pop_front()).flatten();
        let gone = gone.map_or_else(|| vec![f32::INFINITY; self.lanes], |day| day.1);
        for ((count, new), old) in self.counts.iter_mut().zip(&today).zip(&gone) {
            *count = *count + u8::from(*new < f32::INFINITY) - u8::from(*old < f32::INFINITY);
        }
        let lanes = self.lanes;
        // Takes the old value out of every lane and puts the new one in, rank by rank.
        let mut before = vec![f32::NEG_INFINITY; lanes];
        for rank in 0..self.window {
            let (this, rest) = self.sorted[rank * lanes..].split_at_mut(lanes);
            // Behind the last rank stands infinity.
            let next = if rest.is_empty() { &self.nothing[..] } else { &rest[..lanes] };
            let lanes = this.iter_mut().zip(next).zip(&mut before).zip(gone.iter().zip(&today));
            for (((this, next), before), (old, new)) in lanes {
                let left = if *this < *old { *this } else { *next };
                let low = if left < *new { left } else { *new };
                *this = if *before > low { *before } else { low };
                *before = left;
            }
        }
        self.days.push_back((offset_ns, today));
    }

    /// Whether a volume is within the scale for certain.
    fn passes(&self, lane: usize, x: f32, rules: &Rules) -> bool {
        let count = usize::from(self.counts[lane]);
        let at = |rank: usize| self.sorted[rank * self.lanes + lane];
        let (median_low, median_high) = (at((count - 1) / 2), at(count / 2));
        let distance = (x - median_low).abs().max((x - median_high).abs()) + 2.0 * DOUBT;
        let (low, high) = (at(count / 4), at(count - 1 - count / 4));
        let least = (high - median_high).min(median_low - low) - 3.0 * DOUBT;
        let within = |least: f32| {
            let scale = (least * NORMAL as f32).max(rules.activity_floor as f32);
            distance <= rules.activity as f32 * scale * 0.999
        };
        within(least) || within(deviation_of_sorted(count, at) - 3.0 * DOUBT)
    }

    /// The definition, in full.
    fn is_unlike(&mut self, bars: &Bars<'_>, row: usize, lane: usize, rules: &Rules) -> bool {
        let Some(volume) = bars.volume else { return false };
        let fine = |v: f64| v >= 0.0 && v < f64::from(f32::MAX);
        if !fine(volume[row]) {
            return false;
        }
        self.sample.clear();
        let today = bars.time[row].div_euclid(DAY_NS);
        for (back, (offset_ns, _)) in (1..).zip(self.days.iter().rev()) {
            let from = (today - back) * DAY_NS + (lane as i64 * self.step_ns - offset_ns).rem_euclid(DAY_NS);
            let to = from + self.step_ns;
            // Where no bar is missing, it is as many rows back as there are in these days.
            let guess = row.checked_sub(back as usize * self.lanes);
            let first = match guess.filter(|guess| bars.time[*guess] == from) {
                Some(first) => first,
                None => bars.time[..row].partition_point(|time| *time < from),
            };
            // Of several bars in one slot the last counts.
            let end = first + bars.time[first..row].iter().take_while(|time| **time < to).count();
            if end > first && fine(volume[end - 1]) {
                self.sample.push(volume[end - 1].ln_1p());
            }
        }
        if self.sample.len() < rules.activity_days.max(2) {
            return false;
        }
        let x = volume[row].ln_1p();
        let (median, deviation) = median_and_deviation(&mut self.sample);
        (x - median).abs() > rules.activity * (NORMAL * deviation).max(rules.activity_floor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bars::tests::{Random, rows_of};
    use crate::returns::median;

    #[test]
    fn marks_are_those_of_the_plain_computation() {
        let (step, window) = (DAY_NS / 48, 20);
        let mut random = Random(3);
        let mut told = 0;
        for case in 0..6 {
            let (mut time, mut volume) = (Vec::new(), Vec::new());
            let scale = [1e-3, 1.0, 1e4][case % 3];
            for slot in 0..48 * 60 {
                if random.below(20) == 0 || (slot / 48) % 7 == 6 {
                    continue;
                }
                time.push(slot * step);
                let usual = scale * (1.0 + (slot % 48) as f64) * (0.4 * random.normal()).exp();
                let times = if random.below(30) == 0 { [1e3, 0.0, 1e-3][random.below(3)] } else { 1.0 };
                volume.push(usual * times);
            }
            let rows = rows_of(&time, &vec![1.0; time.len()], &volume);
            let bars = Bars::of(&rows).unwrap();
            let rules = Rules { activity: 5.0, ..Rules::default() };
            let offset = |day: i64| if day < 30 { 0 } else { DAY_NS / 24 };
            let mut activity = Activity::new(Some(step), window).unwrap();
            let mut marks = vec![0; bars.len()];
            for day in 0..60 {
                let of = |day: i64| bars.time.partition_point(|time| *time < day * DAY_NS);
                activity.day(&bars, of(day)..of(day + 1), offset(day), &rules, Some(&mut marks));
            }
            for row in 0..bars.len() {
                let place = |row: usize| {
                    let day = time[row].div_euclid(DAY_NS);
                    (day, (time[row] + offset(day)).rem_euclid(DAY_NS) / step)
                };
                let (day, lane) = place(row);
                let past = (0..row).filter(|at| {
                    let (then, there) = place(*at);
                    there == lane && then < day && then + window as i64 >= day
                });
                let mut past: Vec<f64> = past.map(|at| volume[at].ln_1p()).collect();
                let x = volume[row].ln_1p();
                let unlike = past.len() >= rules.activity_days && {
                    let middle = median(&mut past);
                    let mut far: Vec<f64> = past.iter().map(|v| (v - middle).abs()).collect();
                    (x - middle).abs() > 5.0 * (NORMAL * median(&mut far)).max(rules.activity_floor)
                };
                assert_eq!(marks[row] != 0, unlike, "case {case}, row {row}");
                told += usize::from(unlike);
            }
        }
        assert!(told > 100, "{told} is no test");
    }

    #[test]
    fn the_logarithm_is_near_enough() {
        let mut volume = 1e-9;
        while volume < 1e30 {
            let error = (f64::from(logarithm(volume)) - volume.ln_1p()).abs();
            assert!(error < f64::from(DOUBT), "{volume}: {error}");
            volume *= 1.003;
        }
        assert_eq!(logarithm(f64::NAN), f32::INFINITY);
        assert_eq!(logarithm(-1.0), f32::INFINITY);
        assert!(logarithm(0.0).abs() < DOUBT);
    }
}
