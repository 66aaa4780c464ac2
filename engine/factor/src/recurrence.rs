//! What recursive factors have in common.

use crate::bars::{Bar, Bars};

/// A state that takes the bars of a run one after another and gives the values of its group, NaN until they begin.
///
/// A whole column and a single new bar go through the same step: what is computed bar by bar from a saved state is, to
/// the bit, what is computed at once, and no value can know of a bar after its own.
pub(crate) trait Recurrence<const N: usize>: Clone + Default {
    /// Takes the next bar.
    fn step(&mut self, bar: &Bar) -> [f64; N];

    /// Takes the next bars.
    #[inline(always)]
    fn run(&mut self, bars: &Bars<'_>, mut out: [&mut [f64]; N]) {
        let mut state = self.clone();
        for row in 0..bars.len() {
            let values = state.step(&bars.bar(row));
            for (column, value) in out.iter_mut().zip(values) {
                column[row] = value;
            }
        }
        *self = state;
    }
}

/// Exponential mean over `N` bars, begun with the mean of the first `N`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ema<const N: usize> {
    seen: usize,
    value: f64,
}

impl<const N: usize> Ema<N> {
    const BETA: f64 = (N as f64 - 1.0) / (N as f64 + 1.0);
    const ALPHA: f64 = 1.0 - Self::BETA;

    /// Takes the next value; those that are NaN have not begun, and neither has this.
    #[inline(always)]
    pub(crate) fn step(&mut self, value: f64) -> f64 {
        if self.seen >= N {
            self.value = Self::BETA * self.value + Self::ALPHA * value;
            return self.value;
        }
        if value.is_nan() {
            return value;
        }
        self.seen += 1;
        self.value += value;
        if self.seen < N {
            return f64::NAN;
        }
        self.value /= N as f64;
        self.value
    }
}

/// The last values, by how long ago they came. `N` is a power of two.
#[derive(Clone, Debug)]
pub(crate) struct Ring<const N: usize> {
    values: [f64; N],
    at: usize,
}

impl<const N: usize> Default for Ring<N> {
    fn default() -> Self {
        Self { values: [0.0; N], at: 0 }
    }
}

impl<const N: usize> Ring<N> {
    #[inline(always)]
    pub(crate) fn push(&mut self, value: f64) {
        self.at = (self.at + 1) & (N - 1);
        self.values[self.at] = value;
    }

    /// The value that came `ago` values before the last one.
    #[inline(always)]
    pub(crate) fn ago(&self, ago: usize) -> f64 {
        self.values[self.at.wrapping_sub(ago) & (N - 1)]
    }
}
