//! Means, variances and correlations: sums over shifted values, merged piece by piece.

/// Count, means, and sums of squared and crossed deviations of pairs.
///
/// Merging: Chan, Golub, `LeVeque`, "Updating Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Pairs {
    pub(crate) count: f64,
    /// A value of each, and how far its mean is from that: far from zero, the mean itself would lose digits.
    shift: [f64; 2],
    mean: [f64; 2],
    squares: [f64; 2],
    crossed: f64,
}

impl Pairs {
    /// Of the rows whose values are both finite.
    pub(crate) fn of(a: &[f64], b: &[f64]) -> Self {
        let finite = |pair: &(&f64, &f64)| pair.0.is_finite() && pair.1.is_finite();
        let Some((shift_a, shift_b)) = a.iter().zip(b).find(finite) else { return Self::default() };
        // Values far from zero lose no digits when their first is taken off; equal ones have exactly no variance.
        let (mut count, mut sum_a, mut sum_b) = (0.0, 0.0, 0.0);
        let (mut aa, mut bb, mut ab) = (0.0, 0.0, 0.0);
        for (a, b) in a.iter().zip(b) {
            let (u, v) = (a - shift_a, b - shift_b);
            if u.is_finite() && v.is_finite() {
                count += 1.0;
                sum_a += u;
                sum_b += v;
                aa += u * u;
                bb += v * v;
                ab += u * v;
            }
        }
        Self {
            count,
            shift: [*shift_a, *shift_b],
            mean: [sum_a / count, sum_b / count],
            squares: [(aa - sum_a * sum_a / count).max(0.0), (bb - sum_b * sum_b / count).max(0.0)],
            crossed: ab - sum_a * sum_b / count,
        }
    }

    /// Adds those of other rows.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0.0 {
            return;
        }
        if self.count == 0.0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let weight = self.count * other.count / count;
        let apart = [0, 1].map(|at| (other.shift[at] - self.shift[at]) + (other.mean[at] - self.mean[at]));
        for (at, apart) in apart.iter().enumerate() {
            self.squares[at] += other.squares[at] + apart * apart * weight;
            self.mean[at] += apart * other.count / count;
        }
        self.crossed += other.crossed + apart[0] * apart[1] * weight;
        self.count = count;
    }

    /// Pearson's correlation; NaN without variance.
    pub(crate) fn correlation(&self) -> f64 {
        if self.count < 2.0 || self.squares[0] <= 0.0 || self.squares[1] <= 0.0 {
            return f64::NAN;
        }
        (self.crossed / (self.squares[0].sqrt() * self.squares[1].sqrt())).clamp(-1.0, 1.0)
    }
}

/// Mean and sample deviation.
pub(crate) fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    if values.len() < 2 {
        return (values.first().copied().unwrap_or(f64::NAN), f64::NAN);
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    (mean, (squares / (count - 1.0)).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_merge_to_the_whole_and_far_values_keep_their_digits() {
        let a: Vec<f64> = (0..1000).map(|i| 1e9 + f64::from(i * i % 37)).collect();
        let b: Vec<f64> =
            (0..1000).map(|i| if i % 11 == 3 { f64::NAN } else { f64::from(i % 17) - 1e6 }).collect();
        let whole = Pairs::of(&a, &b);
        let mut merged = Pairs::default();
        for (a, b) in a.chunks(64).zip(b.chunks(64)) {
            merged.merge(&Pairs::of(a, b));
        }
        assert!((whole.correlation() - merged.correlation()).abs() < 1e-12);
        let near =
            |values: &[f64], shift: f64| -> Vec<f64> { values.iter().map(|value| value + shift).collect() };
        let exact = Pairs::of(&near(&a, -1e9), &near(&b, 1e6)).correlation();
        assert!((whole.correlation() - exact).abs() < 1e-12);
        assert!(Pairs::of(&[0.1; 9], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]).correlation().is_nan());
        assert!(Pairs::of(&[], &[]).correlation().is_nan());
    }
}
