//! Factors of one's own, in Rust.

use std::ops::Range;

use crate::bars::Bars;

/// A factor that is computed by code of the caller.
///
/// ```
/// use tapestore_factor::{Bars, Custom, compute_custom, find_look_ahead};
///
/// /// The range of a bar in percent of its close.
/// struct Width;
///
/// impl Custom for Width {
///     fn name(&self) -> &str {
///         "WIDTH"
///     }
///
///     fn compute(&self, run: &Bars<'_>, out: &mut [f64]) {
///         for (row, out) in out.iter_mut().enumerate() {
///             let bar = run.bar(row);
///             *out = (bar.high - bar.low) / bar.close * 100.0;
///         }
///     }
/// }
///
/// let (high, low) = ([11.0, 12.0, 11.5], [10.0, 11.0, 11.0]);
/// let bars = Bars::new(&low, &high, &low, &low, &low)?;
/// let columns = compute_custom(&bars, &[0..2], &[&Width]);
/// assert_eq!(columns[0][0], 10.0);
/// assert!(columns[0][2].is_nan(), "it is in no run");
/// assert_eq!(find_look_ahead(&Width, &bars), None);
/// # Ok::<(), tapestore_factor::Error>(())
/// ```
pub trait Custom: Sync {
    /// Its name.
    fn name(&self) -> &str;

    /// Computes it for the bars of one run, oldest first. `out` has a row for each bar, and holds NaN: leave the rows of
    /// the warm-up so. A row may depend on its own bar and those before it, and on nothing else.
    fn compute(&self, run: &Bars<'_>, out: &mut [f64]);
}

/// Computes factors of one's own: a column for each. As with [`crate::compute`], runs are sorted and disjoint, each is
/// computed by itself, and rows of no run get NaN.
pub fn compute_custom(bars: &Bars<'_>, runs: &[Range<usize>], factors: &[&dyn Custom]) -> Vec<Vec<f64>> {
    let column = |factor: &&dyn Custom| {
        let mut out = vec![f64::NAN; bars.len()];
        for rows in runs {
            factor.compute(&bars.slice(rows.clone()), &mut out[rows.clone()]);
        }
        out
    };
    factors.iter().map(column).collect()
}

/// The first row of these bars whose value changes when the future is cut off, as one run: a factor that has one looks
/// ahead, and a backtest of it is worth nothing. Computes the factor as often as there are bars, so some hundred will do.
pub fn find_look_ahead(factor: &dyn Custom, bars: &Bars<'_>) -> Option<usize> {
    let compute = |rows: usize| {
        let mut out = vec![f64::NAN; rows];
        factor.compute(&bars.slice(0..rows), &mut out);
        out
    };
    let whole = compute(bars.len());
    let differs = |row: &usize| {
        let (cut, full) = (compute(row + 1)[*row], whole[*row]);
        cut.to_bits() != full.to_bits() && !(cut.is_nan() && full.is_nan())
    };
    (0..bars.len()).find(differs)
}
