//! Recursive factors of the close: exponential means and what is made of them, and the adaptive mean.

use crate::bars::Bar;
use crate::recurrence::{Ema, Recurrence, Ring};

/// EMA20, DEMA20, TEMA20, T3, TRIX30, MACD with signal and histogram, KAMA30.
#[derive(Clone, Debug, Default)]
pub(crate) struct Smooth {
    means: [Ema<20>; 3],
    t3: [Ema<5>; 6],
    trix: [Ema<30>; 3],
    trix_before: Option<f64>,
    rows: usize,
    fast: Ema<12>,
    slow: Ema<26>,
    signal: Ema<9>,
    adaptive: Adaptive,
}

impl Recurrence<9> for Smooth {
    #[inline(always)]
    fn step(&mut self, bar: &Bar) -> [f64; 9] {
        let close = bar.close;
        let [first, second, third] = &mut self.means;
        let e1 = first.step(close);
        let e2 = second.step(e1);
        let e3 = third.step(e2);
        let macd = self.difference(close);
        let signal = self.signal.step(macd);
        // TA-Lib gives all three from where the signal begins.
        let macd = if signal.is_nan() { f64::NAN } else { macd };
        [
            e1,
            2.0 * e1 - e2,
            e3 + (3.0 * e1 - 3.0 * e2),
            self.tillson(close),
            self.rate(close),
            macd,
            signal,
            macd - signal,
            self.adaptive.step(close),
        ]
    }
}

impl Smooth {
    /// T3(5, 0.7).
    #[inline(always)]
    fn tillson(&mut self, close: f64) -> f64 {
        const V: f64 = 0.7;
        const C1: f64 = -(V * V * V);
        const C2: f64 = 3.0 * (V * V - C1);
        const C3: f64 = -6.0 * (V * V) - 3.0 * (V - C1);
        const C4: f64 = 1.0 + 3.0 * V - C1 + 3.0 * (V * V);
        let mut e = [0.0; 6];
        let mut value = close;
        for (mean, out) in self.t3.iter_mut().zip(&mut e) {
            value = mean.step(value);
            *out = value;
        }
        C1 * e[5] + C2 * e[4] + C3 * e[3] + C4 * e[2]
    }

    /// TRIX30.
    #[inline(always)]
    fn rate(&mut self, close: f64) -> f64 {
        let value = self.trix.iter_mut().fold(close, |value, mean| mean.step(value));
        if value.is_nan() {
            return value;
        }
        match self.trix_before.replace(value) {
            None => f64::NAN,
            Some(0.0) => 0.0,
            Some(before) => (value / before - 1.0) * 100.0,
        }
    }

    /// MACD(12, 26). The fast mean begins with the 12 bars that end where the slow one begins.
    #[inline(always)]
    fn difference(&mut self, close: f64) -> f64 {
        self.rows += 1;
        let slow = self.slow.step(close);
        let fast = if self.rows > 26 - 12 { self.fast.step(close) } else { f64::NAN };
        fast - slow
    }
}

/// KAMA30 (Kaufman): as quick as the close is straight.
#[derive(Clone, Debug, Default)]
struct Adaptive {
    seen: usize,
    closes: Ring<32>,
    path: f64,
    still: usize,
    value: f64,
}

impl Adaptive {
    const PERIOD: usize = 30;

    #[inline(always)]
    fn step(&mut self, close: f64) -> f64 {
        const SLOWEST: f64 = 2.0 / 31.0;
        const SPAN: f64 = 2.0 / 3.0 - SLOWEST;
        let (before, leaving) = (self.closes.ago(0), self.closes.ago(Self::PERIOD));
        self.closes.push(close);
        self.seen += 1;
        if self.seen == 1 {
            return f64::NAN;
        }
        let begun = self.seen > Self::PERIOD;
        let base = self.closes.ago(Self::PERIOD);
        if self.seen > Self::PERIOD + 1 {
            self.path -= (leaving - base).abs();
        } else {
            self.value = before;
        }
        self.path += (close - before).abs();
        self.still = if close == before { self.still + 1 } else { 0 };
        if !begun {
            return f64::NAN;
        }
        let way = close - base;
        if self.still >= Self::PERIOD {
            // Nothing moved: what stands in the sum is rounding.
            self.path = 0.0;
        }
        // TA-Lib compares with the signed way: falling straight is told by the quotient.
        let ratio = if self.path <= 0.0 || self.path <= way { 1.0 } else { (way / self.path).abs().min(1.0) };
        let speed = ratio * SPAN + SLOWEST;
        self.value += (close - self.value) * (speed * speed);
        self.value
    }
}
