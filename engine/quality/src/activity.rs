//! Volume by time of day: a bar's volume is compared with those of the same time on the days before.
//!
//! x = ln(1 + volume) is unlike its time of day if |x − median| > k · max(1.4826 · MAD, floor), median and MAD over the bars
//! at the same time on the 20 days before (four weeks where markets close at weekends). For every time of day the past is
//! kept sorted, by an approximate logarithm; the quartiles bound the deviation, and what does not pass is computed in full.
//!
//! # Invariants
//! - V1. The marks are those of the plain computation.

#![expect(clippy::inline_always, reason = "kernels are compiled with the vectors of their caller")]

use std::collections::VecDeque;
use std::ops::Range;

use tapestore::time::DAY_NS;

use crate::bars::Bars;
use crate::returns::{NORMAL, deviation_of_sorted, median_and_deviation};
use crate::rule::Rule;
use crate::rules::Rules;
use crate::wide::{is_run, widest};

/// Largest error of [`logarithm`].
const DOUBT: f32 = 2e-3;
/// Times of day that are looked at together.
const WIDE: usize = 8;

/// What is kept of as many times of day.
type Lanes = [f32; WIDE];

const NOTHING: Lanes = [f32::INFINITY; WIDE];

/// ln(1 + volume), nearly, without a call and without a branch; infinite if there is no such.
#[inline(always)]
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

#[inline(always)]
fn logarithms_body(volume: &[f64], out: &mut [f32]) {
    for (volume, out) in volume.iter().zip(out) {
        *out = logarithm(*volume);
    }
}

widest! {
    /// [`logarithm`] of each.
    logarithms = logarithms_body(volume: &[f64], out: &mut [f32])
}

/// What a volume may be away from those before.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Least number of days.
    days: u8,
    scales: f32,
    floor: f32,
}

impl Limits {
    fn of(rules: &Rules) -> Self {
        let days = rules.activity_days.max(2).min(usize::from(u8::MAX)) as u8;
        Self { days, scales: rules.activity as f32 * 0.999, floor: rules.activity_floor as f32 }
    }

    /// The largest distance that is within the scale for certain, if the deviation is no less than this.
    #[inline(always)]
    fn distance(self, deviation: f32) -> f32 {
        let scale = (deviation - 3.0 * DOUBT) * NORMAL as f32;
        self.scales * if scale > self.floor { scale } else { self.floor }
    }

    /// Whether a volume is within the scale for certain, of one time of day with `count` days in `ranks`.
    fn passes(self, ranks: &[Lanes], lane: usize, count: u8, x: f32) -> bool {
        let count = usize::from(count);
        let at = |rank: usize| ranks[rank][lane];
        let (median_low, median_high) = (at((count - 1) / 2), at(count / 2));
        let distance = (x - median_low).abs().max((x - median_high).abs()) + 2.0 * DOUBT;
        let (low, high) = (at(count / 4), at(count - 1 - count / 4));
        let least = (high - median_high).min(median_low - low);
        distance <= self.distance(least) || distance <= self.distance(deviation_of_sorted(count, at))
    }
}

/// Judges what is new in some lanes by their past; the lanes that do not pass for certain.
#[inline(always)]
fn doubtful(ranks: &[Lanes], counts: [u8; WIDE], new: &Lanes, limits: Limits) -> [bool; WIDE] {
    let mut out = [false; WIDE];
    let count = usize::from(counts[0]);
    if counts != [counts[0]; WIDE] {
        for lane in 0..WIDE {
            out[lane] = new[lane] < f32::INFINITY && counts[lane] >= limits.days;
        }
    } else if counts[0] >= limits.days {
        let (median_low, median_high) = (&ranks[(count - 1) / 2], &ranks[count / 2]);
        let (low, high) = (&ranks[count / 4], &ranks[count - 1 - count / 4]);
        for lane in 0..WIDE {
            let x = new[lane];
            let (below, above) = ((x - median_low[lane]).abs(), (x - median_high[lane]).abs());
            let distance = if below > above { below } else { above } + 2.0 * DOUBT;
            let (up, down) = (high[lane] - median_high[lane], median_low[lane] - low[lane]);
            let least = if up < down { up } else { down };
            out[lane] = (x < f32::INFINITY) & (distance > limits.distance(least));
        }
    }
    out
}

/// Takes the old value out of every lane and puts the new one in, rank by rank.
#[inline(always)]
fn replace(ranks: &mut [Lanes], old: &Lanes, new: &Lanes) {
    let mut before = [f32::NEG_INFINITY; WIDE];
    let mut this = ranks[0];
    for rank in 0..ranks.len() {
        // Behind the last rank stands infinity.
        let next = if rank + 1 < ranks.len() { ranks[rank + 1] } else { NOTHING };
        let mut left = NOTHING;
        for lane in 0..WIDE {
            left[lane] = if this[lane] < old[lane] { this[lane] } else { next[lane] };
            let low = if left[lane] < new[lane] { left[lane] } else { new[lane] };
            ranks[rank][lane] = if before[lane] > low { before[lane] } else { low };
        }
        (before, this) = (left, next);
    }
}

/// The past of every time of day, sorted, in blocks of lanes.
#[derive(Debug)]
struct Sorted {
    window: usize,
    /// For every block its `window` ranks, ascending within a lane; infinite where there was no bar.
    ranks: Vec<Lanes>,
    /// Of every lane, how many are finite.
    counts: Vec<[u8; WIDE]>,
}

#[inline(always)]
fn turn_body(past: &mut Sorted, old: &[Lanes], new: &[Lanes], limits: Option<Limits>, told: &mut Vec<usize>) {
    let blocks = past.ranks.chunks_exact_mut(past.window).zip(&mut past.counts);
    for (block, ((ranks, counts), (old, new))) in blocks.zip(old.iter().zip(new)).enumerate() {
        if let Some(limits) = limits {
            let doubtful = doubtful(ranks, *counts, new, limits);
            if doubtful != [false; WIDE] {
                let fails =
                    |lane: &usize| doubtful[*lane] && !limits.passes(ranks, *lane, counts[*lane], new[*lane]);
                told.extend((0..WIDE).filter(fails).map(|lane| block * WIDE + lane));
            }
        }
        for lane in 0..WIDE {
            let (comes, goes) = (new[lane] < f32::INFINITY, old[lane] < f32::INFINITY);
            counts[lane] = counts[lane] + u8::from(comes) - u8::from(goes);
        }
        replace(ranks, old, new);
    }
}

widest! {
    /// Judges a new day, if there are limits, and takes it in for an old one; the lanes that do not pass for certain.
    turn = turn_body(
        past: &mut Sorted,
        old: &[Lanes],
        new: &[Lanes],
        limits: Option<Limits>,
        told: &mut Vec<usize>,
    )
}

/// The past of every time of day.
#[derive(Debug)]
pub(crate) struct Activity {
    step_ns: i64,
    lanes: usize,
    window: usize,
    sorted: Sorted,
    /// A day without bars.
    nothing: Vec<Lanes>,
    /// Of the days before: how far local clocks are ahead of UTC, and what was in the lanes.
    days: VecDeque<(i64, Vec<Lanes>)>,
    /// A day that is forgotten, to be written anew.
    spare: Option<Vec<Lanes>>,
    /// Lanes, and rows with their lanes, that have to be looked at closely.
    told: Vec<usize>,
    suspects: Vec<(usize, usize)>,
    sample: Vec<f64>,
}

/// How the bars of a day lie in the lanes.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Places {
    /// In every lane one after the other, from this one on and around.
    Run(usize),
    /// At most one in a lane.
    Single,
    /// Two or more in some.
    Shared,
}

impl Activity {
    /// For bars of a length that divides a day; `None` for others.
    pub(crate) fn new(step_ns: Option<i64>, window: usize) -> Option<Self> {
        let step_ns = step_ns.filter(|step| *step < DAY_NS && DAY_NS % step == 0)?;
        let lanes = (DAY_NS / step_ns) as usize;
        let blocks = lanes.div_ceil(WIDE);
        let sorted =
            Sorted { window, ranks: vec![NOTHING; blocks * window], counts: vec![[0; WIDE]; blocks] };
        Some(Self {
            step_ns,
            lanes,
            window,
            sorted,
            nothing: vec![NOTHING; blocks],
            days: VecDeque::new(),
            spare: None,
            told: Vec::new(),
            suspects: Vec::new(),
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
        let mut today = self.spare.take().unwrap_or_default();
        today.clone_from(&self.nothing);
        let places = self.places(bars, &rows, offset_ns, volume, today.as_flattened_mut());
        let limits = Limits::of(rules);
        let mut suspects = std::mem::take(&mut self.suspects);
        suspects.clear();
        if marks.is_some() && places == Places::Shared {
            let passes = |row: usize, lane: usize| {
                let ranks = &self.sorted.ranks[lane / WIDE * self.window..][..self.window];
                let count = self.sorted.counts[lane / WIDE][lane % WIDE];
                count < limits.days || limits.passes(ranks, lane % WIDE, count, logarithm(volume[row]))
            };
            let placed = rows.clone().map(|row| (row, self.lane(bars.time[row] + offset_ns)));
            suspects.extend(placed.filter(|(row, lane)| !passes(*row, *lane)));
        }
        let judged = (marks.is_some() && places != Places::Shared).then_some(limits);
        let is_full = self.days.len() == self.window;
        let old = if is_full { &self.days[0].1 } else { &self.nothing };
        self.told.clear();
        turn(&mut self.sorted, old, &today, judged, &mut self.told);
        let lanes = self.lanes;
        match places {
            Places::Run(first) => suspects
                .extend(self.told.iter().map(|lane| (rows.start + (lane + lanes - first) % lanes, *lane))),
            _ if self.told.is_empty() => {}
            _ => suspects.extend(
                rows.map(|row| (row, self.lane(bars.time[row] + offset_ns)))
                    .filter(|(_, lane)| self.told.binary_search(lane).is_ok()),
            ),
        }
        if let Some(marks) = marks {
            for (row, lane) in &suspects {
                if self.is_unlike(bars, *row, *lane, rules) {
                    marks[*row] |= Rule::Activity.bit();
                }
            }
        }
        self.suspects = suspects;
        if is_full {
            self.spare = self.days.pop_front().map(|day| day.1);
        }
        self.days.push_back((offset_ns, today));
    }

    /// Puts the volumes of a day in their lanes; how they lie.
    fn places(
        &self,
        bars: &Bars<'_>,
        rows: &Range<usize>,
        offset_ns: i64,
        volume: &[f64],
        today: &mut [f32],
    ) -> Places {
        let time = &bars.time[rows.clone()];
        let Some(first) = time.first() else { return Places::Single };
        if time.len() <= self.lanes && is_run(time, self.step_ns) {
            let first = self.lane(first + offset_ns);
            let ahead = (self.lanes - first).min(time.len());
            logarithms(&volume[rows.start..rows.start + ahead], &mut today[first..]);
            logarithms(&volume[rows.start + ahead..rows.end], today);
            return Places::Run(first);
        }
        let mut places = Places::Single;
        for row in rows.clone() {
            let lane = self.lane(bars.time[row] + offset_ns);
            // Of several bars in one slot the last counts.
            if today[lane] < f32::INFINITY {
                places = Places::Shared;
            }
            today[lane] = logarithm(volume[row]);
        }
        places
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
