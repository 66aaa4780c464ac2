//! Windows of a length that is known only when the program runs. Each value is computed from its window alone (X1).

use super::{Pair, Window};

/// Windows folded side by side.
const LANES: usize = 8;

/// Runs `fold` over each full window of finite values, oldest first; NaN elsewhere (X2).
fn each(x: &[f64], n: usize, fold: impl Fn(&[f64]) -> f64) -> Vec<f64> {
    let mut out = vec![f64::NAN; x.len()];
    let mut finite = 0;
    for row in 0..x.len() {
        finite = if x[row].is_finite() { finite + 1 } else { 0 };
        if finite >= n {
            out[row] = fold(&x[row + 1 - n..=row]);
        }
    }
    out
}

/// Folds windows side by side; a value that is not finite spreads through its windows by itself.
fn folded(
    x: &[f64],
    n: usize,
    start: f64,
    step: impl Fn(f64, f64) -> f64,
    finish: impl Fn(f64) -> f64,
) -> Vec<f64> {
    let mut out = vec![f64::NAN; x.len()];
    let count = (x.len() + 1).saturating_sub(n);
    let mut at = 0;
    while at + LANES <= count {
        let window = &x[at..at + n + LANES - 1];
        let mut acc = [start; LANES];
        for values in window.windows(LANES) {
            for lane in 0..LANES {
                acc[lane] = step(acc[lane], values[lane]);
            }
        }
        for (out, acc) in out[at + n - 1..].iter_mut().zip(acc) {
            *out = finish(acc);
        }
        at += LANES;
    }
    for at in at..count {
        out[at + n - 1] = finish(x[at..at + n].iter().fold(start, |acc, value| step(acc, *value)));
    }
    for out in &mut out {
        *out = if out.is_finite() { *out } else { f64::NAN };
    }
    out
}

pub(super) fn window(kind: Window, x: &[f64], n: usize) -> Vec<f64> {
    let count = n as f64;
    let same = |value: f64| value;
    match kind {
        Window::Sum => folded(x, n, 0.0, |sum, value| sum + value, same),
        Window::Mean => folded(x, n, 0.0, |sum, value| sum + value, |sum| sum / count),
        Window::Std => each(x, n, |window| spread(window).sqrt()),
        Window::Var => each(x, n, spread),
        Window::Max => each(x, n, |window| window.iter().copied().fold(f64::NEG_INFINITY, f64::max)),
        Window::Min => each(x, n, |window| window.iter().copied().fold(f64::INFINITY, f64::min)),
        Window::IdxMax => each(x, n, |window| place(window, |value, best| value > best)),
        Window::IdxMin => each(x, n, |window| place(window, |value, best| value < best)),
        Window::Med => quantile(x, n, 0.5),
        Window::Mad => each(x, n, |window| {
            let mean = window.iter().sum::<f64>() / count;
            window.iter().map(|value| (value - mean).abs()).sum::<f64>() / count
        }),
        Window::Rank => each(x, n, rank),
        Window::Slope => each(x, n, |window| line(window).slope),
        Window::Rsquare => each(x, n, |window| line(window).explained),
        Window::Resi => each(x, n, |window| line(window).residual),
        Window::Delta => {
            let before = |row: usize| row.checked_sub(n).map_or(f64::NAN, |row| x[row]);
            x.iter().enumerate().map(|(row, value)| value - before(row)).collect()
        }
    }
}

/// Variance of a sample. Distances are taken from the first value, so that a flat window has none, exactly.
fn spread(window: &[f64]) -> f64 {
    let (first, n) = (window[0], window.len() as f64);
    let mean = window.iter().map(|value| value - first).sum::<f64>() / n;
    window.iter().map(|value| (value - first - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

fn place(window: &[f64], beats: impl Fn(f64, f64) -> bool) -> f64 {
    let best = (1..window.len()).fold(0, |best, at| if beats(window[at], window[best]) { at } else { best });
    (best + 1) as f64
}

fn rank(window: &[f64]) -> f64 {
    let last = window[window.len() - 1];
    let below = window.iter().filter(|value| **value < last).count();
    let equal = window.iter().filter(|value| **value == last).count();
    (below as f64 + (equal as f64 + 1.0) * 0.5) / window.len() as f64
}

/// Linear between the two nearest values, as numpy and pandas do.
pub(super) fn quantile(x: &[f64], n: usize, share: f64) -> Vec<f64> {
    let place = share * (n - 1) as f64;
    let (low, part) = (place.floor() as usize, place.fract());
    let mut sorted = vec![0.0; n];
    let mut out = vec![f64::NAN; x.len()];
    let mut finite = 0;
    for row in 0..x.len() {
        finite = if x[row].is_finite() { finite + 1 } else { 0 };
        if finite >= n {
            sorted.copy_from_slice(&x[row + 1 - n..=row]);
            let (_, lower, above) = sorted.select_nth_unstable_by(low, f64::total_cmp);
            let lower = *lower;
            let next = above.iter().copied().fold(f64::INFINITY, f64::min);
            out[row] = if part == 0.0 { lower } else { lower + (next - lower) * part };
        }
    }
    out
}

struct Line {
    slope: f64,
    explained: f64,
    residual: f64,
}

fn line(window: &[f64]) -> Line {
    let (first, n) = (window[0], window.len() as f64);
    let middle = (n - 1.0) / 2.0;
    let (mut sum, mut weighted, mut squares) = (0.0, 0.0, 0.0);
    for (k, value) in window.iter().enumerate() {
        let distance = value - first;
        sum += distance;
        weighted += distance * (k as f64 - middle);
        squares += distance * distance;
    }
    let weights = n * (n * n - 1.0) / 12.0;
    let slope = weighted / weights;
    let mean = sum / n;
    let total = squares - sum * mean;
    let explained = if total > 0.0 { (slope * weighted / total).min(1.0) } else { f64::NAN };
    Line { slope, explained, residual: window[window.len() - 1] - first - mean - slope * middle }
}

/// NaN where one of both stands still: nothing correlates with what does not move.
pub(super) fn pair(kind: Pair, x: &[f64], y: &[f64], n: usize) -> Vec<f64> {
    let mut out = vec![f64::NAN; x.len()];
    let mut finite = 0;
    for row in 0..x.len() {
        finite = if x[row].is_finite() && y[row].is_finite() { finite + 1 } else { 0 };
        if finite < n {
            continue;
        }
        let (x, y) = (&x[row + 1 - n..=row], &y[row + 1 - n..=row]);
        let (first_x, first_y, count) = (x[0], y[0], n as f64);
        let mean_x = x.iter().map(|x| x - first_x).sum::<f64>() / count;
        let mean_y = y.iter().map(|y| y - first_y).sum::<f64>() / count;
        let (mut xx, mut yy, mut xy) = (0.0, 0.0, 0.0);
        for (x, y) in x.iter().zip(y) {
            let (x, y) = (x - first_x - mean_x, y - first_y - mean_y);
            xx += x * x;
            yy += y * y;
            xy += x * y;
        }
        out[row] = match kind {
            Pair::Cov => xy / (count - 1.0),
            Pair::Corr if xx > 0.0 && yy > 0.0 => (xy / (xx.sqrt() * yy.sqrt())).clamp(-1.0, 1.0),
            Pair::Corr => f64::NAN,
        };
    }
    out
}
