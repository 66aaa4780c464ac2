//! Columns of any scale to signals from −1 to 1, by what is known at each bar only; and several signals to one.
//!
//! Dividing by the largest value of the whole sample, as is often seen, looks into the future: a value of today would
//! change with one of next year. Here, everything is over the bars up to the one in question.
//!
//! # Invariants
//! - N1. A value depends on values at and before its bar; what follows changes no bit of it.
//! - N2. What is not finite has no signal (NaN), and does not count for the others.

use std::collections::VecDeque;

use crate::error::{Error, Result};

/// Over which bars.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// All up to the bar in question.
    Expanding,
    /// So many up to it, itself included.
    Rolling(usize),
}

/// How a column becomes a signal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shape {
    /// As it is.
    #[default]
    Raw,
    /// −1, 0 or 1.
    Sign,
    /// Divided by its largest absolute value.
    MaxAbs(Window),
    /// How many sample deviations it is above its mean, cut off at −1 and 1.
    ZScore(Window),
}

impl Shape {
    /// `raw`, `sign`, `maxabs`, `maxabs:250`, `zscore`, `zscore:250`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, window) = match text.split_once(':') {
            Some((name, count)) => (name, Window::Rolling(count.parse().ok().filter(|count| *count > 1)?)),
            None => (text, Window::Expanding),
        };
        match (name, window) {
            ("raw", Window::Expanding) => Some(Self::Raw),
            ("sign", Window::Expanding) => Some(Self::Sign),
            ("maxabs", window) => Some(Self::MaxAbs(window)),
            ("zscore", window) => Some(Self::ZScore(window)),
            _ => None,
        }
    }

    /// The text that [`Shape::parse`] reads.
    pub fn name(self) -> String {
        match self {
            Self::Raw => "raw".into(),
            Self::Sign => "sign".into(),
            Self::MaxAbs(Window::Expanding) => "maxabs".into(),
            Self::MaxAbs(Window::Rolling(count)) => format!("maxabs:{count}"),
            Self::ZScore(Window::Expanding) => "zscore".into(),
            Self::ZScore(Window::Rolling(count)) => format!("zscore:{count}"),
        }
    }

    /// Replaces a column by its signal.
    pub fn apply(self, values: &mut [f64]) {
        match self {
            Self::Raw => {}
            Self::Sign => values.iter_mut().for_each(|value| {
                if *value != 0.0 && value.is_finite() {
                    *value = value.signum();
                } else if value.is_infinite() {
                    *value = f64::NAN;
                }
            }),
            Self::MaxAbs(window) => max_abs(values, window),
            Self::ZScore(window) => z_score(values, window),
        }
    }
}

/// Divides by the largest absolute value so far; 0 where there was none but 0.
fn max_abs(values: &mut [f64], window: Window) {
    // Rows and their magnitudes, each larger than all that follow.
    let mut largest: VecDeque<(usize, f64)> = VecDeque::new();
    for (row, value) in values.iter_mut().enumerate() {
        if let Window::Rolling(count) = window {
            while largest.front().is_some_and(|(at, _)| at + count <= row) {
                largest.pop_front();
            }
        }
        if !value.is_finite() {
            *value = f64::NAN;
            continue;
        }
        let magnitude = value.abs();
        while largest.back().is_some_and(|(_, other)| *other <= magnitude) {
            largest.pop_back();
        }
        largest.push_back((row, magnitude));
        let most = largest.front().map_or(magnitude, |(_, most)| *most);
        *value = if most == 0.0 { 0.0 } else { *value / most };
    }
}

/// Deviations from the mean. A rolling window is the end of one stretch of as many bars and the beginning of the next:
/// both are only added to, never taken from, so that no rounding is left behind by what went.
fn z_score(values: &mut [f64], window: Window) {
    // Far from zero, digits would be lost.
    let Some(shift) = values.iter().copied().find(|value| value.is_finite()) else {
        return values.fill(f64::NAN);
    };
    let stretch = match window {
        Window::Expanding => usize::MAX,
        Window::Rolling(count) => count,
    };
    // Of the stretch before, from each of its bars to its end.
    let mut ends: Vec<Moments> = Vec::new();
    for bars in values.chunks_mut(stretch) {
        let old: Vec<f64> = if window == Window::Expanding { Vec::new() } else { bars.to_vec() };
        let mut begun = Moments::default();
        for (at, value) in bars.iter_mut().enumerate() {
            if !value.is_finite() {
                *value = f64::NAN;
                continue;
            }
            begun.add(*value - shift);
            let seen = ends.get(at + 1).map_or(begun, |end| end.merged(&begun));
            *value = seen.score(*value - shift);
        }
        ends.clear();
        let mut end = Moments::default();
        ends.extend(old.iter().rev().map(|value| {
            if value.is_finite() {
                end.add(value - shift);
            }
            end
        }));
        ends.reverse();
    }
}

/// Count, mean and squared deviations (Welford; merged as Chan, Golub and `LeVeque` do).
#[derive(Clone, Copy, Debug, Default)]
struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        let apart = value - self.mean;
        self.mean += apart / self.count;
        self.squares += apart * (value - self.mean);
    }

    fn merged(&self, other: &Self) -> Self {
        if self.count == 0.0 || other.count == 0.0 {
            return if self.count == 0.0 { *other } else { *self };
        }
        let count = self.count + other.count;
        let apart = other.mean - self.mean;
        Self {
            count,
            mean: self.mean + apart * other.count / count,
            squares: self.squares + other.squares + apart * apart * self.count * other.count / count,
        }
    }

    /// NaN for less than two values; 0 without variance.
    fn score(&self, value: f64) -> f64 {
        if self.count < 2.0 {
            return f64::NAN;
        }
        if self.squares <= 0.0 {
            return 0.0;
        }
        ((value - self.mean) / (self.squares / (self.count - 1.0)).sqrt()).clamp(-1.0, 1.0)
    }
}

/// Weighted signals in one: `Σ w·s`, divided by its own largest absolute value over the window. A signal without a value
/// adds nothing; where none has one, there is none.
///
/// # Errors
/// [`Error::Length`] if a signal is not as long as `out`; [`Error::Setting`] for a weight that is no number.
pub fn combine(signals: &[(&[f64], f64)], window: Window, out: &mut [f64]) -> Result<()> {
    out.fill(f64::NAN);
    for (signal, weight) in signals {
        if signal.len() != out.len() {
            return Err(Error::Length { what: "a signal", times: out.len(), rows: signal.len() });
        }
        if !weight.is_finite() {
            return Err(Error::Setting(format!("a weight of {weight} is no number")));
        }
        for (sum, value) in out.iter_mut().zip(*signal).filter(|(_, value)| value.is_finite()) {
            *sum = if sum.is_nan() { weight * value } else { *sum + weight * value };
        }
    }
    max_abs(out, window);
    Ok(())
}
