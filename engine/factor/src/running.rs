//! Recursive factors of volume, and the parabolic stop.

use crate::bars::Bar;
use crate::finite::money_flow_volume;
use crate::recurrence::{Ema, Recurrence};

/// OBV, AD, ADOSC, EFI13.
#[derive(Clone, Debug, Default)]
pub(crate) struct Volume {
    /// Bars taken, up to some beyond all warm-ups.
    seen: usize,
    close: f64,
    balance: f64,
    distribution: f64,
    fast: f64,
    slow: f64,
    force: Ema<13>,
}

impl Recurrence<4> for Volume {
    #[inline(always)]
    fn step(&mut self, bar: &Bar) -> [f64; 4] {
        let before = std::mem::replace(&mut self.close, bar.close);
        let row = self.seen;
        self.seen = (row + 1).min(64);
        self.distribution += money_flow_volume(bar.high, bar.low, bar.close, bar.volume);
        if row == 0 {
            self.balance = bar.volume;
            (self.fast, self.slow) = (self.distribution, self.distribution);
            return [self.balance, self.distribution, f64::NAN, f64::NAN];
        }
        if bar.close > before {
            self.balance += bar.volume;
        } else if bar.close < before {
            self.balance -= bar.volume;
        }
        // Exponential means over 3 and 10 bars, begun with the first value.
        self.fast = 0.5 * self.fast + 0.5 * self.distribution;
        self.slow = (9.0 / 11.0) * self.slow + (1.0 - 9.0 / 11.0) * self.distribution;
        let oscillator = if row >= 9 { self.fast - self.slow } else { f64::NAN };
        let force = self.force.step((bar.close - before) * bar.volume);
        [self.balance, self.distribution, oscillator, force]
    }
}

/// SAR(0.02, 0.2).
#[derive(Clone, Debug, Default)]
pub(crate) struct Parabola {
    /// Bars taken, up to 2.
    seen: usize,
    high: f64,
    low: f64,
    long: bool,
    extreme: f64,
    speed: f64,
    stop: f64,
}

impl Recurrence<1> for Parabola {
    #[inline(always)]
    fn step(&mut self, bar: &Bar) -> [f64; 1] {
        const STEP: f64 = 0.02;
        let (high_before, low_before) = (self.high, self.low);
        (self.high, self.low) = (bar.high, bar.low);
        match self.seen {
            0 => {
                self.seen = 1;
                return [f64::NAN];
            }
            1 => {
                self.seen = 2;
                self.begin(bar, high_before, low_before);
                // TA-Lib takes the second bar for its own predecessor.
                return [self.go(bar, bar.high, bar.low, STEP)];
            }
            _ => {}
        }
        [self.go(bar, high_before, low_before, STEP)]
    }
}

impl Parabola {
    /// The side of the first stop is that of the first movement; it is the extreme of the first bar.
    fn begin(&mut self, bar: &Bar, high_before: f64, low_before: f64) {
        let (up, down) = (bar.high - high_before, low_before - bar.low);
        self.long = !(down > 0.0 && down > up);
        self.speed = 0.02;
        (self.extreme, self.stop) = if self.long { (bar.high, low_before) } else { (bar.low, high_before) };
    }

    #[inline(always)]
    fn go(&mut self, bar: &Bar, high_before: f64, low_before: f64, step: f64) -> f64 {
        let above = |stop: f64| stop.max(high_before).max(bar.high);
        let below = |stop: f64| stop.min(low_before).min(bar.low);
        let reversed = if self.long { bar.low <= self.stop } else { bar.high >= self.stop };
        let given;
        if reversed {
            self.long = !self.long;
            self.stop = if self.long { below(self.extreme) } else { above(self.extreme) };
            given = self.stop;
            self.speed = step;
            self.extreme = if self.long { bar.high } else { bar.low };
        } else {
            given = self.stop;
            let further = if self.long { bar.high > self.extreme } else { bar.low < self.extreme };
            if further {
                self.extreme = if self.long { bar.high } else { bar.low };
                self.speed = (self.speed + step).min(0.2);
            }
        }
        let next = self.stop + self.speed * (self.extreme - self.stop);
        self.stop = if self.long { below(next) } else { above(next) };
        given
    }
}
