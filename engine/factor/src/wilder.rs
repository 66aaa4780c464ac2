//! Recursive factors with Wilder's smoothing: gains and losses, true range, directional movement.

use crate::bars::Bar;
use crate::finite::{place, true_range};
use crate::recurrence::{Recurrence, Ring};

const PERIOD: usize = 14;
const SHARE: f64 = 1.0 / PERIOD as f64;

/// RSI14, CMO14, STOCHRSI K and D, ATR14, NATR14, ADX14, ADXR14, DX14, PLUS and MINUS DI14, PLUS and MINUS DM14.
#[derive(Clone, Debug, Default)]
pub(crate) struct Wilder {
    /// Bars taken, up to some beyond all warm-ups.
    seen: usize,
    before: Bar,
    gain: f64,
    loss: f64,
    rsi: Ring<8>,
    fast: Ring<4>,
    atr: f64,
    plus: f64,
    minus: f64,
    range: f64,
    dx: f64,
    adx: f64,
    past_adx: Ring<16>,
}

impl Recurrence<13> for Wilder {
    #[inline(always)]
    fn step(&mut self, bar: &Bar) -> [f64; 13] {
        let before = std::mem::replace(&mut self.before, *bar);
        let row = self.seen;
        self.seen = (row + 1).min(64);
        if row == 0 {
            return [f64::NAN; 13];
        }
        let [rsi, cmo] = self.momentum(bar.close - before.close, row);
        let [k, d] = self.stochastic(rsi, row);
        let range = true_range(bar.high, bar.low, before.close);
        let atr = self.average_range(range, row);
        let natr = if bar.close == 0.0 { 0.0 } else { atr / bar.close * 100.0 };
        let [adx, adxr, dx, plus_di, minus_di] = self.movement(bar, &before, range, row);
        let (plus, minus) = if row >= PERIOD - 1 { (self.plus, self.minus) } else { (f64::NAN, f64::NAN) };
        [rsi, cmo, k, d, atr, natr, adx, adxr, dx, plus_di, minus_di, plus, minus]
    }
}

impl Wilder {
    /// RSI14 and CMO14.
    #[inline(always)]
    fn momentum(&mut self, change: f64, row: usize) -> [f64; 2] {
        let gain = if change > 0.0 { change } else { 0.0 };
        let loss = gain - change;
        if row <= PERIOD {
            self.gain += gain;
            self.loss += loss;
            if row < PERIOD {
                return [f64::NAN; 2];
            }
            self.gain *= SHARE;
            self.loss *= SHARE;
        } else {
            self.gain = (self.gain * (PERIOD - 1) as f64 + gain) * SHARE;
            self.loss = (self.loss * (PERIOD - 1) as f64 + loss) * SHARE;
        }
        let both = self.gain + self.loss;
        if both > 0.0 {
            [100.0 * (self.gain / both), 100.0 * ((self.gain - self.loss) / both)]
        } else {
            [50.0, 0.0]
        }
    }

    /// STOCHRSI(14, 5, 3).
    #[inline(always)]
    fn stochastic(&mut self, rsi: f64, row: usize) -> [f64; 2] {
        if row < PERIOD {
            return [f64::NAN; 2];
        }
        self.rsi.push(rsi);
        let (mut top, mut bottom) = (rsi, rsi);
        for ago in 1..5 {
            let value = self.rsi.ago(ago);
            top = if value > top { value } else { top };
            bottom = if value < bottom { value } else { bottom };
        }
        let k = place(rsi, bottom, top);
        self.fast.push(k);
        if row < PERIOD + 6 {
            return [f64::NAN; 2];
        }
        [k, (self.fast.ago(2) + self.fast.ago(1) + k) / 3.0]
    }

    /// ATR14.
    #[inline(always)]
    fn average_range(&mut self, range: f64, row: usize) -> f64 {
        const BETA: f64 = (PERIOD - 1) as f64 / PERIOD as f64;
        if row > PERIOD {
            self.atr = BETA * self.atr + (1.0 - BETA) * range;
            return self.atr;
        }
        self.atr += range;
        if row < PERIOD {
            return f64::NAN;
        }
        self.atr /= PERIOD as f64;
        self.atr
    }

    /// ADX14, ADXR14, DX14, PLUS and MINUS DI14.
    #[inline(always)]
    fn movement(&mut self, bar: &Bar, before: &Bar, range: f64, row: usize) -> [f64; 5] {
        let (up, down) = (bar.high - before.high, before.low - bar.low);
        let plus = if up > 0.0 && up > down { up } else { 0.0 };
        let minus = if down > 0.0 && down > up { down } else { 0.0 };
        if row < PERIOD {
            self.plus += plus;
            self.minus += minus;
            self.range += range;
            return [f64::NAN; 5];
        }
        self.plus = self.plus - self.plus * SHARE + plus;
        self.minus = self.minus - self.minus * SHARE + minus;
        self.range = self.range - self.range * SHARE + range;
        let moved = self.range > 0.0;
        let plus_di = if moved { 100.0 * (self.plus / self.range) } else { 0.0 };
        let minus_di = if moved { 100.0 * (self.minus / self.range) } else { 0.0 };
        let both = plus_di + minus_di;
        let moved = moved && both.abs() >= 1e-14;
        if moved {
            self.dx = 100.0 * ((minus_di - plus_di).abs() / both);
        }
        let [adx, adxr] = self.average_dx(moved, row);
        [adx, adxr, self.dx, plus_di, minus_di]
    }

    #[inline(always)]
    fn average_dx(&mut self, moved: bool, row: usize) -> [f64; 2] {
        const FIRST: usize = 2 * PERIOD - 1;
        if row <= FIRST {
            self.adx += if moved { self.dx } else { 0.0 };
            if row < FIRST {
                return [f64::NAN; 2];
            }
            self.adx /= PERIOD as f64;
        } else if moved {
            self.adx -= (self.adx - self.dx) * SHARE;
        }
        self.past_adx.push(self.adx);
        let rated = row >= FIRST + PERIOD - 1;
        let adxr = if rated { (self.adx + self.past_adx.ago(PERIOD - 1)) * 0.5 } else { f64::NAN };
        [self.adx, adxr]
    }
}
