//! Recursive factors of the dominant cycle (Ehlers): MAMA, FAMA and the Hilbert transform factors.
//!
//! TA-Lib runs the same pipeline anew in each of its seven functions. It begins in bar 12 for those with a warm-up of 32
//! bars and in bar 37 for those with 63, and two pipelines begun at different bars only ever come nearer to each other;
//! so here are two, fed with one smoothed price, and everything else is made of them.

use std::f64::consts::PI;
use std::sync::OnceLock;

use crate::bars::Bar;
use crate::recurrence::{Recurrence, Ring};

const DEGREES: f64 = 180.0 / PI;
/// Longest cycle in bars.
const LONGEST: usize = 50;

/// The close smoothed over four bars, weights 1 to 4: TA-Lib's running sums.
#[derive(Clone, Debug, Default)]
struct Smoother {
    seen: usize,
    closes: Ring<4>,
    sub: f64,
    sum: f64,
}

impl Smoother {
    #[inline(always)]
    fn step(&mut self, close: f64) -> f64 {
        let leaving = if self.seen > 3 { self.closes.ago(3) } else { 0.0 };
        self.closes.push(close);
        if self.seen < 3 {
            self.seen += 1;
            self.sub += close;
            self.sum += close * self.seen as f64;
            return f64::NAN;
        }
        self.seen = 4;
        self.sub += close;
        self.sub -= leaving;
        self.sum += close * 4.0;
        let smoothed = self.sum * 0.1;
        self.sum -= self.sub;
        smoothed
    }
}

/// From the smoothed price to the period of the cycle.
#[derive(Clone, Debug, Default)]
struct Pipeline {
    smoothed: Ring<8>,
    detrended: Ring<16>,
    quadrature: Ring<8>,
    i2: f64,
    q2: f64,
    re: f64,
    im: f64,
    period: f64,
    smooth_period: f64,
}

/// What a pipeline tells of a bar.
#[derive(Clone, Copy, Debug)]
struct Components {
    in_phase: f64,
    quadrature: f64,
}

/// The transform of seven values, newest first, every other being nought.
#[inline(always)]
fn transform(now: f64, two: f64, four: f64, six: f64, gain: f64) -> f64 {
    const A: f64 = 0.0962;
    const B: f64 = 0.5769;
    (A * now - A * six - B * four + B * two) * gain
}

impl Pipeline {
    #[inline(always)]
    fn step(&mut self, smoothed: f64) -> Components {
        let gain = 0.075 * self.period + 0.54;
        let s = &mut self.smoothed;
        s.push(smoothed);
        let detrended = transform(smoothed, s.ago(2), s.ago(4), s.ago(6), gain);
        let d = &mut self.detrended;
        d.push(detrended);
        let quadrature = transform(detrended, d.ago(2), d.ago(4), d.ago(6), gain);
        let in_phase = d.ago(3);
        let ji = transform(in_phase, d.ago(5), d.ago(7), d.ago(9), gain);
        let q = &mut self.quadrature;
        q.push(quadrature);
        let jq = transform(quadrature, q.ago(2), q.ago(4), q.ago(6), gain);
        let q2 = 0.2 * (quadrature + ji) + 0.8 * self.q2;
        let i2 = 0.2 * (in_phase - jq) + 0.8 * self.i2;
        self.re = 0.8 * self.re + 0.2 * (i2 * self.i2 + q2 * self.q2);
        self.im = 0.8 * self.im + 0.2 * (i2 * self.q2 - q2 * self.i2);
        (self.i2, self.q2) = (i2, q2);
        let before = self.period;
        let mut period = before;
        if self.im != 0.0 && self.re != 0.0 {
            period = 360.0 / ((self.im / self.re).atan() * DEGREES);
        }
        // The upper bound first: where both bind, the lower one holds.
        period = if period > 1.5 * before { 1.5 * before } else { period };
        period = if period < 0.67 * before { 0.67 * before } else { period };
        self.period = 0.2 * period.clamp(6.0, LONGEST as f64) + 0.8 * before;
        self.smooth_period = 0.33 * self.period + 0.67 * self.smooth_period;
        Components { in_phase, quadrature }
    }

    /// The cycle in whole bars.
    #[inline(always)]
    fn bars(&self) -> usize {
        ((self.smooth_period + 0.5) as usize).min(LONGEST)
    }
}

/// Sine and cosine of the parts of whole circles: for a cycle of `bars`, entry `k` is that of `k / bars` of a circle.
struct Circle {
    sine: [f64; LONGEST],
    cosine: [f64; LONGEST],
}

fn circles() -> &'static [Circle] {
    static CIRCLES: OnceLock<Vec<Circle>> = OnceLock::new();
    CIRCLES.get_or_init(|| {
        let angle = |k: usize, bars: usize| k as f64 * (2.0 * PI) / bars as f64;
        let part = |k: usize, bars: usize| {
            if k < bars { (angle(k, bars).sin(), angle(k, bars).cos()) } else { (0.0, 0.0) }
        };
        (0..=LONGEST)
            .map(|bars| Circle {
                sine: std::array::from_fn(|k| part(k, bars).0),
                cosine: std::array::from_fn(|k| part(k, bars).1),
            })
            .collect()
    })
}

/// MAMA, FAMA, HT_TRENDLINE, HT_DCPERIOD, HT_DCPHASE, HT_INPHASE, HT_QUADRATURE, HT_SINE, HT_LEADSINE, HT_TRENDMODE.
#[derive(Clone, Debug)]
pub(crate) struct Hilbert {
    circles: &'static [Circle],
    /// Bars taken, up to some beyond all warm-ups.
    seen: usize,
    smoother: Smoother,
    /// Begun in bar 12 and in bar 37.
    early: Pipeline,
    late: Pipeline,
    averages: Adaptive,
    /// Closes and smoothed prices, the newest last, twice as many as the longest cycle so that they stand in a row.
    closes: Recent,
    prices: Recent,
    trend: Trend,
    phase: f64,
    sines: [f64; 2],
    days_in_trend: u64,
}

impl std::fmt::Debug for Circle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Circle")
    }
}

impl Default for Hilbert {
    fn default() -> Self {
        Self {
            circles: circles(),
            seen: 0,
            smoother: Smoother::default(),
            early: Pipeline::default(),
            late: Pipeline::default(),
            averages: Adaptive::default(),
            closes: Recent::default(),
            prices: Recent::default(),
            trend: Trend::default(),
            phase: 0.0,
            sines: [0.0; 2],
            days_in_trend: 0,
        }
    }
}

/// The last [`LONGEST`] values, newest first, in one stretch of memory.
#[derive(Clone, Debug)]
struct Recent {
    values: [f64; 4 * LONGEST],
    /// Where the newest stands.
    at: usize,
}

impl Default for Recent {
    fn default() -> Self {
        Self { values: [0.0; 4 * LONGEST], at: 3 * LONGEST }
    }
}

impl Recent {
    #[inline(always)]
    fn push(&mut self, value: f64) {
        if self.at == 0 {
            self.values.copy_within(0..LONGEST, 3 * LONGEST);
            self.at = 3 * LONGEST;
        }
        self.at -= 1;
        self.values[self.at] = value;
    }

    #[inline(always)]
    fn newest(&self, count: usize) -> &[f64] {
        &self.values[self.at..self.at + count]
    }
}

/// MAMA and FAMA(0.5, 0.05).
#[derive(Clone, Debug, Default)]
struct Adaptive {
    phase: f64,
    mama: f64,
    fama: f64,
}

impl Adaptive {
    #[inline(always)]
    fn step(&mut self, close: f64, components: Components) {
        let Components { in_phase, quadrature } = components;
        let phase = if in_phase == 0.0 { 0.0 } else { (quadrature / in_phase).atan() * DEGREES };
        let change = self.phase - phase;
        self.phase = phase;
        let speed = if change > 1.0 { (0.5 / change).max(0.05) } else { 0.5 };
        self.mama = speed * close + (1.0 - speed) * self.mama;
        let speed = speed * 0.5;
        self.fama = speed * self.mama + (1.0 - speed) * self.fama;
    }
}

/// The mean of the close over the cycle, and that smoothed over four bars.
#[derive(Clone, Debug, Default)]
struct Trend {
    past: [f64; 3],
}

impl Trend {
    #[inline(always)]
    fn step(&mut self, closes: &[f64]) -> f64 {
        let sum = lanes_sum(closes);
        let mean = if closes.is_empty() { 0.0 } else { sum / closes.len() as f64 };
        let [one, two, three] = self.past;
        self.past = [mean, one, two];
        (4.0 * mean + 3.0 * one + 2.0 * two + three) / 10.0
    }
}

/// Sum in four lanes: always in the same order for the same number of values.
#[inline(always)]
fn lanes_sum(values: &[f64]) -> f64 {
    let mut lanes = [0.0; 4];
    let chunks = values.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        for lane in 0..4 {
            lanes[lane] += chunk[lane];
        }
    }
    rest.iter().fold((lanes[0] + lanes[1]) + (lanes[2] + lanes[3]), |sum, value| sum + value)
}

impl Recurrence<10> for Hilbert {
    #[inline(always)]
    fn step(&mut self, bar: &Bar) -> [f64; 10] {
        const NONE: f64 = f64::NAN;
        let (row, close) = (self.seen, bar.close);
        self.seen = (row + 1).min(128);
        self.closes.push(close);
        let smoothed = self.smoother.step(close);
        if row < 12 {
            return [NONE; 10];
        }
        let components = self.early.step(smoothed);
        self.averages.step(close, components);
        let late = if row >= 37 { self.cycle(smoothed) } else { [NONE; 5] };
        let [trendline, phase, sine, lead, mode] = if row >= 63 { late } else { [NONE; 5] };
        if row < 32 {
            return [NONE; 10];
        }
        let Components { in_phase, quadrature } = components;
        let Adaptive { mama, fama, .. } = self.averages;
        let period = self.early.smooth_period;
        [mama, fama, trendline, period, phase, in_phase, quadrature, sine, lead, mode]
    }
}

impl Hilbert {
    /// Trendline, phase, sine, leading sine and mode, out of the late pipeline.
    #[inline(always)]
    fn cycle(&mut self, smoothed: f64) -> [f64; 5] {
        self.late.step(smoothed);
        self.prices.push(smoothed);
        let (bars, period) = (self.late.bars(), self.late.smooth_period);
        let phase_before = self.phase;
        self.turn(bars, period);
        let before = self.sines;
        let (sine, lead) = ((self.phase / DEGREES).sin(), ((self.phase + 45.0) / DEGREES).sin());
        self.sines = [sine, lead];
        let trendline = self.trend.step(self.closes.newest(bars));
        let crossed = (sine > lead && before[0] <= before[1]) || (sine < lead && before[0] >= before[1]);
        if crossed {
            self.days_in_trend = 0;
        }
        self.days_in_trend += 1;
        let turned = self.phase - phase_before;
        let steady = period != 0.0 && turned > 0.67 * 360.0 / period && turned < 1.5 * 360.0 / period;
        let cycling = crossed || (self.days_in_trend as f64) < 0.5 * period || steady;
        let far = trendline != 0.0 && ((smoothed - trendline) / trendline).abs() >= 0.015;
        [trendline, self.phase, sine, lead, f64::from(u8::from(!cycling || far))]
    }

    /// The phase of the cycle, by correlation with one turn of sine and cosine.
    #[inline(always)]
    fn turn(&mut self, bars: usize, period: f64) {
        let (prices, circle) = (self.prices.newest(bars), &self.circles[bars]);
        // One after the other, as TA-Lib does: where the price stands still, rounding is all that there is.
        let (mut real, mut imaginary) = (0.0, 0.0);
        for ((price, sine), cosine) in prices.iter().zip(&circle.sine).zip(&circle.cosine) {
            real += sine * price;
            imaginary += cosine * price;
        }
        if imaginary.abs() > 0.0 {
            self.phase = (real / imaginary).atan() * DEGREES;
        } else if real < 0.0 {
            self.phase -= 90.0;
        } else if real > 0.0 {
            self.phase += 90.0;
        }
        self.phase += 90.0;
        self.phase += 360.0 / period;
        if imaginary < 0.0 {
            self.phase += 180.0;
        }
        if self.phase > 315.0 {
            self.phase -= 360.0;
        }
    }
}
