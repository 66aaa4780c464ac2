//! Looking for the factors of adjusted prices: see [`super::factor`].
//!
//! Prices that were paid are whole multiples of a tick, so adjusted ones are whole multiples of a tick times the
//! factor: of a unit that is a greatest common divisor of real numbers, which Euclid finds in a few rows. Rows follow
//! it until one does not; there a dividend begins a new run. A unit counts only if it gives back every value of the
//! rows to a few units in the last place, so numbers that are no multiples of anything are told from the others at
//! once.

use super::factor::fit;
use crate::number::POWERS;

/// Values that a unit is looked for in, at first; then half as many, and so on, as a dividend may lie in between.
const WINDOW: usize = 32;
/// Rows that they are taken from at most.
const REACH: usize = 256;
/// Fewest values that tell a unit.
const FEWEST: usize = 4;
/// Units that a value has at most. (Errors of the values grow as the square of it on the way to the unit.)
const UNITS: f64 = (1u64 << 20) as f64;
/// Units in the last place that values may be beside a multiple of the unit.
const BESIDE: u64 = 8;
/// Places that tell whether it is worth while to look at all rows.
const PROBES: usize = 8;
/// Most decimal places of prices that were paid.
const PLACES: usize = 6;
/// Values that a factor is chosen by.
const CHOSEN_BY: usize = 256;
/// Runs of fewer rows may have found a multiple of the unit.
const SHORT: usize = 32;

/// First row and factor of each run, the first from row 0.
pub type Runs = Vec<(usize, f64)>;

/// Columns of the same rows that are adjusted by the same factors.
#[derive(Clone, Copy, Debug)]
pub struct Prices<'v, S> {
    /// The values of each column.
    pub columns: &'v [&'v [f64]],
    /// Tells which rows are null.
    pub skip: S,
}

impl<S: Fn(usize) -> bool> Prices<'_, S> {
    fn rows(&self) -> usize {
        self.columns.first().map_or(0, |column| column.len())
    }

    /// The values of a row, none if it is null.
    fn row(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        let skipped = (self.skip)(row);
        self.columns.iter().filter(move |_| !skipped).map(move |column| column[row])
    }

    /// Decimal places of the prices that were paid, and the factors; `None` if the rows do not look like such.
    pub fn factors(&self) -> Option<(u8, Runs)> {
        let probes = self.probes();
        if probes.is_empty() || probes.len() * 2 < self.probed().count() {
            return None;
        }
        let zeros = |exponent: &usize| {
            let best = |(values, unit): &(Vec<f64>, f64)| refine(values, *exponent, *unit).1;
            (probes.iter().map(best).sum::<usize>(), std::cmp::Reverse(*exponent))
        };
        let exponent = (0..=PLACES).max_by_key(zeros)?;
        let mut runs = self.runs(exponent)?;
        self.same_units(exponent, &mut runs);
        Some((exponent as u8, runs))
    }

    /// Where windows of rows are tried.
    fn probed(&self) -> impl Iterator<Item = usize> {
        let step = (self.rows() / PROBES).max(WINDOW);
        (0..self.rows()).step_by(step).take(PROBES)
    }

    /// The values of those that have a unit, and it.
    fn probes(&self) -> Vec<(Vec<f64>, f64)> {
        self.probed().filter_map(|row| self.unit(row)).collect()
    }

    /// The values that stand from a row on, as many as have a common unit, and the unit. A price that stays as it is tells
    /// nothing more.
    fn unit(&self, row: usize) -> Option<(Vec<f64>, f64)> {
        let mut values: Vec<f64> = Vec::with_capacity(WINDOW);
        for row in row..self.rows().min(row + REACH) {
            for value in self.row(row) {
                if values.last() != Some(&value) {
                    values.push(value);
                }
            }
            if values.len() >= WINDOW {
                break;
            }
        }
        while values.len() >= FEWEST {
            if let Some(unit) = common_unit(&values) {
                return Some((values, unit));
            }
            values.truncate(values.len() / 2);
        }
        None
    }

    /// The factors of all rows; `None` if too many have none.
    fn runs(&self, exponent: usize) -> Option<Runs> {
        let mut runs = Runs::new();
        let (mut row, mut without) = (0, 0);
        while row < self.rows() {
            let Some((values, unit)) = self.unit(row) else {
                without += usize::from(!(self.skip)(row));
                if without > PROBES + row / 4 {
                    return None;
                }
                row += 1;
                continue;
            };
            let factor = refine(&values, exponent, unit).0;
            let fits = |row: &usize| self.row(*row).all(|value| beside(value, exponent, factor).is_some());
            let end = (row..self.rows()).find(|row| !fits(row)).unwrap_or(self.rows());
            // A window whose values fit its unit but not the factor made of it: nothing to begin a run with.
            if end > row {
                let start = if runs.is_empty() { 0 } else { row };
                runs.push((start, self.refine_run(row, end, exponent, factor)));
            }
            row = end.max(row + 1);
        }
        (!runs.is_empty()).then_some(runs)
    }

    /// The factor nearby that gives back most of the rows to the bit.
    fn refine_run(&self, start: usize, end: usize, exponent: usize, factor: f64) -> f64 {
        let step = ((end - start) * self.columns.len() / CHOSEN_BY).max(1);
        let values: Vec<f64> = (start..end).step_by(step).flat_map(|row| self.row(row)).collect();
        refine(&values, exponent, factor / POWERS[exponent]).0
    }

    /// Puts short runs that found a multiple of the unit onto that of the run beside.
    fn same_units(&self, exponent: usize, runs: &mut Runs) {
        let number = |row: usize, factor: f64| {
            let price = self.row(row).next().unwrap_or(0.0);
            fit(price, exponent, factor).map_or(0.0, |fit| fit.0 as f64)
        };
        for at in 0..runs.len() {
            let (start, factor) = runs[at];
            let end = runs.get(at + 1).map_or(self.rows(), |run| run.0);
            if end - start >= SHORT {
                continue;
            }
            let (own, other) = match (at.checked_sub(1), runs.get(at + 1)) {
                (Some(before), _) => (number(start, factor), number(start - 1, runs[before].1)),
                (None, Some(after)) => (number(end - 1, factor), number(end, after.1)),
                (None, None) => continue,
            };
            let times = (other / own).round();
            if times.is_finite() && times > 1.0 {
                runs[at].1 = self.refine_run(start, end, exponent, factor / times);
            }
        }
        runs.dedup_by(|next, before| (next.1 - before.1).abs() <= before.1 * (8.0 * f64::EPSILON));
    }
}

/// The residue of a value under a factor if it is a small one.
fn beside(value: f64, exponent: usize, factor: f64) -> Option<i64> {
    fit(value, exponent, factor).map(|fit| fit.1).filter(|residue| residue.unsigned_abs() <= BESIDE)
}

/// The factor close to `unit * 10^exponent` that gives back most values to the bit, and how many.
fn refine(values: &[f64], exponent: usize, unit: f64) -> (f64, usize) {
    let largest = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    let factor = largest / ((largest / unit).round() / POWERS[exponent]);
    if !(factor.is_finite() && factor > 0.0) {
        return (1.0, 0);
    }
    let mut best = (factor, 0);
    let bits = factor.to_bits();
    // The factor itself first: another one has to be better.
    for step in [0, 1, -1, 2, -2, 3, -3, 4, -4, 5, -5, 6, -6_i64] {
        let near = f64::from_bits(bits.saturating_add_signed(step));
        let exact = values.iter().filter(|value| beside(**value, exponent, near) == Some(0)).count();
        if exact > best.1 {
            best = (near, exact);
        }
    }
    best
}

/// The greatest number that all values are whole multiples of, to a few units in their last places.
fn common_unit(values: &[f64]) -> Option<f64> {
    let largest = values.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    if !(largest.is_finite() && largest > 0.0) || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    // Differences come first: they are few units, so that errors grow least on the way.
    let first = values.first().copied().unwrap_or(largest);
    let mut unit = 0.0;
    for value in values.iter().map(|value| value - first).chain([largest]) {
        unit = divisor(value.abs(), unit, largest / (16.0 * UNITS));
        if unit > 0.0 && largest > unit * UNITS {
            return None;
        }
    }
    let unit = largest / (largest / unit).round();
    values.iter().all(|value| beside(*value, 0, unit).is_some()).then_some(unit)
}

/// Euclid's algorithm for numbers that are a little beside whole multiples of their divisor.
fn divisor(a: f64, b: f64, least: f64) -> f64 {
    let (mut a, mut b) = if a < b { (b, a) } else { (a, b) };
    while b > least {
        (a, b) = (b, (a - (a / b).round() * b).abs());
    }
    a
}
