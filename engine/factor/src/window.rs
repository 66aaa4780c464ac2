//! Rolling windows over whole columns.
//!
//! # Invariants
//! - W1. A value is computed from the rows of its window alone, in their order: the same window gives the same bits,
//!   wherever the column begins and ends.
//!
//! Windows of neighbouring rows are folded side by side, [`LANES`] at a time, so that the compiler makes vectors of them;
//! for windows up to 30 rows that costs less than a running sum, whose rounding drifts and would break W1.

/// Windows that are folded side by side, if little is kept of each; half of them where more would leave the registers.
pub(crate) const LANES: usize = 8;

/// What is made of each window of `W` rows.
pub(crate) trait Kernel<const W: usize> {
    /// The values of the `L` windows that begin at `at` and the rows after it.
    fn fold<const L: usize>(&self, at: usize) -> [f64; L];
}

/// Runs a kernel over all windows of as many rows as `out` has, and writes each value into the row of its window's end.
#[inline(always)]
pub(crate) fn roll<const W: usize, const L: usize>(kernel: &impl Kernel<W>, out: &mut [f64]) {
    let count = (out.len() + 1).saturating_sub(W);
    if count < L {
        for at in 0..count {
            out[at + W - 1] = kernel.fold::<1>(at)[0];
        }
        return;
    }
    let mut wide = |at: usize| out[at + W - 1..at + W - 1 + L].copy_from_slice(&kernel.fold::<L>(at));
    for at in (0..count - L).step_by(L) {
        wide(at);
    }
    // Rows that were met before get the same bits again (W1).
    wide(count - L);
}

/// One value folded over the rows of the window, from the oldest on.
struct Fold<'a, S, F> {
    x: &'a [f64],
    start: f64,
    step: S,
    finish: F,
}

impl<const W: usize, S: Fn(f64, f64, usize) -> f64, F: Fn(f64) -> f64> Kernel<W> for Fold<'_, S, F> {
    #[inline(always)]
    fn fold<const L: usize>(&self, at: usize) -> [f64; L] {
        let x = &self.x[at..at + W + L - 1];
        let mut acc = [self.start; L];
        for k in 0..W {
            for lane in 0..L {
                acc[lane] = (self.step)(acc[lane], x[k + lane], k);
            }
        }
        acc.map(&self.finish)
    }
}

/// Sums over `W` rows, times `factor`.
pub(crate) fn sums<const W: usize>(x: &[f64], factor: f64, out: &mut [f64]) {
    roll::<W, LANES>(
        &Fold { x, start: 0.0, step: |sum, value, _| sum + value, finish: |sum| sum * factor },
        out,
    );
}

/// Means of `W` rows: sums divided by `W`.
pub(crate) fn means<const W: usize>(x: &[f64], out: &mut [f64]) {
    roll::<W, LANES>(
        &Fold { x, start: 0.0, step: |sum, value, _| sum + value, finish: |sum| sum / W as f64 },
        out,
    );
}

/// Means of `W` rows weighted 1 to `W`, the newest most.
pub(crate) fn weighted_means<const W: usize>(x: &[f64], out: &mut [f64]) {
    let divisor = (W * (W + 1)) as f64 / 2.0;
    roll::<W, LANES>(
        &Fold {
            x,
            start: 0.0,
            step: |sum, value, k| sum + value * (k + 1) as f64,
            finish: |sum| sum / divisor,
        },
        out,
    );
}

/// Highest of `W` rows.
pub(crate) fn highest<const W: usize>(x: &[f64], out: &mut [f64]) {
    let step = |best: f64, value: f64, _| if value > best { value } else { best };
    roll::<W, LANES>(&Fold { x, start: f64::NEG_INFINITY, step, finish: |best| best }, out);
}

/// Lowest of `W` rows.
pub(crate) fn lowest<const W: usize>(x: &[f64], out: &mut [f64]) {
    let step = |best: f64, value: f64, _| if value < best { value } else { best };
    roll::<W, LANES>(&Fold { x, start: f64::INFINITY, step, finish: |best| best }, out);
}

/// Slopes of the lines fitted to `W` rows: distances from the first row, weighted by how far from the middle they stand.
pub(crate) fn slopes<const W: usize>(x: &[f64], out: &mut [f64]) {
    roll::<W, LANES>(&Slope(x), out);
}

struct Slope<'a>(&'a [f64]);

impl<const W: usize> Kernel<W> for Slope<'_> {
    #[inline(always)]
    fn fold<const L: usize>(&self, at: usize) -> [f64; L] {
        let x = &self.0[at..at + W + L - 1];
        let mut sum = [0.0; L];
        for k in 0..W {
            for lane in 0..L {
                sum[lane] += (x[k + lane] - x[lane]) * (k as f64 - (W - 1) as f64 / 2.0);
            }
        }
        // The sum of the squares of the weights.
        sum.map(|sum| sum / ((W * (W * W - 1)) as f64 / 12.0))
    }
}

/// Variances of `W` rows, of the population. Distances are taken from the first row of the window: a flat window has no
/// variance, exactly, and as the first row is one of the window's own, what is taken off for the mean is never more than
/// some thousand times what stays.
pub(crate) fn variances<const W: usize>(x: &[f64], out: &mut [f64]) {
    roll::<W, LANES>(&Variance(x), out);
}

struct Variance<'a>(&'a [f64]);

impl<const W: usize> Kernel<W> for Variance<'_> {
    #[inline(always)]
    fn fold<const L: usize>(&self, at: usize) -> [f64; L] {
        let x = &self.0[at..at + W + L - 1];
        let (mut sum, mut squares) = ([0.0; L], [0.0; L]);
        for k in 0..W {
            for lane in 0..L {
                let distance = x[k + lane] - x[lane];
                sum[lane] += distance;
                squares[lane] += distance * distance;
            }
        }
        std::array::from_fn(|lane| {
            let mean = sum[lane] / W as f64;
            let variance = squares[lane] / W as f64 - mean * mean;
            if variance > 0.0 { variance } else { 0.0 }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(rows: usize) -> Vec<f64> {
        let mut seed = 7_u64;
        let mut next = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) as f64 / 1000.0
        };
        (0..rows).map(|_| next()).collect()
    }

    #[test]
    fn windows_are_what_a_plain_loop_makes_of_them_and_do_not_know_their_surroundings() {
        for rows in [0, 1, 4, 5, 6, 12, 13, 40] {
            let x = column(rows);
            let mut out =
                [vec![f64::NAN; rows], vec![f64::NAN; rows], vec![f64::NAN; rows], vec![f64::NAN; rows]];
            sums::<5>(&x, 1.0, &mut out[0]);
            highest::<5>(&x, &mut out[1]);
            variances::<5>(&x, &mut out[2]);
            weighted_means::<5>(&x, &mut out[3]);
            for row in 0..rows {
                if row < 4 {
                    assert!(out.iter().all(|column| column[row].is_nan()));
                    continue;
                }
                let window = &x[row - 4..=row];
                assert_eq!(out[0][row], window.iter().sum::<f64>());
                assert_eq!(out[1][row], window.iter().copied().fold(0.0, f64::max));
                let mut alone = [f64::NAN; 5];
                variances::<5>(window, &mut alone);
                assert_eq!(out[2][row].to_bits(), alone[4].to_bits());
                weighted_means::<5>(window, &mut alone);
                assert_eq!(out[3][row].to_bits(), alone[4].to_bits());
            }
        }
        let mut flat = [0.0; 9];
        variances::<5>(&[0.1; 9], &mut flat);
        assert_eq!(flat[4..], [0.0; 5]);
    }
}
